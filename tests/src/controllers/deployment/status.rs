//! The status of a Deployment, computed from its `ReplicaSets` and its previous status: no I/O, `now` is an argument.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::rolling::Bounds;
use crate::clock::rfc3339_seconds;

/// What the status depends on beside the Deployment itself.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Name of the set of the current template, if it exists.
    pub new_set: Option<String>,
    /// The new set was made in this pass.
    pub created: bool,
    /// Pods all sets are told to have.
    pub wanted: i64,
    /// Pods all sets have.
    pub replicas: i64,
    /// Pods of the new set.
    pub updated: i64,
    /// Ready Pods of all sets.
    pub ready: i64,
    /// Available Pods of all sets.
    pub available: i64,
}

/// `spec.replicas`, 1 when absent.
pub fn wanted_replicas(deployment: &Value) -> i64 {
    deployment["spec"]["replicas"].as_i64().unwrap_or(1)
}

/// The bounds of a rolling update; a Recreate leaves none.
pub fn bounds(deployment: &Value) -> Bounds {
    if is_recreate(deployment) {
        return Bounds {
            surge: 0,
            unavailable: 0,
        };
    }
    Bounds::of(
        &deployment["spec"]["strategy"]["rollingUpdate"],
        wanted_replicas(deployment),
    )
}

/// True for the strategy that first removes everything.
pub fn is_recreate(deployment: &Value) -> bool {
    deployment["spec"]["strategy"]["type"] == "Recreate"
}

/// True when the rollout of the current template is finished by these counts.
pub fn is_complete(deployment: &Value, observed: &Observed) -> bool {
    let wanted = wanted_replicas(deployment);
    observed.updated == wanted && observed.replicas == wanted && observed.available == wanted
}

/// The new status.
pub fn compute(deployment: &Value, observed: &Observed, now: Timestamp) -> Value {
    let previous = &deployment["status"];
    let mut status = json!({ "observedGeneration": deployment["metadata"]["generation"] });
    let counts = [
        ("replicas", observed.replicas),
        ("updatedReplicas", observed.updated),
        ("readyReplicas", observed.ready),
        ("availableReplicas", observed.available),
        (
            "unavailableReplicas",
            (observed.wanted - observed.available).max(0),
        ),
    ];
    for (field, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[field] = json!(count);
    }
    if previous["collisionCount"].is_number() {
        status["collisionCount"] = previous["collisionCount"].clone();
    }
    let conditions = [
        available_condition(deployment, observed),
        progressing_condition(deployment, observed, now),
    ];
    let conditions: Vec<Value> = conditions
        .into_iter()
        .flatten()
        .map(|condition| condition.stamped(previous, now))
        .collect();
    if !conditions.is_empty() {
        status["conditions"] = Value::Array(conditions);
    }
    status
}

struct Condition {
    kind: &'static str,
    status: String,
    reason: String,
    message: String,
    /// Writes the update time anew even when nothing else changed: it is the progress deadline's start.
    refresh: bool,
}

impl Condition {
    fn stamped(self, previous_status: &Value, now: Timestamp) -> Value {
        let now = rfc3339_seconds(now);
        let before = find(previous_status, self.kind);
        let same_status = before.filter(|before| before["status"] == self.status.as_str());
        let same = same_status.filter(|before| before["reason"] == self.reason.as_str());
        let transition = same_status.map_or(json!(now), |before| before["lastTransitionTime"].clone());
        let (update, message) = match same {
            Some(before) if !self.refresh => (before["lastUpdateTime"].clone(), before["message"].clone()),
            Some(_) | None => (json!(now), json!(self.message)),
        };
        json!({
            "type": self.kind, "status": self.status, "reason": self.reason, "message": message,
            "lastUpdateTime": update, "lastTransitionTime": transition,
        })
    }
}

fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the two conditions are collected together"
)]
fn available_condition(deployment: &Value, observed: &Observed) -> Option<Condition> {
    let holds = observed.available >= wanted_replicas(deployment) - bounds(deployment).unavailable;
    let (reason, verb) = if holds {
        ("MinimumReplicasAvailable", "has")
    } else {
        ("MinimumReplicasUnavailable", "does not have")
    };
    Some(Condition {
        kind: "Available",
        status: (if holds { "True" } else { "False" }).to_owned(),
        reason: reason.to_owned(),
        message: format!("Deployment {verb} minimum availability."),
        refresh: false,
    })
}

