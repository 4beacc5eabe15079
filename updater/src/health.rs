//! What the probes ask: is the process alive, and has it seen the cluster.
//!
//! Ready means that the caches are filled, leader or not. Alive means that the reconciler still turns.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use shared::domain::plan::Unwatched;
use shared::domain::time::whole_seconds;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long the reconciler may be silent: it wakes several times in this while, and no call of its takes as long.
const SILENCE: Duration = Duration::from_secs(90);

/// A watch of which nothing failed for so long is in order, though it may have nothing to say: no attempt and the pause before it take
/// longer. It is begun anew with a list, which says that it works, where failures go on for a minute.
const QUIET: Duration = Duration::from_mins(3);

/// What is waited for before this process is ready, and when the reconciler last turned.
#[derive(Debug)]
pub struct Health {
    gates: Mutex<BTreeMap<String, Gate>>,
    /// One of them was passed for the first time.
    passed: Notify,
    last_turn: Mutex<Instant>,
}

/// Something that is watched.
#[derive(Debug, Default)]
struct Gate {
    /// Whether it was seen once.
    passed: bool,
    failures: Option<Failures>,
}

/// Failures in a row.
#[derive(Debug)]
struct Failures {
    /// When the first one was, by the clock on the wall.
    since: Timestamp,
    last: Instant,
    reason: String,
}

impl Failures {
    fn go_on(&self, now: Instant) -> bool {
        now.duration_since(self.last) < QUIET
    }
}

impl Health {
    /// Alive as of `now`, and waiting for `gates`.
    pub fn new(gates: impl IntoIterator<Item = String>, now: Instant) -> Self {
        let gates = gates.into_iter().map(|name| (name, Gate::default())).collect();
        Self {
            gates: Mutex::new(gates),
            passed: Notify::new(),
            last_turn: Mutex::new(now),
        }
    }

    /// What was waited for is there, or there is something new of it. A gate that has passed stays so.
    pub fn pass(&self, gate: &str) {
        let mut gates = self.gates();
        let passed = Gate {
            passed: true,
            failures: None,
        };
        // All that happens comes by here.
        let before = match gates.get_mut(gate) {
            Some(gate) => std::mem::replace(gate, passed).passed,
            None => gates.insert(gate.to_owned(), passed).is_some(),
        };
        if !before {
            self.passed.notify_waiters();
        }
    }

    /// Waits until nothing is missing.
    pub async fn ready(&self) {
        loop {
            let mut passed = pin!(self.passed.notified());
            passed.as_mut().enable();
            if self.missing().is_empty() {
                return;
            }
            passed.await;
        }
    }

    /// An attempt failed for this reason at this moment; it is tried again.
    pub fn fail(&self, gate: &str, reason: &str, (now, at): (Instant, Timestamp)) {
        let mut gates = self.gates();
        let gate = gates.entry(gate.to_owned()).or_default();
        let before = gate.failures.take().filter(|failures| failures.go_on(now));
        gate.failures = Some(Failures {
            since: before.map_or(at, |failures| failures.since),
            last: now,
            reason: reason.to_owned(),
        });
    }

    /// What was seen once and has brought nothing but failures since, however short that is. It does not make this process less ready:
    /// its pages say what it knows, and another one would know no more. It keeps updates from starting ([`Unwatched`]).
    pub fn broken(&self, now: Instant) -> Vec<Unwatched> {
        let broken = |(name, gate): (&String, &Gate)| {
            let failures = gate.failures.as_ref().filter(|_| gate.passed)?;
            failures.go_on(now).then(|| Unwatched {
                what: name.clone(),
                since: whole_seconds(failures.since),
                reason: failures.reason.clone(),
            })
        };
        self.gates().iter().filter_map(broken).collect()
    }

    /// One line for each thing that is missing; empty when ready.
    pub fn missing(&self) -> Vec<String> {
        let line = |(name, gate): (&String, &Gate)| {
            let why = gate
                .failures
                .as_ref()
                .map(|failures| format!(": {}", failures.reason));
            (!gate.passed).then(|| format!("waiting for {name}{}", why.unwrap_or_default()))
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
        health.fail("records", "forbidden", (Instant::now(), at(0)));
        assert_eq!(
            health.missing(),
            ["waiting for deployments", "waiting for records: forbidden"]
        );
        health.pass("deployments");
        health.pass("records");
        assert!(health.missing().is_empty());
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_watch_that_breaks_later_is_broken_since_its_first_failure_until_it_says_something_or_fails_no_more()
    {
        let begun = Instant::now();
        let health = Health::new(["deployments".to_owned()], begun);
        let later = |seconds| begun + Duration::from_secs(seconds);
        let broken = |now| {
            health
                .broken(now)
                .into_iter()
                .map(|broken| (broken.since, broken.reason))
        };
        health.fail("deployments", "not there yet", (begun, at(0)));
        assert_eq!(broken(begun).count(), 0);
        health.pass("deployments");
        health.fail("deployments", "connection reset", (later(10), at(10)));
        health.fail("deployments", "forbidden", (later(150), at(150)));
        let expected = (at(10), "forbidden".to_owned());
        assert_eq!(broken(later(329)).collect::<Vec<_>>(), [expected]);
        // The caches are filled all the same.
        assert!(health.missing().is_empty());
        // Quiet, and so in order.
        assert_eq!(broken(later(330)).count(), 0);
        health.fail("deployments", "connection reset", (later(400), at(400)));
        assert_eq!(
            broken(later(401)).next(),
            Some((at(400), "connection reset".to_owned()))
        );
        health.pass("deployments");
        assert_eq!(broken(later(401)).count(), 0);
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
