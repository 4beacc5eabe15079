//! How many rollouts may be under way at once, and whose turn it is.
//!
//! The limits bound what can go wrong at one time, and what nodes have to pull. Those that wait take turns: first the namespace with
//! the fewest rollouts under way, of several the one whose last update is the longest ago, and in it the workload of which that
//! is true. So neither a large namespace nor a name early in the alphabet gets more than its share.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use jiff::Timestamp;

use super::gate::Gate;
use super::{Action, Assessment, Candidate, Pending, PlanLimits, Snapshot};
use crate::domain::annotations::LAST_UPDATE;
use crate::domain::workload::Workload;

/// What became of the last patch of a workload, as far as others have to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It was answered; what it did cannot be seen while the workload still has this version.
    Answered { resource_version: String },
    /// It was refused, or no answer came, and the workload is left alone for a while.
    InTrouble,
}

/// Rollouts under way.
#[derive(Debug)]
struct UnderWay<'a> {
    limits: &'a PlanLimits,
    total: u32,
    by_namespace: BTreeMap<&'a str, u32>,
}

impl<'a> UnderWay<'a> {
    fn add(&mut self, namespace: &'a str) {
        self.total += 1;
        *self.by_namespace.entry(namespace).or_default() += 1;
    }

    fn of(&self, namespace: &str) -> u32 {
        self.by_namespace.get(namespace).copied().unwrap_or_default()
    }

    /// What keeps another rollout from starting there.
    fn gate(&self, namespace: &str) -> Option<Gate> {
        let own = self.limits.max_rollouts_per_namespace;
        let own = own.filter(|limit| self.of(namespace) >= *limit);
        let all = self.limits.max_rollouts.filter(|limit| self.total >= *limit);
        own.map(|limit| Gate::MaxRolloutsPerNamespace { limit })
            .or(all.map(|limit| Gate::MaxRollouts { limit }))
    }
}

/// Takes from `candidates` the starts that there is no room for now. What is under way goes on, and so does every rollback.
pub(super) fn hold_back(
    assessments: &mut [Assessment],
    candidates: &mut [Candidate],
    snapshot: &Snapshot,
    limits: &PlanLimits,
) {
    if limits.max_rollouts.is_none() && limits.max_rollouts_per_namespace.is_none() {
        return;
    }
    for (index, gate) in held_back(assessments, candidates, snapshot, limits) {
        let (Some(assessment), Some(candidate)) = (assessments.get_mut(index), candidates.get_mut(index))
        else {
            continue;
        };
        candidate.start = None;
        for entry in &mut assessment.containers {
            entry.verdict.wait(gate.clone(), None);
        }
        assessment.pending = Pending::of(&assessment.workload, &assessment.containers, &assessment.action);
    }
}

/// Which of the assessments, and what they wait for.
fn held_back(
    assessments: &[Assessment],
    candidates: &[Candidate],
    snapshot: &Snapshot,
    limits: &PlanLimits,
) -> Vec<(usize, Gate)> {
    let mut under_way = UnderWay {
        limits,
        total: 0,
        by_namespace: BTreeMap::new(),
    };
    let mut last_updates: BTreeMap<&str, Option<Timestamp>> = BTreeMap::new();
    // Of many that wait few have their turn, and only those are put in order.
    let mut waiting: BTreeMap<&str, BinaryHeap<_>> = BTreeMap::new();
    for (index, (assessment, candidate)) in assessments.iter().zip(candidates).enumerate() {
        let namespace = assessment.workload.id.namespace.as_str();
        let last_update = candidate.last_update;
        let newest = last_updates.entry(namespace).or_default();
        *newest = last_update.max(*newest);
        match &assessment.action {
            Action::Follow { .. } | Action::RollBack { .. } | Action::Undo { .. } => under_way.add(namespace),
            Action::Nothing if candidate.start.is_some() => {
                match snapshot.tried.get(&assessment.workload.uid) {
                    Some(Tried::Answered { resource_version })
                        if *resource_version == assessment.workload.resource_version =>
                    {
                        under_way.add(namespace);
                    }
                    // What cannot start takes no place from what can.
                    Some(Tried::InTrouble) => {}
                    Some(Tried::Answered { .. }) | None => {
                        let turn = Reverse((last_update, &assessment.workload.id));
                        waiting.entry(namespace).or_default().push((turn, index));
                    }
                }
            }
            Action::Nothing
            | Action::Start(_)
            | Action::Stop(_)
            | Action::StopForMarker(_)
            | Action::TakenBack(_) => {}
        }
    }
    while let Some(namespace) = waiting
        .keys()
        .filter(|namespace| under_way.gate(namespace).is_none())
        .min_by_key(|namespace| (under_way.of(namespace), last_updates.get(*namespace), **namespace))
        .copied()
    {
        under_way.add(namespace);
        if let Some(turns) = waiting.get_mut(namespace) {
            turns.pop();
            if turns.is_empty() {
                waiting.remove(namespace);
            }
        }
    }
    let rest = waiting.iter().flat_map(|(namespace, turns)| {
        let gate = under_way.gate(namespace);
        turns
            .iter()
            .filter_map(move |(_, index)| Some((*index, gate.clone()?)))
    });
    rest.collect()
}

pub(super) fn last_update(workload: &Workload) -> Option<Timestamp> {
    workload.annotations.get(LAST_UPDATE)?.parse().ok()
}
