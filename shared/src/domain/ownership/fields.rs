//! What `managedFields` say of a container.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};

use crate::domain::workload::WorkloadKind;

/// How much of a container somebody manages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Share {
    Nothing,
    /// Something of it, but not its image.
    Container,
    Image,
}

/// The managers of an object itself; those of its status and its scale have no say in images.
#[derive(Debug)]
pub(super) struct ManagedFields<'a> {
    entries: Vec<&'a ManagedFieldsEntry>,
    pod: &'static str,
}

impl<'a> ManagedFields<'a> {
    pub(super) fn of(kind: WorkloadKind, metadata: &'a ObjectMeta) -> Self {
        let entries = metadata.managed_fields.iter().flatten();
        let is_main =
            |entry: &&ManagedFieldsEntry| entry.subresource.as_deref().unwrap_or_default().is_empty();
        Self {
            entries: entries.filter(is_main).collect(),
            pod: match kind {
                WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
                    "/f:spec/f:template/f:spec"
                }
                WorkloadKind::CronJob => "/f:spec/f:jobTemplate/f:spec/f:template/f:spec",
            },
        }
    }

    /// All that a manager of this name has, by server-side apply and otherwise.
    pub(super) fn by(&self, manager: &str) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
        let entries = self.entries.iter().copied();
        entries.filter(move |entry| entry.manager.as_deref() == Some(manager))
    }

    /// Who manages the image.
    pub(super) fn managers(
        &self,
        container: &str,
        init: bool,
    ) -> impl Iterator<Item = &'a ManagedFieldsEntry> {
        let entries = self.entries.iter().copied();
        entries.filter(move |entry| self.share(entry, container, init) == Share::Image)
    }

    pub(super) fn share(&self, entry: &ManagedFieldsEntry, container: &str, init: bool) -> Share {
        let list = if init { "f:initContainers" } else { "f:containers" };
        let pod = entry
            .fields_v1
            .as_ref()
            .and_then(|fields| fields.0.pointer(self.pod));
        let key = format!("k:{}", json!({ "name": container }));
        let found: Option<&Value> = pod.and_then(|pod| pod.get(list)?.get(&key));
        match found {
            None => Share::Nothing,
            Some(container) if container.get("f:image").is_none() => Share::Container,
            Some(_) => Share::Image,
        }
    }
}

/// Whether the manager applies the whole of what it wants, so that what is not there is not wanted.
pub(super) fn is_applied(entry: &ManagedFieldsEntry) -> bool {
    entry.operation.as_deref() == Some("Apply")
}
