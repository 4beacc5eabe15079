//! The annotation that holds, as it is written: what is there stays, what is new comes after it.

use std::collections::BTreeMap;

use super::annotations::{HOLD, LONGEST};
use super::policy::Hold;
use super::workload::Workload;

/// How many holds an annotation keeps when another is written, as far as they have room; the oldest go.
const MOST: usize = 20;

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
    let latest = before.into_iter().rev().take(MOST - 1).take_while(has_room);
    let mut words: Vec<&str> = [new.as_str()].into_iter().chain(latest).collect();
    words.reverse();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_comes_after_those_that_are_there_and_the_oldest_go() {
        let new = Hold::Tag("1.5.0".parse().unwrap());
        for (there, expected) in [
            ("", "1.5.0"),
            ("1.4.0  <=1.3.0", "1.4.0 <=1.3.0 1.5.0"),
            ("1.5.0 1.4.0", "1.4.0 1.5.0"),
            ("not:valid", "not:valid 1.5.0"),
        ] {
            assert_eq!(with_hold(there, &new), expected);
        }
        let many: Vec<String> = (0..MOST).map(|number| format!("1.4.{number}")).collect();
        let value = with_hold(&many.join(" "), &new);
        assert!(
            value.starts_with("1.4.1 ") && value.ends_with(" 1.5.0"),
            "{value}"
        );
        assert_eq!(value.split(' ').count(), MOST);
    }

    #[test]
    fn what_is_written_can_be_read_again_however_long_the_words_are_that_are_there() {
        let there = vec!["x".repeat(LONGEST / 3); 5].join(" ");
        let value = with_hold(&there, &Hold::Tag("1.5.0".parse().unwrap()));
        assert!(
            value.len() <= LONGEST && value.ends_with("x 1.5.0"),
            "{}",
            value.len()
        );
    }
}
