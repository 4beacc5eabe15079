//! From what the lease calls said to what we may do: a state machine without clock, client or task.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before the second call, which proves that nobody else took the same expired lease at the same moment.
const CONFIRMATION_PAUSE: Duration = Duration::from_millis(200);
/// The pause between two looks at a lease that somebody else holds: with it a leader that is gone is missed within a second.
/// Other controllers look every 2 s (`RetryPeriod` of client-go).
const STANDBY_PAUSE: Duration = Duration::from_secs(1);
/// So that waiting for the very moment in which a lease runs out keeps nobody busy.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
/// The pause after a failed call while leading: there is still time to renew before the claim lapses.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The right to change workloads, up to a moment on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claim {
    until: Option<Instant>,
}

impl Claim {
    /// The claim of one who does not lead.
    pub const NONE: Self = Self { until: None };

    /// A claim that lapses at `until`.
    pub const fn until(until: Instant) -> Self {
        Self { until: Some(until) }
    }

    /// When it lapses, if it was ever given.
    pub(super) fn lapses(self) -> Option<Instant> {
        self.until
    }

    /// Whether a write may begin at `now`. To be asked at the moment of every write: the answer changes by itself.
    pub fn may_act(self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// What one call to the lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sighting {
    /// The stored lease names us as its holder.
    Ours,
    /// It names somebody else, or somebody else was faster.
    Theirs {
        /// When it runs out, if it is not renewed; `None`: nobody knows yet.
        until: Option<Instant>,
    },
    /// No answer, or none that says who holds it.
    Unknown,
}

/// Where we stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Standby,
    /// The lease was ours once; one candidate more may believe the same until both have looked again.
    Confirming,
    Leading {
        until: Instant,
    },
}

/// Our standing with the lease.
#[derive(Debug)]
pub(super) struct Tenure {
    duration: Duration,
    stage: Stage,
}

impl Tenure {
    /// Not leading, for a lease of this duration.
    pub(super) fn new(duration: Duration) -> Self {
        Self {
            duration,
            stage: Stage::Standby,
        }
    }

    /// Takes in the outcome of a call that began at `begun` and ended at `ended`. Returns the pause before the next.
    pub(super) fn observe(&mut self, sighting: Sighting, begun: Instant, ended: Instant) -> Duration {
        let led = matches!(self.stage, Stage::Leading { until } if ended < until);
        let (stage, pause) = match sighting {
            // The lease's own time runs from the server's receipt of the call, which was after it began.
            Sighting::Ours if led || self.stage == Stage::Confirming => {
                (self.leading_from(begun), self.interval())
            }
            // Also one that was held before and had lapsed: others may have taken it meanwhile.
            Sighting::Ours => (Stage::Confirming, CONFIRMATION_PAUSE),
            // Nothing was learnt: the claim runs on until it lapses by itself.
            Sighting::Unknown if led => (self.stage, RETRY_PAUSE.min(self.interval())),
            Sighting::Unknown => (Stage::Standby, self.interval()),
            // Not a moment later than it may be taken.
            Sighting::Theirs { until } => {
                let runs_out = until.map(|until| until.saturating_duration_since(ended));
                let look = STANDBY_PAUSE.min(self.interval());
                (
                    Stage::Standby,
                    runs_out.map_or(look, |runs_out| runs_out.clamp(SHORTEST_PAUSE, look)),
                )
            }
        };
        self.stage = stage;
        pause
    }

    /// Whether the lease was not ours when we last looked.
    pub(super) fn is_standby(&self) -> bool {
        self.stage == Stage::Standby
    }

    /// What may be done by this standing.
    pub(super) fn claim(&self) -> Claim {
        match self.stage {
            Stage::Standby | Stage::Confirming => Claim::NONE,
            Stage::Leading { until } => Claim::until(until),
        }
    }

    /// A third of the duration, so that two calls in a row may fail: also the longest that one call may take.
    pub(super) fn interval(&self) -> Duration {
        self.duration / 3
    }

    /// The claim ends a tenth before the lease does: others count by their own clocks.
    fn leading_from(&self, begun: Instant) -> Stage {
        Stage::Leading {
            until: begun + self.duration - self.duration / 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name, the calls, and until when we may act and after what pause we look again.
    type Case = (&'static str, &'static [(Sighting, u64, u64)], (Option<u64>, u64));

    const DURATION: Duration = Duration::from_secs(15);

    /// Runs calls given as (outcome, begun, ended) in milliseconds; says until when we may act after the last.
    fn run(calls: &[(Sighting, u64, u64)]) -> (Option<u64>, u64) {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut tenure = Tenure::new(DURATION);
        let mut pause = Duration::ZERO;
        for (sighting, begun, ended) in calls {
            pause = tenure.observe(*sighting, at(*begun), at(*ended));
        }
        let until = tenure.claim().lapses().map(|until| until - start);
        (
            until.map(|until| until.as_millis().try_into().unwrap()),
            pause.as_millis().try_into().unwrap(),
        )
    }

    #[test]
    fn what_the_lease_says_becomes_what_we_may_do() {
        use Sighting::{Ours, Unknown};
        const THEIRS: Sighting = Sighting::Theirs { until: None };
        let cases: [Case; 10] = [
            ("nothing is known", &[(Unknown, 0, 5000)], (None, 5000)),
            ("somebody else leads", &[(THEIRS, 0, 10)], (None, 1000)),
            ("one success is not enough", &[(Ours, 0, 10)], (None, 200)),
            (
                "the second counts from its beginning",
                &[(Ours, 0, 10), (Ours, 210, 400)],
                (Some(13_710), 5000),
            ),
            (
                "the other one won the race",
                &[(Ours, 0, 10), (THEIRS, 210, 220)],
                (None, 1000),
            ),
            (
                "no second answer",
                &[(Ours, 0, 10), (Unknown, 210, 5210)],
                (None, 5000),
            ),
            (
                "renewed",
                &[(Ours, 0, 1), (Ours, 200, 201), (Ours, 5000, 5001)],
                (Some(18_500), 5000),
            ),
            (
                "one renewal unanswered: the claim runs on and is retried soon",
                &[(Ours, 0, 1), (Ours, 200, 201), (Unknown, 5000, 10_000)],
                (Some(13_700), 1000),
            ),
            (
                "renewed after it had lapsed: confirmed like a new one",
                &[(Ours, 0, 1), (Ours, 200, 201), (Ours, 13_000, 13_800)],
                (None, 200),
            ),
            (
                "taken away",
                &[(Ours, 0, 1), (Ours, 200, 201), (THEIRS, 5000, 5001)],
                (None, 1000),
            ),
        ];
        for (name, calls, expected) in cases {
            assert_eq!(run(calls), expected, "{name}");
        }
    }

    #[test]
    fn a_claim_lapses_by_itself() {
        let now = Instant::now();
        let claim = Claim::until(now + Duration::from_secs(1));
        assert!(claim.may_act(now));
        assert!(!claim.may_act(now + Duration::from_secs(1)));
        assert!(!Claim::NONE.may_act(now));
    }
}
