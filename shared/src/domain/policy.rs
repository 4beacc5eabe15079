//! Choosing the tag to run: policy, current tag and published tags in, a tag and the reasons out.
//!
//! Nothing here looks at one tag's text: that is [`crate::domain::tag`]. Nothing here knows when or whether the
//! choice is applied.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};
use thiserror::Error;

use super::reference::{Digest, Tag};
use super::tag::TagVersion;

/// How far an image may move, as the annotation `policy` says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum UpdatePolicy {
    /// Versions with the same first two components.
    Patch,
    /// Versions with the same first component.
    Minor,
    /// Any newer version.
    Major,
    /// The same tag, when its digest changes.
    Digest,
}

impl UpdatePolicy {
    const ALL: [Self; 4] = [Self::Patch, Self::Minor, Self::Major, Self::Digest];

    /// The policy as an annotation value.
    fn name(&self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Digest => "digest",
        }
    }
}

/// Why an annotation value is no policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    #[error("unknown policy {value:?}; valid are {}", valid_policies())]
    Unknown { value: String },
}

fn valid_policies() -> String {
    UpdatePolicy::ALL.map(|policy| policy.name()).join(", ")
}

impl fmt::Display for UpdatePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for UpdatePolicy {
    type Err = PolicyError;

    fn from_str(value: &str) -> Result<Self, PolicyError> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == value)
            .ok_or_else(|| PolicyError::Unknown {
                value: value.to_owned(),
            })
    }
}

impl TryFrom<String> for UpdatePolicy {
    type Error = PolicyError;

    fn try_from(value: String) -> Result<Self, PolicyError> {
        value.parse()
    }
}

impl From<UpdatePolicy> for String {
    fn from(policy: UpdatePolicy) -> Self {
        policy.to_string()
    }
}

/// The policy of a workload that names none: `minor` for version tags, `digest` for moving tags (rule 6).
pub fn default_policy(tag: &Tag) -> UpdatePolicy {
    if TagVersion::parse(tag).is_some() {
        UpdatePolicy::Minor
    } else {
        UpdatePolicy::Digest
    }
}

/// Everything a choice depends on besides the published tags.
#[derive(Debug, Clone, Copy)]
pub struct SelectionRequest<'a> {
    /// The tag the workload names now.
    pub current: &'a Tag,
    pub policy: &'a UpdatePolicy,
    /// Whether prereleases are wanted although the current tag is not one.
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
    /// Every published tag that was not chosen, under the first rule that rejected it.
    pub rejected: BTreeMap<Rejection, Vec<Tag>>,
}

/// Why a [`Selection`] is as it is. Displays as a clause for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum SelectionReason {
    /// A newer version is published and the policy allows it.
    NewerVersion,
    /// Nothing that is published is newer and allowed.
    NoNewerVersion,
    /// The current tag carries no version, so that only the digest policy can follow it.
    CurrentIsNoVersion,
    /// The current tag has another digest in the registry than the one that runs.
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

/// The first rule that rejected a tag. Displays as a clause for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, EnumIter)]
#[strum(serialize_all = "kebab-case")]
pub enum Rejection {
    /// The tag that runs now.
    Current,
    /// The tag carries no version (rule 6).
    NotAVersion,
    /// The version belongs to another family (rules 1, 2, 3 and 7).
    OtherFamily,
    /// The version is not strictly newer (rule 9).
    NotNewer,
    /// The version is a prerelease that was not asked for (rule 10).
    Prerelease,
    /// The version differs in a component that the policy does not let move (rule 8).
    OutsideLevel,
    /// The tag is allowed, and another one is newer.
    Superseded,
    /// The digest policy never leaves the current tag (rule 13).
    OtherTag,
}

impl Rejection {
    /// A stable name for metrics, events and stored records.
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter()
    }
}

impl fmt::Display for SelectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NewerVersion => "a newer version is published",
            Self::NoNewerVersion => "no newer version is published that the policy allows",
            Self::CurrentIsNoVersion => {
                "the current tag carries no version; only the policy `digest` can follow it"
            }
            Self::DigestChanged => "the tag has a new digest in the registry",
            Self::DigestUnchanged => "the tag still has the digest that runs",
            Self::DigestUnknown => "the running or the published digest is not known",
        })
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "the current tag",
            Self::NotAVersion => "not a version",
            Self::OtherFamily => "another family of tags",
            Self::NotNewer => "not newer",
            Self::Prerelease => "a prerelease",
            Self::OutsideLevel => "outside the policy's level",
            Self::Superseded => "allowed, but another one is newer",
            Self::OtherTag => "the policy `digest` stays on its tag",
        })
    }
}

/// Chooses the tag to run: the first of [`candidates`], with the reasons for it and against the others.
pub fn select<'a>(request: &SelectionRequest<'a>, tags: impl IntoIterator<Item = &'a Tag>) -> Selection {
    let selected = candidates(request, tags).first().map(|tag| (*tag).clone());
    let reason = if selected.is_some() {
        SelectionReason::NewerVersion
    } else {
        SelectionReason::NoNewerVersion
    };
    Selection {
        selected,
        reason,
        rejected: BTreeMap::new(),
    }
}

/// Every tag that the policy accepts as an update, newest first; the order does not depend on that of `tags`.
pub fn candidates<'a>(
    request: &SelectionRequest<'a>,
    tags: impl IntoIterator<Item = &'a Tag>,
) -> Vec<&'a Tag> {
    let Some(current) = TagVersion::parse(request.current) else {
        return Vec::new();
    };
    let mut accepted: Vec<(TagVersion, &Tag)> = tags
        .into_iter()
        .filter_map(|tag| Some((TagVersion::parse(tag)?, tag)))
        .filter(|(version, _)| version.compare(&current) == Some(Ordering::Greater))
        .collect();
    accepted.sort_by(|a, b| b.0.numbers().cmp(a.0.numbers()).then_with(|| a.1.cmp(b.1)));
    accepted.into_iter().map(|(_, tag)| tag).collect()
}
