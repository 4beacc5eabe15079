//! The long-lived tasks of the process, watched over together: none ends unseen.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use futures::{FutureExt as _, TryFutureExt as _};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A task that ended although nobody had told it to.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("the task {0} ended although nobody had told it to")]
    Ended(&'static str),
    /// With what it said.
    #[error("a task panicked: {0}")]
    Panicked(String),
}

impl From<JoinError> for TaskError {
    fn from(error: JoinError) -> Self {
        let text = error.to_string();
        error.try_into_panic().map_or(Self::Panicked(text), panicked)
    }
}

fn panicked(payload: Box<dyn Any + Send>) -> TaskError {
    let text = payload.downcast::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|payload| payload.downcast::<String>().map(|text| *text));
    TaskError::Panicked(text.unwrap_or_else(|_| "without a word".to_owned()))
}

type Ended = Result<&'static str, TaskError>;

/// The tasks of this process, by name.
#[derive(Debug)]
pub(crate) struct Tasks {
    set: JoinSet<&'static str>,
    here: FuturesUnordered<BoxFuture<'static, Ended>>,
    stop: CancellationToken,
    stop_limit: Duration,
}

impl Tasks {
    /// No tasks yet. `stop` tells them to end, and they have `stop_limit` to do so.
    pub(crate) fn new(stop: CancellationToken, stop_limit: Duration) -> Self {
        Self {
            set: JoinSet::new(),
            here: FuturesUnordered::new(),
            stop,
            stop_limit,
        }
    }

    /// Starts a task that ends by itself when told to stop.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(async move {
            task.await;
            name
        });
    }

    /// For a task that thinks for long: it has the thread of whoever watches over them to itself.
    pub(crate) fn spawn_here(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task = AssertUnwindSafe(task).catch_unwind();
        self.here
            .push(task.map_ok(move |()| name).map_err(panicked).boxed());
    }

    /// For a task that knows no end of its own.
    pub(crate) fn spawn_until_stop(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.spawn(name, async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Waits until told to stop, or until a task ends by itself, which is an error.
    pub(crate) async fn watch_over(mut self) -> Result<(), TaskError> {
        let stop = self.stop.clone();
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            Some(ended) = self.next() => ended.and_then(|name| {
                // It may have been told between the two questions.
                let was_told = stop.is_cancelled();
                was_told.then_some(()).ok_or(TaskError::Ended(name))
            }),
        };
        first.and(self.finish().await)
    }

    /// The next one that ends. `None` when all have.
    async fn next(&mut self) -> Option<Ended> {
        tokio::select! {
            Some(ended) = self.set.join_next() => Some(ended.map_err(TaskError::from)),
            Some(ended) = self.here.next() => Some(ended),
            else => None,
        }
    }

    /// Stops all and waits for them. A task that panics on the way is still an error; one that hangs is left behind.
    pub(crate) async fn finish(mut self) -> Result<(), TaskError> {
        self.stop.cancel();
        let drained = timeout(self.stop_limit, async {
            while let Some(ended) = self.next().await {
                ended?;
            }
            Ok(())
        });
        drained.await.unwrap_or_else(|_| {
            tracing::warn!("a call to the cluster is still under way; leaving without its answer");
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_by_itself_ends_the_process_and_is_named() {
        let mut tasks = Tasks::new(CancellationToken::new(), Duration::from_secs(5));
        tasks.spawn_until_stop("steady", std::future::pending());
        tasks.spawn("frail", async {});
        assert!(matches!(tasks.watch_over().await, Err(TaskError::Ended("frail"))));
    }

    #[tokio::test]
    async fn a_task_that_panics_ends_the_process_and_its_words_are_told() {
        let mut tasks = Tasks::new(CancellationToken::new(), Duration::from_secs(5));
        tasks.spawn("frail", async { panic!("for the test") });
        let error = tasks.watch_over().await.unwrap_err();
        assert_eq!(error.to_string(), "a task panicked: for the test");

        let mut tasks = Tasks::new(CancellationToken::new(), Duration::from_secs(5));
        tasks.spawn_here("frail", async { panic!("for the {}", "test") });
        let error = tasks.watch_over().await.unwrap_err();
        assert_eq!(error.to_string(), "a task panicked: for the test");
    }

    #[tokio::test]
    async fn a_task_here_is_watched_over_like_any_other() {
        let mut tasks = Tasks::new(CancellationToken::new(), Duration::from_secs(5));
        tasks.spawn_until_stop("steady", std::future::pending());
        tasks.spawn_here("frail", async {});
        assert!(matches!(tasks.watch_over().await, Err(TaskError::Ended("frail"))));

        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(5));
        let (until, (ended, has_ended)) = (stop.clone(), std::sync::mpsc::channel());
        tasks.spawn_here("steady", async move {
            until.cancelled().await;
            tokio::task::yield_now().await;
            ended.send(()).unwrap();
        });
        stop.cancel();
        tasks.watch_over().await.unwrap();
        has_ended.try_recv().expect("it is waited for");
    }

    #[tokio::test]
    async fn a_task_that_ends_as_soon_as_it_is_told_to_has_not_ended_by_itself() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(5));
        tasks.spawn_here("quick", async move { stop.cancel() });
        assert!(tasks.watch_over().await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_task_here_that_thinks_for_long_holds_up_no_other() {
        let (stop, (turns, turned)) = (CancellationToken::new(), std::sync::mpsc::channel());
        let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(5));
        tasks.spawn("lease", async move { turns.send(()).unwrap() });
        tasks.spawn_here("thinker", async move {
            turned
                .recv_timeout(Duration::from_mins(1))
                .expect("its turn came meanwhile");
            stop.cancel();
        });
        let name = tasks.next().await.unwrap().unwrap();
        assert!(["lease", "thinker"].contains(&name));
        tasks.finish().await.unwrap();
    }

    #[tokio::test]
    async fn tasks_that_end_because_they_were_told_to_are_no_error() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(5));
        tasks.spawn_until_stop("steady", std::future::pending());
        stop.cancel();
        assert!(tasks.watch_over().await.is_ok());
    }

    #[tokio::test]
    async fn a_task_that_hangs_does_not_hold_up_the_end() {
        let mut tasks = Tasks::new(CancellationToken::new(), Duration::from_millis(5));
        tasks.spawn("hanging", std::future::pending());
        assert!(tasks.finish().await.is_ok());
    }
}
