//! The answer as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use shared::domain::policy::Selection;
use shared::domain::reference::Tag;

use super::question::Invalid;

/// The rule for names in a list that are no tags.
pub(super) const INVALID_TAG: &str = "invalid-tag";

/// What is printed for one question. Every field is there, whatever the answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    /// Of a line of a batch, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a Value>,
    pub(super) current: Option<&'a str>,
    pub(super) selected: Option<&'a str>,
    pub(super) reason: &'static str,
    /// The reason as a sentence.
    pub(super) explanation: String,
    pub(super) successor: Option<Successor<'a>>,
    /// What is wrong with the question.
    pub(super) invalid: Option<String>,
    pub(super) rejected: BTreeMap<&'static str, Vec<&'a str>>,
}

/// The family that goes on where the current one has ended (rule 15).
#[derive(Debug, Serialize)]
pub(super) struct Successor<'a> {
    family: String,
    newest: &'a str,
}

impl<'a> Answer<'a> {
    /// Of a choice; `invalid_tags` are the names that are no tags.
    pub(super) fn of(
        current: Option<&'a str>,
        selection: &Selection<'a>,
        invalid_tags: &'a [String],
    ) -> Self {
        let mut rejected: BTreeMap<&'static str, Vec<&str>> = selection
            .rejected
            .by_rule()
            .into_iter()
            .map(|(rule, tags)| (rule.name(), tags.iter().map(|tag| tag.as_str()).collect()))
            .collect();
        if !invalid_tags.is_empty() {
            rejected.insert(INVALID_TAG, invalid_tags.iter().map(String::as_str).collect());
        }
        Self {
            id: None,
            current,
            selected: selection.selected.map(Tag::as_str),
            reason: selection.reason.name(),
            explanation: selection.reason.to_string(),
            successor: selection.successor.as_ref().map(|successor| Successor {
                family: successor.family.to_string(),
                newest: successor.newest.as_str(),
            }),
            invalid: None,
            rejected,
        }
    }

    /// Of a question that cannot be answered.
    pub(super) fn invalid(current: Option<&'a str>, invalid: &Invalid) -> Self {
        let message = invalid.to_string();
        Self {
            id: None,
            current,
            selected: None,
            reason: invalid.name(),
            explanation: message.clone(),
            successor: None,
            invalid: Some(message),
            rejected: BTreeMap::new(),
        }
    }

    /// With the `id` of the line that it answers.
    pub(super) fn with_id(self, id: &'a Value) -> Self {
        Self { id: Some(id), ..self }
    }
}
