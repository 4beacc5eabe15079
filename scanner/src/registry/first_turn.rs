//! The first question to a registry, which is asked alone.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::MutexGuard;

/// The first question to a registry: while it is under way, the others wait. They would all be refused for want of the
/// same token, and each open a connection of its own.
#[derive(Debug, Default)]
pub(super) struct First {
    is_over: AtomicBool,
    turn: tokio::sync::Mutex<()>,
}

impl First {
    /// Waits until the first question to the registry is over, or is told that this is it.
    pub(super) async fn turn(&self) -> Option<FirstTurn<'_>> {
        if self.is_over.load(Ordering::Acquire) {
            return None;
        }
        let turn = self.turn.lock().await;
        let is_over = self.is_over.load(Ordering::Acquire);
        (!is_over).then_some(FirstTurn {
            first: self,
            _turn: turn,
        })
    }
}

/// The first question is over, whatever came of it, when this is dropped.
#[derive(Debug)]
pub(super) struct FirstTurn<'a> {
    first: &'a First,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for FirstTurn<'_> {
    fn drop(&mut self) {
        self.first.is_over.store(true, Ordering::Release);
    }
}
