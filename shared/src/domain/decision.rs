//! What people decide of a workload, who they are and how that is known, as it is kept on the workload.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::annotations::{APPROVED_BY, DECIDED_BY};
use super::text;
use super::time::whole_seconds;

/// How many entries of an annotation are kept at least, the latest.
const LATEST: usize = 20;
/// How long an annotation may become, in bytes: all of an object together have 256 KiB.
const LONGEST: usize = 32 * 1024;
/// How much of what was decided is kept, in bytes.
const WHAT_LENGTH: usize = 400;

/// What somebody decides.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Decision {
    /// To have an update that waits.
    Approve,
    /// Never to be offered a version: it is skipped.
    Hold,
    /// To let versions go that are held.
    Release,
    /// To undo the last update.
    Undo,
    /// To have the registries asked at once.
    CheckNow,
    /// To leave everything as it is.
    NotNow,
}

/// How it is known who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// A proxy that is trusted names them.
    Proxy,
    /// The API server knows them by their credentials.
    Cluster,
    /// They have the token of the installation. The name is what they call themselves.
    Token,
    /// They have a link, and nobody says who they are.
    Link,
    /// Nobody knows: an account that is no person's, or an API server that does not say.
    Nothing,
}

/// Somebody who decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decider {
    #[serde(rename = "by")]
    pub name: String,
    pub known_by: KnownBy,
}

impl Decider {
    /// Whoever has a link, and has not signed in.
    pub fn by_link() -> Self {
        Self {
            name: "whoever has the link".to_owned(),
            known_by: KnownBy::Link,
        }
    }

    /// Whom the API server knows by this name. The names that Kubernetes keeps for itself are those of programs, or of whoever
    /// has an administrator's file, and say of no person who they are.
    pub fn in_cluster(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            known_by: if name.starts_with("system:") {
                KnownBy::Nothing
            } else {
                KnownBy::Cluster
            },
        }
    }

    /// Somebody of whom not even a name is known.
    pub fn nobody_knows() -> Self {
        Self {
            name: "whoever ran the command".to_owned(),
            known_by: KnownBy::Nothing,
        }
    }

    /// The same for one person, by whichever way they come, as far as they have one name there. `None` for whoever cannot be told
    /// from others: they may be anybody, also somebody who is known already.
    pub fn identity(&self) -> Option<String> {
        match self.known_by {
            KnownBy::Proxy | KnownBy::Cluster => Some(self.name.trim().to_lowercase()),
            KnownBy::Token | KnownBy::Link | KnownBy::Nothing => None,
        }
    }
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.known_by {
            KnownBy::Proxy => f.write_str(" (named by the proxy)"),
            KnownBy::Cluster => f.write_str(" (known to the cluster)"),
            KnownBy::Token => f.write_str(" (who has the token)"),
            KnownBy::Link | KnownBy::Nothing => Ok(()),
        }
    }
}

/// One decision, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub decision: Decision,
    #[serde(flatten)]
    pub by: Decider,
    pub at: Timestamp,
    /// In words.
    pub what: String,
    /// On what it was decided, where that was an offer: [`offer`](super::approval_link::offer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// When the link ends by which it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_until: Option<Timestamp>,
}

impl Entry {
    pub fn new(decision: Decision, by: &Decider, what: &str, now: Timestamp) -> Self {
        Self {
            decision,
            by: by.clone(),
            at: whole_seconds(now),
            what: text::cut(what, WHAT_LENGTH),
            offer: None,
            link_until: None,
        }
    }
}

/// What was decided of a workload: approvals, and everything else. The oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    approvals: Vec<Entry>,
    others: Vec<Entry>,
}

/// Why a decision cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("annotation {key} is not one of ours ({reason}); remove it")]
    Edited { key: &'static str, reason: String },
    #[error(
        "annotation {key} is full of links that were used, which have to be remembered until they expire"
    )]
    Full { key: &'static str },
}

impl Journal {
    /// Reads what was written before.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Self, JournalError> {
        let read = |key: &'static str| -> Result<Vec<Entry>, JournalError> {
            let read = annotations.get(key).map(|value| serde_json::from_str(value));
            let edited = |error: serde_json::Error| JournalError::Edited {
                key,
                reason: error.to_string(),
            };
            Ok(read.transpose().map_err(edited)?.unwrap_or_default())
        };
        Ok(Self {
            approvals: read(APPROVED_BY)?,
            others: read(DECIDED_BY)?,
        })
    }

    /// Who agreed to something, and when.
    pub fn approvals(&self) -> &[Entry] {
        &self.approvals
    }

    /// What a link to this offer, which ends then, was used for.
    pub fn used(&self, offer: &str, until: Timestamp) -> impl Iterator<Item = &Entry> {
        let all = self.approvals.iter().chain(&self.others);
        all.filter(move |entry| entry.offer.as_deref() == Some(offer) && entry.link_until == Some(until))
    }

    /// The annotations that are to be written for these decisions, of one and the same kind.
    pub fn with(
        &self,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<BTreeMap<String, String>, JournalError> {
        let approvals = entries.iter().all(|entry| entry.decision == Decision::Approve);
        let (key, before) = if approvals {
            (APPROVED_BY, &self.approvals)
        } else {
            (DECIDED_BY, &self.others)
        };
        let mut all = before.clone();
        all.extend(entries);
        let value = kept(all, now).ok_or(JournalError::Full { key })?;
        Ok(BTreeMap::from([(key.to_owned(), value)]))
    }
}

