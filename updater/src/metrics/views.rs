//! What the last look found, as metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use shared::domain::plan::{Action, Plan, Snapshot};
use shared::domain::rollout::RolloutStatus;
use shared::domain::workload::WorkloadKind;

use super::{NoLabels, ReasonLabel};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkloadLabels {
    kind: &'static str,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Debug, Default)]
pub(super) struct Views {
    workloads: Family<WorkloadLabels, Gauge>,
    containers: Family<VerdictLabel, Gauge>,
    updates_waiting: Family<ReasonLabel, Gauge>,
    updates_waiting_until: Family<ReasonLabel, Gauge>,
    records: Family<StateLabel, Gauge>,
    oldest_scan_age: Family<NoLabels, Gauge>,
    /// The age grows between two looks, so it is worked out when somebody asks.
    oldest_scan: Mutex<Option<Timestamp>>,
}

impl Views {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "workloads",
            "Workloads that are watched, by kind and what is done with them",
            self.workloads.clone(),
        );
        registry.register(
            "containers",
            "Watched containers, by the verdict on them",
            self.containers.clone(),
        );
        registry.register(
            "updates_waiting",
            "Containers that wait to be updated, by what for",
            self.updates_waiting.clone(),
        );
        registry.register_with_unit(
            "updates_waiting_until_timestamp",
            "When the first of the updates that wait for this will go on, where a clock decides on it",
            Unit::Seconds,
            self.updates_waiting_until.clone(),
        );
        registry.register(
            "records",
            "Scan records, by whether they can be read",
            self.records.clone(),
        );
        registry.register_with_unit(
            "oldest_complete_scan_age",
            "How long ago the most outdated repository was last scanned completely",
            Unit::Seconds,
            self.oldest_scan_age.clone(),
        );
    }

    /// Shows what a look found, and nothing of the one before.
    pub(super) fn set(&self, snapshot: &Snapshot, plan: &Plan) {
        self.clear();
        let (readable, unreadable) =
            snapshot
                .records
                .values()
                .fold((0, 0), |(readable, unreadable), record| {
                    if record.is_ok() {
                        (readable + 1, unreadable)
                    } else {
                        (readable, unreadable + 1)
                    }
                });
        self.records
            .get_or_create(&StateLabel { state: "readable" })
            .set(readable);
        self.records
            .get_or_create(&StateLabel { state: "unreadable" })
            .set(unreadable);
        let scans = snapshot
            .records
            .values()
            .flatten()
            .filter_map(|record| record.findings.as_ref());
        self.set_oldest_scan(scans.map(|findings| findings.scanned_at).min());
        self.set_planned(plan);
    }

    fn set_planned(&self, plan: &Plan) {
        let mut states: BTreeMap<(WorkloadKind, &'static str), i64> = BTreeMap::new();
        let mut verdicts: BTreeMap<&'static str, i64> = BTreeMap::new();
        let mut waiting: BTreeMap<&'static str, i64> = BTreeMap::new();
        let mut until: BTreeMap<&'static str, Timestamp> = BTreeMap::new();
        for assessment in &plan.assessments {
            *states
                .entry((assessment.workload.id.kind, state(&assessment.action)))
                .or_default() += 1;
            for entry in &assessment.containers {
                *verdicts.entry((&entry.verdict).into()).or_default() += 1;
                if let Some(reason) = entry.verdict.waits_for() {
                    *waiting.entry(reason).or_default() += 1;
                    if let Some(at) = entry.verdict.waits_until() {
                        let first = until.entry(reason).or_insert(at);
                        *first = at.min(*first);
                    }
                }
            }
        }
        for ((kind, state), count) in states {
            let kind = kind.into();
            self.workloads
                .get_or_create(&WorkloadLabels { kind, state })
                .set(count);
        }
        for (verdict, count) in verdicts {
            self.containers
                .get_or_create(&VerdictLabel { verdict })
                .set(count);
        }
        for (reason, count) in waiting {
            self.updates_waiting
                .get_or_create(&ReasonLabel { reason })
                .set(count);
        }
        for (reason, at) in until {
            self.updates_waiting_until
                .get_or_create(&ReasonLabel { reason })
                .set(at.as_second());
        }
    }

    pub(super) fn clear(&self) {
        self.workloads.clear();
        self.containers.clear();
        self.updates_waiting.clear();
        self.updates_waiting_until.clear();
        self.records.clear();
        self.oldest_scan_age.clear();
        self.set_oldest_scan(None);
    }

    /// Works out what depends on the moment.
    pub(super) fn grow_to(&self, now: Timestamp) {
        let oldest = *self.oldest_scan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(oldest) = oldest {
            self.oldest_scan_age
                .get_or_create(&[])
                .set(now.duration_since(oldest).as_secs());
        }
    }

    pub(super) fn set_oldest_scan(&self, oldest: Option<Timestamp>) {
        *self.oldest_scan.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }
}

/// What is done with a workload, in one word.
fn state(action: &Action) -> &'static str {
    match action {
        Action::Nothing => "settled",
        Action::Stop(_) | Action::StopForMarker(_) => "stopped",
        Action::Start(_) => "starting",
        Action::RollBack { .. } | Action::Undo { .. } => "rolling-back",
        Action::TakenBack(_) => "taken-back",
        Action::Follow {
            status: RolloutStatus::InProgress(_),
            in_flight,
            ..
        } if in_flight.rollback.is_some() => "rolling-back",
        Action::Follow {
            status: RolloutStatus::InProgress(_),
            ..
        } => "rolling-out",
        Action::Follow {
            status: RolloutStatus::Completed(_) | RolloutStatus::Failed(_) | RolloutStatus::Superseded { .. },
            ..
        } => "finishing",
    }
}
