//! The current tag on its ladder: what is compared of it, and what that makes of the policy.

use std::borrow::Cow;

use super::key::{Key, LooseVersion};
use super::order::{Direction, Number};
use super::pattern::{Extract, NoExtract};
use super::range::VersionRange;
use super::rules::{Measure, Rules};
use super::selection::{Rejection, SelectionReason};
use crate::domain::reference::Tag;
use crate::domain::tag::TagVersion;

/// The current tag on its ladder, and how far up from it a tag may be.
#[derive(Debug)]
pub(super) enum Scale<'a> {
    Level {
        current: TagVersion,
        fixed_components: usize,
    },
    Range {
        current: Option<TagVersion>,
        range: VersionRange,
    },
    Loose {
        current: LooseVersion,
        fixed_components: usize,
    },
    Keys {
        current: Option<Key<'a>>,
        direction: Direction,
    },
}

/// Why nothing can be measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unmeasurable {
    pub(super) reason: SelectionReason,
    /// The same, said of each tag.
    pub(super) rejection: Rejection,
}

impl<'a> Scale<'a> {
    pub(super) fn new(rules: &Rules, current: Option<&'a Tag>) -> Result<Self, Unmeasurable> {
        let current = current.map(|tag| of_current(rules, tag)).transpose()?;
        let version = |extract| version(extract).ok_or(NO_VERSION);
        match (&rules.measure, current) {
            (Measure::Level { fixed_components }, Some(extract)) => Ok(Self::Level {
                current: version(extract)?,
                fixed_components: *fixed_components,
            }),
            (Measure::Level { fixed_components: 0 }, None) => Ok(Self::Range {
                current: None,
                range: VersionRange::any(),
            }),
            (Measure::LikeCurrent, current) => Ok(Self::like_current(current)),
            (Measure::Range(range), current) => Ok(Self::Range {
                current: current.map(version).transpose()?,
                range: range.clone(),
            }),
            (Measure::AnySuffix { fixed_components }, Some(extract)) => Ok(Self::Loose {
                current: loose(extract).ok_or(NO_VERSION)?,
                fixed_components: *fixed_components,
            }),
            (Measure::Numeric(direction) | Measure::Alphabetical(direction), current) => Ok(Self::Keys {
                current: match current {
                    Some(extract) => Some(key(&rules.measure, extract).ok_or(NO_NUMBER)?),
                    None => None,
                },
                direction: *direction,
            }),
            (Measure::Level { .. } | Measure::AnySuffix { .. } | Measure::Digest, _) => Err(NO_CURRENT),
        }
    }

    /// As versions where the current tag carries one, otherwise as text with numbers in it.
    fn like_current(current: Option<Extract<'a>>) -> Self {
        let as_version = current.as_ref().and_then(|extract| match extract {
            Extract::Text(text) => TagVersion::read(text),
            Extract::Version(version) => Some(version.clone()),
        });
        match as_version {
            Some(current) => Self::Level {
                current,
                fixed_components: 0,
            },
            None => Self::Keys {
                current: current.map(natural_key),
                direction: Direction::Ascending,
            },
        }
    }
}

pub(super) const UNREADABLE: Unmeasurable = Unmeasurable {
    reason: SelectionReason::PolicyUnreadable,
    rejection: Rejection::PolicyUnreadable,
};
const NO_CURRENT: Unmeasurable = Unmeasurable {
    reason: SelectionReason::NoCurrent,
    rejection: Rejection::NoCurrent,
};
const NO_VERSION: Unmeasurable = Unmeasurable {
    reason: SelectionReason::CurrentIsNoVersion,
    rejection: Rejection::CurrentIsNoVersion,
};
const NO_NUMBER: Unmeasurable = Unmeasurable {
    reason: SelectionReason::CurrentIsNoNumber,
    rejection: Rejection::CurrentIsNoNumber,
};

/// What is compared of the current tag. A pattern that only filters need not match it: the tag can be compared all the same.
fn of_current<'a>(rules: &Rules, tag: &'a Tag) -> Result<Extract<'a>, Unmeasurable> {
    let whole = Extract::Text(Cow::Borrowed(tag.as_str()));
    match &rules.pattern {
        Some(pattern) if pattern.cuts_out() => {
            pattern.extract(tag.as_str()).map_err(|nothing| match nothing {
                NoExtract::NoVersion => NO_VERSION,
                NoExtract::NoMatch => Unmeasurable {
                    reason: SelectionReason::CurrentOutsidePattern,
                    rejection: Rejection::CurrentOutsidePattern,
                },
            })
        }
        Some(_) | None => Ok(whole),
    }
}

fn version(extract: Extract<'_>) -> Option<TagVersion> {
    match extract {
        Extract::Text(text) => TagVersion::read(&text),
        Extract::Version(version) => Some(version),
    }
}

pub(super) fn loose(extract: Extract<'_>) -> Option<LooseVersion> {
    match extract {
        Extract::Text(text) => Some(LooseVersion::new(TagVersion::read(&text)?, &text)),
        Extract::Version(version) => Some(LooseVersion::new(version, "")),
    }
}

/// The key under an order that compares no versions; `None` where it is no number and should be one.
pub(super) fn key<'t>(measure: &Measure, extract: Extract<'t>) -> Option<Key<'t>> {
    match (measure, extract) {
        (Measure::Numeric(_), Extract::Text(text)) => text.parse::<Number>().ok().map(Key::Number),
        (_, Extract::Text(text)) => Some(Key::Text(text)),
        (_, Extract::Version(version)) => Some(Key::Version(version)),
    }
}

/// A version as such, and a text by the numbers in it.
pub(super) fn natural_key(extract: Extract<'_>) -> Key<'_> {
    match extract {
        Extract::Text(text) => Key::Natural(text),
        Extract::Version(version) => Key::Version(version),
    }
}
