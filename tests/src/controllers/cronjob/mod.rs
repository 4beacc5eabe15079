//! `CronJob`: makes a Job at every scheduled time.

pub mod schedule;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use self::schedule::Schedule;
use super::cluster::{Cluster, controller_reference};
use super::events::Severity;
use super::job::{has_condition, is_finished};
use super::key::ObjectKey;
use super::pods::is_terminating;
use crate::apiserver::resources::JOBS;
use crate::clock::rfc3339_seconds;

const COMPONENT: &str = "cronjob-controller";
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Starts what is due, cleans up what is old, and writes the status.
pub fn reconcile(cluster: &mut Cluster, key: &ObjectKey) {
    let Some(cron_job) = cluster.get(key) else { return };
    if is_terminating(&cron_job) {
        return;
    }
    let jobs = cluster.controlled(&cron_job, &JOBS);
    remove_old_history(cluster, &cron_job, &jobs);
    tell_of_unexpected(cluster, &cron_job, &jobs);
    let mut status = base_status(&cron_job, &jobs);
    if cron_job["spec"]["suspend"] != true {
        match timetable(&cron_job) {
            Ok((schedule, zone)) => {
                if let Some(time) = due_time(&cron_job, &schedule, &zone, cluster.now()) {
                    start(cluster, &cron_job, &jobs, time, &mut status);
                }
                if let Some(next) = schedule.next_after(cluster.now(), &zone) {
                    cluster.requeue_at(key, next);
                }
            }
            Err(problem) => {
                cluster.event(
                    &cron_job,
                    COMPONENT,
                    Severity::Warning,
                    "UnparseableSchedule",
                    &problem,
                );
            }
        }
    }
    cluster.put_status(key, &status);
}

fn timetable(cron_job: &Value) -> Result<(Schedule, TimeZone), String> {
    let spec = &cron_job["spec"];
    let schedule = spec["schedule"].as_str().unwrap_or_default().parse::<Schedule>();
    let schedule = schedule.map_err(|error| error.to_string())?;
    let zone = match spec["timeZone"].as_str() {
        Some(name) => TimeZone::get(name).map_err(|error| format!("unknown time zone {name:?}: {error}"))?,
        None => TimeZone::UTC,
    };
    Ok((schedule, zone))
}

/// The latest scheduled time for which no Job has been made.
fn due_time(cron_job: &Value, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let last = time(&cron_job["status"]["lastScheduleTime"]);
    let mut after = last.or_else(|| time(&cron_job["metadata"]["creationTimestamp"]))?;
    if let Some(seconds) = cron_job["spec"]["startingDeadlineSeconds"].as_u64() {
        after = after.max(now - Duration::from_secs(seconds));
    }
    schedule.latest_between(after, now, zone)
}

fn start(cluster: &Cluster, cron_job: &Value, jobs: &[Arc<Value>], time: Timestamp, status: &mut Value) {
    let active: Vec<&Arc<Value>> = active(jobs).collect();
    match cron_job["spec"]["concurrencyPolicy"].as_str() {
        Some("Forbid") if !active.is_empty() => {
            let message =
                "Not starting job because prior execution is running and concurrency policy is Forbid";
            cluster.event(cron_job, COMPONENT, Severity::Normal, "JobAlreadyActive", message);
            return;
        }
        Some("Replace") => {
            for job in &active {
                cluster.delete_for(cron_job, COMPONENT, &JOBS, job);
            }
            status["active"] = json!([]);
        }
        _ => {}
    }
    status["lastScheduleTime"] = json!(rfc3339_seconds(time));
    if let Ok(job) = cluster.create_for(cron_job, COMPONENT, &JOBS, new_job(cron_job, time)) {
        match status["active"].as_array_mut() {
            Some(active) => active.push(reference(&job)),
            None => status["active"] = json!([reference(&job)]),
        }
    }
    if status["active"] == json!([]) {
        status["active"].take();
    }
}

/// Those that the schedule started. A Job that somebody else made, such as `kubectl create job --from`, is told of, is cleaned up like
/// the others, and stops no run of the schedule, whatever the concurrency policy.
fn active(jobs: &[Arc<Value>]) -> impl Iterator<Item = &Arc<Value>> {
    jobs.iter().filter(|job| !is_finished(job) && is_scheduled(job))
}

fn is_scheduled(job: &Value) -> bool {
    job["metadata"]["annotations"][SCHEDULED].is_string()
}

fn tell_of_unexpected(cluster: &Cluster, cron_job: &Value, jobs: &[Arc<Value>]) {
    for job in jobs.iter().filter(|job| !is_finished(job) && !is_scheduled(job)) {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let message = format!("Saw a job that the controller did not create or forgot: {name}");
        cluster.event(cron_job, COMPONENT, Severity::Warning, "UnexpectedJob", &message);
    }
}

fn new_job(cron_job: &Value, time: Timestamp) -> Value {
    let template = &cron_job["spec"]["jobTemplate"];
    let name = cron_job["metadata"]["name"].as_str().unwrap_or_default();
    let mut annotations = template["metadata"]["annotations"].clone();
    if !annotations.is_object() {
        annotations = json!({});
    }
    annotations[SCHEDULED] = json!(rfc3339_seconds(time));
    json!({
        "metadata": {
            "name": format!("{name}-{}", time.as_second() / 60),
            "namespace": cron_job["metadata"]["namespace"],
            "labels": template["metadata"].get("labels").cloned().unwrap_or_else(|| json!({})),
            "annotations": annotations,
            "ownerReferences": [controller_reference(cron_job)],
        },
        "spec": template["spec"],
    })
}

fn reference(job: &Value) -> Value {
    let metadata = &job["metadata"];
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "namespace": metadata["namespace"],
        "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
    })
}

fn base_status(cron_job: &Value, jobs: &[Arc<Value>]) -> Value {
    let before = &cron_job["status"];
    let mut status = json!({});
    let active: Vec<Value> = active(jobs).map(|job| reference(job)).collect();
    if !active.is_empty() {
        status["active"] = Value::Array(active);
    }
    if before["lastScheduleTime"].is_string() {
        status["lastScheduleTime"] = before["lastScheduleTime"].clone();
    }
    let finished = jobs
        .iter()
        .filter_map(|job| job["status"]["completionTime"].as_str());
    if let Some(latest) = finished.chain(before["lastSuccessfulTime"].as_str()).max() {
        status["lastSuccessfulTime"] = json!(latest);
    }
    status
}

fn remove_old_history(cluster: &Cluster, cron_job: &Value, jobs: &[Arc<Value>]) {
    let spec = &cron_job["spec"];
    let limits = [
        (
            "Complete",
            spec["successfulJobsHistoryLimit"].as_u64().unwrap_or(3),
        ),
        ("Failed", spec["failedJobsHistoryLimit"].as_u64().unwrap_or(1)),
    ];
    for (kind, limit) in limits {
        let mut finished: Vec<Arc<Value>> = jobs
            .iter()
            .filter(|job| has_condition(job, kind))
            .cloned()
            .collect();
        super::cluster::sort_by_age(&mut finished);
        let excess = finished
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for job in finished.iter().take(excess) {
            cluster.delete_for(cron_job, COMPONENT, &JOBS, job);
        }
    }
}
