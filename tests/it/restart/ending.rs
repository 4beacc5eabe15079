//! How an update ends that is begun, and what there is to see of it then: the same however often the programs were killed.

use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::apiserver::resources::{
    CONTROLLER_REVISIONS, DEPLOYMENTS, EVENTS, REPLICA_SETS, Resource, STATEFUL_SETS,
};
use sandbox::apiserver::store::Change;
use sandbox::cluster::{Cluster, eventually};
use sandbox::registry::ImageSpec;
use serde_json::{Value, json};
use shared::domain::time::whole_seconds;
use shared::io::clock;

use super::LIMIT;
use crate::shop;

/// How the update ends that is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    /// That of a StatefulSet, one pod after the other.
    CompletedInOrder,
    /// Completed, once somebody has agreed to it.
    Approved,
    /// Completed, once somebody has lifted a freeze.
    Thawed,
    RolledBack,
    /// The update had ended, and somebody asks for it to be undone.
    Undone,
    /// They ask in the middle of its rollout.
    Abandoned,
    /// The update had ended, and somebody went back while nobody led.
    TakenBack,
}

impl Ending {
    pub(super) fn resource(self) -> &'static Resource {
        if self == Self::CompletedInOrder {
            &STATEFUL_SETS
        } else {
            &DEPLOYMENTS
        }
    }

    /// Of whose templates the cluster keeps one each.
    fn history(self) -> &'static Resource {
        if self == Self::CompletedInOrder {
            &CONTROLLER_REVISIONS
        } else {
            &REPLICA_SETS
        }
    }

    /// In seconds, of which twenty pass here in one. Only where the update is to fail does the controller give up, and where it is not it
    /// has more time than any run, however slow the machine is.
    fn progress_deadline(self) -> u32 {
        if self == Self::RolledBack { 40 } else { 6000 }
    }

    fn annotations(self) -> Value {
        let mode = if self == Self::Approved { "approve" } else { "auto" };
        let mut annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": mode });
        if self == Self::Thawed {
            annotations["kubefresh.dev/freeze"] = json!("2026-01-01T00:00/2126-01-01T00:00");
        }
        annotations
    }

    /// What somebody writes on the workload for whose word the update waits.
    fn word(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Approved => Some(("kubefresh.dev/approved", "1.5.0")),
            Self::Thawed => Some(("kubefresh.dev/freeze", "never")),
            Self::Completed
            | Self::CompletedInOrder
            | Self::RolledBack
            | Self::Undone
            | Self::Abandoned
            | Self::TakenBack => None,
        }
    }

    /// What stands on the workload, and its tag, when the updater starts.
    fn given(self, cluster: &Cluster) -> Option<(Value, &'static str)> {
        let image = |tag| cluster.registry.reference("shop/checkout", tag);
        let (old, new) = (image("1.4.0"), image("1.5.0"));
        let containers = json!({ "app": { "from": old, "to": new } });
        // What began more than a day ago is no news, and no update may take longer.
        let started = whole_seconds(clock::now());
        let deadline = started + SignedDuration::from_hours(24);
        let (key, value) = match self {
            Self::Completed | Self::CompletedInOrder | Self::Approved | Self::Thawed | Self::RolledBack => {
                return None;
            }
            Self::TakenBack => {
                let last = json!({ "kubefresh.dev/last-change": format!("app: {old} -> {new}") });
                return Some((last, "1.4.0"));
            }
            Self::Undone => ("kubefresh.dev/last-images", json!({ "containers": containers })),
            Self::Abandoned => (
                "kubefresh.dev/in-flight",
                json!({ "containers": containers, "started": started, "deadline": deadline }),
            ),
        };
        let annotations = json!({ key: value.to_string(), "kubefresh.dev/undo": "1.5.0" });
        Some((annotations, "1.5.0"))
    }
}

