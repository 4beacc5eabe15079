//! On which platforms the nodes run, asked for where a plan depends on it and kept for a while: nodes are not watched, as they
//! change all the time, and their platforms hardly ever.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::{Api, Client};
use shared::domain::nodes::{Nodes, NodesUnread};
use shared::domain::plan::NodesRead;
use shared::io::client::explain;
use shared::io::list;
use tokio::time::{Instant, timeout};

use crate::retry::Retries;

/// How long all pages together may take; other workloads wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer counts. New nodes have been there for as long before an update that was decided without them.
const LASTS: Duration = Duration::from_mins(5);

const WHAT: &str = "listing the nodes";

/// Reads nodes, and remembers what was read.
pub(crate) struct NodeReader {
    client: Client,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answer: Option<(NodesRead, Instant)>,
    trouble: Retries<()>,
    /// Something waits because of them, and would not if some were gone.
    is_waited_for: bool,
}

impl fmt::Debug for NodeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeReader")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

impl NodeReader {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            kept: Mutex::default(),
        }
    }

    /// What is known at `now`. What could not be read counts until it may be tried again.
    pub(crate) fn known(&self, now: Instant) -> Option<NodesRead> {
        let kept = self.kept();
        let (nodes, read_at) = kept.answer.as_ref()?;
        let counts = match nodes {
            Ok(_) | Err(NodesUnread::NotAllowed) => now.duration_since(*read_at) < LASTS,
            Err(NodesUnread::Unreadable(_)) => !kept.trouble.is_due(&(), now),
        };
        counts.then(|| nodes.clone())
    }

    /// What was answered last, however long ago.
    pub(crate) fn last(&self) -> Option<NodesRead> {
        let kept = self.kept();
        kept.answer.as_ref().map(|(nodes, _)| nodes.clone())
    }

    /// Whether something waits because of what was answered.
    pub(crate) fn waited_for(&self, is_waited_for: bool) {
        self.kept().is_waited_for = is_waited_for;
    }

    /// When to look again for the sake of nodes that could not be read, or that may be gone by then.
    pub(crate) fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.kept().next_attempt(now)
    }

    /// Asks for them.
    pub(crate) async fn ask(&self) {
        let late = |_| {
            Err(NodesUnread::Unreadable(format!(
                "{WHAT}: no answer within {PATIENCE:?}"
            )))
        };
        let nodes = timeout(PATIENCE, self.read()).await.unwrap_or_else(late);
        let mut kept = self.kept();
        match &nodes {
            Ok(_) => kept.trouble.succeeded(&()),
            Err(NodesUnread::NotAllowed) => {
                kept.trouble.succeeded(&());
                let is_known = matches!(kept.answer, Some((Err(NodesUnread::NotAllowed), _)));
                if !is_known {
                    tracing::warn!(
                        "not allowed to list nodes, so that nobody looks whether images are published for their platforms"
                    );
                }
            }
            Err(NodesUnread::Unreadable(problem)) => {
                tracing::warn!(
                    problem,
                    "not known on which platforms the nodes run; trying again later"
                );
                kept.trouble.failed(&(), Instant::now());
            }
        }
        kept.answer = Some((nodes.map(Arc::new), Instant::now()));
    }

    /// All of them, page by page.
    async fn read(&self) -> Result<Nodes, NodesUnread> {
        let api: Api<Node> = Api::all(self.client.clone());
        let mut nodes = Nodes::default();
        let listed = list::each(&api, ListParams::default(), |node| nodes.take(&node)).await;
        match listed {
            Ok(()) => Ok(nodes),
            // 401 is no such answer: a token that is about to be renewed takes no right away.
            Err(kube::Error::Api(status)) if status.code == 403 => Err(NodesUnread::NotAllowed),
            Err(error) => Err(NodesUnread::Unreadable(explain(WHAT, &error))),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let answer = self.answer.as_ref().filter(|_| self.is_waited_for);
        let lasts_until = answer.map(|(_, read_at)| *read_at + LASTS);
        self.trouble.next(now).into_iter().chain(lasts_until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answering::{self, Reply};

    #[tokio::test]
    async fn only_a_missing_right_says_that_nobody_may_ever_look() {
        for (code, is_refusal) in [(401, false), (403, true), (500, false)] {
            let nodes = NodeReader::new(answering::client(move |_, _| Reply::failure(code)));
            nodes.ask().await;
            let known = nodes.last().unwrap().unwrap_err();
            assert_eq!(known == NodesUnread::NotAllowed, is_refusal, "{code}: {known:?}");
        }
    }

    #[test]
    fn nodes_are_looked_at_again_where_something_waits_because_of_them_and_not_otherwise() {
        let now = Instant::now();
        let kept = |is_waited_for| Kept {
            answer: Some((Ok(Arc::default()), now)),
            is_waited_for,
            ..Kept::default()
        };
        assert_eq!(kept(true).next_attempt(now), Some(now + LASTS));
        assert_eq!(kept(false).next_attempt(now), None);
    }
}
