//! The cluster as the run sees it, once.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::Client;
use shared::domain::plan::{Plan, Snapshot};
use shared::domain::workload::WorkloadId;
use shared::io::clock;
use tokio::time::sleep;

use crate::cli::Settings;
use crate::gather::gather;
use crate::pods::PodReader;
use crate::signals::Signals;
use crate::watch::{self, Scope};

/// How long it may take to see everything: far more than a large cluster needs.
const LIMIT: Duration = Duration::from_mins(1);

/// What is there, and what the run would make of it.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) snapshot: Snapshot,
    pub(super) plan: Plan,
    pub(super) at: Timestamp,
}

/// Looks at everything, and at the pods of those that are wanted. The error says what is missing.
pub(super) async fn survey(
    client: &Client,
    settings: &Settings,
    is_wanted: impl Fn(&WorkloadId) -> bool,
) -> Result<Survey, String> {
    let mut snapshot = see(client, settings).await?;
    if snapshot.records.is_empty() {
        let namespace = Scope::of(settings, client).records;
        tracing::warn!(
            namespace,
            "no record of a scan is in this namespace; if Kubefresh lives in another one, name that with --namespace"
        );
    }
    let at = clock::now();
    let pods = PodReader::new(client.clone());
    let plan = pods
        .plan(&mut snapshot, &settings.limits, at, |assessment| {
            (assessment.needs_pods() || assessment.is_under_way()) && is_wanted(&assessment.workload.id)
        })
        .await;
    Ok(Survey { snapshot, plan, at })
}

/// Waits until everything was listed once.
pub(super) async fn see(client: &Client, settings: &Settings) -> Result<Snapshot, String> {
    let scope = Scope::of(settings, client);
    let access = watch::check_access(client, &scope).await?;
    let signals = Signals::new(scope.gates());
    let (stores, watches) = watch::start(client, &scope, access, &signals);
    tokio::select! {
        () = in_view(&signals) => Ok(gather(&stores).0),
        _ = join_all(watches) => Err("all watches of the cluster have ended".to_owned()),
        () = sleep(LIMIT) => Err(format!("after {LIMIT:?}: {}", signals.health.missing().join("; "))),
    }
}

async fn in_view(signals: &Signals) {
    while !signals.health.missing().is_empty() {
        signals.look_again.notified().await;
    }
}
