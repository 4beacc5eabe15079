//! Somebody, a person or another controller, went back to an older image: what they left is held from then on.
//!
//! Three things tell of it: what this updater saw before, and, for one that has just come to lead, what the last update gave and what
//! `ReplicaSets` say. The second knows nothing of a `kubectl rollout undo` of a Deployment, which brings back the annotations of that
//! time together with the image, `last-change` among them. In the middle of a rollout that takes away its marker, too, and the end of
//! the rollout is told and written down first (`seen::taken_away`).

use std::collections::{BTreeMap, BTreeSet};

use super::Snapshot;
use super::decide::is_older;
use super::remembered;
use super::rollouts::last_update;
use super::seen::Sighting;
use crate::domain::annotations::{APPROVED, Approved, HOLD, LAST_CHANGE, LAST_UPDATE, Mode, of_container};
use crate::domain::decision::spend;
use crate::domain::holds::with_holds;
use crate::domain::in_flight::{ImageChange, last_given, last_left, summary};
use crate::domain::ownership::Writer;
use crate::domain::policy::{Hold, UpdatePolicy};
use crate::domain::reference::{ImageReference, Tag};
use crate::domain::tag::{TagVersion, on_ladder_of};
use crate::domain::watched::{Reading, Watched};
use crate::domain::workload::Workload;

/// What somebody else did to the images, to be written down before anything else is done with the workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBack {
    /// What they left and what they chose, by container.
    pub changes: BTreeMap<String, ImageChange>,
    /// What they left, by container. None where they chose something newer, by bringing an update back that had ended.
    pub held: BTreeMap<String, Hold>,
    /// The same as annotations, beside what is held already.
    pub holds: BTreeMap<String, String>,
    /// Annotations that agreed to what they left, as they are once that counts no more; `None` goes.
    pub spent_approvals: BTreeMap<String, Option<String>>,
    /// When the update before it ended, as it was written down: it tells this time from the next.
    pub after: Option<String>,
    /// Who chose it, as far as the API server says.
    pub by: Option<Writer>,
}

impl TakenBack {
    /// `checkout: shop/checkout:1.5.0 -> shop/checkout:1.4.0`, one container after the other.
    pub fn summary(&self) -> String {
        summary(&self.changes)
    }

    /// What came of it, as the annotation says it.
    pub fn result(&self) -> String {
        if self.held.is_empty() {
            return "taken over: somebody brought back an update that had ended".to_owned();
        }
        format!("taken back: {} held", self.what_is_held())
    }

    /// `<=1.5.0 is`, or several of them.
    pub fn what_is_held(&self) -> String {
        let held: BTreeSet<String> = self.held.values().map(ToString::to_string).collect();
        let verb = if held.len() == 1 { "is" } else { "are" };
        format!("{} {verb}", Vec::from_iter(held).join(" and "))
    }

    /// The workload as it will be once this is written down.
    pub(super) fn noted(&self, workload: &Workload) -> Workload {
        let mut noted = workload.clone();
        noted.annotations.extend(self.holds.clone());
        for (key, value) in &self.spent_approvals {
            match value {
                Some(value) => noted.annotations.insert(key.clone(), value.clone()),
                None => noted.annotations.remove(key),
            };
        }
        noted
    }
}

/// What was left in one container.
struct Left {
    image: String,
    hold: Hold,
    after: Option<String>,
}

/// `over`: the workload carries the marker of an update that had ended.
pub(super) fn taken_back(
    workload: &Workload,
    reading: &Reading,
    snapshot: &Snapshot,
    over: bool,
) -> Option<TakenBack> {
    let sighting = snapshot.seen.of(workload);
    let left: BTreeMap<&str, (&Watched, Left)> = reading
        .watched
        .iter()
        .filter_map(|watched| {
            let left = left(workload, watched, sighting, snapshot)?;
            Some((watched.container.as_str(), (watched, left)))
        })
        .collect();
    if left.is_empty() && !over {
        return None;
    }
    let held: BTreeMap<String, Hold> = left
        .iter()
        .map(|(container, (_, left))| ((*container).to_owned(), left.hold.clone()))
        .collect();
    let changes = reading.watched.iter().filter_map(|watched| {
        let container = watched.container.as_str();
        let before = match left.get(container) {
            Some((_, left)) => left.image.as_str(),
            None => over.then(|| sighting?.workload.image_of(container)).flatten()?,
        };
        let change = ImageChange {
            from: before.to_owned(),
            to: workload.image_of(container)?.to_owned(),
            digest: None,
            ran: None,
        };
        (change.from != change.to).then(|| (container.to_owned(), change))
    });
    Some(TakenBack {
        changes: changes.collect(),
        holds: with_holds(
            workload,
            left.iter()
                .map(|(container, (_, left))| (Some(*container), left.hold.clone())),
        ),
        spent_approvals: spent_approvals(
            workload,
            left.iter()
                .map(|(container, (watched, left))| (*container, *watched, left.image.as_str())),
        ),
        after: left.values().find_map(|(_, left)| left.after.clone()),
        by: left
            .keys()
            .find_map(|container| workload.other_writer_of(container))
            .cloned(),
        held,
    })
}

