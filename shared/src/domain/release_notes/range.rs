//! Which of a repository's releases an update brings: all behind the running tag, up to the offered one.
//!
//! A forge's tags need not be spelled as the image's: with a `v` or without, with a component of a repository that has several
//! (`web-v1.5.0`, `web@1.5.0`, `web/v1.5.0`), without the variant of an image (`-alpine`), with more numbers or fewer.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Release;
use crate::domain::reference::{Repository, Tag};
use crate::domain::tag::TagVersion;

/// How many releases are told at most; older ones are counted.
pub const MOST_RELEASES: usize = 100;
/// The longest tag that is read, in bytes: an image's has at most 128, and a component may stand before it.
const LONGEST_TAG: usize = 256;

/// Words before a version that name no component.
const PLAIN_WORDS: [&str; 8] = ["v", "release", "releases", "rel", "version", "ver", "r", "tags"];

/// What an update does, as far as its notes are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    pub image: &'a Repository,
    pub from: &'a Tag,
    pub to: &'a Tag,
}

/// The releases between two tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Newest first, none twice.
    pub releases: Vec<Release>,
    /// How many older ones there are beyond [`MOST_RELEASES`].
    pub left_out: usize,
    /// Whether one of them is the offered version itself.
    pub has_target: bool,
    /// Whether the running tag is a version, so that it is known where they begin.
    pub has_start: bool,
}

/// Why there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NoRange {
    #[strum(to_string = "the tag stays the same, and its name does not tell what has changed")]
    SameTag,
    #[strum(to_string = "the tag is no version, so that no release belongs to it")]
    NoVersion,
    #[strum(to_string = "it goes back to an older version")]
    Backwards,
    #[strum(to_string = "the repository has releases, and none between these two versions")]
    NoneBetween,
    #[strum(to_string = "the repository has no releases")]
    NoReleases,
}

/// The version in an image's tag, without what says on what it is built.
fn image_version(tag: &Tag) -> Option<TagVersion> {
    let version = TagVersion::parse(tag)?;
    let is_date = version.numbers().len() == 1 && version.family().counts_in_dates();
    (!is_date || version.stages().is_empty()).then_some(version)
}

/// A release's tag taken apart.
struct Named<'a> {
    /// In lower case; empty where there is none.
    component: String,
    version: TagVersion,
    release: &'a Release,
}

/// The component and the version in a release's tag; `None` where it has no version.
pub(super) fn named(tag: &str) -> Option<(String, TagVersion)> {
    let tag = tag.trim();
    if tag.len() > LONGEST_TAG {
        return None;
    }
    let tag = &*with_points(tag);
    let separators =
        |(at, character): (usize, char)| matches!(character, '/' | '@' | '-' | '_' | ' ').then_some(at + 1);
    let last = tag.rfind(['/', '@']).map_or(0, |at| at + 1);
    let starts = std::iter::once(last).chain(
        tag.char_indices()
            .filter_map(separators)
            .filter(|start| *start > last),
    );
    for start in starts {
        let rest = &tag[start..];
        let digits = rest.strip_prefix(['v', 'V']).unwrap_or(rest);
        if !digits.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        // What is built of a version is none of its name: 1.2.3+build.
        let core = digits.split('+').next().unwrap_or_default();
        if let Some(version) = TagVersion::read(core).filter(|version| version.family().prefix().is_empty()) {
            return Some((component(&tag[..start]), version));
        }
    }
    // What is joined to a word: release1.5.0.
    let (word, rest) = tag.split_at(tag.find(|first: char| first.is_ascii_digit())?);
    let version = TagVersion::read(rest).filter(|version| version.family().prefix().is_empty())?;
    Some((component(word), version))
}

/// `REL_16_3` as `REL_16.3`, where no point is used.
fn with_points(tag: &str) -> Cow<'_, str> {
    if tag.contains('.') || !tag.contains('_') {
        return Cow::Borrowed(tag);
    }
    let is_digit = |character: Option<char>| character.is_some_and(|character| character.is_ascii_digit());
    let mut pointed = String::with_capacity(tag.len());
    let mut rest = tag.chars().peekable();
    while let Some(character) = rest.next() {
        let joins = character == '_' && is_digit(pointed.chars().last()) && is_digit(rest.peek().copied());
        pointed.push(if joins { '.' } else { character });
    }
    Cow::Owned(pointed)
}

fn component(before: &str) -> String {
    let trimmed = before
        .trim_matches(|edge: char| !edge.is_alphanumeric())
        .to_lowercase();
    if PLAIN_WORDS.contains(&trimmed.as_str()) {
        return String::new();
    }
    trimmed
}

