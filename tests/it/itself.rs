//! Kubefresh keeps its own image fresh like any other.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::cluster::{Cluster, eventually};
use sandbox::manifests;
use sandbox::registry::ImageSpec;
use serde_json::json;

use crate::shop::{self, scan};

const LIMIT: Duration = Duration::from_mins(1);
/// Whoever takes over in the middle gives an update a minute more.
const TO_THE_END: Duration = Duration::from_mins(3);

/// A cluster in which the updater of `deploy/` looks after itself, and runs as 0.1.0.
struct Stage {
    cluster: Cluster,
    client: Client,
}

impl Stage {
    async fn set(annotations: &[(&str, &str)]) -> Self {
        let cluster = shop::open_with_cron_job().await;
        let client = cluster.client().await;
        let stage = Self { cluster, client };
        stage.publish("0.1.0");
        let mut deployment = manifests::install();
        deployment.retain(|object| object["kind"] == "Deployment");
        let mut all = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto", "kubefresh.dev/policy": "patch" });
        for (key, value) in annotations {
            all[*key] = json!(value);
        }
        for object in &mut deployment {
            object["metadata"]["annotations"] = all.clone();
            object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(stage.reference("0.1.0"));
        }
        stage.cluster.apply(&deployment).await;
        let deployments: Api<Deployment> = Api::namespaced(stage.client.clone(), "kubefresh");
        eventually("both replicas are ready", LIMIT, || async {
            let status = deployments.get("kubefresh-updater").await.unwrap().status?;
            (status.ready_replicas == Some(2)).then_some(())
        })
        .await;
        stage
    }

    fn publish(&self, tag: &str) {
        let image = ImageSpec::new("team/kubefresh-updater", tag);
        self.cluster.registry.publish(&image);
    }

    /// Publishes 0.1.1, which a scan that the updater asked for may find as well as this one.
    async fn offer(&self) {
        self.publish("0.1.1");
        scan(&self.cluster).await;
    }

    fn reference(&self, tag: &str) -> String {
        self.cluster.registry.reference("team/kubefresh-updater", tag)
    }

    /// Waits until the update has a result, and returns the Deployment then. Both replicas are ready all the time.
    async fn updated(&self) -> Deployment {
        let deployments: Api<Deployment> = Api::namespaced(self.client.clone(), "kubefresh");
        eventually("the update has ended", TO_THE_END, || async {
            let updated = deployments.get("kubefresh-updater").await.unwrap();
            let ready = updated.status.as_ref().and_then(|status| status.ready_replicas);
            assert!(ready >= Some(2), "{ready:?} are ready");
            let annotations = updated.annotations();
            let has_ended = annotations.contains_key("kubefresh.dev/last-result")
                && !annotations.contains_key("kubefresh.dev/in-flight");
            has_ended.then_some(updated)
        })
        .await
    }

    /// The image of a Deployment's only container.
    fn image_of(deployment: Deployment) -> Option<String> {
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        pod.containers[0].image.clone()
    }

    /// Reasons of the updater's Events, by name.
    async fn told(&self) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), "kubefresh");
        let events = events.list(&ListParams::default()).await.unwrap().items;
        let ours = events
            .into_iter()
            .filter(|event| event.reporting_controller.as_deref() == Some("kubefresh.dev/updater"));
        let mut told: Vec<String> = ours.filter_map(|event| event.reason).collect();
        told.sort_unstable();
        told
    }

    async fn templates(&self) -> usize {
        let replica_sets: Api<ReplicaSet> = Api::namespaced(self.client.clone(), "kubefresh");
        replica_sets
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_that_updates_itself_hands_its_own_rollout_over_and_its_successor_ends_it() {
    let stage = Stage::set(&[]).await;
    stage.offer().await;
    let updated = stage.updated().await;
    assert_eq!(updated.annotations()["kubefresh.dev/last-result"], "completed");
    assert_eq!(Stage::image_of(updated), Some(stage.reference("0.1.1")));
    assert_eq!(stage.templates().await, 2, "one rollout");
    assert_eq!(stage.told().await, ["ImageUpdated", "UpdateStarted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_whose_next_version_never_gets_ready_takes_itself_back_and_both_replicas_stay() {
    let stage = Stage::set(&[("kubefresh.dev/rollout-timeout", "10s")]).await;
    // Whoever starts from now on never sees the whole cluster; who runs already follows it by its watches.
    let unseen = FaultRule::new(Fault::internal())
        .user("kubefresh-updater")
        .verb("list")
        .resource("daemonsets");
    let unseen = stage.cluster.api.faults().install(unseen);
    stage.offer().await;
    let updated = stage.updated().await;
    assert!(unseen.struck() > 0, "the new version never started");
    let annotations = updated.annotations();
    let result = &annotations["kubefresh.dev/last-result"];
    assert!(
        result.starts_with("rolled back: rollout timeout passed: "),
        "{result}"
    );
    assert_eq!(annotations["kubefresh.dev/hold"], "0.1.1");
    assert_eq!(Stage::image_of(updated), Some(stage.reference("0.1.0")));
    assert_eq!(
        stage.told().await,
        ["RolledBack", "RolloutFailed", "UpdateStarted"]
    );
    assert_eq!(stage.templates().await, 2, "there and back");
}