fn left(
    workload: &Workload,
    watched: &Watched,
    sighting: Option<&Sighting>,
    snapshot: &Snapshot,
) -> Option<Left> {
    match watched.settings.mode {
        Mode::Auto | Mode::Approve => {}
        // Nothing would be given anyway.
        Mode::Notify | Mode::Off => return None,
    }
    let container = watched.container.as_str();
    let hold = |image: &str| {
        let hold = hold_of_step_back(image, &watched.image, &watched.demand.policy, snapshot)?;
        (!is_held(&hold, watched)).then_some(hold)
    };
    let seen = sighting.and_then(|sighting| {
        let image = sighting.workload.image_of(container)?;
        let left = Left {
            image: image.to_owned(),
            hold: hold(image)?,
            // An undo can bring back an older time, and what was seen can lag behind.
            after: [&sighting.workload, workload]
                .into_iter()
                .max_by_key(|seen| last_update(seen))
                .and_then(|seen| seen.annotations.get(LAST_UPDATE).cloned()),
        };
        (!is_noted(workload, container, image)).then_some(left)
    });
    let given = || {
        // Whoever agrees to something after they went back wants it.
        let image =
            last_given(&workload.annotations, container).filter(|_| watched.settings.approved.is_none())?;
        Some(Left {
            image: image.to_owned(),
            hold: hold(image)?,
            after: workload.annotations.get(LAST_UPDATE).cloned(),
        })
    };
    let agreed = watched.settings.approved.is_some();
    let taken_away = || {
        sighting
            .filter(|_| !agreed)
            .and_then(|sighting| taken_away(workload, container, sighting))
    };
    // What an undo brought back may agree to what it left, so that no such word counts here.
    let remembered = remembered::unseen(workload, snapshot).filter_map(|given| {
        let image = given.images.get(container)?;
        let left = Left {
            image: image.clone(),
            hold: hold(image)?,
            after: given.after.clone(),
        };
        (!is_noted(workload, container, image)).then_some(left)
    });
    let policy = &watched.demand.policy;
    let more = |one: Left, next: Left| {
        let is_more = says_as_much(&next.hold, &one.hold, policy) && next.hold != one.hold;
        if is_more { next } else { one }
    };
    let first = seen.or_else(given).or_else(taken_away);
    first.into_iter().chain(remembered).reduce(more)
}

