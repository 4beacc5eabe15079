//! One run: inventory, then each repository once, then the records, then a line that says what came of it.

use std::time::Instant;

use shared::io::client::{self, ClientError};
use shared::io::clock;
use shared::io::record_store::RecordStore;
use tokio_util::sync::CancellationToken;

use crate::cli::Settings;
use crate::inventory;
use crate::known::Known;
use crate::output;
use crate::pass::Pass;
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
    /// The scan worked, and some of its findings are lost until the next one.
    #[error("not every record was written: {0}")]
    Unwritten(String),
}

/// Scans once. Repositories not reached before the deadline, or before `stop`, are left for the next run.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), RunError> {
    let started = Instant::now();
    let kubernetes = client::connect(client::CALL_LIMIT).await?;
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
    let pass = Pass {
        known: Known::read(stored),
        registry: RegistryClient::new(options).map_err(RunError::Http)?,
        store,
        dry_run: settings.dry_run,
        now: clock::now(),
    };
    let repositories = inventory.requests();
    let mut summary = Summary {
        workloads: inventory.workloads,
        repositories: repositories.len(),
        stopped: inventory.stopped.len(),
        ..Summary::default()
    };
    let unwritten = pass
        .run(repositories, &mut summary, settings.deadline, &stop)
        .await;
    summary.requests = pass.registry.requests();
    summary.duration = started.elapsed();
    // The result, whatever the log filter says.
    output::line(&summary);
    match unwritten {
        None => Ok(()),
        Some(unwritten) if unwritten.forbidden => Err(RunError::Cluster(unwritten.explanation)),
        Some(unwritten) => Err(RunError::Unwritten(unwritten.explanation)),
    }
}
