//! The records as they were before this run, and what the registries asked for then.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use shared::domain::record::ScanRecord;
use shared::domain::record::config_map::record_name;
use shared::domain::reference::Repository;

/// The records as they were before this run.
#[derive(Debug)]
pub(crate) struct Known {
    records: BTreeMap<Repository, (ScanRecord, Option<String>)>,
    /// ConfigMaps with a record's name that cannot be read: they are written anew, with their version as precondition.
    unreadable: BTreeMap<String, Option<String>>,
}

impl Known {
    pub(crate) fn read(stored: Vec<ConfigMap>) -> Self {
        let mut known = Self {
            records: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        };
        for config_map in stored {
            let version = config_map.metadata.resource_version.clone();
            match ScanRecord::parse(&config_map) {
                Ok(record) => {
                    known.records.insert(record.repository.clone(), (record, version));
                }
                Err(error) => {
                    tracing::warn!(%error, "a record cannot be read and is written anew");
                    known
                        .unreadable
                        .insert(config_map.metadata.name.unwrap_or_default(), version);
                }
            }
        }
        known
    }

    pub(crate) fn record(&self, repository: &Repository) -> Option<&ScanRecord> {
        self.records.get(repository).map(|(record, _)| record)
    }

    /// The version of the stored record, as precondition of the write that replaces it.
    pub(crate) fn version(&self, repository: &Repository) -> Option<String> {
        match self.records.get(repository) {
            Some((_, version)) => version.clone(),
            None => self.unreadable.get(&record_name(repository)).cloned().flatten(),
        }
    }

    /// Registries that asked to be left alone for a while, and until when. A registry's word outlives the process that
    /// heard it.
    pub(crate) fn cool_downs(&self, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let mut until = BTreeMap::new();
        for (record, _) in self.records.values() {
            let Some(retry_at) = record.last_error.as_ref().and_then(|error| error.retry_at) else {
                continue;
            };
            if retry_at > now {
                let entry = until
                    .entry(record.repository.registry().to_owned())
                    .or_insert(retry_at);
                *entry = (*entry).max(retry_at);
            }
        }
        until
    }
}
