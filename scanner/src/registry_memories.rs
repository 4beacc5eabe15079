//! What registries allow and how they want to be asked, from one run to the next.

use std::collections::BTreeMap;

use jiff::Timestamp;
use shared::domain::record::registry_accounts::{self, REGISTRY_ACCOUNTS, RegistryMemory};
use shared::domain::shard::Shard;
use shared::io::record_store::RecordStore;

use crate::known::Known;
use crate::registry::RegistryClient;
use crate::stored::Stored;

/// By registry.
type Memories = BTreeMap<String, RegistryMemory>;

/// What earlier runs have left.
#[derive(Debug, Default)]
pub(crate) struct RegistryMemories(Stored<Memories>);

impl RegistryMemories {
    /// Reads them. Where they cannot be understood, only the registries' own words count.
    pub(crate) async fn load(store: &RecordStore, shard: Shard) -> Result<Self, kube::Error> {
        let stored = Stored::load(store, shard, REGISTRY_ACCOUNTS, registry_accounts::parse).await;
        stored.map(Self)
    }

    /// Tells the client what was learned and spent before. Where the record says of no cool-down at a registry, because the
    /// run that was told so did not come to write it, or somebody has removed it, the scan records still do.
    pub(crate) fn impose(&self, client: &RegistryClient, known: &Known, now: Timestamp) {
        let remembered = &self.0.content;
        client.recall(remembered, now);
        for (registry, memory) in self.0.of_others.iter().flatten() {
            if let Some(cool_down) = memory.cool_down.as_ref().filter(|cool_down| cool_down.is_on(now)) {
                client.cool_down(registry, cool_down.until);
            }
        }
        for (repository, until) in known.cool_downs(now) {
            let registry = client.registry_of(repository);
            let remembered = remembered.get(&registry);
            if !remembered.is_some_and(|memory| memory.is_left_alone_until(until)) {
                client.cool_down(&registry, until);
            }
        }
        for (registry, until) in client.cool_downs(now) {
            tracing::info!(registry, %until, "left alone: it asked an earlier run to wait");
        }
    }

    /// Writes down what a later run has to know, if that has changed.
    pub(crate) async fn save(
        &mut self,
        store: &RecordStore,
        client: &RegistryClient,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let to_config_map = |next: &_| registry_accounts::to_config_map(next, store.namespace());
        self.0
            .replace(store, client.memories(now), says_the_same, to_config_map)
            .await
    }
}

fn says_the_same(stored: &Memories, next: &Memories) -> bool {
    let is_stored = |(registry, memory): (&String, &RegistryMemory)| {
        let stored = stored.get(registry);
        stored.is_some_and(|stored| memory.says_the_same(stored))
    };
    next.len() == stored.len() && next.iter().all(is_stored)
}
