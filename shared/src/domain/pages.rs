//! Where people find the pages: of a workload, and of a decision.

use jiff::SignedDuration;

use super::approval_link::ApprovalLink;
use super::signed::SigningKey;
use super::workload::WorkloadId;

/// Where people read and decide.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    /// Without a slash at its end; nothing where nobody knows how people reach them.
    pub base: Option<String>,
    /// Nothing where there are no links that decide.
    pub key: Option<SigningKey>,
    /// For how long a link is good.
    pub expiry: SignedDuration,
}

impl Pages {
    /// The address at which one update is decided, where there is one.
    pub fn to_decide(&self, link: &ApprovalLink) -> Option<String> {
        let (base, key) = (self.base.as_ref()?, self.key.as_ref()?);
        Some(format!("{base}/approve?token={}", link.to_token(key)))
    }
}

/// The address of a workload's page, without its host.
pub fn page_of(workload: &WorkloadId) -> String {
    let WorkloadId {
        kind,
        namespace,
        name,
    } = workload;
    format!("/workload/{}/{namespace}/{name}", kind.in_lower_case())
}
