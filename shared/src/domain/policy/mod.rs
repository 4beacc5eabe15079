//! Choosing the tag to run: policy, current tag and published tags in, a tag and the reasons out.
//!
//! Nothing here looks at one tag's text: that is [`crate::domain::tag`]. Nothing here knows when or whether the
//! choice is applied. The rules it speaks of are numbered in `shared/vectors/tags.md`.

mod choose;
mod selection;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::reference::Tag;
use super::tag::TagVersion;

pub use choose::{candidates, select};
pub use selection::{Rejection, Selection, SelectionReason, SelectionRequest};

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

#[cfg(test)]
mod tests;
