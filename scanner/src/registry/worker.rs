//! Work that takes long and much memory, one piece after the other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a piece waits before it gets another thread to help it: whatever is ahead of it has taken far more than its share.
const PATIENCE: Duration = Duration::from_secs(1);

type Piece = Box<dyn FnOnce() + Send>;

/// A thread that does one piece of work after the other, and ends with this. It is always the same one, because an allocator
/// keeps for each thread what that thread has needed at its worst.
#[derive(Debug)]
pub(super) struct Worker {
    sender: Sender<Piece>,
    pieces: Arc<Mutex<Receiver<Piece>>>,
    threads: AtomicUsize,
    most_threads: usize,
    patience: Duration,
}

impl Worker {
    /// Where a piece takes too long, others help, so many in all.
    pub(super) fn new(most_threads: usize) -> Self {
        let (sender, pieces) = channel();
        Self {
            sender,
            pieces: Arc::new(Mutex::new(pieces)),
            threads: AtomicUsize::new(0),
            most_threads,
            patience: PATIENCE,
        }
    }

    /// Does the work when its turn has come. A panic in it goes on here.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, mut answered) = oneshot::channel();
        let piece = move || {
            // Whoever has gone does not wait for an answer.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
        };
        // The receiver lives as long as this.
        let _ = self.sender.send(Box::new(piece));
        if self.threads.load(Ordering::Relaxed) == 0 {
            self.start_thread(1);
        }
        let mut done = tokio::time::timeout(self.patience, &mut answered).await.ok();
        if done.is_none() {
            self.start_thread(self.most_threads);
            done = Some(answered.await);
        }
        match done {
            Some(Ok(Ok(done))) => done,
            Some(Ok(Err(panic))) => resume_unwind(panic),
            Some(Err(_)) | None => resume_unwind(Box::new("a piece of work was never done")),
        }
    }

    /// Starts one more, unless there are so many.
    fn start_thread(&self, most: usize) {
        let one_more = |threads: usize| (threads < most).then_some(threads + 1);
        let counted = self
            .threads
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        if counted.is_err() {
            return;
        }
        let pieces = Arc::clone(&self.pieces);
        let take = move || pieces.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let work = move || {
            while let Some(piece) = take() {
                piece();
            }
        };
        let started = std::thread::Builder::new().name("choices".to_owned()).spawn(work);
        if let Err(error) = started {
            tracing::error!(%error, "no thread could be started");
            self.threads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_thread_does_all_the_work_and_a_panic_ends_only_its_own_piece() {
        let worker = Worker {
            // To print a panic alone can take seconds on a busy machine.
            patience: Duration::from_mins(1),
            ..Worker::new(4)
        };
        let thread = || std::thread::current().id();
        let first = worker.run(thread).await;
        assert_ne!(first, thread());
        let broken = AssertUnwindSafe(worker.run(|| panic!("no"))).catch_unwind();
        assert!(broken.await.is_err());
        assert_eq!(worker.run(thread).await, first);
    }

    #[tokio::test]
    async fn a_piece_that_does_not_end_does_not_keep_others_from_being_done() {
        let worker = Worker::new(2);
        let (end, ended) = channel::<()>();
        let endless = worker.run(move || {
            let _ = ended.recv();
            std::thread::current().id()
        });
        let other = worker.run(move || {
            drop(end);
            std::thread::current().id()
        });
        let threads: HashSet<_> = futures::future::join_all([endless.boxed(), other.boxed()])
            .await
            .into_iter()
            .collect();
        assert_eq!(threads.len(), 2);
    }
}
