//! status, scale, log and token.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use super::patching::Patch;
use super::path::Target;
use super::resources::{PODS, Resource, SERVICE_ACCOUNTS};
use super::respond::{self, Answer};
use super::serve::Call;
use super::store::{Preconditions, Store};
use super::strategy::Part;
use super::{Shared, negotiate, pod_log, read, write};
use crate::clock::rfc3339_seconds;
use crate::patch::managed_fields::track_update;

/// The sub-resources of a kind: name, kind of the answer, group and version of that kind, verbs.
pub(super) fn of(
    resource: &Resource,
) -> Vec<(
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
)> {
    let mut found = Vec::new();
    if resource.has_status {
        let verbs: &[&str] = &["get", "patch", "update"];
        found.push(("status", resource.kind, resource.group, resource.version, verbs));
    }
    if resource.has_scale {
        let verbs: &[&str] = &["get", "patch", "update"];
        found.push(("scale", "Scale", "autoscaling", "v1", verbs));
    }
    if *resource == PODS {
        found.push(("log", "Pod", "", "v1", &["get"]));
        found.push(("eviction", "Eviction", "policy", "v1", &["create"]));
    }
    if *resource == SERVICE_ACCOUNTS {
        found.push((
            "token",
            "TokenRequest",
            "authentication.k8s.io",
            "v1",
            &["create"],
        ));
    }
    found
}

pub(super) fn answer(shared: &Arc<Shared>, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let known = of(target.resource)
        .into_iter()
        .find(|(name, ..)| *name == target.subresource);
    let Some((_, _, _, _, verbs)) = known else {
        return Err(ApiError::no_such_path());
    };
    if !verbs.contains(&call.verb) {
        return Err(ApiError::method_not_allowed());
    }
    let store = &shared.store;
    match (target.subresource.as_str(), call.verb) {
        ("status", "get") => read::get(store, call, target),
        ("status", "update") => write::replace(store, call, target),
        ("status", "patch") => write::patch(store, call, target),
        ("scale", "get") => Ok(respond::ok(&scale(&*existing(store, target)?))),
        ("scale", _) => change_scale(store, call, target),
        ("log", _) => pod_log::answer(shared, call, target),
        ("eviction", _) => {
            let none = Preconditions::default();
            store.delete_with(
                target.resource,
                &target.namespace,
                &target.name,
                &none,
                call.dry_run(),
            )?;
            let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
            Ok(respond::json(StatusCode::CREATED, &success))
        }
        _ => token(shared, call, target),
    }
}

fn existing(store: &Store, target: &Target) -> Result<Arc<Value>, ApiError> {
    store
        .get(target.resource, &target.namespace, &target.name)
        .ok_or_else(|| ApiError::not_found(target.resource, &target.name))
}

/// `autoscaling/v1` Scale of a workload.
fn scale(workload: &Value) -> Value {
    let labels = workload["spec"]["selector"]["matchLabels"].as_object();
    let selector: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let metadata = &workload["metadata"];
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": workload["spec"]["replicas"]},
        "status": {
            "replicas": workload["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector.join(","),
        },
    })
}

fn change_scale(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let patch = match call.verb {
        "patch" => match Patch::read(&call.content_type, &call.body)? {
            // Nobody else owns the fields of a Scale: applying it is merging it.
            Patch::Apply(applied) => Patch::Merge(applied),
            patch @ (Patch::Json(_) | Patch::Merge(_) | Patch::Strategic(_)) => patch,
        },
        _ => Patch::Merge(negotiate::object(&call.content_type, &call.body)?),
    };
    let now = store.clock().now();
    let updated = store.update_with(
        target.resource,
        &target.namespace,
        &target.name,
        Part::Main,
        call.dry_run(),
        |workload| {
            let old = workload.clone();
            let mut wanted = scale(workload);
            patch.apply(&mut wanted)?;
            let version = wanted["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            if !version.is_empty() && old["metadata"]["resourceVersion"] != version {
                return Err(ApiError::stale(target.resource, &target.name));
            }
            workload["spec"]["replicas"] = json!(wanted["spec"]["replicas"].as_i64().unwrap_or(0));
            let api_version = target.resource.api_version();
            track_update(
                &old,
                workload,
                &call.field_manager(),
                "Update",
                "scale",
                &api_version,
                now,
            );
            Ok(())
        },
    )?;
    Ok(respond::ok(&scale(&updated)))
}

fn token(shared: &Shared, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    existing(&shared.store, target)?;
    let mut request = negotiate::object(&call.content_type, &call.body)?;
    let seconds = request["spec"]["expirationSeconds"].as_u64().unwrap_or(3600);
    let issued = shared.tokens.issue(
        &target.namespace,
        &target.name,
        Some(Duration::from_secs(seconds)),
    );
    request["spec"]["expirationSeconds"] = json!(seconds);
    request["status"] =
        json!({"token": issued.token, "expirationTimestamp": rfc3339_seconds(issued.expires)});
    Ok(respond::json(StatusCode::CREATED, &request))
}
