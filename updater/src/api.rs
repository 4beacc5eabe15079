//! The API of each kind of workload, and a patch of one.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::{Api, Client};
use shared::domain::patch::PatchBody;
use shared::domain::workload::{WorkloadId, WorkloadKind};

/// That of a kind, in this namespace or in all.
pub(crate) fn workloads(client: &Client, kind: WorkloadKind, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = match kind {
        WorkloadKind::Deployment => ApiResource::erase::<Deployment>(&()),
        WorkloadKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        WorkloadKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
        WorkloadKind::CronJob => ApiResource::erase::<CronJob>(&()),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Patches a workload, as `manager` in its `managedFields`.
pub(crate) async fn patch(
    client: &Client,
    workload: &WorkloadId,
    body: &PatchBody,
    manager: &str,
) -> Result<(), kube::Error> {
    let WorkloadId {
        kind,
        namespace,
        name,
    } = workload;
    workloads(client, *kind, Some(namespace))
        .patch(name, &managed_by(manager), &Patch::Strategic(&body.0))
        .await
        .map(drop)
}

/// A patch under this name in `managedFields`.
pub(crate) fn managed_by(manager: &str) -> PatchParams {
    PatchParams {
        field_manager: Some(manager.to_owned()),
        ..PatchParams::default()
    }
}

/// An object that was to be made holds something already, which has to be read first.
pub(crate) fn written_meanwhile() -> kube::Error {
    let status = Status::failure("somebody else has made and written it", "Conflict");
    kube::Error::Api(Box::new(status.with_code(409)))
}
