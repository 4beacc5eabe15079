//! What a choice depends on, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use strum::{EnumIter, IntoStaticStr};

use super::offer::Conditions;
use super::rules::UpdatePolicy;
use crate::domain::reference::{Digest, Tag};
use crate::domain::tag::{Difference, Family, Mismatch};

/// Everything a choice depends on besides the published tags.
#[derive(Debug, Clone, Copy)]
pub struct SelectionRequest<'a> {
    /// The tag the workload names now. `None` asks which tag a policy that needs none would start with.
    pub current: Option<&'a Tag>,
    pub policy: &'a UpdatePolicy,
    /// The digest that runs now, if it is known.
    pub current_digest: Option<&'a Digest>,
    /// The digest that the current tag has in the registry; only the digest policy looks at it.
    pub remote_digest: Option<&'a Digest>,
    /// Nothing runs the image, and nothing is meant to: then the published digest is written without one to compare it with.
    pub runs_nowhere: bool,
    pub conditions: Conditions<'a>,
}

impl<'a> SelectionRequest<'a> {
    /// A question about tags alone.
    pub fn new(current: &'a Tag, policy: &'a UpdatePolicy) -> Self {
        Self {
            current: Some(current),
            ..Self::without_current(policy)
        }
    }

    /// Which tag a policy would start with.
    pub fn without_current(policy: &'a UpdatePolicy) -> Self {
        Self {
            current: None,
            policy,
            current_digest: None,
            remote_digest: None,
            runs_nowhere: false,
            conditions: Conditions::default(),
        }
    }
}

/// What was chosen and why, and why nothing else was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The tag that the policy wants. It is the current one under the digest policy and under a range that pins it; see
    /// [`Selection::update`].
    pub selected: Option<&'a Tag>,
    pub reason: SelectionReason,
    pub rejected: Rejections<'a>,
    /// Where the current family has ended and another goes on (rules 15 and 1).
    pub successor: Option<Successor<'a>>,
    /// When the next tag that is too young now, and newer than the chosen one, will be old enough.
    pub matures_at: Option<Timestamp>,
}

impl<'a> Selection<'a> {
    /// The tag to move to, if there is anything to do.
    pub fn update(&self) -> Option<&'a Tag> {
        self.selected.filter(|_| self.reason != SelectionReason::Pinned)
    }
}

/// Every published tag that was not chosen, under the first rule that rejected it. Most who choose never look at them, so that they
/// are put in groups for those who do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejections<'a>(
    /// By rule and then in byte order, none twice.
    Vec<(Rejection, &'a Tag)>,
);

impl<'a> Rejections<'a> {
    pub(super) fn new(mut rejected: Vec<(Rejection, &'a Tag)>) -> Self {
        // Tags lie all over the memory, so that it pays to look at each but once.
        rejected.sort_by_cached_key(|&(rule, tag)| (rule, first_bytes(tag.as_str()), tag));
        rejected.dedup();
        Self(rejected)
    }

    /// The tags that one rule rejected, in byte order.
    pub fn under(&self, rule: Rejection) -> impl Iterator<Item = &'a Tag> {
        let begin = self.0.partition_point(|(other, _)| *other < rule);
        let from_there = self.0[begin..].iter();
        from_there
            .take_while(move |(other, _)| *other == rule)
            .map(|&(_, tag)| tag)
    }

    /// All of them by rule, each list in byte order.
    pub fn by_rule(&self) -> BTreeMap<Rejection, Vec<&'a Tag>> {
        let groups = self.0.chunk_by(|(one, _), (other, _)| one == other);
        let groups = groups.filter_map(|group| {
            let (rule, _) = group.first()?;
            Some((*rule, group.iter().map(|&(_, tag)| tag).collect()))
        });
        groups.collect()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As much of a text as a number holds. Where two texts differ in it, they do so in the same order.
fn first_bytes(text: &str) -> u128 {
    let mut bytes = [0; size_of::<u128>()];
    for (byte, written) in bytes.iter_mut().zip(text.bytes()) {
        *byte = written;
    }
    u128::from_be_bytes(bytes)
}

/// The family that goes on where the current one has ended: the distribution that the variant is built on has moved on, or
/// the publisher has begun or ceased to write a `v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor<'a> {
    pub family: Family,
    /// Its newest tag that the policy would allow.
    pub newest: &'a Tag,
}

/// Why a [`Selection`] is as it is. Displays as a clause for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum SelectionReason {
    /// A newer tag is published and the policy allows it.
    NewerVersion,
    /// As above, but the publisher has begun or ceased to write a `v` before the number (rule 1).
    NewerVersionOtherSpelling,
    /// No tag was given to compare with, and this is the newest that the policy allows.
    NewestAllowed,
    /// Nothing that is published is newer and allowed.
    NoNewerVersion,
    /// The range admits the current version and no other.
    Pinned,
    /// The policy was stored by a version that knows more than this one.
    PolicyUnreadable,
    /// No tag was given, and the policy says how far from it one may go.
    NoCurrent,
    /// The current tag carries no version, so that only the digest policy can follow it (rule 6).
    CurrentIsNoVersion,
    /// The current tag does not match the pattern that cuts out what is compared (rule 12).
    CurrentOutsidePattern,
    /// What is compared of the current tag is no number (rule 12).
    CurrentIsNoNumber,
    /// The current tag has another digest in the registry than the one that runs (rule 13).
    DigestChanged,
    /// Nothing runs now, so that the digest of the current tag can be written without disturbing anything (rule 13).
    NothingRuns,
    /// The current tag has the digest that runs.
    DigestUnchanged,
    /// One of the two digests is not known.
    DigestUnknown,
    /// What is newer by name is what runs already (rule 14).
    SameDigest,
    /// What is newer is held.
    Held,
    /// What is newer does not run on every node.
    PlatformMissing,
    /// What is newer is not old enough yet.
    TooYoung,
}

