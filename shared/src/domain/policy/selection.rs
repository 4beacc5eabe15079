//! What a choice depends on, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;

use strum::{EnumIter, IntoStaticStr};

use super::UpdatePolicy;
use crate::domain::reference::{Digest, Tag};
use crate::domain::tag::{Difference, Mismatch};

/// Everything a choice depends on besides the published tags.
#[derive(Debug, Clone, Copy)]
pub struct SelectionRequest<'a> {
    /// The tag the workload names now.
    pub current: &'a Tag,
    pub policy: &'a UpdatePolicy,
    /// Whether prereleases are wanted although the current tag is not one (rule 10).
    pub prerelease: bool,
    /// The digest that runs now; only the digest policy looks at it.
    pub current_digest: Option<&'a Digest>,
    /// The digest that the current tag has in the registry; only the digest policy looks at it.
    pub remote_digest: Option<&'a Digest>,
}

/// What was chosen and why, and why nothing else was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The tag to move to. Under the digest policy it is the current tag.
    pub selected: Option<Tag>,
    pub reason: SelectionReason,
    /// Every published tag that was not chosen, under the first rule that rejected it. Each list is in byte order.
    pub rejected: BTreeMap<Rejection, Vec<Tag>>,
}

/// Why a [`Selection`] is as it is. Displays as a clause for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum SelectionReason {
    /// A newer version is published and the policy allows it.
    NewerVersion,
    /// As above, but the publisher has begun or ceased to write a `v` before the number (rule 1).
    NewerVersionOtherSpelling,
    /// Nothing that is published is newer and allowed.
    NoNewerVersion,
    /// The current tag carries no version, so that only the digest policy can follow it (rule 6).
    CurrentIsNoVersion,
    /// The current tag has another digest in the registry than the one that runs (rule 13).
    DigestChanged,
    /// The current tag has the digest that runs.
    DigestUnchanged,
    /// One of the two digests is not known.
    DigestUnknown,
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
            Self::NewerVersion => "a newer version is published",
            Self::NewerVersionOtherSpelling => {
                "a newer version is published, and only with the other spelling of the `v` before the number"
            }
            Self::NoNewerVersion => "nothing newer is published that the policy allows",
            Self::CurrentIsNoVersion => {
                "the current tag carries no version; only the policy `digest` can follow it"
            }
            Self::DigestChanged => "the tag has a new digest in the registry",
            Self::DigestUnchanged => "the tag still has the digest that runs",
            Self::DigestUnknown => "the running digest or the published one is not known",
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
    /// The current tag carries no version to compare with (rule 6).
    CurrentIsNoVersion,
    /// The tag carries no version (rule 6).
    NoVersion,
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
    /// A prerelease that was not asked for (rule 10).
    Prerelease,
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
            Mismatch::Family(Difference::Prefix) => Self::OtherPrefix,
            Mismatch::Family(Difference::Components) => Self::OtherComponents,
            Mismatch::Family(Difference::Suffix) => Self::OtherSuffix,
            Mismatch::Family(Difference::Dates) => Self::OtherCalendar,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "it is the current tag",
            Self::OtherTag => "the policy `digest` stays on its tag",
            Self::CurrentIsNoVersion => "the current tag carries no version to compare with",
            Self::NoVersion => "it carries no version",
            Self::OtherPrefix => "it has another text before the version",
            Self::OtherComponents => "it has more or fewer version components",
            Self::OtherSuffix => "it is another variant",
            Self::OtherCalendar => "a date is not compared with a version that counts from one",
            Self::NotNewer => "it is not newer",
            Self::OutsideLevel => "it is further away than the policy allows",
            Self::Prerelease => "it is a prerelease that was not asked for",
            Self::Superseded => "it is allowed, but another tag is newer",
        })
    }
}
