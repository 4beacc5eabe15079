//! What came of one image.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use shared::domain::policy::{PolicyOptions, Selection, SelectionReason, UpdatePolicy};
use shared::domain::reference::{Digest, ImageReference, Tag};
use shared::domain::tag::Step;

use super::manifest::{Source, Target};
use crate::explain::question::Question;
use crate::registry::RegistryError;

/// What a workload writes behind the name of an image: `TAG`, or `TAG@DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) tag: Tag,
    pub(super) digest: Option<Digest>,
}

impl Version {
    /// With no more of the digest than a person compares.
    pub(super) fn short(&self) -> String {
        self.with(self.digest.as_ref().map(Digest::short))
    }

    fn with(&self, digest: Option<&str>) -> String {
        digest.map_or_else(|| self.tag.to_string(), |digest| format!("{}@{digest}", self.tag))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.with(self.digest.as_ref().map(Digest::as_str)))
    }
}

/// The family that goes on where the current one has ended (rule 15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Successor {
    pub(super) family: String,
    pub(super) newest: String,
}

/// What came of one image. As JSON, every field is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// As written.
    pub(super) image: String,
    /// Without tag and digest; the whole where it is no valid reference.
    #[serde(skip)]
    pub(super) name: String,
    pub(super) source: Option<Source>,
    pub(super) current: Option<Version>,
    /// What to write instead of it, if anything newer is published that the policy allows.
    pub(super) newest: Option<Version>,
    pub(super) level: Option<Step>,
    pub(super) reason: String,
    /// The reason as a sentence.
    pub(super) explanation: String,
    pub(super) policy: Option<String>,
    /// What the policy was made from.
    #[serde(skip)]
    pub(super) options: PolicyOptions,
    /// Why it could not be checked.
    pub(super) error: Option<String>,
    pub(super) successor: Option<Successor>,
}

/// There is nothing newer, and nothing to say about that.
const UP_TO_DATE: [SelectionReason; 2] = [SelectionReason::NoNewerVersion, SelectionReason::DigestUnchanged];

impl Finding {
    /// Of which nothing is known yet but what it is.
    fn of(target: Target, image: Option<&ImageReference>) -> Self {
        let name = image
            .map_or(target.image.as_str(), ImageReference::name)
            .to_owned();
        let current = image.and_then(|image| {
            Some(Version {
                tag: image.effective_tag()?,
                digest: image.digest().cloned(),
            })
        });
        Self {
            image: target.image,
            name,
            source: target.source,
            current,
            newest: None,
            level: None,
            reason: String::new(),
            explanation: String::new(),
            policy: None,
            options: PolicyOptions::default(),
            error: None,
            successor: None,
        }
    }

    /// Of an image that nobody wants to know anything about.
    pub(super) fn not_watched(target: Target, image: Option<&ImageReference>) -> Self {
        Self {
            reason: "not-watched".to_owned(),
            explanation: "an annotation says that it is not to be watched".to_owned(),
            ..Self::of(target, image)
        }
    }

    /// Of an image that cannot be checked, because something is wrong with it or with what is wanted of it.
    pub(super) fn invalid(
        target: Target,
        image: Option<&ImageReference>,
        reason: &str,
        error: String,
    ) -> Self {
        Self {
            reason: reason.to_owned(),
            explanation: error.clone(),
            error: Some(error),
            ..Self::of(target, image)
        }
    }

    /// Of a registry that did not answer.
    pub(super) fn unanswered(subject: Subject, error: &RegistryError) -> Self {
        let Subject {
            target,
            image,
            question,
        } = subject;
        Self {
            policy: Some(question.policy.to_string()),
            ..Self::invalid(
                target,
                Some(&image),
                &error.class().to_string(),
                error.to_string(),
            )
        }
    }

    /// Of an answer.
    pub(super) fn answered(subject: Subject, tags: &[Tag], digests: &BTreeMap<Tag, Digest>) -> Self {
        let Subject {
            target,
            image,
            question,
        } = subject;
        let selection = question.answer(tags, digests);
        let newest = selection.update().map(|tag| Version {
            tag: tag.clone(),
            digest: digest(&question, tag, digests),
        });
        let level = newest
            .as_ref()
            .zip(question.current.as_ref())
            .map(|(newest, current)| level(&question.policy, current, &newest.tag));
        Self {
            newest,
            level,
            reason: selection.reason.name().to_owned(),
            explanation: explanation(&selection, &question),
            successor: selection.successor.as_ref().map(|successor| Successor {
                family: successor.family.to_string(),
                newest: successor.newest.to_string(),
            }),
            policy: Some(question.policy.to_string()),
            options: question.policy.options().clone(),
            ..Self::of(target, Some(&image))
        }
    }

    /// Whether there is something to say beside the tags.
    pub(super) fn is_remarkable(&self) -> bool {
        let expected = UP_TO_DATE
            .into_iter()
            .chain([SelectionReason::NewerVersion, SelectionReason::DigestChanged]);
        !expected
            .map(SelectionReason::name)
            .any(|name| name == self.reason)
    }
}

/// An image of which a registry can be asked.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) target: Target,
    pub(super) image: ImageReference,
    pub(super) question: Question,
}

impl Subject {
    /// Whether a registry could say anything: the digest of a tag is of no use without one to hold against it.
    pub(super) fn needs_an_answer(&self) -> bool {
        !self.question.policy.follows_digest() || self.question.current_digest.is_some()
    }
}

/// The digest to be written behind a tag, where the image has one.
fn digest(question: &Question, tag: &Tag, digests: &BTreeMap<Tag, Digest>) -> Option<Digest> {
    question.current_digest.as_ref()?;
    if question.policy.follows_digest() {
        question.remote_digest.clone()
    } else {
        digests.get(tag).cloned()
    }
}

/// The level of a step, where the policy compares versions as the tags write them.
fn level(policy: &UpdatePolicy, current: &Tag, newest: &Tag) -> Step {
    let options = policy.options();
    let is_by_version = options
        .tag_order
        .as_deref()
        .is_none_or(|order| order.starts_with("semver"));
    if is_by_version && options.tag_extract.is_none() {
        Step::between(current, newest)
    } else {
        Step::Other
    }
}

fn explanation(selection: &Selection<'_>, question: &Question) -> String {
    match (selection.reason, &question.current_digest) {
        (SelectionReason::DigestUnknown, None) => {
            "nothing to compare: no digest is written, as in NAME:TAG@sha256:…".to_owned()
        }
        (SelectionReason::DigestUnknown, Some(_)) => "the registry has no such tag".to_owned(),
        (reason, _) => reason.to_string(),
    }
}
