//! The shape of a tag: which part of it is a version, and how two such versions compare.
//!
//! A tag is read as text prefix · version numbers · prerelease · variant suffix, each as the publisher wrote it. What
//! two tags must share to be versions of the same thing is their [`Family`]; inside a family the order is total.
//!
//! This module reads one tag. It knows no list of tags and no policy: see [`crate::domain::policy`]. The rules it
//! speaks of are numbered in `shared/vectors/tags.md`.

mod build;
mod calendar;
mod family;
mod numbers;
mod prerelease;
mod scan;

use std::cmp::Ordering;

use super::reference::Tag;

pub use family::{Difference, Family};
pub use prerelease::{Stage, StageKind};

/// A tag that carries a version.
///
/// Equality is of the version and its family, not of the spelling: `1.0-rc1` equals `1.0rc1`, and `18.04` equals
/// `18.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion {
    family: Family,
    numbers: Vec<u64>,
    stages: Vec<Stage>,
    builds: Vec<u64>,
}

impl TagVersion {
    /// Reads a tag, or says that it carries no version, so that only its digest can be followed (rule 6).
    pub fn parse(tag: &Tag) -> Option<Self> {
        scan::scan(tag.as_str())
    }

    /// The ladder this version stands on. Versions of different families never compare.
    pub fn family(&self) -> &Family {
        &self.family
    }

    /// The version numbers, most significant first. Never empty.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// The prerelease markers in the order written; none in a release (rule 4).
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The build counters in the order written (rule 5).
    pub fn builds(&self) -> &[u64] {
        &self.builds
    }

    /// Whether the tag carries a prerelease marker (rule 4).
    pub fn is_prerelease(&self) -> bool {
        !self.stages.is_empty()
    }

    /// The order of two versions of one family, `None` across families. Total within a family.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        (self.family == other.family).then(|| self.compare_across_families(other))
    }

    /// The order of the versions alone, for families that are known to count alike (rule 1).
    pub(super) fn compare_across_families(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| prerelease::compare(&self.stages, &other.stages))
            .then_with(|| self.builds.cmp(&other.builds))
    }
}

#[cfg(test)]
mod tests;
