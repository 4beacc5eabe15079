//! The record of the scanner's last run: what came of it, for people and for metrics.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};

use super::single::{SingleRecord, SingleRecordError};
use crate::domain::shard::Shard;

/// The value of [`RECORD_LABEL`](super::config_map::RECORD_LABEL) and the name of the ConfigMap.
pub const LAST_RUN: &str = "last-run";

const RECORD: SingleRecord = SingleRecord {
    kind: LAST_RUN,
    key: "run",
};

/// The most registries that are named; each takes some hundred bytes.
const MOST: usize = 200;

/// What came of one run. Repositories are counted once each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunRecord {
    pub started_at: Timestamp,
    pub duration_milliseconds: u64,
    /// Whose run it was, where several scanners divide the repositories among themselves.
    #[serde(skip_serializing_if = "Shard::is_all")]
    pub shard: Shard,
    /// Workloads that are scanned for.
    pub workloads: usize,
    /// Repositories that those use.
    pub repositories: usize,
    /// Repositories whose scan was complete.
    pub complete: usize,
    /// Repositories whose error was recorded, by class.
    pub failed: BTreeMap<String, usize>,
    /// Repositories whose schedules ask for nothing in this run.
    pub not_due: usize,
    /// Repositories left for a later run because their registry wants to be left alone.
    pub left_alone: usize,
    /// Repositories left for a later run because the time was up.
    pub out_of_time: usize,
    /// Repositories whose record could not be written.
    pub unwritten: usize,
    /// Records that were written because something changed.
    pub written: usize,
    /// Workloads that are not scanned for because their settings or images cannot be read.
    pub stopped: usize,
    /// What each registry was asked.
    pub registries: BTreeMap<String, RegistryUse>,
}

/// What one registry was asked in a run, and what it has left for us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegistryUse {
    /// Requests by what they are for, repetitions included.
    pub requests: BTreeMap<String, u64>,
    /// Repetitions after a 5xx answer or a broken connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated: Option<u64>,
    /// Counted pulls that the scanner may still spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pulls_left: Option<u32>,
    /// It wants to be left alone until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_alone_until: Option<Timestamp>,
}

impl RegistryUse {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.requests.values().sum()
    }

    fn and(mut self, other: Self) -> Self {
        let Self {
            requests,
            repeated,
            pulls_left,
            left_alone_until,
        } = other;
        for (kind, count) in requests {
            *self.requests.entry(kind).or_default() += count;
        }
        self.repeated = self
            .repeated
            .into_iter()
            .chain(repeated)
            .reduce(std::ops::Add::add);
        self.pulls_left = self.pulls_left.into_iter().chain(pulls_left).min();
        self.left_alone_until = self.left_alone_until.max(left_alone_until);
        self
    }
}

impl RunRecord {
    /// What came of the last run of all scanners together; `None` where nobody has written anything down. A scanner that is not
    /// one of as many as there are now is left out. It began with the first of them, and took as long as the longest.
    pub fn together(runs: Vec<Self>) -> Option<Self> {
        let first = runs.iter().find(|run| run.shard.index == 0)?;
        let of = first.shard.of;
        runs.into_iter()
            .filter(|run| run.shard.of == of)
            .reduce(Self::and)
    }

    fn and(mut self, other: Self) -> Self {
        let Self {
            started_at,
            duration_milliseconds,
            shard: _,
            workloads,
            repositories,
            complete,
            failed,
            not_due,
            left_alone,
            out_of_time,
            unwritten,
            written,
            stopped,
            registries,
        } = other;
        self.started_at = self.started_at.min(started_at);
        self.duration_milliseconds = self.duration_milliseconds.max(duration_milliseconds);
        // Every scanner reads all workloads.
        self.workloads = self.workloads.max(workloads);
        self.stopped = self.stopped.max(stopped);
        self.repositories += repositories;
        self.complete += complete;
        self.not_due += not_due;
        self.left_alone += left_alone;
        self.out_of_time += out_of_time;
        self.unwritten += unwritten;
        self.written += written;
        for (class, count) in failed {
            *self.failed.entry(class).or_default() += count;
        }
        for (name, registry) in registries {
            let known = self.registries.entry(name).or_default();
            *known = std::mem::take(known).and(registry);
        }
        self
    }

    /// All requests to registries.
    pub fn requests(&self) -> u64 {
        self.registries.values().map(RegistryUse::total).sum()
    }

