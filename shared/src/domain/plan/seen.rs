//! What an updater has seen while it led without a break: the images that workloads had, or got from it, and the updates that it
//! saw end.
//!
//! Losing it costs no update and does none twice. What somebody did while nobody watched is told by what is left of it: annotations,
//! and `ReplicaSets` ([`remembered`](super::remembered)).

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::rollouts::last_update;
use super::taken_back::is_noted;
use super::{Action, Assessment, Plan, Update};
use crate::domain::annotations::{APPROVED, APPROVED_BY, HOLD, IN_FLIGHT, LAST_UPDATE};
use crate::domain::in_flight::InFlight;
use crate::domain::rollout::{Completion, RolloutStatus, Term};
use crate::domain::time::SKEW;
use crate::domain::workload::{Container, Workload};

/// How many updates that ended are remembered of a workload; the oldest go.
const MOST_OVER: usize = 20;

/// How long nobody has followed a rollout before one whose time ended meanwhile has it again. Whoever leads within that goes on from what
/// the one before has found.
const UNLED: SignedDuration = SignedDuration::from_mins(5);

/// The workloads as they were when nothing of them was left to be noted.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// When the last look was; nothing where nobody leads, as where somebody only asks how things stand.
    looked: Option<Timestamp>,
    /// By uid.
    sightings: HashMap<String, Sighting>,
}

/// One of them. What few workloads have is boxed, as there can be many.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    /// Shared with whoever follows the cluster.
    pub(super) workload: Arc<Workload>,
    /// When it was first seen.
    since: Option<Timestamp>,
    over: Vec<InFlight>,
    /// The last update that it got from us.
    began: Option<Box<InFlight>>,
    /// The end that was decided last, and was told or is about to be.
    ending: Option<Box<Ending>>,
    /// The version that a patch of ours was made from, which a watch that lags still shows.
    patched: Option<Box<str>>,
    /// When the last update had ended by what the workload said at the first look, or an older copy of it later.
    known_until: Option<Timestamp>,
    /// Whether it is known what was given to it before that.
    settled: bool,
}

/// That an update has ended.
#[derive(Debug, Clone)]
struct Ending {
    update: InFlight,
    outcome: Outcome,
}

/// How.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Completed(Completion),
    Failed,
    /// By what somebody else wants.
    Left,
}

impl Seen {
    /// That there is a look at `now`.
    pub fn look(&mut self, now: Timestamp) {
        self.looked = Some(now);
    }

    /// Whether anything was seen of it.
    pub(super) fn knows(&self, workload: &Workload) -> bool {
        self.sightings.contains_key(&workload.uid)
    }

    pub(super) fn of(&self, workload: &Workload) -> Option<&Sighting> {
        let sighting = self.sightings.get(&workload.uid);
        sighting.filter(|sighting| !sighting.is_before(workload))
    }

    /// Whether nothing newer than this was seen of it.
    pub fn shows(&self, workload: &Workload) -> bool {
        let sighting = self.sightings.get(&workload.uid);
        sighting.is_some_and(|sighting| sighting.workload.resource_version == workload.resource_version)
    }

    /// Until when a workload knows of what was given to it. What this updater has written down of it meanwhile speaks of what was seen
    /// since the first look.
    pub(super) fn known_until(&self, workload: &Workload) -> Option<Timestamp> {
        let sighting = self.sightings.get(&workload.uid);
        sighting.map_or_else(
            || last_update(workload),
            |sighting| sighting.known_until_by(workload),
        )
    }

    /// Whether it is known what was given to a workload before the first look at it.
    pub(super) fn is_settled(&self, workload: &Workload) -> bool {
        let sighting = self.sightings.get(&workload.uid);
        sighting.is_some_and(|sighting| sighting.is_settled_for(workload))
    }

    /// Takes in what the patch of an update, made from this assessment, has made of a workload: somebody may take that back before
    /// a look shows it, and with it the marker.
    pub fn gave(&mut self, assessment: &Assessment, update: &Update) {
        let Some(sighting) = self.sightings.get_mut(&assessment.workload.uid) else {
            return;
        };
        // Where something was refused in that look, what was seen is older.
        sighting.patched = Some(assessment.workload.resource_version.as_str().into());
        let patched = Arc::make_mut(&mut sighting.workload);
        for container in &mut patched.containers {
            if let Some(change) = update.in_flight.containers.get(&container.name) {
                container.image.clone_from(&change.to);
            }
        }
        sighting.began = Some(Box::new(update.in_flight.clone()));
        let marker = (IN_FLIGHT.to_owned(), update.in_flight.to_annotation());
        patched.annotations.extend([marker]);
    }