/// What was noted and held, where the note is gone together with the hold, and the image is the same: somebody has put their own object in
/// the place of ours, as Terraform and `kubectl replace` do. Whoever lifts a hold leaves the note.
fn taken_away(workload: &Workload, container: &str, sighting: &Sighting) -> Option<Left> {
    let noted = sighting.workload.as_ref();
    let present = workload.image_of(container)?;
    let image = last_left(&noted.annotations, container, present)
        .filter(|image| !is_noted(workload, container, image))?;
    let left: ImageReference = image.parse().ok()?;
    let keys = [HOLD.to_owned(), of_container(container, HOLD)];
    let holds_in = |annotations: &BTreeMap<String, String>| -> Vec<Hold> {
        let values = keys.iter().filter_map(|key| annotations.get(key));
        let words = values.flat_map(|value| value.split_whitespace());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let still = holds_in(&workload.annotations);
    let hold = holds_in(&noted.annotations)
        .into_iter()
        .rfind(|hold| is_of(hold, &left) && !still.contains(hold))?;
    Some(Left {
        image: image.to_owned(),
        hold,
        // Each time is the same.
        after: None,
    })
}

/// Whether this was held for the sake of that image.
fn is_of(hold: &Hold, image: &ImageReference) -> bool {
    let is_tag = |tag: &Tag| image.effective_tag().as_ref() == Some(tag);
    match hold {
        Hold::Tag(tag) | Hold::UpTo(tag) => is_tag(tag),
        Hold::Digest(digest) => image.digest() == Some(digest),
        Hold::Image(tag, digest) => is_tag(tag) || image.digest() == Some(digest),
    }
}

/// Whether it is written down already that this image was left for the present one: by a rollback of ours, or by this.
pub(super) fn is_noted(workload: &Workload, container: &str, left: &str) -> bool {
    let Some(present) = workload.image_of(container) else {
        return false;
    };
    let step = format!("{container}: {left} -> {present}");
    let changes = workload.annotations.get(LAST_CHANGE);
    changes.is_some_and(|changes| changes.split(", ").any(|change| change == step))
}

/// What has to be held so that `present` is not left for this one again; `None` where it is no step back.
///
/// Under a tag that stays the same, whatever is not the published digest is one, also none at all: a bare tag brings back what a
/// node has kept under it, and the digest would be written again over that for ever. Somebody who only wants it written without
/// loses nothing by the hold, as their pods go on with that digest, and whatever the tag points at next is offered.
pub(super) fn hold(
    left: &str,
    present: &ImageReference,
    policy: &UpdatePolicy,
    snapshot: &Snapshot,
) -> Option<Hold> {
    let left: ImageReference = left.parse().ok()?;
    if left.repository() != present.repository() {
        return None;
    }
    let (tag, present_tag) = (left.effective_tag()?, present.effective_tag()?);
    if tag != present_tag {
        return is_older(&present_tag, &tag, policy).then_some(Hold::UpTo(tag));
    }
    let digest = left.digest()?;
    let published = snapshot.recorded(present.repository(), &tag);
    // Nobody can tell which digest of a tag is older, but the published one is what would be given again.
    let is_step_back = policy.follows_digest()
        && present.digest() != Some(digest)
        && published.is_some_and(|published| published.digest.as_ref() == Some(digest));
    is_step_back.then(|| Hold::Image(tag, digest.clone()))
}

/// The same of whatever somebody chose: where that is of another ladder, as `1.25` after `1.26.1`, the policy cannot tell which is
/// older, but goes on there to what was left.
fn hold_of_step_back(
    left: &str,
    present: &ImageReference,
    policy: &UpdatePolicy,
    snapshot: &Snapshot,
) -> Option<Hold> {
    let on_another_ladder = || {
        let left: ImageReference = left.parse().ok()?;
        if left.repository() != present.repository() || policy.follows_digest() {
            return None;
        }
        let (left, present) = (left.effective_tag()?, present.effective_tag()?);
        let there = on_ladder_of(&present, &left)?;
        let is_gone_to = policy.options().follow_variants && is_of_same_distribution(&left, &present);
        Some(Hold::UpTo(if is_gone_to { left } else { there }))
    };
    hold(left, present, policy, snapshot).or_else(on_another_ladder)
}

fn is_of_same_distribution(one: &Tag, other: &Tag) -> bool {
    let versions = TagVersion::parse(one).zip(TagVersion::parse(other));
    versions.is_some_and(|(one, other)| one.family().compare_distributions(other.family()).is_some())
}

/// Whether one of the holds that are there says as much as this.
fn is_held(wanted: &Hold, watched: &Watched) -> bool {
    let mut there = watched.settings.held.iter();
    there.any(|there| says_as_much(there, wanted, &watched.demand.policy))
}

fn says_as_much(there: &Hold, wanted: &Hold, policy: &UpdatePolicy) -> bool {
    match (there, wanted) {
        (Hold::UpTo(newest), Hold::UpTo(tag)) => newest == tag || is_older(tag, newest, policy),
        (
            Hold::Tag(_) | Hold::Digest(_) | Hold::Image(..) | Hold::UpTo(_),
            Hold::Tag(_) | Hold::Digest(_) | Hold::Image(..) | Hold::UpTo(_),
        ) => there == wanted,
    }
}

/// What agreed to the very images that are left, by container: an undo can bring that back.
pub(super) fn spent_approvals<'a>(
    workload: &Workload,
    left: impl Iterator<Item = (&'a str, &'a Watched, &'a str)> + Clone,
) -> BTreeMap<String, Option<String>> {
    let words = spend(
        &workload.annotations,
        left.clone().map(|(container, _, _)| container),
    );
    let agreed = left.filter(|(_, watched, left)| {
        let image: Option<ImageReference> = left.parse().ok();
        image.is_some_and(|image| match &watched.settings.approved {
            Some(Approved::Tag(tag)) => image.effective_tag().as_ref() == Some(tag),
            Some(Approved::Digest(digest)) => image.digest() == Some(digest),
            None => false,
        })
    });
    let keys = agreed.flat_map(|(container, _, _)| [of_container(container, APPROVED), APPROVED.to_owned()]);
    let there = keys.filter(|key| workload.annotations.contains_key(key));
    there.map(|key| (key, None)).chain(words).collect()
}
