//! For how long a registry, or one account at it, is left alone after it said that there were too many requests.
//!
//! A `Retry-After` is an instruction and must outlive the process that received it, so this is stored. Where a registry
//! names no time, the wait doubles with every run that is told so.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::time::whole_seconds;

/// The longest wait that a registry has not named itself. Docker Hub's window for pulls is as long.
const LONGEST: Duration = Duration::from_hours(6);

/// The longest wait that a registry may name.
pub const LONGEST_NAMED: Duration = Duration::from_hours(24);

/// For how long after its end it counts as the one before the next.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// A time in which nothing is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CoolDown {
    /// In whole seconds.
    pub until: Timestamp,
    /// What the registry said, fit for one line.
    pub reason: String,
    /// How many runs have been told so since one was answered.
    pub consecutive: u32,
}

impl CoolDown {
    /// What follows from a 429 that is the first of its run. `named` is the time that it names; `shortest` is the wait
    /// where it names none and none was before.
    pub fn after_refusal(
        earlier: Option<&Self>,
        named: Option<Timestamp>,
        shortest: Duration,
        reason: String,
        now: Timestamp,
    ) -> Self {
        let before = earlier.filter(|earlier| !earlier.is_forgotten(now));
        let consecutive = before.map_or(0, |before| before.consecutive).saturating_add(1);
        let default = shortest
            .saturating_mul(2_u32.saturating_pow(consecutive - 1))
            .min(LONGEST.max(shortest));
        let asked = named.or_else(|| now.checked_add(default).ok()).unwrap_or(now);
        Self {
            consecutive,
            ..Self::until(earlier, asked, reason)
        }
    }

    /// Not before that time, and not before the end of an earlier one.
    pub fn until(earlier: Option<&Self>, asked: Timestamp, reason: String) -> Self {
        let asked = next_whole_second(asked);
        Self {
            until: earlier.map_or(asked, |earlier| earlier.until.max(asked)),
            reason,
            consecutive: earlier.map_or(0, |earlier| earlier.consecutive),
        }
    }

    /// Whether nothing may be asked now.
    pub fn is_on(&self, now: Timestamp) -> bool {
        is_wait(self.until, now)
    }

    /// Shortens one that was written by a clock that was wrong to the longest that may be.
    pub fn correct(&mut self, now: Timestamp) {
        self.until = self.until.min(latest_end(now));
    }

    /// Whether it says nothing any more.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        now.duration_since(self.until) > REMEMBERED
    }
}

/// Whether a registry may have asked to be left alone until then. What is further away than any wait was written by a clock
/// that was wrong.
pub fn is_wait(until: Timestamp, now: Timestamp) -> bool {
    now < until && until <= latest_end(now)
}

fn latest_end(now: Timestamp) -> Timestamp {
    now.checked_add(LONGEST_NAMED)
        .map_or(Timestamp::MAX, next_whole_second)
}

/// Never before the time that was named.
fn next_whole_second(time: Timestamp) -> Timestamp {
    let cut = whole_seconds(time);
    if cut == time {
        return time;
    }
    cut.checked_add(SignedDuration::from_secs(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const QUARTER: Duration = Duration::from_mins(15);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    #[test]
    fn without_a_named_time_the_wait_doubles_from_run_to_run_up_to_six_hours() {
        let mut now = at(0);
        let mut earlier: Option<CoolDown> = None;
        for minutes in [15, 30, 60, 120, 240, 360, 360, 360] {
            let cool_down = CoolDown::after_refusal(earlier.as_ref(), None, QUARTER, String::new(), now);
            assert_eq!(cool_down.until, now + SignedDuration::from_mins(minutes));
            assert!(
                cool_down.is_on(cool_down.until - SignedDuration::from_secs(1))
                    && !cool_down.is_on(cool_down.until)
            );
            now = cool_down.until;
            earlier = Some(cool_down);
        }
        let later = now + SignedDuration::from_hours(25);
        let cool_down = CoolDown::after_refusal(earlier.as_ref(), None, QUARTER, String::new(), later);
        assert_eq!(cool_down.consecutive, 1, "that was long ago");
    }

    #[test]
    fn what_a_wrong_clock_has_written_is_no_wait_longer_than_any() {
        let named = at(0) + SignedDuration::from_hours(24) + SignedDuration::from_millis(1);
        let mut cool_down = CoolDown::after_refusal(None, Some(named), QUARTER, String::new(), at(0));
        assert!(cool_down.is_on(at(0) + SignedDuration::from_millis(1)));
        let before = at(-3600);
        assert!(!cool_down.is_on(before), "the clock went an hour ahead");
        cool_down.correct(before);
        assert_eq!(cool_down.until, before + SignedDuration::from_hours(24));
        assert!(cool_down.is_on(before));
    }

    #[test]
    fn a_named_time_is_obeyed_to_the_second_and_counts_all_the_same() {
        let named = at(7) + SignedDuration::from_millis(1);
        let first = CoolDown::after_refusal(None, Some(named), QUARTER, "slow down".to_owned(), at(0));
        assert_eq!((first.until, first.consecutive), (at(8), 1));
        let second = CoolDown::after_refusal(Some(&first), None, QUARTER, String::new(), at(9));
        assert_eq!(second.until, at(9) + SignedDuration::from_mins(30));
        let unavailable = CoolDown::until(Some(&second), at(10), String::new());
        assert_eq!((unavailable.until, unavailable.consecutive), (second.until, 2));
    }

    proptest! {
        /// Whatever is said in whatever order, no word shortens what was asked for before, and a wait that nobody named is
        /// never out of its bounds.
        #[test]
        fn nothing_is_asked_before_any_of_the_times_that_were_named(
            words in prop::collection::vec((0_i64..100_000, prop::option::of(0_i64..100_000)), 1..30),
        ) {
            let mut earlier: Option<CoolDown> = None;
            let (mut now, mut latest) = (0, at(0));
            for (wait, named) in words {
                now += wait;
                let named = named.map(|named| at(now + named));
                let cool_down = CoolDown::after_refusal(earlier.as_ref(), named, QUARTER, String::new(), at(now));
                latest = named.map_or(latest, |named| latest.max(named));
                prop_assert!(cool_down.until >= latest);
                if named.is_none() {
                    prop_assert!(cool_down.until >= at(now + 900));
                    prop_assert!(cool_down.until <= latest.max(at(now + 6 * 3600)));
                    latest = cool_down.until;
                }
                earlier = Some(cool_down);
            }
        }
    }
}