    /// Takes in the workloads of which `plan` says something. What has yet to be noted of one is not forgotten by that.
    pub fn take_in(&mut self, plan: &Plan) {
        let assessments = plan.assessments.iter();
        let assessments: HashMap<&str, &Assessment> = assessments
            .map(|assessment| (assessment.workload.uid.as_str(), assessment))
            .collect();
        self.sightings
            .retain(|uid, _| assessments.contains_key(uid.as_str()));
        for assessment in assessments.into_values() {
            match &assessment.action {
                // What it is refused for may be what was seen before.
                _ if !assessment.refused.is_empty() => {}
                Action::Stop(_) | Action::StopForMarker(_) => {}
                Action::TakenBack(_) => self.look_back(&assessment.workload),
                Action::Follow { in_flight, .. }
                    if marker(&assessment.workload).as_ref() != Some(in_flight) => {}
                Action::Nothing
                | Action::Start(_)
                | Action::Follow { .. }
                | Action::RollBack { .. }
                | Action::Undo { .. } => {
                    self.see(&assessment.workload);
                    self.note_end(assessment);
                }
            }
            if matches!(assessment.action, Action::Start(_)) {
                self.settle(&assessment.workload);
            }
        }
    }

    fn settle(&mut self, workload: &Workload) {
        if let Some(sighting) = self.sightings.get_mut(&workload.uid) {
            sighting.settled = true;
        }
    }

    fn look_back(&mut self, workload: &Workload) {
        if let Some(sighting) = self.sightings.get_mut(&workload.uid) {
            sighting.look_back(workload);
        }
    }

    fn note_end(&mut self, assessment: &Assessment) {
        let ending = match &assessment.action {
            Action::Follow {
                in_flight, status, ..
            } => match status {
                RolloutStatus::InProgress(_) => None,
                RolloutStatus::Completed(completion) => Some((in_flight, Outcome::Completed(*completion))),
                RolloutStatus::Failed(_) => Some((in_flight, Outcome::Failed)),
                RolloutStatus::Superseded { .. } => Some((in_flight, Outcome::Left)),
            },
            Action::RollBack { in_flight, .. } => Some((in_flight, Outcome::Failed)),
            Action::Undo { abandoned, .. } => abandoned.as_ref().map(|abandoned| (abandoned, Outcome::Left)),
            Action::Nothing
            | Action::Stop(_)
            | Action::StopForMarker(_)
            | Action::Start(_)
            | Action::TakenBack(_) => None,
        };
        let sighting = self.sightings.get_mut(&assessment.workload.uid);
        if let (Some((update, outcome)), Some(sighting)) = (ending, sighting) {
            sighting.ending = Some(Box::new(Ending {
                update: InFlight::clone(update),
                outcome,
            }));
        }
    }

    fn see(&mut self, workload: &Arc<Workload>) {
        let Some(sighting) = self.sightings.get_mut(&workload.uid) else {
            let sighting = Sighting {
                since: self.looked,
                ..Sighting::of(Arc::clone(workload))
            };
            self.sightings.insert(workload.uid.clone(), sighting);
            return;
        };
        if Arc::ptr_eq(&sighting.workload, workload) || sighting.is_before(workload) {
            return;
        }
        sighting.look_back(workload);
        let before = marker(&sighting.workload);
        if let Some(ended) = before.filter(|before| marker(workload).as_ref() != Some(before)) {
            let dropped = (sighting.over.len() + 1).saturating_sub(MOST_OVER);
            sighting.over.drain(..dropped);
            sighting.over.push(ended);
        }
        sighting.workload = Arc::clone(workload);
        sighting.patched = None;
    }
}

impl Sighting {
    /// Nothing but how it stands.
    pub(super) fn of(workload: Arc<Workload>) -> Self {
        Self {
            known_until: last_update(&workload),
            workload,
            since: None,
            over: Vec::new(),
            began: None,
            ending: None,
            patched: None,
            settled: false,
        }
    }

    /// Annotations of before that were brought back are those of a time that may have to be asked about.
    fn look_back(&mut self, workload: &Workload) {
        self.settled = self.is_settled_for(workload);
        self.known_until = self.known_until_by(workload);
    }

    fn is_settled_for(&self, workload: &Workload) -> bool {
        let is_brought_back = last_update(workload) < last_update(&self.workload);
        !is_brought_back && (self.settled || self.is_decided(workload))
    }

    fn known_until_by(&self, workload: &Workload) -> Option<Timestamp> {
        self.known_until.min(last_update(workload))
    }

    /// Whether somebody has since let something go that was held, or agreed to something. What was left before, they want.
    fn is_decided(&self, workload: &Workload) -> bool {
        let (before, after) = (&self.workload, workload);
        let has_let_go = |(key, held): (&String, &String)| {
            let still = after.annotations.get(key).map_or("", String::as_str);
            let mut held = held.split_whitespace();
            key.ends_with(HOLD) && held.any(|word| !still.split_whitespace().any(|there| there == word))
        };
        let has_agreed = |(key, value): (&String, &String)| {
            let is_approval = key.ends_with(APPROVED) || key.ends_with(APPROVED_BY);
            is_approval && before.annotations.get(key) != Some(value)
        };
        let image_stays =
            |container: &Container| before.image_of(&container.name) == Some(container.image.as_str());
        before.annotations.get(LAST_UPDATE) == after.annotations.get(LAST_UPDATE)
            && after.containers.iter().all(image_stays)
            && (before.annotations.iter().any(has_let_go) || after.annotations.iter().any(has_agreed))
    }

