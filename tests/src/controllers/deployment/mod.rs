//! Deployment: rolls a new template out over `ReplicaSets`, and reports how far it has come.
//!
//! The decisions are in [`rolling`], [`scaling`] and [`status`]; here they are carried out. One pass does one step,
//! as the real controller does, so that clients see the same intermediate states.

pub mod replica_sets;
pub mod rolling;
pub mod scaling;
pub mod status;

use std::sync::Arc;

use serde_json::{Value, json};

use self::replica_sets::{DESIRED, MAXIMUM, Sets, annotated_number, count, size_annotations, wanted};
use self::rolling::Scale;
use self::scaling::Share;
use self::status::{Observed, bounds, is_complete, is_recreate, wanted_replicas};
use super::cluster::Cluster;
use super::events::Severity;
use super::key::ObjectKey;
use super::pods;
use crate::apiserver::resources::{PODS, REPLICA_SETS};

const COMPONENT: &str = "deployment-controller";

/// Takes one step and writes the status.
pub fn reconcile(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(deployment) = cluster.get(key) else {
        return;
    };
    let mut sets = replica_sets::find(cluster, &deployment);
    let is_paused = deployment["spec"]["paused"] == true;
    if !pods::is_terminating(&deployment) {
        // The set of the current template keeps up with the annotations whatever becomes of its size.
        if sets.new.is_some() {
            replica_sets::ensure_new(cluster, &deployment, &mut sets, 0);
        }
        if is_paused || is_scaling_event(&deployment, &sets) {
            scale_all(cluster, &deployment, &mut sets);
        } else if is_recreate(&deployment) {
            recreate(cluster, &deployment, &mut sets);
        } else {
            roll(cluster, &deployment, &mut sets);
        }
    }
    let observed = observe(&sets);
    if is_complete(&deployment, &observed) && !is_paused {
        replica_sets::remove_old_history(cluster, &deployment, &sets);
    }
    let new_status = status::compute(&deployment, &observed, cluster.now());
    cluster.put_status(key, &new_status);
    if let Some(deadline) = status::deadline_time(&deployment, &new_status) {
        cluster.requeue_at(key, deadline);
    }
}

fn observe(sets: &Sets) -> Observed {
    let sum = |field: &str| sets.all().map(|set| count(set, field)).sum();
    let name = |set: &Arc<Value>| set["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Observed {
        new_set: sets.new.as_ref().map(name),
        created: sets.created,
        wanted: sets.all().map(|set| wanted(set)).sum(),
        replicas: sum("replicas"),
        updated: sets.new.as_ref().map_or(0, |set| count(set, "replicas")),
        ready: sum("readyReplicas"),
        available: sum("availableReplicas"),
    }
}

fn total(sets: &Sets) -> i64 {
    sets.all().map(|set| wanted(set)).sum()
}

fn roll(cluster: &Cluster, deployment: &Value, sets: &mut Sets) {
    let (replicas, limits) = (wanted_replicas(deployment), bounds(deployment));
    let first_size = rolling::new_set_size(replicas, limits, 0, total(sets));
    replica_sets::ensure_new(cluster, deployment, sets, first_size);
    let Some(new) = sets.new.clone() else { return };
    if sets.created {
        announce(cluster, deployment, &new, 0, first_size);
        return;
    }
    let size = rolling::new_set_size(replicas, limits, wanted(&new), total(sets));
    if size != wanted(&new) {
        sets.new = Some(resize(cluster, deployment, &new, size));
        return;
    }
    let scale = |set: &Arc<Value>| Scale {
        wanted: wanted(set),
        available: count(set, "availableReplicas"),
    };
    let old: Vec<Scale> = sets.old.iter().map(scale).collect();
    let sizes = rolling::old_set_sizes(replicas, limits, scale(&new), &old);
    for (set, size) in sets.old.iter_mut().zip(sizes) {
        *set = resize(cluster, deployment, set, size);
    }
}

fn recreate(cluster: &Cluster, deployment: &Value, sets: &mut Sets) {
    let is_running = sets.old.iter().any(|set| wanted(set) > 0);
    for set in &mut sets.old {
        *set = resize(cluster, deployment, set, 0);
    }
    // The new Pods wait until the last old one is really gone, terminating ones included.
    let remains = sets
        .old
        .iter()
        .any(|set| !cluster.controlled(set, &PODS).is_empty());
    if is_running || remains {
        return;
    }
    let size = wanted_replicas(deployment);
    replica_sets::ensure_new(cluster, deployment, sets, size);
    let Some(new) = sets.new.clone() else { return };
    if sets.created {
        announce(cluster, deployment, &new, 0, size);
    } else {
        sets.new = Some(resize(cluster, deployment, &new, size));
    }
}

/// True when `spec.replicas` is not what the running sets were sized for.
fn is_scaling_event(deployment: &Value, sets: &Sets) -> bool {
    let replicas = wanted_replicas(deployment);
    let is_other = |set: &&Arc<Value>| {
        let desired = annotated_number(set, DESIRED);
        wanted(set) > 0 && desired != replicas && set["metadata"]["annotations"][DESIRED].is_string()
    };
    sets.all().find(is_other).is_some()
}

/// Sizes the sets for a new `spec.replicas` without going on with the rollout.
fn scale_all(cluster: &Cluster, deployment: &Value, sets: &mut Sets) {
    let replicas = wanted_replicas(deployment);
    let active: Vec<&Arc<Value>> = sets.all().filter(|set| wanted(set) > 0).collect();
    let sizes: Vec<i64> = match active.as_slice() {
        [] if sets.new.is_some() => {
            if let Some(new) = &sets.new {
                sets.new = Some(resize(cluster, deployment, new, replicas));
            }
            return;
        }
        [] | [_] => vec![replicas],
        many => {
            let shares: Vec<Share> = many
                .iter()
                .map(|set| Share {
                    size: wanted(set),
                    total: annotated_number(set, MAXIMUM),
                })
                .collect();
            let allowed = if replicas > 0 {
                replicas + bounds(deployment).surge
            } else {
                0
            };
            scaling::proportional(&shares, allowed)
        }
    };
    let targets: Vec<(String, i64)> = active.iter().map(|set| name_of(set)).zip(sizes).collect();
    for set in sets.new.iter_mut().chain(&mut sets.old) {
        if let Some((_, size)) = targets.iter().find(|(name, _)| *name == name_of(set)) {
            *set = resize(cluster, deployment, set, *size);
        }
    }
}

fn name_of(set: &Value) -> String {
    set["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// Writes a size, and for what Deployment size it was meant.
fn resize(cluster: &Cluster, deployment: &Value, set: &Arc<Value>, size: i64) -> Arc<Value> {
    let before = wanted(set);
    let changed = cluster.change(&ObjectKey::of(&REPLICA_SETS, set), |set| {
        set["spec"]["replicas"] = json!(size);
        if !set["metadata"]["annotations"].is_object() {
            set["metadata"]["annotations"] = json!({});
        }
        size_annotations(deployment, &mut set["metadata"]["annotations"]);
    });
    if before != size {
        announce(cluster, deployment, set, before, size);
    }
    changed.unwrap_or_else(|| Arc::clone(set))
}

fn announce(cluster: &Cluster, deployment: &Value, set: &Value, before: i64, size: i64) {
    let direction = if size >= before { "up" } else { "down" };
    let message = format!(
        "Scaled {direction} replica set {} from {before} to {size}",
        name_of(set)
    );
    cluster.event(
        deployment,
        COMPONENT,
        Severity::Normal,
        "ScalingReplicaSet",
        &message,
    );
}