/// How a release's version stands to an image's. Numbers that the image's tag does not have are not compared: a tag `1.5` moves
/// along all of 1.5.
fn compare(release: &TagVersion, image: &TagVersion) -> Ordering {
    let numbers = release.numbers().iter().copied().chain(std::iter::repeat(0));
    let by_numbers = numbers
        .zip(image.numbers())
        .map(|(release, image)| release.cmp(image));
    let first = by_numbers
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal);
    if first.is_ne() {
        return first;
    }
    if release.numbers().len() > image.numbers().len() && image.stages().is_empty() {
        return Ordering::Equal;
    }
    let builds_alike = !release.builds().is_empty() && !image.builds().is_empty();
    match (release.is_prerelease(), image.is_prerelease()) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        _ if builds_alike || release.is_prerelease() => release.compare_after_numbers(image),
        _ => Ordering::Equal,
    }
}

/// The releases that `step` brings, of all that the repository has, in any order.
///
/// # Errors
/// Why no release is one of them.
pub fn between(step: &Step<'_>, releases: &[Release]) -> Result<Range, NoRange> {
    if step.from == step.to {
        return Err(NoRange::SameTag);
    }
    let to = image_version(step.to).ok_or(NoRange::NoVersion)?;
    let from = image_version(step.from);
    if let Some(from) = &from
        && compare(&to, from).is_lt()
    {
        return Err(NoRange::Backwards);
    }
    if releases.is_empty() {
        return Err(NoRange::NoReleases);
    }
    let is_between = |version: &TagVersion| match &from {
        Some(from) => compare(version, from).is_gt() && compare(version, &to).is_le(),
        None => compare(version, &to).is_eq(),
    };
    let mut components: BTreeMap<String, Vec<Named<'_>>> = BTreeMap::new();
    for release in releases {
        let Some((component, version)) = named(&release.tag).or_else(|| named(&release.title)) else {
            continue;
        };
        let is_target = compare(&version, &to).is_eq();
        let is_early = (release.prerelease || version.is_prerelease()) && !to.is_prerelease() && !is_target;
        if is_between(&version) && !is_early {
            let named = Named {
                component: component.clone(),
                version,
                release,
            };
            components.entry(component).or_default().push(named);
        }
    }
    let chosen = choose(components, step).ok_or(NoRange::NoneBetween)?;
    Ok(range(chosen, &to, from.is_some()))
}

/// Whether a list of releases, newest first, goes back far enough: it has both ends of the step.
pub fn is_whole(step: &Step<'_>, releases: &[Release]) -> bool {
    let (Some(from), Some(to)) = (image_version(step.from), image_version(step.to)) else {
        return false;
    };
    let ends_at = |end: &TagVersion| -> BTreeSet<String> {
        let named = releases.iter().filter_map(|release| named(&release.tag));
        let at_end = named.filter(|(_, version)| compare(version, end).is_eq());
        at_end.map(|(component, _)| component).collect()
    };
    // Both of one component: another one's versions say nothing of ours.
    !ends_at(&from).is_disjoint(&ends_at(&to))
}

/// The releases of the component that the image is: by the image's name, by what stands before the version in its tag, or those
/// that name none. What names another one is another program's.
fn choose<'a>(mut components: BTreeMap<String, Vec<Named<'a>>>, step: &Step<'_>) -> Option<Vec<Named<'a>>> {
    let words = step.image.path().rsplit('/').map(str::to_lowercase);
    let prefix = TagVersion::parse(step.to).map(|version| component(version.family().prefix()));
    let joined = step.image.path().replace('/', "-").to_lowercase();
    let mut wanted: Vec<String> = prefix.into_iter().filter(|prefix| !prefix.is_empty()).collect();
    wanted.extend(words);
    wanted.push(joined);
    for name in wanted {
        let is_it = |component: &&String| {
            **component == name || component.rsplit(['/', '@']).next() == Some(name.as_str())
        };
        if let Some(component) = components.keys().find(is_it).cloned() {
            return components.remove(&component);
        }
    }
    if let Some(plain) = components.remove("") {
        return Some(plain);
    }
    // Of several there is no telling which; of one there is, where nothing else is published.
    (components.len() == 1).then(|| components.pop_first().map(|(_, releases)| releases))?
}

fn range(mut chosen: Vec<Named<'_>>, to: &TagVersion, has_start: bool) -> Range {
    let newest_first = |a: &Named<'_>, b: &Named<'_>| {
        let numbers = b.version.numbers().cmp(a.version.numbers());
        let after = || b.version.compare_after_numbers(&a.version);
        let longest = || b.release.body.len().cmp(&a.release.body.len());
        numbers.then_with(after).then_with(longest)
    };
    chosen.sort_by(newest_first);
    chosen.dedup_by(|next, kept| {
        next.component == kept.component
            && next.version.numbers() == kept.version.numbers()
            && next.version.compare_after_numbers(&kept.version).is_eq()
    });
    let has_target = chosen.iter().any(|named| compare(&named.version, to).is_eq());
    let left_out = chosen.len().saturating_sub(MOST_RELEASES);
    let releases = chosen
        .iter()
        .take(MOST_RELEASES)
        .map(|named| named.release.clone());
    Range {
        releases: releases.collect(),
        left_out,
        has_target,
        has_start,
    }
}

#[cfg(test)]
mod tests;
