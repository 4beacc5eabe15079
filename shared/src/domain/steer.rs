//! What people decide of a workload: to agree to an update, to hold versions back, to let them go. Each is a change of
//! annotations that they could as well make by hand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::annotations::{CHECK_NOW, HOLD};
use super::holds::with_holds;
use super::plan::{Assessment, ContainerVerdict, Unfit, Verdict, approval_annotation, ask};
use super::policy::Hold;
use super::time::whole_seconds;
use super::workload::{Workload, WorkloadId};

/// Annotations to be set, and to be removed where there is no value; and what that means, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    pub annotations: BTreeMap<String, Option<String>>,
    pub meaning: Vec<String>,
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
}

/// Agrees to what waits for approval, in one container or in all.
pub fn approve(assessment: &Assessment, container: Option<&str>) -> Result<Change, SteerError> {
    let only = assessment.containers.len() == 1;
    let mut change = Change::default();
    for entry in chosen(assessment, container)? {
        let Verdict::AwaitingApproval(target) = &entry.verdict else {
            continue;
        };
        let (key, value) = approval_annotation(&entry.container, only, &entry.image, target);
        change.annotations.insert(key, Some(value));
        change.meaning.push(format!(
            "container {}: {} -> {} is approved",
            entry.container, entry.image, target.image
        ));
    }
    if change.annotations.is_empty() {
        return Err(SteerError::NothingToApprove {
            workload: assessment.workload.clone(),
            why: standing(assessment),
        });
    }
    Ok(change)
}

/// Holds these versions back beside those that are held already; without any, what is offered now.
pub fn hold(
    workload: &Workload,
    assessment: &Assessment,
    container: Option<&str>,
    versions: &[Hold],
) -> Result<Change, SteerError> {
    let mut change = Change::default();
    if !versions.is_empty() {
        chosen(assessment, container)?;
        let versions = versions.iter().map(|version| (container, version.clone()));
        change.hold(workload, versions.collect());
        return Ok(change);
    }
    let chosen = chosen(assessment, container)?;
    let offered = chosen.into_iter().filter_map(|entry| {
        let target = entry.verdict.target()?;
        let new = target.change(&entry.image).what_is_new()?;
        Some((Some(entry.container.as_str()), new))
    });
    change.hold(workload, offered.collect());
    if change.annotations.is_empty() {
        return Err(SteerError::NothingOffered {
            workload: assessment.workload.clone(),
            why: standing(assessment),
        });
    }
    Ok(change)
}

/// Asks for a scan at once. The time makes it another wish than one of before.
pub fn check_now(now: Timestamp) -> Change {
    let value = whole_seconds(now).to_string();
    Change {
        annotations: BTreeMap::from([(CHECK_NOW.to_owned(), Some(value))]),
        meaning: vec!["its repositories are asked at once".to_owned()],
    }
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
                workload: assessment.workload.clone(),
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
