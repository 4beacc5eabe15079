//! The annotation that holds, as it is written: what is there stays, what is new comes after it.
//!
//! It grows for as long as each update fails: of what failed nothing is offered again, and what a person holds is theirs to release.
//! Only where they would be too many, or take the room that all else needs which is read of a workload, the oldest go.

use std::collections::{BTreeMap, BTreeSet};

use super::annotations::{HOLD, LONGEST, MOST_HOLDS};
use super::policy::Hold;
use super::workload::Workload;

/// How many bytes all holds of a workload may take: half of what is read of its annotations.
const ROOM: usize = 64 << 10;

/// The annotations that hold this for these containers (`None`: for all) beside what is held, as keys and whole values.
pub fn with_holds<'a>(
    workload: &Workload,
    holds: impl IntoIterator<Item = (Option<&'a str>, Hold)>,
) -> BTreeMap<String, String> {
    let key = |container: Option<&str>| match container {
        None => HOLD.to_owned(),
        Some(container) => workload.annotation_of(container, HOLD),
    };
    let holds: Vec<(String, Hold)> = holds
        .into_iter()
        .map(|(container, hold)| (key(container), hold))
        .collect();
    let there = workload.annotations.keys().filter(|key| key.ends_with(HOLD));
    let keys: BTreeSet<&String> = there.chain(holds.iter().map(|(key, _)| key)).collect();
    let longest = LONGEST.min(ROOM / keys.len().max(1));
    let mut written = BTreeMap::new();
    for (key, hold) in &holds {
        let there = written.get(key).or_else(|| workload.annotations.get(key));
        let value = with_hold(there.map_or("", String::as_str), hold, longest);
        written.insert(key.clone(), value);
    }
    written
}

/// What is there is taken as it is: nobody asked for its correction. Of what would take more than `longest` bytes, or be too many, the
/// oldest go.
fn with_hold(there: &str, hold: &Hold, longest: usize) -> String {
    let new = hold.to_string();
    let before: Vec<&str> = there.split_whitespace().filter(|word| *word != new).collect();
    let mut left = longest.saturating_sub(new.len());
    let has_room = |word: &&str| {
        let rest = left.checked_sub(word.len() + 1);
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let latest = before.into_iter().rev().take(MOST_HOLDS - 1).take_while(has_room);
    let mut words: Vec<&str> = [new.as_str()].into_iter().chain(latest).collect();
    words.reverse();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::tests::workload;

    #[test]
    fn a_hold_comes_after_those_that_are_there_and_they_stay() {
        let new = Hold::Tag("1.5.0".parse().unwrap());
        for (there, expected) in [
            ("", "1.5.0"),
            ("1.4.0  <=1.3.0", "1.4.0 <=1.3.0 1.5.0"),
            ("1.5.0 1.4.0", "1.4.0 1.5.0"),
            ("not:valid", "not:valid 1.5.0"),
        ] {
            assert_eq!(with_hold(there, &new, LONGEST), expected);
        }
        let many: Vec<String> = (0..300).map(|number| format!("1.4.{number}@{DIGEST}")).collect();
        let many = format!("<=1.3.0 {}", many.join(" "));
        assert_eq!(with_hold(&many, &new, LONGEST), format!("{many} 1.5.0"));
        let short: Vec<String> = (0..=MOST_HOLDS).map(|number| format!("1.4.{number}")).collect();
        let kept = format!("{} 1.5.0", short[2..].join(" "));
        assert_eq!(with_hold(&short.join(" "), &new, LONGEST), kept);
        assert_eq!(kept.split(' ').count(), MOST_HOLDS);
    }

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn what_is_written_can_be_read_again_however_long_the_words_are_that_are_there() {
        let there = format!("oldest {}", vec!["x".repeat(LONGEST / 3); 3].join(" "));
        let value = with_hold(&there, &Hold::Tag("1.5.0".parse().unwrap()), LONGEST);
        assert!(
            value.len() <= LONGEST && value.starts_with('x') && value.ends_with("x 1.5.0"),
            "{}",
            value.len()
        );
    }

    #[test]
    fn the_holds_of_many_containers_leave_room_for_all_else_that_is_written() {
        let long = vec!["x".repeat(127); 200].join(" ");
        let keys: Vec<String> = (0..8).map(|number| format!("c{number}.{HOLD}")).collect();
        let annotations: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), long.as_str())).collect();
        let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
        let containers: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "app:1")).collect();
        let workload = workload(&annotations, &containers);
        let new = || Hold::Tag("1.5.0".parse().unwrap());
        let written = with_holds(&workload, names.iter().map(|name| (Some(name.as_str()), new())));
        assert_eq!(written.len(), 8);
        let bytes: usize = written.values().map(String::len).sum();
        assert!(bytes <= ROOM && bytes > ROOM / 2, "{bytes}");
        assert!(written.values().all(|value| value.ends_with("x 1.5.0")));
    }
}
