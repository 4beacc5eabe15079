//! What people decide of a workload: to agree to an update, to hold versions back, to let them go. Each is a change of
//! annotations that they could as well make by hand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::annotations::{CHECK_NOW, HOLD, LAST_CHANGE, LAST_UPDATE};
use super::approval_link::{hashed, offer};
use super::approvals::Objection;
use super::decision::{Decider, Decision, Entry, Journal, JournalError};
use super::holds::with_holds;
use super::plan::{Assessment, ContainerVerdict, Target, Unfit, Verdict, approval_annotation, ask};
use super::policy::Hold;
use super::time::whole_seconds;
use super::workload::{Workload, WorkloadId};

/// Annotations to be set, and to be removed where there is no value; and what that means, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    pub annotations: BTreeMap<String, Option<String>>,
    pub meaning: Vec<String>,
    /// What of it is on an offer.
    offers: Vec<OnOffer>,
}

/// What is decided on what a container is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OnOffer {
    container: String,
    offer: String,
    meaning: String,
}

/// Somebody's word, to be written down beside what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    pub decision: Decision,
    pub by: &'a Decider,
    /// The end of the link by which it was given.
    pub link_until: Option<Timestamp>,
}

/// Why there is nothing that could be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SteerError {
    #[error("{workload} has no watched container {container}; it has {watched}")]
    NoContainer {
        workload: WorkloadId,
        container: String,
        watched: String,
    },
    #[error("nothing of {workload} waits for approval: {why}")]
    NothingToApprove { workload: WorkloadId, why: String },
    #[error("{workload} is offered nothing that could be held; name a version: {why}")]
    NothingOffered { workload: WorkloadId, why: String },
    #[error("the last update of {workload} cannot be undone: {why}")]
    NothingToUndo { workload: WorkloadId, why: Box<Unfit> },
    #[error("{workload} holds nothing back")]
    NothingHeld { workload: WorkloadId },
    #[error("{workload} does not hold {hold} back; it holds {held}")]
    NotHeld {
        workload: WorkloadId,
        hold: Box<Hold>,
        held: String,
    },
    #[error("nothing of {workload} is offered: {why}")]
    NothingToLeave { workload: WorkloadId, why: String },
    #[error("no container of {workload} is looked at now, so no scan would be made for it: {why}")]
    NothingToCheck { workload: WorkloadId, why: String },
    #[error(transparent)]
    NoDifference(#[from] Objection),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// By what an update is agreed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// By its tag, and by its digest where that is all that is new.
    Tag,
    /// By its digest, where that is known: a tag could be moved to something that nobody was shown.
    Digest,
}

/// Agrees to what waits for approval, in one container or in all.
pub fn approve(
    assessment: &Assessment,
    container: Option<&str>,
    exactness: Exactness,
    by: &Decider,
) -> Result<Change, SteerError> {
    let only = assessment.containers.len() == 1;
    let mut change = Change::default();
    let mut objection = None;
    for entry in chosen(assessment, container)? {
        let Some(target) = entry.verdict.approvable() else {
            continue;
        };
        let step = step(entry, target);
        let offer = offer(&assessment.workload.uid, entry, target);
        if let Some(approvals) = target.approvals() {
            match approvals.objection(by) {
                Some(against) => objection = Some(against),
                None => change.on(entry, offer, format!("{step} has {}", approvals.clone().with(by))),
            }
            continue;
        }
        let (key, value) = approval_annotation(&entry.container, only, &entry.image, target);
        let digest = target.digest.as_ref().filter(|_| exactness == Exactness::Digest);
        change
            .annotations
            .insert(key, Some(digest.map_or(value, ToString::to_string)));
        change.on(entry, offer, format!("{step} is approved"));
    }
    if let (true, Some(objection)) = (change.offers.is_empty(), objection) {
        return Err(objection.into());
    }
    if change.offers.is_empty() {
        return Err(SteerError::NothingToApprove {
            workload: assessment.workload.id.clone(),
            why: standing(assessment),
        });
    }
    Ok(change)
}

