//! One question: a current tag, a policy and what is known. First as it was written, then checked.

use std::collections::BTreeMap;

use shared::domain::policy::{
    Conditions, Hold, Offer, PolicyError, PolicyOptions, Selection, SelectionRequest, UpdatePolicy, select,
};
use shared::domain::reference::{Digest, ReferenceError, Tag};

/// A question as it was typed in flags or in a line of a batch.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) current: Option<String>,
    pub(crate) options: PolicyOptions,
    pub(crate) current_digest: Option<String>,
    pub(crate) remote_digest: Option<String>,
    pub(crate) held: Vec<String>,
}

/// A question that can be answered.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) current: Option<Tag>,
    pub(crate) policy: UpdatePolicy,
    pub(crate) current_digest: Option<Digest>,
    pub(crate) remote_digest: Option<Digest>,
    pub(crate) held: Vec<Hold>,
}

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error(transparent)]
    Policy(PolicyError),
    #[error("there is neither a policy nor a current tag that would suggest one")]
    NoPolicy,
    #[error("{0}")]
    Image(#[source] ReferenceError),
    /// Something else, by the name of its flag or field.
    #[error("{name}: {reason}")]
    Value { name: &'static str, reason: String },
    /// A line of a batch that is no object at all.
    #[error("line {number}: {reason}")]
    Line { number: usize, reason: String },
}

impl Invalid {
    pub(crate) fn value(name: &'static str, reason: impl Into<String>) -> Self {
        Self::Value {
            name,
            reason: reason.into(),
        }
    }

    /// What stands in an answer for the reason.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Policy(_) | Self::NoPolicy => "invalid-policy",
            Self::Image(_) | Self::Value { .. } | Self::Line { .. } => "invalid-input",
        }
    }
}

impl Written {
    /// Checks it. A broken policy is told first, for it is wrong whatever the tag.
    pub(crate) fn check(self) -> Result<Question, Invalid> {
        let Self {
            current,
            options,
            current_digest,
            remote_digest,
            held,
        } = self;
        let current = match listed(current) {
            Ok(current) => current,
            Err(invalid) => {
                options.check().map_err(Invalid::Policy)?;
                return Err(invalid);
            }
        };
        Ok(Question {
            policy: policy(&options, current.as_ref())?,
            current,
            current_digest: parsed("current_digest", current_digest)?,
            remote_digest: parsed("remote_digest", remote_digest)?,
            held: held
                .into_iter()
                .filter_map(|held| parsed("hold", Some(held)).transpose())
                .collect::<Result<_, _>>()?,
        })
    }
}

fn policy(options: &PolicyOptions, current: Option<&Tag>) -> Result<UpdatePolicy, Invalid> {
    let says_what = options.policy.is_some() || options.tag_pattern.is_some() || options.tag_order.is_some();
    let read = match current {
        Some(current) => UpdatePolicy::for_tag(options, current),
        // The tag does not matter where the options say what is wanted.
        None if says_what => UpdatePolicy::for_tag(options, &Tag::latest()),
        None => {
            options.check().map_err(Invalid::Policy)?;
            return Err(Invalid::NoPolicy);
        }
    };
    read.map_err(Invalid::Policy)
}

/// The current tag, by the same measure as those of a list.
fn listed(current: Option<String>) -> Result<Option<Tag>, Invalid> {
    let listed = |name: String| {
        let reason = || {
            format!(
                "{name:?} is no name of a tag; it must be printable, without spaces and at most 128 characters long"
            )
        };
        Tag::as_listed(&name).ok_or_else(|| Invalid::value("current", reason()))
    };
    current.map(listed).transpose()
}

fn parsed<T: std::str::FromStr<Err = ReferenceError>>(
    name: &'static str,
    written: Option<String>,
) -> Result<Option<T>, Invalid> {
    let parse = |written: String| {
        let parsed = written.parse();
        parsed.map_err(|error: ReferenceError| Invalid::value(name, error.to_string()))
    };
    written.map(parse).transpose()
}

impl Question {
    /// Answers it for these published tags, of some of which the digest is known.
    pub(crate) fn answer<'a>(&'a self, tags: &'a [Tag], digests: &'a BTreeMap<Tag, Digest>) -> Selection<'a> {
        let request = SelectionRequest {
            current: self.current.as_ref(),
            policy: &self.policy,
            current_digest: self.current_digest.as_ref(),
            remote_digest: self.remote_digest.as_ref(),
            runs_nowhere: false,
            conditions: Conditions {
                held: &self.held,
                ..Conditions::default()
            },
        };
        let offers = tags.iter().map(|tag| Offer {
            digest: digests.get(tag),
            ..tag.into()
        });
        select(&request, offers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_named() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (current, policy, current_digest, name, says) in [
            (Some("1.2.3"), Some("minr"), None, "invalid-policy", "minor"),
            (
                Some("not a tag"),
                Some("minor"),
                None,
                "invalid-input",
                "current: ",
            ),
            (Some("not a tag"), Some("minr"), None, "invalid-policy", "minr"),
            (Some(""), None, None, "invalid-input", "current: "),
            (None, None, None, "invalid-policy", "neither"),
            (
                Some("1.2.3"),
                None,
                Some("sha256:abc"),
                "invalid-input",
                "current_digest: ",
            ),
        ] {
            let written = Written {
                current: current.map(str::to_owned),
                options: PolicyOptions {
                    policy: policy.map(str::to_owned),
                    ..PolicyOptions::default()
                },
                current_digest: current_digest.map(str::to_owned),
                remote_digest: Some(digest.clone()),
                held: Vec::new(),
            };
            let invalid = written.check().unwrap_err();
            assert_eq!(invalid.name(), name, "{invalid}");
            assert!(invalid.to_string().contains(says), "{invalid}");
        }
    }

    #[test]
    fn without_a_current_tag_a_pattern_or_an_order_says_what_is_wanted() {
        for (pattern, order, is_enough) in [
            (Some("^v"), None, true),
            (None, Some("numeric"), true),
            (None, None, false),
        ] {
            let options = PolicyOptions {
                tag_pattern: pattern.map(str::to_owned),
                tag_order: order.map(str::to_owned),
                ..PolicyOptions::default()
            };
            let written = Written {
                options,
                ..Written::default()
            };
            assert_eq!(written.check().is_ok(), is_enough, "{pattern:?} {order:?}");
        }
    }
}
