//! What the pods of a workload say that the workload itself does not: the digests that they run, and what keeps them from being ready.

mod image_id;
mod mirrored;
mod owner;
mod readiness;
mod selector;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use self::image_id::digest_of;
use self::mirrored::is_made_of;
use self::owner::belongs_to;
use self::readiness::{Ready, readiness};
pub use self::selector::selector;
pub use self::trouble::Trouble;
use self::trouble::trouble;
use super::reference::Digest;
use super::workload::{Container, Workload};

/// What was learned of the pods of one workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pods {
    running: BTreeMap<String, Running>,
    /// The names of the nodes that they are on.
    nodes: BTreeSet<String>,
    /// The most telling of the pods that have the workload's present images.
    trouble: Option<Trouble>,
    /// How many of these are ready.
    ready: i32,
    /// How many of them never had to begin anew.
    steady: i32,
    /// When the last of them became so, of those that never had to begin anew.
    ready_since: Option<Timestamp>,
}

/// How far a rollout has come by its new pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// When the last of them became ready, by the clock of its node, and no later than it was asked.
    pub at: Timestamp,
    /// How many were ready at once, also after they had to begin anew.
    pub ready: i32,
    /// How many that never had to.
    pub steady: i32,
    /// How many were missing.
    pub missing: i32,
}

impl Moved {
    /// What a later look at the same rollout adds: it has moved where more are ready than ever before, or fewer are missing, as where
    /// the cluster has shrunk. One that is ready again, or that took another one's place, is no step.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        let has_more = later.ready > self.ready || later.steady > self.steady;
        if !has_more && later.missing >= self.missing {
            return self;
        }
        Self {
            at: self.at.max(later.at),
            ready: self.ready.max(later.ready),
            steady: self.steady.max(later.steady),
            missing: self.missing.min(later.missing),
        }
    }
}

/// What the pods run of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    pub digests: BTreeSet<Digest>,
    /// Some pod runs an image whose digest its runtime does not tell.
    pub untold: bool,
}

impl Running {
    /// The digest, where all pods run the same and no other.
    pub fn only(&self) -> Option<&Digest> {
        let told = self.told()?;
        told.first().filter(|_| told.len() == 1)
    }

    /// All that they run, where the runtime of each pod tells.
    pub fn told(&self) -> Option<&BTreeSet<Digest>> {
        Some(&self.digests).filter(|_| !self.untold)
    }
}

impl Pods {
    /// Takes in a pod that the workload's selector selects. It counts if it is the workload's own and is there to stay, and each
    /// container of it that has the image of the workload: others are on their way out. What a webhook made of that image at admission
    /// may also be one of before, and says what runs only where no rollout is under way.
    pub fn take(&mut self, workload: &Workload, pod: &Pod) {
        if !belongs_to(pod, workload) || pod.metadata.deletion_timestamp.is_some() || has_ended(pod) {
            return;
        }
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        self.nodes.extend(node.cloned());
        let is_new = |container: &Container| {
            image_in(pod, container).is_some_and(|image| is_made_of(image, &container.image))
        };
        if workload.containers.iter().all(is_new) {
            self.trouble = self.trouble.take().max(trouble(pod));
            if let Some(Ready { since }) = readiness(pod) {
                self.ready = self.ready.saturating_add(1);
                self.steady = self.steady.saturating_add(since.is_some().into());
                self.ready_since = self.ready_since.max(since);
            }
        }
        for container in &workload.containers {
            let is_as_written = image_in(pod, container) == Some(container.image.as_str());
            let counts = is_as_written || workload.rollout.is_whole() && is_new(container);
            if !counts {
                continue;
            }
            let image_id = status_of(pod, container).map_or("", |status| status.image_id.as_str());
            // Empty: its image was not pulled yet.
            if image_id.is_empty() {
                continue;
            }
            let running = self.running.entry(container.name.clone()).or_default();
            match digest_of(image_id) {
                Some(digest) => drop(running.digests.insert(digest)),
                None => running.untold = true,
            }
        }
    }

    /// What keeps one of the new pods from being ready, in a line.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.line.as_str())
    }

    /// How far the rollout of their workload has come by them, who were asked then; `None`: no new pod is ready that never had to begin
    /// anew.
    pub fn moved(&self, workload: &Workload, asked: Timestamp) -> Option<Moved> {
        self.ready_since.map(|since| Moved {
            at: since.min(asked),
            ready: self.ready,
            steady: self.steady,
            missing: workload.rollout.desired().saturating_sub(self.ready),
        })
    }

    /// The names of the nodes that they are on.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(String::as_str)
    }

    /// What they run of a container; `None`: no pod has started it.
    pub fn running(&self, container: &str) -> Option<&Running> {
        self.running.get(container)
    }
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn image_in<'a>(pod: &'a Pod, container: &Container) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    let containers = if container.init {
        spec.init_containers.as_deref()?
    } else {
        &spec.containers
    };
    let found = containers
        .iter()
        .find(|candidate| candidate.name == container.name)?;
    found.image.as_deref()
}

fn status_of<'a>(pod: &'a Pod, container: &Container) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let statuses = if container.init {
        &status.init_container_statuses
    } else {
        &status.container_statuses
    };
    let mut statuses = statuses.iter().flatten();
    statuses.find(|candidate| candidate.name == container.name)
}

#[cfg(test)]
mod tests;