/// Holds these versions back beside those that are held already; without any, what is offered now.
pub fn hold(
    assessment: &Assessment,
    container: Option<&str>,
    versions: &[Hold],
) -> Result<Change, SteerError> {
    let (workload, chosen) = (&assessment.workload, chosen(assessment, container)?);
    let mut change = Change::default();
    if !versions.is_empty() {
        let versions = versions.iter().map(|version| (container, version.clone()));
        change.hold(workload, versions.collect());
        return Ok(change);
    }
    let offered = chosen.iter().filter_map(|entry| {
        let target = entry.verdict.target()?;
        let new = target.change(&entry.image).what_is_new()?;
        let meaning = format!("{new} is skipped in container {}", entry.container);
        change.offers.push(OnOffer {
            container: entry.container.clone(),
            offer: offer(&workload.uid, entry, target),
            meaning,
        });
        Some((Some(entry.container.as_str()), new))
    });
    let offered: Vec<(Option<&str>, Hold)> = offered.collect();
    change.hold(workload, offered);
    if change.annotations.is_empty() {
        return Err(SteerError::NothingOffered {
            workload: workload.id.clone(),
            why: standing(assessment),
        });
    }
    Ok(change)
}

fn step(entry: &ContainerVerdict, target: &Target) -> String {
    let ContainerVerdict { container, image, .. } = entry;
    format!("container {container}: {image} -> {}", target.image)
}

/// Leaves what is offered as it is.
pub fn not_now(assessment: &Assessment, container: Option<&str>) -> Result<Change, SteerError> {
    let mut change = Change::default();
    for entry in chosen(assessment, container)? {
        if let Some(target) = entry.verdict.target() {
            let meaning = format!("{} is left for later", step(entry, target));
            change.on(entry, offer(&assessment.workload.uid, entry, target), meaning);
        }
    }
    if change.offers.is_empty() {
        return Err(SteerError::NothingToLeave {
            workload: assessment.workload.id.clone(),
            why: standing(assessment),
        });
    }
    Ok(change)
}

/// Asks for a scan at once. The time makes it another wish than one of before.
pub fn check_now(assessment: &Assessment, now: Timestamp) -> Result<Change, SteerError> {
    let mut verdicts = assessment.containers.iter().map(|entry| &entry.verdict);
    if verdicts.all(|verdict| matches!(verdict, Verdict::PassedOver(_))) {
        return Err(SteerError::NothingToCheck {
            workload: assessment.workload.id.clone(),
            why: standing(assessment),
        });
    }
    let value = whole_seconds(now).to_string();
    Ok(Change {
        annotations: BTreeMap::from([(CHECK_NOW.to_owned(), Some(value))]),
        meaning: vec!["its repositories are asked at once".to_owned()],
        offers: Vec::new(),
    })
}

/// The last update of a workload, so exactly that no other has the same name: who was shown it undoes that one or none.
pub fn last_update(workload: &Workload) -> String {
    let said = |key| workload.annotations.get(key).map_or("", String::as_str);
    hashed(&[&workload.uid, said(LAST_CHANGE), said(LAST_UPDATE)])
}

/// Asks for the last update to be undone, in one container or in all that it changed.
pub fn rollback(workload: &Workload, container: Option<&str>) -> Result<Change, SteerError> {
    let asked = ask(workload, container).map_err(|why| SteerError::NothingToUndo {
        workload: workload.id.clone(),
        why: Box::new(why),
    })?;
    let meaning = asked.changes.iter().map(|(name, change)| {
        format!(
            "container {name}: {} -> {} is asked for",
            change.to,
            change.image_before()
        )
    });
    Ok(Change {
        meaning: meaning.collect(),
        annotations: asked
            .annotations
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect(),
        offers: Vec::new(),
    })
}

