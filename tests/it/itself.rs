//! Kubefresh keeps its own image fresh like any other.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use sandbox::cluster::eventually;
use sandbox::manifests;
use sandbox::registry::ImageSpec;
use serde_json::json;

use crate::shop::{self, scan};

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_that_updates_itself_hands_its_own_rollout_over_and_its_successor_ends_it() {
    let cluster = shop::open_with_cron_job().await;
    for tag in ["0.1.0", "0.1.1"] {
        cluster
            .registry
            .publish(&ImageSpec::new("team/kubefresh-updater", tag));
    }
    let reference = |tag| cluster.registry.reference("team/kubefresh-updater", tag);
    let mut deployment = manifests::install();
    deployment.retain(|object| object["kind"] == "Deployment");
    for object in &mut deployment {
        object["metadata"]["annotations"] = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto", "kubefresh.dev/policy": "patch" });
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(reference("0.1.0"));
    }
    cluster.apply(&deployment).await;
    let client = cluster.client().await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "kubefresh");
    eventually("both replicas are ready", LIMIT, || async {
        let status = deployments.get("kubefresh-updater").await.unwrap().status?;
        (status.ready_replicas == Some(2)).then_some(())
    })
    .await;
    scan(&cluster).await;
    let updated = eventually("the successor has ended the update", LIMIT, || async {
        let updated = deployments.get("kubefresh-updater").await.unwrap();
        updated
            .annotations()
            .contains_key("kubefresh.dev/last-result")
            .then_some(updated)
    })
    .await;
    assert_eq!(updated.annotations()["kubefresh.dev/last-result"], "completed");
    assert!(!updated.annotations().contains_key("kubefresh.dev/in-flight"));
    let pod = updated.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.containers[0].image, Some(reference("0.1.1")));
    let replica_sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "kubefresh");
    let templates = replica_sets.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(templates.len(), 2, "one rollout");
    let events: Api<Event> = Api::namespaced(client, "kubefresh");
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let mut told: Vec<&str> = events
        .iter()
        .filter(|event| event.reporting_controller.as_deref() == Some("kubefresh.dev/updater"))
        .filter_map(|event| event.reason.as_deref())
        .collect();
    told.sort_unstable();
    assert_eq!(told, ["ImageUpdated", "UpdateStarted"]);
}
