//! The pass over all repositories: each is asked once, and its record written if that is worth it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use shared::domain::record::config_map::record_name;
use shared::domain::record::scan;
use shared::domain::record::{ScanError, ScanRecord};
use shared::domain::reference::Repository;
use shared::domain::time::whole_seconds;
use shared::io::client;
use shared::io::record_store::RecordStore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::inventory::Request;
use crate::known::Known;
use crate::output;
use crate::registry::{ErrorClass, RegistryClient, RegistryError};
use crate::scan_one;
use crate::summary::Summary;

/// How many repositories are in work at once; the registry client's own limits are per registry and lower.
const REPOSITORIES_AT_ONCE: usize = 32;

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
    /// Scans these repositories until the deadline or `stop`, and counts into `summary`. Answers with the first record
    /// that could not be written.
    pub(crate) async fn run(
        self: &Arc<Self>,
        repositories: BTreeMap<Repository, Request>,
        summary: &mut Summary,
        deadline: Duration,
        stop: &CancellationToken,
    ) -> Option<Unwritten> {
        for (registry, until) in self.known.cool_downs(self.now) {
            tracing::info!(registry, %until, "left alone: it asked an earlier run to wait");
            self.registry.cool_down(&registry, until);
        }
        let mut left = repositories.len();
        let mut refused = None;
        let scans = futures::stream::iter(shuffled(repositories, &RandomState::new()))
            .map(|(repository, request)| Arc::clone(self).spawn(repository, request));
        let mut outcomes = std::pin::pin!(scans.buffer_unordered(REPOSITORIES_AT_ONCE));
        let mut timer = std::pin::pin!(tokio::time::sleep(deadline));
        loop {
            let outcome = tokio::select! {
                outcome = outcomes.next() => outcome,
                () = &mut timer => None,
                () = stop.cancelled() => None,
            };
            let Some(outcome) = outcome else { break };
            let outcome = outcome.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
            left -= 1;
            count(summary, &outcome);
            if let Outcome::Unwritten(unwritten) = outcome {
                refused.get_or_insert(unwritten);
            }
        }
        summary.deferred += left;
        refused
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
        match scan_one::ask(&self.registry, &repository, &demands, previous).await {
            Ok(answer) => {
                let complete = || scan::complete(previous, repository, demands, &answer, self.now);
                let next = tokio::task::block_in_place(complete);
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

/// In another order in every run. Where the time does not suffice for all, a fixed order would leave the same ones behind
/// for ever, and somebody with many slow registries could choose names that come before everyone else's.
fn shuffled<V>(
    repositories: BTreeMap<Repository, V>,
    order_of_this_run: &impl BuildHasher,
) -> Vec<(Repository, V)> {
    let mut shuffled: Vec<_> = repositories.into_iter().collect();
    shuffled.sort_by_cached_key(|(repository, _)| order_of_this_run.hash_one(repository));
    shuffled
}

fn count(summary: &mut Summary, outcome: &Outcome) {
    match outcome {
        Outcome::Recorded { state, written } => {
            summary.written += usize::from(*written);
            match state {
                Scanned::Complete => summary.complete += 1,
                Scanned::Failed(class) => *summary.failed.entry(class.to_string()).or_default() += 1,
            }
        }
        Outcome::Deferred => summary.deferred += 1,
        Outcome::Unwritten(_) => summary.unwritten += 1,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_takes_the_repositories_in_an_order_of_its_own() {
        let repositories: BTreeMap<Repository, usize> = (0..100)
            .map(|number| (format!("example.com/{number}").parse().unwrap(), number))
            .collect();
        let order = |hasher| shuffled(repositories.clone(), &hasher);
        let (one, other) = (order(RandomState::new()), order(RandomState::new()));
        assert_ne!(one, other);
        assert_eq!(BTreeMap::from_iter(one), repositories);
    }
}
