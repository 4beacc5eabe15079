//! The part of a workload that a decision needs, detached from the object it was read from.
//!
//! This is a view, never written back: patches name single fields (`patch`), so nothing that is missing
//! here can be lost.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{Container as PodContainer, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::{Metadata, Resource as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::annotations::{self, MOST_ROLLOUT_TIMEOUT, Subject, of_container};
use super::nodes::PlatformSelector;
use super::ownership::{FIELD_MANAGER, Keeper, Ownership, Writer};
use super::pods;
use super::rollout::RolloutFacts;
use super::text;

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
    strum::VariantArray,
)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
}

impl WorkloadKind {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As commands and addresses name it.
    pub fn in_lower_case(self) -> String {
        <&str>::from(self).to_ascii_lowercase()
    }

    /// The group and version the kind is served under.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Deployment => Deployment::API_VERSION,
            Self::StatefulSet => StatefulSet::API_VERSION,
            Self::DaemonSet => DaemonSet::API_VERSION,
            Self::CronJob => CronJob::API_VERSION,
        }
    }

    /// Its objects, as paths and RBAC rules name them: `statefulsets`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Deployment => Deployment::URL_PATH_SEGMENT,
            Self::StatefulSet => StatefulSet::URL_PATH_SEGMENT,
            Self::DaemonSet => DaemonSet::URL_PATH_SEGMENT,
            Self::CronJob => CronJob::URL_PATH_SEGMENT,
        }
    }

    /// The `spec` of a workload that says this of its pods' `spec` and nothing else.
    pub fn spec_with_pod(self, pod: &Value) -> Value {
        let spec = json!({ "template": { "spec": pod } });
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => spec,
            Self::CronJob => json!({ "jobTemplate": { "spec": spec } }),
        }
    }
}

/// An object that is a workload: what differs from kind to kind.
pub trait WorkloadObject: Metadata<Ty = ObjectMeta> {
    const WORKLOAD_KIND: WorkloadKind;

    /// What its pods are made from; `None` only where the object lacks what every stored one has.
    fn pod(&self) -> Option<&PodSpec>;

    /// Which pods are its own, among others perhaps; `None` where its pods come and go with its jobs.
    fn selector(&self) -> Option<&LabelSelector>;

    /// How far the current rollout is.
    fn rollout(&self) -> RolloutFacts;

    /// For how many seconds a new pod has to be ready before it counts as available (`minReadySeconds`).
    fn min_ready_seconds(&self) -> Option<i32>;

    /// Whether a new template would roll nothing until somebody resumes it.
    fn is_paused(&self) -> bool {
        false
    }
}

impl WorkloadObject for Deployment {
    const WORKLOAD_KIND: WorkloadKind = WorkloadKind::Deployment;

    fn pod(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }

    fn rollout(&self) -> RolloutFacts {
        RolloutFacts::Deployment(self.into())
    }

    fn is_paused(&self) -> bool {
        self.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false)
    }

    fn min_ready_seconds(&self) -> Option<i32> {
        self.spec.as_ref()?.min_ready_seconds
    }
}

impl WorkloadObject for StatefulSet {
    const WORKLOAD_KIND: WorkloadKind = WorkloadKind::StatefulSet;

    fn pod(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }

    fn rollout(&self) -> RolloutFacts {
        RolloutFacts::StatefulSet(self.into())
    }

    fn min_ready_seconds(&self) -> Option<i32> {
        self.spec.as_ref()?.min_ready_seconds
    }
}

impl WorkloadObject for DaemonSet {
    const WORKLOAD_KIND: WorkloadKind = WorkloadKind::DaemonSet;

    fn pod(&self) -> Option<&PodSpec> {
        self.spec.as_ref()?.template.spec.as_ref()
    }

    fn selector(&self) -> Option<&LabelSelector> {
        self.spec.as_ref().map(|spec| &spec.selector)
    }

