//! Version ranges (rule 11), in the syntax that Helm, Flux, Argo CD and npm users know.
//!
//! `^1.2`, `~1.2.3`, `>=1.2 <2`, `1.x`, `1.2 - 1.8`, `!=1.4.0`, `1.4.7`; conditions that must all hold are separated by
//! spaces or commas, alternatives by `||`. A bare version means just that version, a shorter one everything under it.
//! A `v` may stand before any version. Prereleases are considered only where the range itself names one: `>=1.2-0`.

use std::cmp::Ordering;

use semver::{Comparator, Op, Prerelease, Version};

use crate::domain::tag::{Stage, TagVersion};

/// The versions that a policy admits.
#[derive(Debug, Clone)]
pub(super) struct VersionRange {
    /// One of them must hold.
    alternatives: Vec<Alternative>,
}

/// Whether a version is in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    Inside,
    /// It would be inside if prereleases were wanted.
    InsideButPrerelease,
    Outside,
}

/// Conditions that must all hold.
#[derive(Debug, Clone)]
struct Alternative {
    conditions: Vec<Condition>,
    names_prerelease: bool,
}

#[derive(Debug, Clone)]
struct Condition {
    /// `!=`: everything but what stands between the bounds.
    is_negated: bool,
    lower: Option<Bound>,
    upper: Option<Bound>,
}

#[derive(Debug, Clone)]
struct Bound {
    version: Version,
    is_included: bool,
}

/// In the order in which they must be tried, with the spelling that the semver crate knows.
const OPERATORS: [(&str, Op); 11] = [
    (">=", Op::GreaterEq),
    ("=>", Op::GreaterEq),
    ("<=", Op::LessEq),
    ("=<", Op::LessEq),
    ("~>", Op::Tilde),
    ("==", Op::Exact),
    (">", Op::Greater),
    ("<", Op::Less),
    ("=", Op::Exact),
    ("^", Op::Caret),
    ("~", Op::Tilde),
];

/// The prerelease that is older than any other.
const EARLIEST: &str = "0";

impl VersionRange {
    /// Reads a range; the error says what is wrong with it.
    pub(super) fn parse(written: &str) -> Result<Self, String> {
        let alternatives = written
            .split("||")
            .map(Alternative::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { alternatives })
    }

    /// The range that every version is in.
    pub(super) fn any() -> Self {
        Self {
            alternatives: vec![Alternative {
                conditions: Vec::new(),
                names_prerelease: false,
            }],
        }
    }

    /// Whether a version is in the range. Missing components count as zero; what has more than three, and more than zero
    /// in them, is greater than what has the same three.
    pub(super) fn contains(&self, version: &TagVersion, prereleases_wanted: bool) -> Membership {
        let compared = Compared::of(version);
        let mut result = Membership::Outside;
        for alternative in &self.alternatives {
            if !alternative.contains(&compared) {
                continue;
            }
            if !version.is_prerelease() || prereleases_wanted || alternative.names_prerelease {
                return Membership::Inside;
            }
            result = Membership::InsideButPrerelease;
        }
        result
    }

    /// Whether the range admits the one version and no other.
    pub(super) fn pins(&self, version: &TagVersion) -> bool {
        let compared = Compared::of(version);
        let is_just_this = |condition: &Condition| match (&condition.lower, &condition.upper) {
            (Some(lower), Some(upper)) => {
                !condition.is_negated && compared.is(&lower.version) && compared.is(&upper.version)
            }
            _ => false,
        };
        self.alternatives
            .iter()
            .all(|alternative| alternative.conditions.iter().any(is_just_this))
    }

    /// Whether a bound is written as a date or another number that no version counts up to.
    pub(super) fn names(&self, is_meant: impl Fn(u64) -> bool) -> bool {
        let bounds = self
            .alternatives
            .iter()
            .flat_map(|alternative| &alternative.conditions)
            .flat_map(|condition| [&condition.lower, &condition.upper])
            .flatten();
        bounds.into_iter().any(|bound| is_meant(bound.version.major))
    }
}

impl Alternative {
    fn parse(written: &str) -> Result<Self, String> {
        let mut conditions = Vec::new();
        let mut names_prerelease = false;
        for part in written.split(',') {
            let words = conditions_in(part);
            if words.is_empty() {
                return Err(
                    "a condition is missing; write for example ^1.2, ~1.2.3, \">=1.2 <2\", 1.x or \
                            \"1.2 - 1.8\""
                        .to_owned(),
                );
            }
            for word in words {
                let (condition, is_prerelease) = Condition::parse(&word)?;
                conditions.push(condition);
                names_prerelease |= is_prerelease;
            }
        }
        Ok(Self {
            conditions,
            names_prerelease,
        })
    }

    fn contains(&self, version: &Compared) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.contains(version, self.names_prerelease))
    }
}