impl SelectionReason {
    /// A stable name for metrics, events and stored records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for SelectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewerVersion => "a newer tag is published",
            Self::NewerVersionOtherSpelling => {
                "a newer version is published, and only with the other spelling of the `v` before the number"
            }
            Self::NewestAllowed => "it is the newest that the policy allows",
            Self::NoNewerVersion => "nothing newer is published that the policy allows",
            Self::Pinned => "the range admits the current version and no other",
            Self::PolicyUnreadable => "the policy cannot be read by this version",
            Self::NoCurrent => "there is no current tag, and the policy says how far from it one may go",
            Self::CurrentIsNoVersion => {
                "the current tag carries no version; the policy `digest` can follow it, or a tag-pattern with a tag-order"
            }
            Self::CurrentOutsidePattern => {
                "the current tag does not match the pattern, so nobody knows what is newer; set a tag that does"
            }
            Self::CurrentIsNoNumber => "what is compared of the current tag is no number",
            Self::DigestChanged => "the tag has a new digest in the registry",
            Self::NothingRuns => "nothing runs now, so that the digest can be written",
            Self::DigestUnchanged => "the tag still has the digest that runs",
            Self::DigestUnknown => "the running digest or the published one is not known",
            Self::SameDigest => "the newer name stands for the image that runs already",
            Self::Held => "what is newer is held",
            Self::PlatformMissing => "what is newer does not run on every node",
            Self::TooYoung => "what is newer is not old enough yet",
        })
    }
}

/// The first rule that rejected a tag. Displays as a clause for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Rejection {
    /// The tag that the workload names now.
    Current,
    /// The digest policy never leaves the current tag (rule 13).
    OtherTag,
    /// The policy cannot be read.
    PolicyUnreadable,
    /// There is no current tag to compare with.
    NoCurrent,
    /// The current tag carries no version to compare with (rule 6).
    CurrentIsNoVersion,
    /// The current tag has nothing to compare with (rule 12).
    CurrentOutsidePattern,
    /// What is compared of the current tag is no number (rule 12).
    CurrentIsNoNumber,
    /// There is an allow list, and nothing on it matches.
    NotIncluded,
    /// Something on the ignore list matches.
    Excluded,
    /// The glob does not match.
    OutsideGlob,
    /// The pattern does not match (rule 12).
    OutsidePattern,
    /// The tag carries no version (rule 6).
    NoVersion,
    /// What is compared of the tag is no number (rule 12).
    NoNumber,
    /// It carries no version either, and differs from the current tag in more than its numbers (rule 6).
    OtherText,
    /// Another text before the version (rules 1 and 3).
    OtherPrefix,
    /// More or fewer version components (rule 2).
    OtherComponents,
    /// Another variant (rule 3).
    OtherSuffix,
    /// A date among versions, or a version among dates (rule 7).
    OtherCalendar,
    /// Older than the current tag or equal to it (rule 9).
    NotNewer,
    /// It differs in a component that the policy does not let move (rule 8).
    OutsideLevel,
    /// The range does not admit it (rule 11).
    OutsideRange,
    /// A prerelease that was not asked for (rules 10 and 11).
    Prerelease,
    /// Allowed, but it is what runs already, or older than that (rule 14).
    SameDigest,
    /// Allowed, but held.
    Held,
    /// Allowed, but some node could not run it.
    PlatformMissing,
    /// Allowed, but not old enough.
    TooYoung,
    /// Allowed, and another allowed tag is newer.
    Superseded,
}

impl Rejection {
    /// A stable name for metrics, events and stored records.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl From<Mismatch> for Rejection {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::NoVersion => Self::NoVersion,
            Mismatch::Family(difference) => difference.into(),
        }
    }
}

impl From<Difference> for Rejection {
    fn from(difference: Difference) -> Self {
        match difference {
            Difference::Prefix => Self::OtherPrefix,
            Difference::Components => Self::OtherComponents,
            Difference::Suffix => Self::OtherSuffix,
            Difference::Dates => Self::OtherCalendar,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "it is the current tag",
            Self::OtherTag => "the policy `digest` stays on its tag",
            Self::PolicyUnreadable => "this version cannot read the policy",
            Self::NoCurrent => "there is no current tag to start from",
            Self::CurrentIsNoVersion => "the current tag carries no version to compare with",
            Self::CurrentOutsidePattern => "the current tag does not match the pattern",
            Self::CurrentIsNoNumber => "there is no number in the current tag to compare with",
            Self::NotIncluded => "it is not on the list of those to include",
            Self::Excluded => "it is excluded",
            Self::OutsideGlob => "the glob does not match it",
            Self::OutsidePattern => "the pattern does not match it",
            Self::NoVersion => "it carries no version",
            Self::NoNumber => "what is compared of it is no number",
            Self::OtherText => {
                "it differs from the current tag in more than numbers, and nothing says what is newer"
            }
            Self::OtherPrefix => "it has another text before the version",
            Self::OtherComponents => "it has more or fewer version components",
            Self::OtherSuffix => "it is another variant",
            Self::OtherCalendar => "a date is not compared with a version that counts from one",
            Self::NotNewer => "it is not newer",
            Self::OutsideLevel => "it is further away than the policy allows",
            Self::OutsideRange => "it is outside the range",
            Self::Prerelease => "it is a prerelease that was not asked for",
            Self::SameDigest => "it is the image that runs already, or an older one",
            Self::Held => "it is held",
            Self::PlatformMissing => "it does not run on every node",
            Self::TooYoung => "it is not old enough yet",
            Self::Superseded => "it is allowed, but another tag is newer",
        })
    }
}
