//! A controller that has `db` from Git brings its own image back, as Argo CD and Flux do. We were told to write all the same: the
//! image is given once, it is said who took it back, and it is never given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use sandbox::apiserver::resources::{DEPLOYMENTS, EVENTS};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::task::JoinHandle;

use super::{Stage, annotation, told_of};
use crate::shop::{scan, start_updater};

const ARGO_CD: &str = "argocd-controller";

/// Sandbox time that leaves the controller ten seconds to come in between. No such rollout has to end.
const SLOWLY: [(&str, &str); 1] = [("ready-after", "200s")];

/// How what Git says is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By server-side apply, which leaves what others have added.
    Apply,
    /// With everything else in the place of what is there, as by the sync option `Replace=true`.
    Replace,
    /// The same, also where only a hold was added.
    ReplaceAll,
}

/// Brings it back whenever something else is there, and it is time.
struct GitOps {
    task: JoinHandle<()>,
    times: Arc<AtomicUsize>,
}

impl Drop for GitOps {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GitOps {
    async fn start(
        stage: &Stage,
        way: Way,
        desired: Value,
        is_time: impl Fn(&Value) -> bool + Send + 'static,
    ) -> Self {
        let store = stage.store.clone();
        let deployments = stage.deployments().await;
        let times = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&times);
        let task = tokio::spawn(async move {
            loop {
                let object = store.get(&DEPLOYMENTS, "shop", "db").unwrap();
                let is_held = annotation(&object, "hold").is_some();
                let differs = image(&object) != image(&desired) || (way == Way::ReplaceAll && is_held);
                if differs && is_time(&object) {
                    counter.fetch_add(1, Ordering::SeqCst);
                    sync(&deployments, way, &desired).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self { task, times }
    }
}

fn image(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"][0]["image"]
}

async fn sync(deployments: &Api<Deployment>, way: Way, desired: &Value) {
    match way {
        Way::Apply => {
            let parameters = PatchParams::apply(ARGO_CD).force();
            let patch = Patch::Apply(desired);
            deployments.patch("db", &parameters, &patch).await.unwrap();
        }
        Way::Replace | Way::ReplaceAll => {
            let parameters = PostParams {
                field_manager: Some(ARGO_CD.to_owned()),
                ..PostParams::default()
            };
            let object = serde_json::from_value(desired.clone()).unwrap();
            deployments.replace("db", &parameters, &object).await.unwrap();
        }
    }
}

impl Stage {
    /// What stands in Git.
    fn desired(&self) -> Value {
        self.desired_at("1.4.0")
    }

    fn desired_at(&self, tag: &str) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "db",
                "namespace": "shop",
                "annotations": {
                    "kubefresh.dev/watch": "true",
                    "kubefresh.dev/mode": "auto",
                    "kubefresh.dev/write-back": "cluster",
                    "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/db",
                },
            },
            "spec": {
                "replicas": 1,
                "selector": { "matchLabels": { "app": "db" } },
                "template": {
                    "metadata": { "labels": { "app": "db" } },
                    "spec": { "containers": [{ "name": "db", "image": self.image("shop/db", tag) }] },
                },
            },
        })
    }

