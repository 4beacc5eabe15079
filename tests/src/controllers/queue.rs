//! Which objects wait to be reconciled: each at most once, now or at a time.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::key::ObjectKey;

/// A set of keys with the earliest time each is due.
#[derive(Debug, Default)]
pub struct Queue {
    due: HashMap<ObjectKey, Instant>,
    by_time: BTreeSet<(Instant, ObjectKey)>,
}

impl Queue {
    /// Asks for `key` at `time`. An earlier request stands, a later one is moved forward.
    pub fn add(&mut self, key: ObjectKey, time: Instant) {
        match self.due.get(&key) {
            Some(&planned) if planned <= time => return,
            Some(&planned) => {
                self.by_time.remove(&(planned, key.clone()));
            }
            None => {}
        }
        self.due.insert(key.clone(), time);
        self.by_time.insert((time, key));
    }

    /// Takes the first key that is due.
    pub fn pop(&mut self, now: Instant) -> Option<ObjectKey> {
        let (time, _) = self.by_time.first()?;
        if *time > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.due.remove(&key);
        Some(key)
    }

    /// When the next key is due.
    pub fn next_time(&self) -> Option<Instant> {
        self.by_time.first().map(|(time, _)| *time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{ObjectKey, Queue};
    use crate::apiserver::resources::DEPLOYMENTS;

    #[test]
    fn a_key_waits_once_and_for_its_earliest_time() {
        let (start, key) = (Instant::now(), ObjectKey::new(&DEPLOYMENTS, "default", "shop"));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        queue.add(key.clone(), at(10));
        queue.add(key.clone(), at(5));
        queue.add(key.clone(), at(20));
        assert_eq!(queue.next_time(), Some(at(5)));
        assert_eq!(queue.pop(at(4)), None);
        assert_eq!(queue.pop(at(5)), Some(key));
        assert_eq!(queue.pop(at(30)), None);
    }
}
