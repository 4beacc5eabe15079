//! The end of a family whose variant names a release of a distribution (rule 15).

use std::cmp::Ordering;

use super::key::compare_versions;
use super::ruler::Ruler;
use super::selection::{Rejection, Successor};
use crate::domain::reference::Tag;
use crate::domain::tag::TagVersion;

/// The family that goes on where the current one has ended: the same variant on a later release of its distribution, with
/// a version that the policy would allow and that the current family does not reach.
///
/// Given the version chosen in the current family, if there is one, and the tags that were rejected.
pub(super) fn successor<'a>(
    ruler: &Ruler<'_>,
    chosen: Option<&TagVersion>,
    rejected: &[(Rejection, &'a Tag)],
) -> Option<Successor<'a>> {
    let current = ruler.current_version()?;
    current.family().distribution()?;
    let reached = chosen.unwrap_or(current);
    let beyond = rejected
        .iter()
        .filter(|(rejection, _)| *rejection == Rejection::OtherSuffix)
        .filter_map(|&(_, tag)| Some((TagVersion::parse(tag)?, tag)))
        .filter(|(version, _)| {
            is_later_variant(version, current)
                && compare_versions(version, reached).is_gt()
                && ruler.would_allow(version)
        });
    let newest = beyond.max_by(|(one, one_tag), (other, other_tag)| {
        compare_versions(one, other)
            .then_with(|| compare_distributions(one, other))
            .then_with(|| other_tag.cmp(one_tag))
    });
    newest.map(|(version, newest)| Successor {
        family: version.family().clone(),
        newest,
    })
}

/// Whether a tag is the same variant on a later release of its distribution.
pub(super) fn is_later_variant(version: &TagVersion, current: &TagVersion) -> bool {
    version.family().compare_distributions(current.family()) == Some(Ordering::Greater)
}

/// As [`is_later_variant`], where the number of components does not count.
pub(super) fn is_later_variant_in_range(version: &TagVersion, current: &TagVersion) -> bool {
    let order = version.family().compare_distributions_in_range(current.family());
    order == Some(Ordering::Greater)
}

/// Which of two versions is built on the later release; equal where that cannot be told.
pub(super) fn compare_distributions(one: &TagVersion, other: &TagVersion) -> Ordering {
    let order = one.family().compare_distributions(other.family());
    order.unwrap_or(Ordering::Equal)
}
