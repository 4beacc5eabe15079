//! The annotation that holds, as it is written: what is there stays, what is new comes after it.

use std::collections::BTreeMap;

use super::annotations::HOLD;
use super::policy::Hold;
use super::workload::Workload;

/// How many holds an annotation keeps when another is written; the oldest go.
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
    let dropped = before.len().saturating_sub(MOST - 1);
    let words = before.into_iter().skip(dropped).chain([new.as_str()]);
    words.collect::<Vec<_>>().join(" ")
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
}
