//! What is kept in memory of an object's annotations: whoever may write some must not fill the memory in which everybody's are read.
//!
//! What is too long to have been meant is not kept, and a stand-in says so, which no reader takes for a value. What is beyond all
//! that an object may say is not kept, either, and stops it: what it says there may have been that it is held.

use std::collections::BTreeMap;

use super::{AnnotationError, IN_FLIGHT, PREFIX, STATE_KEYS};

/// How long a value may be, in bytes. Nothing that we write is longer.
pub const LONGEST: usize = 32 << 10;
/// How much all of them together may take.
const LONGEST_OF_ALL: usize = 128 << 10;
/// What an entry takes beside its text, about.
const ENTRY: usize = 100;

/// In the place of a value that is too long.
pub(in crate::domain) const TOO_LONG: &str = "(longer than 32 KiB)";
/// In the place of all annotations that are too many. No stored key has such a name.
const MORE: &str = "kubefresh.dev/(more)";

/// Of an object's annotations, or its labels, those that are wanted, within bounds.
pub fn kept(
    all: Option<&BTreeMap<String, String>>,
    is_wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let mut wanted: Vec<(&String, &String)> = all
        .into_iter()
        .flatten()
        .filter(|(key, _)| is_wanted(key))
        .collect();
    wanted.sort_by_key(|(key, _)| rank(key));
    let mut left = LONGEST_OF_ALL;
    let mut kept = BTreeMap::new();
    for (key, value) in wanted {
        let value = if value.len() > LONGEST {
            TOO_LONG
        } else {
            value.as_str()
        };
        let Some(rest) = left.checked_sub(key.len() + value.len() + ENTRY) else {
            kept.insert(MORE.to_owned(), String::new());
            break;
        };
        left = rest;
        kept.insert(key.clone(), value.to_owned());
    }
    kept
}

/// What is kept first: an update that is under way is followed whatever else is said, and what we wrote is needed for that.
fn rank(key: &str) -> u8 {
    let is_common = || key.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/'));
    match key {
        IN_FLIGHT => 0,
        _ if STATE_KEYS.contains(&key) => 1,
        _ if is_common() => 2,
        _ => 3,
    }
}

/// Why an annotation at `origin` cannot be obeyed, whatever it says. What we wrote ourselves has readers that know what to do then.
pub(super) fn unkept(key: &str, value: &str, origin: impl FnOnce() -> String) -> Option<AnnotationError> {
    if key == MORE {
        return Some(AnnotationError::TooMany);
    }
    let is_long = value == TOO_LONG && !STATE_KEYS.contains(&key);
    is_long.then(|| AnnotationError::TooLong { origin: origin() })
}

/// How many errors of an object are told.
const MOST_ERRORS: usize = 20;

/// As many as anybody reads, and how many more there are.
pub(super) fn first(mut errors: Vec<AnnotationError>) -> Vec<AnnotationError> {
    let more = errors.len().saturating_sub(MOST_ERRORS);
    errors.truncate(MOST_ERRORS);
    if more > 0 {
        errors.push(AnnotationError::More(more));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
        kept(Some(&entries.into_iter().collect()), super::super::is_understood)
    }

    #[test]
    fn a_value_is_kept_up_to_its_bound_and_beyond_it_only_that_there_is_one() {
        for (length, expected) in [(LONGEST, "x".repeat(LONGEST)), (LONGEST + 1, TOO_LONG.to_owned())] {
            let annotations = of([("kubefresh.dev/hold".to_owned(), "x".repeat(length))]);
            assert_eq!(annotations["kubefresh.dev/hold"], expected);
        }
    }

    #[test]
    fn what_is_beyond_all_that_an_object_may_say_is_not_kept_and_the_marker_of_an_update_always_is() {
        let many = (0..10_000).map(|number| (format!("a{number}.kubefresh.dev/hold"), "1".to_owned()));
        let long = (0..20).map(|number| (format!("b{number}.kubefresh.dev/hold"), "x".repeat(LONGEST)));
        for others in [many.collect::<Vec<_>>(), long.collect()] {
            let marker = (IN_FLIGHT.to_owned(), "x".repeat(LONGEST));
            let annotations = of(others.into_iter().chain([marker]));
            assert_eq!(annotations[IN_FLIGHT].len(), LONGEST);
            assert!(annotations.contains_key(MORE));
            let bytes: usize = annotations
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum();
            assert!(bytes <= LONGEST_OF_ALL, "{bytes}");
        }
    }

    #[test]
    fn what_others_say_is_not_kept() {
        let annotations = of([("shop.example/owner".to_owned(), "x".repeat(200_000))]);
        assert!(annotations.is_empty());
    }
}
