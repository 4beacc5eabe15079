//! Job: runs Pods until enough have succeeded or too many have failed.

pub mod plan;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::plan::{Decision, Goal, Progress, decide, index_ranges};
use super::cluster::Cluster;
use super::events::Severity;
use super::key::ObjectKey;
use super::pods::{self, from_template, is_ready, is_terminating, phase};
use crate::apiserver::resources::{JOBS, PODS};

const COMPONENT: &str = "job-controller";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Wait after the first failure; it doubles with each one, up to the maximum.
const FIRST_BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(10);

/// True when the Job has ended, well or not.
pub fn is_finished(job: &Value) -> bool {
    has_condition(job, "Complete") || has_condition(job, "Failed")
}

/// True when a condition of this type holds.
pub fn has_condition(job: &Value, kind: &str) -> bool {
    pods::condition(job, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Starts or stops Pods, and writes the status.
pub fn reconcile(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(job) = cluster.get(key) else { return };
    if is_terminating(&job) {
        return;
    }
    if is_finished(&job) {
        remove_expired(cluster, key, &job);
        return;
    }
    let pods = cluster.controlled(&job, &PODS);
    let start = job["status"]["startTime"]
        .as_str()
        .map_or_else(|| cluster.now_text(), str::to_owned);
    let deadline = deadline_of(&job, &start);
    let goal = goal_of(&job, deadline.is_some_and(|deadline| deadline <= cluster.now()));
    let decision = decide(&goal, &progress_of(&goal, &pods));
    let waits_until = back_off_end(&pods).filter(|end| *end > cluster.now());
    match &decision {
        Decision::Start(_) if waits_until.is_some() => {}
        Decision::Start(indexes) => start_pods(cluster, &job, indexes),
        Decision::Stop(count) => stop_pods(cluster, &job, &pods, usize::try_from(*count).unwrap_or_default()),
        Decision::Fail(..) => stop_pods(cluster, &job, &pods, usize::MAX),
        Decision::Complete | Decision::Wait => {}
    }
    let pods = cluster.controlled(&job, &PODS);
    let status = status(cluster, &job, &goal, &pods, &decision, &start);
    cluster.put_status(key, &status);
    announce(cluster, &job, &decision);
    for time in [waits_until, deadline].into_iter().flatten() {
        cluster.requeue_at(key, time);
    }
}

fn deadline_of(job: &Value, start: &str) -> Option<Timestamp> {
    let seconds = job["spec"]["activeDeadlineSeconds"].as_u64()?;
    Some(start.parse::<Timestamp>().ok()? + Duration::from_secs(seconds))
}

fn goal_of(job: &Value, past_deadline: bool) -> Goal {
    let spec = &job["spec"];
    let parallelism = spec["parallelism"].as_i64();
    let completions = spec["completions"].as_i64();
    Goal {
        parallelism: parallelism.unwrap_or(1),
        completions: completions.or_else(|| parallelism.is_none().then_some(1)),
        backoff_limit: spec["backoffLimit"].as_i64().unwrap_or(6),
        indexed: spec["completionMode"] == "Indexed",
        suspended: spec["suspend"] == true,
        past_deadline,
    }
}

fn index_of(pod: &Value) -> Option<i64> {
    pod["metadata"]["annotations"][INDEX].as_str()?.parse().ok()
}

fn progress_of(goal: &Goal, pods: &[Arc<Value>]) -> Progress {
    let mut progress = Progress::default();
    for pod in pods {
        match phase(pod) {
            "Succeeded" => {
                progress.succeeded += 1;
                progress.succeeded_indexes.extend(index_of(pod));
            }
            "Failed" => progress.failed += 1,
            _ if is_terminating(pod) => {}
            _ => {
                progress.active += 1;
                progress.active_indexes.extend(index_of(pod));
                let statuses = pod["status"]["containerStatuses"].as_array();
                let restarts = statuses
                    .into_iter()
                    .flatten()
                    .filter_map(|status| status["restartCount"].as_i64());
                progress.restarts += restarts.sum::<i64>();
            }
        }
    }
    let last = goal.completions.unwrap_or(i64::MAX);
    progress.succeeded_indexes.retain(|index| *index < last);
    progress
}

/// After a failure the next Pod waits.
fn back_off_end(pods: &[Arc<Value>]) -> Option<Timestamp> {
    let failed: Vec<&Arc<Value>> = pods.iter().filter(|pod| phase(pod) == "Failed").collect();
    let last = failed.iter().filter_map(|pod| finish_time(pod)).max()?;
    let exponent = u32::try_from(failed.len() - 1).unwrap_or(u32::MAX).min(10);
    Some(last + (FIRST_BACK_OFF * 2_u32.pow(exponent)).min(LONGEST_BACK_OFF))
}

fn finish_time(pod: &Value) -> Option<Timestamp> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let times = statuses
        .iter()
        .filter_map(|status| status["state"]["terminated"]["finishedAt"].as_str());
    times.filter_map(|time| time.parse().ok()).max()
}

fn start_pods(cluster: &Cluster, job: &Value, indexes: &[Option<i64>]) {
    for index in indexes {
        let pod = new_pod(job, *index);
        if cluster.create_for(job, COMPONENT, &PODS, pod).is_err() {
            break;
        }
    }
}

fn new_pod(job: &Value, index: Option<i64>) -> Value {
    let mut pod = from_template(job, &job["spec"]["template"], None);
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    if !pod["metadata"]["labels"].is_object() {
        pod["metadata"]["labels"] = json!({});
    }
    for (label, value) in [
        ("batch.kubernetes.io/controller-uid", &job["metadata"]["uid"]),
        ("batch.kubernetes.io/job-name", &job["metadata"]["name"]),
        ("controller-uid", &job["metadata"]["uid"]),
        ("job-name", &job["metadata"]["name"]),
    ] {
        pod["metadata"]["labels"][label] = value.clone();
    }
    let Some(index) = index else { return pod };
    pod["metadata"]["generateName"] = json!(format!("{name}-{index}-"));
    pod["metadata"]["labels"][INDEX] = json!(index.to_string());
    if !pod["metadata"]["annotations"].is_object() {
        pod["metadata"]["annotations"] = json!({});
    }
    pod["metadata"]["annotations"][INDEX] = json!(index.to_string());
    pod["spec"]["hostname"] = json!(format!("{name}-{index}"));
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            if !container["env"].is_array() {
                container["env"] = json!([]);
            }
            if let Some(variables) = container["env"].as_array_mut() {
                variables.push(json!({"name": "JOB_COMPLETION_INDEX", "value": index.to_string()}));
            }
        }
    }
    pod
}

