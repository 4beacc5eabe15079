//! The measure that one choice holds against every tag: which ladder the current tag stands on, and how far up it may go.
//!
//! Whether a tag is acceptable, and how good it is, are properties of that one tag. So the answer stays the same when tags
//! are forgotten that were no candidates, which the scan records rely on; the exceptions are kept as witnesses.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::key::{Key, LooseVersion, compare_versions};
use super::order::{Direction, Number};
use super::pattern::{Extract, NoExtract, TagGlobs};
use super::range::{Membership, VersionRange};
use super::rules::{Filter, Measure, Rules};
use super::selection::{Rejection, SelectionReason, SelectionRequest};
use super::successor::is_later_variant;
use crate::domain::reference::Tag;
use crate::domain::tag::{Difference, Family, Mismatch, Spelling, TagVersion};

/// How good an acceptable tag is. A lower tier is the answer only for want of any tag in a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// The current family.
    Family,
    /// The current family; a prerelease of another version, under the marker that the current tag has.
    SameLine,
    /// The current family but for the `v` before its numbers. Accepted where no tag at all is published in the spelling of
    /// the current one: many publishers push both, one after the other (rule 1).
    OtherSpelling,
}

impl Tier {
    /// Why a tag of this tier is not chosen when there is a better one.
    pub(super) fn rejection(self) -> Rejection {
        match self {
            Self::Family => Rejection::Superseded,
            Self::SameLine => Rejection::Prerelease,
            Self::OtherSpelling => Rejection::OtherPrefix,
        }
    }
}

/// Why nothing can be measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unmeasurable {
    pub(super) reason: SelectionReason,
    /// The same, said of each tag.
    pub(super) rejection: Rejection,
}

impl From<NoExtract> for Rejection {
    fn from(nothing: NoExtract) -> Self {
        match nothing {
            NoExtract::NoMatch => Self::OutsidePattern,
            NoExtract::NoVersion => Self::NoVersion,
        }
    }
}

/// What is held against every tag.
#[derive(Debug)]
pub(super) struct Ruler<'a> {
    rules: &'a Rules,
    prerelease: bool,
    follow_variants: bool,
    scale: Scale<'a>,
}

