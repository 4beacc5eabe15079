//! The measure that one choice holds against every tag: which ladder the current tag stands on, and how far up it may go.
//!
//! Whether a tag is acceptable, and how good it is, are properties of that one tag. So the answer stays the same when tags
//! are forgotten that were no candidates, which the scan records rely on; the exceptions are kept as witnesses.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::key::{Key, LooseVersion, compare_versions};
use super::order::{Direction, differ_in_numbers};
use super::pattern::{Extract, NoExtract, TagGlobs};
use super::range::{Membership, VersionRange};
use super::rules::{Filter, Measure, Rules};
use super::scale::{Scale, UNREADABLE, Unmeasurable, key, loose, natural_key};
use super::selection::{Rejection, SelectionRequest};
use super::successor::{is_later_variant, is_later_variant_in_range};
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
    rules: Arc<Rules>,
    prerelease: bool,
    follow_variants: bool,
    scale: Scale<'a>,
}

impl<'a> Ruler<'a> {
    /// The ruler for a request whose policy compares tags.
    pub(super) fn new(request: &SelectionRequest<'a>) -> Result<Self, Unmeasurable> {
        let rules = request.policy.rules().map_err(|_| UNREADABLE)?;
        let options = request.policy.options();
        Ok(Self {
            prerelease: options.prerelease,
            follow_variants: options.follow_variants,
            scale: Scale::new(&rules, request.current)?,
            rules,
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
                    && !(self.follow_variants && is_later_variant_in_range(&version, current))
                {
                    return Err(difference.into());
                }
                // A lone number beside dotted versions is a build or a year, not the next major version.
                if current.numbers().len() > 1 && version.numbers().len() == 1 {
                    return Err(Rejection::OtherComponents);
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
        let key = match (&self.rules.measure, current) {
            (Measure::LikeCurrent, Some(current)) => like(current, extract)?,
            (Measure::LikeCurrent, None) => self.preferably_version(extract)?,
            (measure, _) => key(measure, extract).ok_or(Rejection::NoNumber)?,
        };
        let is_newer = current.is_none_or(|current| direction.apply(key.compare(current)).is_gt());
        if is_newer {
            Ok((Tier::Family, key))
        } else {
            Err(Rejection::NotNewer)
        }
    }

    /// The key of a tag where no current one says what is meant: a version beats a text.
    fn preferably_version<'t>(&self, extract: Extract<'t>) -> Result<Key<'t>, Rejection> {
        let version = match &extract {
            Extract::Text(text) => plain_version(text),
            Extract::Version(version) => Some(version.clone()),
        };
        match version {
            Some(version) if version.is_prerelease() && !self.prerelease => Err(Rejection::Prerelease),
            Some(version) => Ok(Key::Version(version)),
            None => Ok(natural_key(extract)),
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
        let is_wanted = self.prerelease || is_prerelease_of_same_version(&current.version, &version.version);
        if version.version.is_prerelease() && !is_wanted {
            return Err(Rejection::Prerelease);
        }
        Ok((Tier::Family, Key::Loose(version)))
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

/// The key of a tag that differs from the current one in nothing but numbers. Where neither carries a version, nothing
/// else says what is newer (rule 6).
fn like<'t>(current: &Key<'_>, extract: Extract<'t>) -> Result<Key<'t>, Rejection> {
    let key = natural_key(extract);
    match (&key, current) {
        (Key::Natural(text), Key::Natural(current)) if differ_in_numbers(text, current) => Ok(key),
        _ => Err(Rejection::OtherText),
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
