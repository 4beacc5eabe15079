//! What a run leaves for the next one, beside the records of repositories: logins to leave alone, what registries allow, and what
//! came of it.

use jiff::Timestamp;
use shared::domain::record::run::{LAST_RUN, RunRecord};
use shared::domain::shard::Shard;
use shared::io::client;
use shared::io::record_store::RecordStore;

use crate::credentials::Credentials;
use crate::credentials::quarantine::Quarantine;
use crate::known::Known;
use crate::registry::RegistryClient;
use crate::registry_memories::RegistryMemories;
use crate::stored::Stored;

/// What earlier runs have left.
#[derive(Debug)]
pub(crate) struct Memory {
    quarantine: Quarantine,
    registries: RegistryMemories,
    last_run: Stored<RunRecord>,
}

impl Memory {
    /// Reads it. The error says what could not be read and why.
    pub(crate) async fn load(
        store: &RecordStore,
        shard: Shard,
        credentials: &Credentials,
    ) -> Result<Self, String> {
        let failed = |what: &str, error| client::explain(&format!("reading the record of {what}"), &error);
        let quarantine = if credentials.is_empty() {
            Quarantine::default()
        } else {
            let loaded = Quarantine::load(store, shard).await;
            loaded.map_err(|error| failed("rejected logins", error))?
        };
        let registries = RegistryMemories::load(store, shard).await;
        let last_run = Stored::load(store, shard, LAST_RUN, RunRecord::parse).await;
        Ok(Self {
            quarantine,
            registries: registries.map_err(|error| failed("registry accounts", error))?,
            last_run: last_run.map_err(|error| failed("the last run", error))?,
        })
    }

    /// Tells the client what it is to obey.
    pub(crate) fn impose(
        &self,
        credentials: &Credentials,
        registry: &RegistryClient,
        known: &Known,
        now: Timestamp,
    ) {
        self.quarantine.impose(credentials, registry, now);
        self.registries.impose(registry, known, now);
    }

    /// Writes down for the next run what this one has learned so far. Each that cannot be written is told, and is no failure of
    /// the scan.
    pub(crate) async fn save_learned(
        &mut self,
        store: &RecordStore,
        credentials: &Credentials,
        registry: &RegistryClient,
        now: Timestamp,
    ) {
        let saved = self.quarantine.save(store, credentials, registry, now).await;
        tell(
            saved,
            "rejected logins",
            "the next run may show a rejected login once more",
        );
        let saved = self.registries.save(store, registry, now).await;
        tell(
            saved,
            "registry accounts",
            "the next run does not know what this one has spent and was told",
        );
    }

    /// Writes down what came of this run, likewise.
    pub(crate) async fn save_result(&mut self, store: &RecordStore, run: RunRecord) {
        let to_config_map = |run: &RunRecord| run.to_config_map(store.namespace());
        let is_another = |_: &_, _: &_| false;
        let saved = self.last_run.replace(store, run, is_another, to_config_map).await;
        tell(saved, "the run", "the updater's metrics speak of an earlier run");
    }
}

fn tell(saved: Result<(), kube::Error>, what: &str, consequence: &str) {
    if let Err(error) = saved {
        let explanation = client::explain(&format!("writing the record of {what}"), &error);
        tracing::error!(explanation, "{consequence}");
    }
}
