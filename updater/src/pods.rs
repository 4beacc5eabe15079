//! What pods say, asked for where a plan depends on it and kept until their workload changes. Pods are not watched: a cluster
//! has many, few of them matter, and the status of a workload changes whenever its pods run something else. What keeps new pods
//! from running changes without it, so during an update answers count for a moment, and its failure asks anew.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use shared::domain::in_flight::InFlight;
use shared::domain::plan::{Assessment, Plan, PlanLimits, PodsRead, Snapshot, plan};
use shared::domain::pods::{Moved, Pods};
use shared::domain::workload::Workload;
use shared::io::client::explain;
use tokio::time::{Instant, timeout};

use crate::nodes::NodeReader;
use crate::replica_sets::ReplicaSetReader;
use crate::retry::Retries;

/// Workloads whose pods are read at the same time.
const CONCURRENT_WORKLOADS: usize = 4;
/// Pods in one answer: read, one takes some 10 KiB.
const PAGE_SIZE: u32 = 100;
/// Pages of one workload. One with more pods is not known.
const MOST_PAGES: usize = 100;
/// How long one page may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// How long the pods of one workload may take; other workloads wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one look begins to read: whose turn has not come by then has it in the next one.
const LONGEST_ASKING: Duration = Duration::from_secs(2);
/// A workload whose pods take longer makes its whole namespace rest.
const LONG: Duration = Duration::from_secs(1);
/// So many times as long as that took: so the looks at everything wait for one namespace a tenth of the time at most.
const REST: u32 = 10;
/// How often a look asks: what runs may show that nodes matter, nodes that it matters where it runs, and both that an update starts,
/// which its `ReplicaSets` may speak against, so that it is another one's turn. What is missing then waits for the next look.
const ROUNDS: usize = 4;
/// How long a rollout that has outlasted its time waits for an answer of its pods, which may say that it moves. Then its time is over.
const PATIENT_WITH_PODS: Duration = Duration::from_mins(1);
/// When a look comes back to those.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// How long an answer counts while an update is under way: whoever looks at it all the time asks no more often.
const FRESH: Duration = Duration::from_secs(5);

/// A workload: its uid, as a name may be used again.
type Uid = String;

/// Reads pods, and remembers what they said.
pub struct PodReader {
    client: Client,
    kept: Mutex<Kept>,
    nodes: NodeReader,
    replica_sets: ReplicaSetReader,
}

#[derive(Debug, Default)]
struct Kept {
    answers: BTreeMap<Uid, Answer>,
    /// How far each rollout has come that began then, whatever its workload says since.
    moved: BTreeMap<Uid, (Timestamp, Moved)>,
    trouble: Retries<Uid>,
    /// Namespaces that rest, and how long.
    resting: BTreeMap<String, Instant>,
    /// Whether the turn of some has not come yet.
    has_left: bool,
}

#[derive(Debug)]
struct Answer {
    /// Of the workload, when it was asked for.
    resource_version: String,
    pods: PodsRead,
    at: Instant,
    /// Whether its update had failed when they were asked, and had so by what they said. Such an answer stays: a failure is told in
    /// the same words each time.
    of_failure: bool,
}

