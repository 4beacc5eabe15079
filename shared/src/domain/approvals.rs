//! Who agreed to what, as it is kept on the workload.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::annotations::APPROVED_BY;

/// How many are kept, the latest.
const MOST: usize = 10;

/// One person, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub at: Timestamp,
    pub container: String,
    pub from: String,
    pub to: String,
    /// What was agreed to: [`offer`](super::approval_link::offer). It is agreed to by a link once.
    pub offer: String,
}

/// The latest of a workload, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals(Vec<Approval>);

impl Approvals {
    /// The error says why they cannot be read: somebody edited them.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Self, String> {
        let value = annotations.get(APPROVED_BY);
        let read = value.map(|value| serde_json::from_str(value)).transpose();
        let approvals: Option<Self> = read
            .map_err(|error| format!("annotation {APPROVED_BY} is not one of ours ({error}); remove it"))?;
        Ok(approvals.unwrap_or_default())
    }

    /// Whether somebody agreed to this before.
    pub fn of(&self, offer: &str) -> Option<&Approval> {
        self.0.iter().rev().find(|approval| approval.offer == offer)
    }

    /// With one more; the oldest go.
    #[must_use]
    pub fn with(mut self, approval: Approval) -> Self {
        self.0.push(approval);
        let surplus = self.0.len().saturating_sub(MOST);
        self.0.drain(..surplus);
        self
    }

    /// The annotation's value.
    pub fn to_annotation(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(number: usize) -> Approval {
        Approval {
            by: "alice".to_owned(),
            at: "2026-11-21T03:00:00Z".parse().unwrap(),
            container: "app".to_owned(),
            from: "a:1".to_owned(),
            to: "a:2".to_owned(),
            offer: number.to_string(),
        }
    }

    #[test]
    fn the_latest_are_kept_and_known_again() {
        let all = (0..15).fold(Approvals::default(), |all, number| all.with(approval(number)));
        let annotations = BTreeMap::from([(APPROVED_BY.to_owned(), all.to_annotation())]);
        let read = Approvals::read(&annotations).unwrap();
        assert_eq!(read, all);
        assert_eq!(read.of("14"), Some(&approval(14)));
        assert_eq!((read.of("4"), read.0.len()), (None, MOST));
    }

    #[test]
    fn what_somebody_edited_is_an_error_and_nothing_is_none() {
        let annotations = BTreeMap::from([(APPROVED_BY.to_owned(), "me".to_owned())]);
        assert!(Approvals::read(&annotations).unwrap_err().contains(APPROVED_BY));
        assert_eq!(Approvals::read(&BTreeMap::new()), Ok(Approvals::default()));
    }
}
