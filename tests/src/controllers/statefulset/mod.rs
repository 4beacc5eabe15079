//! `StatefulSet`: Pods with stable names, made and updated in order.

pub mod plan;

use std::sync::Arc;

use serde_json::{Value, json};

use self::plan::{Goal, Member, Step, next_steps};
use super::cluster::Cluster;
use super::key::ObjectKey;
use super::pods::{self, available_from, from_template, is_ready, is_terminating, label, phase};
use super::revisions::{self, HASH_LABEL};
use crate::apiserver::resources::PODS;

const COMPONENT: &str = "statefulset-controller";

/// Takes the next step and writes the status.
pub fn reconcile(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(set) = cluster.get(key) else { return };
    let Some(update) = revisions::ensure_current(cluster, &set) else {
        return;
    };
    let update_revision = revisions::name_of(&update).to_owned();
    let current_revision = set["status"]["currentRevision"]
        .as_str()
        .unwrap_or(&update_revision)
        .to_owned();
    let goal = goal_of(&set, current_revision, update_revision);
    let pods = cluster.controlled(&set, &PODS);
    let members: Vec<Member> = pods
        .iter()
        .filter_map(|pod| member_of(&set, pod, cluster))
        .collect();
    if !is_terminating(&set) {
        for step in next_steps(&goal, &members) {
            carry_out(cluster, &set, &goal, &pods, &step);
        }
    }
    let pods = cluster.controlled(&set, &PODS);
    let min_ready_seconds = set["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let counts = pods::readiness(pods.iter().map(AsRef::as_ref), min_ready_seconds, cluster.now());
    let status = status(&set, &goal, &pods, counts);
    cluster.put_status(key, &status);
    let in_use: Vec<&str> = [&status["currentRevision"], &status["updateRevision"]]
        .into_iter()
        .filter_map(Value::as_str)
        .collect();
    revisions::remove_old_history(cluster, &set, &in_use);
    if let Some(next) = counts.next {
        cluster.requeue_at(key, next);
    }
}

fn goal_of(set: &Value, current_revision: String, update_revision: String) -> Goal {
    let spec = &set["spec"];
    Goal {
        start: spec["ordinals"]["start"].as_i64().unwrap_or_default(),
        replicas: spec["replicas"].as_i64().unwrap_or(1),
        ordered: spec["podManagementPolicy"] != "Parallel",
        rolling: spec["updateStrategy"]["type"] != "OnDelete",
        partition: spec["updateStrategy"]["rollingUpdate"]["partition"]
            .as_i64()
            .unwrap_or_default(),
        current_revision,
        update_revision,
    }
}

fn ordinal_of(set: &Value, pod: &Value) -> Option<i64> {
    let name = pod["metadata"]["name"].as_str()?;
    name.strip_prefix(set["metadata"]["name"].as_str()?)?
        .strip_prefix('-')?
        .parse()
        .ok()
}

fn member_of(set: &Value, pod: &Value, cluster: &Cluster) -> Option<Member> {
    let min_ready_seconds = set["spec"]["minReadySeconds"].as_i64().unwrap_or_default();
    let available = available_from(pod, min_ready_seconds).is_some_and(|from| from <= cluster.now());
    Some(Member {
        ordinal: ordinal_of(set, pod)?,
        revision: label(pod, HASH_LABEL).to_owned(),
        healthy: phase(pod) == "Running" && is_ready(pod) && (min_ready_seconds == 0 || available),
        terminating: is_terminating(pod),
        finished: matches!(phase(pod), "Succeeded" | "Failed"),
    })
}

fn carry_out(cluster: &Cluster, set: &Value, goal: &Goal, pods: &[Arc<Value>], step: &Step) {
    match step {
        Step::Create(ordinal) => {
            let revision = goal.revision_for(*ordinal);
            let template = revisions::template_of(cluster, set, revision);
            let template = template.unwrap_or_else(|| set["spec"]["template"].clone());
            let pod = new_pod(set, &template, revision, *ordinal);
            let outcome = cluster.create_for(set, COMPONENT, &PODS, pod);
            tracing::trace!(ok = outcome.is_ok(), "a Pod was asked for");
        }
        Step::Delete(ordinal) => {
            if let Some(pod) = pods.iter().find(|pod| ordinal_of(set, pod) == Some(*ordinal)) {
                cluster.delete_for(set, COMPONENT, &PODS, pod);
            }
        }
    }
}

fn new_pod(set: &Value, template: &Value, revision: &str, ordinal: i64) -> Value {
    let name = format!(
        "{}-{ordinal}",
        set["metadata"]["name"].as_str().unwrap_or_default()
    );
    let mut pod = from_template(set, template, Some(&name));
    let labels = &mut pod["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[HASH_LABEL] = json!(revision);
    labels["statefulset.kubernetes.io/pod-name"] = json!(name);
    labels["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
    pod["spec"]["hostname"] = json!(name);
    if set["spec"]["serviceName"].is_string() {
        pod["spec"]["subdomain"] = set["spec"]["serviceName"].clone();
    }
    pod
}

fn status(set: &Value, goal: &Goal, pods: &[Arc<Value>], counts: pods::Readiness) -> Value {
    let of = |revision: &str| {
        pods.iter()
            .filter(|pod| !is_terminating(pod) && label(pod, HASH_LABEL) == revision)
            .count()
    };
    let replicas = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let (mut current_revision, mut current) = (goal.current_revision.as_str(), of(&goal.current_revision));
    let updated = of(&goal.update_revision);
    // Once all are updated and ready, the update revision becomes the current one.
    let all_updated = i64::try_from(updated) == Ok(replicas) && replicas == goal.replicas;
    if goal.rolling && all_updated && counts.ready == replicas {
        (current_revision, current) = (&goal.update_revision, updated);
    }
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"],
        "replicas": replicas,
        "availableReplicas": counts.available,
        "currentRevision": current_revision,
        "updateRevision": goal.update_revision,
        "collisionCount": 0,
    });
    let optional = [("readyReplicas", counts.ready)].into_iter().chain(
        [("currentReplicas", current), ("updatedReplicas", updated)]
            .map(|(field, count)| (field, i64::try_from(count).unwrap_or(i64::MAX))),
    );
    for (field, count) in optional.filter(|(_, count)| *count > 0) {
        status[field] = json!(count);
    }
    status
}
