//! A workload as the API server would show it, for tests.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use shared::domain::workload::Workload;

/// A Deployment that is watched; its uid is the name of its namespace.
pub(crate) fn checkout(namespace: &str) -> Arc<Workload> {
    let deployment: Deployment = serde_json::from_value(json!({
        "metadata": {
            "name": "checkout", "namespace": namespace, "uid": namespace, "resourceVersion": "7", "generation": 1,
            "annotations": { "kubefresh.dev/watch": "true" },
        },
        "spec": {
            "selector": { "matchLabels": { "app": "checkout" } },
            "template": { "spec": { "containers": [{ "name": "app", "image": "shop.example/app:edge" }] } },
        },
    }))
    .unwrap();
    Arc::new(Workload::of(&deployment).unwrap())
}
