//! Which patches were tried, so that none is sent twice for one state of a workload and none is forgotten.

mod notes;

use std::collections::BTreeMap;
use std::time::Duration;

use shared::domain::plan::Tried;
use shared::domain::workload::Workload;
use tokio::time::Instant;

use self::notes::Notes;
pub(super) use self::notes::Said;
use super::Annotations;
use crate::metrics::PatchResult;
use crate::retry::Retries;

/// A workload: its uid, as a name may be used again.
type Uid = String;

/// How long a watch may take to show what a patch did: longer than most interruptions of one.
const WATCH_LAG: Duration = Duration::from_secs(5);

/// The patches tried so far, by workload.
///
/// A state that was answered waits until the watch shows another: what the patch did is then to be seen. Should that
/// never come (a watch that lags, a webhook that says "conflict" of its own accord), the same state is tried again after
/// a growing pause. That is safe: the precondition lets a state be changed once.
#[derive(Debug)]
pub(super) struct Attempts {
    /// The state that the last patch was made from.
    answered: BTreeMap<Uid, String>,
    /// Trouble with the workload in whatever state: refusals and lost answers.
    trouble: Retries<Uid>,
    /// States that were answered and are still shown.
    lagging: Retries<Uid>,
    notes: Notes,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            answered: BTreeMap::new(),
            trouble: Retries::default(),
            lagging: Retries::after(WATCH_LAG),
            notes: Notes::default(),
        }
    }
}

impl Attempts {
    /// Whether a patch made from this state may be sent at `now`.
    pub(super) fn may_try(&self, uid: &Uid, resource_version: &str, now: Instant) -> bool {
        let answered = self
            .answered
            .get(uid)
            .is_some_and(|version| version == resource_version);
        self.trouble.is_due(uid, now) && (!answered || self.lagging.is_due(uid, now))
    }

    /// Whether a patch may be sent at `now` that only says something, and so can wait where somebody takes away what it says.
    pub(super) fn may_say(&mut self, said: Said, workload: &Workload, now: Instant) -> bool {
        self.may_try(&workload.uid, &workload.resource_version, now)
            && self.notes.may_write(said, workload, now)
    }

    /// Such a patch was sent.
    pub(super) fn said(&mut self, said: Said, uid: &Uid, annotations: &Annotations, now: Instant) {
        self.notes.wrote((uid.clone(), said), annotations, now);
    }

    /// Takes in what became of a patch made from this state.
    pub(super) fn tried(&mut self, uid: &Uid, resource_version: &str, result: PatchResult, now: Instant) {
        match result {
            PatchResult::Sent | PatchResult::Conflict => {
                self.trouble.succeeded(uid);
                if result == PatchResult::Sent {
                    self.notes.is_over(uid);
                }
                self.answered.insert(uid.clone(), resource_version.to_owned());
                self.lagging.failed(uid, now);
            }
            PatchResult::Refused | PatchResult::Unknown => self.trouble.failed(uid, now),
        }
    }

    /// How many came to nothing in a row.
    pub(super) fn failures(&self, uid: &Uid) -> u32 {
        self.trouble.failures(uid)
    }

    /// What others have to know of what was tried.
    pub(super) fn unseen(&self, now: Instant) -> BTreeMap<Uid, Tried> {
        let answered = self.answered.iter().map(|(uid, version)| {
            let resource_version = version.clone();
            (uid.clone(), Tried::Answered { resource_version })
        });
        let in_trouble = self.trouble.not_due(now);
        answered
            .chain(in_trouble.map(|uid| (uid.clone(), Tried::InTrouble)))
            .collect()
    }

    /// Forgets workloads that are gone, and states that are history; `current` gives the version that is shown.
    pub(super) fn prune<'a>(&mut self, current: impl Fn(&Uid) -> Option<&'a str>) {
        self.answered
            .retain(|uid, version| current(uid) == Some(version.as_str()));
        self.lagging.retain(|uid| self.answered.contains_key(uid));
        self.trouble.retain(|uid| current(uid).is_some());
        self.notes.retain(|uid| current(uid).is_some());
    }

    /// When to look again, after a look at `now`, for the sake of something that was tried.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.trouble
            .next(now)
            .into_iter()
            .chain(self.lagging.next(now))
            .chain(self.notes.next(now))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid() -> Uid {
        "uid".to_owned()
    }

    /// Whether the same and another state may be tried right after this result, and a while later.
    fn after(result: PatchResult) -> [bool; 4] {
        let now = Instant::now();
        let later = now + WATCH_LAG;
        let mut attempts = Attempts::default();
        attempts.tried(&uid(), "7", result, now);
        [("7", now), ("8", now), ("7", later), ("8", later)]
            .map(|(version, moment)| attempts.may_try(&uid(), version, moment))
    }

    #[test]
    fn an_answered_state_is_left_alone_and_a_new_one_is_free() {
        for result in [PatchResult::Sent, PatchResult::Conflict] {
            assert_eq!(after(result), [false, true, true, true], "{result:?}");
        }
    }

    #[test]
    fn a_workload_that_makes_trouble_waits_whatever_its_state() {
        for result in [PatchResult::Refused, PatchResult::Unknown] {
            assert_eq!(after(result), [false, false, true, true], "{result:?}");
        }
    }

    #[test]
    fn a_workload_that_makes_trouble_holds_up_no_other() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        attempts.tried(&uid(), "7", PatchResult::Refused, now);
        assert!(attempts.may_try(&"other".to_owned(), "7", now));
    }

    #[test]
    fn others_know_what_was_answered_and_what_is_in_trouble() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        attempts.tried(&"sent".to_owned(), "7", PatchResult::Sent, now);
        attempts.tried(&"refused".to_owned(), "8", PatchResult::Refused, now);
        let resource_version = "7".to_owned();
        let answered = ("sent".to_owned(), Tried::Answered { resource_version });
        let in_trouble = ("refused".to_owned(), Tried::InTrouble);
        let unseen = |moment| attempts.unseen(moment);
        assert_eq!(unseen(now), BTreeMap::from([answered.clone(), in_trouble]));
        assert_eq!(unseen(now + WATCH_LAG), BTreeMap::from([answered]));
    }

    #[test]
    fn what_is_gone_or_history_is_forgotten() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        attempts.tried(&"moved-on".to_owned(), "7", PatchResult::Sent, now);
        attempts.tried(&"gone".to_owned(), "7", PatchResult::Refused, now);
        attempts.prune(|uid| (uid == "moved-on").then_some("8"));
        assert_eq!(attempts.next(now), None);
    }

    #[test]
    fn trouble_outlasts_a_new_state_and_ends_with_an_answer() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        attempts.tried(&uid(), "7", PatchResult::Refused, now);
        attempts.prune(|_| Some("8"));
        assert!(!attempts.may_try(&uid(), "8", now));
        attempts.tried(&uid(), "8", PatchResult::Sent, now);
        assert!(attempts.may_try(&uid(), "9", now));
    }
}
