//! Links by which whoever has one may agree to one update: of one workload, one container, from this image to that.
//!
//! A link says nothing of its own and can do nothing else. It is good until it expires, and as long as exactly that update is
//! offered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::plan::{ContainerVerdict, Target};
use super::signed::SigningKey;
use super::time::whole_seconds;
use super::workload::WorkloadId;

const PURPOSE: &str = "approval link";

/// A link, as it was given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalLink {
    pub workload: WorkloadId,
    pub container: String,
    pub expires: Timestamp,
    /// What is agreed to: [`offer`].
    offer: String,
}

/// Why a link is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("it was not made by this installation, or not with its present key")]
    Forged,
    #[error("it was good until {at}")]
    Expired { at: Timestamp },
}

impl ApprovalLink {
    /// To what a container of the workload with this uid is offered.
    pub fn new(
        workload: &WorkloadId,
        uid: &str,
        entry: &ContainerVerdict,
        target: &Target,
        expires: Timestamp,
    ) -> Self {
        Self {
            workload: workload.clone(),
            container: entry.container.clone(),
            expires: whole_seconds(expires),
            offer: offer(uid, entry, target),
        }
    }

    /// What it agrees to, as it is written down.
    pub fn offer(&self) -> &str {
        &self.offer
    }

    /// As it stands in an address.
    pub fn to_token(&self, key: &SigningKey) -> String {
        key.sign(PURPOSE, &serde_json::json!(self).to_string())
    }

    /// Reads what somebody brings at `now`.
    pub fn read(token: &str, key: &SigningKey, now: Timestamp) -> Result<Self, LinkError> {
        let words = key.open(PURPOSE, token).ok_or(LinkError::Forged)?;
        let link: Self = serde_json::from_str(&words).map_err(|_| LinkError::Forged)?;
        if now >= link.expires {
            return Err(LinkError::Expired { at: link.expires });
        }
        Ok(link)
    }

    /// Whether this is what it agrees to.
    pub fn is_to(&self, uid: &str, entry: &ContainerVerdict, target: &Target) -> bool {
        self.container == entry.container && self.offer == offer(uid, entry, target)
    }
}

/// What a container is offered, so exactly that nothing else has the same name: of this very workload, from its image as it
/// is written to the one that would be written, and what that points at.
pub fn offer(uid: &str, entry: &ContainerVerdict, target: &Target) -> String {
    offer_of(uid, &entry.container, &entry.image, target)
}

/// The same, of the container of this name with this image.
pub(super) fn offer_of(uid: &str, container: &str, image: &str, target: &Target) -> String {
    let digest = target.digest.as_ref().map(ToString::to_string);
    let parts = [
        uid,
        container,
        image,
        &target.image,
        digest.as_deref().unwrap_or_default(),
    ];
    hashed(&parts)
}

/// The same for the same parts, and another for any others.
pub(super) fn hashed(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::annotations::Mode;
    use crate::domain::plan::Verdict;
    use crate::domain::workload::WorkloadKind;

    fn target(image: &str, digest: Option<char>) -> Target {
        Target {
            tag: "1.5.0".parse().unwrap(),
            digest: digest.map(|fill| format!("sha256:{}", fill.to_string().repeat(64)).parse().unwrap()),
            image: image.to_owned(),
            superseded_at: None,
            ran: None,
            kept_by: None,
            terms: None,
        }
    }

    fn entry(container: &str, image: &str) -> ContainerVerdict {
        ContainerVerdict {
            container: container.to_owned(),
            image: image.to_owned(),
            mode: Mode::Approve,
            verdict: Verdict::InFlight,
        }
    }

    fn link() -> ApprovalLink {
        let workload = WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: "shop".to_owned(),
            name: "checkout".to_owned(),
        };
        let expires = "2026-11-24T03:00:00Z".parse().unwrap();
        ApprovalLink::new(
            &workload,
            "1234",
            &entry("app", "a:1"),
            &target("a:2", Some('a')),
            expires,
        )
    }

    #[test]
    fn a_link_is_good_until_it_expires_and_by_its_own_key() {
        let key = SigningKey::new(&[7; 32]).unwrap();
        let token = link().to_token(&key);
        let at = |time: &str| ApprovalLink::read(&token, &key, time.parse().unwrap());
        assert_eq!(at("2026-11-24T02:59:59Z"), Ok(link()));
        let expires = link().expires;
        assert_eq!(
            at("2026-11-24T03:00:00Z"),
            Err(LinkError::Expired { at: expires })
        );
        let other = SigningKey::new(&[8; 32]).unwrap();
        let now = "2026-11-22T03:00:00Z".parse().unwrap();
        assert_eq!(ApprovalLink::read(&token, &other, now), Err(LinkError::Forged));
        let session = key.sign("session", &serde_json::json!(link()).to_string());
        assert_eq!(ApprovalLink::read(&session, &key, now), Err(LinkError::Forged));
        assert_eq!(ApprovalLink::read("", &key, now), Err(LinkError::Forged));
    }

    #[test]
    fn it_agrees_to_exactly_one_update_and_to_nothing_that_differs_from_it_in_anything() {
        let link = link();
        let app = entry("app", "a:1");
        let new = target("a:2", Some('a'));
        assert!(link.is_to("1234", &app, &new));
        assert!(!link.is_to("1235", &app, &new));
        assert!(!link.is_to("1234", &entry("side", "a:1"), &new));
        assert!(!link.is_to("1234", &entry("app", "a:1.1"), &new));
        assert!(!link.is_to("1234", &app, &target("a:3", Some('a'))));
        assert!(!link.is_to("1234", &app, &target("a:2", Some('b'))));
        assert!(!link.is_to("1234", &app, &target("a:2", None)));
    }
}
