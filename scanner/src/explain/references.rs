//! Many image references: one a line in, its parts a line out.

use serde::Serialize;
use serde_json::Value;
use shared::domain::reference::{Digest, ImageReference, ReferenceError};

use super::lines::Fields;

/// What is printed for one reference. Every field is there, whatever the answer.
#[derive(Debug, Serialize)]
struct Parts<'a> {
    id: &'a Value,
    valid: bool,
    registry: Option<&'a str>,
    repository: Option<&'a str>,
    tag: Option<String>,
    digest: Option<&'a str>,
    error: Option<String>,
}

/// The answer to one line.
pub(super) fn answer(number: usize, line: &[u8]) -> serde_json::Result<String> {
    let mut fields = match Fields::read(line) {
        Ok(fields) => fields,
        Err(reason) => {
            let reason = format!("line {number}: {reason}");
            return serde_json::to_string(&Parts::invalid(&Value::Null, reason));
        }
    };
    let id = fields.take("id").unwrap_or_default();
    let input = fields.take("input");
    let unknown = fields.left_over();
    if !unknown.is_empty() {
        tracing::warn!(line = number, ?unknown, "fields that are not known were ignored");
    }
    let read: Result<ImageReference, String> = match &input {
        Some(Value::String(input)) => input.parse().map_err(|error: ReferenceError| error.to_string()),
        Some(other) => Err(format!("input: {other} is no string")),
        None => Err("input: there is none".to_owned()),
    };
    serde_json::to_string(&match &read {
        Ok(reference) => Parts::of(&id, reference),
        Err(error) => Parts::invalid(&id, error.clone()),
    })
}

impl<'a> Parts<'a> {
    fn of(id: &'a Value, reference: &'a ImageReference) -> Self {
        Self {
            id,
            valid: true,
            registry: Some(reference.repository().registry()),
            repository: Some(reference.repository().path()),
            tag: reference.effective_tag().map(String::from),
            digest: reference.digest().map(Digest::as_str),
            error: None,
        }
    }

    fn invalid(id: &'a Value, error: String) -> Self {
        Self {
            id,
            valid: false,
            registry: None,
            repository: None,
            tag: None,
            digest: None,
            error: Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recorded_reference_comes_out_as_recorded() {
        let recorded = include_str!("../../../shared/vectors/references.jsonl");
        assert!(recorded.lines().count() >= 62);
        for (number, line) in recorded.lines().enumerate() {
            let expected: Value = serde_json::from_str(line).unwrap();
            let answer = answer(number + 1, line.as_bytes()).unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            for field in ["id", "valid", "registry", "repository", "tag", "digest"] {
                assert_eq!(answer[field], expected[field], "{field} of {line}");
            }
            assert_eq!(answer["error"].is_null(), answer["valid"] == true, "{answer}");
        }
    }

    #[test]
    fn a_line_without_a_reference_says_so() {
        for (line, says) in [
            (r#"{"id": "a"}"#, "input: "),
            (r#"{"id": "a", "input": 5}"#, "input: 5"),
            ("nginx", "line 9: "),
        ] {
            let answer: Value = serde_json::from_str(&answer(9, line.as_bytes()).unwrap()).unwrap();
            assert_eq!(answer["valid"], false);
            assert!(answer["error"].as_str().unwrap().starts_with(says), "{answer}");
        }
    }
}
