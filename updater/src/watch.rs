//! The watched part of the cluster, as stores that follow it, and one signal that says "look again".
//!
//! Nothing is decided here and nothing is polled. Followers keep their stores warm as the leader does.

mod changes;

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::ListParams;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use shared::domain::annotations::{Installation, Layer};
use shared::domain::plan::Unwatched;
use shared::domain::release_notes::source::Forges;
use shared::domain::scan_request::{ScanJob, Scanner};
use shared::domain::workload::{Workload, WorkloadKind, WorkloadObject};
use shared::io::client::{WATCH_SECONDS, explain};
use shared::io::clock;
use shared::io::record_store;
use shared::io::source::Source;
use tokio::time::Instant;

use self::changes::{changes, is_expired, problem};
use crate::api;
use crate::cli::Settings;
use crate::health::Health;
use crate::signals::Signals;
use crate::store::{Store, View, Writer};
use crate::views::{self, Record};

/// Objects in one answer to a list, which are in memory as a whole: read, a workload takes some 10 KiB.
const PAGE_SIZE: u32 = 100;
/// Their name among what is waited for.
const NAMESPACES: &str = "namespaces";
const SCANNER: &str = "the scanner's CronJob";
const SCAN_JOBS: &str = "the scanner's Jobs";
/// How long the check at the start may take for each resource.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Where workloads are watched; empty for all namespaces.
    pub workloads: Vec<String>,
    /// Labels that the namespace of a workload has to have besides, as a selector.
    pub selector: Option<String>,
    /// Where the records are.
    pub records: String,
    /// The scanner's CronJob, which is there too.
    pub scanner: String,
    /// What holds for workloads that do not say otherwise.
    pub installation: Arc<Installation>,
    /// Servers that may be asked for release notes.
    pub forges: Arc<Forges>,
    /// Whether they are.
    pub fetches_notes: bool,
}

impl Scope {
    /// What the settings name, and where they are silent the namespace of the client configuration.
    pub fn of(settings: &Settings, client: &Client) -> Self {
        let records = settings.namespace.clone();
        let records = records.unwrap_or_else(|| client.default_namespace().to_owned());
        let installation = settings.installation.clone();
        let channels = settings.channels.destinations.keys().copied();
        Self {
            workloads: settings.watch_namespaces.clone(),
            selector: settings.watch_namespace_selector.clone(),
            scanner: settings.scanner_cronjob.clone(),
            installation: Arc::new(installation.living_in(&records).telling_on(channels.collect())),
            forges: Arc::new(settings.notes.forges.clone()),
            fetches_notes: settings.notes.fetch,
            records,
        }
    }

    /// Each kind of workload in each place where it is watched, with a name for it.
    fn workloads(&self) -> Vec<(String, WorkloadKind, Option<&str>)> {
        let places: Vec<Option<&str>> = if self.workloads.is_empty() {
            vec![None]
        } else {
            self.workloads
                .iter()
                .map(|namespace| Some(namespace.as_str()))
                .collect()
        };
        let in_place = |kind: WorkloadKind, place: Option<&'_ str>| match place {
            Some(namespace) => format!("{} in namespace {namespace}", kind.plural()),
            None => format!("{} in all namespaces", kind.plural()),
        };
        let kinds = WorkloadKind::ALL.iter();
        kinds
            .flat_map(|kind| {
                places
                    .iter()
                    .map(|place| (in_place(*kind, *place), *kind, *place))
            })
            .collect()
    }

    fn records(&self, client: &Client) -> (String, Api<ConfigMap>) {
        (
            self.records_name(),
            Api::namespaced(client.clone(), &self.records),
        )
    }

    fn records_name(&self) -> String {
        format!("scan records in namespace {}", self.records)
    }

    /// The name of everything that must have been seen before anything is decided.
    pub fn gates(&self) -> Vec<String> {
        let workloads = self.workloads().into_iter().map(|(name, _, _)| name);
        workloads
            .chain([self.records_name()])
            .chain([NAMESPACES, SCANNER, SCAN_JOBS].map(str::to_owned))
            .collect()
    }

    /// The fields of the one CronJob.
    fn scanner_fields(&self) -> String {
        format!("metadata.name={}", self.scanner)
    }

    fn labels(&self) -> &str {
        self.selector.as_deref().unwrap_or_default()
    }
}

/// What the watches have seen.
#[derive(Debug, Clone)]
pub struct Stores {
    pub workloads: Vec<Store<Arc<Workload>>>,
    pub records: Store<Record>,
    /// `None` where they may not be read.
    pub namespaces: Option<Store<(String, Arc<Layer>)>>,
    /// `None` where they may not be read.
    pub scanner: Option<ScannerStores>,
    /// Whether what they show can be right still.
    pub health: Arc<Health>,
    pub installation: Arc<Installation>,
    /// Servers that may be asked for release notes.
    pub forges: Arc<Forges>,
    /// Whether they are.
    pub fetches_notes: bool,
}

