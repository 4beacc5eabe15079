//! Pods: the status column condenses phase, init containers and container states into one word.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::text::or_none;
use super::{AGE, Column, NAME, age};

pub(super) static COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", |pod, _| json!(ready(pod))),
    Column::text("Status", |pod, _| json!(status(pod))),
    Column::text("Restarts", |pod, now| json!(restarts(pod, now))),
    AGE,
    Column::wide("IP", |pod, _| or_none(pod, "status.podIP")),
    Column::wide("Node", |pod, _| or_none(pod, "spec.nodeName")),
    Column::wide("Nominated Node", |pod, _| {
        or_none(pod, "status.nominatedNodeName")
    }),
    Column::wide("Readiness Gates", |_, _| json!("<none>")),
];

fn statuses<'a>(pod: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    pod["status"][field].as_array().into_iter().flatten()
}

fn ready(pod: &Value) -> String {
    let total = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let ready = statuses(pod, "containerStatuses")
        .filter(|status| status["ready"] == true && status["state"]["running"].is_object())
        .count();
    format!("{ready}/{total}")
}

fn status(pod: &Value) -> String {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Unknown");
    let reason = pod["status"]["reason"]
        .as_str()
        .filter(|reason| !reason.is_empty());
    let initializing = initializing(pod);
    let word = initializing.clone().or_else(|| container_word(pod));
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    word.unwrap_or_else(|| reason.unwrap_or(phase).to_owned())
}

fn initializing(pod: &Value) -> Option<String> {
    let total = pod["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    for (index, status) in statuses(pod, "initContainerStatuses").enumerate() {
        let state = &status["state"];
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        if state["terminated"].is_object() {
            return Some(format!("Init:{}", terminated(&state["terminated"])));
        }
        let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
        return Some(match waiting {
            "" | "PodInitializing" => format!("Init:{index}/{total}"),
            reason => format!("Init:{reason}"),
        });
    }
    None
}

fn container_word(pod: &Value) -> Option<String> {
    let mut word = None;
    let mut has_running = false;
    for status in statuses(pod, "containerStatuses")
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let state = &status["state"];
        match state["waiting"]["reason"].as_str().unwrap_or_default() {
            "" if state["terminated"].is_object() => word = Some(terminated(&state["terminated"])),
            "" => has_running |= status["ready"] == true && state["running"].is_object(),
            reason => word = Some(reason.to_owned()),
        }
    }
    if word.as_deref() == Some("Completed") && has_running {
        return Some(if is_ready(pod) { "Running" } else { "NotReady" }.to_owned());
    }
    word
}

fn is_ready(pod: &Value) -> bool {
    statuses(pod, "conditions").any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn terminated(state: &Value) -> String {
    if let Some(reason) = state["reason"].as_str().filter(|reason| !reason.is_empty()) {
        return reason.to_owned();
    }
    match state["signal"].as_i64() {
        Some(signal) if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", state["exitCode"].as_i64().unwrap_or(0)),
    }
}

fn restarts(pod: &Value, now: Timestamp) -> String {
    let count: i64 = statuses(pod, "containerStatuses")
        .filter_map(|status| status["restartCount"].as_i64())
        .sum();
    let last = statuses(pod, "containerStatuses")
        .filter_map(|status| status["lastState"]["terminated"]["finishedAt"].as_str())
        .max();
    match last {
        Some(last) if count > 0 => format!("{count} ({} ago)", age::since(&json!(last), now)),
        _ => count.to_string(),
    }
}
