//! The shape of a tag: which part of it is a version, and how two such versions compare.
//!
//! This module reads one tag. It knows no list of tags and no policy: see [`crate::domain::policy`].

use std::cmp::Ordering;
use std::fmt;

use super::reference::Tag;

/// A tag that carries a version: text prefix, version numbers, optional prerelease, variant suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion {
    family: Family,
    numbers: Vec<u64>,
}

impl TagVersion {
    /// Reads a tag, or says that it carries no version (rule 6).
    pub fn parse(tag: &Tag) -> Option<Self> {
        let numbers: Option<Vec<u64>> = tag
            .as_str()
            .split('.')
            .map(|number| number.parse().ok())
            .collect();
        let numbers = numbers?;
        Some(Self {
            family: Family {
                prefix: String::new(),
                components: numbers.len(),
                suffix: String::new(),
            },
            numbers,
        })
    }

    /// The ladder this version stands on. Versions of different families never compare.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// The version numbers, most significant first. Never empty.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Whether the tag carries a prerelease marker.
    pub fn is_prerelease(&self) -> bool {
        false
    }

    /// The order of two versions of one family, `None` across families. Total within a family.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        (self.family == other.family).then(|| self.numbers.cmp(&other.numbers))
    }
}

/// What two tags must share to be versions of the same thing. Prints as a pattern: `v*.*.*-alpine`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Family {
    prefix: String,
    components: usize,
    suffix: String,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}{}",
            self.prefix,
            vec!["*"; self.components].join("."),
            self.suffix
        )
    }
}
