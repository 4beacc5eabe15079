//! How long the loop rests after a look.

use std::collections::VecDeque;
use std::time::Duration;

/// So many times as long as there is to decide: a busy cluster costs about a fifth of a core, and a small one is answered at once.
const REST: u32 = 4;
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(1);
/// The shortest of so many looks says how much there is to decide: the others waited, for what pods say or for a processor.
const LOOKS: usize = 3;

/// Keeps how long the last looks took.
#[derive(Debug, Default)]
pub(super) struct Pace {
    looks: VecDeque<Duration>,
}

impl Pace {
    /// The pause after one more look, which took so long to see and decide.
    pub(super) fn pause(&mut self, decided_in: Duration) -> Duration {
        self.looks.truncate(LOOKS - 1);
        self.looks.push_front(decided_in);
        let shortest = self.looks.iter().min().copied().unwrap_or_default();
        (shortest * REST).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds.
    fn pauses(looks: &[u64]) -> Vec<u128> {
        let mut pace = Pace::default();
        let pauses = looks.iter().map(|took| pace.pause(Duration::from_millis(*took)));
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn whoever_has_much_to_decide_rests_longer_within_limits() {
        assert_eq!(pauses(&[1, 1, 1]), [20, 20, 20]);
        assert_eq!(pauses(&[50, 50, 50]), [200, 200, 200]);
        assert_eq!(pauses(&[9000, 9000, 9000]), [1000, 1000, 1000]);
    }

    #[test]
    fn a_look_that_had_to_wait_does_not_make_the_next_one_wait() {
        assert_eq!(pauses(&[10, 900, 10, 900, 900, 12]), [40, 40, 40, 40, 40, 48]);
    }

    #[test]
    fn a_cluster_that_has_grown_is_noticed_at_the_third_look() {
        assert_eq!(pauses(&[10, 60, 60, 60, 60]), [40, 40, 40, 240, 240]);
    }
}
