//! What each registry still grants, from one run to the next.

use std::collections::BTreeMap;

use shared::domain::budget::PullBudget;
use shared::domain::record::budgets;
use shared::io::record_store::RecordStore;

use crate::registry::RegistryClient;
use crate::stored::Stored;

/// What earlier runs have left.
#[derive(Debug, Default)]
pub(crate) struct Budgets(Stored<BTreeMap<String, PullBudget>>);

impl Budgets {
    /// Reads them. Where they cannot be understood, only the registries' own words count.
    pub(crate) async fn load(store: &RecordStore) -> Result<Self, kube::Error> {
        let stored = Stored::load(store, budgets::PULL_BUDGETS, budgets::parse).await;
        stored.map(Self)
    }

    /// Tells the client what was spent before.
    pub(crate) fn impose(&self, client: &RegistryClient) {
        for (registry, budget) in &self.0.content {
            client.set_pull_budget(registry, budget.clone());
        }
    }

    /// Writes down what is left after this run, if that has changed.
    pub(crate) async fn save(&self, store: &RecordStore, client: &RegistryClient) -> Result<(), kube::Error> {
        let stored = &self.0.content;
        let mut next = stored.clone();
        next.extend(client.pull_budgets());
        let is_same = next.len() == stored.len()
            && next.iter().all(|(registry, budget)| {
                stored
                    .get(registry)
                    .is_some_and(|stored| budget.says_the_same(stored))
            });
        let record = || budgets::to_config_map(&next, store.namespace());
        self.0.replace(store, is_same, record).await
    }
}
