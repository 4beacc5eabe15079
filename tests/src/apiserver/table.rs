//! The columns `kubectl get` prints, as Kubernetes' own printers choose them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resources::Resource;

mod age;
mod batch;
mod pod;
mod small;
mod text;
mod workload;

/// One column: its definition and how to fill it.
#[derive(Debug)]
pub(super) struct Column {
    name: &'static str,
    kind: &'static str,
    /// Shown only with `-o wide`.
    wide: bool,
    cell: fn(&Value, Timestamp) -> Value,
}

impl Column {
    const fn text(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self {
            name,
            kind: "string",
            wide: false,
            cell,
        }
    }

    const fn number(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self {
            name,
            kind: "integer",
            wide: false,
            cell,
        }
    }

    const fn wide(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self {
            name,
            kind: "string",
            wide: true,
            cell,
        }
    }

    pub(super) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": if self.name == "Name" { "name" } else { "" },
            "description": "",
            "priority": i32::from(self.wide),
        })
    }
}

const NAME: Column = Column::text("Name", |object, _| object["metadata"]["name"].clone());
const AGE: Column = Column::text("Age", |object, now| {
    json!(age::since(&object["metadata"]["creationTimestamp"], now))
});
const CREATED: Column = Column::text("Created At", |object, _| {
    object["metadata"]["creationTimestamp"].clone()
});

static NAME_AND_AGE: &[Column] = &[NAME, AGE];

/// The columns of a resource, wide ones included.
pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match resource.kind {
        "Pod" => pod::COLUMNS,
        "Deployment" => workload::DEPLOYMENT,
        "ReplicaSet" => workload::REPLICA_SET,
        "StatefulSet" => workload::STATEFUL_SET,
        "DaemonSet" => workload::DAEMON_SET,
        "Job" => batch::JOB,
        "CronJob" => batch::CRON_JOB,
        _ => small::columns(resource.kind).unwrap_or(NAME_AND_AGE),
    }
}

/// The cells of one row, in the order of [`columns`].
pub(super) fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    columns(resource)
        .iter()
        .map(|column| (column.cell)(object, now))
        .collect()
}

#[cfg(test)]
mod tests;
