//! Whether a pod is a workload's own: a selector may select the pods of others too.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::domain::workload::{Workload, WorkloadKind};

/// Where a Deployment writes which of its ReplicaSets a pod is of, which ends the name of that ReplicaSet.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// The longest name of an object; that of a Deployment is cut where its ReplicaSet's would be longer.
const NAME_LENGTH: usize = 253;

/// By its controller; a CronJob has no pods that last.
pub(super) fn belongs_to(pod: &Pod, workload: &Workload) -> bool {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let Some(owner) = owners.find(|owner| owner.controller == Some(true)) else {
        return false;
    };
    match workload.id.kind {
        WorkloadKind::Deployment => is_replica_set_of(owner, pod, &workload.id.name),
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => owner.uid == workload.uid,
        WorkloadKind::CronJob => false,
    }
}

/// The ReplicaSet stands between the two, and its name says whose it is without asking for it.
fn is_replica_set_of(owner: &OwnerReference, pod: &Pod, deployment: &str) -> bool {
    let labels = pod.metadata.labels.as_ref();
    let Some(hash) = labels.and_then(|labels| labels.get(TEMPLATE_HASH)) else {
        return false;
    };
    let before_hash = owner.name.strip_suffix(hash.as_str());
    let Some(name) = before_hash.and_then(|name| name.strip_suffix('-')) else {
        return false;
    };
    let is_cut = owner.name.len() == NAME_LENGTH && deployment.starts_with(name);
    let is_of_apps = owner.api_version.starts_with("apps/");
    owner.kind == "ReplicaSet" && is_of_apps && (name == deployment || is_cut)
}
