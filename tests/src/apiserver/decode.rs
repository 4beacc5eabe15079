//! Reading an object as its kind: wrong types are refused, unknown fields are dropped, as the server's decoder does.
//! The structs of `k8s-openapi` say what a kind looks like; the object itself stays JSON.

use k8s_openapi::api::{
    apps, authentication, authorization, batch, coordination, core, networking, policy, rbac,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::ApiError;
use super::resources::Resource;

/// What is left of an object when it is read as `T`.
fn read_as<'a, T: Deserialize<'a> + Serialize>(object: &'a Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(T::deserialize(object)?)
}

/// Drops what the kind does not know and returns the dropped fields; fails with 400 when a field has the wrong type.
pub(super) fn prune(resource: &Resource, object: &mut Value) -> Result<Vec<String>, ApiError> {
    let known = known(resource, object)?;
    let mut dropped = Vec::new();
    if let Some(known) = known {
        retain(object, &known, "", &mut dropped);
    }
    Ok(dropped)
}

/// [`prune`] as `fieldValidation=Strict` wants it: fails with 400 when anything was unknown.
pub(super) fn strict(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let dropped = prune(resource, &mut object.clone())?;
    if dropped.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = dropped
        .iter()
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    let kind = resource.kind;
    Err(ApiError::bad_request(format!(
        "{kind} in version {:?} cannot be handled as a {kind}: strict decoding error: {}",
        resource.version,
        words.join(", ")
    )))
}

fn retain(object: &mut Value, known: &Value, path: &str, dropped: &mut Vec<String>) {
    match (object, known) {
        (Value::Object(fields), Value::Object(known)) => {
            fields.retain(|field, value| {
                // What is empty may be left out when an object is written; that does not make it unknown.
                let kept = known.contains_key(field) || is_empty(value);
                if !kept {
                    dropped.push(join(path, field));
                }
                kept
            });
            for (field, value) in fields {
                retain(
                    value,
                    known.get(field).unwrap_or(&Value::Null),
                    &join(path, field),
                    dropped,
                );
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            for (index, (item, known)) in items.iter_mut().zip(known).enumerate() {
                retain(item, known, &format!("{path}[{index}]"), dropped);
            }
        }
        _ => {}
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn known(resource: &Resource, object: &Value) -> Result<Option<Value>, ApiError> {
    let outcome = match resource.kind {
        "ConfigMap" => read_as::<core::v1::ConfigMap>(object),
        "ControllerRevision" => read_as::<apps::v1::ControllerRevision>(object),
        "CronJob" => read_as::<batch::v1::CronJob>(object),
        "DaemonSet" => read_as::<apps::v1::DaemonSet>(object),
        "Deployment" => read_as::<apps::v1::Deployment>(object),
        "Event" => read_as::<core::v1::Event>(object),
        "Job" => read_as::<batch::v1::Job>(object),
        "Lease" => read_as::<coordination::v1::Lease>(object),
        "Namespace" => read_as::<core::v1::Namespace>(object),
        "NetworkPolicy" => read_as::<networking::v1::NetworkPolicy>(object),
        "Node" => read_as::<core::v1::Node>(object),
        "Pod" => read_as::<core::v1::Pod>(object),
        "PodDisruptionBudget" => read_as::<policy::v1::PodDisruptionBudget>(object),
        "ReplicaSet" => read_as::<apps::v1::ReplicaSet>(object),
        "Role" => read_as::<rbac::v1::Role>(object),
        "ClusterRole" => read_as::<rbac::v1::ClusterRole>(object),
        "RoleBinding" => read_as::<rbac::v1::RoleBinding>(object),
        "ClusterRoleBinding" => read_as::<rbac::v1::ClusterRoleBinding>(object),
        "Secret" => read_as::<core::v1::Secret>(object),
        "SelfSubjectAccessReview" => read_as::<authorization::v1::SelfSubjectAccessReview>(object),
        "SelfSubjectReview" => read_as::<authentication::v1::SelfSubjectReview>(object),
        "SelfSubjectRulesReview" => read_as::<authorization::v1::SelfSubjectRulesReview>(object),
        "Service" => read_as::<core::v1::Service>(object),
        "ServiceAccount" => read_as::<core::v1::ServiceAccount>(object),
        "StatefulSet" => read_as::<apps::v1::StatefulSet>(object),
        _ => return Ok(None),
    };
    outcome.map(Some).map_err(|error| {
        let kind = resource.kind;
        ApiError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: json: cannot unmarshal: {error}",
            resource.version
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::resources::DEPLOYMENTS;

    fn deployment() -> Value {
        json!({
            "metadata": {"name": "web", "labels": {}, "annotations": {"a": "b"}, "creationTimestamp": null},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
                "template": {"spec": {"containers": [{
                    "name": "web", "resources": {"limits": {"memory": "1Gi"}}, "securityContext": {},
                }]}},
            },
        })
    }

    #[test]
    fn known_fields_stay_as_they_are() {
        let mut object = deployment();
        assert_eq!(prune(&DEPLOYMENTS, &mut object), Ok(Vec::new()));
        assert_eq!(object, deployment());
    }

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let mut object = deployment();
        object["spec"]["template"]["spec"]["containers"][0]["imagePullPolice"] = json!("Always");
        let refused = strict(&DEPLOYMENTS, &object).unwrap_err().message;
        assert!(
            refused.ends_with("unknown field \"spec.template.spec.containers[0].imagePullPolice\""),
            "{refused}"
        );
        assert_eq!(prune(&DEPLOYMENTS, &mut object).unwrap().len(), 1);
        assert_eq!(object, deployment());
    }

    #[test]
    fn a_field_of_the_wrong_type_is_refused() {
        let mut object = deployment();
        object["spec"]["replicas"] = json!("three");
        assert_eq!(prune(&DEPLOYMENTS, &mut object).unwrap_err().code, 400);
    }
}
