//! What everything looks like at this moment: a plan made on demand, and the same one for all who ask within a second.
//!
//! It is made by the code of the run, without what only a leader remembers, so that every replica says the same.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use shared::domain::overview::{Line, overview};
use shared::domain::plan::{Assessment, PlanLimits, Snapshot, plan};
use shared::domain::record::run::RunRecord;
use shared::domain::workload::{Workload, WorkloadId};
use shared::io::clock;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use super::refusal::Refusal;
use crate::gather::gather;
use crate::leader::Leadership;
use crate::pods::PodReader;
use crate::signals::Signals;
use crate::watch::Stores;

/// How long a look counts, at least.
const LASTS: Duration = Duration::from_secs(1);
/// And how many times as long as it took: whoever loads the page again and again costs a tenth of a core at most.
const REST: u32 = 9;
/// How long the name of the leader is waited for. A page without it says the rest.
const LEASE_LIMIT: Duration = Duration::from_secs(2);

/// What is looked at.
pub struct Sources {
    pub client: Client,
    pub stores: Stores,
    pub pods: Arc<PodReader>,
    pub limits: PlanLimits,
    /// Where the lease and the records are.
    pub namespace: String,
    pub lease: String,
    /// Our own, for Events.
    pub pod: String,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Everything at one moment.
#[derive(Debug)]
pub(super) struct View {
    pub(super) at: Timestamp,
    pub(super) snapshot: Snapshot,
    pub(super) lines: Vec<Line>,
    pub(super) last_run: Option<RunRecord>,
    /// The pod that leads; `None` where nobody does or nobody knows.
    pub(super) leader: Option<String>,
    /// Grows whenever there is something else to see.
    pub(super) revision: u64,
}

impl View {
    /// The same as long as there is nothing else to see.
    fn print(&self) -> u64 {
        let mut print = DefaultHasher::new();
        self.leader.hash(&mut print);
        format!("{:?}", self.last_run.as_ref().map(|run| &run.registries)).hash(&mut print);
        for line in &self.lines {
            format!("{line:?}").hash(&mut print);
        }
        print.finish()
    }

    /// The workload of this name.
    pub(super) fn workload(&self, id: &WorkloadId) -> Option<&Arc<Workload>> {
        self.snapshot.workloads.iter().find(|workload| workload.id == *id)
    }
}

/// One workload as it is now, of which somebody decides.
#[derive(Debug)]
pub(super) struct One {
    pub(super) assessment: Assessment,
    /// What it was looked at in, without other workloads.
    pub(super) snapshot: Snapshot,
}

/// What is missing before anything can be shown, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotReady(pub(super) Vec<String>);

#[derive(Debug)]
pub(super) struct Looker {
    signals: Signals,
    leadership: Leadership,
    sources: OnceLock<Sources>,
    /// Held during a look, so that all who ask meanwhile wait for the same one.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    view: Option<(Arc<View>, Instant)>,
    /// When one was begun last.
    begun: Option<Instant>,
    /// Of what was there to see last.
    print: Option<u64>,
    revision: u64,
}

impl Looker {
    pub(super) fn new(signals: Signals, leadership: Leadership) -> Self {
        Self {
            signals,
            leadership,
            sources: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// The first that are shown stay.
    pub(super) fn show(&self, sources: Sources) {
        drop(self.sources.set(sources));
    }

    /// What is looked at, once everything has been seen.
    pub(super) fn sources(&self) -> Result<&Sources, NotReady> {
        let missing = self.signals.health.missing();
        match self.sources.get() {
            Some(sources) if missing.is_empty() => Ok(sources),
            Some(_) | None => Err(NotReady(missing)),
        }
    }

    /// Everything as it is now, or was a moment ago.
    pub(super) async fn view(&self) -> Result<Arc<View>, NotReady> {
        let sources = self.sources()?;
        let mut kept = self.kept.lock().await;
        if let Some((view, until)) = &kept.view
            && Instant::now() < *until
        {
            return Ok(Arc::clone(view));
        }
        // Whoever hangs up in the middle leaves nothing to show, and makes no other begin at once.
        if let Some(begun) = kept.begun.filter(|_| kept.view.is_none()) {
            sleep_until(begun + LASTS).await;
        }
        // Those of ten thousand workloads need not be in memory twice.
        kept.view = None;
        let begun = Instant::now();
        kept.begun = Some(begun);
        let mut view = look(sources).await;
        let print = view.print();
        if kept.print != Some(print) {
            kept.print = Some(print);
            kept.revision += 1;
        }
        view.revision = kept.revision;
        let view = Arc::new(view);
        let until = Instant::now() + (begun.elapsed() * REST).max(LASTS);
        kept.view = Some((Arc::clone(&view), until));
        Ok(view)
    }

    /// One workload as it is now; what pods, nodes and `ReplicaSets` say is as old as the last look.
    pub(super) async fn one(&self, id: &WorkloadId) -> Result<One, Refusal> {
        let sources = self.sources()?;
        let view = self.view().await?;
        let (mut snapshot, _) = gather(&sources.stores);
        snapshot.workloads.retain(|workload| workload.id == *id);
        snapshot.pods.clone_from(&view.snapshot.pods);
        snapshot.moved.clone_from(&view.snapshot.moved);
        snapshot.asked_later.clone_from(&view.snapshot.asked_later);
        snapshot.nodes.clone_from(&view.snapshot.nodes);
        snapshot.replica_sets.clone_from(&view.snapshot.replica_sets);
        let assessment = plan(&snapshot, &sources.limits, clock::now()).assessments.pop();
        let one = assessment.map(|assessment| One { assessment, snapshot });
        one.ok_or_else(|| Refusal::not_watched(id))
    }

    /// The next who asks sees what is there then.
    pub(super) async fn forget(&self) {
        let mut kept = self.kept.lock().await;
        (kept.view, kept.begun) = (None, None);
    }

    /// Whether it is this replica.
    pub(super) fn leads(&self) -> bool {
        self.leadership.may_act()
    }
}

/// The settings are read anew: to keep them for whoever may look again would take as much memory as the workloads.
async fn look(sources: &Sources) -> View {
    let at = clock::now();
    let (mut snapshot, last_run) = gather(&sources.stores);
    let wanted = |assessment: &Assessment| assessment.needs_pods() || assessment.is_under_way();
    let plan = sources.pods.plan(&mut snapshot, &sources.limits, at, wanted);
    let (plan, leader) = futures::join!(plan, leader(sources));
    View {
        lines: overview(&snapshot, &plan),
        at,
        snapshot,
        last_run,
        leader,
        revision: 0,
    }
}

/// The pod that holds the lease. That it may have run out is no matter here: nothing is decided by it.
async fn leader(sources: &Sources) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(sources.client.clone(), &sources.namespace);
    let lease = timeout(LEASE_LIMIT, leases.get_opt(&sources.lease))
        .await
        .ok()?
        .ok()??;
    let holder = lease.spec?.holder_identity?;
    let pod = holder.rsplit_once('_').map_or(holder.as_str(), |(pod, _)| pod);
    (!pod.is_empty()).then(|| pod.to_owned())
}
