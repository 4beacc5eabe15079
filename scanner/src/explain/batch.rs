//! Many questions: one a line in, one answer a line out.

use std::collections::BTreeMap;

use serde_json::Value;
use shared::domain::policy::PolicyOptions;

use super::json::Answer;
use super::lines::Fields;
use super::question::{Invalid, Written};
use super::tag_list::TagList;

/// The answer to one line.
pub(super) fn answer(number: usize, line: &[u8]) -> serde_json::Result<String> {
    let mut fields = match Fields::read(line) {
        Ok(fields) => fields,
        Err(reason) => {
            let invalid = Invalid::Line { number, reason };
            return serde_json::to_string(&Answer::invalid(None, &invalid).with_id(&Value::Null));
        }
    };
    let id = fields.take("id").unwrap_or_default();
    let read = read(&mut fields);
    let unknown = fields.left_over();
    if !unknown.is_empty() {
        tracing::warn!(line = number, ?unknown, "fields that are not known were ignored");
    }
    let (current, asked) = match read {
        Ok((written, list)) => (
            written.current.clone(),
            written.check().map(|question| (question, list)),
        ),
        Err((current, invalid)) => (current, Err(invalid)),
    };
    let current = current.as_deref();
    let nothing_known = BTreeMap::new();
    let answer = match &asked {
        Ok((question, list)) => Answer::of(
            current,
            &question.answer(&list.tags, &nothing_known),
            &list.invalid,
        ),
        Err(invalid) => Answer::invalid(current, invalid),
    };
    serde_json::to_string(&answer.with_id(&id))
}

/// The question and the tags of a line; or the current tag, as far as it was read, and what is wrong.
fn read(fields: &mut Fields) -> Result<(Written, TagList), (Option<String>, Invalid)> {
    let current = text(fields, "current").map_err(|invalid| (None, invalid))?;
    let mut written = Written {
        current,
        ..Written::default()
    };
    match read_rest(fields, &mut written) {
        Ok(list) => Ok((written, list)),
        Err(invalid) => Err((written.current, invalid)),
    }
}

fn read_rest(fields: &mut Fields, written: &mut Written) -> Result<TagList, Invalid> {
    // Every field is taken before anything is refused, so that no known one is told to be unknown.
    let [
        policy,
        tag_pattern,
        tag_extract,
        tag_order,
        suffix,
        current_digest,
        remote_digest,
    ] = [
        "policy",
        "tag_pattern",
        "tag_extract",
        "tag_order",
        "suffix",
        "current_digest",
        "remote_digest",
    ]
    .map(|name| text(fields, name));
    let [prerelease, follow_variants] = ["prerelease", "follow_variants"].map(|name| switch(fields, name));
    let [include, exclude, hold] = ["include", "exclude", "hold"].map(|name| texts(fields, name));
    let tags = fields.take("tags");
    written.options = PolicyOptions {
        policy: policy?,
        tag_pattern: tag_pattern?,
        tag_extract: tag_extract?,
        tag_order: tag_order?,
        prerelease: prerelease?,
        include: include?,
        exclude: exclude?,
        follow_variants: follow_variants?,
        any_suffix: match suffix?.as_deref() {
            None | Some("exact") => false,
            Some("any") => true,
            Some(other) => {
                let reason = format!("{other:?} is not known; valid are exact and any");
                return Err(Invalid::value("suffix", reason));
            }
        },
    };
    written.current_digest = current_digest?;
    written.remote_digest = remote_digest?;
    written.held = hold?;
    match tags {
        Some(tags) => TagList::from_json(tags).map_err(|reason| Invalid::value("tags", reason)),
        // It needs none.
        None if written.options.policy.as_deref() == Some("digest") => Ok(TagList::default()),
        None => Err(Invalid::value("tags", "there are none; an empty list is []")),
    }
}

fn text(fields: &mut Fields, name: &'static str) -> Result<Option<String>, Invalid> {
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Invalid::value(name, format!("{value} is no string")))
        }
    };
    fields.take(name).map(text).transpose()
}

fn switch(fields: &mut Fields, name: &'static str) -> Result<bool, Invalid> {
    let Some(value) = fields.take(name) else {
        return Ok(false);
    };
    let refused = || Invalid::value(name, format!("{value} is neither true nor false"));
    value.as_bool().ok_or_else(refused)
}

