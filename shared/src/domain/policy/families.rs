//! The families beside the chosen one: for people who wonder what else is published. Nothing is decided here.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::fmt;

use super::key::compare_versions;
use super::selection::{Rejection, Selection};
use crate::domain::reference::Tag;
use crate::domain::tag::{Difference, Family, TagVersion};

/// A family beside that of the current tag in which something newer is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherFamily<'a> {
    pub family: Family,
    /// Its newest release.
    pub newest: &'a Tag,
    /// How many of its releases are newer than the current version.
    pub newer: usize,
    pub contrast: Contrast,
}

/// In what a family differs from the current one. Displays as a list for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contrast {
    pub prefix: bool,
    /// How many version components it has more, or fewer where negative.
    pub components: isize,
    pub suffix: Option<SuffixContrast>,
}

/// In what two suffixes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SuffixContrast {
    /// The same variant on a later release of its distribution (rule 15).
    LaterRelease,
    /// The same variant on an earlier one.
    EarlierRelease,
    Variant,
}

impl fmt::Display for Contrast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = self.suffix.map(|suffix| match suffix {
            SuffixContrast::LaterRelease => "later release of the distribution",
            SuffixContrast::EarlierRelease => "earlier release of the distribution",
            SuffixContrast::Variant => "variant",
        });
        let components = match self.components.cmp(&0) {
            Ordering::Less => Some("fewer components"),
            Ordering::Equal => None,
            Ordering::Greater => Some("more components"),
        };
        let all = [self.prefix.then_some("prefix"), components, suffix];
        f.pad(&all.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// The families that a choice passed over and in which something newer than the current version is published, the
/// nearest first: later releases of the same distribution, then by how much of the tag would have to be written anew.
///
/// Prereleases do not count, nor do dates where the current tag counts from one, or the other way round. Empty where the
/// current tag carries no version.
pub fn other_families<'a>(current: &Tag, selection: &Selection<'a>) -> Vec<OtherFamily<'a>> {
    let Some(current) = TagVersion::parse(current) else {
        return Vec::new();
    };
    let rules = [
        Rejection::OtherSuffix,
        Rejection::OtherComponents,
        Rejection::OtherPrefix,
    ];
    let passed_over = rules.into_iter().flat_map(|rule| selection.rejected.under(rule));
    let mut newest = BTreeMap::<Family, (TagVersion, &Tag, usize)>::new();
    for tag in passed_over {
        let Some(version) = TagVersion::parse(tag).filter(|version| is_newer_release(version, &current))
        else {
            continue;
        };
        match newest.get_mut(version.family()) {
            Some((known, named, count)) => {
                *count += 1;
                if compare_versions(&version, known)
                    .then_with(|| (*named).cmp(tag))
                    .is_gt()
                {
                    (*known, *named) = (version, tag);
                }
            }
            None => {
                newest.insert(version.family().clone(), (version, tag, 1));
            }
        }
    }
    let mut families: Vec<_> = newest.into_values().collect();
    families.sort_by(|(one, ..), (other, ..)| nearest_first(one, other, &current));
    families
        .into_iter()
        .map(|(version, newest, newer)| OtherFamily {
            contrast: contrast(&version, &current),
            family: version.family().clone(),
            newest,
            newer,
        })
        .collect()
}

/// Tags with the newest version first. Prereleases come after releases, then dates and tags without a version, which have
/// no place among versions that count from one.
pub fn newest_first<'a>(tags: &[&'a Tag]) -> Vec<&'a Tag> {
    let mut read: Vec<(Option<TagVersion>, &Tag)> =
        tags.iter().map(|&tag| (TagVersion::parse(tag), tag)).collect();
    let standing = |version: &Option<TagVersion>| match version {
        Some(version) if version.family().counts_in_dates() => 2,
        Some(version) if version.is_prerelease() => 1,
        Some(_) => 0,
        None => 3,
    };
    read.sort_by(|(one, one_tag), (other, other_tag)| {
        let newest = match (one, other) {
            (Some(one), Some(other)) => compare_versions(other, one),
            _ => Ordering::Equal,
        };
        let length = |tag: &Tag| tag.as_str().len();
        standing(one)
            .cmp(&standing(other))
            .then(newest)
            .then_with(|| length(one_tag).cmp(&length(other_tag)))
            .then_with(|| one_tag.cmp(other_tag))
    });
    read.into_iter().map(|(_, tag)| tag).collect()
}

fn is_newer_release(version: &TagVersion, current: &TagVersion) -> bool {
    let (family, current_family) = (version.family(), current.family());
    let other_calendar = [
        family.difference_but_components(current_family),
        family.difference_before_suffix(current_family),
    ]
    .contains(&Some(Difference::Dates));
    !version.is_prerelease()
        && !other_calendar
        && family.counts_in_dates() == current_family.counts_in_dates()
        && compare_versions(version, current).is_gt()
}

fn contrast(version: &TagVersion, current: &TagVersion) -> Contrast {
    let (family, current_family) = (version.family(), current.family());
    let later = family.compare_distributions(current_family);
    let suffix = match later {
        Some(Ordering::Greater) => Some(SuffixContrast::LaterRelease),
        Some(Ordering::Less) => Some(SuffixContrast::EarlierRelease),
        _ if after_numbers(family) != after_numbers(current_family) => Some(SuffixContrast::Variant),
        _ => None,
    };
    Contrast {
        prefix: family.prefix() != current_family.prefix(),
        components: components(version) - components(current),
        suffix,
    }
}

