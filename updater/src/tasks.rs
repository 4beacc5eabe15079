//! The long-lived tasks of the process, watched over together: none ends unseen.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A task that ended although nobody had told it to.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    #[error("the task {0} ended although nobody had told it to")]
    Ended(&'static str),
    #[error("a task panicked: {0}")]
    Panicked(#[source] JoinError),
}

/// The tasks of this process, by name.
#[derive(Debug)]
pub(crate) struct Tasks {
    set: JoinSet<&'static str>,
    stop: CancellationToken,
    stop_limit: Duration,
}

impl Tasks {
    /// No tasks yet. `stop` tells them to end, and they have `stop_limit` to do so.
    pub(crate) fn new(stop: CancellationToken, stop_limit: Duration) -> Self {
        Self {
            set: JoinSet::new(),
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
            Some(ended) = self.set.join_next() => judge(ended),
        };
        first.and(self.finish().await)
    }

    /// Stops all and waits for them. A task that panics on the way is still an error; one that hangs is left behind.
    pub(crate) async fn finish(mut self) -> Result<(), TaskError> {
        self.stop.cancel();
        let drained = timeout(self.stop_limit, async {
            while let Some(ended) = self.set.join_next().await {
                ended.map_err(TaskError::Panicked)?;
            }
            Ok(())
        });
        drained.await.unwrap_or_else(|_| {
            tracing::warn!("a call to the cluster is still under way; leaving without its answer");
            Ok(())
        })
    }
}

fn judge(ended: Result<&'static str, JoinError>) -> Result<(), TaskError> {
    Err(ended.map_or_else(TaskError::Panicked, TaskError::Ended))
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
    async fn a_task_that_panics_ends_the_process() {
        let mut tasks = Tasks::new(CancellationToken::new(), Duration::from_secs(5));
        tasks.spawn("frail", async { panic!("for the test") });
        assert!(matches!(tasks.watch_over().await, Err(TaskError::Panicked(_))));
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
