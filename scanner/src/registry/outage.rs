//! A registry that does not answer is given up for the rest of the run: what it is not asked any more is time for the others.

use std::time::{Duration, Instant};

use super::problem::Problem;

/// How many attempts, one begun after the failure of the other, it takes to give a registry up. Those that were under way
/// together count once: they may all have been on one connection.
const ATTEMPTS: u32 = 3;

/// How long a registry must have been silent, so that one that is just being restarted is not given up.
const SILENCE: Duration = Duration::from_secs(5);

/// The failures since the last answer.
#[derive(Debug, Default)]
pub(super) struct Outage(Option<Failures>);

#[derive(Debug)]
struct Failures {
    since: Instant,
    last: Instant,
    attempts: u32,
    problem: Problem,
}

impl Outage {
    /// # Errors
    /// When the registry is given up.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match &self.0 {
            Some(failures) if failures.are_enough() => Err(Problem::GivenUp {
                problem: Box::new(failures.problem.clone()),
            }),
            _ => Ok(()),
        }
    }

    /// The registry has said something, whatever it was. Once it is given up, it stays so.
    pub(super) fn answered(&mut self) {
        if self.check().is_ok() {
            self.0 = None;
        }
    }

    /// A request that was sent then has failed in this way now.
    pub(super) fn failed(&mut self, problem: &Problem, sent: Instant, now: Instant) {
        if !is_silence(problem) || self.check().is_err() {
            return;
        }
        let failures = self.0.get_or_insert_with(|| Failures {
            since: now,
            last: sent,
            attempts: 0,
            problem: problem.clone(),
        });
        if sent >= failures.last {
            failures.attempts += 1;
            failures.last = now;
        }
    }
}

impl Failures {
    fn are_enough(&self) -> bool {
        self.attempts >= ATTEMPTS && self.last.duration_since(self.since) >= SILENCE
    }
}

/// Whether it means that nobody is there.
fn is_silence(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Timeout { .. } | Problem::Connection { .. } | Problem::Tls { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: Problem = Problem::Timeout {
        after: Duration::from_secs(15),
    };

    /// Requests as seconds at which they were sent and have failed, and whether that is enough to give up.
    fn is_given_up(requests: &[(u64, u64)]) -> bool {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let at = |second| start + Duration::from_secs(second);
        for (sent, failed) in requests {
            outage.failed(&SILENT, at(*sent), at(*failed));
        }
        outage.check().is_err()
    }

    #[test]
    fn three_attempts_one_after_the_other_over_some_time_are_enough() {
        for (requests, expected) in [
            (&[(0, 15), (15, 30), (30, 45)][..], true),
            (&[(0, 15), (15, 30)], false),
            (&[(0, 15), (0, 15), (0, 15), (1, 16)], false),
            (&[(0, 15), (0, 15), (15, 30), (15, 30), (30, 45)], true),
            (&[(0, 0), (0, 0), (0, 0), (1, 1), (2, 2)], false),
            (&[(0, 0), (1, 1), (6, 6)], true),
        ] {
            assert_eq!(is_given_up(requests), expected, "{requests:?}");
        }
    }

    #[test]
    fn an_answer_begins_anew_and_a_refusal_is_an_answer() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        for second in [0, 10, 20, 30] {
            let at = start + Duration::from_secs(second);
            outage.failed(&SILENT, at, at);
            outage.answered();
            outage.failed(&Problem::Protocol("nonsense".to_owned()), at, at);
        }
        assert!(outage.check().is_ok());
    }

    #[test]
    fn who_is_given_up_stays_so_and_it_is_said_why() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        for second in [0, 10, 20] {
            let at = start + Duration::from_secs(second);
            outage.failed(&SILENT, at, at);
        }
        outage.answered();
        let problem = outage.check().unwrap_err();
        assert_eq!(problem.class(), SILENT.class());
        assert!(
            problem.to_string().contains("no complete answer within 15s"),
            "{problem}"
        );
    }
}
