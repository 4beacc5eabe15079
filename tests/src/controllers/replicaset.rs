//! `ReplicaSet`: keeps as many Pods as it is told to, and counts them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::key::ObjectKey;
use super::pods::{self, from_template, is_active, is_ready, label, phase};
use crate::apiserver::resources::PODS;

const COMPONENT: &str = "replicaset-controller";

/// Creates and deletes Pods until their number is right, then writes the counts.
pub fn reconcile(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(set) = cluster.get(key) else { return };
    let mut active: Vec<Arc<Value>> = cluster
        .controlled(&set, &PODS)
        .into_iter()
        .filter(|pod| is_active(pod))
        .collect();
    let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or_default();
    if !pods::is_terminating(&set) {
        if active.len() > wanted {
            // What is worth least goes first: unscheduled, then not ready, then young.
            active.sort_by_key(|pod| deletion_rank(pod));
            for pod in active.drain(..active.len() - wanted) {
                cluster.delete_for(&set, COMPONENT, &PODS, &pod);
            }
        }
        for _ in active.len()..wanted {
            let pod = from_template(&set, &set["spec"]["template"], None);
            match cluster.create_for(&set, COMPONENT, &PODS, pod) {
                Ok(pod) => active.push(pod),
                Err(_reported) => break,
            }
        }
    }
    let min_ready_seconds = set["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let counts = pods::readiness(active.iter().map(AsRef::as_ref), min_ready_seconds, cluster.now());
    cluster.put_status(key, &status(&set, &active, counts));
    if let Some(next) = counts.next {
        cluster.requeue_at(key, next);
    }
}

fn deletion_rank(pod: &Value) -> (bool, bool, bool, std::cmp::Reverse<String>) {
    let created = pod["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let is_scheduled = pod["spec"]["nodeName"].is_string();
    (
        is_scheduled,
        phase(pod) == "Running",
        is_ready(pod),
        std::cmp::Reverse(created),
    )
}

fn status(set: &Value, active: &[Arc<Value>], counts: pods::Readiness) -> Value {
    let hash = label(set, "pod-template-hash");
    let labelled = active
        .iter()
        .filter(|pod| label(pod, "pod-template-hash") == hash)
        .count();
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": active.len(),
    });
    let optional = [
        (
            "fullyLabeledReplicas",
            i64::try_from(labelled).unwrap_or(i64::MAX),
        ),
        ("readyReplicas", counts.ready),
        ("availableReplicas", counts.available),
    ];
    for (field, count) in optional.into_iter().filter(|(_, count)| *count > 0) {
        status[field] = json!(count);
    }
    status
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::deletion_rank;

    #[test]
    fn the_pod_worth_least_is_deleted_first() {
        let pod = |name: &str, node: Option<&str>, phase: &str, ready: &str, created: &str| {
            json!({"metadata":{"name":name,"creationTimestamp":created},"spec":{"nodeName":node},
                "status":{"phase":phase,"conditions":[{"type":"Ready","status":ready}]}})
        };
        let mut pods = [
            pod("old", Some("n"), "Running", "True", "2026-01-01T00:00:00Z"),
            pod("young", Some("n"), "Running", "True", "2026-01-02T00:00:00Z"),
            pod("unready", Some("n"), "Running", "False", "2026-01-01T00:00:00Z"),
            pod("starting", Some("n"), "Pending", "False", "2026-01-01T00:00:00Z"),
            pod("unscheduled", None, "Pending", "False", "2026-01-01T00:00:00Z"),
        ];
        pods.sort_by_key(deletion_rank);
        let names: Vec<&Value> = pods.iter().map(|pod| &pod["metadata"]["name"]).collect();
        assert_eq!(names, ["unscheduled", "starting", "unready", "young", "old"]);
    }
}
