//! Makes the scanner run at once where something waits for it: a Job from its CronJob, which the API server takes once,
//! however many of us ask. Only a leader asks, at that very moment.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client, ResourceExt as _};
use shared::domain::ownership::FIELD_MANAGER;
use shared::domain::plan::{Assessment, Plan};
use shared::domain::record::run::RunRecord;
use shared::domain::scan_request::{Decision, Obstacle, ScanRequest, Seen, Wishes};
use shared::io::client::explain;
use tokio::time::{Instant, timeout};

use crate::answer::{Failure, failure};
use crate::api;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::retry::Retries;
use crate::watch::ScannerStores;

const CALL_LIMIT: Duration = Duration::from_secs(10);
/// How long a watch may take to show a Job that is there.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// What one look came to.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Workloads whose `check-now` has been done, with the annotations that said so.
    pub checked: Vec<(&'a Assessment, Vec<&'static str>)>,
    /// When there will be something to ask for although nothing changed.
    pub next_look: Option<Timestamp>,
}

/// Asks for scans, once for each thing that waits for one.
pub struct ScanRequester {
    client: Client,
    leadership: Leadership,
    namespace: String,
    /// The name of the CronJob.
    scanner: String,
    /// When this updater started, where that is a reason to scan.
    started: Option<Timestamp>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    wishes: Wishes,
    /// What was said to stand against a scan.
    told: Option<Obstacle>,
    /// By the name of the Job: those that were refused, and those that are there and not seen yet.
    tried: Retries<String>,
}

impl fmt::Debug for ScanRequester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanRequester")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl ScanRequester {
    /// For the CronJob `scanner` in our own namespace.
    pub fn new(
        client: Client,
        leadership: Leadership,
        namespace: String,
        scanner: String,
        started: Option<Timestamp>,
    ) -> Self {
        let state = State {
            wishes: Wishes::default(),
            told: None,
            tried: Retries::after(WATCH_LAG),
        };
        Self {
            client,
            leadership,
            namespace,
            scanner,
            started,
            state: Mutex::new(state),
        }
    }

    /// Forgets what was seen: another one leads, and asks for what there is to ask for.
    pub fn forget(&self) {
        self.state().wishes = Wishes::default();
    }

    /// Looks at what waits for a scan, and asks for one.
    pub async fn look<'a>(
        &self,
        plan: &'a Plan,
        stores: Option<&ScannerStores>,
        last_run: Option<&RunRecord>,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Asked<'a> {
        let scanner = stores.and_then(|stores| stores.cron_job.all().pop());
        let jobs = stores.map(|stores| stores.jobs.all()).unwrap_or_default();
        let seen = Seen {
            scanner: scanner.as_deref(),
            jobs: &jobs,
            last_run: last_run.map(|run| run.started_at),
        };
        let (checked, decision) = {
            let mut state = self.state();
            state.wishes.look(plan, &seen, now);
            (
                state.wishes.checked(plan, &seen),
                state.wishes.decide(&seen, self.started, now),
            )
        };
        let next_look = match decision {
            Decision::Nothing => None,
            Decision::Wait { obstacle, until } => {
                self.tell(obstacle);
                until
            }
            Decision::Request(request) => {
                self.request(&request, metrics).await;
                None
            }
        };
        Asked { checked, next_look }
    }

    /// When to look again, after a look at `now`, for the sake of a Job that could not be made.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.state().tried.next(now)
    }

    async fn request(&self, request: &ScanRequest, metrics: &Metrics) {
        let name = request.job.name_any();
        {
            let mut state = self.state();
            state.told = None;
            state.tried.retain(|tried| *tried == name);
            if !state.tried.is_due(&name, Instant::now()) || !self.leadership.may_act() {
                return;
            }
        }
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let parameters = api::created_by(FIELD_MANAGER);
        let answer = timeout(CALL_LIMIT, jobs.create(&parameters, &request.job)).await;
        // In any case: the same one is not to be asked for again before the watch has shown it.
        self.state().tried.failed(&name, Instant::now());
        let reasons: Vec<&'static str> = request.reasons.iter().map(|reason| (*reason).into()).collect();
        let doing = format!("making the Job {name} in namespace {}", self.namespace);
        let problem = match answer {
            Ok(Ok(_)) => {
                tracing::info!(job = name, reasons = reasons.join(", "), "scan requested");
                metrics.scan_requested(&reasons);
                return;
            }
            Ok(Err(error)) if failure(&error) == Failure::AlreadyExists => {
                tracing::debug!(job = name, "somebody asked for this scan before");
                return;
            }
            Ok(Err(error)) => explain(&doing, &error),
            Err(_) => format!("{doing}: no answer within {CALL_LIMIT:?}"),
        };
        tracing::warn!(problem, "a scan could not be requested; trying again later");
    }

    /// Says once what somebody may want to change.
    fn tell(&self, obstacle: Obstacle) {
        let mut state = self.state();
        if state.told.as_ref() == Some(&obstacle) {
            return;
        }
        let (cron_job, namespace, why) = (&self.scanner, &self.namespace, obstacle.to_string());
        match obstacle {
            Obstacle::NoCronJob | Obstacle::Suspended => {
                tracing::warn!(
                    cron_job,
                    namespace,
                    why,
                    "no scan can be requested; what waits for one waits"
                );
            }
            Obstacle::Running | Obstacle::Scheduled(_) | Obstacle::Pause => {
                tracing::debug!(cron_job, namespace, why, "no scan is requested now");
            }
        }
        state.told = Some(obstacle);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
