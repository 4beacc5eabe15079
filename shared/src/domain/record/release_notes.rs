//! The records of release notes: sixteen ConfigMaps of the updaters that share a lease, so that their names are known to who gives
//! the right to write them. The updater that leads is their only writer, and all read them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::config_map::{RECORD_LABEL, yaml};
use crate::domain::cool_down::CoolDown;
use crate::domain::release_notes::book::NotesRecord;

/// The value of [`RECORD_LABEL`].
pub const NOTES: &str = "release-notes";

const SCHEMA: &str = "1";
/// How many of these records there are.
pub const SHARDS: usize = 16;
/// How much of one is filled, in bytes; a ConfigMap may have 1 MiB.
const MOST: usize = 850 << 10;
/// How many servers are remembered.
const MOST_SERVERS: usize = 100;
/// What is no key of a record, and stands in the first shard.
const STATE: &str = "state";

/// What has to be remembered beside the notes themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotesState {
    /// Servers that asked to be left alone, by host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cool_downs: BTreeMap<String, CoolDown>,
    /// What was spent on summaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokensSpent>,
}

/// The tokens that a language model was sent and that it answered with, on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokensSpent {
    /// In UTC.
    pub day: Date,
    pub tokens: u64,
}

/// One of the ConfigMaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shard {
    /// By key.
    pub records: BTreeMap<String, NotesRecord>,
    /// In the first one alone.
    pub state: NotesState,
}

/// The name of the ConfigMap of a shard.
pub fn name(lease: &str, shard: usize) -> String {
    format!("{lease}-notes-{shard:x}")
}

/// The shard in which a key stands: its first digit.
pub fn shard_of(key: &str) -> usize {
    let first = key.chars().next().and_then(|digit| digit.to_digit(16));
    first.map_or(0, |digit| digit as usize % SHARDS)
}

