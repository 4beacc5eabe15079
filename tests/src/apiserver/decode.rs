//! Whether an object has the types its kind prescribes, tried with the structs of `k8s-openapi`.

use k8s_openapi::api::{
    apps, authentication, authorization, batch, coordination, core, networking, policy, rbac,
};
use serde::Deserialize;
use serde_json::Value;

use super::error::ApiError;
use super::resources::Resource;

fn has_type<'a, T: Deserialize<'a>>(object: &'a Value) -> Result<(), serde_json::Error> {
    T::deserialize(object).map(drop)
}

/// Fails with 400, as the server's decoder does, when a field has the wrong type.
pub(super) fn check(resource: &Resource, object: &Value) -> Result<(), ApiError> {
    let outcome = match resource.kind {
        "ConfigMap" => has_type::<core::v1::ConfigMap>(object),
        "ControllerRevision" => has_type::<apps::v1::ControllerRevision>(object),
        "CronJob" => has_type::<batch::v1::CronJob>(object),
        "DaemonSet" => has_type::<apps::v1::DaemonSet>(object),
        "Deployment" => has_type::<apps::v1::Deployment>(object),
        "Event" => has_type::<core::v1::Event>(object),
        "Job" => has_type::<batch::v1::Job>(object),
        "Lease" => has_type::<coordination::v1::Lease>(object),
        "Namespace" => has_type::<core::v1::Namespace>(object),
        "NetworkPolicy" => has_type::<networking::v1::NetworkPolicy>(object),
        "Node" => has_type::<core::v1::Node>(object),
        "Pod" => has_type::<core::v1::Pod>(object),
        "PodDisruptionBudget" => has_type::<policy::v1::PodDisruptionBudget>(object),
        "ReplicaSet" => has_type::<apps::v1::ReplicaSet>(object),
        "Role" => has_type::<rbac::v1::Role>(object),
        "ClusterRole" => has_type::<rbac::v1::ClusterRole>(object),
        "RoleBinding" => has_type::<rbac::v1::RoleBinding>(object),
        "ClusterRoleBinding" => has_type::<rbac::v1::ClusterRoleBinding>(object),
        "Secret" => has_type::<core::v1::Secret>(object),
        "SelfSubjectAccessReview" => has_type::<authorization::v1::SelfSubjectAccessReview>(object),
        "SelfSubjectReview" => has_type::<authentication::v1::SelfSubjectReview>(object),
        "SelfSubjectRulesReview" => has_type::<authorization::v1::SelfSubjectRulesReview>(object),
        "Service" => has_type::<core::v1::Service>(object),
        "ServiceAccount" => has_type::<core::v1::ServiceAccount>(object),
        "StatefulSet" => has_type::<apps::v1::StatefulSet>(object),
        _ => Ok(()),
    };
    outcome.map_err(|error| {
        let kind = resource.kind;
        ApiError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: json: cannot unmarshal: {error}",
            resource.version
        ))
    })
}