/// As an annotation: the latest, and links that were used for as long as they would be good. `None` where these do not fit.
fn kept(mut all: Vec<Entry>, now: Timestamp) -> Option<String> {
    let is_needed = |entry: &Entry| entry.link_until.is_some_and(|until| now < until);
    let old = all.len().saturating_sub(LATEST);
    let mut index = 0;
    all.retain(|entry| {
        index += 1;
        index > old || is_needed(entry)
    });
    loop {
        let value = serde_json::json!(all).to_string();
        if value.len() <= LONGEST {
            return Some(value);
        }
        // The last one is what is to be written.
        let before = all.split_last()?.1;
        let oldest = before.iter().position(|entry| !is_needed(entry))?;
        all.remove(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T03:00:00Z".parse().unwrap()
    }

    fn entry(number: usize) -> Entry {
        let alice = Decider {
            name: "alice".to_owned(),
            known_by: KnownBy::Proxy,
        };
        Entry {
            offer: Some(number.to_string()),
            ..Entry::new(Decision::NotNow, &alice, "a:1 -> a:2", now())
        }
    }

    fn by_link(number: usize, until: &str) -> Entry {
        Entry {
            link_until: Some(until.parse().unwrap()),
            ..entry(number)
        }
    }

    fn written(entries: impl Iterator<Item = Entry>) -> BTreeMap<String, String> {
        let mut annotations = BTreeMap::new();
        for entry in entries {
            let journal = Journal::read(&annotations).unwrap();
            annotations.extend(journal.with(vec![entry], now()).unwrap());
        }
        annotations
    }

    #[test]
    fn a_link_that_was_used_is_remembered_until_it_ends_and_the_others_by_their_number() {
        let (later, before) = ("2026-11-22T03:00:00Z", "2026-11-20T03:00:00Z");
        let first = [by_link(0, later), by_link(1, before), entry(2)];
        let annotations = written(first.into_iter().chain((3..3 + LATEST).map(entry)));
        let journal = Journal::read(&annotations).unwrap();
        assert_eq!(journal.others.len(), LATEST + 1);
        let used = |offer, until: &str| journal.used(offer, until.parse().unwrap()).count();
        assert_eq!(
            (used("0", later), used("0", before), used("1", before)),
            (1, 0, 0)
        );
        assert_eq!(journal.others[1].offer.as_deref(), Some("3"));
    }

    #[test]
    fn it_stays_bounded_and_forgets_no_link_for_that() {
        let long = |entry: Entry| Entry {
            what: "x".repeat(WHAT_LENGTH),
            offer: Some("y".repeat(3000)),
            ..entry
        };
        let annotations = written((0..30).map(|number| long(entry(number))));
        assert!(annotations[DECIDED_BY].len() <= LONGEST);
        let later = "2026-11-22T03:00:00Z";
        let mut journal = Journal::default();
        let mut written = 0;
        let full = loop {
            match journal.with(vec![long(by_link(written, later))], now()) {
                Ok(annotations) => journal = Journal::read(&annotations).unwrap(),
                Err(full) => break full,
            }
            written += 1;
            assert_eq!(journal.others.len(), written, "no link is forgotten");
        };
        assert_eq!(full, JournalError::Full { key: DECIDED_BY });
        assert!(written > 5, "{written}");
    }

    #[test]
    fn what_somebody_edited_is_an_error_and_nothing_is_none() {
        for key in [APPROVED_BY, DECIDED_BY] {
            let annotations = BTreeMap::from([(key.to_owned(), "me".to_owned())]);
            assert!(Journal::read(&annotations).unwrap_err().to_string().contains(key));
        }
        assert_eq!(Journal::read(&BTreeMap::new()), Ok(Journal::default()));
    }

    #[test]
    fn who_cannot_be_told_from_others_has_no_identity() {
        let decider = |name: &str, known_by| Decider {
            name: name.to_owned(),
            known_by,
        };
        for (decider, expected) in [
            (decider("Alice", KnownBy::Proxy), Some("alice")),
            (Decider::in_cluster("alice"), Some("alice")),
            (
                Decider::in_cluster("system:serviceaccount:kubefresh:kubefresh-updater"),
                None,
            ),
            (Decider::in_cluster("system:admin"), None),
            (Decider::in_cluster("system:anonymous"), None),
            (decider("alice", KnownBy::Token), None),
            (Decider::by_link(), None),
            (Decider::nobody_knows(), None),
        ] {
            assert_eq!(decider.identity().as_deref(), expected, "{decider}");
        }
    }
}