/// The conditions in a text without commas, each without spaces.
fn conditions_in(part: &str) -> Vec<String> {
    let mut conditions: Vec<String> = Vec::new();
    let mut words = part.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if word == "-" {
            // `1.2 - 1.8`: a lower and an upper bound, both included.
            let upper = words.next().unwrap_or_default();
            match conditions.pop() {
                Some(lower) => conditions.push(format!(">={lower}")),
                None => conditions.push(word.to_owned()),
            }
            conditions.push(format!("<={upper}"));
        } else if word.bytes().all(|b| b"<>=!~^".contains(&b)) {
            // `>= 1.2`
            conditions.push(format!("{word}{}", words.next().unwrap_or_default()));
        } else {
            conditions.push(word.to_owned());
        }
    }
    conditions
}

impl Condition {
    /// Reads one condition, and whether it names a prerelease.
    fn parse(written: &str) -> Result<(Self, bool), String> {
        let (is_negated, rest) = match written.strip_prefix("!=") {
            Some(rest) => (true, rest),
            None => (false, written),
        };
        let (operator, version) = OPERATORS
            .iter()
            .filter(|_| !is_negated)
            .find_map(|&(text, operator)| Some((operator, rest.strip_prefix(text)?)))
            .unwrap_or((Op::Exact, rest));
        let comparator = comparator(operator, version).map_err(|reason| {
            format!(
                "{written:?} is no condition: {reason}; write for example ^1.2, ~1.2.3, \">=1.2 <2\", 1.x or \
                 \"1.2 - 1.8\""
            )
        })?;
        let Some(comparator) = comparator else {
            let is_impossible = is_negated || matches!(operator, Op::Greater | Op::Less);
            return if is_impossible {
                Err(format!("{written:?} admits no version at all"))
            } else {
                let names_prerelease = version.contains('-');
                Ok((Self::anything(), names_prerelease))
            };
        };
        let names_prerelease = !comparator.pre.is_empty();
        let (lower, upper) = bounds(&comparator);
        Ok((
            Self {
                is_negated,
                lower,
                upper,
            },
            names_prerelease,
        ))
    }

    fn anything() -> Self {
        Self {
            is_negated: false,
            lower: None,
            upper: None,
        }
    }

    fn contains(&self, version: &Compared, prereleases_named: bool) -> bool {
        // Where prereleases are wanted though the range names none, `2.x` is meant to hold those of 2.0.0 too.
        let reaches = |bound: &Bound| {
            let lowered;
            let mut limit = &bound.version;
            if bound.is_included && !prereleases_named && limit.pre.is_empty() && !self.is_exact() {
                lowered = Version {
                    pre: prerelease(EARLIEST),
                    ..limit.clone()
                };
                limit = &lowered;
            }
            let order = version.compare(limit);
            order.is_gt() || bound.is_included && order.is_eq()
        };
        let stays_below = |bound: &Bound| {
            let order = version.compare(&bound.version);
            order.is_lt() || bound.is_included && order.is_eq()
        };
        let is_between =
            self.lower.as_ref().is_none_or(reaches) && self.upper.as_ref().is_none_or(stays_below);
        is_between != self.is_negated
    }

    fn is_exact(&self) -> bool {
        matches!((&self.lower, &self.upper), (Some(lower), Some(upper)) if lower.version == upper.version)
    }
}

/// Reads the version of a condition: `None` for `*`, which bounds nothing.
fn comparator(operator: Op, written: &str) -> Result<Option<Comparator>, String> {
    let written = written.strip_prefix(['v', 'V']).unwrap_or(written);
    let written = written.split('+').next().unwrap_or_default();
    let (core, pre) = match written.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (written, None),
    };
    if core.is_empty() {
        return Err("a version is missing".to_owned());
    }
    let is_wildcard = |component: &str| matches!(component, "x" | "X" | "*");
    let components: Vec<&str> = core.split('.').collect();
    if components.len() > 3 {
        return Err("a version has at most three components here".to_owned());
    }
    let pre = match pre {
        None => Prerelease::EMPTY,
        Some(written) => read_prerelease(written)?,
    };
    if is_wildcard(components[0]) {
        return if components.iter().all(|component| is_wildcard(component)) {
            Ok(None)
        } else {
            Err("nothing can follow a wildcard but another".to_owned())
        };
    }
    // The crate reads components as Semantic Versioning wants them, and publishers write 18.04.
    let plain = components.iter().map(|component| {
        let digits = component.trim_start_matches('0');
        if digits.is_empty() && !component.is_empty() {
            "0"
        } else {
            digits
        }
    });
    let plain = plain.collect::<Vec<_>>().join(".");
    let parsed = Comparator::parse(&format!("={plain}")).map_err(|error| error.to_string())?;
    Ok(Some(Comparator {
        op: operator,
        pre,
        ..parsed
    }))
}

/// The prerelease of a bound, in the form that [`as_semver`] gives those of tags.
fn read_prerelease(written: &str) -> Result<Prerelease, String> {
    if written == EARLIEST {
        return Ok(prerelease(EARLIEST));
    }
    match TagVersion::read(&format!("1.0.0-{written}")) {
        Some(version) if version.is_prerelease() && version.family().has_no_suffix() => {
            Ok(stages_as_semver(version.stages()))
        }
        _ => Err(format!(
            "{written:?} is no prerelease; write -0 to admit prereleases, and leave out the variant, which is always \
             that of the current tag"
        )),
    }
}

