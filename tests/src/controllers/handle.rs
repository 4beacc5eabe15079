//! Starting and stopping all of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::kubelet::logs::Logs;
use super::kubelet::node::{KubeconfigHook, KubeletOptions, Node};
use super::kubelet::process::kill_group;
use super::{kubelet, run};
use crate::apiserver::store::Store;
use crate::apiserver::{LogQuery, LogSource};

/// How the controllers and the kubelet are started.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    /// Images that are real programs: last segment of the repository -> path of the binary.
    pub programs: BTreeMap<String, PathBuf>,
    /// Kubeconfigs for real programs; without it they get none.
    pub kubeconfig_for: Option<KubeconfigHook>,
    /// Variables every real program gets, for example `SSL_CERT_FILE`.
    pub environment: BTreeMap<String, String>,
    /// Registries that are elsewhere: host in image names -> base URL.
    pub registry_addresses: BTreeMap<String, String>,
    /// The client for pulls and probes, for example with a private certificate authority.
    pub http: Option<reqwest::Client>,
    /// Sandbox time between a change and the controllers' reaction.
    pub reaction: Duration,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            programs: BTreeMap::new(),
            kubeconfig_for: None,
            environment: BTreeMap::new(),
            registry_addresses: BTreeMap::new(),
            http: None,
            reaction: Duration::from_millis(100),
        }
    }
}

/// The running controllers and kubelet. Dropping it stops them and kills every real process.
#[derive(Debug)]
pub struct Controllers {
    node: Arc<Node>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Controllers {
    /// Starts everything on the store, in its time.
    pub fn start(store: Store, options: ControllerOptions) -> Self {
        let ControllerOptions {
            programs,
            kubeconfig_for,
            environment,
            registry_addresses,
            http,
            reaction,
        } = options;
        let logs = Logs::default();
        let kubelet_options = KubeletOptions {
            programs,
            kubeconfig_for,
            environment,
            registry_addresses,
            http,
            logs,
        };
        let node = Arc::new(Node::new(store.clone(), kubelet_options));
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(run::run(store, reaction, stop.clone())),
            tokio::spawn(kubelet::run(Arc::clone(&node), stop.clone())),
        ];
        Self { node, stop, tasks }
    }

    /// What containers have written.
    pub fn logs(&self) -> Logs {
        self.node.options.logs.clone()
    }

    /// The process id of a pod's first container that is a running real program.
    pub fn process_id(&self, namespace: &str, pod: &str) -> Option<u32> {
        let ids = self.node.process_ids(namespace, pod);
        ids.values().next().and_then(|id| u32::try_from(*id).ok())
    }

    /// SIGKILL for the real programs of a pod, without a word to anybody. False when none runs.
    pub fn kill_pod_process(&self, namespace: &str, pod: &str) -> bool {
        let ids = self.node.process_ids(namespace, pod);
        for id in ids.values() {
            kill_group(*id);
        }
        !ids.is_empty()
    }

    /// Stops everything and waits for it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the controllers failed");
            }
        }
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
        // The tasks may not run again if the runtime ends too.
        self.node.kill_all();
    }
}

impl LogSource for Logs {
    fn lines(&self, query: &LogQuery) -> Result<Vec<String>, String> {
        self.read(&query.namespace, &query.pod, &query.container, query.previous)
    }
}
