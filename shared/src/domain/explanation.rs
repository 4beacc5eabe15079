//! Why a watched container is offered what it is offered: what the policy chose among what is recorded, and what it turned
//! down. What `explain` says of published tags, said of the record that decides.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::plan::{PlanLimits, Snapshot, choice};
use super::policy::{Selection, other_families, rejected};
use super::record::{Findings, ScanError};
use super::reference::Tag;
use super::watched::{self, Watched};
use super::workload::Workload;

/// How many tags stand for all that a rule rejected, and how many families are told.
const EXAMPLES: usize = 8;

/// Of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub container: String,
    /// With its options, as the record has it.
    pub policy: String,
    pub repository: String,
    /// The ConfigMap in which that is recorded.
    pub record: String,
    /// The last complete scan.
    pub scanned_at: Option<Timestamp>,
    /// How many tags the repository publishes, where its list was asked for.
    pub tag_count: Option<usize>,
    /// How the last attempt failed.
    pub error: Option<ScanError>,
    /// What was chosen; `None` where the record or the pods do not say enough.
    pub choice: Option<Choice>,
    /// Why there is no choice.
    pub unknown: Option<String>,
}

/// What a policy chose among what is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub selected: Option<Tag>,
    pub reason: &'static str,
    /// The reason as a clause.
    pub explanation: String,
    pub successor: Option<Successor>,
    /// In which something newer is recorded.
    pub families: Vec<Family>,
    pub rejected: Vec<RejectedTags>,
}

/// The family that goes on where the current one has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Successor {
    pub family: String,
    pub newest: Tag,
}

/// A family beside the current one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Family {
    pub family: String,
    pub newest: Tag,
    pub newer: usize,
    /// In what it differs.
    pub contrast: String,
}

/// What one rule rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectedTags {
    pub rule: &'static str,
    /// The rule as a clause.
    pub explanation: String,
    pub count: usize,
    /// The newest of them.
    pub examples: Vec<Tag>,
}

/// One for each watched container; none where the settings cannot be read, which the plan tells.
pub fn explain(
    workload: &Arc<Workload>,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Vec<Explanation> {
    let layer = snapshot.namespaces.layer(&workload.id.namespace);
    let reading = layer.and_then(|layer| watched::read(workload, layer).ok());
    let watched = reading.into_iter().flat_map(|reading| reading.watched);
    watched
        .map(|watched| of(workload, &watched, snapshot, limits, now))
        .collect()
}

fn of(
    workload: &Workload,
    watched: &Watched,
    snapshot: &Snapshot,
    limits: &PlanLimits,
    now: Timestamp,
) -> Explanation {
    let record = snapshot.records.get(&watched.record);
    let record = record.and_then(|record| record.as_ref().ok());
    let findings = record.and_then(|record| record.findings.as_ref());
    let chosen = choice(workload, watched, snapshot, limits, now, |findings, selection| {
        Choice::of(watched, findings, selection)
    });
    let (choice, unknown) = match chosen {
        Ok(choice) => (Some(choice), None),
        Err(verdict) => (None, Some(verdict.to_string())),
    };
    Explanation {
        container: watched.container.clone(),
        policy: watched.demand.policy.to_string(),
        repository: watched.image.repository().to_string(),
        record: watched.record.clone(),
        scanned_at: findings.map(|findings| findings.scanned_at),
        tag_count: findings.and_then(|findings| findings.tag_count),
        error: record.and_then(|record| record.last_error.clone()),
        choice,
        unknown,
    }
}

impl Choice {
    fn of(watched: &Watched, findings: &Findings, selection: &Selection<'_>) -> Self {
        let demand = &watched.demand;
        let families = other_families(&demand.tag, selection).into_iter().take(EXAMPLES);
        let published: Vec<&Tag> = findings.tags.iter().map(|record| &record.tag).collect();
        let rejected = rejected(selection, Some(&demand.tag), &demand.policy, &published);
        Self {
            selected: selection.selected.cloned(),
            reason: selection.reason.name(),
            explanation: selection.reason.to_string(),
            successor: selection.successor.as_ref().map(|successor| Successor {
                family: successor.family.to_string(),
                newest: successor.newest.clone(),
            }),
            families: families
                .map(|other| Family {
                    family: other.family.to_string(),
                    newest: other.newest.clone(),
                    newer: other.newer,
                    contrast: other.contrast.to_string(),
                })
                .collect(),
            rejected: rejected
                .into_iter()
                .map(|rejected| RejectedTags {
                    rule: rejected.rule.name(),
                    explanation: rejected.rule.to_string(),
                    count: rejected.count,
                    examples: rejected
                        .newest_first
                        .into_iter()
                        .take(EXAMPLES)
                        .cloned()
                        .collect(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
