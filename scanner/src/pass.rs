//! The pass over all repositories: each is asked once, and its record written if that is worth it.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use shared::domain::record::config_map::record_name;
use shared::domain::record::run::RunRecord;
use shared::domain::record::scan;
use shared::domain::record::{REFRESH, ScanError, ScanRecord};
use shared::domain::reference::Repository;
use shared::domain::time::whole_seconds;
use shared::io::record_store::RecordStore;
use shared::io::terminal::output;
use shared::io::{client, clock};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::credentials::Credentials;
use crate::inventory::Request;
use crate::known::Known;
use crate::memory::Memory;
use crate::order::{self, Turn};
use crate::queue::{Places, Queue};
use crate::registry::{ErrorClass, RegistryClient, RegistryError};
use crate::scan_one::{self, Asked};

/// How many repositories are in work at once. A registry has less: see [`Pass::places_at`].
const PLACES: Places = Places {
    all: 24,
    for_each_namespace: 12,
};

/// How many more of those whose last scan failed: registries that do not answer are waited for beside the others, not in
/// their place.
const PLACES_OF_FAILING: Places = Places {
    all: 8,
    for_each_namespace: 4,
};

/// How long those that are asked when the time is up may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// How often what a run has learned and spent is written down, for the case that it does not come to its end.
const SAVE_EVERY: Duration = Duration::from_mins(1);

/// How soon that is done after a registry has turned somebody away: the next run must not do the same again.
const SAVE_SOON: Duration = Duration::from_secs(2);

/// How a scan that has hit a defect of ours is counted.
const PANICKED: &str = "panicked";

/// What became of one repository.
#[derive(Debug)]
enum Outcome {
    /// The record after this scan, and whether it was worth a write.
    Recorded { state: Scanned, written: bool },
    /// The registry was not asked.
    Deferred,
    /// The record could not be written.
    Unwritten(Unwritten),
    /// The scan has hit a defect of ours, which the log shows.
    Panicked,
}

impl Outcome {
    /// Whether the next run has to know of it even if this one does not come to its end.
    fn turns_somebody_away(&self) -> bool {
        let Self::Recorded {
            state: Scanned::Failed(class),
            ..
        } = self
        else {
            return false;
        };
        matches!(class, ErrorClass::RateLimited | ErrorClass::Unauthorized)
    }
}

/// How the registry answered.
#[derive(Debug)]
enum Scanned {
    Complete,
    Failed(ErrorClass),
}

/// A record that could not be written, in words, and whether that is for want of permission.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) explanation: String,
    pub(crate) forbidden: bool,
}

/// Everything that a pass works with.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) known: Known,
    pub(crate) registry: RegistryClient,
    pub(crate) credentials: Credentials,
    pub(crate) store: RecordStore,
    pub(crate) dry_run: bool,
    pub(crate) now: Timestamp,
}

impl Pass {
    /// Scans these repositories and counts into `run`. After the deadline, or `stop`, no other is begun. Answers with the
    /// first record that could not be written.
    pub(crate) async fn run(
        self: &Arc<Self>,
        mut repositories: BTreeMap<Repository, Request>,
        memory: &mut Memory,
        run: &mut RunRecord,
        deadline: Duration,
        stop: &CancellationToken,
    ) -> Option<Unwritten> {
        let mut left = repositories.len();
        tracing::info!(repositories = left, "asking the registries");
        // A repository that takes longer is recorded as failing while there is time for that.
        let at_most = deadline.mul_f64(0.75);
        let mut lanes = self.lanes(&repositories);
        let mut scans = FuturesUnordered::new();
        let mut refused = None;
        let mut save_at = Instant::now() + SAVE_EVERY;
        let mut end = None;
        let mut time_is_up = std::pin::pin!(stop.run_until_cancelled(tokio::time::sleep(deadline)));
        loop {
            for (lane, queue) in lanes.iter_mut().enumerate().filter(|_| end.is_none()) {
                while let Some(begun) = queue.begin() {
                    let request = repositories.remove(&begun.repository).unwrap_or_default();
                    let scan = Arc::clone(self).spawn(begun.repository.clone(), request, at_most);
                    scans.push(async move { (lane, begun, scan.await) });
                }
            }
            tokio::select! {
                ended = scans.next() => {
                    let Some((lane, begun, outcome)) = ended else { break };
                    lanes[lane].ended(&begun);
                    left -= 1;
                    let outcome = outcome.unwrap_or(Outcome::Panicked);
                    if outcome.turns_somebody_away() {
                        save_at = save_at.min(Instant::now() + SAVE_SOON);
                    }
                    count(run, &outcome);
                    if let Outcome::Unwritten(unwritten) = outcome {
                        refused.get_or_insert(unwritten);
                    }
                }
                _ = &mut time_is_up, if end.is_none() => end = Some(Instant::now() + GRACE),
                () = sleep_until(end.unwrap_or(save_at)), if end.is_some() => break,
                () = sleep_until(save_at), if !self.dry_run => {
                    memory.save_learned(&self.store, &self.credentials, &self.registry, clock::now()).await;
                    save_at = Instant::now() + SAVE_EVERY;
                }
            }
        }
        tracing::info!(out_of_time = left, "asked the registries");
        run.out_of_time += left;
        refused
    }

    /// Those whose last scan was complete, and those whose last scan failed.
    fn lanes(&self, repositories: &BTreeMap<Repository, Request>) -> [Queue; 2] {
        let (failing, others): (Vec<_>, Vec<_>) = repositories
            .iter()
            .partition(|(repository, _)| self.known.is_failing(repository));
        [(others, PLACES), (failing, PLACES_OF_FAILING)].map(|(lane, places)| {
            let order = self.in_order(lane);
            Queue::new(order, places, |registry| self.registry.in_work_at(registry))
        })
    }