fn nearest_first(one: &TagVersion, other: &TagVersion, current: &TagVersion) -> Ordering {
    let key = |version: &TagVersion| {
        let contrast = contrast(version, current);
        let is_later_release = contrast.suffix == Some(SuffixContrast::LaterRelease);
        (
            Reverse(is_later_release),
            contrast.prefix,
            effort(version, current),
        )
    };
    let distributions = || other.family().compare_distributions(one.family());
    key(one)
        .cmp(&key(other))
        .then_with(|| distributions().unwrap_or(Ordering::Equal))
        .then_with(|| compare_versions(other, one))
        .then_with(|| one.family().cmp(other.family()))
}

/// How many characters differ where one family is written over the other; a component counts as a few.
fn effort(version: &TagVersion, current: &TagVersion) -> usize {
    const COMPONENT: usize = 4;
    let suffixes = (after_numbers(version.family()), after_numbers(current.family()));
    let shared = suffixes
        .0
        .bytes()
        .zip(suffixes.1.bytes())
        .take_while(|(one, other)| one == other)
        .count();
    let components = components(version).abs_diff(components(current));
    suffixes.0.len() + suffixes.1.len() - 2 * shared + COMPONENT * components
}

fn components(version: &TagVersion) -> isize {
    isize::try_from(version.numbers().len()).unwrap_or(isize::MAX)
}

/// What a family prints after its numbers.
fn after_numbers(family: &Family) -> String {
    let printed = family.to_string();
    let after_prefix = printed.get(family.prefix().len()..).unwrap_or_default();
    let mut rest = after_prefix;
    while let Some(after) = rest
        .strip_prefix('*')
        .or_else(|| rest.strip_prefix('<')?.split_once('>').map(|(_, after)| after))
    {
        rest = after;
        match after
            .strip_prefix(['.', 'u'])
            .filter(|next| next.starts_with(['*', '<']))
        {
            Some(next) => rest = next,
            None => break,
        }
    }
    rest.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::{SelectionRequest, UpdatePolicy, select};

    fn tags(written: &str) -> Vec<Tag> {
        written
            .split_whitespace()
            .map(|tag| tag.parse().unwrap())
            .collect()
    }

    /// Each family with its newest tag, how many are newer, and in what it differs.
    fn families(current: &str, published: &str) -> Vec<String> {
        let (current, published) = (current.parse().unwrap(), tags(published));
        let policy: UpdatePolicy = "minor".parse().unwrap();
        let selection = select(&SelectionRequest::new(&current, &policy), &published);
        let families = other_families(&current, &selection);
        let line = |other: &OtherFamily<'_>| {
            let OtherFamily {
                family,
                newest,
                newer,
                contrast,
            } = other;
            format!("{family} {newest} {newer} {contrast}")
        };
        families.iter().map(line).collect()
    }

    #[test]
    fn families_with_something_newer_are_listed_the_nearest_first() {
        for (current, published, expected) in [
            (
                "16.3-alpine3.19",
                "16.3-alpine3.19 16.4-alpine3.19 16.4-alpine3.20 17.2-alpine3.21 17.1-alpine3.21 17.2-alpine 17.2 \
                 17-alpine3.21 17.2-bookworm 16.3 15.8-alpine 18beta1-alpine 18-rc1 latest 20260101",
                &[
                    "*.*-alpine3.21 17.2-alpine3.21 2 later release of the distribution",
                    "*.*-alpine3.20 16.4-alpine3.20 1 later release of the distribution",
                    "*.*-alpine 17.2-alpine 1 variant",
                    "*-alpine3.21 17-alpine3.21 1 fewer components, variant",
                    "*.* 17.2 1 variant",
                    "*.*-bookworm 17.2-bookworm 1 variant",
                ][..],
            ),
            (
                "1.2-trixie",
                "1.3-bookworm",
                &["*.*-bookworm 1.3-bookworm 1 earlier release of the distribution"],
            ),
            (
                "20-slim",
                "20-slim 22-slim 22.1-slim 22.1.0-slim 22",
                &[
                    "*.*-slim 22.1-slim 1 more components",
                    "* 22 1 variant",
                    "*.*.*-slim 22.1.0-slim 1 more components",
                ],
            ),
            (
                "1.0",
                "1.1 cli-1.1 v1.2 1.1-x",
                &[
                    "*.*-x 1.1-x 1 variant",
                    "v*.* v1.2 1 prefix",
                    "cli-*.* cli-1.1 1 prefix",
                ],
            ),
            (
                "2024.10.1",
                "2024.10.1 2024.11.1-x 3.0.0-y",
                &["<year>.*.*-x 2024.11.1-x 1 variant"],
            ),
            ("latest", "1.0 2.0", &[]),
        ] {
            assert_eq!(families(current, published), expected, "{current}");
        }
    }

    #[test]
    fn examples_begin_with_the_newest_release() {
        let published = tags("latest 1.9 1.10-x 1.10 2.0-rc1 20260101 alpine");
        let listed = newest_first(&published.iter().collect::<Vec<_>>());
        let listed: Vec<&str> = listed.iter().map(|tag| tag.as_str()).collect();
        assert_eq!(
            listed,
            ["1.10", "1.10-x", "1.9", "2.0-rc1", "20260101", "alpine", "latest"]
        );
    }

    #[test]
    fn what_follows_the_numbers_of_a_family_is_found_in_every_layout() {
        for (tag, after) in [
            ("1.2.3", ""),
            ("v1.2-alpine3.19", "-alpine3.19"),
            ("2024.10.1-x", "-x"),
            ("8u402-jre", "-jre"),
            ("20241001-slim", "-slim"),
            ("1.2.3-ls132", "-ls*"),
        ] {
            let version = TagVersion::parse(&tag.parse().unwrap()).unwrap();
            assert_eq!(
                after_numbers(version.family()),
                after,
                "{tag}: {}",
                version.family()
            );
        }
    }
}