impl fmt::Debug for PodReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodReader")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl PodReader {
    pub fn new(client: Client) -> Self {
        Self {
            nodes: NodeReader::new(client.clone()),
            replica_sets: ReplicaSetReader::new(client.clone()),
            client,
            kept: Mutex::default(),
        }
    }

    /// The plan, made anew where it depends on what pods say, and those that `wanted` names were not read yet or may say something
    /// else by now, on nodes, or on what `ReplicaSets` know.
    pub async fn plan(
        &self,
        snapshot: &mut Snapshot,
        limits: &PlanLimits,
        now: Timestamp,
        wanted: impl Fn(&Assessment) -> bool,
    ) -> Plan {
        // What could not be read in this look counts until it ends, however long it takes.
        let begun = Instant::now();
        snapshot.asked_later.clear();
        snapshot.moved = self.kept().moved(&snapshot.workloads);
        snapshot.nodes = self.nodes.known(begun);
        snapshot.pods = self.kept().known(&snapshot.workloads, begun);
        snapshot.replica_sets = self.replica_sets.known(&snapshot.workloads, begun);
        let mut made = plan(snapshot, limits, now);
        self.prune(&made);
        self.replica_sets.prune(&made);
        for _ in 0..ROUNDS {
            let missing: Vec<&Assessment> = {
                let kept = self.kept();
                let is_missing = |assessment: &&Assessment| {
                    wanted(assessment)
                        && !kept.says_enough_of(assessment, begun)
                        && !kept.rests(assessment, begun)
                };
                kept.in_turn(made.assessments.iter().filter(is_missing))
            };
            let needs_nodes =
                snapshot.nodes.is_none() && made.assessments.iter().any(Assessment::needs_nodes);
            let starting = self.replica_sets.missing(&made, begun);
            if missing.is_empty() && starting.is_empty() && !needs_nodes {
                break;
            }
            self.ask(missing, now).await;
            self.replica_sets.ask(starting).await;
            if needs_nodes {
                self.nodes.ask().await;
            }
            // As they were answered, however long that took.
            snapshot.nodes = self
                .nodes
                .last()
                .filter(|_| needs_nodes)
                .or(snapshot.nodes.take());
            snapshot.pods = self.kept().known(&snapshot.workloads, begun);
            snapshot.moved = self.kept().moved(&snapshot.workloads);
            snapshot.replica_sets = self.replica_sets.known(&snapshot.workloads, begun);
            made = plan(snapshot, limits, now);
            self.kept().compare(&made);
        }
        let asked_later = self.kept().failed_unasked(&made, begun);
        if !asked_later.is_empty() {
            snapshot.asked_later = asked_later;
            made = plan(snapshot, limits, now);
            // Whoever else looks meanwhile may take away the reason to look again that `next_attempt` would have.
            let again = now.checked_add(ASKED_AGAIN).unwrap_or(Timestamp::MAX);
            made.next_look = made.next_look.into_iter().chain([again]).min();
        }
        let waits = made.assessments.iter().any(Assessment::waits_for_nodes);
        self.nodes.waited_for(waits);
        made
    }

    /// When to look again, after a look at `now`, for the sake of pods, nodes or `ReplicaSets` that could not be read.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let others = [self.nodes.next_attempt(now), self.replica_sets.next_attempt(now)];
        let kept = self.kept();
        let rests = kept.resting.values().copied().filter(|until| *until > now);
        let left = kept.has_left.then_some(now);
        let pods = kept.trouble.next(now).into_iter().chain(rests).chain(left);
        pods.chain(others.into_iter().flatten()).min()
    }

    /// Forgets workloads that are no longer part of the plan.
    fn prune(&self, plan: &Plan) {
        let mut kept = self.kept();
        kept.has_left = false;
        let now = Instant::now();
        kept.resting.retain(|_, until| *until > now);
        if kept.answers.is_empty() {
            return;
        }
        let there: HashSet<&str> = plan
            .assessments
            .iter()
            .map(|assessment| assessment.workload.uid.as_str())
            .collect();
        kept.answers.retain(|uid, _| there.contains(uid.as_str()));
        kept.moved.retain(|uid, _| there.contains(uid.as_str()));
        kept.trouble.retain(|uid| there.contains(uid.as_str()));
    }

    /// Asks those whose turn it is, in a look at `now`.
    async fn ask(&self, assessments: Vec<&Assessment>, now: Timestamp) {
        let over = Instant::now() + LONGEST_ASKING;
        stream::iter(assessments)
            .for_each_concurrent(CONCURRENT_WORKLOADS, |assessment| async move {
                let begun = Instant::now();
                if begun >= over || self.kept().rests(assessment, begun) {
                    self.kept().has_left |= begun >= over;
                    return;
                }
                let workload = assessment.workload.as_ref();
                let answer = timeout(PATIENCE, self.read(workload)).await;
                let pods = answer.unwrap_or_else(|_| {
                    Err(format!("reading pods of {}: no answer within {PATIENCE:?}", workload.id))
                });
                if let Err(problem) = &pods {
                    tracing::warn!(workload = %workload.id, problem, "not known what its pods run; trying again later");
                }
                let took = (begun, Instant::now());
                self.kept().take(assessment, pods.map(Arc::new), now, took);
            })
            .await;
    }

    /// All pods of a workload, page by page.
    async fn read(&self, workload: &Workload) -> Result<Pods, String> {
        let what = || format!("reading pods of {}", workload.id);
        let selector = workload
            .selector
            .as_deref()
            .ok_or_else(|| format!("{}: nothing says which pods are its own", what()))?;
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &workload.id.namespace);
        let mut parameters = ListParams::default().labels(selector).limit(PAGE_SIZE);
        let mut pods = Pods::default();
        for _ in 0..MOST_PAGES {
            let page = timeout(CALL_LIMIT, api.list(&parameters))
                .await
                .map_err(|_| format!("{}: no answer within {CALL_LIMIT:?}", what()))?
                .map_err(|error| explain(&what(), &error))?;
            for pod in &page.items {
                pods.take(workload, pod);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(pods),
            }
        }
        Err(format!("{}: there are too many", what()))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// What is known of these workloads as they stand.
    fn known(&self, workloads: &[Arc<Workload>], now: Instant) -> BTreeMap<Uid, PodsRead> {
        let known = workloads.iter().filter_map(|workload| {
            let answer = self.counts(workload, now)?;
            Some((workload.uid.clone(), answer.pods.clone()))
        });
        known.collect()
    }

    /// The answer that counts. What could not be read counts until it may be tried again.
    fn counts(&self, workload: &Workload, now: Instant) -> Option<&Answer> {
        let answer = self.answers.get(&workload.uid)?;
        let counts = match answer.pods {
            Ok(_) => answer.resource_version == workload.resource_version,
            Err(_) => !self.trouble.is_due(&workload.uid, now),
        };
        counts.then_some(answer)
    }

    /// Whether there is no need to ask for what this is about.
    fn says_enough_of(&self, assessment: &Assessment, now: Instant) -> bool {
        self.counts(&assessment.workload, now).is_some_and(|answer| {
            if assessment.has_failed() {
                answer.of_failure
            } else {
                answer.pods.is_err() || !assessment.is_under_way() || now < answer.at + FRESH
            }
        })
    }

    /// Takes in what a plan made of the answers: a rollout that has outlasted its time goes on where they say that it moves.
    fn compare(&mut self, made: &Plan) {
        if !self.answers.values().any(|answer| answer.of_failure) {
            return;
        }
        for assessment in made
            .assessments
            .iter()
            .filter(|assessment| !assessment.has_failed())
        {
            if let Some(answer) = self.answers.get_mut(&assessment.workload.uid) {
                answer.of_failure = false;
            }
        }
    }

    /// Workloads whose update has failed as far as is known without their pods: their turn has not come, or they could not be read.
    fn failed_unasked(&self, made: &Plan, now: Instant) -> BTreeSet<Uid> {
        let assessments = made.assessments.iter();
        let failed = assessments.filter(|assessment| assessment.has_failed());
        let is_unasked = |assessment: &&Assessment| {
            let uid = &assessment.workload.uid;
            match self.counts(&assessment.workload, now) {
                Some(answer) if answer.of_failure && answer.pods.is_err() => {
                    !self.trouble.is_overdue(uid, PATIENT_WITH_PODS, now)
                }
                Some(_) | None => !self.says_enough_of(assessment, now),
            }
        };
        let unasked = failed.filter(is_unasked);
        unasked
            .map(|assessment| assessment.workload.uid.clone())
            .collect()
    }

    /// How far rollouts have come that are under way.
    fn moved(&self, workloads: &[Arc<Workload>]) -> BTreeMap<Uid, Moved> {
        if self.moved.is_empty() {
            return BTreeMap::new();
        }
        let moved = workloads.iter().filter_map(|workload| {
            let (began, moved) = self.moved.get(&workload.uid)?;
            let marker = InFlight::read(&workload.annotations).ok()??;
            (marker.started == *began).then(|| (workload.uid.clone(), *moved))
        });
        moved.collect()
    }

    fn rests(&self, assessment: &Assessment, now: Instant) -> bool {
        let until = self.resting.get(&assessment.workload.id.namespace);
        until.is_some_and(|until| now < *until)
    }

    /// One of each namespace after the other, and in each whoever was served the longest ago first. So who needs much waits for its own.
    fn in_turn<'a>(&self, assessments: impl Iterator<Item = &'a Assessment>) -> Vec<&'a Assessment> {
        let mut queues: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for assessment in assessments {
            let workload = &assessment.workload;
            let served = self.answers.get(&workload.uid).map(|answer| answer.at);
            let queue = queues.entry(&workload.id.namespace).or_default();
            queue.push((served, assessment));
        }
        let turns = queues.into_values().flat_map(|mut queue| {
            queue.sort_by_key(|(served, _)| *served);
            let turns = queue.into_iter().enumerate();
            turns.map(|(place, (served, assessment))| ((place, served), assessment))
        });
        let mut turns: Vec<_> = turns.collect();
        turns.sort_by_key(|(turn, _)| *turn);
        turns.into_iter().map(|(_, assessment)| assessment).collect()
    }

    fn take_moved(&mut self, assessment: &Assessment, moved: Option<Moved>) {
        if let (Some(moved), Some(marker)) = (moved, assessment.action.under_way()) {
            let uid = &assessment.workload.uid;
            let before = self.moved.get(uid).filter(|(began, _)| *began == marker.started);
            let moved = before.map_or(moved, |(_, before)| before.then(moved));
            self.moved.insert(uid.clone(), (marker.started, moved));
        }
    }

    /// Takes in an answer that was `asked` for then, and came between these instants.
    fn take(
        &mut self,
        assessment: &Assessment,
        pods: PodsRead,
        asked: Timestamp,
        (begun, now): (Instant, Instant),
    ) {
        let workload = &assessment.workload;
        let took = now.duration_since(begun);
        if took >= LONG {
            let until = now + took * REST;
            let rest = self.resting.entry(workload.id.namespace.clone()).or_insert(until);
            *rest = until.max(*rest);
        }
        let before = self.answers.get(&workload.uid);
        let is_first_of_failure = assessment.has_failed() && before.is_none_or(|before| !before.of_failure);
        // What could not be read before the time was over is no reason to wait less for an answer now.
        if pods.is_ok() || is_first_of_failure {
            self.trouble.succeeded(&workload.uid);
        }
        if let Ok(pods) = &pods {
            self.take_moved(assessment, pods.moved(workload, asked));
        } else {
            self.trouble.failed(&workload.uid, now);
        }
        let answer = Answer {
            resource_version: workload.resource_version.clone(),
            pods,
            at: now,
            of_failure: assessment.has_failed(),
        };
        self.answers.insert(workload.uid.clone(), answer);
    }
}

#[cfg(test)]
mod tests;
