//! A rollout that fails says why: which pod, which container, and what it waited for.

use sandbox::apiserver::resources::{DEPLOYMENTS, EVENTS};
use serde_json::json;

use super::Stage;
use crate::shop::{scan, start_updater};

impl Stage {
    /// Runs `shop/db:1.4.0` until it is ready; an update may take 10 s.
    pub(super) async fn run_deployment(&self) {
        self.run("Deployment", json!({ "replicas": 1 })).await;
        self.wait(&DEPLOYMENTS, "db runs", |set| set["status"]["readyReplicas"] == 1)
            .await;
        self.annotate(&DEPLOYMENTS, "kubefresh.dev/rollout-timeout", "10s");
    }

    /// What was told of the failure, once it is undone.
    async fn failure(&self) -> String {
        let result = self.result(&DEPLOYMENTS).await;
        assert!(result.starts_with("rolled back: "), "{result}");
        let events = self.store.list(&EVENTS, Some("shop"));
        let failed = events.iter().find(|event| event["reason"] == "RolloutFailed");
        let note = failed.unwrap()["message"].as_str().unwrap().to_owned();
        assert!(
            note.contains(result.strip_prefix("rolled back: ").unwrap()),
            "{note} {result}"
        );
        note
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_crashes_is_named_with_its_exit_code_and_last_words() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    let crash = [("exit-code", "3"), ("exit-message", "no database")];
    let _updater = stage.offer(&crash).await;
    let note = stage.failure().await;
    assert!(
        note.contains("; pod db-") && note.contains(": container db: "),
        "{note}"
    );
    assert!(note.contains("exit code 3: no database"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_is_named_as_the_reason() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    stage.publish("shop/db", "1.5.0", &[]);
    scan(&stage.cluster).await;
    assert!(stage.cluster.registry.delete_tag("shop/db", "1.5.0"));
    let _updater = start_updater(&stage.cluster);
    let note = stage.failure().await;
    let has_reason = ["ImagePullBackOff", "ErrImagePull"]
        .iter()
        .any(|reason| note.contains(&format!(": container db: {reason}")));
    assert!(note.contains("; pod db-") && has_reason, "{note}");
}
