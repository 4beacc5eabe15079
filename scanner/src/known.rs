//! The records as they were before this run, and what the registries asked for then.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use shared::domain::cool_down::is_wait;
use shared::domain::record::ScanRecord;
use shared::domain::record::config_map::record_name;
use shared::domain::reference::Repository;

/// The records as they were before this run.
#[derive(Debug, Default)]
pub(crate) struct Known {
    records: BTreeMap<Repository, (ScanRecord, Option<String>)>,
    /// ConfigMaps with a record's name that cannot be read: they are written anew, with their version as precondition.
    unreadable: BTreeMap<String, Option<String>>,
}

impl Known {
    /// Takes a stored record in.
    pub(crate) fn add(&mut self, config_map: ConfigMap) {
        let version = config_map.metadata.resource_version.clone();
        match ScanRecord::parse(&config_map) {
            // A copy, or a name of an older version: its version is not that of the ConfigMap that will be written.
            Ok(record) if config_map.metadata.name.as_ref() != Some(&record_name(&record.repository)) => {
                tracing::warn!(
                    name = config_map.metadata.name,
                    "a record under a name that is not its own is passed over"
                );
            }
            Ok(record) => {
                self.records.insert(record.repository.clone(), (record, version));
            }
            Err(error) => {
                tracing::warn!(%error, "a record cannot be read and is written anew");
                self.unreadable
                    .insert(config_map.metadata.name.unwrap_or_default(), version);
            }
        }
    }

    pub(crate) fn record(&self, repository: &Repository) -> Option<&ScanRecord> {
        self.records.get(repository).map(|(record, _)| record)
    }

    /// Whether the last scan of the repository failed.
    pub(crate) fn is_failing(&self, repository: &Repository) -> bool {
        self.record(repository)
            .is_some_and(|record| record.last_error.is_some())
    }

    /// The version of the stored record, as precondition of the write that replaces it.
    pub(crate) fn version(&self, repository: &Repository) -> Option<String> {
        match self.records.get(repository) {
            Some((_, version)) => version.clone(),
            None => self.unreadable.get(&record_name(repository)).cloned().flatten(),
        }
    }

    /// The records that nobody has asked for in a long time, each with its version.
    pub(crate) fn out_of_use<'r>(
        &self,
        wanted: impl IntoIterator<Item = &'r Repository>,
        now: Timestamp,
    ) -> BTreeMap<Repository, Option<String>> {
        let wanted: BTreeSet<&Repository> = wanted.into_iter().collect();
        let unwanted = self
            .records
            .iter()
            .filter(|(repository, (record, _))| !wanted.contains(repository) && record.is_out_of_use(now));
        unwanted
            .map(|(repository, (_, version))| (repository.clone(), version.clone()))
            .collect()
    }

    /// The repositories whose registry asked to be left alone for a while, and until when.
    pub(crate) fn cool_downs(&self, now: Timestamp) -> impl Iterator<Item = (&Repository, Timestamp)> {
        let retry_at = |record: &ScanRecord| record.last_error.as_ref().and_then(|error| error.retry_at);
        let told = self
            .records
            .iter()
            .filter_map(move |(repository, (record, _))| Some((repository, retry_at(record)?)));
        told.filter(move |(_, retry_at)| is_wait(*retry_at, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_record_does_not_stand_in_for_it() {
        let record = ScanRecord {
            repository: "example.com/shop".parse().unwrap(),
            findings: None,
            last_error: None,
        };
        let stored = |name: Option<&str>, version: &str| {
            let mut config_map = record.to_config_map("kubefresh");
            config_map.metadata.resource_version = Some(version.to_owned());
            if let Some(name) = name {
                config_map.metadata.name = Some(name.to_owned());
            }
            config_map
        };
        let mut known = Known::default();
        known.add(stored(None, "1"));
        known.add(stored(Some("zz-backup"), "2"));
        assert_eq!(known.version(&record.repository).as_deref(), Some("1"));
    }
}