    fn in_order(&self, repositories: Vec<(&Repository, &Request)>) -> Vec<Turn> {
        let turn = |(repository, request): (&Repository, &Request)| {
            let record = self.known.record(repository);
            let findings = record.and_then(|record| record.findings.as_ref());
            let namespaces = request.pullers.iter().map(|puller| puller.namespace.clone());
            Turn {
                repository: repository.clone(),
                registry: self.registry.registry_of(repository),
                namespaces: namespaces.collect(),
                scanned_at: findings.and_then(|findings| to_the_refresh(findings.scanned_at)),
            }
        };
        order::in_turn(repositories.into_iter().map(turn).collect(), &RandomState::new())
    }

    /// As a task of its own: to choose among very many tags takes time, in which the others go on and the deadline is
    /// heard. The task ends with its handle.
    fn spawn(
        self: Arc<Self>,
        repository: Repository,
        request: Request,
        at_most: Duration,
    ) -> AbortOnDropHandle<Outcome> {
        // Of 8 KB, which would be copied on every step into the task.
        let one = Box::pin(async move { self.one(repository, request, at_most).await });
        AbortOnDropHandle::new(tokio::spawn(one))
    }

    async fn one(&self, repository: Repository, request: Request, at_most: Duration) -> Outcome {
        let previous = self.known.record(&repository);
        let schedules = request.schedules.clone();
        let asked = scan_one::ask(&self.registry, &repository, request, previous, self.now);
        let asked = match timeout(at_most, asked).await {
            Ok(asked) => asked,
            Err(_) => Err(RegistryError::out_of_time(&repository, at_most)),
        };
        match asked {
            Ok(Asked {
                choices,
                answer,
                unanswered,
            }) => {
                let complete = scan::complete(previous, repository, choices, &answer, self.now);
                tell(previous, &complete);
                let (next, state) = match unanswered {
                    None => (complete, Scanned::Complete),
                    Some(error) => {
                        let recorded = scan_error(&error, self.now);
                        let partial = scan::with_error(previous, complete, recorded);
                        (partial, Scanned::Failed(error.class()))
                    }
                };
                let is_worth_it = schedules.are_given() || scan::worth_writing(previous, &next);
                self.write(&next, is_worth_it, state).await
            }
            // The registry was not asked, so there is nothing to record.
            Err(error) if error.class() == ErrorClass::Deferred => Outcome::Deferred,
            Err(error) => {
                tracing::warn!(%repository, class = %error.class(), %error, "the scan failed");
                let next = scan::failed(previous, repository, scan_error(&error, self.now));
                let is_worth_it = scan::worth_writing(previous, &next);
                self.write(&next, is_worth_it, Scanned::Failed(error.class()))
                    .await
            }
        }
    }

    async fn write(&self, next: &ScanRecord, is_worth_it: bool, state: Scanned) -> Outcome {
        if !is_worth_it {
            return Outcome::Recorded {
                state,
                written: false,
            };
        }
        if self.dry_run {
            would_write(next);
            return Outcome::Recorded {
                state,
                written: false,
            };
        }
        match self.store.write(next, self.known.version(&next.repository)).await {
            Ok(()) => Outcome::Recorded { state, written: true },
            Err(error) => {
                let explanation =
                    client::explain(&format!("writing the record of {}", next.repository), &error);
                tracing::error!(explanation, "a record was not written; the next run tries again");
                Outcome::Unwritten(Unwritten {
                    explanation,
                    forbidden: client::is_forbidden(&error),
                })
            }
        }
    }
}

/// A record whose content did not change is not written anew for so long, so that its time is no more exact than this.
fn to_the_refresh(scanned_at: Timestamp) -> Option<Timestamp> {
    let refresh = REFRESH.as_secs();
    Timestamp::from_second(scanned_at.as_second().div_euclid(refresh) * refresh).ok()
}

fn count(run: &mut RunRecord, outcome: &Outcome) {
    match outcome {
        Outcome::Recorded { state, written } => {
            run.written += usize::from(*written);
            match state {
                Scanned::Complete => run.complete += 1,
                Scanned::Failed(class) => *run.failed.entry(class.to_string()).or_default() += 1,
            }
        }
        Outcome::Deferred => run.left_alone += 1,
        Outcome::Unwritten(_) => run.unwritten += 1,
        Outcome::Panicked => *run.failed.entry(PANICKED.to_owned()).or_default() += 1,
    }
}

/// One line for each repository, and for those of which nothing else is said than before only to who wants to see them all.
fn tell(previous: Option<&ScanRecord>, next: &ScanRecord) {
    let (repository, newest) = (&next.repository, next.newest());
    if previous.is_some_and(|previous| previous.newest() == newest) {
        tracing::debug!(%repository, newest = newest.map(tracing::field::display), "scanned; as before");
    } else {
        tracing::info!(%repository, newest = newest.map(tracing::field::display), "scanned");
    }
}

/// One line for each record that a dry run would have written.
fn would_write(record: &ScanRecord) {
    let newest = record
        .newest()
        .map_or_else(|| "unknown".to_owned(), |tag| tag.to_string());
    output::line(&format_args!(
        "would write {}: {} newest {newest}, {}",
        record_name(&record.repository),
        record.repository,
        record.state()
    ));
}

/// In the record's words; times are cut to seconds, as a record holds them.
fn scan_error(error: &RegistryError, now: Timestamp) -> ScanError {
    ScanError {
        class: error.class().to_string(),
        message: error.to_string(),
        since: whole_seconds(now),
        retry_at: error.retry_at().map(whole_seconds),
    }
}