    fn rollout(&self) -> RolloutFacts {
        RolloutFacts::DaemonSet(self.into())
    }

    fn min_ready_seconds(&self) -> Option<i32> {
        self.spec.as_ref()?.min_ready_seconds
    }
}

impl WorkloadObject for CronJob {
    const WORKLOAD_KIND: WorkloadKind = WorkloadKind::CronJob;

    fn pod(&self) -> Option<&PodSpec> {
        let job = self.spec.as_ref()?.job_template.spec.as_ref()?;
        job.template.spec.as_ref()
    }

    fn selector(&self) -> Option<&LabelSelector> {
        None
    }

    fn rollout(&self) -> RolloutFacts {
        RolloutFacts::CronJob
    }

    fn min_ready_seconds(&self) -> Option<i32> {
        None
    }
}

/// Which workload: unique in a cluster at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkloadId {
    pub kind: WorkloadKind,
    pub namespace: String,
    pub name: String,
}

impl WorkloadId {
    /// That of an object.
    pub fn of<T: WorkloadObject>(object: &T) -> Result<Self, MissingField> {
        let metadata = object.metadata();
        Ok(Self {
            kind: T::WORKLOAD_KIND,
            namespace: metadata
                .namespace
                .clone()
                .ok_or(MissingField("metadata.namespace"))?,
            name: metadata.name.clone().ok_or(MissingField("metadata.name"))?,
        })
    }
}

impl fmt::Display for WorkloadId {
    /// `deployment/NAME in namespace NAMESPACE` would not fit a table: `NAMESPACE/NAME` and the kind in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.in_lower_case();
        write!(f, "{kind} {}/{}", self.namespace, self.name)
    }
}

/// One container of the pod template, with its image exactly as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    /// As written, but for what is far too long for an image: it may be no valid reference, which stops this workload and no other.
    pub image: String,
    /// Whether it stands under `initContainers`.
    pub init: bool,
    /// Who else has a say in its image.
    pub ownership: Ownership,
}

/// A workload as the decisions see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    pub id: WorkloadId,
    pub uid: String,
    /// The version this view was read at; every patch made from it carries it as its precondition.
    pub resource_version: String,
    /// Only what is understood here, within bounds: others can be large, as `kubectl apply` keeps a whole copy of the object in one.
    pub annotations: BTreeMap<String, String>,
    /// Only what is understood here.
    pub labels: BTreeMap<String, String>,
    pub containers: Vec<Container>,
    /// Set by `kubectl rollout pause`: a new image would change the template and roll nothing.
    pub paused: bool,
    /// Set while the object is on its way out.
    pub deleted_at: Option<Timestamp>,
    /// Which pods are its own, among others perhaps, as a list is asked for them.
    pub selector: Option<String>,
    /// On which platforms its pods may run, as far as they say it.
    pub platforms: PlatformSelector,
    /// How far the current rollout is.
    pub rollout: RolloutFacts,
    /// For how long a new pod has to be ready before it counts, a day at most.
    pub min_ready: SignedDuration,
}

impl Workload {
    /// The view of an object.
    pub fn of<T: WorkloadObject>(object: &T) -> Result<Self, MissingField> {
        let metadata = object.metadata();
        let pod = object.pod().ok_or(MissingField("pod template"));
        Ok(Self {
            id: WorkloadId::of(object)?,
            uid: metadata.uid.clone().ok_or(MissingField("metadata.uid"))?,
            resource_version: metadata
                .resource_version
                .clone()
                .ok_or(MissingField("metadata.resourceVersion"))?,
            annotations: annotations::kept(metadata.annotations.as_ref(), annotations::is_understood),
            labels: annotations::kept(metadata.labels.as_ref(), annotations::is_understood_label),
            containers: containers::<T>(metadata, pod?),
            platforms: PlatformSelector::of(pod?),
            paused: object.is_paused(),
            deleted_at: metadata.deletion_timestamp.as_ref().map(|time| time.0),
            selector: object.selector().and_then(pods::selector),
            rollout: object.rollout(),
            min_ready: min_ready(object),
        })
    }