    /// So many registries: those that say what they have left for us or want to be left alone, then those with the most
    /// requests. Whoever may name an image may name registries, and is not to hide these behind them.
    pub fn most_telling(&self, most: usize) -> impl Iterator<Item = (&String, &RegistryUse)> {
        let mut registries: Vec<_> = self.registries.iter().collect();
        registries.sort_by_key(|(_, registry)| {
            let is_free = registry.pulls_left.is_none() && registry.left_alone_until.is_none();
            (is_free, Reverse(registry.total()))
        });
        registries.into_iter().take(most)
    }

    /// The stored form. Of very many registries only the [most telling](Self::most_telling) are kept.
    pub fn to_config_map(&self, namespace: &str) -> ConfigMap {
        let kept = self.most_telling(MOST);
        let stored = Self {
            registries: kept
                .map(|(name, registry)| (name.clone(), registry.clone()))
                .collect(),
            ..self.clone()
        };
        RECORD.to_config_map(&stored, namespace)
    }

    /// Reads the stored form.
    pub fn parse(config_map: &ConfigMap) -> Result<Self, SingleRecordError> {
        RECORD.parse(config_map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(requests: u64) -> RegistryUse {
        RegistryUse {
            requests: BTreeMap::from([("list".to_owned(), requests)]),
            ..RegistryUse::default()
        }
    }

    #[test]
    fn it_is_legible_and_is_read_back() {
        let run = RunRecord {
            started_at: "2026-11-21T04:10:00Z".parse().unwrap(),
            duration_milliseconds: 1250,
            workloads: 3,
            repositories: 2,
            complete: 1,
            failed: BTreeMap::from([("timeout".to_owned(), 1)]),
            registries: BTreeMap::from([(
                "docker.io".to_owned(),
                RegistryUse {
                    pulls_left: Some(70),
                    ..asked(2)
                },
            )]),
            ..RunRecord::default()
        };
        let stored = run.to_config_map("kubefresh");
        assert_eq!(
            stored.data.as_ref().unwrap()["run"],
            "\
startedAt: \"2026-11-21T04:10:00Z\"
durationMilliseconds: 1250
workloads: 3
repositories: 2
complete: 1
failed:
  timeout: 1
notDue: 0
leftAlone: 0
outOfTime: 0
unwritten: 0
written: 0
stopped: 0
registries:
  docker.io:
    requests:
      list: 2
    pullsLeft: 70
"
        );
        assert_eq!(RunRecord::parse(&stored), Ok(run));
    }

    #[test]
    fn runs_of_several_scanners_are_told_as_one_and_one_that_is_no_more_is_left_out() {
        let of = |index, of, second, complete| RunRecord {
            shard: Shard::new(index, std::num::NonZeroU32::new(of).unwrap()).unwrap(),
            started_at: Timestamp::from_second(second).unwrap(),
            duration_milliseconds: 1000 * u64::from(index),
            workloads: 9,
            complete,
            failed: BTreeMap::from([("timeout".to_owned(), 1)]),
            registries: BTreeMap::from([("docker.io".to_owned(), asked(2))]),
            ..RunRecord::default()
        };
        let runs = vec![of(0, 2, 100, 3), of(1, 2, 90, 4), of(2, 3, 10, 50)];
        let together = RunRecord::together(runs).unwrap();
        assert_eq!(together.started_at.as_second(), 90);
        assert_eq!(together.duration_milliseconds, 1000);
        assert_eq!(
            (together.workloads, together.complete, together.failed["timeout"]),
            (9, 7, 2)
        );
        assert_eq!(together.registries["docker.io"], asked(4));
        assert_eq!(RunRecord::together(Vec::new()), None);
    }

    #[test]
    fn of_very_many_registries_those_with_limits_and_those_with_the_most_requests_are_kept() {
        let mut run = RunRecord {
            registries: (0..1000)
                .map(|number| (format!("r{number}.example"), asked(number)))
                .collect(),
            ..RunRecord::default()
        };
        let limited = run.registries.get_mut("r1.example").unwrap();
        limited.pulls_left = Some(7);
        let mut stored = RunRecord::parse(&run.to_config_map("kubefresh")).unwrap();
        assert_eq!(stored.registries.len(), MOST);
        assert!(stored.registries.remove("r1.example").is_some());
        assert!(stored.registries.values().all(|registry| registry.total() > 800));
    }
}
