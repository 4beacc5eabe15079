//! The records of release notes: sixteen ConfigMaps of the updaters that share a lease, so that their names are known to who gives
//! the right to write them. The updater that leads is their only writer, and all read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::config_map::{RECORD_LABEL, yaml};
use crate::domain::cool_down::CoolDown;
use crate::domain::release_notes::book::Records;

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

impl NotesState {
    /// Takes in what another one remembers: no wait becomes shorter by it, and nothing that was spent is forgotten.
    pub fn take_in(&mut self, other: &Self) {
        for (host, cool_down) in &other.cool_downs {
            let kept = self
                .cool_downs
                .entry(host.clone())
                .or_insert_with(|| cool_down.clone());
            if kept.until < cool_down.until {
                kept.clone_from(cool_down);
            }
        }
        let spent = |state: &Self| state.tokens.map(|spent| (spent.day, spent.tokens));
        if spent(self) < spent(other) {
            self.tokens = other.tokens;
        }
    }

    /// How many of so many tokens a day are left on this day.
    pub fn tokens_left(&self, per_day: u64, day: Date) -> u64 {
        let spent = self.tokens.filter(|spent| spent.day == day);
        per_day.saturating_sub(spent.map_or(0, |spent| spent.tokens))
    }

    /// Notes that so many are spent, or set aside for what may cost as much.
    pub fn spend(&mut self, tokens: u64, day: Date) {
        let before = self.tokens.filter(|spent| spent.day == day);
        let tokens = before.map_or(0, |spent| spent.tokens).saturating_add(tokens);
        self.tokens = Some(TokensSpent { day, tokens });
    }

    /// Notes that of so many that were set aside on this day so many were spent.
    pub fn correct(&mut self, set_aside: u64, spent: u64, day: Date) {
        if let Some(noted) = self.tokens.as_mut().filter(|noted| noted.day == day) {
            noted.tokens = noted.tokens.saturating_sub(set_aside).saturating_add(spent);
        }
    }
}

