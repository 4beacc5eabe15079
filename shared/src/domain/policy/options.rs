//! A policy as somebody wrote it: in annotations, in flags, in a line of a record. Not yet understood.

use strum::{Display, IntoStaticStr};
use thiserror::Error;

/// The longest value that any option may have, in bytes; the globs of a list count together. A pattern is run on every
/// published tag, and every demand is stored in a record, so neither may be of any size its author likes.
pub(super) const MAX_VALUE_LENGTH: usize = 500;

/// How many globs an allow or ignore list may have.
pub(super) const MAX_GLOBS: usize = 20;

/// Everything that can be said about the tags that are wanted. Values are as they were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyOptions {
    /// `patch`, `minor`, `major`, `digest`, `range:…`, `glob:…` or `regex:…`. `None`: the other options and the current
    /// tag decide, see [`UpdatePolicy::for_tag`](super::UpdatePolicy::for_tag).
    pub policy: Option<String>,
    /// Only tags that match this regular expression; its groups serve `tag_extract`.
    pub tag_pattern: Option<String>,
    /// What is compared instead of the whole tag: a template such as `$1` or `${ts}`.
    pub tag_extract: Option<String>,
    /// How it is compared: `semver`, `numeric` or `alphabetical`, with `:asc` or `:desc`.
    pub tag_order: Option<String>,
    /// Whether prereleases are wanted although the current tag is not one (rule 10).
    pub prerelease: bool,
    /// Only tags that match one of these globs; all when empty.
    pub include: Vec<String>,
    /// No tag that matches one of these globs.
    pub exclude: Vec<String>,
    /// Whether a later release of the same distribution is as good as the current one (rule 15).
    pub follow_variants: bool,
    /// Whether tags of one version may differ in their suffix, which then counts as in Semantic Versioning: the tag
    /// without one is the newest, and the others follow each other.
    pub any_suffix: bool,
}

/// An option, by the name that annotations and flags share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum PolicyOption {
    Policy,
    TagPattern,
    TagExtract,
    TagOrder,
    Include,
    Exclude,
}

/// An option that cannot be obeyed. It is never taken for "no update" (rule 11).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
#[error("{option} {:?}: {reason}", shortened(.value))]
pub struct PolicyError {
    pub option: PolicyOption,
    pub value: String,
    /// What is wrong with it and what would be right.
    pub reason: String,
}

/// The most characters of a value that a message repeats, so that the reason behind it is not cut off.
const SHOWN: usize = 100;

/// A value as messages repeat it.
pub(crate) fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

impl PolicyError {
    pub(super) fn new(option: PolicyOption, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            option,
            value: value.into(),
            reason: reason.into(),
        }
    }
}

impl PolicyOptions {
    /// Every value that is given, with the option it is given for.
    pub fn values(&self) -> impl Iterator<Item = (PolicyOption, &str)> {
        let single = [
            (PolicyOption::Policy, &self.policy),
            (PolicyOption::TagPattern, &self.tag_pattern),
            (PolicyOption::TagExtract, &self.tag_extract),
            (PolicyOption::TagOrder, &self.tag_order),
        ];
        let lists = [
            (PolicyOption::Include, &self.include),
            (PolicyOption::Exclude, &self.exclude),
        ];
        let single = single
            .into_iter()
            .filter_map(|(option, value)| Some((option, value.as_deref()?)));
        let listed = lists
            .into_iter()
            .flat_map(|(option, list)| list.iter().map(move |value| (option, value.as_str())));
        single.chain(listed)
    }

    /// A policy with no other options.
    pub fn of(policy: impl Into<String>) -> Self {
        Self {
            policy: Some(policy.into()),
            ..Self::default()
        }
    }
}
