//! A record of a kind of which there is one, from one run to the next.

use std::fmt::Display;

use k8s_openapi::api::core::v1::ConfigMap;
use shared::io::record_store::RecordStore;

/// What an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Stored<T> {
    pub(crate) content: T,
    /// What is stored is not what it should be.
    is_unreadable: bool,
    /// Of the stored record, as precondition of the write that replaces it.
    version: Option<String>,
}

impl<T: Default> Stored<T> {
    /// Reads it. A record that cannot be understood is written anew.
    pub(crate) async fn load<E: Display>(
        store: &RecordStore,
        kind: &str,
        parse: impl FnOnce(&ConfigMap) -> Result<T, E>,
    ) -> Result<Self, kube::Error> {
        let Some(record) = store.find(kind).await? else {
            return Ok(Self::default());
        };
        let parsed = parse(&record);
        if let Err(error) = &parsed {
            tracing::warn!(%error, "it is written anew");
        }
        Ok(Self {
            is_unreadable: parsed.is_err(),
            content: parsed.unwrap_or_default(),
            version: record.metadata.resource_version,
        })
    }

    /// Writes what replaces it, unless that says the same.
    pub(crate) async fn replace(
        &self,
        store: &RecordStore,
        says_the_same: bool,
        next: impl FnOnce() -> ConfigMap,
    ) -> Result<(), kube::Error> {
        if says_the_same && !self.is_unreadable {
            return Ok(());
        }
        let mut record = next();
        record.metadata.resource_version.clone_from(&self.version);
        store.apply(&record).await
    }
}
