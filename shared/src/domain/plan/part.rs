//! The workloads one by one, each as if it were the only one. Where they are many, two threads take half of them each: most of the
//! time goes by in waiting for memory.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::readings::Read;
use super::rollouts::Turns;
use super::undo::Requests;
use super::{Action, Assessed, Assessment, Channels, Pending, PlanLimits, Snapshot, assess, next_look};
use crate::domain::channel::Channel;
use crate::domain::watched::{Problem, Reading};
use crate::domain::workload::Workload;

/// Fewer workloads are not worth other threads, nor the memory that those take for themselves.
const MANY: usize = 2000;

/// They stay, as a pattern keeps memory for every thread that ever ran it. `None` where there are no more threads to be had.
static THREADS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let threads = ThreadPoolBuilder::new().num_threads(2);
    threads
        .thread_name(|number| format!("plan-{number}"))
        .build()
        .ok()
});

/// What was found out about some of the workloads.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) assessments: Vec<Assessment>,
    /// What the workload of each says, where an update of it may start.
    pub(super) starts: Vec<Option<Read>>,
    pub(super) turns: Turns<'a>,
    pub(super) channels: Channels,
    /// When there will be something else to do with any of them. Whether an update waits for its turn has no part in that.
    pub(super) next_look: Option<Timestamp>,
}

impl<'a> Part<'a> {
    /// All that are in the snapshot, in its order.
    pub(super) fn whole(snapshot: &'a Snapshot, limits: &PlanLimits, now: Timestamp) -> Self {
        if snapshot.workloads.len() < MANY || limits.threads < 2 {
            Self::by_one(snapshot, limits, now)
        } else {
            Self::by_two(snapshot, limits, now)
        }
    }

    pub(super) fn by_one(snapshot: &'a Snapshot, limits: &PlanLimits, now: Timestamp) -> Self {
        let workloads = snapshot.workloads.as_slice();
        Self::of(workloads, workloads.len(), snapshot, limits, now)
    }

    pub(super) fn by_two(snapshot: &'a Snapshot, limits: &PlanLimits, now: Timestamp) -> Self {
        let workloads = snapshot.workloads.as_slice();
        let (first, second) = workloads.split_at(workloads.len() / 2);
        let part = |workloads, room| Self::of(workloads, room, snapshot, limits, now);
        let Some(threads) = &*THREADS else {
            return part(workloads, workloads.len());
        };
        let (mut whole, others) =
            threads.join(|| part(first, workloads.len()), || part(second, second.len()));
        whole.append(others);
        whole
    }

    /// With room for so many, the greatest number there can be: growing would copy them again and again.
    fn of(
        workloads: &'a [Arc<Workload>],
        room: usize,
        snapshot: &'a Snapshot,
        limits: &PlanLimits,
        now: Timestamp,
    ) -> Self {
        let mut part = Self {
            assessments: Vec::with_capacity(room),
            starts: Vec::with_capacity(room),
            turns: Turns::default(),
            channels: Channels::new(),
            next_look: None,
        };
        let there = workloads.iter().filter(|workload| workload.deleted_at.is_none());
        for workload in there {
            part.look(workload, snapshot, limits, now);
        }
        part
    }

    fn look(
        &mut self,
        workload: &'a Arc<Workload>,
        snapshot: &Snapshot,
        limits: &PlanLimits,
        now: Timestamp,
    ) {
        let layer = snapshot.namespaces.layer(&workload.id.namespace);
        let read = layer.map(|layer| snapshot.readings.of(workload, layer));
        let requests = Requests::in_snapshot(workload, snapshot);
        let Some(assessed) = assess(workload, read.as_deref(), &requests, snapshot, limits, now) else {
            return;
        };
        let tried = snapshot.tried.get(&workload.uid);
        self.turns
            .take_in(self.assessments.len(), workload, &assessed, tried);
        let Assessed {
            containers,
            action,
            may_start,
        } = assessed;
        let wanted = read.as_deref().and_then(wanted_channels);
        self.channels
            .extend(wanted.map(|wanted| (workload.id.clone(), wanted)));
        self.look_again(next_look(workload, &containers, &action, snapshot));
        // Where an update may start, that is told once it is known whose turn it is.
        let pending = if may_start {
            Pending::Unchanged
        } else {
            Pending::of(workload, &containers, &action)
        };
        self.starts.push(read.filter(|_| may_start));
        self.assessments.push(Assessment {
            workload: Arc::clone(workload),
            containers,
            prospect: prospect(workload, &action),
            action,
            pending,
            refused: requests.refused,
        });
    }

    /// Those that follow.
    fn append(&mut self, mut next: Self) {
        self.turns.append(next.turns, self.assessments.len());
        self.assessments.append(&mut next.assessments);
        self.starts.append(&mut next.starts);
        self.channels.append(&mut next.channels);
        self.look_again(next.next_look);
    }

    fn look_again(&mut self, at: Option<Timestamp>) {
        self.next_look = self.next_look.into_iter().chain(at).min();
    }
}

/// Where its settings cannot be read, people are told so on all channels.
fn wanted_channels(read: &Result<Reading, Vec<Problem>>) -> Option<Arc<BTreeSet<Channel>>> {
    read.as_ref().ok()?.settings.channels.clone()
}

/// Those who keep several of its images are named once.
fn prospect(workload: &Workload, action: &Action) -> Option<String> {
    let (Action::Follow { in_flight, .. } | Action::RollBack { in_flight, .. }) = action else {
        return None;
    };
    let containers = in_flight.containers.keys();
    let keepers = containers.filter_map(|container| workload.keeper_of(container));
    let prospects: BTreeSet<String> = keepers.map(|keeper| keeper.prospect()).collect();
    (!prospects.is_empty()).then(|| Vec::from_iter(prospects).join("; "))
}