impl Stores {
    /// What of the cluster cannot be watched now that decisions need. Scans are asked for as well as it goes.
    pub(crate) fn unwatched(&self) -> Vec<Arc<Unwatched>> {
        let broken = self.health.broken(Instant::now()).into_iter();
        let needed = broken.filter(|unwatched| ![SCANNER, SCAN_JOBS].contains(&unwatched.what.as_str()));
        needed.map(Arc::new).collect()
    }
}

/// The scanner's CronJob, if there is one, and the Jobs of CronJobs beside it.
#[derive(Debug, Clone)]
pub struct ScannerStores {
    pub cron_job: Store<Arc<Scanner>>,
    pub jobs: Store<ScanJob>,
}

/// What may be read beside that which has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub namespaces: bool,
    pub scanner: bool,
}

/// Makes sure, by a list of one item each, that we may read what is to be watched. The error says in one sentence what
/// is missing. Trouble that may pass by itself is none: the watches try again.
pub async fn check_access(client: &Client, scope: &Scope) -> Result<Access, String> {
    for (name, kind, namespace) in scope.workloads() {
        let api = api::workloads(client, kind, namespace);
        check(&name, api.list(&ListParams::default().limit(1))).await?;
    }
    let (name, api) = scope.records(client);
    check(
        &name,
        api.list(&ListParams::default().labels(&record_store::watched()).limit(1)),
    )
    .await?;
    let namespaces = may_read_namespaces(client, scope).await?;
    let scanner = may_read_scanner(client, scope).await?;
    Ok(Access { namespaces, scanner })
}

/// The same for the lease.
pub async fn check_lease(client: &Client, scope: &Scope, lease: &str) -> Result<(), String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), &scope.records);
    check(
        &format!("lease {lease} in namespace {}", scope.records),
        leases.get_opt(lease),
    )
    .await
}

/// Whether their annotations can be obeyed. Without the right to that, an installation goes on that does not depend on it.
async fn may_read_namespaces(client: &Client, scope: &Scope) -> Result<bool, String> {
    let api: Api<Namespace> = Api::all(client.clone());
    let one = ListParams::default().limit(1).labels(scope.labels());
    let mut refused = None;
    let list = async {
        match api.list(&one).await {
            // 400: the selector is none.
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403) => {
                refused = Some(explain("reading namespaces", &kube::Error::Api(status)));
                Ok(())
            }
            answer => answer.map(drop),
        }
    };
    check(NAMESPACES, list).await?;
    let Some(problem) = refused else {
        return Ok(true);
    };
    if let Some(selector) = &scope.selector {
        return Err(format!("--watch-namespace-selector {selector}: {problem}"));
    }
    tracing::warn!(problem, "going on without what namespaces say");
    Ok(false)
}

/// Whether scans can be asked for. Without the right to that, they come by their schedule.
async fn may_read_scanner(client: &Client, scope: &Scope) -> Result<bool, String> {
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), &scope.records);
    let jobs: Api<Job> = Api::namespaced(client.clone(), &scope.records);
    let one = ListParams::default().limit(1);
    let mut refused = None;
    let lists = async {
        let own = one.clone().fields(&scope.scanner_fields());
        let both = async {
            cron_jobs
                .list(&own)
                .await
                .map(drop)
                .and(jobs.list(&one).await.map(drop))
        };
        match both.await {
            Err(kube::Error::Api(status)) if status.code == 403 => {
                refused = Some(explain("reading Jobs", &kube::Error::Api(status)));
                Ok(())
            }
            answer => answer,
        }
    };
    check(SCAN_JOBS, lists).await?;
    if let Some(problem) = &refused {
        tracing::warn!(
            problem,
            "no scan can be requested; going on with those of the schedule"
        );
    }
    Ok(refused.is_none())
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
pub fn start(
    client: &Client,
    scope: &Scope,
    access: Access,
    signals: &Signals,
) -> (Stores, Vec<BoxFuture<'static, ()>>) {
    let mut workloads = Vec::new();
    let mut tasks = Vec::new();
    for (name, kind, namespace) in scope.workloads() {
        let (store, task) = match kind {
            WorkloadKind::Deployment => follow_workloads::<Deployment>(client, name, namespace, signals),
            WorkloadKind::StatefulSet => follow_workloads::<StatefulSet>(client, name, namespace, signals),
            WorkloadKind::DaemonSet => follow_workloads::<DaemonSet>(client, name, namespace, signals),
            WorkloadKind::CronJob => follow_workloads::<CronJob>(client, name, namespace, signals),
        };
        workloads.push(store);
        tasks.push(task);
    }
    let source = Source::namespaced(client, &scope.records);
    let config = watcher::Config::default().labels(&record_store::watched());
    let view = Box::new(views::record);
    let name = scope.records_name();
    let (records, task) = follow(name, "records", source, config, view, signals.clone());
    tasks.push(task);
    let namespaces = access.namespaces.then(|| {
        let (store, task) = follow_namespaces(client, scope, signals);
        tasks.push(task);
        store
    });
    if namespaces.is_none() {
        signals.health.pass(NAMESPACES);
    }
    let scanner = access.scanner.then(|| {
        let (stores, more) = follow_scanner(client, scope, signals);
        tasks.extend(more);
        stores
    });
    if scanner.is_none() {
        signals.health.pass(SCANNER);
        signals.health.pass(SCAN_JOBS);
    }
    let stores = Stores {
        workloads,
        records,
        namespaces,
        scanner,
        health: Arc::clone(&signals.health),
        installation: Arc::clone(&scope.installation),
        forges: Arc::clone(&scope.forges),
        fetches_notes: scope.fetches_notes,
    };
    (stores, tasks)
}

