//! A record of a kind of which every scanner has one, from one run to the next.

use std::fmt::Display;

use k8s_openapi::api::core::v1::ConfigMap;
use shared::domain::shard::Shard;
use shared::io::record_store::RecordStore;

/// What an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Stored<T> {
    pub(crate) content: T,
    name: String,
    /// Records of this kind that no scanner has any more, each with its version.
    left_over: Vec<(String, Option<String>)>,
    /// What is stored is not what it should be.
    is_unreadable: bool,
    /// Of the stored record, as precondition of the write that replaces it.
    version: Option<String>,
}

impl<T: Default> Stored<T> {
    /// Reads that of this scanner. A record that cannot be understood is written anew.
    pub(crate) async fn load<E: Display>(
        store: &RecordStore,
        shard: Shard,
        kind: &str,
        parse: impl FnOnce(&ConfigMap) -> Result<T, E>,
    ) -> Result<Self, kube::Error> {
        let name = shard.record_name(kind);
        let found = store.of_kind(kind).await?;
        let is_named = |record: &ConfigMap, wanted: &str| record.metadata.name.as_deref() == Some(wanted);
        let left_over = found.iter().filter_map(|record| {
            let name = record.metadata.name.clone()?;
            let version = record.metadata.resource_version.clone();
            shard.is_left_over(kind, &name).then_some((name, version))
        });
        let left_over = left_over.collect();
        let Some(record) = found.into_iter().find(|record| is_named(record, &name)) else {
            return Ok(Self {
                name,
                left_over,
                ..Self::default()
            });
        };
        let parsed = parse(&record);
        if let Err(error) = &parsed {
            tracing::warn!(%error, "it is written anew");
        }
        Ok(Self {
            name,
            left_over,
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
        for (name, version) in &self.left_over {
            store.remove(name, version.clone()).await?;
        }
        if says_the_same && !self.is_unreadable {
            return Ok(());
        }
        let mut record = next();
        record.metadata.name = Some(self.name.clone());
        record.metadata.resource_version.clone_from(&self.version);
        store.apply(&record).await
    }
}
