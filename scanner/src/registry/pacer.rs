//! The pace at which a registry is asked, over the end of a process: a new one does not begin with a burst of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::RateLimiter;
use governor::clock::MonotonicClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use jiff::{SignedDuration, Timestamp};

use super::limits::Pace;

/// No new process asks anything sooner than this after the end of an old one: what is over by then is not worth a write.
const START: SignedDuration = SignedDuration::from_secs(5);

/// Lets requests to one registry through. The registries count requests by the address they come from, so all accounts
/// share it.
#[derive(Debug)]
pub(super) struct Pacer {
    /// By the clock of the system: another would first have to be calibrated, which takes as long as some requests.
    limiter: RateLimiter<NotKeyed, ArrivalTime, MonotonicClock, NoOpMiddleware<Instant>>,
    arrival_time: ArrivalTime,
    /// The zero of the limiter's clock.
    started: Timestamp,
    /// What a whole burst takes to be given back.
    whole_burst: Duration,
}

/// The generic cell rate algorithm's whole state: the theoretical arrival time, in nanoseconds since the limiter was made;
/// 0 before the first request.
#[derive(Debug, Clone, Default)]
struct ArrivalTime(Arc<AtomicU64>);

impl StateStore for ArrivalTime {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.0.load(Ordering::Acquire);
        loop {
            let (outcome, next) = decide((known > 0).then(|| known.into()))?;
            let replaced =
                self.0
                    .compare_exchange_weak(known, next.into(), Ordering::AcqRel, Ordering::Acquire);
            match replaced {
                Ok(_) => return Ok(outcome),
                Err(newer) => known = newer,
            }
        }
    }
}

impl Pacer {
    pub(super) fn new(pace: Pace, now: Timestamp) -> Self {
        let arrival_time = ArrivalTime::default();
        Self {
            limiter: RateLimiter::new(pace.quota(), arrival_time.clone(), MonotonicClock),
            arrival_time,
            started: now,
            whole_burst: pace.interval.saturating_mul(pace.burst.get()),
        }
    }

    /// Waits until a request may be sent.
    pub(super) async fn turn(&self) {
        self.limiter.until_ready().await;
    }

    /// When what was let through is given back, if a later run has to know.
    pub(super) fn busy_until(&self, now: Timestamp) -> Option<Timestamp> {
        let nanoseconds = i64::try_from(self.arrival_time.0.load(Ordering::Acquire)).ok()?;
        let until = self
            .started
            .checked_add(SignedDuration::from_nanos(nanoseconds))
            .ok()?;
        (until.duration_since(now) > START).then_some(until)
    }

    /// Waits for what an earlier run has left, never for more than a whole burst: clocks differ.
    pub(super) fn recall(&self, busy_until: Timestamp) {
        let busy = Duration::try_from(busy_until.duration_since(self.started)).unwrap_or_default();
        let nanoseconds = u64::try_from(busy.min(self.whole_burst).as_nanos()).unwrap_or_default();
        self.arrival_time.0.fetch_max(nanoseconds, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn hourly(burst: u32) -> Pace {
        Pace {
            interval: Duration::from_hours(1),
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    fn let_through(pacer: &Pacer) -> usize {
        (0..10).filter(|_| pacer.limiter.check().is_ok()).count()
    }

    #[test]
    fn a_new_process_goes_on_where_the_old_one_has_ended() {
        let now = Timestamp::now();
        let old = Pacer::new(hourly(4), now);
        assert_eq!(old.busy_until(now), None);
        assert_eq!(let_through(&old), 4);
        let busy_until = old.busy_until(now).unwrap();
        let hours = SignedDuration::from_hours;
        assert_eq!(busy_until.duration_since(now).as_hours(), 4);
        for (later, expected) in [(0, 0), (1, 1), (3, 3), (4, 4), (100, 4)] {
            let new = Pacer::new(hourly(4), now + hours(later) + SignedDuration::from_mins(1));
            new.recall(busy_until);
            assert_eq!(let_through(&new), expected, "{later} hours later");
        }
        let wrong_clock = Pacer::new(hourly(4), now - hours(1000));
        wrong_clock.recall(busy_until);
        assert_eq!(wrong_clock.busy_until(now - hours(1000)), Some(now - hours(996)));
    }

    #[test]
    fn what_is_over_before_a_new_process_can_ask_is_not_worth_a_write() {
        let now = Timestamp::now();
        let pace = Pace {
            interval: Duration::from_secs(1),
            burst: NonZeroU32::new(4).unwrap(),
        };
        let pacer = Pacer::new(pace, now);
        assert_eq!(let_through(&pacer), 4);
        assert_eq!(pacer.busy_until(now), None);
    }
}
