//! How many rollouts may be under way at once, and whose turn it is.
//!
//! The limits bound what can go wrong at one time, and what nodes have to pull. Those that wait take turns: first the namespace with
//! the fewest rollouts under way, of several the one whose last update is the longest ago, and in it the workload of which that
//! is true. So neither a large namespace nor a name early in the alphabet gets more than its share.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use jiff::Timestamp;

use super::gate::Gate;
use super::readings::Read;
use super::{Action, Assessed, Assessment, Pending, PlanLimits, wait};
use crate::domain::annotations::LAST_UPDATE;
use crate::domain::in_flight::InFlight;
use crate::domain::rollout::RolloutStatus;
use crate::domain::workload::Workload;

/// What became of the last patch of a workload, as far as others have to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It was answered; what it did cannot be seen while the workload still has this version.
    Answered { resource_version: String },
    /// It was refused, or no answer came, and the workload is left alone for a while.
    InTrouble,
}

/// Who is under way and who waits for a turn, taken in while one workload after the other is looked at.
#[derive(Debug, Default)]
pub(super) struct Turns<'a> {
    under_way: u32,
    queues: BTreeMap<&'a str, Queue>,
}

/// The workloads of one namespace.
#[derive(Debug, Default)]
struct Queue {
    under_way: u32,
    /// Of any of them.
    last_update: Option<Timestamp>,
    /// Of many that wait few have their turn, and only those are put in order.
    waiting: BinaryHeap<Turn>,
}

/// The longer ago the last update of a workload, the sooner its turn; then by its place among the assessments.
type Turn = Reverse<(Option<Timestamp>, usize)>;

impl<'a> Turns<'a> {
    /// Takes in a workload, the one that is assessed at `index`.
    pub(super) fn take_in(
        &mut self,
        index: usize,
        workload: &'a Workload,
        assessed: &Assessed,
        tried: Option<&Tried>,
    ) {
        let last_update = last_update(workload);
        let queue = self.queues.entry(&workload.id.namespace).or_default();
        queue.last_update = last_update.max(queue.last_update);
        let is_under_way = match &assessed.action {
            Action::Follow {
                in_flight, status, ..
            } => matches!(status, RolloutStatus::InProgress(_)) && takes_a_place(workload, in_flight),
            // Refused again and again, it moves nothing.
            Action::RollBack { .. } | Action::Undo { .. } => tried != Some(&Tried::InTrouble),
            Action::Nothing if assessed.may_start => match tried {
                Some(Tried::Answered { resource_version })
                    if *resource_version == workload.resource_version =>
                {
                    true
                }
                // What cannot start takes no place from what can.
                Some(Tried::InTrouble) => false,
                Some(Tried::Answered { .. }) | None => {
                    queue.waiting.push(Reverse((last_update, index)));
                    false
                }
            },
            Action::Nothing
            | Action::Start(_)
            | Action::Stop(_)
            | Action::StopForMarker(_)
            | Action::TakenBack(_) => false,
        };
        queue.under_way += u32::from(is_under_way);
        self.under_way += u32::from(is_under_way);
    }

    /// Takes in those of other workloads, which are assessed behind so many others.
    pub(super) fn append(&mut self, others: Self, behind: usize) {
        self.under_way += others.under_way;
        for (namespace, others) in others.queues {
            let queue = self.queues.entry(namespace).or_default();
            queue.under_way += others.under_way;
            queue.last_update = others.last_update.max(queue.last_update);
            let waiting = others.waiting.into_iter();
            queue
                .waiting
                .extend(waiting.map(|Reverse((last_update, index))| Reverse((last_update, index + behind))));
        }
    }

    /// Takes from `starts` those that there is no room for now. What is under way goes on, and so does every rollback.
    pub(super) fn hold_back(
        mut self,
        assessments: &mut [Assessment],
        starts: &mut [Option<Read>],
        limits: &PlanLimits,
    ) {
        if limits.max_rollouts.is_none() && limits.max_rollouts_per_namespace.is_none() {
            return;
        }
        self.give(limits);
        let waiting = self.queues.values().flat_map(|queue| {
            let gate = gate(self.under_way, queue, limits);
            let waiting = queue.waiting.iter();
            waiting.filter_map(move |Reverse((_, index))| Some((*index, gate.clone()?)))
        });
        for (index, gate) in waiting {
            let (Some(assessment), Some(start)) = (assessments.get_mut(index), starts.get_mut(index)) else {
                continue;
            };
            *start = None;
            wait(&mut assessment.containers, &gate, None);
            assessment.pending =
                Pending::of(&assessment.workload, &assessment.containers, &assessment.action);
        }
    }

    /// Gives turns for as long as there is room.
    fn give(&mut self, limits: &PlanLimits) {
        while let Some((_, queue)) = self
            .queues
            .iter_mut()
            .filter(|(_, queue)| !queue.waiting.is_empty() && gate(self.under_way, queue, limits).is_none())
            .min_by_key(|(namespace, queue)| (queue.under_way, queue.last_update, **namespace))
        {
            queue.waiting.pop();
            queue.under_way += 1;
            self.under_way += 1;
        }
    }
}

/// Whether a rollout that is not over takes a place from others: not while somebody has it paused, which can last for ever, nor by a
/// marker alone, which anybody can write who may annotate.
fn takes_a_place(workload: &Workload, in_flight: &InFlight) -> bool {
    let mut containers = in_flight.containers.keys();
    !workload.paused && containers.any(|container| workload.is_written_by_us(container))
}

/// What keeps another rollout of this namespace from starting, where so many are under way in all.
fn gate(under_way: u32, queue: &Queue, limits: &PlanLimits) -> Option<Gate> {
    let own = limits.max_rollouts_per_namespace;
    let own = own.filter(|limit| queue.under_way >= *limit);
    let all = limits.max_rollouts.filter(|limit| under_way >= *limit);
    own.map(|limit| Gate::MaxRolloutsPerNamespace { limit })
        .or(all.map(|limit| Gate::MaxRollouts { limit }))
}

/// When its last update ended, or when it was written down that somebody went back.
pub(super) fn last_update(workload: &Workload) -> Option<Timestamp> {
    workload.annotations.get(LAST_UPDATE)?.parse().ok()
}
