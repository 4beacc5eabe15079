//! An update under way, and what comes after one that failed: whether it is undone, and what is held from then on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Action, Update};
use crate::domain::annotations::{Mode, status_annotations};
use crate::domain::holds::with_holds;
use crate::domain::in_flight::InFlight;
use crate::domain::rollout::{Failure, RolloutStatus};
use crate::domain::watched::Reading;
use crate::domain::workload::Workload;

/// `reading` is `None` where the settings cannot be read. Then nothing is undone, as nobody knows whether that is wanted.
pub(super) fn follow(
    workload: &Workload,
    in_flight: InFlight,
    status: RolloutStatus,
    reading: Option<&Reading>,
    now: Timestamp,
) -> Action {
    let (status, failure) = match status {
        RolloutStatus::Failed(failure) if in_flight.rollback.is_none() => {
            (RolloutStatus::Failed(failure.clone()), failure)
        }
        // A rollback that fails is left alone: what it undoes is held already.
        other @ (RolloutStatus::InProgress(_)
        | RolloutStatus::Completed(_)
        | RolloutStatus::Failed(_)
        | RolloutStatus::Superseded { .. }) => {
            let is_complete = matches!(other, RolloutStatus::Completed(_)) && in_flight.rollback.is_none();
            return Action::Follow {
                promised: if is_complete {
                    status_annotations(&workload.subject(), &in_flight, now)
                } else {
                    BTreeMap::new()
                },
                in_flight,
                status: other,
                holds: BTreeMap::new(),
            };
        }
    };
    let failed = in_flight.containers.iter();
    let failed = failed.filter_map(|(name, change)| Some((name.as_str(), change.hold()?)));
    let holds = with_holds(workload, failed);
    match reading.filter(|reading| is_undone(workload, &in_flight, reading)) {
        Some(reading) => Action::RollBack {
            undo: undo(workload, &in_flight, &failure, reading, holds, now),
            in_flight,
            failure,
        },
        None => Action::Follow {
            in_flight,
            status,
            holds,
            promised: BTreeMap::new(),
        },
    }
}

/// Where nothing is said, an update that nobody was asked about is undone, and one that somebody agreed to is theirs.
fn is_undone(workload: &Workload, in_flight: &InFlight, reading: &Reading) -> bool {
    let mut changed = reading
        .watched
        .iter()
        .filter(|watched| in_flight.containers.contains_key(&watched.container))
        .peekable();
    // Nobody watches any more, or somebody stopped it: it is theirs from here.
    if changed.peek().is_none() || workload.paused {
        return false;
    }
    let by_mode = || changed.any(|watched| watched.settings.mode == Mode::Auto);
    reading.settings.rollback.unwrap_or_else(by_mode)
}

fn undo(
    workload: &Workload,
    in_flight: &InFlight,
    failure: &Failure,
    reading: &Reading,
    holds: BTreeMap<String, String>,
    now: Timestamp,
) -> Update {
    // The controller's clock may be ahead, and its verdict on this rollout must not count as one on the next.
    let started = workload
        .rollout
        .failed_at()
        .map_or(now, |failed_at| now.max(failed_at));
    let init = workload
        .containers
        .iter()
        .filter(|container| container.init && in_flight.containers.contains_key(&container.name));
    Update {
        init_containers: init.map(|container| container.name.clone()).collect(),
        spent_approvals: BTreeSet::new(),
        in_flight: in_flight.undone(&failure.to_string(), started, reading.settings.rollout_timeout),
        holds,
    }
}
