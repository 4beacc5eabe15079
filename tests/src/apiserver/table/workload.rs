//! Deployments, `ReplicaSets`, `StatefulSets` and `DaemonSets`.

use serde_json::json;

use super::text::{at, joined, labels, number, selector};
use super::{AGE, Column, NAME};

const CONTAINERS: Column = Column::wide("Containers", |object, _| {
    json!(joined(at(object, "spec.template.spec.containers"), "name"))
});
const IMAGES: Column = Column::wide("Images", |object, _| {
    json!(joined(at(object, "spec.template.spec.containers"), "image"))
});
const SELECTOR: Column = Column::wide("Selector", |object, _| {
    json!(selector(at(object, "spec.selector")))
});
const READY_OF_WANTED: Column = Column::text("Ready", |object, _| {
    json!(format!(
        "{}/{}",
        number(object, "status.readyReplicas"),
        number(object, "spec.replicas")
    ))
});

pub(super) static DEPLOYMENT: &[Column] = &[
    NAME,
    READY_OF_WANTED,
    Column::text("Up-to-date", |object, _| {
        json!(number(object, "status.updatedReplicas"))
    }),
    Column::text("Available", |object, _| {
        json!(number(object, "status.availableReplicas"))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) static REPLICA_SET: &[Column] = &[
    NAME,
    Column::number("Desired", |object, _| json!(number(object, "spec.replicas"))),
    Column::number("Current", |object, _| json!(number(object, "status.replicas"))),
    Column::number("Ready", |object, _| json!(number(object, "status.readyReplicas"))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(super) static STATEFUL_SET: &[Column] = &[NAME, READY_OF_WANTED, AGE, CONTAINERS, IMAGES];

pub(super) static DAEMON_SET: &[Column] = &[
    NAME,
    Column::number("Desired", |object, _| {
        json!(number(object, "status.desiredNumberScheduled"))
    }),
    Column::number("Current", |object, _| {
        json!(number(object, "status.currentNumberScheduled"))
    }),
    Column::number("Ready", |object, _| json!(number(object, "status.numberReady"))),
    Column::number("Up-to-date", |object, _| {
        json!(number(object, "status.updatedNumberScheduled"))
    }),
    Column::number("Available", |object, _| {
        json!(number(object, "status.numberAvailable"))
    }),
    Column::text("Node Selector", |object, _| {
        json!(labels(at(object, "spec.template.spec.nodeSelector")))
    }),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];