/// A shop with one workload and a newer image, which works or does not.
pub(super) async fn with_checkout(ending: Ending) -> Cluster {
    let cluster = shop::open().await;
    let never_ready = matches!(ending, Ending::RolledBack | Ending::Abandoned);
    let new = ImageSpec::new("shop/checkout", "1.5.0");
    let new = new.label("sandbox.kubefresh.dev/never-ready", &never_ready.to_string());
    for image in [ImageSpec::new("shop/checkout", "1.4.0"), new] {
        cluster.registry.publish(&image);
    }
    let mut checkout = shop::checkout(&cluster, &ending.annotations());
    checkout["kind"] = json!(ending.resource().kind);
    checkout["spec"]["replicas"] = json!(2);
    if ending.resource() == &DEPLOYMENTS {
        checkout["spec"]["progressDeadlineSeconds"] = json!(ending.progress_deadline());
    }
    cluster.apply(&[checkout]).await;
    let runs = || async {
        let object = checkout_of(&cluster, ending);
        let is_seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        (is_seen && object["status"]["availableReplicas"] == 2).then_some(())
    };
    eventually("checkout runs", LIMIT, runs).await;
    if let Some((annotations, tag)) = ending.given(&cluster) {
        let container = json!({ "name": "app", "image": cluster.registry.reference("shop/checkout", tag) });
        let patch = json!({
            "metadata": { "annotations": annotations },
            "spec": { "template": { "spec": { "containers": [container] } } },
        });
        let deployments: Api<Deployment> = Api::namespaced(cluster.client().await, "shop");
        deployments
            .patch("checkout", &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .unwrap();
        eventually("it is on its way", LIMIT, runs).await;
    }
    cluster
}

fn checkout_of(cluster: &Cluster, ending: Ending) -> Value {
    let object = cluster.api.store().get(ending.resource(), "shop", "checkout");
    Value::clone(&object.unwrap())
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][format!("kubefresh.dev/{key}")].as_str()
}

/// Says the word that the update waits for, if it does. Whether that was said.
pub(super) fn say_the_word(cluster: &Cluster, ending: Ending) -> bool {
    let Some((key, value)) = ending.word() else {
        return false;
    };
    if annotation(&checkout_of(cluster, ending), "pending").is_none() {
        return false;
    }
    let say = |object: &mut Value| {
        object["metadata"]["annotations"][key] = json!(value);
        Ok(())
    };
    cluster
        .api
        .store()
        .update(ending.resource(), "shop", "checkout", say)
        .unwrap();
    true
}

/// What a finished update leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) image: String,
    pub(super) result: Option<String>,
    /// One more for each rollout.
    pub(super) templates: usize,
    pub(super) events: Vec<String>,
}

/// `None` while a rollout is under way.
pub(super) fn state(cluster: &Cluster, ending: Ending) -> Option<State> {
    let object = checkout_of(cluster, ending);
    if annotation(&object, "in-flight").is_some() {
        return None;
    }
    let templates = cluster.api.store().list(ending.history(), Some("shop"));
    Some(State {
        image: image(cluster, &object),
        // The reason for a rollback names pods, and differs.
        result: annotation(&object, "last-result")
            .and_then(|result| result.split(':').next())
            .map(str::to_owned),
        templates: templates.len(),
        events: told(cluster),
    })
}

/// The reasons of the updater's Events, sorted.
fn told(cluster: &Cluster) -> Vec<String> {
    let events = cluster.api.store().list(&EVENTS, Some("shop"));
    let ours = events
        .iter()
        .filter(|event| event["reportingComponent"] == "kubefresh.dev/updater");
    let mut reasons: Vec<String> = ours
        .filter_map(|event| event["reason"].as_str().map(str::to_owned))
        .collect();
    reasons.sort();
    reasons
}

/// Whether people know all that they are to know. Only then the end is written down.
pub(super) fn all_is_told(cluster: &Cluster, ending: Ending) -> bool {
    told(cluster) == finished(ending).events
}

fn image(cluster: &Cluster, object: &Value) -> String {
    let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    image.unwrap().replace(&cluster.registry.host(), "registry")
}

