//! Annotations that only say something, on workloads whose owner takes them away: an operator, Terraform, whoever puts their own object in
//! the place of ours. Written again at once they would be taken away at once, for ever; so each time they wait longer.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use shared::domain::workload::Workload;
use tokio::time::Instant;

use super::{Annotations, Uid};
use crate::retry::Retries;

/// After they were taken away for the first time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// What has stood for so long was left alone.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What a patch says. One does not wait for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::apply) enum Said {
    /// What an update waits for.
    Waits,
    /// That somebody took one back.
    TakenBack,
}

type Key = (Uid, Said);

/// What was written last, and who waits since it was taken away.
#[derive(Debug)]
pub(super) struct Notes {
    written: BTreeMap<Key, Written>,
    taken_away: Retries<Key>,
}

#[derive(Debug)]
struct Written {
    keys: Vec<String>,
    /// Of their values.
    hash: u64,
    at: Instant,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            written: BTreeMap::new(),
            taken_away: Retries::after(FIRST_PAUSE).up_to(LONGEST_PAUSE),
        }
    }
}

impl Notes {
    /// Whether more may be written at `now` on the workload as it is shown.
    pub(super) fn may_write(&mut self, said: Said, workload: &Workload, now: Instant) -> bool {
        let key = (workload.uid.clone(), said);
        let value = |key: &String| workload.annotations.get(key);
        let is_taken_away = |written: &Written| hash(written.keys.iter().map(value)) != written.hash;
        if self.written.get(&key).is_some_and(is_taken_away)
            && let Some(written) = self.written.remove(&key)
        {
            if now >= written.at + LONGEST_PAUSE {
                self.taken_away.succeeded(&key);
            }
            self.taken_away.failed(&key, now);
            if self.taken_away.failures(&key) == 1 {
                tracing::warn!(
                    workload = %workload.id,
                    annotations = written.keys.join(" "),
                    "somebody takes away what is written on the workload; written again after a pause, which doubles each time"
                );
            }
        }
        self.taken_away.is_due(&key, now)
    }

    pub(super) fn wrote(&mut self, key: Key, annotations: &Annotations, at: Instant) {
        let written = Written {
            keys: annotations.keys().cloned().collect(),
            hash: hash(annotations.values().map(Option::as_ref)),
            at,
        };
        self.written.insert(key, written);
    }

    /// Another patch was sent, which may have changed what was written.
    pub(super) fn is_over(&mut self, uid: &Uid) {
        for said in [Said::Waits, Said::TakenBack] {
            self.written.remove(&(uid.clone(), said));
        }
    }

    /// Forgets other workloads.
    pub(super) fn retain(&mut self, is_there: impl Fn(&Uid) -> bool) {
        self.written.retain(|(uid, _), _| is_there(uid));
        self.taken_away.retain(|(uid, _)| is_there(uid));
    }

    /// When to look again, after a look at `now`.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.taken_away.next(now)
    }
}

fn hash<'a>(values: impl Iterator<Item = Option<&'a String>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for value in values {
        value.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::checkout;

    const PENDING: &str = "kubefresh.dev/pending";

    /// Writes this at `now` if it may be where `shown` stands.
    fn write(notes: &mut Notes, said: Said, text: &str, shown: Option<&str>, now: Instant) -> bool {
        let mut workload = Arc::unwrap_or_clone(checkout("shop"));
        let shown = shown.map(|text| (PENDING.to_owned(), text.to_owned()));
        workload.annotations.extend(shown);
        let may_write = notes.may_write(said, &workload, now);
        if may_write {
            let annotations = [(PENDING.to_owned(), Some(text.to_owned()))].into();
            notes.wrote((workload.uid, said), &annotations, now);
        }
        may_write
    }

    #[test]
    fn what_is_taken_away_again_and_again_is_written_after_a_pause_that_doubles_up_to_an_hour() {
        let mut now = Instant::now();
        let mut notes = Notes::default();
        assert!(write(&mut notes, Said::Waits, "a", None, now));
        for minutes in [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600] {
            for shown in [None, Some("theirs")] {
                assert!(!write(&mut notes, Said::Waits, "a", shown, now), "{minutes}");
            }
            let pause = Duration::from_secs(minutes);
            assert_eq!(notes.next(now), Some(now + pause));
            now += pause;
            assert!(write(&mut notes, Said::Waits, "a", None, now), "{minutes}");
        }
        // Nothing else that is said waits for it.
        assert!(!write(&mut notes, Said::Waits, "a", None, now));
        assert!(write(&mut notes, Said::TakenBack, "a", None, now));
        // What stood for long was not taken away for that.
        now += LONGEST_PAUSE;
        assert!(write(&mut notes, Said::Waits, "a", None, now));
        now += LONGEST_PAUSE;
        assert!(!write(&mut notes, Said::Waits, "a", None, now));
        assert!(write(&mut notes, Said::Waits, "a", None, now + FIRST_PAUSE));
    }

    #[test]
    fn what_is_left_alone_or_goes_by_a_patch_of_ours_may_change_at_once() {
        let now = Instant::now();
        let mut notes = Notes::default();
        assert!(write(&mut notes, Said::Waits, "a", None, now));
        assert!(write(&mut notes, Said::Waits, "b", Some("a"), now));
        notes.is_over(&"shop".to_owned());
        assert!(write(&mut notes, Said::Waits, "c", None, now));
        notes.retain(|_| false);
        assert!(write(&mut notes, Said::Waits, "d", None, now));
        assert_eq!(notes.next(now), None);
    }
}
