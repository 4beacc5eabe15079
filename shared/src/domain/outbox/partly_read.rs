//! What an older version reads of what a newer one stored, after a rollback or while one of each runs: all but what it does not know.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Channel, Outbox, Rollout, Waiting};

/// The stored form, of which each message is read by itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartlyRead {
    #[serde(default)]
    waiting: Vec<Entry<Waiting>>,
    #[serde(default)]
    settled: BTreeMap<String, BTreeMap<String, Timestamp>>,
    #[serde(default)]
    rollouts: Vec<Entry<Rollout>>,
    #[serde(default)]
    paused: BTreeMap<String, Timestamp>,
    #[serde(default)]
    detected: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry<T> {
    Read(Box<T>),
    Unread(IgnoredAny),
}

impl<T> Entry<T> {
    fn read(self) -> Option<T> {
        match self {
            Self::Read(entry) => Some(*entry),
            Self::Unread(IgnoredAny) => None,
        }
    }
}

impl From<PartlyRead> for Outbox {
    fn from(stored: PartlyRead) -> Self {
        let all = stored.waiting.len();
        let waiting: Vec<Waiting> = stored.waiting.into_iter().filter_map(Entry::read).collect();
        Self {
            unread: all - waiting.len(),
            waiting,
            rollouts: stored.rollouts.into_iter().filter_map(Entry::read).collect(),
            settled: of_known_channels(stored.settled),
            paused: of_known_channels(stored.paused),
            detected: stored.detected,
            changed: false,
        }
    }
}

fn of_known_channels<T>(by_name: BTreeMap<String, T>) -> BTreeMap<Channel, T> {
    let by_name = by_name.into_iter();
    by_name
        .filter_map(|(name, value)| Some((name.parse().ok()?, value)))
        .collect()
}
