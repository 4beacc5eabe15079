//! One event, two shapes: it is stored as core `v1` and shown as `events.k8s.io/v1` to those who ask for that.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::resources::{EVENTS_V1, Resource};

/// The name in core `v1`, then the name in `events.k8s.io/v1`. All other fields are called the same.
const RENAMED: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The longest note `events.k8s.io/v1` accepts, in bytes.
const MAX_NOTE: usize = 1024;

/// What a selector is held against: the stored object as the asked-for resource shows it, copied only where it looks different.
pub(super) fn shown<'a>(resource: &Resource, object: &'a Value) -> Cow<'a, Value> {
    if *resource == EVENTS_V1 {
        Cow::Owned(present(resource, object.clone()))
    } else {
        Cow::Borrowed(object)
    }
}

/// The stored object as the asked-for resource shows it.
pub(super) fn present(resource: &Resource, mut object: Value) -> Value {
    if *resource == EVENTS_V1 {
        for (core, new) in RENAMED {
            rename(&mut object, core, new);
        }
        object["apiVersion"] = json!(EVENTS_V1.api_version());
    }
    object
}

/// An object of the asked-for resource as it is stored.
pub(super) fn absorb(resource: &Resource, mut object: Value) -> Value {
    if *resource == EVENTS_V1 {
        for (core, new) in RENAMED {
            rename(&mut object, new, core);
        }
        object["apiVersion"] = json!("v1");
    }
    object
}

fn rename(object: &mut Value, from: &str, to: &str) {
    if let Some(fields) = object.as_object_mut()
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

/// The rules for a new event. `object` has the shape of `resource`.
pub(super) fn check_new(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    if resource.kind != "Event" {
        return Ok(());
    }
    let is_new_style = *resource == EVENTS_V1;
    let about = if is_new_style {
        "regarding"
    } else {
        "involvedObject"
    };
    let mut causes = Vec::new();
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let about_namespace = object[about]["namespace"].as_str().unwrap_or_default();
    // Events about cluster-scoped objects live in `default`.
    let fits = if about_namespace.is_empty() {
        matches!(namespace, "default" | "kube-system")
    } else {
        about_namespace == namespace
    };
    if !fits {
        let field = format!("{about}.namespace");
        causes.push(Cause::invalid(
            field,
            &json!(about_namespace),
            "does not match event.namespace",
        ));
    }
    if is_new_style {
        for field in [
            "eventTime",
            "reportingController",
            "reportingInstance",
            "action",
            "reason",
        ] {
            if object[field].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::required(field, ""));
            }
        }
        if object["note"].as_str().is_some_and(|note| note.len() > MAX_NOTE) {
            causes.push(Cause::invalid("note", &json!(""), "can have at most 1024 bytes"));
        }
        if !matches!(object["type"].as_str(), Some("Normal" | "Warning")) {
            causes.push(Cause::invalid("type", &object["type"], "has invalid value"));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(
        resource,
        object["metadata"]["name"].as_str().unwrap_or_default(),
        &causes,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::EVENTS;

    fn new_style() -> Value {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event",
            "metadata": {"name": "web.1", "namespace": "shop"},
            "regarding": {"kind": "Deployment", "namespace": "shop", "name": "web"},
            "note": "updated", "reportingController": "kubefresh.dev/updater", "reportingInstance": "pod-1",
            "eventTime": "2024-01-01T00:00:00.000000Z", "action": "Update", "reason": "Updated", "type": "Normal",
        })
    }

    #[test]
    fn both_shapes_are_the_same_event() {
        let stored = absorb(&EVENTS_V1, new_style());
        assert_eq!(stored["involvedObject"]["name"], "web");
        assert_eq!(stored["message"], "updated");
        assert_eq!(stored["reportingComponent"], "kubefresh.dev/updater");
        assert_eq!(present(&EVENTS, stored.clone()), stored);
        assert_eq!(present(&EVENTS_V1, stored), new_style());
    }

    #[test]
    fn an_event_in_another_namespace_than_its_object_is_refused() {
        let mut event = new_style();
        assert_eq!(check_new(&EVENTS_V1, &event), Ok(()));
        event["regarding"]["namespace"] = json!("other");
        let message = check_new(&EVENTS_V1, &event).unwrap_err().message;
        assert!(message.contains("does not match event.namespace"), "{message}");
    }

    #[test]
    fn a_note_of_more_than_a_kibibyte_is_refused() {
        let mut event = new_style();
        event["note"] = json!("x".repeat(MAX_NOTE + 1));
        let message = check_new(&EVENTS_V1, &event).unwrap_err().message;
        assert!(message.contains("can have at most 1024 bytes"), "{message}");
    }
}
