//! The record of the scanner's last run: what came of it, for people and for metrics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};

use super::single::{SingleRecord, SingleRecordError};

/// The value of [`RECORD_LABEL`](super::config_map::RECORD_LABEL) and the name of the ConfigMap; there is one.
pub const LAST_RUN: &str = "last-run";

const RECORD: SingleRecord = SingleRecord {
    kind: LAST_RUN,
    key: "run",
};

/// The most registries that are named, those with the most requests; each takes some hundred bytes.
const MOST: usize = 200;

/// What came of one run. Repositories are counted once each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunRecord {
    pub started_at: Timestamp,
    pub duration_milliseconds: u64,
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
}

impl RunRecord {
    /// All requests to registries.
    pub fn requests(&self) -> u64 {
        self.registries.values().map(RegistryUse::total).sum()
    }

    /// The stored form. Of very many registries only those with the most requests are kept.
    pub fn to_config_map(&self, namespace: &str) -> ConfigMap {
        let mut most_first: Vec<_> = self.registries.iter().collect();
        most_first.sort_by_key(|(_, registry)| std::cmp::Reverse(registry.total()));
        let kept = most_first.into_iter().take(MOST);
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
    fn of_very_many_registries_those_with_the_most_requests_are_kept() {
        let run = RunRecord {
            registries: (0..1000)
                .map(|number| (format!("r{number}.example"), asked(number)))
                .collect(),
            ..RunRecord::default()
        };
        let stored = RunRecord::parse(&run.to_config_map("kubefresh")).unwrap();
        assert_eq!(stored.registries.len(), MOST);
        assert!(stored.registries.values().all(|registry| registry.total() >= 800));
    }
}
