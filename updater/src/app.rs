//! Puts the tasks together, once, and watches over them: none ends unseen.
//!
//! First the probes are served, then access is checked, then the watches, the lease and the reconciler begin. On the way
//! down work stops first, the lease is given back after it, and everything is over within seconds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use shared::domain::plan::{Readings, Seen};
use shared::domain::release_notes::book::Waited;
use shared::io::client::{ClientError, WATCH_LIMIT};
use shared::io::clock;
use tokio::net::TcpListener;
use tokio::sync::watch as watch_channel;
use tokio_util::sync::CancellationToken;

use crate::apply::Applier;
use crate::channels::ChannelSetupError;
use crate::cli::Settings;
use crate::client;
use crate::health::Health;
use crate::http::{self, Pages};
use crate::leader::{self, Claim, Leadership, LeaseOptions};
use crate::notes::{AllWanted, NotesWorker};
use crate::notify::Notifier;
use crate::outbox::Outbox;
use crate::pods::PodReader;
use crate::random;
use crate::receivers::Receivers;
use crate::reconcile::{Doing, Hands, Reconciler};
use crate::scans::ScanRequester;
use crate::signals::Signals;
use crate::tasks::{TaskError, Tasks};
use crate::watch::{self, Access, Scope, Stores};
use crate::web::{Site, Sources};

/// How long a call under way may take to end once we were told to stop. After a longer one the lease simply expires, and
/// the next leader sees in the cluster what became of it.
const STOP_LIMIT: Duration = Duration::from_secs(6);

/// Why the updater ended although nobody told it to.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("unable to listen on {address}: {source}; choose another with --listen-address and --port")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("{0}")]
    Access(String),
    #[error(transparent)]
    Channel(#[from] ChannelSetupError),
    #[error("the HTTP client of release notes could not be set up: {0}")]
    Notes(#[source] reqwest::Error),
    #[error(transparent)]
    Task(#[from] TaskError),
}

impl AppError {
    /// Whether starting was impossible, so that a person has to change something.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Client(_) | Self::Listen { .. } | Self::Access(_) | Self::Channel(_) | Self::Notes(_) => {
                true
            }
            Self::Task(_) => false,
        }
    }
}

/// Runs in the cluster that the environment names, until `stop`.
pub async fn start(settings: Settings, stop: CancellationToken) -> Result<(), AppError> {
    let client = client::connect(WATCH_LIMIT).await?;
    let address = settings.listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Listen { address, source })?;
    run(settings, client, listener, stop).await
}

/// Runs with this client, serves on this listener, until `stop`.
pub async fn run(
    settings: Settings,
    client: Client,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let started = clock::now();
    // Our own token: one task that ends takes the others with it, and not the caller.
    let stop = stop.child_token();
    let scope = Scope::of(&settings, &client);
    let namespace = scope.records.clone();
    let holder = leader::holder_name(&settings.pod_name, random::nonce());
    announce(&holder, &scope, &listener);

    let signals = Signals::new(scope.gates());
    let health = Arc::clone(&signals.health);
    let (claim, claimed) = watch_channel::channel(Claim::NONE);
    let leadership = Leadership::new(claimed, stop.clone());
    let mut tasks = Tasks::new(stop.clone(), STOP_LIMIT);
    let pages = Pages {
        signals: signals.clone(),
        leadership: leadership.clone(),
        site: Site::new(
            settings.page.clone(),
            signals.clone(),
            leadership.clone(),
            stop.clone(),
        ),
    };
    let site = pages.site.clone();
    serve(&mut tasks, listener, &pages, &stop).await;

    let access = check_access(&client, &scope, &settings.lease_name);
    let access = match stop.run_until_cancelled(access).await {
        Some(Ok(access)) => access,
        Some(Err(problem)) => {
            tasks.finish().await?;
            return Err(AppError::Access(problem));
        }
        None => return Ok(tasks.finish().await?),
    };
    let (stores, watches) = watch::start(&client, &scope, access, &signals);
    for watch in watches {
        tasks.spawn_until_stop("watch", watch);
    }
    let pods = Arc::new(PodReader::new(client.clone()));
    site.show(sources(&client, &settings, &namespace, (&stores, &pods)));
    let view = View {
        stores,
        pods,
        leadership,
        signals,
        started,
    };
    let outbox = outbox(&client, &settings, &namespace, &view)?;
    let notes = fetch_notes(&mut tasks, &client, &settings, &namespace, &view).map_err(AppError::Notes)?;
    let reconciler = reconciler(&client, &settings, &namespace, (view, outbox, notes));
    let work = reconcile(&mut tasks, reconciler, stop.clone());
    let lease = LeaseOptions {
        namespace,
        name: settings.lease_name,
        holder,
        duration: settings.lease_duration,
    };
    let lead = leader::run(client, lease, claim, stop.clone(), work);
    tasks.spawn("lease", once_ready(health, stop, lead));
    Ok(tasks.watch_over().await?)
}

