//! The records of release notes, as ConfigMaps of the leading updater: each read when it is needed first, then written with the
//! version it was made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use shared::domain::ownership::FIELD_MANAGER;
use shared::domain::record::release_notes::{NotesState, Shard, name};
use shared::domain::release_notes::book::NotesRecord;
use shared::io::client::explain;
use tokio::time::timeout;

use crate::api;

const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A record as it was read or written last, with what is yet to be written.
struct Held {
    shard: Shard,
    version: Option<String>,
    /// Keys that are stored, so that those that go are taken out.
    stored: BTreeSet<String>,
}

pub(super) struct NotesStore {
    api: Api<ConfigMap>,
    namespace: String,
    lease: String,
    held: BTreeMap<usize, Held>,
    nothing: NotesState,
}

impl fmt::Debug for NotesStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotesStore")
            .field("held", &self.held.keys())
            .finish_non_exhaustive()
    }
}

impl NotesStore {
    pub(super) fn new(client: Client, namespace: &str, lease: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            lease: lease.to_owned(),
            held: BTreeMap::new(),
            nothing: NotesState::default(),
        }
    }

    /// Somebody else leads, and writes.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    pub(super) fn is_loaded(&self, shard: usize) -> bool {
        self.held.contains_key(&shard)
    }

    /// Reads a record unless it is known.
    pub(super) async fn load(&mut self, shard: usize) -> Result<(), ()> {
        if self.is_loaded(shard) {
            return Ok(());
        }
        let read = timeout(CALL_LIMIT, self.api.get_opt(&name(&self.lease, shard))).await;
        let stored = match read {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => return self.failed(&explain(&self.doing("reading", shard), &error)),
            Err(_) => return self.failed(&self.no_answer("reading", shard)),
        };
        let held = match stored {
            Some(stored) => Held {
                shard: Shard::parse(&stored),
                version: stored.metadata.resource_version,
                stored: stored.data.unwrap_or_default().into_keys().collect(),
            },
            None => Held {
                shard: Shard::default(),
                version: None,
                stored: BTreeSet::new(),
            },
        };
        self.held.insert(shard, held);
        Ok(())
    }

    pub(super) fn record(&self, shard: usize, key: &str) -> Option<&NotesRecord> {
        self.held.get(&shard)?.shard.records.get(key)
    }

    pub(super) fn put(&mut self, shard: usize, key: &str, record: NotesRecord) {
        if let Some(held) = self.held.get_mut(&shard) {
            held.shard.records.insert(key.to_owned(), record);
        }
    }

    /// What is remembered beside the notes.
    pub(super) fn state(&self) -> &NotesState {
        self.held.get(&0).map_or(&self.nothing, |held| &held.shard.state)
    }

    pub(super) fn state_mut(&mut self) -> &mut NotesState {
        self.held
            .get_mut(&0)
            .map_or(&mut self.nothing, |held| &mut held.shard.state)
    }

    /// Whether that it is offered still has to be written down.
    pub(super) fn is_offered(&mut self, shard: usize, key: &str, now: Timestamp) -> bool {
        let held = self.held.get_mut(&shard);
        let record = held.and_then(|held| held.shard.records.get_mut(key));
        record.is_some_and(|record| record.is_offered(now))
    }

    /// Forgets what is out of use. Whether there was any.
    pub(super) fn prune(&mut self, shard: usize, wanted: &BTreeSet<String>, now: Timestamp) -> bool {
        let Some(held) = self.held.get_mut(&shard) else {
            return false;
        };
        let before = held.shard.records.len();
        held.shard
            .records
            .retain(|key, record| wanted.contains(key) || !record.is_out_of_use(now));
        held.shard.records.len() != before
    }

    /// Writes a record as it is now. What cannot be written is read anew before anything else is made of it.
    pub(super) async fn save(&mut self, shard: usize) -> Result<(), ()> {
        let written = match timeout(CALL_LIMIT, self.write(shard)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => explain(&self.doing("writing", shard), &error),
            Err(_) => self.no_answer("writing", shard),
        };
        self.held.remove(&shard);
        self.failed(&written)
    }

    /// Makes it first where it is not there, empty and by its name, so that there is a version to write it with.
    async fn write(&mut self, shard: usize) -> Result<(), kube::Error> {
        let Some(held) = self.held.get_mut(&shard) else {
            return Ok(());
        };
        let mut whole = held.shard.to_config_map(&self.lease, shard, &self.namespace);
        let name = name(&self.lease, shard);
        let data = whole.data.take().unwrap_or_default();
        if held.version.is_none() {
            let parameters = PatchParams::apply(FIELD_MANAGER);
            let made = self.api.patch(&name, &parameters, &Patch::Apply(&whole)).await?;
            if made.data.is_some() {
                return Err(api::written_meanwhile());
            }
            held.version = made.metadata.resource_version;
        }
        let keys: BTreeSet<String> = data.keys().cloned().collect();
        let mut body = json!({ "metadata": { "resourceVersion": held.version }, "data": data });
        for gone in held.stored.difference(&keys) {
            body["data"][gone] = serde_json::Value::Null;
        }
        let parameters = api::managed_by(FIELD_MANAGER);
        let stored = self.api.patch(&name, &parameters, &Patch::Merge(&body)).await?;
        held.version = stored.metadata.resource_version;
        held.stored = keys;
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "it reads as what the store does")]
    fn failed(&self, problem: &str) -> Result<(), ()> {
        tracing::warn!(problem, "release notes cannot be kept; trying again later");
        Err(())
    }

    fn doing(&self, verb: &str, shard: usize) -> String {
        let name = name(&self.lease, shard);
        format!("{verb} the ConfigMap {name} in namespace {}", self.namespace)
    }

    fn no_answer(&self, verb: &str, shard: usize) -> String {
        format!("{}: no answer within {CALL_LIMIT:?}", self.doing(verb, shard))
    }
}
