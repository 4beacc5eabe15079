//! `DaemonSet`: one Pod on each node; this cluster usually has one node.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::deployment::rolling::resolve;
use super::key::ObjectKey;
use super::pods::{self, from_template, is_ready, is_terminating, label, phase};
use super::revisions::{self, HASH_LABEL};
use crate::apiserver::resources::{NODES, PODS};

const COMPONENT: &str = "daemonset-controller";

/// Makes missing Pods, replaces outdated ones, and writes the counts.
pub fn reconcile(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(set) = cluster.get(key) else { return };
    let Some(revision) = revisions::ensure_current(cluster, &set) else {
        return;
    };
    let hash = revisions::hash_of(&revision).to_owned();
    let nodes: Vec<String> = cluster
        .store
        .list(&NODES, None)
        .iter()
        .filter(|node| may_run_on(&set, node))
        .filter_map(|node| node["metadata"]["name"].as_str().map(str::to_owned))
        .collect();
    let pods = cluster.controlled(&set, &PODS);
    if !is_terminating(&set) {
        manage(cluster, &set, &pods, &nodes, &hash);
        replace_outdated(cluster, &set, &pods, &nodes, &hash);
    }
    let pods = cluster.controlled(&set, &PODS);
    let min_ready_seconds = set["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let oldest: Vec<&Value> = nodes.iter().filter_map(|node| oldest_on(node, &pods)).collect();
    let counts = pods::readiness(oldest.iter().copied(), min_ready_seconds, cluster.now());
    cluster.put_status(key, &status(&set, &oldest, nodes.len(), &hash, counts));
    let in_use: Vec<&str> = pods
        .iter()
        .map(|pod| label(pod, HASH_LABEL))
        .chain([hash.as_str()])
        .collect();
    revisions::remove_old_history(cluster, &set, &in_use);
    if let Some(next) = counts.next {
        cluster.requeue_at(key, next);
    }
}

fn may_run_on(set: &Value, node: &Value) -> bool {
    let wanted = set["spec"]["template"]["spec"]["nodeSelector"].as_object();
    wanted
        .into_iter()
        .flatten()
        .all(|(name, value)| node["metadata"]["labels"][name] == *value)
}

fn node_of(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

/// The Pod that is counted for a node. One on its way out counts until it is gone.
fn oldest_on<'a>(node: &str, pods: &'a [Arc<Value>]) -> Option<&'a Value> {
    let here = pods.iter().filter(|pod| node_of(pod) == node);
    let oldest = here.min_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str().map(str::to_owned));
    oldest.map(AsRef::as_ref)
}

fn manage(cluster: &Cluster, set: &Value, pods: &[Arc<Value>], nodes: &[String], hash: &str) {
    for pod in pods.iter().filter(|pod| !is_terminating(pod)) {
        let is_finished = matches!(phase(pod), "Succeeded" | "Failed");
        if is_finished || !nodes.iter().any(|node| node == node_of(pod)) {
            cluster.delete_for(set, COMPONENT, &PODS, pod);
        }
    }
    for node in nodes {
        // A terminating Pod still holds its place: its ports and volumes are not free yet.
        if pods.iter().any(|pod| node_of(pod) == node) {
            continue;
        }
        let mut pod = from_template(set, &set["spec"]["template"], None);
        pod["spec"]["nodeName"] = json!(node);
        if !pod["metadata"]["labels"].is_object() {
            pod["metadata"]["labels"] = json!({});
        }
        pod["metadata"]["labels"][HASH_LABEL] = json!(hash);
        let generation = set["metadata"]["generation"].as_i64().unwrap_or(1);
        pod["metadata"]["labels"]["pod-template-generation"] = json!(generation.to_string());
        let outcome = cluster.create_for(set, COMPONENT, &PODS, pod);
        tracing::trace!(ok = outcome.is_ok(), "a Pod was asked for");
    }
}

fn replace_outdated(cluster: &Cluster, set: &Value, pods: &[Arc<Value>], nodes: &[String], hash: &str) {
    let strategy = &set["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return;
    }
    let wanted = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let maximum = &strategy["rollingUpdate"]["maxUnavailable"];
    let maximum = if maximum.is_null() {
        1
    } else {
        resolve(maximum, wanted, true).max(1)
    };
    let mut working = 0;
    for pod in pods.iter().filter(|pod| !is_terminating(pod)) {
        let is_outdated = label(pod, HASH_LABEL) != hash;
        if is_outdated && !is_ready(pod) {
            // It is unavailable already: replacing it costs nothing.
            cluster.delete_for(set, COMPONENT, &PODS, pod);
        } else if is_ready(pod) {
            working += 1;
        }
    }
    let mut allowed = maximum - (wanted - working);
    for pod in pods.iter().filter(|pod| !is_terminating(pod) && is_ready(pod)) {
        if allowed > 0 && label(pod, HASH_LABEL) != hash {
            cluster.delete_for(set, COMPONENT, &PODS, pod);
            allowed -= 1;
        }
    }
}

fn status(set: &Value, scheduled: &[&Value], nodes: usize, hash: &str, counts: pods::Readiness) -> Value {
    let updated = scheduled
        .iter()
        .filter(|pod| label(pod, HASH_LABEL) == hash)
        .count();
    let wanted = i64::try_from(nodes).unwrap_or(i64::MAX);
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": scheduled.len(),
        "numberMisscheduled": 0,
        "numberReady": counts.ready,
    });
    let optional = [
        (
            "updatedNumberScheduled",
            i64::try_from(updated).unwrap_or(i64::MAX),
        ),
        ("numberAvailable", counts.available),
        ("numberUnavailable", (wanted - counts.available).max(0)),
    ];
    for (field, count) in optional.into_iter().filter(|(_, count)| *count > 0) {
        status[field] = json!(count);
    }
    status
}
