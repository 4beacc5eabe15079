//! What controllers ask of Pods: making one from a template, and whether one is active, ready or available.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cluster::controller_reference;

/// A Pod from `template`, owned by `owner`. Without `name` the server makes one from the owner's.
pub fn from_template(owner: &Value, template: &Value, name: Option<&str>) -> Value {
    let mut metadata = template["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("creationTimestamp");
    }
    let owner_name = owner["metadata"]["name"].as_str().unwrap_or_default();
    match name {
        Some(name) => metadata["name"] = json!(name),
        None => metadata["generateName"] = json!(format!("{owner_name}-")),
    }
    metadata["namespace"] = owner["metadata"]["namespace"].clone();
    metadata["ownerReferences"] = json!([controller_reference(owner)]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// `Pending`, `Running`, `Succeeded`, `Failed`; a Pod without status is pending.
pub fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or("Pending")
}

/// True when the Pod is on its way out.
pub fn is_terminating(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_string()
}

/// True when the Pod counts for its controller: neither finished nor terminating.
pub fn is_active(pod: &Value) -> bool {
    !is_terminating(pod) && !matches!(phase(pod), "Succeeded" | "Failed")
}

/// True when the Ready condition holds.
pub fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// When the Pod has been ready for `min_ready_seconds`: `None` while it is not ready.
pub fn available_from(pod: &Value, min_ready_seconds: i64) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready["status"] == "True")?;
    let since: Timestamp = ready["lastTransitionTime"].as_str()?.parse().ok()?;
    Some(since + Duration::from_secs(u64::try_from(min_ready_seconds).unwrap_or_default()))
}

/// The condition of a type.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// The value of a label, empty when absent.
pub fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["labels"][name].as_str().unwrap_or_default()
}

/// How many Pods are ready, how many available, and when the next ready one becomes available.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Pods with the Ready condition.
    pub ready: i64,
    /// Those ready for long enough.
    pub available: i64,
    /// When to count again.
    pub next: Option<Timestamp>,
}

/// Counts ready and available Pods.
pub fn readiness<'a>(
    pods: impl IntoIterator<Item = &'a Value>,
    min_ready_seconds: i64,
    now: Timestamp,
) -> Readiness {
    let mut counts = Readiness::default();
    for pod in pods {
        let Some(from) = available_from(pod, min_ready_seconds) else {
            continue;
        };
        counts.ready += 1;
        if min_ready_seconds <= 0 || from <= now {
            counts.available += 1;
        } else {
            counts.next = Some(counts.next.map_or(from, |next| next.min(from)));
        }
    }
    counts
}