    /// Whether this is the workload as it was before our patch.
    fn is_before(&self, workload: &Workload) -> bool {
        self.patched.as_deref() == Some(workload.resource_version.as_str())
    }
}

/// Whether the update of this marker has ended: then the marker is a copy that `kubectl rollout undo` of a Deployment brought back,
/// and no update whose updater died.
pub(super) fn is_over(marker: &InFlight, workload: &Workload, sighting: Option<&Sighting>) -> bool {
    if sighting.is_some_and(|sighting| sighting.over.contains(marker)) {
        return true;
    }
    // That which we began ourselves and have not seen end is no copy, whoever has changed the template since.
    !is_ours(marker, sighting) && is_brought_back(marker, workload)
}

fn is_ours(marker: &InFlight, sighting: Option<&Sighting>) -> bool {
    sighting.is_some_and(|sighting| sighting.began.as_deref() == Some(marker))
}

/// The update that was under way when somebody took its marker away together with its images, as `kubectl rollout undo` of a
/// Deployment does: it has an end like one whose marker is still there, and that is yet to be told and written down.
pub(super) fn taken_away(workload: &Workload, sighting: Option<&Sighting>) -> Option<InFlight> {
    let sighting = sighting?;
    let lost = marker(&sighting.workload)?;
    let is_written_down = lost.written_end(&workload.annotations) >= Some(lost.started);
    // What an updater undid is written down in its place.
    let mut changes = lost.containers.iter();
    let is_superseded = changes.any(|(container, change)| {
        let is_left = workload.image_of(container) != Some(change.to.as_str());
        is_left && !is_noted(workload, container, &change.to)
    });
    (is_superseded && !is_written_down && !was_found_to_end(&lost, Some(sighting))).then_some(lost)
}

/// Whether a look before this one found that this update has ended, of which people were told or are about to be.
pub(super) fn was_found_to_end(marker: &InFlight, sighting: Option<&Sighting>) -> bool {
    ending_of(marker, sighting).is_some()
}

/// Whether it found that this update has failed.
pub(super) fn was_found_to_fail(marker: &InFlight, sighting: Option<&Sighting>) -> bool {
    ending_of(marker, sighting).is_some_and(|ending| matches!(ending.outcome, Outcome::Failed))
}

/// How it found that this update has completed.
pub(super) fn found_completion(marker: &InFlight, sighting: Option<&Sighting>) -> Option<Completion> {
    match ending_of(marker, sighting)?.outcome {
        Outcome::Completed(completion) => Some(completion),
        Outcome::Failed | Outcome::Left => None,
    }
}

fn ending_of<'a>(marker: &InFlight, sighting: Option<&'a Sighting>) -> Option<&'a Ending> {
    let ending = sighting?.ending.as_deref()?;
    (ending.update == *marker).then_some(ending)
}

/// The time that an update has which is under way, whatever its pods say. The deadline of one that somebody else began is by
/// another clock, and ours may be ahead of it. One whose time ended while nobody followed it has it again: whether it ever rolled out nobody
/// knows, and what is not ready now has just become so, perhaps, with all the rest of the cluster.
pub(super) fn term(marker: &InFlight, workload: &Workload, seen: &Seen) -> Term {
    let is_ours = is_ours(marker, seen.of(workload));
    let allowance = if is_ours { SignedDuration::ZERO } else { SKEW };
    let after = |time: Timestamp, duration| time.checked_add(duration).unwrap_or(Timestamp::MAX);
    let ends = after(marker.deadline, allowance);
    let timeout = ends.duration_since(marker.started);
    let known = seen.sightings.get(&workload.uid);
    let followed = known.map_or(seen.looked, |sighting| sighting.since);
    let renewed = followed.filter(|since| *since > after(ends, UNLED));
    Term {
        ends: renewed.map_or(ends, |since| after(since, timeout)),
        timeout,
        renewed,
        moved: None,
    }
}

/// What tells a copy from the marker itself although nobody saw the end: an update makes the next revision of the template, and
/// whoever brings it back makes a later one, and writes its images themselves. Neither is enough alone: somebody may change the
/// template in the middle of an update, and Git may have the same image.
fn is_brought_back(marker: &InFlight, workload: &Workload) -> bool {
    let revisions = marker.replaced.zip(workload.rollout.revision());
    let is_later = revisions.is_some_and(|(replaced, present)| present > replaced.saturating_add(1));
    let mut changes = marker.containers.iter();
    let has_its_images =
        changes.all(|(container, change)| workload.image_of(container) == Some(change.to.as_str()));
    let mut containers = marker.containers.keys();
    is_later && has_its_images && containers.any(|container| !workload.is_written_by_us(container))
}

/// The marker of an update that is under way, if there is one that can be read.
pub(super) fn marker(workload: &Workload) -> Option<InFlight> {
    InFlight::read(&workload.annotations).ok().flatten()
}
