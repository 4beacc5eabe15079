//! Acceptable tags, and which of them is the newest.

use std::cell::OnceCell;
use std::cmp::Ordering;

use super::key::Key;
use super::offer::Offer;
use super::ruler::{Ruler, Tier};
use super::selection::SelectionRequest;
use super::successor::compare_distributions;
use crate::domain::reference::Tag;
use crate::domain::tag::TagVersion;

/// An acceptable tag.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    pub(super) offer: Offer<'a>,
    pub(super) tier: Tier,
    pub(super) key: Key<'a>,
    /// Read when it has to decide between equal keys.
    likeness: OnceCell<Likeness>,
}

/// What a tag has in common with the current one.
#[derive(Debug, Clone, Copy)]
struct Likeness {
    /// The whole tag is of the same family.
    family: bool,
    /// It differs in nothing but its numbers.
    spelling: bool,
}

/// What puts candidates in order: the ruler they were measured by, and the current tag, which decides between equals.
pub(super) struct Ranking<'a> {
    pub(super) ruler: Ruler<'a>,
    current: Option<&'a Tag>,
    /// Read when it has to decide between equal keys.
    current_version: OnceCell<Option<TagVersion>>,
}

impl<'a> Ranking<'a> {
    pub(super) fn new(request: &SelectionRequest<'a>, ruler: Ruler<'a>) -> Self {
        Self {
            ruler,
            current: request.current,
            current_version: OnceCell::new(),
        }
    }

    /// The newer first. Of equal ones that of the current tag's family, then the shorter, then the alphabetically first
    /// (rule 12); of variants that are followed, that on the latest distribution.
    pub(super) fn newest_first(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        let ruler = &self.ruler;
        let (name_a, name_b) = (a.offer.tag.as_str(), b.offer.tag.as_str());
        ruler.compare(&b.key, &a.key).then_with(|| {
            if ruler.is_range() {
                // A range looks at no spelling; the most exact name says best what it is.
                let has_v = |name: &str| name.starts_with(['v', 'V']);
                let is_like_current = |name: &str| {
                    self.current
                        .is_none_or(|current| has_v(name) == has_v(current.as_str()))
                };
                return is_like_current(name_b)
                    .cmp(&is_like_current(name_a))
                    .then_with(|| name_b.len().cmp(&name_a.len()))
                    .then_with(|| name_b.cmp(name_a));
            }
            let (like_a, like_b) = (self.likeness(a), self.likeness(b));
            like_b
                .family
                .cmp(&like_a.family)
                .then_with(|| b.compare_distributions(a))
                .then_with(|| like_b.spelling.cmp(&like_a.spelling))
                .then_with(|| name_a.len().cmp(&name_b.len()))
                .then_with(|| name_a.cmp(name_b))
        })
    }

    fn likeness(&self, candidate: &Candidate<'_>) -> Likeness {
        *candidate.likeness.get_or_init(|| {
            let tag = candidate.offer.tag;
            let current_version = || self.current.and_then(TagVersion::parse);
            let family = self
                .current_version
                .get_or_init(current_version)
                .as_ref()
                .map(TagVersion::family);
            Likeness {
                family: family.is_some_and(|family| TagVersion::parse_on(tag, family).is_ok()),
                spelling: self.current.is_some_and(|current| is_spelled_like(tag, current)),
            }
        })
    }

    /// Forgets all candidates but so many of the best, each of them once.
    pub(super) fn keep_best(&self, candidates: &mut Vec<Candidate<'_>>, most: usize) {
        // What was kept before is in order already, which this way of sorting makes use of.
        candidates.sort_by(|a, b| a.tier.cmp(&b.tier).then_with(|| self.newest_first(a, b)));
        candidates.dedup_by(|a, b| a.offer.tag == b.offer.tag);
        candidates.truncate(most);
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn new(offer: Offer<'a>, tier: Tier, key: Key<'a>) -> Self {
        Self {
            offer,
            tier,
            key,
            likeness: OnceCell::new(),
        }
    }

    fn compare_distributions(&self, other: &Self) -> Ordering {
        match (&self.key, &other.key) {
            (Key::Version(one), Key::Version(other)) => compare_distributions(one, other),
            _ => Ordering::Equal,
        }
    }
}

/// Whether two tags differ in nothing but their numbers.
fn is_spelled_like(a: &Tag, b: &Tag) -> bool {
    fn text(tag: &Tag) -> impl Iterator<Item = &str> {
        tag.as_str()
            .split(|c: char| c.is_ascii_digit())
            .filter(|text| !text.is_empty())
    }
    text(a).eq(text(b))
}
