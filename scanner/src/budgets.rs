//! What each registry still grants, from one run to the next.

use std::collections::BTreeMap;

use shared::domain::budget::PullBudget;
use shared::domain::record::budgets;
use shared::io::record_store::RecordStore;

use crate::registry::RegistryClient;

/// What earlier runs have left.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    stored: BTreeMap<String, PullBudget>,
    /// What is stored is not what it should be.
    is_unreadable: bool,
    /// Of the stored record, as precondition of the write that replaces it.
    version: Option<String>,
}

impl Budgets {
    /// Reads them. A record that cannot be understood is written anew; then only the registries' own words count.
    pub(crate) async fn load(store: &RecordStore) -> Result<Self, kube::Error> {
        let Some(record) = store.find(budgets::PULL_BUDGETS).await? else {
            return Ok(Self::default());
        };
        let parsed = budgets::parse(&record);
        if let Err(error) = &parsed {
            tracing::warn!(%error, "it is written anew");
        }
        Ok(Self {
            is_unreadable: parsed.is_err(),
            stored: parsed.unwrap_or_default(),
            version: record.metadata.resource_version,
        })
    }

    /// Tells the client what was spent before.
    pub(crate) fn impose(&self, client: &RegistryClient) {
        for (registry, budget) in &self.stored {
            client.set_pull_budget(registry, budget.clone());
        }
    }

    /// Writes down what is left after this run, if that has changed.
    pub(crate) async fn save(&self, store: &RecordStore, client: &RegistryClient) -> Result<(), kube::Error> {
        let mut next = self.stored.clone();
        next.extend(client.pull_budgets());
        let is_same = next.len() == self.stored.len()
            && next.iter().all(|(registry, budget)| {
                self.stored
                    .get(registry)
                    .is_some_and(|stored| budget.says_the_same(stored))
            });
        if is_same && !self.is_unreadable {
            return Ok(());
        }
        let mut record = budgets::to_config_map(&next, store.namespace());
        record.metadata.resource_version.clone_from(&self.version);
        store.apply(&record).await
    }
}
