//! How far it is from one tag to another: for people. Which steps are allowed is for a policy to say.

use serde::Serialize;

use super::TagVersion;
use crate::domain::reference::Tag;

/// The part of a version that a newer tag changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Step {
    /// The first number.
    Major,
    /// The second one.
    Minor,
    /// One behind these, a prerelease or a build counter.
    Patch,
    /// No number: a date, another variant, or the same tag with another digest.
    Other,
}

impl Step {
    /// The step from one tag to the other.
    pub fn between(current: &Tag, newer: &Tag) -> Self {
        let (Some(from), Some(to)) = (TagVersion::parse(current), TagVersion::parse(newer)) else {
            return Self::Other;
        };
        let has_dates = from.family().counts_in_dates() || to.family().counts_in_dates();
        if has_dates || from.numbers().len() != to.numbers().len() {
            return Self::Other;
        }
        let mut numbers = from.numbers().iter().zip(to.numbers());
        match numbers.position(|(from, to)| from != to) {
            Some(0) => Self::Major,
            Some(1) => Self::Minor,
            Some(_) => Self::Patch,
            None if from != to && from.family() == to.family() => Self::Patch,
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_by_the_first_number_that_changes() {
        for (current, newer, step) in [
            ("1.4.5", "2.0.0", Step::Major),
            ("v1.4.5-alpine", "v1.5.0-alpine", Step::Minor),
            ("1.4.5", "1.4.6", Step::Patch),
            ("1.4.5.6", "1.4.5.7", Step::Patch),
            ("1.4.5-rc1", "1.4.5", Step::Patch),
            ("4.7.0-ls132", "4.7.0-ls133", Step::Patch),
            ("20-slim", "26-slim", Step::Major),
            ("16.3-alpine3.19", "16.4-alpine3.20", Step::Minor),
            ("16.3-alpine3.19", "16.3-alpine3.20", Step::Other),
            ("1.4.5", "v1.5.0", Step::Minor),
            ("1.4", "1.4.5", Step::Other),
            ("2024.07.0", "2026.07.2", Step::Major),
            ("20240701", "20260701", Step::Other),
            ("edge", "edge", Step::Other),
            ("1.4.5", "1.4.5", Step::Other),
        ] {
            let found = Step::between(&current.parse().unwrap(), &newer.parse().unwrap());
            assert_eq!(found, step, "{current} to {newer}");
        }
    }
}
