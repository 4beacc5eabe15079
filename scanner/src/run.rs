//! One run: inventory, then each repository once, then the records, then a line that says what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use shared::domain::record::scan::{self, Answer};
use shared::domain::record::{ScanError, ScanRecord, config_map::record_name};
use shared::domain::reference::Repository;
use shared::domain::watched::Demand;
use shared::io::client::{self, ClientError};
use shared::io::clock;
use shared::io::record_store::RecordStore;
use tokio_util::sync::CancellationToken;

use crate::cli::Settings;
use crate::inventory;
use crate::registry::{ErrorClass, RegistryClient, RegistryClientOptions, RegistryError};
use crate::scan_one;
use crate::summary::Summary;

/// How many repositories are in work at once; the registry client's own limits are per registry and lower.
const REPOSITORIES_AT_ONCE: usize = 32;

/// Why a run could not work at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the registry client could not be set up: {0}")]
    Registry(#[source] reqwest::Error),
    #[error("{0}")]
    Cluster(String),
}

/// Scans once. Repositories not reached before the deadline, or before `stop`, are left for the next run.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let started = Instant::now();
    let kubernetes = client::connect().await?;
    let namespace = settings
        .namespace
        .clone()
        .unwrap_or_else(|| kubernetes.default_namespace().to_owned());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        namespace,
        dry_run = settings.dry_run,
        "scan started"
    );
    let inventory = inventory::take(&kubernetes, &settings.watch_namespaces)
        .await
        .map_err(|error| RunError::Cluster(client::explain("listing Deployments", &error)))?;
    let store = RecordStore::new(kubernetes, &namespace);
    let stored = store
        .list()
        .await
        .map_err(|error| RunError::Cluster(client::explain("listing the scan records", &error)))?;
    let options = RegistryClientOptions {
        plain_http_hosts: settings.plain_http.clone(),
        ..Default::default()
    };
    let registry = Arc::new(RegistryClient::new(options).map_err(RunError::Registry)?);
    let pass = Pass {
        stored: Known::read(stored),
        registry,
        store,
        dry_run: settings.dry_run,
        now: clock::now(),
    };
    let mut summary = Summary {
        workloads: inventory.workloads,
        repositories: inventory.repositories.len(),
        stopped: inventory.stopped.len(),
        ..Summary::default()
    };
    pass.all(inventory.repositories, &mut summary, settings.deadline, &stop)
        .await;
    summary.requests = pass.registry.requests();
    summary.duration = started.elapsed();
    tell(&summary);
    Ok(())
}

/// The result goes to standard output, whatever the log filter says.
fn tell(summary: &Summary) {
    #[expect(
        clippy::print_stdout,
        reason = "the run's one-line result is what the command prints"
    )]
    {
        println!("{summary}");
    }
}

/// The records as they were before this run.
struct Known {
    records: BTreeMap<Repository, (ScanRecord, Option<String>)>,
    /// ConfigMaps with a record's name that cannot be read: they are written anew, with their version as precondition.
    unreadable: BTreeMap<String, Option<String>>,
}

impl Known {
    fn read(stored: Vec<ConfigMap>) -> Self {
        let mut known = Self {
            records: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        };
        for config_map in stored {
            let version = config_map.metadata.resource_version.clone();
            match ScanRecord::parse(&config_map) {
                Ok(record) => {
                    known.records.insert(record.repository.clone(), (record, version));
                }
                Err(error) => {
                    tracing::warn!(%error, "a record cannot be read and is written anew");
                    known
                        .unreadable
                        .insert(config_map.metadata.name.unwrap_or_default(), version);
                }
            }
        }
        known
    }

    fn record(&self, repository: &Repository) -> Option<&ScanRecord> {
        self.records.get(repository).map(|(record, _)| record)
    }

    fn version(&self, repository: &Repository) -> Option<String> {
        match self.records.get(repository) {
            Some((_, version)) => version.clone(),
            None => self.unreadable.get(&record_name(repository)).cloned().flatten(),
        }
    }

    /// Registries that asked to be left alone for a while, and until when. A registry's word outlives the process that
    /// heard it.
    fn cool_downs(&self, now: Timestamp) -> BTreeMap<String, Timestamp> {
        let mut until = BTreeMap::new();
        for (record, _) in self.records.values() {
            let Some(retry_at) = record.last_error.as_ref().and_then(|error| error.retry_at) else {
                continue;
            };
            if retry_at > now {
                let entry = until
                    .entry(record.repository.registry().to_owned())
                    .or_insert(retry_at);
                *entry = (*entry).max(retry_at);
            }
        }
        until
    }
}

