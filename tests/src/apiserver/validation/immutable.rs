//! Fields that may not change once an object exists.

use serde_json::{Value, json};

use crate::apiserver::error::Cause;
use crate::apiserver::resources::Resource;

const STATEFUL_SET: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
     'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
const POD: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
     tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(super) fn check(resource: &Resource, old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    match resource.kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            unchanged(old, new, "/spec/selector", "field is immutable", causes);
        }
        "StatefulSet" => {
            let mutable = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if without(&old["spec"], &mutable) != without(&new["spec"], &mutable) {
                causes.push(Cause::forbidden("spec", STATEFUL_SET));
            }
        }
        "Job" => {
            for field in ["/spec/selector", "/spec/template", "/spec/completionMode"] {
                unchanged(old, new, field, "field is immutable", causes);
            }
        }
        "Pod" if frozen_pod(&old["spec"]) != frozen_pod(&new["spec"]) => {
            causes.push(Cause::forbidden("spec", POD));
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            unchanged(old, new, "/roleRef", "cannot change roleRef", causes);
        }
        "ConfigMap" | "Secret" => frozen_data(old, new, causes),
        "ControllerRevision" => unchanged(old, new, "/data", "field is immutable", causes),
        _ => {}
    }
}

fn unchanged(old: &Value, new: &Value, pointer: &str, detail: &str, causes: &mut Vec<Cause>) {
    let (before, after) = (old.pointer(pointer), new.pointer(pointer));
    if before != after {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        causes.push(Cause::invalid(field, after.unwrap_or(&Value::Null), detail));
    }
}

fn without(object: &Value, fields: &[&str]) -> Value {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.retain(|field, _| !fields.contains(&field.as_str()));
    }
    object
}

/// The pod's specification with everything that may change blanked out.
fn frozen_pod(spec: &Value) -> Value {
    // `nodeName` is written once by the scheduler, through a sub-resource that the sandbox does not have.
    let mut spec = without(
        spec,
        &[
            "activeDeadlineSeconds",
            "tolerations",
            "terminationGracePeriodSeconds",
            "nodeName",
        ],
    );
    for list in ["containers", "initContainers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            container["image"] = Value::Null;
        }
    }
    spec
}

fn frozen_data(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    if old["immutable"] != json!(true) {
        return;
    }
    for field in ["immutable", "data", "binaryData"] {
        if old[field] != new[field] {
            causes.push(Cause::forbidden(
                field,
                "field is immutable when `immutable` is set",
            ));
        }
    }
}
