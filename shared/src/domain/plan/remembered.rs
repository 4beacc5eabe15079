//! What was given to a Deployment before this updater looked, by what its `ReplicaSets` say, and whether that is known.
//!
//! Nobody sees a `kubectl rollout undo` while no updater leads, and the Deployment does not tell of it either, as its annotations are
//! those of that time. So no update of it starts before it is known what its `ReplicaSets` say. Once in a term of leadership is
//! enough: from then on this updater sees for itself.

use super::Snapshot;
use super::gate::Gate;
use crate::domain::replica_sets::{Given, ReplicaSetsUnread};
use crate::domain::workload::{Workload, WorkloadKind};

/// What keeps an update of `workload` from starting for as long as nobody knows what was given to it.
pub(super) fn unknown(workload: &Workload, snapshot: &Snapshot) -> Option<Gate> {
    if is_settled(workload, snapshot) {
        return None;
    }
    match snapshot.replica_sets.get(&workload.uid) {
        None => Some(Gate::ReplicaSetsNotAsked),
        Some(Err(ReplicaSetsUnread::Unreadable(problem))) => Some(Gate::ReplicaSetsUnreadable {
            problem: problem.clone(),
        }),
        // As before this could be asked: whoever installed Kubefresh decides what it may read.
        Some(Err(ReplicaSetsUnread::NotAllowed)) => None,
        Some(Ok(_)) => given(workload, snapshot)
            .any(|given| given.is_ahead_of(workload))
            .then_some(Gate::ReplicaSetsNotAsked),
    }
}

/// The same where it is because they cannot be read. Then it takes no place from what can start.
pub(super) fn unreadable(workload: &Workload, snapshot: &Snapshot) -> Option<Gate> {
    let gate = unknown(workload, snapshot)?;
    matches!(gate, Gate::ReplicaSetsUnreadable { .. }).then_some(gate)
}

/// What was given to `workload` that it does not know of, and that nobody watched.
pub(super) fn unseen<'a>(workload: &'a Workload, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Given> {
    // Of most workloads nobody asked anything.
    let is_asked = !snapshot.replica_sets.is_empty() && !is_settled(workload, snapshot);
    let given = is_asked.then(|| given(workload, snapshot)).into_iter().flatten();
    given.filter(|given| !given.is_ahead_of(workload))
}

fn given<'a>(workload: &Workload, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Given> {
    let read = snapshot.replica_sets.get(&workload.uid);
    let sets = read.and_then(|read| read.as_ref().ok());
    let since = snapshot.seen.known_until(workload);
    sets.into_iter().flat_map(move |sets| sets.given_after(since))
}

/// Whether nothing can have been given to it that nobody knows of. Only of a Deployment an undo brings annotations back.
fn is_settled(workload: &Workload, snapshot: &Snapshot) -> bool {
    workload.id.kind != WorkloadKind::Deployment || snapshot.seen.is_settled(workload)
}
