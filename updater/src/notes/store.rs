//! The records of release notes, as ConfigMaps of the leading updater: what the watch shows of them, and what is yet to be written
//! or yet to be shown.
//!
//! Nothing is kept here twice: a record that the watch shows is shared with it. A record that cannot be written is kept until it can
//! be, so that nobody is asked again for it, and holds up none of the other fifteen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use shared::domain::record::release_notes::{NotesState, SHARDS, name};
use shared::domain::release_notes::book::NotesRecord;
use shared::io::client::explain;
use tokio::time::{Instant, timeout};

use crate::api;
use crate::retry::Retries;
use crate::store::Store;
use crate::views::{NotesView, Record};

const CALL_LIMIT: Duration = Duration::from_secs(5);

/// What there is of a ConfigMap beside what the watch shows.
#[derive(Default)]
struct Held {
    /// As we wrote it, which the watch does not show yet.
    written: Option<Arc<NotesView>>,
    /// What is yet to be written, by key; `None` goes.
    changed: BTreeMap<String, Option<Arc<NotesRecord>>>,
    /// Whether what is remembered beside the notes is yet to be written, too.
    state: bool,
}

impl Held {
    fn is_written(&self) -> bool {
        self.changed.is_empty() && !self.state
    }
}

pub(super) struct NotesStore {
    api: Api<ConfigMap>,
    namespace: String,
    lease: String,
    watched: Store<Record>,
    /// What the watch showed when this turn began.
    shown: BTreeMap<usize, Arc<NotesView>>,
    held: BTreeMap<usize, Held>,
    /// What is remembered beside the notes, whatever becomes of the record of that.
    state: NotesState,
    /// ConfigMaps that could not be written.
    tries: Retries<usize>,
}

impl fmt::Debug for NotesStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotesStore")
            .field("held", &self.held.keys())
            .finish_non_exhaustive()
    }
}

