//! What the `ReplicaSets` of a Deployment say of updates that the Deployment itself may not know of any more.
//!
//! Its controller copies its annotations to the newest of them whenever they change and never takes one away, so that the `ReplicaSet`
//! of what an update gave keeps the marker of that update, and its result. `kubectl rollout undo` puts what an older one has in the
//! place of the Deployment's own annotations.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::annotations::LAST_UPDATE;
use super::in_flight::{InFlight, last_given};
use super::rollout::deployment;
use super::workload::Workload;

/// What was learned of the `ReplicaSets` of one Deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaSets {
    given: Vec<Given>,
}

/// Images that an update, or somebody who went back, gave the Deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    /// By container; those that it has now are left out.
    pub(super) images: BTreeMap<String, String>,
    /// When the update began, or when it was written down how it ended.
    pub(super) at: Timestamp,
    /// When the last update had ended by then, as it was written down.
    pub(super) after: Option<String>,
    /// Which template they were part of, by the controller's count.
    pub(super) revision: Option<i64>,
}

/// Why the `ReplicaSets` of a Deployment are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaSetsUnread {
    /// Kubefresh may not list them, which is for whoever installed it to decide.
    NotAllowed,
    /// There was no answer, and one may come.
    Unreadable(String),
}

impl ReplicaSets {
    /// Takes in a `ReplicaSet` that the workload's selector selects, by its metadata. It counts if it is the workload's own.
    pub fn take(&mut self, workload: &Workload, set: &ObjectMeta) {
        let mut owners = set.owner_references.iter().flatten();
        let is_own = owners.any(|owner| owner.controller == Some(true) && owner.uid == workload.uid);
        let Some(annotations) = set.annotations.as_ref().filter(|_| is_own) else {
            return;
        };
        let after = annotations.get(LAST_UPDATE);
        let mut take = |at: Timestamp, image_of: &dyn Fn(&str) -> Option<String>| {
            let containers = workload.containers.iter();
            let images = containers.filter_map(|container| {
                let image = image_of(&container.name)?;
                (image != container.image).then(|| (container.name.clone(), image))
            });
            let images: BTreeMap<String, String> = images.collect();
            if !images.is_empty() {
                self.given.push(Given {
                    images,
                    at,
                    after: after.cloned(),
                    revision: deployment::revision(annotations),
                });
            }
        };
        // A marker beside the result of its update says nothing more, and neither does one that cannot be read.
        if let Ok(Some(marker)) = InFlight::read(annotations) {
            let image_of = |name: &str| Some(marker.containers.get(name)?.to.clone());
            take(marker.started, &image_of);
        }
        if let Some(ended_at) = after.and_then(|time| time.parse().ok()) {
            take(ended_at, &|name| last_given(annotations, name).map(str::to_owned));
        }
    }

    /// What was given later than this, in no order.
    pub(super) fn given_after(&self, time: Option<Timestamp>) -> impl Iterator<Item = &Given> {
        self.given.iter().filter(move |given| Some(given.at) > time)
    }
}

impl Given {
    /// Whether it is part of a template that comes after the present one of `workload`, which then is not what the API server has by now.
    pub(super) fn is_ahead_of(&self, workload: &Workload) -> bool {
        self.revision > workload.rollout.revision()
    }
}
