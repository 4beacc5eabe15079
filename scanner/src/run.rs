//! One run: inventory, then each repository once, then the records, then a line that says what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use kube::Client;
use secrecy::{ExposeSecret as _, SecretSlice};

use shared::domain::record::config_map::record_name;
use shared::domain::record::run::RunRecord;
use shared::domain::reference::Repository;
use shared::domain::time::whole_seconds;
use shared::io::client::{self, ClientError};
use shared::io::clock;
use shared::io::record_store::RecordStore;
use shared::io::terminal::output;
use tokio_util::sync::CancellationToken;

use crate::cli::Settings;
use crate::credentials::{Credentials, DockerConfig, Format, Keyring, Origin, Puller, gather};
use crate::inventory::{self, Inventory, Request, Scope};
use crate::known::Known;
use crate::memory::Memory;
use crate::pass::{Pass, Unwritten};
use crate::registries::{Registries, RegistriesError};
use crate::registry::{RegistryClient, RegistryClientOptions};
use crate::summary::Summary;

/// Why a run could not work at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the HTTP client could not be set up: {0}; the image needs a bundle of certificate authorities")]
    Http(#[source] reqwest::Error),
    /// The cluster cannot be reached, or refuses what a scan needs.
    #[error("{0}")]
    Cluster(String),
    /// The scanner's own docker config.
    #[error("the docker config file {} cannot be used: {reason}", path.display())]
    DockerConfig { path: PathBuf, reason: String },
    #[error(transparent)]
    Registries(#[from] RegistriesError),
    /// The scan worked, and some of its findings are lost until the next one.
    #[error("not every record was written: {0}")]
    Unwritten(String),
}

/// Scans once. Repositories not reached before the deadline, or before `stop`, are left for the next run.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let started = Instant::now();
    let own = own_keyring(settings.docker_config.as_deref()).await?;
    let registries = settings.registries_file.as_deref().map(Registries::read_mounted);
    let registries = registries.transpose()?.unwrap_or_default();
    let kubernetes = client::connect(client::CALL_LIMIT).await?;
    let namespace = begin(&settings, &kubernetes);
    // Before the workloads are read, so that whoever changes one later can tell that this run did not see it.
    let now = clock::now();
    let mut inventory = inventory::take(&kubernetes, &scope(&settings, &namespace))
        .await
        .map_err(RunError::Cluster)?;
    let store = RecordStore::new(kubernetes.clone(), &namespace);
    let known = known(&store).await?;
    let mut options = options(&settings, registries);
    let mut requests = inventory.take_requests();
    let mut out_of_use = known.out_of_use(requests.keys(), now);
    out_of_use.retain(|repository, _| options.takes(repository));
    requests.retain(|repository, _| options.takes(repository));
    let mut record = RunRecord {
        started_at: whole_seconds(now),
        shard: settings.shard,
        workloads: inventory.workloads,
        repositories: requests.len(),
        stopped: inventory.stopped.len(),
        ..RunRecord::default()
    };
    requests.retain(|repository, request| request.is_due(repository, known.record(repository), now));
    record.not_due = record.repositories - requests.len();
    let pulled_by = pulled_by(&options.registries, &requests);
    let credentials = credentials(&kubernetes, &settings, &inventory, &pulled_by, &own).await;
    options.credentials = credentials.clone();
    let memory = Memory::load(&store, settings.shard, &credentials).await;
    let mut memory = memory.map_err(RunError::Cluster)?;
    let pass = Arc::new(Pass {
        known,
        registry: RegistryClient::new(options).map_err(RunError::Http)?,
        credentials,
        store,
        dry_run: settings.dry_run,
        now,
    });
    memory.impose(&pass.credentials, &pass.registry, &pass.known, now);
    let unwritten = pass
        .run(requests, &mut memory, &mut record, settings.deadline, &stop)
        .await;
    record.registries = pass.registry.in_use(clock::now());
    record.duration_milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if !settings.dry_run {
        let now = clock::now();
        memory
            .save_learned(&pass.store, &pass.credentials, &pass.registry, now)
            .await;
        memory.save_result(&pass.store, record.clone()).await;
        clear_away(&pass.store, out_of_use).await;
    }
    // The result, whatever the log filter says.
    output::line(&Summary(&record));
    unwritten.map_or(Ok(()), |unwritten| Err(unwritten.into()))
}

