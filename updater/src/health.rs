//! What the probes ask: is the process alive, and has it seen the cluster.
//!
//! Ready means that the caches are filled, leader or not. Alive means that the reconciler still turns.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the reconciler may be silent: it wakes several times in this while, and no call of its takes as long.
const SILENCE: Duration = Duration::from_secs(90);

/// What is waited for before this process is ready, and when the reconciler last turned.
#[derive(Debug)]
pub struct Health {
    gates: Mutex<BTreeMap<String, Gate>>,
    last_turn: Mutex<Instant>,
}

#[derive(Debug)]
enum Gate {
    Waiting,
    Failing(String),
    Passed,
}

impl Health {
    /// Alive as of `now`, and waiting for `gates`.
    pub fn new(gates: impl IntoIterator<Item = String>, now: Instant) -> Self {
        let gates = gates.into_iter().map(|name| (name, Gate::Waiting)).collect();
        Self {
            gates: Mutex::new(gates),
            last_turn: Mutex::new(now),
        }
    }

    /// What was waited for is there. A gate that has passed stays so.
    pub fn pass(&self, gate: &str) {
        self.gates().insert(gate.to_owned(), Gate::Passed);
    }

    /// An attempt failed for this reason; it is tried again.
    pub fn fail(&self, gate: &str, reason: &str) {
        let mut gates = self.gates();
        if !matches!(gates.get(gate), Some(Gate::Passed)) {
            gates.insert(gate.to_owned(), Gate::Failing(reason.to_owned()));
        }
    }

    /// One line for each thing that is missing; empty when ready.
    pub fn missing(&self) -> Vec<String> {
        let line = |(name, gate): (&String, &Gate)| match gate {
            Gate::Passed => None,
            Gate::Waiting => Some(format!("waiting for {name}")),
            Gate::Failing(reason) => Some(format!("waiting for {name}: {reason}")),
        };
        self.gates().iter().filter_map(line).collect()
    }

    /// The reconciler turned at `now`.
    pub fn turned(&self, now: Instant) {
        *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Whether the reconciler turned lately.
    pub fn is_alive(&self, now: Instant) -> bool {
        let last = *self.last_turn.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(last) < SILENCE
    }

    fn gates(&self) -> MutexGuard<'_, BTreeMap<String, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_names_what_is_missing_and_why() {
        let health = Health::new(["deployments".to_owned(), "records".to_owned()], Instant::now());
        health.fail("records", "forbidden");
        assert_eq!(
            health.missing(),
            ["waiting for deployments", "waiting for records: forbidden"]
        );
        health.pass("deployments");
        health.pass("records");
        assert!(health.missing().is_empty());
    }

    #[test]
    fn a_watch_that_breaks_later_does_not_make_the_cache_unfilled() {
        let health = Health::new(["deployments".to_owned()], Instant::now());
        health.pass("deployments");
        health.fail("deployments", "connection reset");
        assert!(health.missing().is_empty());
    }

    #[test]
    fn a_reconciler_that_stopped_turning_is_not_alive() {
        let start = Instant::now();
        let health = Health::new([], start);
        assert!(health.is_alive(start + Duration::from_secs(89)));
        assert!(!health.is_alive(start + Duration::from_secs(90)));
        health.turned(start + Duration::from_secs(89));
        assert!(health.is_alive(start + Duration::from_secs(90)));
    }
}