impl NotesStore {
    pub(super) fn new(client: Client, namespace: &str, lease: &str, watched: Store<Record>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            lease: lease.to_owned(),
            watched,
            shown: BTreeMap::new(),
            held: BTreeMap::new(),
            state: NotesState::default(),
            tries: Retries::default(),
        }
    }

    /// Somebody else leads, and writes.
    pub(super) fn forget(&mut self) {
        (self.shown, self.held) = (BTreeMap::new(), BTreeMap::new());
        (self.state, self.tries) = (NotesState::default(), Retries::default());
    }

    /// Looks at what the watch shows now. What it shows as we wrote it is held no longer.
    pub(super) fn look(&mut self) {
        let names: BTreeMap<String, usize> = (0..SHARDS)
            .map(|shard| (name(&self.lease, shard), shard))
            .collect();
        let shown = self.watched.collect(|record| match record {
            Record::Notes(view) => Some((*names.get(&view.name)?, Arc::clone(view))),
            Record::Scan(..) | Record::Run(_) => None,
        });
        self.shown = shown.into_iter().collect();
        for (shard, held) in &mut self.held {
            let version = self.shown.get(shard).map(|view| &view.version);
            held.written.take_if(|written| Some(&written.version) == version);
        }
        self.held
            .retain(|_, held| !held.is_written() || held.written.is_some());
        // What we have written over since says nothing new, and what was set aside and taken back would come back with it.
        let is_behind = self.held.get(&0).is_some_and(|held| held.written.is_some());
        if let Some(view) = self.shown.get(&0).filter(|_| !is_behind) {
            self.state.take_in(&view.shard.state);
        }
    }

    fn base(&self, shard: usize) -> Option<&Arc<NotesView>> {
        let written = self.held.get(&shard).and_then(|held| held.written.as_ref());
        written.or_else(|| self.shown.get(&shard))
    }

    /// Whether what could not be written may be tried again, if there is any.
    pub(super) fn may_be_written(&self, shard: usize, now: Instant) -> bool {
        self.tries.is_due(&shard, now)
    }

    /// Whether nothing of it is yet to be written.
    pub(super) fn is_written(&self, shard: usize) -> bool {
        self.held.get(&shard).is_none_or(Held::is_written)
    }

    /// When to try again.
    pub(super) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.tries.next(now)
    }

    pub(super) fn record(&self, shard: usize, key: &str) -> Option<&Arc<NotesRecord>> {
        if let Some(changed) = self.held.get(&shard).and_then(|held| held.changed.get(key)) {
            return changed.as_ref();
        }
        self.base(shard)?.shard.records.get(key)
    }

    pub(super) fn put(&mut self, shard: usize, key: &str, record: NotesRecord) {
        let held = self.held.entry(shard).or_default();
        held.changed.insert(key.to_owned(), Some(Arc::new(record)));
    }

    /// A record of this text for which this reader was asked before, as far as it is known here.
    pub(super) fn read_before(&self, content: &str, reader: &str) -> Option<&NotesRecord> {
        let shown = self.shown.values().flat_map(|view| view.shard.records.values());
        let changed = self
            .held
            .values()
            .flat_map(|held| held.changed.values().flatten());
        let written = self.held.values().filter_map(|held| held.written.as_ref());
        let written = written.flat_map(|view| view.shard.records.values());
        let mut known = changed.chain(written).chain(shown);
        let is_it = |record: &&Arc<NotesRecord>| {
            record.content.as_deref() == Some(content) && record.read_by.as_deref() == Some(reader)
        };
        known.find(is_it).map(Arc::as_ref)
    }

    /// What is remembered beside the notes.
    pub(super) fn state(&self) -> &NotesState {
        &self.state
    }

    /// The same, to be changed; it is written with the first ConfigMap.
    pub(super) fn state_mut(&mut self) -> &mut NotesState {
        self.held.entry(0).or_default().state = true;
        &mut self.state
    }

    /// Notes that it is offered still.
    pub(super) fn is_offered(&mut self, shard: usize, key: &str, now: Timestamp) {
        if let Some(renewed) = self.record(shard, key).and_then(|record| record.renewed(now)) {
            self.put(shard, key, renewed);
        }
    }

    /// Forgets what is out of use.
    pub(super) fn prune(&mut self, wanted: &BTreeSet<String>, now: Timestamp) {
        for shard in 0..SHARDS {
            let Some(base) = self.base(shard) else { continue };
            let records = base.shard.records.iter();
            let gone = records.filter(|(key, record)| !wanted.contains(*key) && record.is_out_of_use(now));
            let gone: Vec<String> = gone.map(|(key, _)| key.clone()).collect();
            if !gone.is_empty() {
                let held = self.held.entry(shard).or_default();
                held.changed.extend(gone.into_iter().map(|key| (key, None)));
            }
        }
    }

    /// Writes all that is yet to be written and may be tried.
    pub(super) async fn save_all(&mut self, wanted: &BTreeSet<String>) {
        let shards: Vec<usize> = self.held.keys().copied().collect();
        for shard in shards {
            self.save(shard, wanted).await;
        }
    }

    /// Writes a record as it is now, unless that has to wait. What cannot be written stays to be written.
    pub(super) async fn save(&mut self, shard: usize, wanted: &BTreeSet<String>) {
        let is_due = self.may_be_written(shard, Instant::now());
        if !is_due || self.held.get(&shard).is_none_or(Held::is_written) {
            return;
        }
        let problem = match timeout(CALL_LIMIT, self.write(shard, wanted)).await {
            Ok(Ok(written)) => {
                let written = Some(Arc::new(written));
                self.held.insert(
                    shard,
                    Held {
                        written,
                        ..Held::default()
                    },
                );
                self.tries.succeeded(&shard);
                return;
            }
            Ok(Err(error)) => explain(&self.doing(shard), &error),
            Err(_) => format!("{}: no answer within {CALL_LIMIT:?}", self.doing(shard)),
        };
        // Somebody else wrote it, or we did and have not heard so: the watch will show.
        if let Some(held) = self.held.get_mut(&shard) {
            held.written = None;
        }
        self.tries.failed(&shard, Instant::now());
        tracing::warn!(problem, "release notes cannot be kept; trying again later");
    }

    async fn write(&self, shard: usize, wanted: &BTreeSet<String>) -> Result<NotesView, kube::Error> {
        let base = self.base(shard);
        let version = base.and_then(|base| base.version.clone());
        let stored = base.map(|base| base.shard.keys()).unwrap_or_default();
        let mut whole = base.map(|base| base.shard.clone()).unwrap_or_default();
        if let Some(held) = self.held.get(&shard) {
            let records = Arc::make_mut(&mut whole.records);
            for (key, record) in &held.changed {
                match record {
                    Some(record) => records.insert(key.clone(), Arc::clone(record)),
                    None => records.remove(key),
                };
            }
        }
        if shard == 0 {
            whole.state = self.state.clone();
        }
        let record = whole.to_config_map((&self.lease, shard), &self.namespace, wanted);
        let kept: BTreeSet<String> = record.data.iter().flatten().map(|(key, _)| key.clone()).collect();
        let gone = stored.into_iter().filter(|key| !kept.contains(key));
        let version = api::write_record(&self.api, record, version, gone).await?;
        Ok(NotesView {
            name: name(&self.lease, shard),
            version,
            shard: whole,
        })
    }

    fn doing(&self, shard: usize) -> String {
        let name = name(&self.lease, shard);
        format!("writing the ConfigMap {name} in namespace {}", self.namespace)
    }
}