/// What became of one repository.
enum Outcome {
    Complete { written: bool },
    Failed { class: String },
    Deferred,
    Unwritten,
}

struct Pass {
    stored: Known,
    registry: Arc<RegistryClient>,
    store: RecordStore,
    dry_run: bool,
    now: Timestamp,
}

impl Pass {
    async fn all(
        &self,
        repositories: BTreeMap<Repository, BTreeSet<Demand>>,
        summary: &mut Summary,
        deadline: Duration,
        stop: &CancellationToken,
    ) {
        let cool_downs = self.stored.cool_downs(self.now);
        let mut left = repositories.len();
        let scans = futures::stream::iter(repositories).map(|(repository, demands)| {
            let until = cool_downs.get(repository.registry()).copied();
            async move {
                match until {
                    Some(until) => {
                        tracing::info!(%repository, %until, "deferred: the registry wants to be left alone");
                        Outcome::Deferred
                    }
                    None => self.one(repository, demands).await,
                }
            }
        });
        let mut outcomes = std::pin::pin!(scans.buffer_unordered(REPOSITORIES_AT_ONCE));
        let mut timer = std::pin::pin!(tokio::time::sleep(deadline));
        loop {
            let outcome = tokio::select! {
                outcome = outcomes.next() => outcome,
                () = &mut timer => None,
                () = stop.cancelled() => None,
            };
            let Some(outcome) = outcome else { break };
            left -= 1;
            match outcome {
                Outcome::Complete { written } => {
                    summary.complete += 1;
                    summary.written += usize::from(written);
                }
                Outcome::Failed { class } => *summary.failed.entry(class).or_default() += 1,
                Outcome::Deferred => summary.deferred += 1,
                Outcome::Unwritten => summary.unwritten += 1,
            }
        }
        summary.deferred += left;
    }

    async fn one(&self, repository: Repository, demands: BTreeSet<Demand>) -> Outcome {
        let previous = self.stored.record(&repository);
        let answer = scan_one::ask(&self.registry, &repository, &demands, previous).await;
        let (next, outcome) = match answer {
            Ok(answer) => self.completed(previous, repository, demands, &answer),
            // Another repository of the same registry was told to wait: nothing was asked, so there is nothing to record.
            Err(error) if error.class() == ErrorClass::Deferred => return Outcome::Deferred,
            Err(error) => {
                tracing::warn!(%repository, class = %error.class(), %error, "the scan failed");
                let class = error.class().to_string();
                (
                    scan::failed(previous, repository, scan_error(&error, self.now)),
                    Outcome::Failed { class },
                )
            }
        };
        self.write(previous, &next, outcome).await
    }

    fn completed(
        &self,
        previous: Option<&ScanRecord>,
        repository: Repository,
        demands: BTreeSet<Demand>,
        answer: &Answer,
    ) -> (ScanRecord, Outcome) {
        let next = scan::complete(previous, repository, demands, answer, self.now);
        let newest = next.newest().map(|tag| tag.to_string());
        tracing::info!(repository = %next.repository, newest, "scanned");
        (next, Outcome::Complete { written: false })
    }

    async fn write(&self, previous: Option<&ScanRecord>, next: &ScanRecord, outcome: Outcome) -> Outcome {
        if self.dry_run || !scan::worth_writing(previous, next) {
            return outcome;
        }
        match self
            .store
            .write(next, self.stored.version(&next.repository))
            .await
        {
            Ok(()) if matches!(outcome, Outcome::Complete { .. }) => Outcome::Complete { written: true },
            Ok(()) => outcome,
            Err(error) => {
                let error = client::explain(&format!("writing the record of {}", next.repository), &error);
                tracing::error!(error, "a record was not written; the next run tries again");
                Outcome::Unwritten
            }
        }
    }
}

fn scan_error(error: &RegistryError, now: Timestamp) -> ScanError {
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    ScanError {
        class: error.class().to_string(),
        message: error.to_string(),
        since: whole(now),
        retry_at: error.retry_at().map(whole),
    }
}
