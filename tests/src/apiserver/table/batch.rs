//! Jobs and `CronJobs`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::text::{at, joined, number, or_none, selector};
use super::{AGE, Column, NAME, age};

pub(super) static JOB: &[Column] = &[
    NAME,
    Column::text("Status", |job, _| json!(status(job))),
    Column::text("Completions", |job, _| json!(completions(job))),
    Column::text("Duration", |job, now| json!(duration(job, now))),
    AGE,
    Column::wide("Containers", |job, _| {
        json!(joined(at(job, "spec.template.spec.containers"), "name"))
    }),
    Column::wide("Images", |job, _| {
        json!(joined(at(job, "spec.template.spec.containers"), "image"))
    }),
    Column::wide("Selector", |job, _| json!(selector(at(job, "spec.selector")))),
];

pub(super) static CRON_JOB: &[Column] = &[
    NAME,
    Column::text("Schedule", |object, _| at(object, "spec.schedule").clone()),
    Column::text("Timezone", |object, _| or_none(object, "spec.timeZone")),
    Column::text("Suspend", |object, _| {
        json!(if at(object, "spec.suspend") == &json!(true) {
            "True"
        } else {
            "False"
        })
    }),
    Column::number("Active", |object, _| {
        json!(at(object, "status.active").as_array().map_or(0, Vec::len))
    }),
    Column::text("Last Schedule", |object, now| {
        let last = at(object, "status.lastScheduleTime");
        json!(if last.is_null() {
            "<none>".to_owned()
        } else {
            age::since(last, now)
        })
    }),
    AGE,
    Column::wide("Containers", |object, _| {
        json!(joined(at(object, JOB_CONTAINERS), "name"))
    }),
    Column::wide("Images", |object, _| {
        json!(joined(at(object, JOB_CONTAINERS), "image"))
    }),
    Column::wide("Selector", |object, _| {
        json!(selector(at(object, "spec.jobTemplate.spec.selector")))
    }),
];

const JOB_CONTAINERS: &str = "spec.jobTemplate.spec.template.spec.containers";

fn status(job: &Value) -> &'static str {
    let has = |kind: &str| {
        at(job, "status.conditions")
            .as_array()
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if !at(job, "metadata.deletionTimestamp").is_null() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let succeeded = number(job, "status.succeeded");
    match at(job, "spec.completions").as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None => format!("{succeeded}/1 of {}", number(job, "spec.parallelism")),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let start = at(job, "status.startTime");
    if start.is_null() {
        return String::new();
    }
    age::between(start, at(job, "status.completionTime")).unwrap_or_else(|| age::since(start, now))
}
