//! What every controller works with: the store, the clock, the owner index and the queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::{self, Severity};
use super::index::{Index, uid_of};
use super::key::{ObjectKey, controller_uid};
use super::queue::Queue;
use crate::apiserver::error::ApiError;
use crate::apiserver::resources::{PODS, Resource};
use crate::apiserver::store::Store;
use crate::clock::{Clock, rfc3339_seconds};

/// The controllers' view of the cluster. One task owns it, so a reconciliation never races another one.
#[derive(Debug)]
pub struct Cluster {
    /// The objects.
    pub store: Store,
    /// Sandbox time.
    pub clock: Clock,
    /// Owners and dependents.
    pub index: Index,
    /// What is to be reconciled.
    pub queue: Queue,
}

impl Cluster {
    /// A view that knows nothing yet.
    pub fn new(store: Store) -> Self {
        let clock = store.clock();
        Self {
            store,
            clock,
            index: Index::default(),
            queue: Queue::default(),
        }
    }

    /// Sandbox time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sandbox time as objects carry it.
    pub fn now_text(&self) -> String {
        rfc3339_seconds(self.clock.now())
    }

    /// Reconciles `key` again after a sandbox duration.
    pub fn requeue_after(&mut self, key: &ObjectKey, delay: Duration) {
        self.queue
            .add(key.clone(), Instant::now() + self.clock.real_duration(delay));
    }

    /// Reconciles `key` again at a sandbox time, at once when that has passed.
    pub fn requeue_at(&mut self, key: &ObjectKey, time: Timestamp) {
        // One millisecond more, so that the comparison with the clock comes out right.
        let delay = Duration::try_from(time.duration_since(self.now())).unwrap_or_default();
        self.requeue_after(key, delay + Duration::from_millis(1));
    }

    /// The object under a key.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<Value>> {
        self.store.get(key.resource(), &key.namespace, &key.name)
    }

    /// Objects of `resource` that `owner` controls.
    pub fn controlled(&self, owner: &Value, resource: &'static Resource) -> Vec<Arc<Value>> {
        let uid = uid_of(owner);
        let keys = self.index.dependents(uid);
        let objects = keys
            .iter()
            .filter(|key| key.is_of(resource))
            .filter_map(|key| self.get(key));
        objects
            .filter(|object| controller_uid(object) == Some(uid))
            .collect()
    }

    /// Creates a dependent and reports the outcome as an Event of the owner.
    pub fn create_for(
        &self,
        owner: &Value,
        component: &str,
        resource: &'static Resource,
        object: Value,
    ) -> Result<Arc<Value>, ApiError> {
        let created = self.store.create(resource, object);
        let what = if *resource == PODS {
            "pod"
        } else {
            resource.singular
        };
        match &created {
            Ok(object) => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let message = format!("Created {what}: {name}");
                self.event(owner, component, Severity::Normal, "SuccessfulCreate", &message);
            }
            Err(error) => {
                let message = format!("Error creating: {error}");
                self.event(owner, component, Severity::Warning, "FailedCreate", &message);
            }
        }
        created
    }

    /// Deletes a dependent and reports it as an Event of the owner. One that is gone already is fine.
    pub fn delete_for(&self, owner: &Value, component: &str, resource: &'static Resource, object: &Value) {
        let key = ObjectKey::of(resource, object);
        if self.store.delete(resource, &key.namespace, &key.name).is_ok() {
            let what = if *resource == PODS {
                "pod"
            } else {
                resource.singular
            };
            let message = format!("Deleted {what}: {}", key.name);
            self.event(owner, component, Severity::Normal, "SuccessfulDelete", &message);
        }
    }

    /// Replaces the status. The object may be gone by now; then there is nothing to report.
    pub fn put_status(&self, key: &ObjectKey, status: &Value) {
        let outcome = self
            .store
            .update_status(key.resource(), &key.namespace, &key.name, |object| {
                object["status"] = status.clone();
                Ok(())
            });
        report(key, outcome);
    }

    /// Changes anything but the status. The object may be gone by now.
    pub fn change(&self, key: &ObjectKey, mutate: impl FnOnce(&mut Value)) -> Option<Arc<Value>> {
        let outcome = self
            .store
            .update(key.resource(), &key.namespace, &key.name, |object| {
                mutate(object);
                Ok(())
            });
        report(key, outcome)
    }

    /// Records an Event about `object`.
    pub fn event(&self, object: &Value, component: &str, severity: Severity, reason: &str, message: &str) {
        events::record(
            &self.store,
            &events::Source { component, host: "" },
            object,
            severity,
            reason,
            message,
        );
    }
}

fn report(key: &ObjectKey, outcome: Result<Arc<Value>, ApiError>) -> Option<Arc<Value>> {
    match outcome {
        Ok(object) => Some(object),
        Err(error) => {
            tracing::debug!(name = key.name, %error, "a controller's write was refused");
            None
        }
    }
}

/// The reference that makes `owner` the controller of a dependent.
pub fn controller_reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Oldest first; equal ages by name.
pub fn sort_by_age(objects: &mut [Arc<Value>]) {
    let rank = |object: &Arc<Value>| {
        let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        (field("creationTimestamp"), field("name"))
    };
    objects.sort_by_key(rank);
}