pub(super) fn finished(ending: Ending) -> State {
    let (tag, result, events) = match ending {
        Ending::Completed | Ending::CompletedInOrder | Ending::Thawed => {
            ("1.5.0", "completed", &["ImageUpdated", "UpdateStarted"][..])
        }
        Ending::Approved => (
            "1.5.0",
            "completed",
            &["ImageUpdated", "UpdateAvailable", "UpdateStarted"][..],
        ),
        Ending::RolledBack => (
            "1.4.0",
            "rolled back",
            &["RolledBack", "RolloutFailed", "UpdateStarted"][..],
        ),
        Ending::Undone => ("1.4.0", "rolled back", &["RollbackRequested", "RolledBack"][..]),
        Ending::Abandoned => (
            "1.4.0",
            "rolled back",
            &[
                "RollbackRequested",
                "RolledBack",
                "UpdateStarted",
                "UpdateSuperseded",
            ][..],
        ),
        Ending::TakenBack => ("1.4.0", "taken back", &["UpdateHeld"][..]),
    };
    State {
        image: format!("registry/shop/checkout:{tag}"),
        result: Some(result.to_owned()),
        templates: if ending == Ending::TakenBack { 1 } else { 2 },
        events: events.iter().map(|reason| (*reason).to_owned()).collect(),
    }
}

/// What another program is told of it, in its order.
pub(super) fn messages(ending: Ending) -> &'static [&'static str] {
    match ending {
        Ending::Completed | Ending::CompletedInOrder | Ending::Approved | Ending::Thawed | Ending::Undone => {
            &[
                "DEPLOYMENT_DETECTED",
                "IMAGE_ROLLOUT_STARTED",
                "IMAGE_ROLLOUT_COMPLETED",
            ]
        }
        Ending::Abandoned => &[
            "DEPLOYMENT_DETECTED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_FAILED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_COMPLETED",
        ],
        // It is as they wanted it, and has been when it was detected.
        Ending::TakenBack => &["DEPLOYMENT_DETECTED"],
        Ending::RolledBack => &[
            "DEPLOYMENT_DETECTED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_FAILED",
            "IMAGE_ROLLOUT_COMPLETED",
        ],
    }
}

/// Each change of the workload, in order.
fn changes_of_checkout(cluster: &Cluster, ending: Ending) -> Vec<Arc<Change>> {
    let mut changes = cluster.api.store().changes_since(1).unwrap();
    changes.retain(|change| {
        change.resource == ending.resource() && change.object["metadata"]["name"] == "checkout"
    });
    changes
}

/// That each step of the update was written down once, and never anew with another time or in other words: the marker of each rollout, and
/// then the result.
pub(super) fn assert_each_step_was_written_once(cluster: &Cluster, ending: Ending, what: &str) {
    let mut steps: Vec<(Option<String>, Option<String>)> = changes_of_checkout(cluster, ending)
        .iter()
        .map(|change| {
            let text = |key| annotation(&change.object, key).map(str::to_owned);
            (text("in-flight"), text("last-result"))
        })
        .collect();
    steps.dedup();
    let brief: Vec<(bool, bool)> = steps
        .iter()
        .map(|(marker, result)| (marker.is_some(), result.is_some()))
        .collect();
    let markers = match ending {
        Ending::Completed | Ending::CompletedInOrder | Ending::Approved | Ending::Thawed | Ending::Undone => {
            1
        }
        // That of the update, and that of the way back.
        Ending::RolledBack | Ending::Abandoned => 2,
        Ending::TakenBack => 0,
    };
    let mut course = vec![(false, false)];
    course.extend([(true, false)].repeat(markers));
    course.push((false, true));
    assert_eq!(brief, course, "{what}: {steps:#?}");
}

/// What could be seen on the workload one after the other: each of these is one write.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    image: String,
    pending: Option<String>,
    in_flight: bool,
    ended: bool,
}

/// That an update which waited has said so once, for as long as it did: it waits, is on its way, has ended.
pub(super) fn assert_waited_once(cluster: &Cluster, ending: Ending, what: &str) {
    let mut sights: Vec<Sight> = changes_of_checkout(cluster, ending)
        .iter()
        .map(|change| Sight {
            image: image(cluster, &change.object),
            pending: annotation(&change.object, "pending").map(str::to_owned),
            in_flight: annotation(&change.object, "in-flight").is_some(),
            ended: annotation(&change.object, "last-result").is_some(),
        })
        .collect();
    sights.dedup();
    let brief: Vec<_> = sights
        .iter()
        .map(|sight| (sight.pending.is_some(), sight.in_flight, sight.ended))
        .collect();
    let course = [
        (false, false, false),
        (true, false, false),
        (false, true, false),
        (false, false, true),
    ];
    assert_eq!(brief, course, "{what}: {sights:#?}");
}