impl Shard {
    /// The stored form. Where there is too much, what was offered least lately is left out, and out of the shard.
    pub fn to_config_map(&mut self, lease: &str, shard: usize, namespace: &str) -> ConfigMap {
        let mut data: BTreeMap<String, String> = self
            .records
            .iter()
            .map(|(key, record)| (key.clone(), yaml(record)))
            .collect();
        while data
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>()
            > MOST
        {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.offered_at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.records.remove(&oldest);
            data.remove(&oldest);
        }
        data.insert("schema".to_owned(), SCHEMA.to_owned());
        while self.state.cool_downs.len() > MOST_SERVERS {
            self.state.cool_downs.pop_first();
        }
        if self.state != NotesState::default() {
            data.insert(STATE.to_owned(), yaml(&self.state));
        }
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(name(lease, shard)),
                namespace: Some(namespace.to_owned()),
                labels: Some(BTreeMap::from([(RECORD_LABEL.to_owned(), NOTES.to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        }
    }

    /// Reads the stored form. What cannot be read is as good as not there: it is fetched again.
    pub fn parse(config_map: &ConfigMap) -> Self {
        let Some(data) = config_map.data.as_ref() else {
            return Self::default();
        };
        if data.get("schema").map(String::as_str) != Some(SCHEMA) {
            return Self::default();
        }
        let entries = data.iter().filter(|(key, _)| key.len() == 16);
        let records =
            entries.filter_map(|(key, value)| Some((key.clone(), serde_saphyr::from_str(value).ok()?)));
        let state = data
            .get(STATE)
            .and_then(|state| serde_saphyr::from_str(state).ok());
        Self {
            records: records.collect(),
            state: state.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::release_notes::Release;
    use crate::domain::release_notes::book::{Answer, Wanted};
    use crate::domain::release_notes::range::Range;
    use crate::domain::release_notes::source::{Forges, NotesSetting, find};

    fn record(to: &str, body: &str, offered: i64) -> (String, NotesRecord) {
        let image = "ghcr.io/example/shop".parse().unwrap();
        let found = find(&NotesSetting::Auto, None, &image, &Forges::default()).unwrap();
        let wanted = Wanted {
            image,
            from: "1.4.0".parse().unwrap(),
            to: to.parse().unwrap(),
            found,
        };
        let release = Release {
            tag: format!("v{to}"),
            body: body.to_owned(),
            ..Release::default()
        };
        let range = Range {
            releases: vec![release],
            left_out: 0,
            has_target: true,
        };
        let source = wanted.found.sources[0].clone();
        let answer = Answer::Notes {
            source,
            range,
            etag: Some("\"abc\"".to_owned()),
        };
        let now = jiff::Timestamp::from_second(1_790_000_000 + offered).unwrap();
        (wanted.key(), NotesRecord::answered(&wanted, None, answer, now))
    }

    #[test]
    fn it_is_legible_and_is_read_back() {
        let (key, record) = record("1.5.0", "## Added\n- baskets: \"new\"\n- fix CVE-2026-1\n", 0);
        let cool_down = CoolDown::after_refusal(
            None,
            None,
            Duration::from_mins(15),
            "slow down".to_owned(),
            record.offered_at,
        );
        let state = NotesState {
            cool_downs: BTreeMap::from([("github.com".to_owned(), cool_down)]),
            tokens: Some(TokensSpent {
                day: "2026-11-21".parse().unwrap(),
                tokens: 7,
            }),
        };
        let mut shard = Shard {
            records: BTreeMap::from([(key.clone(), record)]),
            state,
        };
        let stored = shard.to_config_map("kubefresh-updater", 11, "kubefresh");
        assert_eq!(stored.metadata.name.as_deref(), Some("kubefresh-updater-notes-b"));
        let written = &stored.data.as_ref().unwrap()[&key];
        for line in [
            "image: ghcr.io/example/shop",
            "from: \"1.4.0\"",
            "foundBy: image-name",
            "- text: fix CVE-2026-1",
            "hasTarget: true",
        ] {
            assert!(written.contains(line), "{line} is not in\n{written}");
        }
        assert_eq!(Shard::parse(&stored), shard);
        assert_eq!(Shard::parse(&ConfigMap::default()), Shard::default());
    }

    #[test]
    fn an_entry_that_cannot_be_read_costs_no_other() {
        let entries = [record("1.5.0", "- a", 0), record("1.6.0", "- b", 0)];
        let mut shard = Shard {
            records: BTreeMap::from(entries.clone()),
            ..Shard::default()
        };
        let mut stored = shard.to_config_map("l", 0, "n");
        let data = stored.data.as_mut().unwrap();
        data.insert(entries[0].0.clone(), "- [".to_owned());
        data.insert("state".to_owned(), "tokens: many".to_owned());
        let read = Shard::parse(&stored);
        assert_eq!(read.records, BTreeMap::from([entries[1].clone()]));
        stored
            .data
            .as_mut()
            .unwrap()
            .insert("schema".to_owned(), "2".to_owned());
        assert_eq!(Shard::parse(&stored), Shard::default());
    }

    #[test]
    fn it_never_outgrows_a_config_map_and_the_oldest_go_first() {
        let body: String = (0..100)
            .map(|line| {
                format!(
                    "- CVE-2026-{line} {}\n- BREAKING {line} {}\n",
                    "x".repeat(400),
                    "y".repeat(400)
                )
            })
            .collect::<Vec<_>>()
            .concat();
        let records = (0..200).map(|number| record(&format!("1.5.{number}"), &body, number));
        let mut shard = Shard {
            records: records.collect(),
            ..Shard::default()
        };
        let stored = shard.to_config_map("l", 0, "n");
        let size: usize = stored.data.unwrap().values().map(String::len).sum();
        assert!(size < 900 << 10, "{size}");
        let left = shard.records.len();
        assert!((10..200).contains(&left), "{left}");
        let newest: Vec<bool> = (0..200)
            .map(|number| {
                shard
                    .records
                    .contains_key(&record(&format!("1.5.{number}"), "", 0).0)
            })
            .collect();
        let gone = 200 - left;
        assert!(newest[gone..].iter().all(|kept| *kept) && !newest[..gone].iter().any(|kept| *kept));
    }

    #[test]
    fn each_key_has_a_shard_with_a_name() {
        assert_eq!((shard_of("0abc"), shard_of("fabc"), shard_of("")), (0, 15, 0));
        assert_eq!(name("kubefresh-updater", 15), "kubefresh-updater-notes-f");
    }
}