/// Whoever has not seen the whole cluster could do nothing with the lease, and would keep it from those who have.
async fn once_ready(health: Arc<Health>, stop: CancellationToken, lead: impl Future<Output = ()>) {
    stop.run_until_cancelled(health.ready()).await;
    lead.await;
}

/// Beside an address of the pod, its loopback address: `kubectl port-forward` comes out there. Without it the rest is served.
async fn loopback(listener: &TcpListener) -> Option<TcpListener> {
    let address = listener.local_addr().ok()?;
    let beside = beside(address)?;
    let bound = TcpListener::bind(beside).await;
    bound
        .inspect_err(|error| tracing::warn!(%beside, %error, "kubectl port-forward will not reach the pages"))
        .ok()
}

fn beside(address: SocketAddr) -> Option<SocketAddr> {
    let loopback: IpAddr = match address.ip() {
        ip if ip.is_loopback() || ip.is_unspecified() => return None,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    Some(SocketAddr::new(loopback, address.port()))
}

/// What the pages show.
fn sources(
    client: &Client,
    settings: &Settings,
    namespace: &str,
    (stores, pods): (&Stores, &Arc<PodReader>),
) -> Sources {
    Sources {
        client: client.clone(),
        stores: stores.clone(),
        pods: Arc::clone(pods),
        limits: settings.limits,
        namespace: namespace.to_owned(),
        lease: settings.lease_name.clone(),
        pod: settings.pod_name.clone(),
    }
}

/// What the loop sees.
struct View {
    stores: Stores,
    pods: Arc<PodReader>,
    leadership: Leadership,
    signals: Signals,
    /// When this process did.
    started: Timestamp,
}

/// Nothing where nobody wants to be told.
fn outbox(
    client: &Client,
    settings: &Settings,
    namespace: &str,
    view: &View,
) -> Result<Option<Outbox>, ChannelSetupError> {
    let receivers = Receivers::new(settings)?;
    let channels = receivers.channels();
    if channels.is_empty() {
        return Ok(None);
    }
    for (channel, receiver) in channels {
        tracing::info!(%channel, receiver, "people and programs are told");
        view.signals.metrics.sends_on(channel);
    }
    let (leadership, look_again) = (view.leadership.clone(), Arc::clone(&view.signals.look_again));
    let names = (namespace, settings.lease_name.as_str());
    let told = (receivers, settings.patience);
    Ok(Some(Outbox::new(
        client.clone(),
        names,
        told,
        leadership,
        look_again,
    )))
}

/// Says whose release notes are wanted.
type WantsNotes = watch_channel::Sender<AllWanted>;

/// Nothing where none are to be fetched.
fn fetch_notes(
    tasks: &mut Tasks,
    client: &Client,
    settings: &Settings,
    namespace: &str,
    view: &View,
) -> Result<Option<WantsNotes>, reqwest::Error> {
    if !settings.notes.fetch {
        return Ok(None);
    }
    view.signals.metrics.fetches_notes();
    let (wants, wanted) = watch_channel::channel(AllWanted::default());
    let names = (namespace, settings.lease_name.as_str());
    let worker = NotesWorker::new(
        client.clone(),
        names,
        settings,
        view.leadership.clone(),
        (
            wanted,
            view.stores.records.clone(),
            Arc::clone(&view.signals.metrics),
        ),
    )?;
    tasks.spawn_until_stop("release notes", worker.run());
    Ok(Some(wants))
}

fn reconciler(
    client: &Client,
    settings: &Settings,
    namespace: &str,
    (view, outbox, notes): (View, Option<Outbox>, Option<WantsNotes>),
) -> Reconciler {
    let View {
        stores,
        pods,
        leadership,
        signals,
        started,
    } = view;
    let Settings {
        watch_namespaces: _,
        watch_namespace_selector: _,
        namespace: _,
        limits,
        scanner_cronjob,
        run_on_boot,
        listen: _,
        lease_name: _,
        lease_duration: _,
        pod_name,
        installation: _,
        webhook: _,
        notes: _,
        summary: _,
        channels: _,
        page: _,
        patience,
    } = settings;
    Reconciler {
        outbox,
        notes,
        stores,
        hands: Hands {
            notifier: Notifier::new(client.clone(), leadership.clone(), pod_name, *patience),
            applier: Applier::new(
                client.clone(),
                leadership.clone(),
                Arc::clone(&signals.look_again),
            ),
            metrics: Arc::clone(&signals.metrics),
        }
        .into(),
        work: Doing::default(),
        pods,
        scans: ScanRequester::new(
            client.clone(),
            leadership.clone(),
            namespace.to_owned(),
            scanner_cronjob.clone(),
            run_on_boot.then_some(started),
        ),
        leadership,
        limits: *limits,
        signals,
        seen: Seen::default(),
        readings: Readings::default(),
        waited: Waited::default(),
    }
}

async fn check_access(client: &Client, scope: &Scope, lease: &str) -> Result<Access, String> {
    let access = watch::check_access(client, scope).await?;
    watch::check_lease(client, scope, lease).await?;
    Ok(access)
}

/// The first line of the log.
fn announce(holder: &str, scope: &Scope, listener: &TcpListener) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        holder,
        namespace = scope.records,
        watching = if scope.workloads.is_empty() {
            "all namespaces".to_owned()
        } else {
            scope.workloads.join(", ")
        },
        selector = scope.selector,
        listening = listener
            .local_addr()
            .map(|address| address.to_string())
            .unwrap_or_default(),
        "kubefresh-updater"
    );
}

