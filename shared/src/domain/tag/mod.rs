//! The shape of a tag: which part of it is a version, and how two such versions compare.
//!
//! A tag is read as text prefix · version numbers · prerelease · variant suffix, each as the publisher wrote it. What
//! two tags must share to be versions of the same thing is their [`Family`]; inside a family the order is total.
//!
//! This module reads one tag. It knows no list of tags and no policy: see [`crate::domain::policy`]. The rules it
//! speaks of are numbered in `shared/vectors/tags.md`.

mod build;
mod calendar;
mod distribution;
mod family;
mod numbers;
mod other_ladder;
mod prerelease;
mod scan;
mod step;

use std::cmp::Ordering;

use super::reference::Tag;
use scan::Outline;

pub use distribution::DistributionRelease;
pub use family::{Difference, Family, Spelling};
pub use other_ladder::on_ladder_of;
pub use prerelease::{Stage, StageKind};
pub use step::Step;

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
        Self::read(tag.as_str())
    }

    /// As [`parse`](Self::parse), of a text that was cut out of a tag.
    pub fn read(text: &str) -> Option<Self> {
        Outline::of(text).map(Outline::read)
    }

    /// A version whose parts are told apart already. Markers that are not known count as the earliest of all, in the order
    /// of their names.
    pub fn from_parts(numbers: Vec<u64>, prerelease: &str, variant: &str) -> Self {
        Self {
            family: Family::of_parts(numbers.len(), variant),
            numbers,
            stages: prerelease::read_all(prerelease),
            builds: Vec::new(),
        }
    }

    /// Reads a tag that may stand on the ladder `family`, in its spelling or the other one (rule 1), or says why it does
    /// not.
    ///
    /// The same as [`parse`](Self::parse) and a comparison of the families, but most tags of a repository stand on other
    /// ladders and are not read to the end.
    pub fn parse_on(tag: &Tag, family: &Family) -> Result<(Self, Spelling), Mismatch> {
        Self::read_on(tag.as_str(), family)
    }

    /// As [`parse_on`](Self::parse_on), of a text that was cut out of a tag.
    pub fn read_on(text: &str, family: &Family) -> Result<(Self, Spelling), Mismatch> {
        let outline = Outline::of(text).ok_or(Mismatch::NoVersion)?;
        let spelling = family
            .spelling(outline.prefix)
            .ok_or(Mismatch::Family(Difference::Prefix))?;
        let mismatch = |difference| match spelling {
            Spelling::Same => Mismatch::Family(difference),
            Spelling::OtherV => Mismatch::Family(Difference::Prefix),
        };
        if !outline.numbers.shape.joins_alike(family.shape) {
            return Err(mismatch(Difference::Components));
        }
        let version = outline.read();
        match version.family.difference_after_prefix(family) {
            Some(difference) => Err(mismatch(difference)),
            None => Ok((version, spelling)),
        }
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
            .then_with(|| self.compare_after_numbers(other))
    }

    /// The order of two versions whose numbers are equal.
    pub(super) fn compare_after_numbers(&self, other: &Self) -> Ordering {
        prerelease::compare(&self.stages, &other.stages).then_with(|| self.builds.cmp(&other.builds))
    }
}

/// Why a tag does not stand on a ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// It carries no version (rule 6).
    NoVersion,
    /// It stands on another one.
    Family(Difference),
}

#[cfg(test)]
mod tests;
