//! The objects of the cluster: one revision counter, atomic writes, and a bounded history to watch from.
//!
//! Every write passes through [`super::strategy`], so what is stored is always defaulted and valid, whether it
//! came over HTTP or from a controller inside the sandbox. This is not a cache: what is here is the truth.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use super::error::ApiError;
use super::history::History;
use super::resources::{self, NAMESPACES, Resource, SERVICE_ACCOUNTS};
use super::strategy::{self, Part};
use crate::clock::Clock;

pub use super::history::{Change, ChangeKind};

/// How many changes a slow subscriber may lag behind before it misses some.
const SUBSCRIBER_BACKLOG: usize = 4096;

/// A handle to the shared store; clones see the same objects.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
    changes: broadcast::Sender<Arc<Change>>,
    revision: watch::Sender<u64>,
    clock: Clock,
}

type Table = BTreeMap<(String, String), Arc<Value>>;

#[derive(Debug)]
struct Inner {
    revision: u64,
    tables: BTreeMap<(&'static str, &'static str), Table>,
    history: History,
}

/// What a deletion may be bound to.
#[derive(Debug, Clone, Default)]
pub struct Preconditions {
    /// Delete only the object with this UID.
    pub uid: Option<String>,
    /// Delete only this version of the object.
    pub resource_version: Option<String>,
}

/// The state of a collection at one revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The revision the items were read at.
    pub revision: u64,
    /// In the order of namespace, then name.
    pub items: Vec<Arc<Value>>,
}

impl Store {
    /// An empty store: not even a namespace.
    pub fn new(clock: Clock) -> Self {
        let inner = Inner {
            revision: 1,
            tables: BTreeMap::new(),
            history: History::new(1),
        };
        let (changes, _) = broadcast::channel(SUBSCRIBER_BACKLOG);
        let (revision, _) = watch::channel(1);
        Self {
            inner: Arc::new(Mutex::new(inner)),
            changes,
            revision,
            clock,
        }
    }