/// Lets these versions go; without any, all that are held for the container or the whole workload.
pub fn release(
    workload: &Workload,
    container: Option<&str>,
    versions: &[Hold],
) -> Result<Change, SteerError> {
    let is_chosen = |key: &str| {
        let own = key.strip_suffix(HOLD).and_then(|rest| rest.strip_suffix('.'));
        let is_hold = key == HOLD || own.is_some();
        is_hold && container.is_none_or(|container| own == Some(container))
    };
    let annotations = workload.annotations.iter();
    let held: Vec<(&String, Vec<&str>)> = annotations
        .filter(|(key, _)| is_chosen(key))
        .map(|(key, value)| (key, value.split_whitespace().collect()))
        .collect();
    let all: Vec<&str> = held.iter().flat_map(|(_, words)| words.iter().copied()).collect();
    let missing = versions
        .iter()
        .find(|version| !all.contains(&version.to_string().as_str()));
    if let Some(hold) = missing.filter(|_| !all.is_empty()) {
        return Err(SteerError::NotHeld {
            workload: workload.id.clone(),
            hold: Box::new(hold.clone()),
            held: all.join(", "),
        });
    }
    if all.is_empty() {
        return Err(SteerError::NothingHeld {
            workload: workload.id.clone(),
        });
    }
    let is_released =
        |word: &str| versions.is_empty() || versions.iter().any(|version| version.to_string() == word);
    let mut change = Change::default();
    for (key, words) in held {
        let (released, kept): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_released(word));
        if released.is_empty() {
            continue;
        }
        let left = (!kept.is_empty()).then(|| kept.join(" "));
        change.annotations.insert(key.clone(), left);
        change
            .meaning
            .push(format!("{} is no longer held by {key}", released.join(", ")));
    }
    Ok(change)
}

impl Change {
    /// It means this, of an offer.
    fn on(&mut self, entry: &ContainerVerdict, offer: String, meaning: String) {
        self.meaning.push(meaning.clone());
        self.offers.push(OnOffer {
            container: entry.container.clone(),
            offer,
            meaning,
        });
    }

    /// The same with who decided it, which is written in the same patch.
    pub fn signed(mut self, workload: &Workload, word: Word<'_>, now: Timestamp) -> Result<Self, SteerError> {
        let Word {
            decision,
            by,
            link_until,
        } = word;
        let entries = self.offers.iter().map(|on| Entry {
            container: Some(on.container.clone()),
            offer: Some(on.offer.clone()),
            link_until,
            ..Entry::new(decision, by, &on.meaning, now)
        });
        let mut entries: Vec<Entry> = entries.collect();
        if entries.is_empty() {
            entries.push(Entry::new(decision, by, &self.meaning.join("; "), now));
        }
        let written = Journal::read(&workload.annotations)?.with(entries, now)?;
        let written = written.into_iter().map(|(key, value)| (key, Some(value)));
        self.annotations.extend(written);
        Ok(self)
    }

    /// Holds these beside what is held: for a container, or for all.
    fn hold(&mut self, workload: &Workload, versions: Vec<(Option<&str>, Hold)>) {
        let named: BTreeSet<String> = versions.iter().map(|(_, version)| version.to_string()).collect();
        for (key, value) in with_holds(workload, versions) {
            let held: Vec<&str> = value.split(' ').collect();
            let new = held.iter().filter(|word| named.contains(**word));
            self.meaning
                .extend(new.map(|word| format!("{word} is held by {key}")));
            let before = workload.annotations.get(&key).map_or("", String::as_str);
            let dropped = before.split_whitespace().filter(|word| !held.contains(word));
            self.meaning.extend(
                dropped.map(|word| format!("{word} is no longer held by {key}, which keeps the latest only")),
            );
            self.annotations.insert(key, Some(value));
        }
    }
}

/// The containers that a person speaks of.
fn chosen<'a>(
    assessment: &'a Assessment,
    container: Option<&str>,
) -> Result<Vec<&'a ContainerVerdict>, SteerError> {
    let entries = assessment.containers.iter();
    let chosen: Vec<&ContainerVerdict> = entries
        .filter(|entry| container.is_none_or(|name| entry.container == name))
        .collect();
    match container {
        Some(container) if chosen.is_empty() => {
            let watched = assessment.containers.iter().map(|entry| entry.container.as_str());
            Err(SteerError::NoContainer {
                workload: assessment.workload.id.clone(),
                container: container.to_owned(),
                watched: watched.collect::<Vec<_>>().join(", "),
            })
        }
        Some(_) | None => Ok(chosen),
    }
}

/// How the containers stand, for an error.
fn standing(assessment: &Assessment) -> String {
    let lines = assessment
        .containers
        .iter()
        .map(|entry| format!("container {}: {}", entry.container, entry.verdict));
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        "kubefresh-updater plan says why".to_owned()
    } else {
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests;