fn progressing_condition(deployment: &Value, observed: &Observed, now: Timestamp) -> Option<Condition> {
    let previous = &deployment["status"];
    let before = find(previous, "Progressing");
    let deadline = deadline_of(deployment)?;
    let set = observed.new_set.as_deref().map_or_else(
        || {
            format!(
                "Deployment {:?}",
                deployment["metadata"]["name"].as_str().unwrap_or_default()
            )
        },
        |name| format!("ReplicaSet {name:?}"),
    );
    if observed.created {
        let name = observed.new_set.as_deref().unwrap_or_default();
        return condition(
            "True",
            "NewReplicaSetCreated",
            format!("Created new replica set {name:?}"),
            true,
        );
    }
    if deployment["spec"]["paused"] == true {
        return match before {
            Some(before) if before["reason"] == "ProgressDeadlineExceeded" => unchanged(before),
            Some(_) | None => condition(
                "Unknown",
                "DeploymentPaused",
                "Deployment is paused".to_owned(),
                false,
            ),
        };
    }
    if let Some(before) = before
        && before["reason"] == "NewReplicaSetAvailable"
        && observed.replicas == observed.updated
    {
        return unchanged(before);
    }
    if is_complete(deployment, observed) {
        let message = format!("{set} has successfully progressed.");
        return condition("True", "NewReplicaSetAvailable", message, false);
    }
    if has_progressed(previous, observed) {
        return condition(
            "True",
            "ReplicaSetUpdated",
            format!("{set} is progressing."),
            true,
        );
    }
    let Some(before) = before else {
        let name = observed.new_set.as_deref().unwrap_or_default();
        return condition(
            "True",
            "FoundNewReplicaSet",
            format!("Found new replica set {name:?}"),
            true,
        );
    };
    let waits_since = before["lastUpdateTime"]
        .as_str()
        .and_then(|time| time.parse::<Timestamp>().ok());
    let is_late = waits_since.is_some_and(|since| since + deadline < now);
    let may_expire = !matches!(
        before["reason"].as_str(),
        Some("ProgressDeadlineExceeded" | "NewReplicaSetAvailable" | "DeploymentPaused")
    );
    if is_late && may_expire {
        let message = format!("{set} has timed out progressing.");
        return condition("False", "ProgressDeadlineExceeded", message, false);
    }
    if before["reason"] == "DeploymentPaused" {
        return condition(
            "Unknown",
            "DeploymentResumed",
            "Deployment is resumed".to_owned(),
            true,
        );
    }
    unchanged(before)
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every answer about progress goes through it"
)]
fn condition(status: &str, reason: &str, message: String, refresh: bool) -> Option<Condition> {
    Some(Condition {
        kind: "Progressing",
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        refresh,
    })
}

fn unchanged(before: &Value) -> Option<Condition> {
    let text = |field: &str| before[field].as_str().unwrap_or_default().to_owned();
    condition(&text("status"), &text("reason"), text("message"), false)
}

fn has_progressed(previous: &Value, observed: &Observed) -> bool {
    let count = |field: &str| previous[field].as_i64().unwrap_or_default();
    observed.updated > count("updatedReplicas")
        || observed.replicas - observed.updated < count("replicas") - count("updatedReplicas")
        || observed.ready > count("readyReplicas")
        || observed.available > count("availableReplicas")
}

fn deadline_of(deployment: &Value) -> Option<SignedDuration> {
    // An absent deadline is defaulted to 600 s; only the largest integer switches it off.
    let seconds = deployment["spec"]["progressDeadlineSeconds"]
        .as_i64()
        .unwrap_or(600);
    (seconds < i64::from(i32::MAX)).then(|| SignedDuration::from_secs(seconds))
}

/// When the progress deadline of this (already computed) status passes, if it is running.
pub fn deadline_time(deployment: &Value, status: &Value) -> Option<Timestamp> {
    let condition = find(status, "Progressing")?;
    let is_running = matches!(
        condition["reason"].as_str(),
        Some("NewReplicaSetCreated" | "FoundNewReplicaSet" | "ReplicaSetUpdated" | "DeploymentResumed")
    );
    let since: Timestamp = condition["lastUpdateTime"].as_str()?.parse().ok()?;
    // Times are kept in whole seconds: one more, so that the deadline has really passed.
    is_running.then(|| Some(since + deadline_of(deployment)? + SignedDuration::from_secs(1)))?
}

#[cfg(test)]
mod tests;
