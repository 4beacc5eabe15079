//! What people decide of a workload, who they are and how that is known, as it is kept on the workload.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::annotations::{APPROVED_BY, DECIDED_BY, LONGEST};
use super::text;
use super::time::whole_seconds;

/// How the names begin that Kubernetes keeps for itself.
const OF_KUBERNETES: &str = "system:";
/// How many entries of an annotation are kept at least, the latest, beside those that are still needed.
const LATEST: usize = 20;
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
            known_by: if name.starts_with(OF_KUBERNETES) {
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
            KnownBy::Proxy | KnownBy::Cluster => {
                let name = self.name.trim().to_lowercase();
                (!name.starts_with(OF_KUBERNETES)).then_some(name)
            }
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
    /// The container, where it was decided of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// On what it was decided, where that was an offer: [`offer`](super::approval_link::offer).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// When the link ends by which it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_until: Option<Timestamp>,
    /// What was agreed to counts no more: an update of the container has begun since, or somebody went back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spent: bool,
}

impl Entry {
    pub fn new(decision: Decision, by: &Decider, what: &str, now: Timestamp) -> Self {
        Self {
            decision,
            by: by.clone(),
            at: whole_seconds(now),
            what: text::cut(what, WHAT_LENGTH),
            container: None,
            offer: None,
            link_until: None,
            spent: false,
        }
    }

    /// Whose word it is, if it may be counted.
    fn counts_for(&self) -> Option<String> {
        let is_counted = self.decision == Decision::Approve && !self.spent;
        self.by.identity().filter(|_| is_counted)
    }
}

/// An entry as it stands there. One that cannot be read, of a newer version, say, costs no other, and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Read(Box<Entry>),
    Unread(Value),
}

impl Written {
    fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Read(entry) => Some(entry),
            Self::Unread(_) => None,
        }
    }
}

/// What was decided in one annotation, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries(Vec<Written>);

/// What was decided of a workload: approvals, and everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    approvals: Entries,
    others: Entries,
}

/// Why a decision cannot be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("annotation {key} is not one of ours ({reason}); remove it")]
    Edited { key: &'static str, reason: String },
    #[error(
        "annotation {key} is full of approvals that still count and of links that were used, which have to be remembered until \
         they expire"
    )]
    Full { key: &'static str },
}

impl Entries {
    /// Reads what was written before.
    fn read(annotations: &BTreeMap<String, String>, key: &'static str) -> Result<Self, JournalError> {
        let read = annotations.get(key).map(|value| serde_json::from_str(value));
        let edited = |error: serde_json::Error| JournalError::Edited {
            key,
            reason: error.to_string(),
        };
        Ok(Self(read.transpose().map_err(edited)?.unwrap_or_default()))
    }

    /// Who agreed to something, and when.
    pub fn approvals(annotations: &BTreeMap<String, String>) -> Result<Self, JournalError> {
        Self::read(annotations, APPROVED_BY)
    }

    /// Those that can be read.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter_map(Written::entry)
    }

    /// How many cannot be read.
    pub fn unread(&self) -> usize {
        self.0.len() - self.iter().count()
    }

    /// As an annotation: the latest, and what is still needed. `None` where these do not fit.
    fn kept(self, now: Timestamp) -> Option<String> {
        let old = self.0.len().saturating_sub(LATEST);
        let needed = self.needed(now).into_iter();
        let all = needed.zip(self.0).enumerate();
        let mut all: Vec<(bool, Written)> = all
            .filter_map(|(index, (is_needed, entry))| {
                (index >= old || is_needed).then_some((is_needed, entry))
            })
            .collect();
        loop {
            let entries: Vec<&Written> = all.iter().map(|(_, entry)| entry).collect();
            let value = serde_json::json!(entries).to_string();
            if value.len() <= LONGEST {
                return Some(value);
            }
            // The last one is what is to be written.
            let before = all.split_last()?.1;
            let oldest = before.iter().position(|(is_needed, _)| !is_needed)?;
            all.remove(oldest);
        }
    }

    /// Which are needed however many come after them: links that were used, for as long as they would be good, and the words
    /// that may be counted still, each person's last on what a container was offered last.
    fn needed(&self, now: Timestamp) -> Vec<bool> {
        let mut counted: BTreeMap<&Option<String>, (&Option<String>, BTreeSet<String>)> = BTreeMap::new();
        let mut needed: Vec<bool> = self
            .0
            .iter()
            .rev()
            .map(|written| {
                let Some(entry) = written.entry() else {
                    return false;
                };
                let is_counted = entry.counts_for().is_some_and(|person| {
                    let (offer, people) = counted
                        .entry(&entry.container)
                        .or_insert_with(|| (&entry.offer, BTreeSet::new()));
                    *offer == &entry.offer && people.insert(person)
                });
                is_counted || entry.link_until.is_some_and(|until| now < until)
            })
            .collect();
        needed.reverse();
        needed
    }
}

/// The annotation of approvals, as it is once those for these containers count no more. `None` where that changes nothing.
pub fn spend<'a>(
    annotations: &BTreeMap<String, String>,
    containers: impl IntoIterator<Item = &'a str>,
) -> Option<(String, Option<String>)> {
    let containers: BTreeSet<&str> = containers.into_iter().collect();
    // What cannot be read counts for nothing.
    let mut approvals = Entries::approvals(annotations).ok()?;
    let mut changed = false;
    for written in &mut approvals.0 {
        if let Written::Read(entry) = written
            && !entry.spent
            && let Some(container) = &entry.container
            && containers.contains(container.as_str())
        {
            (entry.spent, changed) = (true, true);
        }
    }
    let value = changed.then(|| serde_json::json!(approvals.0).to_string())?;
    Some((APPROVED_BY.to_owned(), Some(value)))
}

impl Journal {
    /// Reads what was written before.
    pub fn read(annotations: &BTreeMap<String, String>) -> Result<Self, JournalError> {
        Ok(Self {
            approvals: Entries::approvals(annotations)?,
            others: Entries::read(annotations, DECIDED_BY)?,
        })
    }

    /// What a link to this offer, which ends then, was used for.
    pub fn used(&self, offer: &str, until: Timestamp) -> impl Iterator<Item = &Entry> {
        let all = self.approvals.iter().chain(self.others.iter());
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
        let entries = entries.into_iter().map(|entry| Written::Read(Box::new(entry)));
        all.0.extend(entries);
        let value = all.kept(now).ok_or(JournalError::Full { key })?;
        Ok(BTreeMap::from([(key.to_owned(), value)]))
    }
}

#[cfg(test)]
mod tests;
