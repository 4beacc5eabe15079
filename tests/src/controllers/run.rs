//! The controllers' loop: takes the store's changes in, and reconciles one dirty object after the other.
//!
//! It reads changes by revision and not from a bounded feed, so that it cannot lose one however much it lags.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::key::{ObjectKey, controller_of};
use super::{cronjob, daemonset, deployment, garbage_collector, job, replicaset, statefulset};
use crate::apiserver::resources::{
    self, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, NODES, REPLICA_SETS, Resource, STATEFUL_SETS,
};
use crate::apiserver::store::{Change, ChangeKind, Store};

type Reconcile = fn(&mut Cluster, &ObjectKey);

const CONTROLLERS: [(&Resource, Reconcile); 6] = [
    (&DEPLOYMENTS, deployment::reconcile),
    (&REPLICA_SETS, replicaset::reconcile),
    (&STATEFUL_SETS, statefulset::reconcile),
    (&DAEMON_SETS, daemonset::reconcile),
    (&JOBS, job::reconcile),
    (&CRON_JOBS, cronjob::reconcile),
];

/// How many reconciliations run before other tasks get their turn.
const BATCH: usize = 32;

/// Runs the controllers until `stop`. Each reacts to a change after `reaction` of sandbox time: a client that reads
/// back at once sees the state a real cluster shows then, with `observedGeneration` behind.
pub async fn run(store: Store, reaction: Duration, stop: CancellationToken) {
    let mut revisions = store.revisions();
    let mut controllers = Controllers {
        reaction,
        revision: 0,
        cluster: Cluster::new(store),
    };
    controllers.take_all();
    loop {
        controllers.take_changes();
        if controllers.work_off() {
            tokio::task::yield_now().await;
            continue;
        }
        let next = controllers.cluster.queue.next_time();
        let pause = async {
            match next {
                Some(time) => tokio::time::sleep_until(time.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = pause => {}
            changed = revisions.changed() => if changed.is_err() { return },
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

#[derive(Debug)]
struct Controllers {
    cluster: Cluster,
    reaction: Duration,
    /// Changes up to here have been taken in.
    revision: u64,
}

impl Controllers {
    /// Reads everything, at the start and after the history was cut off.
    fn take_all(&mut self) {
        self.revision = self.cluster.store.revision();
        for resource in resources::ALL
            .iter()
            .filter(|resource| resource.view_of.is_none())
        {
            for object in self.cluster.store.list(resource, None) {
                self.cluster.index.insert(resource, &object, None);
                self.mark(resource, &object);
            }
        }
    }

    fn take_changes(&mut self) {
        loop {
            match self.cluster.store.changes_since(self.revision) {
                Ok(changes) if changes.is_empty() => return,
                Ok(changes) => {
                    for change in changes {
                        self.revision = change.revision;
                        self.take(&change);
                    }
                }
                Err(_expired) => {
                    self.take_all();
                    return;
                }
            }
        }
    }

    fn take(&mut self, change: &Change) {
        let previous: Option<&Value> = change.previous.as_ref().map(Arc::as_ref);
        match change.kind {
            ChangeKind::Added | ChangeKind::Modified => {
                self.cluster
                    .index
                    .insert(change.resource, &change.object, previous);
                garbage_collector::object_changed(&self.cluster, change.resource, &change.object);
            }
            ChangeKind::Deleted => {
                self.cluster.index.remove(change.resource, &change.object);
                garbage_collector::owner_deleted(&self.cluster, &change.object);
                garbage_collector::dependent_deleted(&self.cluster, &change.object);
                self.mark_owner_of_owner(&change.object);
            }
        }
        self.mark(change.resource, &change.object);
    }

    /// A Deployment that recreates waits for Pods its `ReplicaSet` no longer counts.
    fn mark_owner_of_owner(&mut self, object: &Value) {
        let Some(owner) = controller_of(object).filter(|key| key.is_of(&REPLICA_SETS)) else {
            return;
        };
        if let Some(key) = self.cluster.get(&owner).and_then(|set| controller_of(&set)) {
            let time = self.reaction_time();
            self.cluster.queue.add(key, time);
        }
    }

    fn reaction_time(&self) -> Instant {
        Instant::now() + self.cluster.clock.real_duration(self.reaction)
    }

    /// Puts the object and its controller on the queue.
    fn mark(&mut self, resource: &'static Resource, object: &Value) {
        let time = self.reaction_time();
        let has_controller = |key: &ObjectKey| CONTROLLERS.iter().any(|(resource, _)| key.is_of(resource));
        let own = ObjectKey::of(resource, object);
        for key in [Some(own), controller_of(object)]
            .into_iter()
            .flatten()
            .filter(has_controller)
        {
            self.cluster.queue.add(key, time);
        }
        if *resource == NODES {
            for set in self.cluster.store.list(&DAEMON_SETS, None) {
                self.cluster.queue.add(ObjectKey::of(&DAEMON_SETS, &set), time);
            }
        }
    }

    /// Reconciles what is due. False when nothing was.
    fn work_off(&mut self) -> bool {
        for done in 0..BATCH {
            let Some(key) = self.cluster.queue.pop(Instant::now()) else {
                return done > 0;
            };
            if let Some((_, reconcile)) = CONTROLLERS.iter().find(|(resource, _)| key.is_of(resource)) {
                reconcile(&mut self.cluster, &key);
            }
            self.take_changes();
        }
        true
    }
}
