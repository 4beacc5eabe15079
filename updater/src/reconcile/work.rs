//! The calls that looks have begun, those of one workload in a task of their own, and who may begin more.
//!
//! A namespace can make its calls hang, by a webhook that does not answer. So a namespace has a share of the places; where one of its calls
//! takes long, it has a single place and no look waits for it, until a call of its is answered at once again. What finds no place is left
//! to a later look, which decides anew.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::panic::resume_unwind;
use std::time::Duration;

use shared::domain::plan::{Snapshot, Tried};
use shared::domain::workload::Workload;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// Workloads that are written to at the same time.
const PLACES: usize = 32;
/// The same, in one namespace.
const PLACES_OF_A_NAMESPACE: usize = 8;
/// A call that takes longer makes its namespace a slow one.
const SLOW: Duration = Duration::from_secs(1);
/// How long one look begins work and waits for it: what is more urgent by then goes before the rest.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// A part of what a look has to do, which takes one place.
pub(super) trait Piece {
    /// What it is about; nothing else is done about that meanwhile.
    fn subject(&self) -> &str;
    fn namespace(&self) -> &str;
}

/// What was begun and has not ended, each with an outcome `T`.
#[derive(Debug)]
pub struct Work<T> {
    running: JoinSet<Ended<T>>,
    /// By subject.
    places: HashMap<String, Place>,
    /// Namespaces.
    slow: BTreeSet<String>,
}

#[derive(Debug)]
struct Place {
    namespace: String,
    since: Instant,
}

#[derive(Debug)]
struct Ended<T> {
    subject: String,
    took: Duration,
    outcome: T,
}

/// What has yet to be begun, by namespace: in each the most urgent first, with its place among all.
#[derive(Debug)]
struct Queues<P>(BTreeMap<String, VecDeque<(usize, P)>>);

impl<T> Default for Work<T> {
    fn default() -> Self {
        Self {
            running: JoinSet::new(),
            places: HashMap::new(),
            slow: BTreeSet::new(),
        }
    }
}

impl<T: Send + 'static> Work<T> {
    /// Begins these, the most urgent first, and waits until they have ended, except those of slow namespaces. Returns what has ended
    /// meanwhile, and what was not begun.
    pub(super) async fn carry_out<P: Piece, F>(
        &mut self,
        pieces: Vec<P>,
        begin: impl Fn(P) -> F,
    ) -> (Vec<T>, Vec<P>)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let over = Instant::now() + LONGEST_LOOK;
        let free = pieces
            .into_iter()
            .filter(|piece| !self.places.contains_key(piece.subject()));
        let mut queues = Queues::of(free);
        let mut outcomes = Vec::new();
        loop {
            let now = Instant::now();
            self.find_slow(now);
            if now >= over {
                break;
            }
            while let Some(piece) = queues.next(|namespace| self.has_place(namespace)) {
                self.begin(piece, &begin);
            }
            let Some(slow_at) = self.next_slow() else {
                break;
            };
            if let Ok(ended) = timeout_at(slow_at.min(over), self.running.join_next()).await {
                outcomes.extend(ended.and_then(|ended| self.take(ended)));
            }
        }
        (outcomes, queues.rest())
    }

    /// What has ended by now.
    pub(super) fn ended(&mut self) -> Vec<T> {
        let mut outcomes = Vec::new();
        while let Some(ended) = self.running.try_join_next() {
            outcomes.extend(self.take(ended));
        }
        outcomes
    }

    /// Waits until something ends that has outlasted its look. `None`: nothing has.
    pub(super) async fn next(&mut self) -> Option<T> {
        let ended = self.running.join_next().await?;
        self.take(ended)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Says what others have to know of these workloads.
    pub(super) fn add_tried(&self, snapshot: &mut Snapshot) {
        if self.is_idle() {
            return;
        }
        for workload in &snapshot.workloads {
            if let Some(tried) = self.tried(workload) {
                snapshot.tried.entry(workload.uid.clone()).or_insert(tried);
            }
        }
    }

    /// Where a call is under way nobody can see yet what it does, and what has no place takes no turn from others.
    fn tried(&self, workload: &Workload) -> Option<Tried> {
        if self.places.contains_key(&workload.uid) {
            let resource_version = workload.resource_version.clone();
            return Some(Tried::Answered { resource_version });
        }
        (!self.has_place(&workload.id.namespace)).then_some(Tried::InTrouble)
    }

    fn has_place(&self, namespace: &str) -> bool {
        let most = if self.slow.contains(namespace) {
            1
        } else {
            PLACES_OF_A_NAMESPACE
        };
        let taken = self.places.values().filter(|place| place.namespace == namespace);
        self.places.len() < PLACES && taken.count() < most
    }

    fn begin<P: Piece, F>(&mut self, piece: P, begin: impl Fn(P) -> F)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let since = Instant::now();
        let (subject, namespace) = (piece.subject().to_owned(), piece.namespace().to_owned());
        self.places.insert(subject.clone(), Place { namespace, since });
        let calls = begin(piece);
        self.running.spawn(async move {
            let outcome = calls.await;
            let took = since.elapsed();
            Ended {
                subject,
                took,
                outcome,
            }
        });
    }

    fn take(&mut self, ended: Result<Ended<T>, JoinError>) -> Option<T> {
        match ended.map_err(JoinError::try_into_panic) {
            Ok(ended) => {
                let place = self.places.remove(&ended.subject);
                if let Some(place) = place.filter(|_| ended.took < SLOW) {
                    self.slow.remove(&place.namespace);
                }
                Some(ended.outcome)
            }
            Err(Ok(panic)) => resume_unwind(panic),
            Err(Err(_cancelled)) => None,
        }
    }

    fn find_slow(&mut self, now: Instant) {
        let slow = self.places.values().filter(|place| place.since + SLOW <= now);
        self.slow.extend(slow.map(|place| place.namespace.clone()));
    }

    /// When the next namespace becomes a slow one. `None`: there is nothing to wait for.
    fn next_slow(&self) -> Option<Instant> {
        let awaited = self
            .places
            .values()
            .filter(|place| !self.slow.contains(&place.namespace));
        awaited.map(|place| place.since + SLOW).min()
    }
}

