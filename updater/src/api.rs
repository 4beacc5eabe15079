//! The API of each kind of workload, and a patch of one.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use serde_json::{Value, json};
use shared::domain::ownership::FIELD_MANAGER;
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

/// A creation under this name in `managedFields`.
pub(crate) fn created_by(manager: &str) -> PostParams {
    PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    }
}

/// Writes the data of a record that the leader alone writes, and takes out the keys that are `gone`, with the version that it was
/// made from; answers with its version after that. Where it is not there, it is made first, empty and by its name, so that there is a
/// version to write it with: whoever finds that another one was faster loses the race by that version.
pub(crate) async fn write_record(
    api: &Api<ConfigMap>,
    mut record: ConfigMap,
    mut version: Option<String>,
    gone: impl Iterator<Item = String>,
) -> Result<Option<String>, kube::Error> {
    let name = record.metadata.name.clone().unwrap_or_default();
    let data = record.data.take();
    if version.is_none() {
        let made = api
            .patch(&name, &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(&record))
            .await?;
        if made.data.is_some() {
            return Err(written_meanwhile());
        }
        version = made.metadata.resource_version;
    }
    let mut body = json!({ "metadata": { "resourceVersion": version }, "data": data });
    for key in gone {
        body["data"][key] = Value::Null;
    }
    let parameters = managed_by(FIELD_MANAGER);
    let stored = api.patch(&name, &parameters, &Patch::Merge(&body)).await?;
    Ok(stored.metadata.resource_version)
}

/// An object that was to be made holds something already, which has to be read first.
fn written_meanwhile() -> kube::Error {
    let status = Status::failure("somebody else has made and written it", "Conflict");
    kube::Error::Api(Box::new(status.with_code(409)))
}