fn scope(settings: &Settings, namespace: &str) -> Scope {
    Scope {
        namespaces: settings.watch_namespaces.clone(),
        selector: settings.watch_namespace_selector.clone(),
        installation: Arc::new(settings.installation.clone().living_in(namespace)),
    }
}

fn options(settings: &Settings, registries: Registries) -> RegistryClientOptions {
    RegistryClientOptions {
        plain_http_hosts: settings.plain_http.clone(),
        registries,
        shard: settings.shard,
        ..Default::default()
    }
}

/// The namespace of the records, and the first line of the log.
fn begin(settings: &Settings, kubernetes: &Client) -> String {
    let own = || kubernetes.default_namespace().to_owned();
    let namespace = settings.namespace.clone().unwrap_or_else(own);
    let (version, dry_run, shard) = (env!("CARGO_PKG_VERSION"), settings.dry_run, settings.shard);
    tracing::info!(version, namespace, dry_run, %shard, "scan started");
    namespace
}

impl From<Unwritten> for RunError {
    fn from(unwritten: Unwritten) -> Self {
        if unwritten.forbidden {
            Self::Cluster(unwritten.explanation)
        } else {
            Self::Unwritten(unwritten.explanation)
        }
    }
}

/// Who pulls from each repository, under the name by which it is asked for: a mirror gets the credentials that are meant for
/// it, and none that are meant for the registry it stands in for.
fn pulled_by(
    registries: &Registries,
    repositories: &BTreeMap<Repository, Request>,
) -> BTreeMap<Repository, BTreeSet<Puller>> {
    let mut pulled_by = BTreeMap::<_, BTreeSet<Puller>>::new();
    for (repository, request) in repositories {
        // The client says of the others what is wrong with them.
        if let Ok(asked_as) = registries.asked_as(repository) {
            let pullers = pulled_by.entry(asked_as.into_owned()).or_default();
            pullers.extend(request.pullers.iter().cloned());
        }
    }
    pulled_by
}

/// Which credentials each of these repositories is asked with. Secrets that none of them needs are not read.
async fn credentials(
    kubernetes: &Client,
    settings: &Settings,
    inventory: &Inventory,
    pulled_by: &BTreeMap<Repository, BTreeSet<Puller>>,
    own: &Keyring,
) -> Credentials {
    let mut keyrings = BTreeMap::new();
    if settings.read_pull_secrets {
        let mut pullers = inventory.pullers.clone();
        let needed: BTreeSet<_> = pulled_by.values().flatten().collect();
        pullers.retain(|puller, _| needed.contains(puller));
        keyrings = gather::keyrings(kubernetes, &pullers).await;
    }
    Credentials::assign(pulled_by, &keyrings, own)
}

/// The records that earlier runs have left.
async fn known(store: &RecordStore) -> Result<Known, RunError> {
    let mut known = Known::default();
    let listed = store.each(|record| known.add(record)).await;
    listed.map_err(|error| RunError::Cluster(client::explain("listing the scan records", &error)))?;
    Ok(known)
}

/// How many records one run clears away; there is always another run.
const CLEARED_AWAY: usize = 100;

/// Removes records that nobody has asked for in a long time.
async fn clear_away(store: &RecordStore, out_of_use: BTreeMap<Repository, Option<String>>) {
    for (repository, version) in out_of_use.into_iter().take(CLEARED_AWAY) {
        let name = record_name(&repository);
        match store.remove(&name, version).await {
            Ok(()) => tracing::info!(name, "removed a record that nobody asks for any more"),
            Err(error) => {
                let explanation = client::explain("removing a record that nobody asks for", &error);
                tracing::warn!(name, explanation, "a later run tries again");
                return;
            }
        }
    }
}

/// The scanner's own credentials.
pub(crate) async fn own_keyring(path: Option<&Path>) -> Result<Keyring, RunError> {
    let mut keyring = Keyring::default();
    let Some(path) = path else { return Ok(keyring) };
    let unusable = |reason: String| RunError::DockerConfig {
        path: path.to_owned(),
        reason,
    };
    let text = tokio::fs::read(path)
        .await
        .map_err(|error| unusable(error.to_string()))?;
    let config = DockerConfig::parse(
        SecretSlice::from(text).expose_secret(),
        Format::Either,
        &Origin::File,
    )
    .map_err(|error| unusable(error.to_string()))?;
    for skipped in &config.skipped {
        tracing::warn!(path = %path.display(), reason = %skipped, "part of the docker config file is not used");
    }
    keyring.add(&config);
    Ok(keyring)
}