fn stop_pods(cluster: &Cluster, job: &Value, pods: &[Arc<Value>], count: usize) {
    let mut active: Vec<&Arc<Value>> = pods.iter().filter(|pod| pods::is_active(pod)).collect();
    active.sort_by_key(|pod| is_ready(pod));
    for pod in active.into_iter().take(count) {
        cluster.delete_for(job, COMPONENT, &PODS, pod);
    }
}

fn status(
    cluster: &Cluster,
    job: &Value,
    goal: &Goal,
    pods: &[Arc<Value>],
    decision: &Decision,
    start: &str,
) -> Value {
    let progress = progress_of(goal, pods);
    let now = cluster.now_text();
    let ready = pods
        .iter()
        .filter(|pod| pods::is_active(pod) && is_ready(pod))
        .count();
    let terminating = pods.iter().filter(|pod| is_terminating(pod)).count();
    let mut status = json!({ "ready": ready, "terminating": terminating });
    if !goal.suspended {
        status["startTime"] = json!(start);
    }
    let counts = [
        ("active", progress.active),
        ("succeeded", plan::succeeded(goal, &progress)),
        ("failed", progress.failed),
    ];
    for (field, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        status[field] = json!(count);
    }
    if goal.indexed && !progress.succeeded_indexes.is_empty() {
        status["completedIndexes"] = json!(index_ranges(&progress.succeeded_indexes));
    }
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": "True", "reason": reason, "message": message,
            "lastProbeTime": now, "lastTransitionTime": now})
    };
    match decision {
        Decision::Complete => {
            let (reason, message) = ("CompletionsReached", "Reached expected number of succeeded pods");
            status["completionTime"] = json!(now);
            status["conditions"] = json!([
                condition("SuccessCriteriaMet", reason, message),
                condition("Complete", reason, message),
            ]);
        }
        Decision::Fail(reason, message) => {
            status["conditions"] = json!([
                condition("FailureTarget", reason, message),
                condition("Failed", reason, message)
            ]);
        }
        Decision::Start(_) | Decision::Stop(_) | Decision::Wait if goal.suspended => {
            status["conditions"] = match pods::condition(job, "Suspended") {
                Some(before) => json!([before]),
                None => json!([condition("Suspended", "JobSuspended", "Job suspended")]),
            };
        }
        Decision::Start(_) | Decision::Stop(_) | Decision::Wait => {}
    }
    status
}

fn announce(cluster: &Cluster, job: &Value, decision: &Decision) {
    match decision {
        Decision::Complete => {
            cluster.event(job, COMPONENT, Severity::Normal, "Completed", "Job completed");
        }
        Decision::Fail(reason, message) => cluster.event(job, COMPONENT, Severity::Warning, reason, message),
        Decision::Start(_) | Decision::Stop(_) | Decision::Wait => {}
    }
}

/// `ttlSecondsAfterFinished`: the Job removes itself.
fn remove_expired(cluster: &mut Cluster, key: &ObjectKey, job: &Value) {
    let Some(seconds) = job["spec"]["ttlSecondsAfterFinished"].as_u64() else {
        return;
    };
    let finished = ["Complete", "Failed"]
        .into_iter()
        .find_map(|kind| pods::condition(job, kind));
    let time = finished.and_then(|condition| {
        condition["lastTransitionTime"]
            .as_str()?
            .parse::<Timestamp>()
            .ok()
    });
    let Some(expiry) = time.map(|time| time + Duration::from_secs(seconds)) else {
        return;
    };
    if expiry > cluster.now() {
        cluster.requeue_at(key, expiry);
    } else if let Err(error) = cluster.store.delete(&JOBS, &key.namespace, &key.name) {
        tracing::debug!(%error, "an expired Job was gone already");
    }
}