/// The current tag on its ladder, and how far up from it a tag may be.
#[derive(Debug)]
enum Scale<'a> {
    Level {
        current: TagVersion,
        fixed_components: usize,
    },
    Range {
        current: Option<TagVersion>,
        range: Cow<'a, VersionRange>,
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

impl<'a> Ruler<'a> {
    /// The ruler for a request whose policy compares tags.
    pub(super) fn new(request: &SelectionRequest<'a>) -> Result<Self, Unmeasurable> {
        let rules = request.policy.rules();
        let options = request.policy.options();
        Ok(Self {
            rules,
            prerelease: options.prerelease,
            follow_variants: options.follow_variants,
            scale: Scale::new(rules, request.current)?,
        })
    }

    /// What is compared of a tag, and how good it is; or the first rule against it.
    pub(super) fn measure<'t>(&self, tag: &'t Tag) -> Result<(Tier, Key<'t>), Rejection> {
        self.rules.filter.admit(tag.as_str())?;
        let extract = match &self.rules.pattern {
            None => Extract::Text(Cow::Borrowed(tag.as_str())),
            Some(pattern) => pattern.extract(tag.as_str())?,
        };
        match &self.scale {
            Scale::Level {
                current,
                fixed_components,
            } => self.on_level(current, *fixed_components, extract),
            Scale::Range { current, range } => self.in_range(current.as_ref(), range, extract),
            Scale::Loose {
                current,
                fixed_components,
            } => self.with_any_suffix(current, *fixed_components, extract),
            Scale::Keys { current, direction } => self.by_key(current.as_ref(), *direction, extract),
        }
    }

    /// Whether a tag is of the current family, in its own spelling, however old it is.
    pub(super) fn is_of_current_family(&self, tag: &Tag) -> bool {
        let Scale::Level { current, .. } = &self.scale else {
            return false;
        };
        let text = match &self.rules.pattern {
            None => Cow::Borrowed(tag.as_str()),
            Some(pattern) => match pattern.extract(tag.as_str()) {
                Ok(Extract::Text(text)) => text,
                Ok(Extract::Version(_)) | Err(_) => return false,
            },
        };
        matches!(
            TagVersion::read_on(&text, current.family()),
            Ok((_, Spelling::Same))
        )
    }

    /// The order of two keys from the older to the newer.
    pub(super) fn compare(&self, one: &Key<'_>, other: &Key<'_>) -> Ordering {
        let ascending = one.compare(other);
        match &self.scale {
            Scale::Keys { direction, .. } => direction.apply(ascending),
            Scale::Level { .. } | Scale::Range { .. } | Scale::Loose { .. } => ascending,
        }
    }

    /// Whether the policy is a range that admits the current version and no other.
    pub(super) fn pins_current(&self) -> bool {
        match &self.scale {
            Scale::Range {
                current: Some(current),
                range,
            } => range.pins(current),
            Scale::Range { .. } | Scale::Level { .. } | Scale::Loose { .. } | Scale::Keys { .. } => false,
        }
    }

    /// Whether tags are compared by a range, where the more exact of two equal versions is preferred.
    pub(super) fn is_range(&self) -> bool {
        matches!(self.scale, Scale::Range { .. })
    }

    /// The version that the current tag carries, where versions are compared and each family is on its own.
    pub(super) fn current_version(&self) -> Option<&TagVersion> {
        match &self.scale {
            Scale::Level { current, .. } => Some(current),
            Scale::Range { current, .. } => current.as_ref(),
            Scale::Loose { .. } | Scale::Keys { .. } => None,
        }
    }

    /// Whether a version that stands on another ladder would be allowed on the current one.
    pub(super) fn would_allow(&self, version: &TagVersion) -> bool {
        match &self.scale {
            Scale::Level {
                current,
                fixed_components,
            } => stands_above(current, *fixed_components, version).is_ok() && !version.is_prerelease(),
            Scale::Range { current, range } => {
                current
                    .as_ref()
                    .is_none_or(|current| compare_versions(version, current).is_gt())
                    && range.contains(version, false) == Membership::Inside
            }
            Scale::Loose { .. } | Scale::Keys { .. } => false,
        }
    }

    fn on_level<'t>(
        &self,
        current: &TagVersion,
        fixed_components: usize,
        extract: Extract<'_>,
    ) -> Result<(Tier, Key<'t>), Rejection> {
        // Rules 6, 1, 2, 3 and 7.
        let (version, spelling) = match extract {
            Extract::Text(text) => match TagVersion::read_on(&text, current.family()) {
                Ok(read) => read,
                Err(mismatch) => (self.followed(mismatch, &text, current)?, Spelling::Same),
            },
            Extract::Version(version) => match version.family().difference(current.family()) {
                Some(difference) => return Err(difference.into()),
                None => (version, Spelling::Same),
            },
        };
        stands_above(current, fixed_components, &version)?;
        // Rule 10.
        let is_wanted =
            !version.is_prerelease() || self.prerelease || is_prerelease_of_same_version(current, &version);
        let tier = match (is_wanted, spelling) {
            (true, Spelling::Same) => Tier::Family,
            (true, Spelling::OtherV) => Tier::OtherSpelling,
            (false, Spelling::Same) if is_on_same_line(current, &version) => Tier::SameLine,
            (false, _) => return Err(Rejection::Prerelease),
        };
        Ok((tier, Key::Version(version)))
    }

    /// The version of a tag on another ladder, if that is the same variant on a later release of its distribution and
    /// such are followed (rule 15).
    fn followed(
        &self,
        mismatch: Mismatch,
        text: &str,
        current: &TagVersion,
    ) -> Result<TagVersion, Rejection> {
        let version = (self.follow_variants && mismatch == Mismatch::Family(Difference::Suffix))
            .then(|| TagVersion::read(text))
            .flatten()
            .filter(|version| is_later_variant(version, current));
        version.ok_or(mismatch.into())
    }

    /// Rule 11. The number of components is free, prefix and suffix are those of the current tag.
    fn in_range<'t>(
        &self,
        current: Option<&TagVersion>,
        range: &VersionRange,
        extract: Extract<'_>,
    ) -> Result<(Tier, Key<'t>), Rejection> {
        let version = match extract {
            Extract::Text(text) => TagVersion::read(&text).ok_or(Rejection::NoVersion)?,
            Extract::Version(version) => version,
        };
        let family = version.family();
        match current {
            Some(current) => {
                if let Some(difference) = family.difference_but_components(current.family())
                    && !(self.follow_variants && is_later_variant(&version, current))
                {
                    return Err(difference.into());
                }
                if compare_versions(&version, current) != Ordering::Greater {
                    return Err(Rejection::NotNewer);
                }
            }
            None => is_plain(family, range)?,
        }
        match range.contains(&version, self.prerelease) {
            Membership::Inside => Ok((Tier::Family, Key::Version(version))),
            Membership::InsideButPrerelease => Err(Rejection::Prerelease),
            Membership::Outside => Err(Rejection::OutsideRange),
        }
    }

    /// Rule 12.
    fn by_key<'t>(
        &self,
        current: Option<&Key<'_>>,
        direction: Direction,
        extract: Extract<'t>,
    ) -> Result<(Tier, Key<'t>), Rejection> {
        let mut key = key(&self.rules.measure, extract).ok_or(Rejection::NoNumber)?;
        let mut is_newer = current.is_none_or(|current| direction.apply(key.compare(current)).is_gt());
        // Where the current tag does not say what is meant, a version beats a text, and never an older one.
        if let (Measure::LikeCurrent, Key::Text(text)) = (&self.rules.measure, &key)
            && let Some(version) = plain_version(text)
        {
            if version.is_prerelease() && !self.prerelease {
                return Err(Rejection::Prerelease);
            }
            if let Some(Key::Text(current)) = current
                && let Some(current) = plain_version(current)
            {
                is_newer = compare_versions(&version, &current).is_gt();
            }
            key = Key::Version(version);
        }
        if is_newer {
            Ok((Tier::Family, key))
        } else {
            Err(Rejection::NotNewer)
        }
    }

    fn with_any_suffix<'t>(
        &self,
        current: &LooseVersion,
        fixed_components: usize,
        extract: Extract<'_>,
    ) -> Result<(Tier, Key<'t>), Rejection> {
        let version = loose(extract).ok_or(Rejection::NoVersion)?;
        let (family, current_family) = (version.version.family(), current.version.family());
        if let Some(difference) = family.difference_before_suffix(current_family) {
            return Err(difference.into());
        }
        if version.compare(current) != Ordering::Greater {
            return Err(Rejection::NotNewer);
        }
        if !share_components(&current.version, &version.version, fixed_components) {
            return Err(Rejection::OutsideLevel);
        }
        if version.version.is_prerelease() && !self.prerelease {
            return Err(Rejection::Prerelease);
        }
        Ok((Tier::Family, Key::Loose(version)))
    }
}

