//! The part of a workload that a decision needs, detached from the object it was read from.
//!
//! This is a view, never written back: patches name single fields (`patch`), so nothing that is missing
//! here can be lost.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container as PodContainer, PodSpec};
use serde::{Deserialize, Serialize};

use super::rollout::RolloutFacts;

/// The kinds of workload whose images are kept fresh.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
pub enum WorkloadKind {
    Deployment,
}

impl WorkloadKind {
    /// The group and version the kind is served under.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Deployment => "apps/v1",
        }
    }
}

/// Which workload: unique in a cluster at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    pub kind: WorkloadKind,
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for WorkloadId {
    /// `deployment/NAME in namespace NAMESPACE` would not fit a table: `NAMESPACE/NAME` and the kind in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &str = self.kind.into();
        write!(
            f,
            "{} {}/{}",
            kind.to_ascii_lowercase(),
            self.namespace,
            self.name
        )
    }
}

/// One container of the pod template, with its image exactly as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// As written: it may be no valid reference, which stops this workload and no other.
    pub image: String,
    /// Whether it stands under `initContainers`.
    pub init: bool,
}

/// A workload as the decisions see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    pub id: WorkloadId,
    pub uid: String,
    /// The version this view was read at; every patch made from it carries it as its precondition.
    pub resource_version: String,
    pub annotations: BTreeMap<String, String>,
    pub containers: Vec<Container>,
    /// Set by `kubectl rollout pause`: a new image would change the template and roll nothing.
    pub paused: bool,
    /// Set while the object is on its way out.
    pub deleted_at: Option<Timestamp>,
    /// How far the current rollout is.
    pub rollout: RolloutFacts,
}

impl Workload {
    /// The image of the container of that name, as written.
    pub fn image_of(&self, container: &str) -> Option<&str> {
        self.containers
            .iter()
            .find(|candidate| candidate.name == container)
            .map(|found| found.image.as_str())
    }
}

/// An object that lacks what every stored object has; only a broken server or a test sends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object has no {0}")]
pub struct MissingField(pub &'static str);

impl TryFrom<&Deployment> for Workload {
    type Error = MissingField;

    fn try_from(deployment: &Deployment) -> Result<Self, MissingField> {
        let metadata = &deployment.metadata;
        let spec = deployment.spec.as_ref().ok_or(MissingField("spec"))?;
        Ok(Self {
            id: WorkloadId {
                kind: WorkloadKind::Deployment,
                namespace: metadata
                    .namespace
                    .clone()
                    .ok_or(MissingField("metadata.namespace"))?,
                name: metadata.name.clone().ok_or(MissingField("metadata.name"))?,
            },
            uid: metadata.uid.clone().ok_or(MissingField("metadata.uid"))?,
            resource_version: metadata
                .resource_version
                .clone()
                .ok_or(MissingField("metadata.resourceVersion"))?,
            annotations: metadata.annotations.clone().unwrap_or_default(),
            containers: containers(spec.template.spec.as_ref()),
            paused: spec.paused.unwrap_or(false),
            deleted_at: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            rollout: RolloutFacts::of_deployment(deployment),
        })
    }
}

/// Init containers first, as they run first.
fn containers(pod: Option<&PodSpec>) -> Vec<Container> {
    let Some(pod) = pod else { return Vec::new() };
    let view = |container: &PodContainer, init: bool| Container {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        init,
    };
    let init = pod
        .init_containers
        .iter()
        .flatten()
        .map(|container| view(container, true));
    init.chain(pod.containers.iter().map(|container| view(container, false)))
        .collect()
}
