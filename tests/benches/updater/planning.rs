//! How long the decision on everything takes, in this process.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::domain::plan::{PlanLimits, Readings, Snapshot, plan};
use shared::domain::record::config_map::record_name;
use shared::domain::workload::{Workload, WorkloadObject};

use crate::fixture::{kind, record, workload};
use crate::report::{Figure, median};

/// A plan in which nothing is to be done, and one in which everything is.
pub(crate) fn figures(workloads: usize) -> Vec<Figure> {
    let cases = [
        ("nothing to do", &["1.4.0"][..]),
        ("all to update", &["1.4.0", "1.5.0"]),
    ];
    let figure = |(name, tags): (&str, &[&str])| {
        let snapshot = snapshot(workloads, tags);
        let now = Timestamp::now();
        let limits = PlanLimits {
            max_record_age: SignedDuration::from_hours(24),
            max_rollouts: Some(10),
            max_rollouts_per_namespace: None,
            max_unwatched: SignedDuration::from_mins(5),
            threads: thread::available_parallelism().map_or(1, NonZero::get),
        };
        let times = (0..21).map(|_| {
            let begun = Instant::now();
            let plan = plan(&snapshot, &limits, now);
            let took = 1000.0 * begun.elapsed().as_secs_f64();
            assert_eq!(plan.assessments.len(), workloads, "nothing is left out");
            took
        });
        Figure::new(
            &format!("planning {workloads} workloads, {name}"),
            median(times),
            "ms",
        )
        .at_most(50.0)
    };
    cases.map(figure).into()
}

fn snapshot(workloads: usize, tags: &[&str]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for number in 0..workloads {
        let mut object = workload(number);
        object["metadata"]["uid"] = json!(format!("uid-{number}"));
        object["metadata"]["resourceVersion"] = json!("1");
        snapshot.workloads.push(Arc::new(view(number, object)));
        let record = record(number, tags, None);
        snapshot
            .records
            .insert(record_name(&record.repository), Ok(Arc::new(record)));
    }
    // As at each look but the first.
    snapshot.readings = Readings::default().renewed(&snapshot);
    snapshot
}

fn view(number: usize, object: Value) -> Workload {
    match kind(number).kind {
        "Deployment" => view_of::<Deployment>(object),
        "StatefulSet" => view_of::<StatefulSet>(object),
        "DaemonSet" => view_of::<DaemonSet>(object),
        _ => view_of::<CronJob>(object),
    }
}

fn view_of<K: WorkloadObject + DeserializeOwned>(object: Value) -> Workload {
    Workload::of(&serde_json::from_value::<K>(object).unwrap()).unwrap()
}
