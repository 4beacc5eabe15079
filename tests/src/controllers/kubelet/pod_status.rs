//! The status of a Pod from the states of its containers: phase, conditions, addresses. No I/O.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::container_state::{ContainerRecord, State};
use crate::clock::rfc3339_seconds;

/// What the status is made from.
#[derive(Clone, Debug)]
pub struct PodRecord {
    /// Init containers, in order.
    pub init: Vec<ContainerRecord>,
    /// Containers.
    pub main: Vec<ContainerRecord>,
    /// `Always`, `OnFailure`, `Never`.
    pub restart_policy: String,
    /// The pod's own address.
    pub pod_ip: String,
    /// The node's address.
    pub host_ip: String,
    /// When the kubelet saw the pod first.
    pub start_time: Timestamp,
    /// `Guaranteed`, `Burstable`, `BestEffort`.
    pub qos_class: &'static str,
}

/// The status; `previous` keeps the times of conditions that did not change.
pub fn compose(record: &PodRecord, previous: &Value, now: Timestamp) -> Value {
    let phase = phase(record);
    let mut status = json!({
        "phase": phase,
        "startTime": rfc3339_seconds(record.start_time),
        "hostIP": record.host_ip,
        "hostIPs": [{"ip": record.host_ip}],
        "podIP": record.pod_ip,
        "podIPs": [{"ip": record.pod_ip}],
        "qosClass": record.qos_class,
        "conditions": conditions(record, phase, previous, now),
        "containerStatuses": record.main.iter().map(ContainerRecord::to_status).collect::<Vec<_>>(),
    });
    if !record.init.is_empty() {
        let statuses: Vec<Value> = record.init.iter().map(ContainerRecord::to_status).collect();
        status["initContainerStatuses"] = Value::Array(statuses);
    }
    status
}

/// True when the init container lets the next one start: ended well, or a sidecar that has started.
fn is_initialized(record: &ContainerRecord) -> bool {
    match &record.state {
        State::Terminated(end) => end.exit_code == 0,
        State::Running(_) => record.started,
        State::Waiting { .. } => false,
    }
}

/// The phase, by the kubelet's rules.
pub fn phase(record: &PodRecord) -> &'static str {
    let failed_init = record
        .init
        .iter()
        .any(|init| matches!(&init.state, State::Terminated(end) if end.exit_code != 0));
    if failed_init && record.restart_policy == "Never" {
        return "Failed";
    }
    if !record.init.iter().all(is_initialized) {
        return "Pending";
    }
    let (mut waiting, mut running, mut stopped, mut succeeded) = (0, 0, 0, 0);
    for container in &record.main {
        match (&container.state, &container.last) {
            (State::Running(_), _) => running += 1,
            (State::Terminated(end), _) | (State::Waiting { .. }, Some(end)) => {
                stopped += 1;
                succeeded += i32::from(end.exit_code == 0);
            }
            (State::Waiting { .. }, None) => waiting += 1,
        }
    }
    match record.restart_policy.as_str() {
        _ if waiting > 0 => "Pending",
        _ if running > 0 => "Running",
        "Always" => "Running",
        _ if stopped == succeeded => "Succeeded",
        "Never" => "Failed",
        _ => "Running",
    }
}

fn conditions(record: &PodRecord, phase: &str, previous: &Value, now: Timestamp) -> Value {
    let names = |list: &[ContainerRecord], good: fn(&ContainerRecord) -> bool| {
        let bad: Vec<&str> = list
            .iter()
            .filter(|one| !good(one))
            .map(|one| one.name.as_str())
            .collect();
        bad.join(" ")
    };
    let is_over = phase == "Succeeded";
    let unready = names(&record.main, |one| one.ready);
    let uninitialized = names(&record.init, is_initialized);
    let ready = match (is_over, unready.is_empty(), phase) {
        (true, ..) => Some(("PodCompleted", String::new())),
        (_, _, "Failed") => Some(("PodFailed", String::new())),
        (_, true, _) => None,
        (_, false, _) => Some((
            "ContainersNotReady",
            format!("containers with unready status: [{unready}]"),
        )),
    };
    let initialized = if uninitialized.is_empty() {
        None
    } else {
        Some((
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{uninitialized}]"),
        ))
    };
    let running = if is_over || phase == "Failed" {
        Some(("", String::new()))
    } else {
        None
    };
    Value::Array(vec![
        condition("PodReadyToStartContainers", running, previous, now),
        condition("Initialized", initialized, previous, now),
        condition("Ready", ready.clone(), previous, now),
        condition("ContainersReady", ready, previous, now),
        condition("PodScheduled", None, previous, now),
    ])
}

/// A condition that holds, unless there is a problem.
pub fn condition(kind: &str, problem: Option<(&str, String)>, previous: &Value, now: Timestamp) -> Value {
    let status = if problem.is_none() { "True" } else { "False" };
    let before = previous["conditions"].as_array().into_iter().flatten();
    let before = before
        .into_iter()
        .find(|before| before["type"] == kind && before["status"] == status);
    let since = before.map_or_else(
        || json!(rfc3339_seconds(now)),
        |before| before["lastTransitionTime"].clone(),
    );
    let mut condition =
        json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
    let (reason, message) = problem.unwrap_or_default();
    for (field, text) in [("reason", reason), ("message", message.as_str())] {
        if !text.is_empty() {
            condition[field] = json!(text);
        }
    }
    condition
}

/// The quality of service class, from requests and limits.
pub fn qos_class(spec: &Value) -> &'static str {
    let containers = ["containers", "initContainers"].into_iter();
    let containers: Vec<&Value> = containers
        .flat_map(|list| spec[list].as_array().into_iter().flatten())
        .collect();
    let amounts = |container: &Value, kind: &str, resource: &str| {
        let limit = &container["resources"]["limits"][resource];
        match kind {
            "limits" => limit.clone(),
            _ if container["resources"]["requests"][resource].is_null() => limit.clone(),
            _ => container["resources"]["requests"][resource].clone(),
        }
    };
    let is_guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"].into_iter().all(|resource| {
            let limit = amounts(container, "limits", resource);
            !limit.is_null() && limit == amounts(container, "requests", resource)
        })
    });
    let has_any = containers.iter().any(|container| {
        ["requests", "limits"].into_iter().any(|kind| {
            container["resources"][kind]
                .as_object()
                .is_some_and(|amounts| !amounts.is_empty())
        })
    });
    match (is_guaranteed, has_any) {
        (true, true) => "Guaranteed",
        (false, true) => "Burstable",
        (_, false) => "BestEffort",
    }
}

#[cfg(test)]
mod tests;
