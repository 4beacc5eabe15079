//! What pods say, asked for where a plan depends on it and kept until their workload changes. Pods are not watched: a cluster
//! has many, few of them matter, and the status of a workload changes whenever its pods do.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use shared::domain::plan::{Assessment, Plan, PlanLimits, PodsRead, Snapshot, plan};
use shared::domain::pods::Pods;
use shared::domain::workload::Workload;
use shared::io::client::explain;
use tokio::time::{Instant, timeout, timeout_at};

use crate::nodes::NodeReader;
use crate::retry::Retries;

/// Workloads whose pods are read at the same time.
const CONCURRENT_WORKLOADS: usize = 4;
/// Pods in one answer: read, one takes some 10 KiB.
const PAGE_SIZE: u32 = 100;
/// Pages of one workload. One with more pods is not known.
const MOST_PAGES: usize = 100;
/// How long one page may take.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// How long one look waits for all pods together; other workloads wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// A workload: its uid, as a name may be used again.
type Uid = String;

/// Reads pods, and remembers what they said.
pub struct PodReader {
    client: Client,
    kept: Mutex<Kept>,
    nodes: NodeReader,
}

#[derive(Debug, Default)]
struct Kept {
    answers: BTreeMap<Uid, Answer>,
    trouble: Retries<Uid>,
}

#[derive(Debug)]
struct Answer {
    /// Of the workload, when it was asked for.
    resource_version: String,
    pods: PodsRead,
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
            client,
            kept: Mutex::default(),
        }
    }

    /// The plan, made anew where it depends on what pods say, and those that `wanted` names were not read yet, or on nodes.
    pub async fn plan(
        &self,
        snapshot: &mut Snapshot,
        limits: &PlanLimits,
        now: Timestamp,
        wanted: impl Fn(&Assessment) -> bool,
    ) -> Plan {
        // What could not be read in this look counts until it ends, however long it takes.
        let begun = Instant::now();
        snapshot.nodes = self.nodes.known(begun);
        snapshot.pods = self.kept().known(&snapshot.workloads, begun);
        let mut made = plan(snapshot, limits, now);
        self.prune(&made);
        // What runs may show that nodes matter, and nodes that it matters where it runs.
        for _ in 0..2 {
            let missing = made.assessments.iter().filter(|assessment| {
                wanted(assessment) && !snapshot.pods.contains_key(&assessment.workload.uid)
            });
            let missing: Vec<&Workload> = missing.map(|assessment| assessment.workload.as_ref()).collect();
            let needs_nodes =
                snapshot.nodes.is_none() && made.assessments.iter().any(Assessment::needs_nodes);
            if missing.is_empty() && !needs_nodes {
                break;
            }
            self.ask(missing).await;
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
            made = plan(snapshot, limits, now);
        }
        let waits = made.assessments.iter().any(Assessment::waits_for_nodes);
        self.nodes.waited_for(waits);
        made
    }

    /// When to look again, after a look at `now`, for the sake of pods or nodes that could not be read.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let nodes = self.nodes.next_attempt(now);
        self.kept().trouble.next(now).into_iter().chain(nodes).min()
    }

    /// Forgets workloads that are no longer part of the plan.
    fn prune(&self, plan: &Plan) {
        let mut kept = self.kept();
        if kept.answers.is_empty() {
            return;
        }
        let there: HashSet<&str> = plan
            .assessments
            .iter()
            .map(|assessment| assessment.workload.uid.as_str())
            .collect();
        kept.answers.retain(|uid, _| there.contains(uid.as_str()));
        kept.trouble.retain(|uid| there.contains(uid.as_str()));
    }

    async fn ask(&self, workloads: Vec<&Workload>) {
        let deadline = Instant::now() + PATIENCE;
        stream::iter(workloads)
            .for_each_concurrent(CONCURRENT_WORKLOADS, |workload| async move {
                let answer = timeout_at(deadline, self.read(workload)).await;
                let pods = answer.unwrap_or_else(|_| {
                    Err(format!("reading pods of {}: no answer within {PATIENCE:?}", workload.id))
                });
                if let Err(problem) = &pods {
                    tracing::warn!(workload = %workload.id, problem, "not known what its pods run; trying again later");
                }
                self.kept().take(workload, pods.map(Arc::new), Instant::now());
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
    /// What is known of these workloads as they stand. What could not be read counts until it may be tried again.
    fn known(&self, workloads: &[Arc<Workload>], now: Instant) -> BTreeMap<Uid, PodsRead> {
        let known = workloads.iter().filter_map(|workload| {
            let Answer {
                resource_version,
                pods,
            } = self.answers.get(&workload.uid)?;
            let counts = match pods {
                Ok(_) => *resource_version == workload.resource_version,
                Err(_) => !self.trouble.is_due(&workload.uid, now),
            };
            counts.then(|| (workload.uid.clone(), pods.clone()))
        });
        known.collect()
    }

    fn take(&mut self, workload: &Workload, pods: PodsRead, now: Instant) {
        match pods {
            Ok(_) => self.trouble.succeeded(&workload.uid),
            Err(_) => self.trouble.failed(&workload.uid, now),
        }
        let answer = Answer {
            resource_version: workload.resource_version.clone(),
            pods,
        };
        self.answers.insert(workload.uid.clone(), answer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::answering::{self, Reply};
    use crate::fixture::checkout;

    #[tokio::test]
    async fn what_cannot_be_read_is_asked_for_once_in_a_look_however_long_the_others_take() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // Longer than the pause after a failure.
        let slow = Duration::from_millis(1200);
        let pods = PodReader::new(answering::client(move |_, path| {
            if path.contains("/namespaces/broken/") {
                counted.fetch_add(1, Ordering::SeqCst);
                return Reply::failure(500);
            }
            let list = json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [] });
            Reply {
                after: slow,
                ..Reply::ok(list)
            }
        }));
        let mut snapshot = Snapshot {
            workloads: vec![checkout("broken"), checkout("slow")],
            ..Snapshot::default()
        };
        let limits = PlanLimits {
            max_record_age: jiff::SignedDuration::MAX,
            max_rollouts: None,
            max_rollouts_per_namespace: None,
            threads: 1,
        };
        pods.plan(&mut snapshot, &limits, Timestamp::UNIX_EPOCH, |_| true)
            .await;
        assert_eq!(snapshot.pods.len(), 2);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}