async fn serve(tasks: &mut Tasks, listener: TcpListener, pages: &Pages, stop: &CancellationToken) {
    let loopback = loopback(&listener).await;
    let listeners = [Some(listener), loopback].into_iter().flatten().collect();
    let server = http::serve(listeners, pages.clone(), stop.clone());
    tasks.spawn("http server", server);
}

/// Starts the loop, whose looks at a large cluster are to hold up neither lease nor pages. What is returned is over when it has
/// ended, however it ended.
fn reconcile(tasks: &mut Tasks, mut reconciler: Reconciler, stop: CancellationToken) -> leader::Work {
    let work = leader::Work::default();
    let looks = work.looks.clone().drop_guard();
    let notes = work.notes.clone().drop_guard();
    tasks.spawn_here("reconciler", async move {
        reconciler.run(&stop).await;
        drop(looks);
        reconciler.finish().await;
        drop(notes);
    });
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_forward_comes_out_at_the_loopback_address_whatever_address_the_pod_has() {
        for (listening, expected) in [
            ("10.42.0.7:3000", Some("127.0.0.1:3000")),
            ("[fd00::7]:3000", Some("[::1]:3000")),
            ("0.0.0.0:3000", None),
            ("[::]:3000", None),
            ("127.1.0.9:3000", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(beside(listening.parse().unwrap()), expected, "{listening}");
        }
    }
}
