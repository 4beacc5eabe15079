//! What `ReplicaSets` know of updates, asked for where one of their Deployment is about to start and this updater has not yet seen
//! one start in this term of leadership. Only their metadata is read: what is copied to them are annotations.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::api::ListParams;
use kube::{Api, Client};
use shared::domain::plan::{Assessment, Plan, ReplicaSetsRead};
use shared::domain::replica_sets::{ReplicaSets, ReplicaSetsUnread};
use shared::domain::workload::Workload;
use shared::io::client::explain;
use tokio::time::{Instant, timeout};

use crate::retry::Retries;

/// Deployments whose `ReplicaSets` are read at the same time.
const CONCURRENT_WORKLOADS: usize = 4;
/// In one answer: a Deployment keeps ten old ones, unless it says otherwise.
const PAGE_SIZE: u32 = 100;
/// Pages of one Deployment. One with more is not known.
const MOST_PAGES: usize = 20;
/// How long those of one Deployment may take; other workloads wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// A workload: its uid, as a name may be used again.
type Uid = String;

/// Reads `ReplicaSets`, and remembers what was read until their Deployment changes.
pub(crate) struct ReplicaSetReader {
    client: Client,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: BTreeMap<Uid, Answer>,
    trouble: Retries<Uid>,
    /// Whether it was said that they may not be read.
    is_refusal_said: bool,
}

#[derive(Debug)]
struct Answer {
    /// Of the workload, when it was asked for.
    resource_version: String,
    sets: ReplicaSetsRead,
}

impl fmt::Debug for ReplicaSetReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaSetReader")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl ReplicaSetReader {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
        }
    }

    /// What is known at `now` of these workloads as they stand.
    pub(crate) fn known(&self, workloads: &[Arc<Workload>], now: Instant) -> BTreeMap<Uid, ReplicaSetsRead> {
        let kept = self.kept();
        if kept.answers.is_empty() {
            return BTreeMap::new();
        }
        let known = workloads.iter().filter_map(|workload| {
            let answer = kept.counts(workload, now)?;
            Some((workload.uid.clone(), answer.sets.clone()))
        });
        known.collect()
    }

    /// Those that have to be asked about before it is decided whether they start.
    pub(crate) fn missing<'a>(&self, plan: &'a Plan, now: Instant) -> Vec<&'a Assessment> {
        let kept = self.kept();
        let is_missing = |assessment: &&Assessment| {
            assessment.needs_replica_sets() && kept.counts(&assessment.workload, now).is_none()
        };
        plan.assessments.iter().filter(is_missing).collect()
    }

    /// When to look again, after a look at `now`, for the sake of those that could not be read.
    pub(crate) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.kept().trouble.next(now)
    }

    /// Forgets workloads that are no longer part of the plan, and what was read of those that have changed.
    pub(crate) fn prune(&self, plan: &Plan) {
        let mut kept = self.kept();
        if kept.answers.is_empty() {
            return;
        }
        let there: HashMap<&str, &str> = plan
            .assessments
            .iter()
            .map(|assessment| &assessment.workload)
            .map(|workload| (workload.uid.as_str(), workload.resource_version.as_str()))
            .collect();
        kept.answers.retain(|uid, answer| {
            let version = there.get(uid.as_str());
            version
                .is_some_and(|version| answer.may_outlive_a_change() || *version == answer.resource_version)
        });
        kept.trouble.retain(|uid| there.contains_key(uid.as_str()));
    }

    pub(crate) async fn ask(&self, assessments: Vec<&Assessment>) {
        stream::iter(assessments)
            .for_each_concurrent(CONCURRENT_WORKLOADS, |assessment| async move {
                let workload = assessment.workload.as_ref();
                let late = |_| {
                    let problem = format!("{}: no answer within {PATIENCE:?}", what(workload));
                    Err(ReplicaSetsUnread::Unreadable(problem))
                };
                let sets = timeout(PATIENCE, self.read(workload)).await;
                self.kept()
                    .take(workload, sets.unwrap_or_else(late), Instant::now());
            })
            .await;
    }

    /// All of a Deployment, page by page.
    async fn read(&self, workload: &Workload) -> Result<ReplicaSets, ReplicaSetsUnread> {
        let unreadable = |problem: &str| {
            let problem = format!("{}: {problem}", what(workload));
            ReplicaSetsUnread::Unreadable(problem)
        };
        let selector = workload.selector.as_deref();
        let selector = selector.ok_or_else(|| unreadable("nothing says which are its own"))?;
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &workload.id.namespace);
        let mut parameters = ListParams::default().labels(selector).limit(PAGE_SIZE);
        let mut sets = ReplicaSets::default();
        for _ in 0..MOST_PAGES {
            let page = match api.list_metadata(&parameters).await {
                Ok(page) => page,
                // 401 is no such answer: a token that is about to be renewed takes no right away.
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    return Err(ReplicaSetsUnread::NotAllowed);
                }
                Err(error) => return Err(ReplicaSetsUnread::Unreadable(explain(&what(workload), &error))),
            };
            for set in &page.items {
                sets.take(workload, &set.metadata);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(sets),
            }
        }
        Err(unreadable("there are too many"))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn what(workload: &Workload) -> String {
    format!("listing the ReplicaSets of {}", workload.id)
}

