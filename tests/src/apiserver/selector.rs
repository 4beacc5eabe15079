//! Label selectors (equality and set-based) and field selectors.

use serde_json::Value;

use super::error::ApiError;
use super::resources::Resource;

/// Both selectors of a list or watch.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

impl Selector {
    /// Parses the two query parameters; fails with 400 as Kubernetes does.
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, ApiError> {
        let labels = split_outside_parentheses(labels)
            .map(|text| {
                requirement(text).ok_or_else(|| {
                    ApiError::bad_request(format!("unable to parse requirement: found {text:?}"))
                })
            })
            .collect::<Result<_, _>>()?;
        let fields = fields
            .split(',')
            .filter(|term| !term.is_empty())
            .map(|term| field_term(resource, term))
            .collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether the object (as the client would see it) is selected.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self
                .fields
                .iter()
                .all(|(path, equal, value)| (field_value(object, path) == *value) == *equal)
    }

    /// The value of `metadata.name=…`: RBAC may allow a watch of one name only.
    pub fn name(&self) -> Option<&str> {
        self.fields
            .iter()
            .find(|(path, equal, _)| path == "metadata.name" && *equal)
            .map(|(_, _, value)| value.as_str())
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &String| labels.get(key).and_then(Value::as_str);
        let listed = |key: &String, values: &[String]| {
            value(key).is_some_and(|value| values.iter().any(|one| one == value))
        };
        match self {
            Self::In(key, values) => listed(key, values),
            Self::NotIn(key, values) => !listed(key, values),
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
        }
    }
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some(key) = text.strip_prefix('!') {
        return Some(Requirement::Missing(key_of(key)?));
    }
    if let Some(body) = text.strip_suffix(')') {
        let (head, values) = body.split_once('(')?;
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        return match operator {
            "in" => Some(Requirement::In(key_of(key)?, values)),
            "notin" => Some(Requirement::NotIn(key_of(key)?, values)),
            _ => None,
        };
    }
    for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((key, value)) = text.split_once(operator) {
            let values = vec![value.trim().to_owned()];
            let key = key_of(key)?;
            return Some(if negated {
                Requirement::NotIn(key, values)
            } else {
                Requirement::In(key, values)
            });
        }
    }
    Some(Requirement::Exists(key_of(text)?))
}

fn key_of(text: &str) -> Option<String> {
    let key = text.trim();
    super::names::qualified(key).is_none().then(|| key.to_owned())
}

fn field_term(resource: &Resource, term: &str) -> Result<(String, bool, String), ApiError> {
    let invalid = || ApiError::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'"));
    let (path, equal, value) = if let Some((path, value)) = term.split_once("!=") {
        (path, false, value)
    } else {
        let (path, value) = term.split_once('=').ok_or_else(invalid)?;
        (path, true, value.trim_start_matches('='))
    };
    if !supported(resource, path) {
        return Err(ApiError::bad_request(format!(
            "field label not supported: {path}"
        )));
    }
    Ok((path.to_owned(), equal, value.to_owned()))
}

fn supported(resource: &Resource, path: &str) -> bool {
    let own: &[&str] = match resource.kind {
        "Event" if resource.group.is_empty() => &["reason", "reportingComponent", "source", "type"],
        "Event" => &["reason", "reportingController", "type"],
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Secret" => &["type"],
        "Namespace" => &["status.phase"],
        "Node" => &["spec.unschedulable"],
        "ReplicaSet" => &["status.replicas"],
        "Job" => &["status.successful"],
        _ => &[],
    };
    let about = if resource.group.is_empty() {
        "involvedObject."
    } else {
        "regarding."
    };
    matches!(path, "metadata.name" | "metadata.namespace")
        || own.contains(&path)
        || (resource.kind == "Event" && path.starts_with(about))
}

fn field_value(object: &Value, path: &str) -> String {
    let path = if path == "source" {
        "source.component"
    } else {
        path
    };
    let found = path.split('.').try_fold(object, |value, field| value.get(field));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::{EVENTS, PODS};
    use serde_json::json;

    #[test]
    fn label_selectors_select_like_kubectl_documents_them() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "front"}}});
        let cases = [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app!=web", false),
            ("other!=x", true),
            ("app", true),
            ("!app", false),
            ("!other", true),
            ("app in (web, api),tier notin (back)", true),
            ("app notin (web)", false),
            ("kubefresh.dev/record=scan", false),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Selector::parse(&PODS, text, "").unwrap().matches(&object),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn unreadable_selectors_are_refused() {
        for (labels, fields) in [
            ("a in b", ""),
            ("a b (c)", ""),
            ("", "spec.replicas=1"),
            ("", "oops"),
        ] {
            assert_eq!(
                Selector::parse(&PODS, labels, fields).unwrap_err().code,
                400,
                "{labels}{fields}"
            );
        }
    }

    #[test]
    fn field_selectors_read_the_object() {
        let object = json!({"involvedObject": {"name": "web"}, "type": "Normal"});
        let cases = [
            ("involvedObject.name=web,type!=Warning", true),
            ("involvedObject.uid=1", false),
            ("involvedObject.uid=", true),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Selector::parse(&EVENTS, "", text).unwrap().matches(&object),
                expected,
                "{text}"
            );
        }
    }
}
