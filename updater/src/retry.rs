//! When to try again: bookkeeping of failures, without clock or client.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// After a first failure, where nothing else is said.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Where nothing else is said.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Failures by what they concern, each with its own growing pause, so that one broken thing holds up no other.
#[derive(Debug)]
pub(crate) struct Retries<Key> {
    first_pause: Duration,
    longest_pause: Duration,
    entries: BTreeMap<Key, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// When the series began.
    since: Instant,
    failures: u32,
    not_before: Instant,
}

impl<Key: Ord> Default for Retries<Key> {
    fn default() -> Self {
        Self::after(FIRST_PAUSE)
    }
}

impl<Key: Ord> Retries<Key> {
    /// No failures yet; the pause after a first one is `first_pause`.
    pub(crate) fn after(first_pause: Duration) -> Self {
        Self {
            first_pause,
            longest_pause: LONGEST_PAUSE,
            entries: BTreeMap::new(),
        }
    }

    /// The same, and no pause is longer than `longest_pause`.
    pub(crate) fn up_to(self, longest_pause: Duration) -> Self {
        Self {
            longest_pause,
            ..self
        }
    }
}

impl<Key: Ord + Clone> Retries<Key> {
    /// Whether `key` may be tried at `now`.
    pub(crate) fn is_due(&self, key: &Key, now: Instant) -> bool {
        self.entries.get(key).is_none_or(|entry| now >= entry.not_before)
    }

    /// Another failure in a row: the pause doubles, up to the longest.
    pub(crate) fn failed(&mut self, key: &Key, now: Instant) {
        let before = self.entries.get(key);
        let since = before.map_or(now, |entry| entry.since);
        let failures = before.map_or(0, |entry| entry.failures).saturating_add(1);
        let pause = self
            .first_pause
            .saturating_mul(2_u32.saturating_pow(failures - 1))
            .min(self.longest_pause);
        self.entries.insert(
            key.clone(),
            Entry {
                since,
                failures,
                not_before: now + pause,
            },
        );
    }

    /// How often it has failed in a row.
    pub(crate) fn failures(&self, key: &Key) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.failures)
    }

    /// Whether `key` has failed for as long as `patience` at `now`, and never went well meanwhile.
    pub(crate) fn is_overdue(&self, key: &Key, patience: Duration, now: Instant) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| now.saturating_duration_since(entry.since) >= patience)
    }

    /// As if `key` had failed for so much longer.
    #[cfg(test)]
    pub(crate) fn began_earlier<Name: Ord + ?Sized>(&mut self, key: &Name, by: Duration)
    where
        Key: std::borrow::Borrow<Name>,
    {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.since -= by;
        }
    }

    /// When the next one is overdue that was not at `now`.
    pub(crate) fn next_overdue(&self, patience: Duration, now: Instant) -> Option<Instant> {
        let ends = self.entries.values().map(|entry| entry.since + patience);
        ends.filter(|end| *end > now).min()
    }

    /// It went well, so its next failure is a first one.
    pub(crate) fn succeeded(&mut self, key: &Key) {
        self.entries.remove(key);
    }

    /// Drops what is no longer of interest.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Key) -> bool) {
        self.entries.retain(|key, _| wanted(key));
    }

    /// Those that have to wait at `now`.
    pub(crate) fn not_due(&self, now: Instant) -> impl Iterator<Item = &Key> {
        let waiting = self
            .entries
            .iter()
            .filter(move |(_, entry)| now < entry.not_before);
        waiting.map(|(key, _)| key)
    }

    /// When the next one is due that was not due at `now`. Those that were had their chance: if nobody took it, nobody
    /// wants them any more.
    pub(crate) fn next(&self, now: Instant) -> Option<Instant> {
        self.entries
            .values()
            .map(|entry| entry.not_before)
            .filter(|due| *due > now)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_with_each_failure_and_is_capped() {
        let start = Instant::now();
        let mut retries = Retries::default();
        let mut pauses = Vec::new();
        for _ in 0..40 {
            retries.failed(&"a", start);
            pauses.push(retries.next(start).unwrap() - start);
        }
        let seconds: Vec<u64> = pauses.iter().map(Duration::as_secs).take(11).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
        let hour = Duration::from_hours(1);
        let mut retries = Retries::after(LONGEST_PAUSE).up_to(hour);
        for expected in [5, 10, 20, 40, 60, 60] {
            retries.failed(&"a", start);
            assert_eq!(retries.next(start), Some(start + Duration::from_mins(expected)));
        }
    }

    #[test]
    fn one_failure_holds_up_only_itself_and_only_for_its_pause() {
        let start = Instant::now();
        let mut retries = Retries::default();
        retries.failed(&"a", start);
        assert!(!retries.is_due(&"a", start) && retries.is_due(&"b", start));
        assert!(retries.is_due(&"a", start + FIRST_PAUSE));
    }

    #[test]
    fn patience_runs_from_the_first_failure_and_ends_with_a_success() {
        let patience = Duration::from_mins(1);
        let start = Instant::now();
        let mut retries = Retries::default();
        assert!(!retries.is_overdue(&"a", patience, start + patience));
        for seconds in [0, 1, 3, 50] {
            retries.failed(&"a", start + Duration::from_secs(seconds));
        }
        let almost = start + Duration::from_secs(59);
        assert!(!retries.is_overdue(&"a", patience, almost));
        assert_eq!(retries.next_overdue(patience, almost), Some(start + patience));
        assert!(retries.is_overdue(&"a", patience, start + patience));
        assert_eq!(retries.next_overdue(patience, start + patience), None);
        retries.succeeded(&"a");
        retries.failed(&"a", start + patience);
        assert!(!retries.is_overdue(&"a", patience, start + patience));
    }

    #[test]
    fn a_success_ends_the_series() {
        let start = Instant::now();
        let mut retries = Retries::default();
        retries.failed(&"a", start);
        retries.failed(&"a", start);
        retries.succeeded(&"a");
        assert!(retries.is_due(&"a", start));
        retries.failed(&"a", start);
        assert_eq!(retries.next(start), Some(start + FIRST_PAUSE));
        assert_eq!(retries.next(start + FIRST_PAUSE), None);
    }
}