    async fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.cluster.client().await, "shop")
    }

    /// A stage with a `db` that Argo CD has applied and that runs.
    async fn synced() -> Self {
        let stage = Self::set().await;
        stage.sync_first(&stage.desired()).await;
        stage
    }

    async fn sync_first(&self, desired: &Value) {
        sync(&self.deployments().await, Way::Apply, desired).await;
        let runs = |deployment: &Value| deployment["status"]["availableReplicas"] == 1;
        self.wait(&DEPLOYMENTS, "db runs", runs).await;
    }

    /// What was told of `db` under this reason.
    fn note(&self, reason: &str) -> String {
        let events = self.store.list(&EVENTS, Some("shop"));
        let event = events.iter().find(|event| event["reason"] == reason);
        event.unwrap()["message"].as_str().unwrap().to_owned()
    }

    /// Waits until what was taken back is held. Then another one leads and has everything in view, as it updates another workload.
    async fn is_held_for_good(&self, mut updater: Child) {
        self.wait(&DEPLOYMENTS, "what was taken back is held", |object| {
            annotation(object, "hold").as_deref() == Some("<=1.5.0")
        })
        .await;
        updater.kill().await.unwrap();
        let _next = start_updater(&self.cluster);
        let mut other = self.desired();
        other["metadata"]["name"] = json!("other");
        self.cluster.apply(&[other]).await;
        self.until("the next one has updated another workload", || {
            let other = self.store.get(&DEPLOYMENTS, "shop", "other");
            other.is_some_and(|other| *image(&other) == self.image("shop/db", "1.5.0").as_str())
        })
        .await;
        let db = self.get(&DEPLOYMENTS).unwrap();
        assert_eq!(*image(&db), self.image("shop/db", "1.4.0").as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_while_it_rolls_out_ends_the_update_and_is_not_given_again() {
    let stage = Stage::synced().await;
    let git_ops = GitOps::start(&stage, Way::Apply, stage.desired(), |_| true).await;
    let updater = stage.offer(&SLOWLY).await;
    stage.is_held_for_good(updater).await;
    assert_eq!(git_ops.times.load(Ordering::SeqCst), 1);
    let expected = ["UpdateStarted", "UpdateSuperseded", "UpdateHeld"];
    assert_eq!(stage.told()[..3], told_of("Deployment", &expected));
    for reason in ["UpdateSuperseded", "UpdateHeld"] {
        let note = stage.note(reason);
        assert!(note.contains(" (argocd-controller, 20"), "{note}");
    }
    let note = stage.note("UpdateStarted");
    assert!(
        note.contains("Argo CD (application shop) takes it back"),
        "{note}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_before_anybody_could_see_it_is_not_given_again() {
    let stage = Stage::synced().await;
    let git_ops = GitOps::start(&stage, Way::Replace, stage.desired(), |_| true).await;
    let updater = stage.offer(&SLOWLY).await;
    stage.is_held_for_good(updater).await;
    assert_eq!(git_ops.times.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_long_after_it_rolled_out_is_not_given_again() {
    for way in [Way::Apply, Way::Replace] {
        let stage = Stage::synced().await;
        let has_ended = |object: &Value| annotation(object, "last-result").is_some();
        let git_ops = GitOps::start(&stage, way, stage.desired(), has_ended).await;
        let updater = stage.offer(&[]).await;
        stage.is_held_for_good(updater).await;
        assert_eq!(git_ops.times.load(Ordering::SeqCst), 1, "{way:?}");
        let expected = ["UpdateStarted", "ImageUpdated", "UpdateHeld"];
        assert_eq!(stage.told()[..3], told_of("Deployment", &expected), "{way:?}");
        let note = stage.note("UpdateHeld");
        assert!(note.contains("somebody (argocd-controller, 20"), "{note}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_and_whose_hold_is_taken_away_is_not_given_again() {
    let stage = Stage::synced().await;
    let has_ended = |object: &Value| annotation(object, "last-result").is_some();
    let git_ops = GitOps::start(&stage, Way::ReplaceAll, stage.desired(), has_ended).await;
    let _updater = stage.offer(&[]).await;
    stage
        .until("the hold is taken away", || {
            git_ops.times.load(Ordering::SeqCst) >= 2
        })
        .await;
    // It is looked at while another workload is updated.
    let mut other = stage.desired();
    other["metadata"]["name"] = json!("other");
    stage.cluster.apply(&[other]).await;
    stage
        .until("another workload has been updated", || {
            let other = stage.store.get(&DEPLOYMENTS, "shop", "other");
            other.is_some_and(|other| annotation(&other, "last-result").is_some())
        })
        .await;
    let db = stage.get(&DEPLOYMENTS).unwrap();
    assert_eq!(*image(&db), stage.image("shop/db", "1.4.0").as_str());
    // Made, updated, taken back.
    assert_eq!(db["metadata"]["generation"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_digest_of_a_moving_tag_that_is_taken_back_is_not_given_again() {
    for way in [Way::Apply, Way::Replace] {
        let stage = Stage::set().await;
        stage.publish("shop/db", "edge", &[]);
        // Its pull policy is IfNotPresent: what its node has kept runs whenever the bare tag comes back.
        let desired = stage.desired_at("edge");
        stage.sync_first(&desired).await;
        stage.publish("shop/db", "edge", &[("ready-after", "2s")]);
        let digest = stage.cluster.registry.digest("shop/db", "edge").unwrap();
        let has_ended = |object: &Value| annotation(object, "last-result").is_some();
        let git_ops = GitOps::start(&stage, way, desired.clone(), has_ended).await;
        scan(&stage.cluster).await;
        let _updater = start_updater(&stage.cluster);
        stage
            .wait(&DEPLOYMENTS, "what was taken back is held", |object| {
                annotation(object, "hold") == Some(format!("edge@{digest}"))
            })
            .await;
        let is_back =
            |object: &Value| image(object) == image(&desired) && object["status"]["availableReplicas"] == 1;
        stage.wait(&DEPLOYMENTS, "it runs again", is_back).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(git_ops.times.load(Ordering::SeqCst), 1, "{way:?}");
        assert_eq!(
            *image(&stage.get(&DEPLOYMENTS).unwrap()),
            *image(&desired),
            "{way:?}"
        );
        let told = stage.told();
        let count = |wanted: &str| told.iter().filter(|(reason, _)| reason == wanted).count();
        let counted = ["UpdateStarted", "UpdateHeld"].map(count);
        assert_eq!(counted, [1, 1], "{way:?}: {told:?}");
    }
}
