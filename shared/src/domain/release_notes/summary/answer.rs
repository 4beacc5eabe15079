//! Reads what a model answers. Servers and models differ: thoughts before the answer, fences around it, a comma too many, a
//! string where a list was asked for. Whatever it is, it becomes plain words within bounds, or an error.

use serde_json::{Map, Value};

use super::super::digest::{Item, ItemKind, LONGEST_ITEM, MadeBy, Summary};
use super::super::plain::{head, inline};
use crate::domain::text::cut;

/// How much of an answer is read, in bytes.
const MOST: usize = 64 << 10;
/// How often an object is looked for in it.
const MOST_TRIES: usize = 50;
/// How long the overview may be, in bytes.
const LONGEST_OVERVIEW: usize = 500;
/// How many entries of a list are read.
const MOST_ENTRIES: usize = 40;

/// Why an answer is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("the model's answer holds no JSON object with what was asked for")]
    NoObject,
    #[error("the model's answer says nothing")]
    Nothing,
}

/// Reads an answer into a summary.
pub fn parse(answer: &str) -> Result<Summary, AnswerError> {
    let answer = head(answer, MOST);
    // What it thought is no answer.
    let answer = answer.rsplit_once("</think>").map_or(answer, |(_, rest)| rest);
    let starts = answer.match_indices('{').take(MOST_TRIES);
    let mut objects = starts.filter_map(|(at, _)| object(&answer[at..]));
    let fields = objects.find(is_ours).ok_or(AnswerError::NoObject)?;
    let summary = summary(&fields);
    if summary.is_empty() {
        return Err(AnswerError::Nothing);
    }
    Ok(summary)
}

/// The object that a text begins with, whatever follows it.
fn object(text: &str) -> Option<Map<String, Value>> {
    let read = |text: &str| {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(fields))) => Some(fields),
            _ => None,
        }
    };
    read(text).or_else(|| read(&without_trailing_commas(text)))
}

/// JSON without the commas before a closing bracket, which some models write.
fn without_trailing_commas(text: &str) -> String {
    let mut mended = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character == '"' {
            in_string = true;
        } else if matches!(character, ']' | '}') && mended.trim_end().ends_with(',') {
            let end = mended.trim_end().len() - 1;
            mended.truncate(end);
        }
        mended.push(character);
    }
    mended
}

/// What a list is called, by what it may begin with.
fn kind(key: &str) -> Option<ItemKind> {
    let key = key.to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| key.starts_with(word));
    if begins(&["secur", "vulnerab", "cve"]) {
        Some(ItemKind::Security)
    } else if begins(&["break"]) {
        Some(ItemKind::Breaking)
    } else if begins(&["feat", "new", "enhance", "added"]) {
        Some(ItemKind::Feature)
    } else if begins(&["fix", "bug"]) {
        Some(ItemKind::Fix)
    } else {
        begins(&["other", "change", "misc"]).then_some(ItemKind::Other)
    }
}

fn is_overview(key: &str) -> bool {
    matches!(key.to_ascii_lowercase().as_str(), "overview" | "summary")
}

fn is_ours(fields: &Map<String, Value>) -> bool {
    fields.keys().any(|key| kind(key).is_some() || is_overview(key))
}

fn summary(fields: &Map<String, Value>) -> Summary {
    let mut summary = Summary {
        made_by: MadeBy::Model,
        ..Summary::default()
    };
    for (key, value) in fields {
        if is_overview(key)
            && let Some(text) = words(value, LONGEST_OVERVIEW)
        {
            summary.overview = Some(text);
        }
        let Some(kind) = kind(key) else { continue };
        let entries = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for text in entries
            .iter()
            .take(MOST_ENTRIES)
            .filter_map(|entry| words(entry, LONGEST_ITEM))
        {
            summary.add(
                kind,
                Item {
                    text,
                    link: None,
                    release: None,
                },
            );
        }
    }
    summary
}

/// The text of an entry: itself, or what an object has under a name for it.
fn words(value: &Value, most: usize) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Object(fields) => ["text", "title", "description", "summary", "change"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_str())?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (text, _) = inline(head(&line, 4 * most), "");
    let is_nothing = matches!(
        text.to_lowercase().trim_end_matches('.'),
        "" | "none" | "n/a" | "-" | "null"
    );
    (!is_nothing).then(|| cut(&text, most - "…".len()))
}