    /// What it says of its images.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            annotations: &self.annotations,
            labels: &self.labels,
            containers: &self.containers,
        }
    }

    /// The annotation that says `key` of one of its containers: with one container, the key that people would write.
    pub fn annotation_of(&self, container: &str, key: &str) -> String {
        match self.containers.as_slice() {
            [_] => key.to_owned(),
            _ => of_container(container, key),
        }
    }

    /// The image of the container of that name, as written.
    pub fn image_of(&self, container: &str) -> Option<&str> {
        self.container(container).map(|found| found.image.as_str())
    }

    /// Who else keeps the image of the container of that name.
    pub fn keeper_of(&self, container: &str) -> Option<&Arc<Keeper>> {
        self.container(container)?.ownership.keeper.as_ref()
    }

    /// Who set that image last, if it was not the updater.
    pub fn other_writer_of(&self, container: &str) -> Option<&Writer> {
        let writer = self.container(container)?.ownership.writer.as_ref();
        writer.filter(|writer| writer.manager != FIELD_MANAGER)
    }

    /// Whether we set this container's image last, as far as the API server says.
    pub fn is_written_by_us(&self, container: &str) -> bool {
        let container = self.container(container);
        let writer = container.and_then(|container| container.ownership.writer.as_ref());
        writer.is_some_and(|writer| writer.manager == FIELD_MANAGER)
    }

    fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|candidate| candidate.name == name)
    }
}

