//! Somebody asks for the last update to be undone. They name what is to be left, so a request undoes that update and no other,
//! however late it is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::seen::{Sighting, is_over, marker};
use super::taken_back::{self, spent_approvals};
use super::{Snapshot, Update, init_containers, rollback};
use crate::domain::annotations::{UNDO, parse_undo};
use crate::domain::holds::with_holds;
use crate::domain::in_flight::{Cause, ImageChange, InFlight, LastImages};
use crate::domain::policy::Hold;
use crate::domain::watched::Reading;
use crate::domain::workload::Workload;

/// A request that nothing comes of. It is told and taken away, so that it cannot come to fit later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedUndo {
    /// The annotation.
    pub key: String,
    pub value: String,
    pub why: Unfit,
}

/// Why an update is not undone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("no update is written down that could be undone")]
    NothingToUndo,
    #[error("what is written down of the last update cannot be read ({0})")]
    Unreadable(String),
    #[error("that is not what the last update gave; it gave {given}")]
    NotGiven { given: String },
    #[error("container {container} has {image} by now, and the last update gave {given}")]
    ChangedSince {
        container: String,
        image: String,
        given: String,
    },
    #[error("a rollback is under way, and none is undone")]
    RollbackUnderWay,
    #[error("the rollout is paused; resume it first (kubectl rollout resume)")]
    Paused,
    #[error(
        "it may have come back with an older template, as kubectl rollout undo brings one; if it is meant, ask again"
    )]
    BroughtBack,
}

/// What a person would ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub annotations: BTreeMap<String, String>,
    /// What is undone, by container: from what it had before to what it has.
    pub changes: BTreeMap<String, ImageChange>,
}

/// What would ask for the last update to be undone, in one container or in all of them.
pub fn ask(workload: &Workload, container: Option<&str>) -> Result<Asked, Unfit> {
    let last = Last::of(workload, None)?;
    let named = last.containers.into_iter().filter_map(|(name, change)| {
        let is_wanted = container.is_none_or(|container| container == name);
        let left = change.what_is_new().filter(|_| is_wanted)?;
        Some((name, change, left))
    });
    let (mut annotations, mut changes) = (BTreeMap::new(), BTreeMap::new());
    for (name, change, left) in named {
        annotations.insert(workload.annotation_of(&name, UNDO), left.to_string());
        changes.insert(name, change);
    }
    let mut asking = workload.clone();
    asking.annotations.extend(annotations.clone());
    let requests = Requests::of(&asking, Some(&Sighting::of(Arc::new(workload.clone()))));
    match requests.refused.into_iter().next() {
        Some(refused) => Err(refused.why),
        None if annotations.is_empty() => Err(Unfit::NothingToUndo),
        None => Ok(Asked { annotations, changes }),
    }
}

/// What is asked of a workload.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// What is to be undone, by container.
    fitting: BTreeMap<String, ImageChange>,
    /// The annotations that asked for it, as keys and values.
    keys: BTreeMap<String, String>,
    pub(super) refused: Vec<RefusedUndo>,
}

impl Requests {
    /// What is asked of nearly all workloads is nothing, and then nobody has to know what was seen of them.
    pub(super) fn in_snapshot(workload: &Workload, snapshot: &Snapshot) -> Self {
        if !is_asked(workload) {
            return Self::default();
        }
        Self::of(workload, snapshot.seen.of(workload))
    }

    /// A value that is none stops the workload, as with any other key, and is nothing here.
    pub(super) fn of(workload: &Workload, sighting: Option<&Sighting>) -> Self {
        let mut requests = Self::default();
        for (key, value) in &workload.annotations {
            let Some((container, named)) = request(key, value) else {
                continue;
            };
            match fitting(workload, sighting, container, &named) {
                Ok(changes) => {
                    requests.fitting.extend(changes);
                    requests.keys.insert(key.clone(), value.clone());
                }
                Err(why) => requests.refused.push(RefusedUndo {
                    key: key.clone(),
                    value: value.clone(),
                    why,
                }),
            }
        }
        requests
    }

    /// The annotations that asked for what fits: they go.
    pub(super) fn spent(self) -> BTreeMap<String, Option<String>> {
        self.keys.into_keys().map(|key| (key, None)).collect()
    }
}

/// Whether anybody asks for anything.
pub(super) fn is_asked(workload: &Workload) -> bool {
    let mut annotations = workload.annotations.iter();
    annotations.any(|(key, value)| request(key, value).is_some())
}

