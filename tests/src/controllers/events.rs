//! Events: what controllers and the kubelet tell people. The same message again counts up instead of piling up.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::apiserver::resources::EVENTS;
use crate::apiserver::store::Store;

/// How grave an Event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Things go as they should.
    Normal,
    /// Somebody may want to look.
    Warning,
}

/// Who reports.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// For example `deployment-controller`.
    pub component: &'a str,
    /// The node, for the kubelet; else empty.
    pub host: &'a str,
}

/// Records an Event about `object` in its namespace.
pub fn record(
    store: &Store,
    source: &Source<'_>,
    object: &Value,
    severity: Severity,
    reason: &str,
    message: &str,
) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let namespace = if text("namespace").is_empty() {
        "default"
    } else {
        text("namespace")
    };
    let name = event_name(object, reason, message);
    let now = crate::clock::rfc3339_seconds(store.clock().now());
    if store.get(&EVENTS, namespace, &name).is_some() {
        let repeated = store.update(&EVENTS, namespace, &name, |event| {
            event["count"] = json!(event["count"].as_i64().unwrap_or(1) + 1);
            event["lastTimestamp"] = json!(now);
            Ok(())
        });
        if repeated.is_ok() {
            return;
        }
    }
    let mut reporter = json!({ "component": source.component });
    if !source.host.is_empty() {
        reporter["host"] = json!(source.host);
    }
    let event = json!({
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": object["apiVersion"], "kind": object["kind"], "name": text("name"),
            "namespace": text("namespace"), "uid": text("uid"), "resourceVersion": text("resourceVersion"),
        },
        "reason": reason,
        "message": message,
        "type": match severity { Severity::Normal => "Normal", Severity::Warning => "Warning" },
        "source": reporter,
        "reportingComponent": source.component,
        "reportingInstance": source.host,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    });
    if let Err(error) = store.create(&EVENTS, event) {
        // The namespace is being deleted, most likely; nobody would read the Event.
        tracing::debug!(reason, %error, "an Event could not be recorded");
    }
}

fn event_name(object: &Value, reason: &str, message: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (object["metadata"]["uid"].as_str(), reason, message).hash(&mut hasher);
    format!(
        "{}.{:016x}",
        object["metadata"]["name"].as_str().unwrap_or_default(),
        hasher.finish()
    )
}