/// An object that lacks what every stored object has; only a broken server or a test sends one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object has no {0}")]
pub struct MissingField(pub &'static str);

/// How much of an image is kept, in bytes: no reference is longer, and what is cut is none.
const IMAGE_LENGTH: usize = 1000;

/// Bounded like what anybody may give a rollout, which is waited for as long again.
fn min_ready<T: WorkloadObject>(object: &T) -> SignedDuration {
    let seconds = object.min_ready_seconds().unwrap_or_default().max(0);
    SignedDuration::from_secs(seconds.into()).min(MOST_ROLLOUT_TIMEOUT)
}

/// Init containers first, as they run first.
fn containers<T: WorkloadObject>(metadata: &ObjectMeta, pod: &PodSpec) -> Vec<Container> {
    let init = pod.init_containers.iter().flatten();
    let init = init.map(|container| (container, true));
    let all: Vec<(&PodContainer, bool)> = init
        .chain(pod.containers.iter().map(|container| (container, false)))
        .collect();
    let names = all
        .iter()
        .map(|(container, init)| (container.name.as_str(), *init));
    let ownerships = Ownership::of(T::WORKLOAD_KIND, metadata, names);
    let views = all.iter().zip(ownerships);
    views
        .map(|((container, init), ownership)| Container {
            name: container.name.clone(),
            image: text::cut(container.image.as_deref().unwrap_or_default(), IMAGE_LENGTH),
            init: *init,
            ownership,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::domain::watched;

    /// The view of an object of a kind, with a pod of this `spec`.
    fn view<T: WorkloadObject + DeserializeOwned>(mut spec: Value, pod: &Value) -> Workload {
        let of_pod = T::WORKLOAD_KIND.spec_with_pod(pod);
        spec.as_object_mut()
            .unwrap()
            .extend(of_pod.as_object().unwrap().clone());
        let object = json!({
            "metadata": {
                "name": "db",
                "namespace": "shop",
                "uid": "1234",
                "resourceVersion": "41",
                "annotations": {
                    "kubefresh.dev/watch": "true",
                    "db.kubefresh.dev/mode": "auto",
                    "keel.sh/policy": "minor",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}",
                    "notkubefresh.dev/watch": "true",
                },
                "labels": {
                    "app": "db",
                    "keel.sh/trigger": "poll",
                    "watch-cluster.io/enabled": "true",
                    "argocd.argoproj.io/instance": "shop",
                },
            },
            "spec": spec,
        });
        Workload::of(&serde_json::from_value::<T>(object).unwrap()).unwrap()
    }

    #[test]
    fn every_kind_shows_its_containers_and_what_is_understood_of_its_annotations_and_labels() {
        let pod = json!({
            "initContainers": [{ "name": "migrate", "image": "shop/migrate:1" }],
            "containers": [{ "name": "db", "image": "shop/db:1" }],
        });
        let set = json!({ "selector": {}, "serviceName": "db" });
        let workloads = [
            view::<Deployment>(set.clone(), &pod),
            view::<StatefulSet>(set.clone(), &pod),
            view::<DaemonSet>(set, &pod),
            view::<CronJob>(json!({ "schedule": "* * * * *" }), &pod),
        ];
        for (workload, kind) in workloads.iter().zip(WorkloadKind::ALL) {
            assert_eq!(workload.id.kind, *kind);
            let containers: Vec<(&str, &str, bool)> = workload
                .containers
                .iter()
                .map(|container| (container.name.as_str(), container.image.as_str(), container.init))
                .collect();
            let expected = [("migrate", "shop/migrate:1", true), ("db", "shop/db:1", false)];
            assert_eq!(containers, expected, "{kind}");
            let keys: Vec<&str> = workload.annotations.keys().map(String::as_str).collect();
            let understood = ["db.kubefresh.dev/mode", "keel.sh/policy", "kubefresh.dev/watch"];
            assert_eq!(keys, understood, "{kind}");
            let labels: Vec<&str> = workload.labels.keys().map(String::as_str).collect();
            assert_eq!(labels, ["keel.sh/trigger"], "{kind}");
            let kept = ["migrate", "db"].map(|container| workload.keeper_of(container).is_some());
            assert_eq!(kept, [true, true], "{kind}");
        }
    }

    #[test]
    fn what_is_far_too_long_is_kept_in_part_and_stops_the_workload() {
        let pod = json!({ "containers": [{ "name": "db", "image": "x".repeat(300_000) }] });
        let spec = json!({ "selector": {}, "template": { "spec": pod } });
        let annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/hold": "1".repeat(200_000) });
        let metadata = json!({
            "name": "db", "namespace": "shop", "uid": "1", "resourceVersion": "1", "annotations": annotations,
        });
        let object = json!({ "metadata": metadata, "spec": spec });
        let mut workload = Workload::of(&serde_json::from_value::<Deployment>(object).unwrap()).unwrap();
        assert!(format!("{workload:?}").len() < 5_000);
        let problems = |workload: &Workload| {
            let problems = watched::read(workload, &annotations::Layer::default()).unwrap_err();
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .concat()
        };
        let expected = "annotation kubefresh.dev/hold is longer than 32 KiB; shorten it";
        assert_eq!(problems(&workload), expected);
        workload.annotations.remove(annotations::HOLD);
        let problem = problems(&workload);
        assert!(problem.contains("is not valid"), "{problem}");
    }

    #[test]
    fn a_deployment_can_be_paused_and_says_so() {
        let pod = json!({ "containers": [{ "name": "db", "image": "shop/db:1" }] });
        for (spec, expected) in [
            (json!({ "selector": {}, "paused": true }), true),
            (json!({ "selector": {}, "paused": false }), false),
            (json!({ "selector": {} }), false),
        ] {
            assert_eq!(view::<Deployment>(spec, &pod).paused, expected);
        }
        let set = json!({ "selector": {}, "serviceName": "db" });
        assert!(!view::<StatefulSet>(set, &pod).paused);
    }

    #[test]
    fn an_object_that_no_server_stores_is_an_error_and_no_workload_without_containers() {
        let error = Workload::of(&CronJob::default()).unwrap_err();
        assert_eq!(error.to_string(), "the object has no metadata.namespace");
    }
}