impl<'a> Scale<'a> {
    fn new(rules: &'a Rules, current: Option<&'a Tag>) -> Result<Self, Unmeasurable> {
        let is_admitted = current.is_some_and(|tag| rules.admits(tag));
        let current = current.map(|tag| of_current(rules, tag)).transpose()?;
        let version = |extract| version(extract).ok_or(NO_VERSION);
        match (&rules.measure, current) {
            (Measure::Level { fixed_components }, Some(extract)) => Ok(Self::Level {
                current: version(extract)?,
                fixed_components: *fixed_components,
            }),
            (Measure::Level { fixed_components: 0 }, None) => Ok(Self::Range {
                current: None,
                range: Cow::Owned(VersionRange::any()),
            }),
            (Measure::LikeCurrent, current) => Ok(Self::like_current(current, is_admitted)),
            (Measure::Range(range), current) => Ok(Self::Range {
                current: current.map(version).transpose()?,
                range: Cow::Borrowed(range),
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

    /// As versions where the current tag is one of those that are asked for and carries one, otherwise as text.
    fn like_current(current: Option<Extract<'a>>, is_admitted: bool) -> Self {
        let text = |extract: Extract<'a>| match extract {
            Extract::Text(text) => Key::Text(text),
            Extract::Version(version) => Key::Version(version),
        };
        let as_version = current
            .as_ref()
            .filter(|_| is_admitted)
            .and_then(|extract| match extract {
                Extract::Text(text) => TagVersion::read(text),
                Extract::Version(version) => Some(version.clone()),
            });
        match as_version {
            Some(current) => Self::Level {
                current,
                fixed_components: 0,
            },
            None => Self::Keys {
                current: current.map(text),
                direction: Direction::Ascending,
            },
        }
    }
}

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
fn of_current<'a>(rules: &'a Rules, tag: &'a Tag) -> Result<Extract<'a>, Unmeasurable> {
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

fn loose(extract: Extract<'_>) -> Option<LooseVersion> {
    match extract {
        Extract::Text(text) => Some(LooseVersion::new(TagVersion::read(&text)?, &text)),
        Extract::Version(version) => Some(LooseVersion::new(version, "")),
    }
}

/// The key under an order that compares no versions; `None` where it is no number and should be one.
fn key<'t>(measure: &Measure, extract: Extract<'t>) -> Option<Key<'t>> {
    match (measure, extract) {
        (Measure::Numeric(_), Extract::Text(text)) => text.parse::<Number>().ok().map(Key::Number),
        (_, Extract::Text(text)) => Some(Key::Text(text)),
        (_, Extract::Version(version)) => Some(Key::Version(version)),
    }
}

impl Rules {
    /// Whether a tag is one of those that the policy itself asks for.
    fn admits(&self, tag: &Tag) -> bool {
        let glob = self.filter.glob.as_ref();
        glob.is_none_or(|glob| glob.matches(tag.as_str()))
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| pattern.extract(tag.as_str()).is_ok())
    }
}

impl Filter {
    /// Whether a tag comes into question by its name.
    fn admit(&self, tag: &str) -> Result<(), Rejection> {
        let matches = |globs: &TagGlobs| globs.matches(tag);
        if !self.include.as_ref().is_none_or(matches) {
            Err(Rejection::NotIncluded)
        } else if self.exclude.as_ref().is_some_and(matches) {
            Err(Rejection::Excluded)
        } else if !self.glob.as_ref().is_none_or(matches) {
            Err(Rejection::OutsideGlob)
        } else {
            Ok(())
        }
    }
}

/// The version of a text that is nothing else.
fn plain_version(text: &str) -> Option<TagVersion> {
    TagVersion::read(text).filter(|version| {
        let family = version.family();
        !family.counts_in_dates() && family.difference_from_plain().is_none()
    })
}

/// Where no current tag says which family is meant, it is the one of bare versions; and of dates only where the range
/// speaks of dates.
fn is_plain(family: &Family, range: &VersionRange) -> Result<(), Rejection> {
    if let Some(difference) = family.difference_from_plain() {
        return Err(difference.into());
    }
    let speaks_of_dates = range.names(|major| major >= SMALLEST_DATE);
    if family.counts_in_dates() == speaks_of_dates {
        Ok(())
    } else {
        Err(Rejection::OtherCalendar)
    }
}

/// The least number that is read as a date of a day, not a version.
const SMALLEST_DATE: u64 = 20_000_101;

/// Rules 9 and 8. A component that does not exist cannot move, so a short version may be fixed entirely.
fn stands_above(
    current: &TagVersion,
    fixed_components: usize,
    version: &TagVersion,
) -> Result<(), Rejection> {
    if compare_versions(version, current) != Ordering::Greater {
        Err(Rejection::NotNewer)
    } else if !share_components(current, version, fixed_components) {
        Err(Rejection::OutsideLevel)
    } else {
        Ok(())
    }
}

fn share_components(one: &TagVersion, other: &TagVersion, count: usize) -> bool {
    one.numbers()
        .iter()
        .zip(other.numbers())
        .take(count)
        .all(|(one, other)| one == other)
}

/// A later prerelease of the very version that the current tag is a prerelease of.
fn is_prerelease_of_same_version(current: &TagVersion, version: &TagVersion) -> bool {
    current.is_prerelease() && version.numbers() == current.numbers()
}

/// A publisher who writes `1.2.2-alpha` and then `1.2.3-alpha`, with no counters, runs a line of that name. It is
/// followed between patches only: further on, an equal marker is a coincidence.
fn is_on_same_line(current: &TagVersion, version: &TagVersion) -> bool {
    current.is_prerelease()
        && version.stages() == current.stages()
        && version.stages().iter().all(|stage| stage.counter().is_empty())
        && share_components(current, version, 2)
}
