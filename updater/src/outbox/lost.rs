//! Asks what became of rollouts that no look shows any more. A view may lag behind the record, which another updater wrote, so the API
//! server itself is asked, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Client, ResourceExt as _};
use shared::domain::message::Message;
use shared::domain::outbox::Rollout;
use shared::io::client::explain;
use tokio::time::{Instant, timeout};

use crate::answer::{Failure, failure};
use crate::api;
use crate::retry::Retries;

/// How long an answer may take; messages wait for it.
const CALL_LIMIT: Duration = Duration::from_secs(3);
/// Questions that are asked at the same time.
const CONCURRENT: usize = 8;

/// What is asked, and what was.
pub(super) struct Lost {
    client: Client,
    tries: Retries<String>,
    /// What nobody has to ask again: it goes on although no look shows it, in a namespace that is not watched any more, or we may not
    /// know.
    answered: BTreeSet<String>,
}

impl fmt::Debug for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lost")
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

impl Lost {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            tries: Retries::default(),
            answered: BTreeSet::new(),
        }
    }

    /// When to ask again, after a look at `now`.
    pub(super) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.tries.next(now)
    }

    /// Somebody else leads.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.client.clone());
    }

    /// The ends of those of all that are `lost` which have one.
    pub(super) async fn ends(&mut self, lost: Vec<Rollout>, now: Timestamp) -> Vec<(Rollout, Message)> {
        let keys: BTreeSet<String> = lost.iter().map(Rollout::key).collect();
        self.answered.retain(|key| keys.contains(key));
        self.tries.retain(|key| keys.contains(key));
        let begun = Instant::now();
        let asked = lost.into_iter().filter(|rollout| {
            let key = rollout.key();
            !self.answered.contains(&key) && self.tries.is_due(&key, begun)
        });
        let asked: Vec<Rollout> = asked.collect();
        let client = &self.client;
        let answers = stream::iter(asked).map(|rollout| async move {
            let answer = timeout(CALL_LIMIT, annotations(client, &rollout)).await;
            (rollout, answer)
        });
        let answers: Vec<_> = answers.buffer_unordered(CONCURRENT).collect().await;
        let mut ends = Vec::new();
        for (rollout, answer) in answers {
            let (key, workload) = (rollout.key(), &rollout.workload);
            match answer {
                Ok(Ok(annotations)) => match rollout.end(annotations.as_ref(), now) {
                    Some(end) => ends.push((rollout, end)),
                    None => drop(self.answered.insert(key)),
                },
                Ok(Err(error)) => {
                    let problem = explain(&format!("reading {workload}"), &error);
                    tracing::warn!(problem, "nobody knows how a rollout ended whose start was told");
                    match failure(&error) {
                        Failure::Refused => drop(self.answered.insert(key)),
                        Failure::Unknown | Failure::Conflict | Failure::AlreadyExists => {
                            self.tries.failed(&key, Instant::now());
                        }
                    }
                }
                Err(_) => {
                    tracing::warn!(%workload, "no answer within {CALL_LIMIT:?}: how did the rollout end whose start was told?");
                    self.tries.failed(&key, Instant::now());
                }
            }
        }
        ends
    }
}

/// Those of its workload now; `None` where it is gone. By a list, which is all that we may read: one without a version is as new as
/// anything that was written.
async fn annotations(
    client: &Client,
    rollout: &Rollout,
) -> Result<Option<BTreeMap<String, String>>, kube::Error> {
    let workload = &rollout.workload;
    let api = api::workloads(client, workload.kind, Some(&workload.namespace));
    let own = ListParams::default().fields(&format!("metadata.name={}", workload.name));
    let found = api.list(&own).await?.items.into_iter();
    let mut found = found.filter(|object| rollout.is_of(object.uid().as_deref()));
    Ok(found
        .next()
        .map(|object| object.metadata.annotations.unwrap_or_default()))
}
