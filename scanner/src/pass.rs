//! The pass over all repositories: each is asked once, and its record written if that is worth it.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use shared::domain::record::config_map::record_name;
use shared::domain::record::run::RunRecord;
use shared::domain::record::scan;
use shared::domain::record::{REFRESH, ScanError, ScanRecord};
use shared::domain::reference::Repository;
use shared::domain::time::whole_seconds;
use shared::io::client;
use shared::io::record_store::RecordStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::inventory::Request;
use crate::known::Known;
use crate::order::{self, Turn};
use crate::output;
use crate::registry::{ErrorClass, RegistryClient, RegistryError};
use crate::scan_one;

/// How many repositories are in work at once; the registry client's own limits are per registry and lower.
const REPOSITORIES_AT_ONCE: usize = 24;

/// How many more of those whose last scan failed: registries that do not answer are waited for beside the others, not in
/// their place.
const FAILING_AT_ONCE: usize = 8;

/// How long those that are asked when the time is up may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// What became of one repository.
#[derive(Debug)]
enum Outcome {
    /// The record after this scan, and whether it was worth a write.
    Recorded { state: Scanned, written: bool },
    /// The registry was not asked.
    Deferred,
    /// The record could not be written.
    Unwritten(Unwritten),
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
    pub(crate) store: RecordStore,
    pub(crate) dry_run: bool,
    pub(crate) now: Timestamp,
}

impl Pass {
    /// Scans these repositories and counts into `run`. After the deadline, or `stop`, no other is begun. Answers with the
    /// first record that could not be written.
    pub(crate) async fn run(
        self: &Arc<Self>,
        repositories: BTreeMap<Repository, Request>,
        run: &mut RunRecord,
        deadline: Duration,
        stop: &CancellationToken,
    ) -> Option<Unwritten> {
        let mut left = repositories.len();
        tracing::info!(repositories = left, "asking the registries");
        let mut refused = None;
        let time_is_up = async {
            stop.run_until_cancelled(tokio::time::sleep(deadline)).await;
        };
        let time_is_up = time_is_up.shared();
        let (failing, others) = repositories
            .into_iter()
            .partition(|(repository, _)| self.known.is_failing(repository));
        let scans = |repositories, at_once| {
            let order = futures::stream::iter(self.in_order(repositories)).take_until(time_is_up.clone());
            let scan = |(repository, request)| Arc::clone(self).spawn(repository, request);
            order.map(scan).buffer_unordered(at_once)
        };
        let mut outcomes = futures::stream::select(
            scans(others, REPOSITORIES_AT_ONCE),
            scans(failing, FAILING_AT_ONCE),
        );
        let mut end = std::pin::pin!(time_is_up.clone().then(|()| tokio::time::sleep(GRACE)));
        loop {
            let outcome = tokio::select! {
                outcome = outcomes.next() => outcome,
                () = &mut end => None,
            };
            let Some(outcome) = outcome else { break };
            let outcome = outcome.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
            left -= 1;
            count(run, &outcome);
            if let Outcome::Unwritten(unwritten) = outcome {
                refused.get_or_insert(unwritten);
            }
        }
        run.out_of_time += left;
        refused
    }

    fn in_order(&self, mut repositories: BTreeMap<Repository, Request>) -> Vec<(Repository, Request)> {
        let turn = |(repository, request): (&Repository, &Request)| {
            let findings = self
                .known
                .record(repository)
                .and_then(|record| record.findings.as_ref());
            let turn = Turn {
                namespaces: request
                    .pullers
                    .iter()
                    .map(|puller| puller.namespace.clone())
                    .collect(),
                scanned_at: findings.and_then(|findings| to_the_refresh(findings.scanned_at)),
            };
            (repository.clone(), turn)
        };
        let turns = repositories.iter().map(turn).collect();
        order::in_turn(turns, &RandomState::new())
            .into_iter()
            .filter_map(|repository| repositories.remove_entry(&repository))
            .collect()
    }

    /// As a task of its own: to choose among very many tags takes time, in which the others go on and the deadline is
    /// heard. The task ends with its handle.
    fn spawn(self: Arc<Self>, repository: Repository, request: Request) -> AbortOnDropHandle<Outcome> {
        AbortOnDropHandle::new(tokio::spawn(async move { self.one(repository, request).await }))
    }

    async fn one(&self, repository: Repository, request: Request) -> Outcome {
        let previous = self.known.record(&repository);
        let Request {
            demands, schedules, ..
        } = request;
        match scan_one::ask(&self.registry, &repository, demands, previous).await {
            Ok((choices, answer)) => {
                let next = scan::complete(previous, repository, choices, &answer, self.now);
                let newest = next.newest().map(|tag| tag.to_string());
                tracing::info!(repository = %next.repository, newest, "scanned");
                let is_worth_it = schedules.are_given() || scan::worth_writing(previous, &next);
                self.write(&next, is_worth_it, Scanned::Complete).await
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
