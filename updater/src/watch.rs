//! The watched part of the cluster, as stores that follow it, and one signal that says "look again".
//!
//! Nothing is decided here and nothing is polled. Followers keep their stores warm as the leader does.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use shared::io::client::explain;
use shared::io::record_store;

use crate::signals::Signals;

/// Objects in one answer to a list: more would make one answer of a large cluster too slow.
const PAGE_SIZE: u32 = 500;
/// How long the check at the start may take for each resource.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Where workloads are watched; empty for all namespaces.
    pub workloads: Vec<String>,
    /// Where the records are.
    pub records: String,
}

impl Scope {
    /// The APIs of the workloads, each with the name of what it shows.
    fn deployments(&self, client: &Client) -> Vec<(String, Api<Deployment>)> {
        if self.workloads.is_empty() {
            return vec![(
                "deployments in all namespaces".to_owned(),
                Api::all(client.clone()),
            )];
        }
        let named = |namespace: &String| {
            (
                format!("deployments in namespace {namespace}"),
                Api::namespaced(client.clone(), namespace),
            )
        };
        self.workloads.iter().map(named).collect()
    }

    fn records(&self, client: &Client) -> (String, Api<ConfigMap>) {
        let name = format!("scan records in namespace {}", self.records);
        (name, Api::namespaced(client.clone(), &self.records))
    }

    /// The name of everything that must have been seen before anything is decided.
    pub fn gates(&self, client: &Client) -> Vec<String> {
        let deployments = self.deployments(client).into_iter().map(|(name, _)| name);
        deployments.chain([self.records(client).0]).collect()
    }
}

/// What the watches have seen.
#[derive(Clone)]
pub struct Stores {
    pub deployments: Vec<Store<Deployment>>,
    pub records: Store<ConfigMap>,
}

impl Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deployments: usize = self.deployments.iter().map(Store::len).sum();
        f.debug_struct("Stores")
            .field("deployments", &deployments)
            .field("records", &self.records.len())
            .finish()
    }
}

/// Makes sure, by a list of one item each, that we may read what is to be watched. The error says in one sentence what
/// is missing. Trouble that may pass by itself is none: the watches try again.
pub async fn check_access(client: &Client, scope: &Scope, lease: &str) -> Result<(), String> {
    for (name, api) in scope.deployments(client) {
        check(&name, api.list(&ListParams::default().limit(1))).await?;
    }
    let (name, api) = scope.records(client);
    check(
        &name,
        api.list(&ListParams::default().labels(&record_store::watched()).limit(1)),
    )
    .await?;
    let leases: Api<Lease> = Api::namespaced(client.clone(), &scope.records);
    check(
        &format!("lease {lease} in namespace {}", scope.records),
        leases.get_opt(lease),
    )
    .await
}

async fn check<T>(name: &str, call: impl Future<Output = Result<T, kube::Error>>) -> Result<(), String> {
    let problem = match tokio::time::timeout(CHECK_LIMIT, call).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(kube::Error::Api(status))) if !matches!(status.code, 401 | 403) => {
            explain(&format!("reading {name}"), &kube::Error::Api(status))
        }
        Ok(Err(error)) => return Err(explain(&format!("reading {name}"), &error)),
        Err(_) => format!("reading {name}: no answer within {CHECK_LIMIT:?}"),
    };
    tracing::warn!(problem, "the cluster has trouble; going on");
    Ok(())
}

/// Stores that follow the cluster for as long as the futures are polled. They end only when something is broken.
pub fn start(client: &Client, scope: &Scope, signals: &Signals) -> (Stores, Vec<BoxFuture<'static, ()>>) {
    let mut tasks = Vec::new();
    let mut deployments = Vec::new();
    for (name, api) in scope.deployments(client) {
        let (store, task) = follow(
            name,
            "deployments",
            api,
            watcher::Config::default(),
            signals.clone(),
        );
        deployments.push(store);
        tasks.push(task);
    }
    let (name, api) = scope.records(client);
    let config = watcher::Config::default().labels(&record_store::watched());
    let (records, task) = follow(name, "records", api, config, signals.clone());
    tasks.push(task);
    (Stores { deployments, records }, tasks)
}

fn follow<K>(
    name: String,
    resource: &'static str,
    api: Api<K>,
    config: watcher::Config,
    signals: Signals,
) -> (Store<K>, BoxFuture<'static, ()>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + DeserializeOwned
        + Clone
        + Debug
        + Send
        + Sync,
    K: 'static,
{
    let (store, writer) = reflector::store();
    let stream = watch(api, config.page_size(PAGE_SIZE)).default_backoff();
    (store, drain(name, resource, stream, writer, signals).boxed())
}

async fn drain<K>(
    name: String,
    resource: &'static str,
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    writer: Writer<K>,
    signals: Signals,
) where
    K: Resource<DynamicType = ()> + Clone,
{
    // Half of a stored object's bytes, and nobody here reads them.
    let slim = |object: &mut K| object.managed_fields_mut().clear();
    let mut events = pin!(stream.modify(slim).reflect(writer));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::InitDone) => {
                signals.health.pass(&name);
                tracing::debug!(name, "in view");
                signals.look_again.notify_one();
            }
            Ok(Event::Apply(_) | Event::Delete(_)) => signals.look_again.notify_one(),
            Ok(Event::Init | Event::InitApply(_)) => {}
            Err(error) => {
                let problem = problem(&name, &error);
                if is_expired(&error) {
                    tracing::debug!(problem, "the server forgot where we were; listing anew");
                } else {
                    tracing::warn!(problem, "a watch broke; it is begun anew");
                }
                signals.metrics.watch_failed(resource);
                signals.health.fail(&name, &problem);
            }
        }
    }
}

/// 410: the server keeps changes for some minutes only, so this is how a quiet watch ends now and then.
fn is_expired(error: &watcher::Error) -> bool {
    let status = match error {
        watcher::Error::WatchError(status) | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
            status
        }
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => return false,
    };
    status.code == 410
}

fn problem(name: &str, error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(source) => explain(&format!("reading {name}"), source),
        watcher::Error::WatchStartFailed(source) | watcher::Error::WatchFailed(source) => {
            explain(&format!("watching {name}"), source)
        }
        watcher::Error::WatchError(status) => {
            format!("watching {name}: {} ({})", status.message, status.code)
        }
        watcher::Error::NoResourceVersion => format!("watching {name}: the server sent no resourceVersion"),
    }
}
