//! The kubelet (and scheduler) of the one node: takes every pod in, runs it, and reports.
//!
//! A container is either simulated, with its image really looked up in its registry and its behaviour read from the
//! image's labels ([`behaviour`]), or a real process ([`process`]). [`pod_worker`] is the place to start reading.

pub mod back_off;
pub mod behaviour;
pub mod board;
pub mod container_state;
pub mod container_worker;
pub mod environment;
pub mod image_name;
pub mod images;
pub mod logs;
pub mod node;
pub mod pod_status;
pub mod pod_worker;
pub mod prepare_program;
pub mod probes;
pub mod process;
pub mod registry_client;
mod run_program;
mod run_simulated;
pub mod volumes;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::node::Node;
use self::pod_worker::Fate;
use crate::apiserver::resources::PODS;
use crate::apiserver::store::ChangeKind;

/// Runs all pods until `stop`; then their containers are dropped, and real processes killed.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut revisions = node.store.revisions();
    let mut kubelet = Kubelet {
        revision: 0,
        node,
        fates: HashMap::new(),
        workers: JoinSet::new(),
    };
    kubelet.take_all();
    loop {
        kubelet.take_changes();
        tokio::select! {
            () = stop.cancelled() => return,
            changed = revisions.changed() => if changed.is_err() { return },
            Some(ended) = kubelet.workers.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a pod's task failed");
                }
            }
        }
    }
}

struct Kubelet {
    node: Arc<Node>,
    revision: u64,
    /// By the pod's UID.
    fates: HashMap<String, watch::Sender<Fate>>,
    workers: JoinSet<()>,
}

impl Kubelet {
    fn take_all(&mut self) {
        self.revision = self.node.store.revision();
        let pods = self.node.store.list(&PODS, None);
        self.fates.retain(|uid, fate| {
            let exists = pods.iter().any(|pod| pod["metadata"]["uid"] == uid.as_str());
            if !exists {
                fate.send_replace(Fate::Unwanted);
            }
            exists
        });
        for pod in pods {
            self.take(&pod);
        }
    }

    fn take_changes(&mut self) {
        let Ok(changes) = self.node.store.changes_since(self.revision) else {
            self.take_all();
            return;
        };
        for change in changes {
            self.revision = change.revision;
            if *change.resource != PODS {
                continue;
            }
            match change.kind {
                ChangeKind::Added | ChangeKind::Modified => self.take(&change.object),
                ChangeKind::Deleted => {
                    if let Some(fate) = self.fates.remove(uid(&change.object)) {
                        fate.send_replace(Fate::Unwanted);
                    }
                }
            }
        }
    }

    fn take(&mut self, pod: &Arc<Value>) {
        let is_deleted = pod["metadata"]["deletionTimestamp"].is_string();
        let fate = if is_deleted { Fate::Unwanted } else { Fate::Wanted };
        if let Some(known) = self.fates.get(uid(pod)) {
            known.send_if_modified(|current| std::mem::replace(current, fate) != fate);
            return;
        }
        let (sender, receiver) = watch::channel(fate);
        self.fates.insert(uid(pod).to_owned(), sender);
        self.workers
            .spawn(pod_worker::run(Arc::clone(&self.node), Arc::clone(pod), receiver));
    }
}

fn uid(pod: &Value) -> &str {
    pod["metadata"]["uid"].as_str().unwrap_or_default()
}
