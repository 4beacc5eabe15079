//! An update under way, and what comes after one that failed: whether it is undone, and what is held from then on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::undo::Requests;
use super::{Action, Snapshot, Update, init_containers};
use crate::domain::annotations::{LAST_IMAGES, Mode, status_annotations};
use crate::domain::holds::with_holds;
use crate::domain::in_flight::{Cause, ImageChange, InFlight, LastImages, begins};
use crate::domain::reference::ImageReference;
use crate::domain::rollout::{Failure, RolloutStatus};
use crate::domain::watched::Reading;
use crate::domain::workload::Workload;

/// `reading` is `None` where the settings cannot be read. Then nothing is undone, as nobody knows whether that is wanted.
pub(super) fn follow(
    workload: &Workload,
    in_flight: InFlight,
    status: RolloutStatus,
    reading: Option<&Reading>,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Action {
    let failure = match status {
        RolloutStatus::Failed(failure) if in_flight.rollback.is_none() => failure,
        // A rollback that fails is left alone: what it undoes is held already.
        other @ (RolloutStatus::InProgress(_)
        | RolloutStatus::Completed(_)
        | RolloutStatus::Failed(_)
        | RolloutStatus::Superseded { .. }) => {
            let is_complete = matches!(other, RolloutStatus::Completed(_)) && in_flight.rollback.is_none();
            let mut kept = undoable(workload, &in_flight);
            if is_complete {
                kept.extend(promised(workload, &in_flight, snapshot, now));
            }
            return Action::Follow {
                kept,
                in_flight: Box::new(in_flight),
                status: other,
                holds: BTreeMap::new(),
            };
        }
    };
    let failed = in_flight.containers.iter();
    let failed = failed.filter_map(|(name, change)| Some((Some(name.as_str()), change.hold()?)));
    let holds = with_holds(workload, failed);
    match reading.filter(|reading| is_undone(&in_flight, reading)) {
        Some(reading) => Action::RollBack {
            undo: Box::new(undo(
                workload, &in_flight, &failure, reading, snapshot, holds, now,
            )),
            in_flight: Box::new(in_flight),
            failure,
        },
        None => Action::Follow {
            kept: undoable(workload, &in_flight),
            in_flight: Box::new(in_flight),
            status: RolloutStatus::Failed(failure),
            holds,
        },
    }
}

/// What another tool promises to write of an update that is complete.
fn promised(
    workload: &Workload,
    in_flight: &InFlight,
    snapshot: &Snapshot,
    now: Timestamp,
) -> BTreeMap<String, Option<String>> {
    let recorded = |image: &ImageReference| {
        let record = snapshot.recorded(image.repository(), &image.effective_tag()?)?;
        record.last_known().map(|(digest, _)| digest.clone())
    };
    let zone = snapshot.time_zone.clone().unwrap_or(TimeZone::UTC);
    status_annotations(&workload.subject(), in_flight, recorded, &now.to_zoned(zone))
}

/// What is kept of an update that ends, so that somebody can have it undone. A rollback is none, and leaves what there is.
fn undoable(workload: &Workload, in_flight: &InFlight) -> BTreeMap<String, Option<String>> {
    if in_flight.rollback.is_some() {
        return BTreeMap::new();
    }
    let last = LastImages {
        containers: in_flight.containers.clone(),
        revision: workload.rollout.revision(),
    };
    BTreeMap::from([(LAST_IMAGES.to_owned(), Some(last.to_annotation()))])
}

/// When a rollout begins that takes the place of the present one. The controller's clock may be ahead, and its verdict on the
/// present one must not count as one on the next.
pub(super) fn started(workload: &Workload, now: Timestamp) -> Timestamp {
    let begins = begins(&workload.annotations, now);
    let failed_at = workload.rollout.failed_at();
    failed_at.map_or(begins, |failed_at| begins.max(failed_at))
}

/// The same changes, each from the very image that ran where the tag that was written is known to point elsewhere by now: by its name
/// alone something else would come back.
pub(super) fn from_what_ran(
    changes: &BTreeMap<String, ImageChange>,
    snapshot: &Snapshot,
) -> BTreeMap<String, ImageChange> {
    let exact = |change: &ImageChange| {
        let before = change.exact_before()?;
        let record = snapshot.recorded(before.repository(), &before.effective_tag()?)?;
        record.has_left(before.digest()?).then(|| before.to_string())
    };
    let from = |change: &ImageChange| ImageChange {
        from: exact(change).unwrap_or_else(|| change.from.clone()),
        ..change.clone()
    };
    let changes = changes.iter();
    changes
        .map(|(name, change)| (name.clone(), from(change)))
        .collect()
}

/// Where nothing is said, an update that nobody was asked about is undone, and one that somebody agreed to is theirs.
fn is_undone(in_flight: &InFlight, reading: &Reading) -> bool {
    let mut changed = reading
        .watched
        .iter()
        .filter(|watched| in_flight.containers.contains_key(&watched.container))
        .peekable();
    // Nobody watches any more: it is theirs from here.
    if changed.peek().is_none() {
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
    snapshot: &Snapshot,
    holds: BTreeMap<String, String>,
    now: Timestamp,
) -> Update {
    let cause = Cause::Failure(failure.to_string());
    let timeout = reading.settings.rollout_timeout;
    Update {
        init_containers: init_containers(workload, &in_flight.containers),
        // Whoever asks for the same has it.
        spent: Requests::of(workload, None).spent(),
        in_flight: InFlight::undoing(
            &from_what_ran(&in_flight.containers, snapshot),
            &cause,
            started(workload, now),
            timeout,
        )
        .replacing(&workload.rollout),
        holds,
        last_images: None,
    }
}
