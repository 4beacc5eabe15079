//! A record of a kind of which every scanner has one, from one run to the next.

use std::fmt::Display;

use k8s_openapi::api::core::v1::ConfigMap;
use shared::domain::shard::Shard;
use shared::io::record_store::RecordStore;

/// What an earlier run has left.
#[derive(Debug, Default)]
pub(crate) struct Stored<T> {
    pub(crate) content: T,
    /// What the scanners of other shares have left, those included that there are no more.
    pub(crate) of_others: Vec<T>,
    name: String,
    /// Records of this kind that no scanner has any more, each with its version.
    left_over: Vec<(String, Option<String>)>,
    /// What is stored is not what it should be.
    is_unreadable: bool,
    /// Of the stored record, as precondition of the write that replaces it.
    version: Option<String>,
    /// The last write did not come to an answer.
    is_version_doubtful: bool,
}

impl<T: Default> Stored<T> {
    /// Reads that of this scanner, and those of others. A record that cannot be understood is written anew.
    pub(crate) async fn load<E: Display>(
        store: &RecordStore,
        shard: Shard,
        kind: &str,
        parse: impl Fn(&ConfigMap) -> Result<T, E>,
    ) -> Result<Self, kube::Error> {
        let mut stored = Self {
            name: shard.record_name(kind),
            ..Self::default()
        };
        for record in store.of_kind(kind).await? {
            let parsed = parse(&record);
            if let Err(error) = &parsed {
                tracing::warn!(%error, "it is written anew");
            }
            let is_unreadable = parsed.is_err();
            let content = parsed.unwrap_or_default();
            let (name, version) = (record.metadata.name, record.metadata.resource_version);
            let name = name.unwrap_or_default();
            if name == stored.name {
                stored.is_unreadable = is_unreadable;
                stored.content = content;
                stored.version = version;
                continue;
            }
            stored.of_others.push(content);
            if shard.is_left_over(kind, &name) {
                stored.left_over.push((name, version));
            }
        }
        Ok(stored)
    }

    /// Writes what replaces it, unless that says the same.
    pub(crate) async fn replace(
        &mut self,
        store: &RecordStore,
        next: T,
        says_the_same: impl FnOnce(&T, &T) -> bool,
        to_config_map: impl FnOnce(&T) -> ConfigMap,
    ) -> Result<(), kube::Error> {
        for (name, version) in &self.left_over {
            store.remove(name, version.clone()).await?;
        }
        self.left_over.clear();
        if says_the_same(&self.content, &next) && !self.is_unreadable {
            return Ok(());
        }
        if self.is_version_doubtful {
            self.version = store.version(&self.name).await?;
        }
        let mut record = to_config_map(&next);
        record.metadata.name = Some(self.name.clone());
        record.metadata.resource_version.clone_from(&self.version);
        // A write whose answer is lost may have happened.
        self.is_version_doubtful = true;
        self.version = store.apply(&record).await?;
        self.is_version_doubtful = false;
        self.is_unreadable = false;
        self.content = next;
        Ok(())
    }
}