impl Answer {
    /// Whether it counts although the workload has changed: what could not be read is not asked for more often by that.
    fn may_outlive_a_change(&self) -> bool {
        matches!(self.sets, Err(ReplicaSetsUnread::Unreadable(_)))
    }
}

impl Kept {
    /// The answer that counts. What could not be read counts until it may be tried again.
    fn counts(&self, workload: &Workload, now: Instant) -> Option<&Answer> {
        let answer = self.answers.get(&workload.uid)?;
        let counts = if answer.may_outlive_a_change() {
            !self.trouble.is_due(&workload.uid, now)
        } else {
            answer.resource_version == workload.resource_version
        };
        counts.then_some(answer)
    }

    fn take(&mut self, workload: &Workload, sets: Result<ReplicaSets, ReplicaSetsUnread>, now: Instant) {
        match &sets {
            Ok(_) => {
                self.trouble.succeeded(&workload.uid);
                self.is_refusal_said = false;
            }
            Err(ReplicaSetsUnread::NotAllowed) => {
                self.trouble.succeeded(&workload.uid);
                if !self.is_refusal_said {
                    tracing::warn!(
                        "not allowed to list ReplicaSets, so that a Deployment that somebody undid while no updater led may be \
                         updated again; deploy/manifests grant it"
                    );
                }
                self.is_refusal_said = true;
            }
            Err(ReplicaSetsUnread::Unreadable(problem)) => {
                tracing::warn!(workload = %workload.id, problem, "not known whether somebody has undone it; trying again later");
                self.trouble.failed(&workload.uid, now);
            }
        }
        let answer = Answer {
            resource_version: workload.resource_version.clone(),
            sets: sets.map(Arc::new),
        };
        self.answers.insert(workload.uid.clone(), answer);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::domain::workload::Workload;

    use super::*;
    use crate::answering::{self, Reply};
    use crate::fixture::checkout;

    #[tokio::test]
    async fn only_a_missing_right_says_that_nobody_may_ever_ask() {
        for (code, is_refusal) in [(401, false), (403, true), (500, false)] {
            let reader = ReplicaSetReader::new(answering::client(move |_, _| Reply::failure(code)));
            let found = reader.read(&checkout("shop")).await.unwrap_err();
            assert_eq!(
                found == ReplicaSetsUnread::NotAllowed,
                is_refusal,
                "{code}: {found:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_list_that_does_not_end_is_not_known() {
        let reader = ReplicaSetReader::new(answering::client(|_, _| {
            let metadata = json!({ "continue": "more" });
            Reply::ok(
                json!({ "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": [] }),
            )
        }));
        let found = reader.read(&checkout("shop")).await.unwrap_err();
        let too_many = "listing the ReplicaSets of deployment shop/checkout: there are too many";
        assert_eq!(found, ReplicaSetsUnread::Unreadable(too_many.to_owned()));
    }

    #[test]
    fn an_answer_counts_until_the_workload_changes_and_a_failure_until_it_may_be_tried_again() {
        let now = Instant::now();
        let before = checkout("shop");
        let mut after = Workload::clone(&before);
        after.resource_version = "8".to_owned();
        for (answer, expected) in [
            (Ok(ReplicaSets::default()), [true, false, true]),
            (Err(ReplicaSetsUnread::NotAllowed), [true, false, true]),
            (
                Err(ReplicaSetsUnread::Unreadable("no".to_owned())),
                [true, true, false],
            ),
        ] {
            let mut kept = Kept::default();
            kept.take(&before, answer, now);
            let later = now + Duration::from_secs(1);
            let found = [(&*before, now), (&after, now), (&*before, later)]
                .map(|(workload, at)| kept.counts(workload, at).is_some());
            assert_eq!(found, expected, "{kept:?}");
        }
    }
}
