//! What is compared of a tag.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::order::{Number, natural};
use crate::domain::tag::TagVersion;

/// What is compared of a tag. All keys of one choice are of one kind, but for versions among texts.
#[derive(Debug)]
pub(super) enum Key<'a> {
    /// The digest policy compares nothing.
    Nothing,
    Version(TagVersion),
    Loose(LooseVersion),
    Number(Number),
    Text(Cow<'a, str>),
    /// Text whose digits are numbers.
    Natural(Cow<'a, str>),
}

impl Key<'_> {
    /// From the lesser to the greater.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Version(one), Self::Version(other)) => compare_versions(one, other),
            (Self::Loose(one), Self::Loose(other)) => one.compare(other),
            (Self::Number(one), Self::Number(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Natural(one), Self::Natural(other)) => natural(one, other),
            (Self::Version(_), Self::Natural(_)) => Ordering::Greater,
            (Self::Natural(_), Self::Version(_)) => Ordering::Less,
            _ => Ordering::Equal,
        }
    }
}

/// The order of two versions, in which missing components count as zero.
pub(super) fn compare_versions(one: &TagVersion, other: &TagVersion) -> Ordering {
    compare_numbers(one.numbers(), other.numbers()).then_with(|| one.compare_after_numbers(other))
}

fn compare_numbers(one: &[u64], other: &[u64]) -> Ordering {
    let length = one.len().max(other.len());
    let padded = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or(0);
    (0..length)
        .map(|index| padded(one, index).cmp(&padded(other, index)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// A version whose suffix counts as in Semantic Versioning: none is the newest, the others compare with each other.
#[derive(Debug)]
pub(super) struct LooseVersion {
    pub(super) version: TagVersion,
    /// Everything after the numbers.
    pub(super) rest: String,
}

impl LooseVersion {
    pub(super) fn new(version: TagVersion, text: &str) -> Self {
        let after_prefix = text.get(version.family().prefix().len()..).unwrap_or_default();
        let rest = after_prefix.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        Self {
            version,
            rest: rest.to_owned(),
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        compare_numbers(self.version.numbers(), other.version.numbers())
            .then_with(|| self.rest.is_empty().cmp(&other.rest.is_empty()))
            .then_with(|| natural(&self.rest, &other.rest))
    }
}
