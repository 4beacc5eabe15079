//! Small pieces of text that several tables share.

use serde_json::{Value, json};

/// The value at a path such as `status.replicas`, or null.
pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    static NULL: Value = Value::Null;
    path.split('.')
        .try_fold(object, |value, field| value.get(field))
        .unwrap_or(&NULL)
}

/// The number at a path; 0 when it is missing.
pub(super) fn number(object: &Value, path: &str) -> i64 {
    at(object, path).as_i64().unwrap_or(0)
}

/// The text at a path, or `<none>`.
pub(super) fn or_none(object: &Value, path: &str) -> Value {
    match at(object, path).as_str() {
        Some(text) if !text.is_empty() => json!(text),
        _ => json!("<none>"),
    }
}

/// The values of a field of every item, separated by commas.
pub(super) fn joined(items: &Value, field: &str) -> String {
    let words: Vec<&str> = items
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item[field].as_str())
        .collect();
    words.join(",")
}

/// `key=value` pairs, or `<none>`.
pub(super) fn labels(labels: &Value) -> String {
    let words: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if words.is_empty() {
        "<none>".to_owned()
    } else {
        words.join(",")
    }
}

/// A label selector as kubectl writes it.
pub(super) fn selector(selector: &Value) -> String {
    let mut words: Vec<String> = selector["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        words.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if words.is_empty() {
        "<none>".to_owned()
    } else {
        words.join(",")
    }
}