/// The update that undoes what somebody asked for, if anybody did.
pub(super) fn undo(
    workload: &Workload,
    requests: &Requests,
    reading: &Reading,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Option<Update> {
    let Requests { fitting, keys, .. } = requests;
    if fitting.is_empty() {
        return None;
    }
    let last = Last::of(workload, snapshot.seen.of(workload)).ok()?;
    let (undone, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = last
        .containers
        .into_iter()
        .partition(|(container, _)| fitting.contains_key(container));
    let by: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let started = rollback::started(workload, now);
    let timeout = reading.settings.rollout_timeout;
    let cause = Cause::Request(by.join(" and "));
    let back = rollback::from_what_ran(&undone, snapshot);
    let mut in_flight = InFlight::undoing(&back, &cause, started, timeout).replacing(&workload.rollout);
    if last.is_under_way {
        // They are part of the same rollout, and it is not over for them either.
        in_flight.containers.extend(rest.clone());
    }
    let holds: Vec<(Option<&str>, Hold)> = undone
        .iter()
        .filter_map(|(container, change)| {
            let watched = reading.container(container);
            let back = in_flight.containers.get(container)?.to.parse().ok();
            let older = watched.zip(back).and_then(|(watched, back)| {
                taken_back::hold(&change.to, &back, &watched.demand.policy, snapshot)
            });
            Some((Some(container.as_str()), older.or_else(|| change.hold())?))
        })
        .collect();
    let left = undone.iter().filter_map(|(container, change)| {
        let watched = reading.container(container)?;
        Some((container.as_str(), watched, change.to.as_str()))
    });
    let approvals = spent_approvals(workload, left);
    Some(Update {
        init_containers: init_containers(workload, &in_flight.containers),
        spent: keys
            .keys()
            .map(|key| (key.clone(), None))
            .chain(approvals)
            .collect(),
        holds: with_holds(workload, holds),
        in_flight,
        last_images: (!rest.is_empty()).then_some(LastImages {
            containers: rest,
            revision: None,
        }),
    })
}

/// The container that an annotation asks for (`None`: all of them), and what is to be left.
fn request<'a>(key: &'a str, value: &str) -> Option<(Option<&'a str>, Hold)> {
    let container = match key.strip_suffix(UNDO)? {
        "" => None,
        own => Some(own.strip_suffix('.')?),
    };
    Some((container, parse_undo(value).ok()?))
}

/// What a request undoes.
fn fitting(
    workload: &Workload,
    sighting: Option<&Sighting>,
    container: Option<&str>,
    named: &Hold,
) -> Result<BTreeMap<String, ImageChange>, Unfit> {
    let mut last = Last::of(workload, sighting)?;
    last.containers
        .retain(|name, _| container.is_none_or(|container| container == name));
    if last.containers.is_empty() {
        return Err(Unfit::NothingToUndo);
    }
    let given = || {
        let given = last.containers.iter();
        let given = given.map(|(name, change)| format!("container {name} {}", change.to));
        given.collect::<Vec<_>>().join(", ")
    };
    let mut changes = last.containers.clone();
    changes.retain(|_, change| change.is_named_by(named));
    if changes.is_empty() {
        return Err(Unfit::NotGiven { given: given() });
    }
    let has_changed =
        |(name, change): &(&String, &ImageChange)| workload.image_of(name) != Some(change.to.as_str());
    if let Some((name, change)) = changes.iter().find(has_changed) {
        return Err(Unfit::ChangedSince {
            container: name.clone(),
            image: workload.image_of(name).unwrap_or("no image").to_owned(),
            given: change.to.clone(),
        });
    }
    if !last.is_under_way && may_have_come_back(workload, sighting, &last, &changes) {
        return Err(Unfit::BroughtBack);
    }
    if workload.paused {
        return Err(Unfit::Paused);
    }
    Ok(changes)
}

/// Whether a request may be an old one that came back together with an older template. That of an update under way is none: its
/// marker would have come back as well.
fn may_have_come_back(
    workload: &Workload,
    sighting: Option<&Sighting>,
    last: &Last,
    changes: &BTreeMap<String, ImageChange>,
) -> bool {
    let Some(sighting) = sighting else {
        // Whoever comes to lead saw nothing, and the controller's count tells as much.
        let revision = workload.rollout.revision();
        return last.revision.is_some_and(|made| revision != Some(made));
    };
    let before = &sighting.workload;
    let mut changes = changes.iter();
    changes.any(|(name, change)| before.image_of(name) != Some(change.to.as_str()))
}

/// The last update.
struct Last {
    containers: BTreeMap<String, ImageChange>,
    /// Which revision of the pod template it made, where that is known.
    revision: Option<i64>,
    is_under_way: bool,
}

impl Last {
    /// That which is under way, or that which has ended.
    fn of(workload: &Workload, sighting: Option<&Sighting>) -> Result<Self, Unfit> {
        match marker(workload).filter(|marker| !is_over(marker, workload, sighting)) {
            Some(marker) if marker.rollback.is_some() => Err(Unfit::RollbackUnderWay),
            Some(marker) => Ok(Self {
                containers: marker.containers,
                revision: None,
                is_under_way: true,
            }),
            None => LastImages::read(&workload.annotations)
                .map_err(Unfit::Unreadable)?
                .map(|last| Self {
                    containers: last.containers,
                    revision: last.revision,
                    is_under_way: false,
                })
                .ok_or(Unfit::NothingToUndo),
        }
    }
}
