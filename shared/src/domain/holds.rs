//! The annotation that holds, as it is written: what is there stays, what is new comes after it.
//!
//! It grows for as long as each update fails: of what failed nothing is offered again, and what a person holds is theirs to release.
//! Only where a value would be too long to be read at all, the oldest go.

use std::collections::BTreeMap;

use super::annotations::{HOLD, LONGEST};
use super::policy::Hold;
use super::workload::Workload;

/// The annotations that hold this for these containers (`None`: for all) beside what is held, as keys and whole values.
pub fn with_holds<'a>(
    workload: &Workload,
    holds: impl IntoIterator<Item = (Option<&'a str>, Hold)>,
) -> BTreeMap<String, String> {
    let mut written = BTreeMap::new();
    for (container, hold) in holds {
        let key = container.map_or_else(
            || HOLD.to_owned(),
            |container| workload.annotation_of(container, HOLD),
        );
        let there = written.get(&key).or_else(|| workload.annotations.get(&key));
        let value = with_hold(there.map_or("", String::as_str), &hold);
        written.insert(key, value);
    }
    written
}

/// What is there is taken as it is: nobody asked for its correction.
fn with_hold(there: &str, hold: &Hold) -> String {
    let new = hold.to_string();
    let before: Vec<&str> = there.split_whitespace().filter(|word| *word != new).collect();
    let mut left = LONGEST - new.len();
    let has_room = |word: &&str| {
        let rest = left.checked_sub(word.len() + 1);
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let latest = before.into_iter().rev().take_while(has_room);
    let mut words: Vec<&str> = [new.as_str()].into_iter().chain(latest).collect();
    words.reverse();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_comes_after_those_that_are_there_and_they_stay() {
        let new = Hold::Tag("1.5.0".parse().unwrap());
        for (there, expected) in [
            ("", "1.5.0"),
            ("1.4.0  <=1.3.0", "1.4.0 <=1.3.0 1.5.0"),
            ("1.5.0 1.4.0", "1.4.0 1.5.0"),
            ("not:valid", "not:valid 1.5.0"),
        ] {
            assert_eq!(with_hold(there, &new), expected);
        }
        let many: Vec<String> = (0..300).map(|number| format!("1.4.{number}@{DIGEST}")).collect();
        let many = format!("<=1.3.0 {}", many.join(" "));
        assert_eq!(with_hold(&many, &new), format!("{many} 1.5.0"));
    }

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn what_is_written_can_be_read_again_however_long_the_words_are_that_are_there() {
        let there = format!("oldest {}", vec!["x".repeat(LONGEST / 3); 3].join(" "));
        let value = with_hold(&there, &Hold::Tag("1.5.0".parse().unwrap()));
        assert!(
            value.len() <= LONGEST && value.starts_with('x') && value.ends_with("x 1.5.0"),
            "{}",
            value.len()
        );
    }
}