/// One text or several.
fn texts(fields: &mut Fields, name: &'static str) -> Result<Vec<String>, Invalid> {
    let Some(value) = fields.take(name) else {
        return Ok(Vec::new());
    };
    let alone = std::slice::from_ref(&value);
    let texts = value.as_array().map_or(alone, Vec::as_slice);
    let texts = texts.iter().map(|text| text.as_str().map(str::to_owned));
    let refused = || Invalid::value(name, "it is neither a string nor an array of strings");
    texts.collect::<Option<_>>().ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_answered_with_its_id_the_choice_and_every_rejected_tag() {
        let answer =
            asked(r#""current": "1.4.5", "tags": ["1.4.5", "1.5.0", "1.6.0", "2.0.0", "latest", "no tag"]"#);
        assert_eq!(
            answer,
            json!({
                "id": 3, "current": "1.4.5", "selected": "1.6.0", "reason": "newer-version",
                "explanation": "a newer tag is published", "successor": null, "invalid": null,
                "rejected": {
                    "current": ["1.4.5"], "superseded": ["1.5.0"], "outside-level": ["2.0.0"],
                    "no-version": ["latest"], "invalid-tag": ["no tag"],
                },
            })
        );
    }

    #[test]
    fn every_option_has_a_field() {
        for (line, selected) in [
            (
                r#""current": null, "policy": "range:1.x", "tags": ["1.1.0", "2.0.0"]"#,
                Some("1.1.0"),
            ),
            (r#""current": "1.0.0", "tags": ["1.1.0", "2.0.0"]"#, Some("1.1.0")),
            (
                r#""current": "1.0.0", "prerelease": true, "tags": ["1.1.0-rc1"]"#,
                Some("1.1.0-rc1"),
            ),
            (
                r#""current": "1.0.0", "exclude": "1.2*", "tags": ["1.1.0", "1.2.0"]"#,
                Some("1.1.0"),
            ),
            (
                r#""current": "1.0.0", "exclude": ["1.2*"], "tags": ["1.1.0", "1.2.0"]"#,
                Some("1.1.0"),
            ),
            (
                r#""current": "1.0.0", "include": "1.1*", "tags": ["1.1.0", "1.2.0"]"#,
                Some("1.1.0"),
            ),
            (
                r#""current": "1.0.0", "hold": "1.2.0", "tags": ["1.1.0", "1.2.0"]"#,
                Some("1.1.0"),
            ),
            (
                r#""current": "1.0.0", "suffix": "exact", "tags": ["1.1.0-x"]"#,
                None,
            ),
            (
                r#""current": "1.0.0", "suffix": "any", "tags": ["1.1.0-x"]"#,
                Some("1.1.0-x"),
            ),
            (r#""current": "1.0-alpine3.1", "tags": ["1.1-alpine3.2"]"#, None),
            (
                r#""current": "1.0-alpine3.1", "follow_variants": true, "tags": ["1.1-alpine3.2"]"#,
                Some("1.1-alpine3.2"),
            ),
            (
                r#""current": null, "tag_pattern": "^r(.*)$", "tag_extract": "$1", "tag_order": "numeric", "tags": ["r2", "r10"]"#,
                Some("r10"),
            ),
            (
                r#""current": "edge", "current_digest": "A", "remote_digest": "B", "tags": []"#,
                Some("edge"),
            ),
            (
                r#""current": "edge", "current_digest": "A", "remote_digest": "A", "tags": []"#,
                None,
            ),
            (
                r#""current": "edge", "policy": "digest", "current_digest": "A", "remote_digest": "B""#,
                Some("edge"),
            ),
        ] {
            let answer = asked(line);
            assert_eq!(answer["invalid"], Value::Null, "{line}");
            assert_eq!(answer["selected"].as_str(), selected, "{line}: {answer}");
        }
    }

    /// The answer to an object with these fields, in which `A` and `B` stand for digests.
    fn asked(fields: &str) -> Value {
        let digest = |letter: &str| format!("\"sha256:{}\"", letter.repeat(64));
        let fields = fields
            .replace("\"A\"", &digest("a"))
            .replace("\"B\"", &digest("b"));
        let line = format!("{{\"id\": 3, {fields}}}");
        serde_json::from_str(&answer(7, line.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_line_that_cannot_be_meant_says_why_and_keeps_its_id() {
        for (line, reason, says) in [
            (
                r#""policy": "minr", "current": "1.0", "tags": []"#,
                "invalid-policy",
                "minr",
            ),
            (
                r#""policy": "regex:(", "current": "1.0", "tags": []"#,
                "invalid-policy",
                "unclosed",
            ),
            (r#""current": null, "tags": []"#, "invalid-policy", "neither"),
            (
                r#""policy": 5, "current": "1.0", "tags": []"#,
                "invalid-input",
                "policy: 5",
            ),
            (r#""current": "1 0", "tags": []"#, "invalid-input", "current: "),
            (r#""current": "1.0""#, "invalid-input", "tags: "),
            (
                r#""current": "1.0", "tags": ["1", 2]"#,
                "invalid-input",
                "tags: 2",
            ),
            (
                r#""current": "1.0", "tags": [], "prerelease": "yes""#,
                "invalid-input",
                "prerelease: ",
            ),
            (
                r#""current": "1.0", "tags": [], "exclude": [1]"#,
                "invalid-input",
                "exclude: ",
            ),
            (
                r#""current": "1.0", "tags": [], "suffix": "some""#,
                "invalid-input",
                "suffix: ",
            ),
            (
                r#""current": "1.0", "tags": [], "remote_digest": "sha256:1""#,
                "invalid-input",
                "remote_digest: ",
            ),
        ] {
            let answer = asked(line);
            let invalid = answer["invalid"].as_str().unwrap_or_default();
            assert!(invalid.contains(says), "{line}: {answer}");
            assert_eq!(
                (&answer["id"], &answer["reason"]),
                (&json!(3), &json!(reason)),
                "{answer}"
            );
            assert_eq!(
                (&answer["selected"], &answer["rejected"]),
                (&Value::Null, &json!({})),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_line_that_is_no_object_is_answered_by_its_number() {
        for line in ["{", "[]", "\u{fffd}"] {
            let answer: Value = serde_json::from_str(&answer(7, line.as_bytes()).unwrap()).unwrap();
            assert_eq!(answer["id"], Value::Null);
            assert!(
                answer["invalid"].as_str().unwrap().starts_with("line 7: "),
                "{answer}"
            );
        }
    }
}
