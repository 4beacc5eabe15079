//! The last update of each kind is undone when somebody asks for it.

use sandbox::apiserver::resources::{
    CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, Resource, STATEFUL_SETS,
};
use serde_json::{Value, json};

use super::{Stage, annotation, told_of};
use crate::shop::start_updater;

/// The images of a workload's pods, init containers first.
pub(super) fn images(workload: &Value) -> Vec<String> {
    let spec = &workload["spec"];
    let template = spec
        .get("template")
        .unwrap_or(&spec["jobTemplate"]["spec"]["template"]);
    let lists =
        ["initContainers", "containers"].map(|list| template["spec"][list].as_array().unwrap().clone());
    let image = |container: &Value| container["image"].as_str().unwrap().to_owned();
    lists.concat().iter().map(image).collect()
}

impl Stage {
    /// Runs `db` of a kind, with two containers and an init container.
    pub(super) async fn run_all(&self, api_version: &str, kind: &str) -> Vec<String> {
        for repository in ["shop/migrate", "shop/metrics"] {
            self.publish(repository, "1.4.0", &[]);
        }
        let container =
            |name: &str| json!({ "name": name, "image": self.image(&format!("shop/{name}"), "1.4.0") });
        let pod = json!({
            "initContainers": [container("migrate")],
            "containers": [container("db"), container("metrics")],
        });
        let mut template = json!({ "metadata": { "labels": { "app": "db" } }, "spec": pod });
        let spec = if kind == "CronJob" {
            template["spec"]["restartPolicy"] = json!("Never");
            json!({ "schedule": "0 0 1 6 *", "jobTemplate": { "spec": { "template": template } } })
        } else {
            json!({ "selector": { "matchLabels": { "app": "db" } }, "template": template })
        };
        self.apply(api_version, kind, &spec).await;
        ["migrate", "db", "metrics"]
            .map(|name| self.image(&format!("shop/{name}"), "1.4.0"))
            .to_vec()
    }

    async fn result_is(&self, resource: &'static Resource, result: &str) {
        self.wait(resource, &format!("the result is {result}"), |object| {
            annotation(object, "last-result").is_some_and(|found| found.starts_with(result))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_container_of_every_kind_gets_its_image_of_before() {
    for (kind, api_version, resource) in [
        ("Deployment", "apps/v1", &DEPLOYMENTS),
        ("StatefulSet", "apps/v1", &STATEFUL_SETS),
        ("DaemonSet", "apps/v1", &DAEMON_SETS),
        ("CronJob", "batch/v1", &CRON_JOBS),
    ] {
        let stage = Stage::set().await;
        let before = stage.run_all(api_version, kind).await;
        for repository in ["shop/migrate", "shop/metrics"] {
            stage.publish(repository, "1.5.0", &[]);
        }
        let _updater = stage.offer(&[]).await;
        stage.result_is(resource, "completed").await;
        assert!(
            images(&stage.get(resource).unwrap())
                .iter()
                .all(|image| image.ends_with(":1.5.0"))
        );
        stage.annotate(resource, "kubefresh.dev/undo", "1.5.0");
        stage.result_is(resource, "rolled back: asked for by").await;
        assert_eq!(images(&stage.get(resource).unwrap()), before, "{kind}");
        assert_eq!(stage.generation(resource), 3, "{kind}");
        let expected = ["UpdateStarted", "ImageUpdated", "RollbackRequested", "RolledBack"];
        assert_eq!(stage.told(), told_of(kind, &expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_an_undo_of_a_deployment_brings_back_undoes_nothing() {
    let stage = Stage::set().await;
    stage.run("Deployment", json!({ "replicas": 1 })).await;
    let available = |deployment: &Value| deployment["status"]["availableReplicas"] == 1;
    stage.wait(&DEPLOYMENTS, "db runs", available).await;
    let mut updater = stage.offer(&[]).await;
    stage.result_is(&DEPLOYMENTS, "completed").await;
    // Only what the controller has copied comes back, and the updater could be faster than that.
    updater.kill().await.unwrap();
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/undo", "1.5.0");
    stage
        .until("its ReplicaSet has the request", || {
            let sets = stage.store.list(&REPLICA_SETS, Some("shop"));
            sets.iter().any(|set| annotation(set, "undo").is_some())
        })
        .await;
    let _next = start_updater(&stage.cluster);
    stage.result_is(&DEPLOYMENTS, "rolled back").await;
    stage.undo_deployment("1.5.0").await;
    stage
        .until("the request is refused", || {
            stage.told().iter().any(|(reason, _)| reason == "RollbackRefused")
        })
        .await;
    stage
        .wait(&DEPLOYMENTS, "the request is gone", |deployment| {
            annotation(deployment, "undo").is_none()
        })
        .await;
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], stage.image("shop/db", "1.5.0"));
}