type Followed<V> = (Store<V>, BoxFuture<'static, ()>);

fn follow_workloads<K>(
    client: &Client,
    name: String,
    namespace: Option<&str>,
    signals: &Signals,
) -> Followed<Arc<Workload>>
where
    K: WorkloadObject + Object + Resource<Scope = NamespaceResourceScope>,
{
    let source: Source<K> = match namespace {
        Some(namespace) => Source::namespaced(client, namespace),
        None => Source::all(client),
    };
    let resource = K::WORKLOAD_KIND.plural();
    follow(
        name,
        resource,
        source,
        watcher::Config::default(),
        Box::new(views::workload),
        signals.clone(),
    )
}

/// Only those that the selector selects: to lose its labels is to be gone.
fn follow_namespaces(client: &Client, scope: &Scope, signals: &Signals) -> Followed<(String, Arc<Layer>)> {
    let config = watcher::Config::default().labels(scope.labels());
    let installation = Arc::clone(&scope.installation);
    let view = Box::new(move |object: &Namespace| Some(views::namespace(object, &installation)));
    follow(
        NAMESPACES.to_owned(),
        NAMESPACES,
        Source::all(client),
        config,
        view,
        signals.clone(),
    )
}

fn follow_scanner(
    client: &Client,
    scope: &Scope,
    signals: &Signals,
) -> (ScannerStores, [BoxFuture<'static, ()>; 2]) {
    let cron_jobs: Source<CronJob> = Source::namespaced(client, &scope.records);
    let jobs: Source<Job> = Source::namespaced(client, &scope.records);
    let own = watcher::Config::default().fields(&scope.scanner_fields());
    let (cron_job, follow_cron_job) = follow(
        SCANNER.to_owned(),
        "scanner",
        cron_jobs,
        own,
        Box::new(views::scanner),
        signals.clone(),
    );
    let (jobs, follow_jobs) = follow(
        SCAN_JOBS.to_owned(),
        "jobs",
        jobs,
        watcher::Config::default(),
        Box::new(views::scan_job),
        signals.clone(),
    );
    (ScannerStores { cron_job, jobs }, [follow_cron_job, follow_jobs])
}

/// What can be listed and watched.
trait Object:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Default + Send + Sync + 'static
{
}

impl<K> Object for K where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Default + Send + Sync + 'static
{
}

fn follow<K: Object, V: Send + Sync + 'static>(
    name: String,
    resource: &'static str,
    source: Source<K>,
    config: watcher::Config,
    view: View<K, V>,
    signals: Signals,
) -> Followed<V> {
    let (writer, store) = Writer::new(view);
    let stream = changes(source, config.page_size(PAGE_SIZE).timeout(WATCH_SECONDS));
    (store, drain(name, resource, stream, writer, signals).boxed())
}

async fn drain<K: Object, V>(
    name: String,
    resource: &'static str,
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    mut writer: Writer<K, V>,
    signals: Signals,
) {
    signals.metrics.watches(resource);
    let mut events = pin!(stream);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let changed = writer.take(&event);
                match event {
                    // Nothing was heard yet, or not all.
                    Event::Init | Event::InitApply(_) => {}
                    Event::InitDone => {
                        signals.health.pass(&name);
                        tracing::debug!(name, "in view");
                    }
                    Event::Apply(_) | Event::Delete(_) => signals.health.pass(&name),
                }
                if changed {
                    signals.look_again.notify_one();
                }
            }
            Err(error) => {
                let problem = problem(&name, &error);
                if is_expired(&error) {
                    tracing::debug!(problem, "the server forgot where we were; listing anew");
                } else {
                    tracing::warn!(problem, "a watch broke; it is begun anew");
                }
                signals.metrics.watch_failed(resource);
                signals
                    .health
                    .fail(&name, &problem, (Instant::now(), clock::now()));
            }
        }
    }
}