    /// The clock that stamps `metadata.creationTimestamp`.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The object, if it exists. `namespace` is empty for cluster-scoped resources.
    pub fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.lock().get(resource, namespace, name)
    }

    /// Every object of one namespace, or of all.
    pub fn list(&self, resource: &'static Resource, namespace: Option<&str>) -> Vec<Arc<Value>> {
        self.lock().list(resource, namespace)
    }

    /// The collection as it is now.
    pub fn snapshot(&self, resource: &'static Resource, namespace: Option<&str>) -> Snapshot {
        let inner = self.lock();
        Snapshot {
            revision: inner.revision,
            items: inner.list(resource, namespace),
        }
    }

    /// The collection as it was at `revision`, or `Expired` when the history no longer reaches back to it.
    pub fn snapshot_at(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Snapshot, ApiError> {
        let inner = self.lock();
        let since = inner.history.since(revision)?.rev();
        let mut since = since
            .filter(|change| change.resource == resource.stored())
            .peekable();
        if since.peek().is_none() {
            let items = inner.list(resource, namespace);
            return Ok(Snapshot { revision, items });
        }
        let mut table = inner.table(resource).cloned().unwrap_or_default();
        for change in since {
            let key = key_of(&change.object);
            match &change.previous {
                Some(previous) => table.insert(key, Arc::clone(previous)),
                None => table.remove(&key),
            };
        }
        let items = table
            .into_iter()
            .filter(|((in_namespace, _), _)| namespace.is_none_or(|wanted| wanted == in_namespace))
            .map(|(_, object)| object)
            .collect();
        Ok(Snapshot { revision, items })
    }

    /// Stores a new object and returns it with uid, creation time, generation and resourceVersion filled in.
    ///
    /// Fails with `AlreadyExists`, with `NotFound` for a missing namespace, and with `Invalid`.
    pub fn create(&self, resource: &'static Resource, object: Value) -> Result<Arc<Value>, ApiError> {
        self.create_with(resource, object, false)
    }

    /// [`Store::create`]; a dry run answers the same and changes nothing.
    pub fn create_with(
        &self,
        resource: &'static Resource,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ApiError> {
        let resource = resource.stored();
        strategy::prepare_create(resource, &mut object, self.clock)?;
        let mut inner = self.lock();
        let (namespace, name) = key_of(&object);
        inner.require_namespace(resource, &namespace)?;
        if inner.get(resource, &namespace, &name).is_some() {
            return Err(ApiError::already_exists(resource, &name));
        }
        if dry_run {
            return Ok(Arc::new(object));
        }
        let stored = self.commit(&mut inner, ChangeKind::Added, resource, object, None);
        if *resource == NAMESPACES {
            let mut account = json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name},
            });
            strategy::prepare_create(&SERVICE_ACCOUNTS, &mut account, self.clock)?;
            self.commit(&mut inner, ChangeKind::Added, &SERVICE_ACCOUNTS, account, None);
        }
        Ok(stored)
    }

    /// Changes everything but the status, atomically.
    ///
    /// `mutate` runs under the store's lock: it must be quick and must not call the store. A change of the
    /// specification raises `metadata.generation`; if nothing changed, nothing is written and no revision is spent.
    pub fn update(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        mutate: impl FnOnce(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        self.update_with(resource, namespace, name, Part::Main, false, mutate)
    }

    /// Changes the status only, atomically; whatever else `mutate` does is undone.
    pub fn update_status(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        mutate: impl FnOnce(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        self.update_with(resource, namespace, name, Part::Status, false, mutate)
    }

    /// [`Store::update`] of one part; a dry run answers the same and changes nothing.
    pub fn update_with(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        part: Part,
        dry_run: bool,
        mutate: impl FnOnce(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Arc<Value>, ApiError> {
        let resource = resource.stored();
        let mut inner = self.lock();
        let old = inner
            .get(resource, namespace, name)
            .ok_or_else(|| ApiError::not_found(resource, name))?;
        let mut new = Value::clone(&old);
        mutate(&mut new)?;
        strategy::prepare_update(resource, &old, &mut new, part)?;
        if strategy::same(&old, &new) {
            return Ok(old);
        }
        if dry_run {
            return Ok(Arc::new(new));
        }
        let released = is_terminating(&new) && !has_finalizers(&new);
        let kind = if released {
            ChangeKind::Deleted
        } else {
            ChangeKind::Modified
        };
        Ok(self.commit(&mut inner, kind, resource, new, Some(old)))
    }

    /// Makes an object what a real server would keep and the types here cannot hold: nothing of it is checked.
    ///
    /// # Panics
    /// Where there is no such object.
    pub fn spoil(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        spoil: impl FnOnce(&mut Value),
    ) {
        let mut inner = self.lock();
        let old = inner.get(resource, namespace, name).expect("an object to spoil");
        let mut new = Value::clone(&old);
        spoil(&mut new);
        self.commit(&mut inner, ChangeKind::Modified, resource, new, Some(old));
    }

    /// Removes the object, or marks it as terminating while finalizers hold it. Dependents stay: collecting
    /// them is the garbage collector's work. Deleting a namespace deletes everything in it.
    pub fn delete(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, ApiError> {
        self.delete_with(resource, namespace, name, &Preconditions::default(), false)
    }

    /// [`Store::delete`] bound to preconditions; a dry run answers the same and changes nothing.
    pub fn delete_with(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        preconditions: &Preconditions,
        dry_run: bool,
    ) -> Result<Arc<Value>, ApiError> {
        let resource = resource.stored();
        let mut inner = self.lock();
        let old = inner
            .get(resource, namespace, name)
            .ok_or_else(|| ApiError::not_found(resource, name))?;
        preconditions.check(resource, &old)?;
        if dry_run || (is_terminating(&old) && has_finalizers(&old)) {
            return Ok(old);
        }
        if has_finalizers(&old) {
            let mut marked = Value::clone(&old);
            marked["metadata"]["deletionTimestamp"] = json!(self.clock.now_rfc3339());
            marked["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            return Ok(self.commit(&mut inner, ChangeKind::Modified, resource, marked, Some(old)));
        }
        if *resource == NAMESPACES {
            self.empty_namespace(&mut inner, name);
        }
        let gone = Value::clone(&old);
        Ok(self.commit(&mut inner, ChangeKind::Deleted, resource, gone, Some(old)))
    }

    /// A feed of every change from now on. A receiver that lags by thousands of changes loses some.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Change>> {
        self.changes.subscribe()
    }

    /// Wakes whenever the revision rises; the watcher then reads [`Store::changes_since`], so it cannot lag.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    /// All changes after `revision`, or `Expired` when the history no longer reaches back to it.
    pub fn changes_since(&self, revision: u64) -> Result<Vec<Arc<Change>>, ApiError> {
        Ok(self.lock().history.since(revision)?.cloned().collect())
    }

    /// Forgets the history, as etcd's compaction does: older watches and continue tokens expire.
    pub fn compact(&self) {
        let mut inner = self.lock();
        inner.history = History::new(inner.revision);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic inside `mutate` happens before anything is written, so the data behind a poisoned lock is sound.
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn commit(
        &self,
        inner: &mut Inner,
        kind: ChangeKind,
        resource: &'static Resource,
        mut object: Value,
        previous: Option<Arc<Value>>,
    ) -> Arc<Value> {
        inner.revision += 1;
        let revision = inner.revision;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        let object = Arc::new(object);
        let table = inner.tables.entry((resource.group, resource.plural)).or_default();
        match kind {
            ChangeKind::Added | ChangeKind::Modified => table.insert(key_of(&object), Arc::clone(&object)),
            ChangeKind::Deleted => table.remove(&key_of(&object)),
        };
        let change = Arc::new(Change {
            kind,
            revision,
            resource,
            object: Arc::clone(&object),
            previous,
        });
        inner.history.push(Arc::clone(&change));
        // Sent under the lock, so that subscribers see changes in the order of their revisions.
        let _nobody_listens = self.changes.send(change);
        self.revision.send_replace(revision);
        object
    }

    fn empty_namespace(&self, inner: &mut Inner, namespace: &str) {
        for resource in resources::ALL
            .iter()
            .copied()
            .filter(|resource| resource.view_of.is_none())
        {
            for object in inner.list(resource, Some(namespace)) {
                let gone = Value::clone(&object);
                self.commit(inner, ChangeKind::Deleted, resource, gone, Some(object));
            }
        }
    }
}

impl Inner {
    fn table(&self, resource: &'static Resource) -> Option<&Table> {
        let resource = resource.stored();
        self.tables.get(&(resource.group, resource.plural))
    }

    fn get(&self, resource: &'static Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.table(resource)?
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    fn list(&self, resource: &'static Resource, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let Some(table) = self.table(resource) else {
            return Vec::new();
        };
        match namespace {
            None => table.values().cloned().collect(),
            Some(namespace) => table
                .range((namespace.to_owned(), String::new())..)
                .take_while(|((in_namespace, _), _)| in_namespace == namespace)
                .map(|(_, object)| Arc::clone(object))
                .collect(),
        }
    }

    fn require_namespace(&self, resource: &Resource, namespace: &str) -> Result<(), ApiError> {
        if resource.namespaced && self.get(&NAMESPACES, "", namespace).is_none() {
            return Err(ApiError::not_found(&NAMESPACES, namespace));
        }
        Ok(())
    }
}

impl Preconditions {
    fn check(&self, resource: &Resource, object: &Value) -> Result<(), ApiError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let pairs = [
            ("UID", "uid", &self.uid),
            ("ResourceVersion", "resourceVersion", &self.resource_version),
        ];
        for (word, field, wanted) in pairs {
            let actual = object["metadata"][field].as_str().unwrap_or_default();
            if let Some(wanted) = wanted
                && wanted != actual
            {
                let detail = format!(
                    "the {word} in the precondition ({wanted}) does not match the {word} in record ({actual}). \
                     The object might have been deleted and then recreated"
                );
                return Err(ApiError::conflict(resource, name, &detail));
            }
        }
        Ok(())
    }
}

fn key_of(object: &Value) -> (String, String) {
    let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (field("namespace"), field("name"))
}

fn is_terminating(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|finalizers| !finalizers.is_empty())
}

#[cfg(test)]
mod tests;