/// What a comparator means as bounds.
fn bounds(comparator: &Comparator) -> (Option<Bound>, Option<Bound>) {
    let written = Version {
        pre: comparator.pre.clone(),
        ..Version::new(
            comparator.major,
            comparator.minor.unwrap_or(0),
            comparator.patch.unwrap_or(0),
        )
    };
    let is_complete = comparator.patch.is_some();
    let (at, beyond) = (
        Bound::including(written.clone()),
        Bound::excluding(written.clone()),
    );
    let after = || after_last_component(comparator);
    match comparator.op {
        Op::Exact if is_complete => (Some(at.clone()), Some(at)),
        Op::Greater if is_complete => (Some(beyond), None),
        Op::Greater => (after().map(Bound::including), None),
        Op::GreaterEq => (Some(at), None),
        Op::Less if comparator.pre.is_empty() => (None, Some(Bound::below(written))),
        Op::Less => (None, Some(beyond)),
        Op::LessEq if is_complete => (None, Some(at)),
        Op::LessEq => (None, after().map(Bound::below)),
        Op::Tilde if is_complete => {
            let next_minor = written.minor.checked_add(1);
            let above = next_minor.and_then(|minor| next(written.major, minor, Some(0)));
            (Some(at), above.map(Bound::below))
        }
        Op::Caret => (Some(at), after_caret(comparator).map(Bound::below)),
        // `~1.2`, `1.2`, `1`; the crate may come to know more operators, none of which is parsed here.
        Op::Exact | Op::Tilde | Op::Wildcard | _ => (Some(at), after().map(Bound::below)),
    }
}

impl Bound {
    fn including(version: Version) -> Self {
        Self {
            version,
            is_included: true,
        }
    }

    fn excluding(version: Version) -> Self {
        Self {
            version,
            is_included: false,
        }
    }

    /// Excludes the prereleases of the version too: whoever wants less than 2 does not want 2.0.0-rc1.
    fn below(version: Version) -> Self {
        Self::excluding(Version {
            pre: prerelease(EARLIEST),
            ..version
        })
    }
}

/// The first version that differs in the last component that is given.
fn after_last_component(comparator: &Comparator) -> Option<Version> {
    let Comparator {
        major, minor, patch, ..
    } = *comparator;
    match (minor, patch) {
        (Some(minor), Some(patch)) => next(major, minor, patch.checked_add(1)),
        (Some(minor), None) => next(major, minor.checked_add(1)?, Some(0)),
        (None, _) => next(major.checked_add(1)?, 0, Some(0)),
    }
}

/// The first version that a caret does not admit: the leftmost component that is not zero must stay.
fn after_caret(comparator: &Comparator) -> Option<Version> {
    match (comparator.major, comparator.minor, comparator.patch) {
        (0, Some(0), Some(patch)) => next(0, 0, patch.checked_add(1)),
        (0, Some(minor), _) => next(0, minor.checked_add(1)?, Some(0)),
        (major, ..) => next(major.checked_add(1)?, 0, Some(0)),
    }
}

/// `None` where a component has no successor: then there is nothing above.
fn next(major: u64, minor: u64, patch: Option<u64>) -> Option<Version> {
    Some(Version::new(major, minor, patch?))
}

/// A tag's version as Semantic Versioning orders it.
struct Compared {
    version: Version,
    /// It has more than three components, and they are not all zero.
    has_more: bool,
}

impl Compared {
    fn of(version: &TagVersion) -> Self {
        let component = |index: usize| version.numbers().get(index).copied().unwrap_or(0);
        Self {
            version: Version {
                pre: stages_as_semver(version.stages()),
                ..Version::new(component(0), component(1), component(2))
            },
            has_more: version.numbers().iter().skip(3).any(|&number| number > 0),
        }
    }

    fn compare(&self, limit: &Version) -> Ordering {
        let (ours, theirs) = (&self.version, limit);
        let numbers = |version: &Version| (version.major, version.minor, version.patch);
        numbers(ours)
            .cmp(&numbers(theirs))
            .then(if self.has_more {
                Ordering::Greater
            } else {
                Ordering::Equal
            })
            .then_with(|| ours.pre.cmp(&theirs.pre))
    }

    fn is(&self, version: &Version) -> bool {
        self.compare(version).is_eq()
    }
}

/// Prerelease markers as identifiers that compare as the markers do: `rc.10` becomes its rank and `10`.
fn stages_as_semver(stages: &[Stage]) -> Prerelease {
    let mut identifiers = Vec::new();
    for stage in stages {
        // Above `-0`, which is older than any marker.
        identifiers.push((stage.kind() as usize + 1).to_string());
        identifiers.extend(stage.counter().iter().map(u64::to_string));
    }
    prerelease(&identifiers.join("."))
}

/// Every text given here is made of numbers and dots, which is always a prerelease.
fn prerelease(identifiers: &str) -> Prerelease {
    Prerelease::new(identifiers).unwrap_or(Prerelease::EMPTY)
}