/// One of the ConfigMaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shard {
    pub records: Arc<Records>,
    /// In the first one alone.
    pub state: NotesState,
    /// What stands there beside, and cannot be read.
    unread: BTreeSet<String>,
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
    /// One of these records alone.
    pub fn of(records: Records) -> Self {
        Self {
            records: Arc::new(records),
            ..Self::default()
        }
    }

    /// What stands there, readable or not.
    pub fn keys(&self) -> BTreeSet<String> {
        let keys = self.records.keys().chain(&self.unread).cloned();
        keys.chain([STATE.to_owned()]).collect()
    }

    /// The stored form. Where there is too much, texts become shorter, of what is not `wanted` first. Where that is not enough,
    /// what is not goes, and out of the shard, too; and what is only where there is nothing else.
    pub fn to_config_map(
        &mut self,
        (lease, shard): (&str, usize),
        namespace: &str,
        wanted: &BTreeSet<String>,
    ) -> ConfigMap {
        let records = self.records.iter();
        let mut data: BTreeMap<String, String> = records
            .map(|(key, record)| (key.clone(), yaml(record.as_ref())))
            .collect();
        self.fit(&mut data, wanted);
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

    /// Those that were offered least lately come first, each time.
    fn fit(&mut self, data: &mut BTreeMap<String, String>, wanted: &BTreeSet<String>) {
        let mut size: usize = data.iter().map(|(key, value)| key.len() + value.len()).sum();
        if size <= MOST {
            return;
        }
        let records = Arc::make_mut(&mut self.records);
        let order = records
            .iter()
            .map(|(key, record)| (wanted.contains(key), record.offered_at, key.clone()));
        let mut order: Vec<_> = order.collect();
        order.sort();
        for (.., key) in &order {
            let (Some(record), Some(text)) = (records.get_mut(key), data.get_mut(key)) else {
                continue;
            };
            if size > MOST {
                Arc::make_mut(record).shorten();
                size -= text.len();
                *text = yaml(record.as_ref());
                size += text.len();
            }
        }
        for (.., key) in &order {
            if size > MOST
                && let Some(text) = data.remove(key)
            {
                records.remove(key);
                size -= key.len() + text.len();
            }
        }
    }

    /// Reads the stored form. What cannot be read is as good as not there: it is fetched again.
    pub fn parse(config_map: &ConfigMap) -> Self {
        let Some(data) = config_map.data.as_ref() else {
            return Self::default();
        };
        let is_known = data.get("schema").map(String::as_str) == Some(SCHEMA);
        let mut shard = Self::default();
        let mut records = Records::new();
        for (key, value) in data {
            let record = (is_known && key.len() == 16).then(|| serde_saphyr::from_str(value).ok());
            match record.flatten() {
                Some(record) => {
                    records.insert(key.clone(), Arc::new(record));
                }
                None if ["schema", STATE].contains(&key.as_str()) => {}
                None => {
                    shard.unread.insert(key.clone());
                }
            }
        }
        let state = data.get(STATE).filter(|_| is_known);
        shard.state = state
            .and_then(|state| serde_saphyr::from_str(state).ok())
            .unwrap_or_default();
        shard.records = Arc::new(records);
        shard
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::release_notes::Release;
    use crate::domain::release_notes::book::{Answer, NotesRecord, Wanted};
    use crate::domain::release_notes::range::Range;
    use crate::domain::release_notes::source::{Forges, NotesSetting, find};

    fn record(to: &str, body: &str, offered: i64) -> (String, Arc<NotesRecord>) {
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
            has_start: true,
        };
        let source = wanted.found.sources[0].clone();
        let answer = Answer::Notes {
            source,
            range,
            etag: Some("\"abc\"".to_owned()),
            cut: None,
        };
        let now = jiff::Timestamp::from_second(1_790_000_000 + offered).unwrap();
        let record = NotesRecord::answered(&wanted, None, answer, now);
        (wanted.key(), Arc::new(record))
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
            state,
            ..Shard::of(Records::from([(key.clone(), record)]))
        };
        let stored = shard.to_config_map(("kubefresh-updater", 11), "kubefresh", &BTreeSet::new());
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
        let mut shard = Shard::of(Records::from(entries.clone()));
        let mut stored = shard.to_config_map(("l", 0), "n", &BTreeSet::new());
        let data = stored.data.as_mut().unwrap();
        data.insert(entries[0].0.clone(), "- [".to_owned());
        data.insert("state".to_owned(), "tokens: many".to_owned());
        let read = Shard::parse(&stored);
        assert_eq!(*read.records, Records::from([entries[1].clone()]));
        assert!(read.keys().contains(&entries[0].0), "it can be taken out");
        stored
            .data
            .as_mut()
            .unwrap()
            .insert("schema".to_owned(), "2".to_owned());
        let other = Shard::parse(&stored);
        assert_eq!(*other.records, Records::new());
        assert!(entries.iter().all(|(key, _)| other.keys().contains(key)));
    }

    #[test]
    fn it_never_outgrows_a_config_map_and_texts_go_before_what_is_wanted() {
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
        let (_, long) = record("1.5.0", &body, 0);
        let key = |number: i64| format!("{number:016x}");
        let of = |number: i64| {
            let offered_at = long.offered_at + jiff::SignedDuration::from_secs(number);
            let record = NotesRecord {
                offered_at,
                ..NotesRecord::clone(&long)
            };
            (key(number), Arc::new(record))
        };
        let size =
            |stored: &ConfigMap| -> usize { stored.data.iter().flatten().map(|(_, text)| text.len()).sum() };
        // Every third one is wanted.
        let wanted: BTreeSet<String> = (0..600).step_by(3).map(key).collect();
        let mut shard = Shard::of((0..70).map(of).collect());
        let stored = shard.to_config_map(("l", 0), "n", &wanted);
        assert!(size(&stored) < 900 << 10, "{}", size(&stored));
        let told = |number: i64| {
            let summary = shard.records.get(&key(number))?.summary.as_ref()?;
            Some(summary.security.len())
        };
        assert_eq!((told(1), told(0), told(68)), (Some(3), Some(20), Some(20)));
        assert!(
            shard
                .records
                .values()
                .all(|record| record.summary.as_ref().unwrap().signals.breaking.is_some())
        );

        let mut shard = Shard::of((0..600).map(of).collect());
        let stored = shard.to_config_map(("l", 0), "n", &wanted);
        assert!(size(&stored) < 900 << 10, "{}", size(&stored));
        let kept = |number: i64| shard.records.contains_key(&key(number));
        assert!(wanted.iter().all(|key| shard.records.contains_key(key)));
        assert!(
            (250..600).contains(&shard.records.len()) && !kept(1) && kept(599),
            "{}",
            shard.records.len()
        );

        // So many that there is no room for what is wanted alone.
        let wanted = (0..600).map(key).collect();
        let mut shard = Shard::of((0..600).map(of).collect());
        let stored = shard.to_config_map(("l", 0), "n", &wanted);
        assert!(size(&stored) < 900 << 10 && shard.records.contains_key(&key(599)));
    }

    #[test]
    fn what_another_one_remembers_shortens_no_wait_and_forgets_no_token() {
        let state = |until: &str, tokens: u64| {
            let cool_down = CoolDown::until(None, until.parse().unwrap(), String::new());
            NotesState {
                cool_downs: BTreeMap::from([("github.com".to_owned(), cool_down)]),
                tokens: Some(TokensSpent {
                    day: "2026-11-21".parse().unwrap(),
                    tokens,
                }),
            }
        };
        let (early, late) = (state("2026-11-21T10:00:00Z", 7), state("2026-11-21T11:00:00Z", 5));
        for (mut kept, other) in [(early.clone(), late.clone()), (late.clone(), early)] {
            kept.take_in(&other);
            assert_eq!(kept, state("2026-11-21T11:00:00Z", 7));
        }
        let mut nothing = NotesState::default();
        nothing.take_in(&late);
        assert_eq!(nothing, late);
    }

    #[test]
    fn tokens_are_counted_for_a_day() {
        let (first, second) = ("2026-11-21".parse().unwrap(), "2026-11-22".parse().unwrap());
        let mut state = NotesState::default();
        assert_eq!(state.tokens_left(100, first), 100);
        state.spend(30, first);
        state.spend(80, first);
        assert_eq!(
            (
                state.tokens_left(100, first),
                state.tokens_left(200, first),
                state.tokens_left(100, second)
            ),
            (0, 90, 100)
        );
        state.spend(1, second);
        assert_eq!(state.tokens_left(100, second), 99);
        // What was set aside is taken back, and on the day for which it was.
        state.spend(80, second);
        state.correct(80, 7, second);
        assert_eq!(state.tokens_left(100, second), 92);
        state.correct(80, 7, first);
        assert_eq!(state.tokens_left(100, second), 92);
        state.correct(80, 0, second);
        assert_eq!(state.tokens_left(100, second), 100);
    }

    #[test]
    fn each_key_has_a_shard_with_a_name() {
        assert_eq!((shard_of("0abc"), shard_of("fabc"), shard_of("")), (0, 15, 0));
        assert_eq!(name("kubefresh-updater", 15), "kubefresh-updater-notes-f");
    }
}