impl<P: Piece> Queues<P> {
    /// No two about the same subject.
    fn of(pieces: impl Iterator<Item = P>) -> Self {
        let mut subjects = HashSet::new();
        let mut queues: BTreeMap<String, VecDeque<(usize, P)>> = BTreeMap::new();
        for (index, piece) in pieces.enumerate() {
            if subjects.insert(piece.subject().to_owned()) {
                let queue = queues.entry(piece.namespace().to_owned()).or_default();
                queue.push_back((index, piece));
            }
        }
        Self(queues)
    }

    /// The most urgent one of a namespace that has a place.
    fn next(&mut self, has_place: impl Fn(&str) -> bool) -> Option<P> {
        let queues = self.0.iter_mut();
        let (_, queue) = queues
            .filter(|(namespace, queue)| !queue.is_empty() && has_place(namespace))
            .min_by_key(|(_, queue)| queue.front().map(|(index, _)| *index))?;
        queue.pop_front().map(|(_, piece)| piece)
    }

    fn rest(self) -> Vec<P> {
        let queues = self.0.into_values().flatten();
        queues.map(|(_, piece)| piece).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::fixture::checkout;

    /// So many workloads of each of these namespaces, in turn.
    fn pieces(namespaces: &[&'static str], each: usize) -> Vec<(String, &'static str)> {
        let pieces = (0..each).flat_map(|index| {
            let piece = move |namespace: &&'static str| (format!("{namespace}/{index}"), *namespace);
            namespaces.iter().map(piece)
        });
        pieces.collect()
    }

    impl Piece for (String, &'static str) {
        fn subject(&self) -> &str {
            &self.0
        }

        fn namespace(&self) -> &str {
            self.1
        }
    }

    /// Answers at once, but in the namespace `broken` only once there is a permit.
    struct Server(Arc<Semaphore>);

    impl Server {
        fn new() -> Self {
            Self(Arc::new(Semaphore::new(0)))
        }

        async fn look(
            &self,
            work: &mut Work<String>,
            pieces: Vec<(String, &'static str)>,
        ) -> (usize, BTreeSet<&'static str>, usize) {
            let (done, left) = work
                .carry_out(pieces, |(subject, namespace)| {
                    let answers = Arc::clone(&self.0);
                    async move {
                        if namespace == "broken" {
                            answers.acquire().await.unwrap().forget();
                        }
                        subject
                    }
                })
                .await;
            (
                done.len(),
                left.iter().map(|(_, namespace)| *namespace).collect(),
                left.len(),
            )
        }
    }

    #[tokio::test]
    async fn a_namespace_whose_calls_hang_holds_up_no_other_one_and_has_one_place_until_one_is_answered() {
        let server = Server::new();
        let mut work = Work::default();
        let all = pieces(&["broken", "fine", "other"], 100);
        let left = PLACES_OF_A_NAMESPACE;
        let broken = BTreeSet::from(["broken"]);
        assert_eq!(
            server.look(&mut work, all.clone()).await,
            (200, broken.clone(), 100 - left)
        );
        // The next looks do not wait for it, whatever there is to do.
        let begun = Instant::now();
        assert_eq!(
            server.look(&mut work, all.clone()).await,
            (200, broken.clone(), 100 - left)
        );
        assert!(begun.elapsed() < SLOW);

        // Once all of those have ended, late, one is begun.
        server.0.add_permits(left);
        for _ in 0..left {
            assert!(work.next().await.is_some());
        }
        assert!(work.is_idle());
        assert_eq!(server.look(&mut work, all.clone()).await, (200, broken, 99));
        assert!(!work.is_idle());
        // It is answered at once, so it has all its places again.
        server.0.add_permits(200);
        assert!(work.next().await.is_some());
        assert_eq!(server.look(&mut work, all).await, (300, BTreeSet::new(), 0));
    }

    #[tokio::test]
    async fn what_is_under_way_or_has_no_place_takes_no_turn_from_others() {
        let (busy, next, other) = (checkout("broken"), checkout("broken"), checkout("fine"));
        let named = |workload: &Arc<Workload>, uid: &str| {
            let mut workload = Workload::clone(workload);
            uid.clone_into(&mut workload.uid);
            workload
        };
        let (busy, next, other) = (named(&busy, "broken/0"), named(&next, "x"), named(&other, "y"));
        let server = Server::new();
        let mut work = Work::default();
        assert_eq!(work.tried(&busy), None);
        server.look(&mut work, pieces(&["broken"], 1)).await;
        let resource_version = busy.resource_version.clone();
        assert_eq!(work.tried(&busy), Some(Tried::Answered { resource_version }));
        assert_eq!(work.tried(&next), Some(Tried::InTrouble));
        assert_eq!(work.tried(&other), None);
    }

    #[test]
    fn the_most_urgent_comes_first_wherever_there_is_a_place() {
        let mut queues = Queues::of(pieces(&["a", "b"], 2).into_iter());
        let mut next = |full: &str| {
            queues
                .next(|namespace| namespace != full)
                .map(|(subject, _)| subject)
        };
        assert_eq!(next("").as_deref(), Some("a/0"));
        assert_eq!(next("b").as_deref(), Some("a/1"));
        assert_eq!(next("b"), None);
        assert_eq!(next("").as_deref(), Some("b/0"));
    }
}
