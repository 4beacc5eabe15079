//! The rules an object must keep to be stored, worded as Kubernetes words them.
//!
//! Not complete: it holds the rules that a client of this sandbox can realistically break.

use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::names;
use super::resources::Resource;

mod immutable;
mod workload;

/// The largest sum of the data of a `ConfigMap` or Secret, in bytes.
const MAX_DATA: usize = 1_048_576;
/// The largest sum of all annotations, in bytes.
const MAX_ANNOTATIONS: usize = 262_144;

/// Checks a new object.
pub(super) fn on_create(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    name(resource, object, &mut causes);
    rules(resource, object, &mut causes);
    verdict(resource, object, &causes)
}

/// Checks a changed object.
pub(super) fn on_update(resource: &Resource, old: &Value, new: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    rules(resource, new, &mut causes);
    immutable::check(resource, old, new, &mut causes);
    verdict(resource, new, &causes)
}

fn verdict(resource: &Resource, object: &Value, causes: &[Cause]) -> Result<(), ApiError> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(
        resource,
        object["metadata"]["name"].as_str().unwrap_or_default(),
        causes,
    ))
}

fn rules(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    metadata(object, causes);
    match resource.kind {
        "ConfigMap" => data(object, &["data", "binaryData"], causes),
        "Secret" => data(object, &["data"], causes),
        "RoleBinding" | "ClusterRoleBinding" => role_ref(object, causes),
        "Service" => {
            if object
                .pointer("/spec/ports")
                .and_then(Value::as_array)
                .is_none_or(Vec::is_empty)
                && object.pointer("/spec/clusterIP") != Some(&json!("None"))
                && object.pointer("/spec/type") != Some(&json!("ExternalName"))
            {
                causes.push(Cause::required("spec.ports", ""));
            }
        }
        "Lease" => {
            if object
                .pointer("/spec/leaseDurationSeconds")
                .and_then(Value::as_i64)
                .is_some_and(|ttl| ttl <= 0)
            {
                let value = &object["spec"]["leaseDurationSeconds"];
                causes.push(Cause::invalid(
                    "spec.leaseDurationSeconds",
                    value,
                    "must be greater than 0",
                ));
            }
        }
        _ => workload::check(resource, object, causes),
    }
}

fn name(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
        return;
    }
    let complaint = match resource.kind {
        "Namespace" | "Service" => names::label(name),
        "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding" => names::path_segment(name),
        "CronJob" if name.len() > 52 => Some("must be no more than 52 characters".to_owned()),
        _ => names::subdomain(name),
    };
    if let Some(complaint) = complaint {
        causes.push(Cause::invalid("metadata.name", &json!(name), &complaint));
    }
}

fn metadata(object: &Value, causes: &mut Vec<Cause>) {
    labels(&object["metadata"]["labels"], "metadata.labels", causes);
    let mut total = 0;
    for (key, value) in object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        total += key.len() + value.as_str().map_or(0, str::len);
        // Annotation keys are compared in lower case by Kubernetes itself.
        if let Some(complaint) = names::qualified(&key.to_lowercase()) {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), &complaint));
        }
    }
    if total > MAX_ANNOTATIONS {
        causes.push(too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
}

fn labels(labels: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(complaint) = names::qualified(key) {
            causes.push(Cause::invalid(field, &json!(key), &complaint));
        }
        if let Some(complaint) = names::label_value(value.as_str().unwrap_or_default()) {
            causes.push(Cause::invalid(field, value, &complaint));
        }
    }
}

fn too_long(field: &str, limit: usize) -> Cause {
    let message = format!("Too long: may not be more than {limit} bytes");
    Cause {
        reason: "FieldValueTooLong",
        field: field.to_owned(),
        message,
    }
}

fn data(object: &Value, fields: &[&str], causes: &mut Vec<Cause>) {
    let mut total = 0;
    for field in fields {
        for (key, value) in object[*field].as_object().into_iter().flatten() {
            let length = value.as_str().map_or(0, str::len);
            // Everything but `data` of a ConfigMap travels as base64, three bytes in four letters.
            let plain = *field == "data" && object["kind"] == "ConfigMap";
            total += if plain { length } else { length / 4 * 3 };
            if let Some(complaint) = names::config_key(key) {
                causes.push(Cause::invalid(format!("{field}[{key}]"), &json!(key), &complaint));
            }
        }
    }
    if total > MAX_DATA {
        causes.push(too_long(
            if object["kind"] == "Secret" { "data" } else { "" },
            MAX_DATA,
        ));
    }
}

fn role_ref(object: &Value, causes: &mut Vec<Cause>) {
    if object
        .pointer("/roleRef/name")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        causes.push(Cause::required("roleRef.name", ""));
    }
    let kind = object.pointer("/roleRef/kind").cloned().unwrap_or_default();
    if !matches!(kind.as_str(), Some("Role" | "ClusterRole")) {
        causes.push(Cause::unsupported(
            "roleRef.kind",
            &kind,
            &["ClusterRole", "Role"],
        ));
    }
}

#[cfg(test)]
mod tests;
