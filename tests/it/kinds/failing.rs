//! A rollout that fails says why: which pod, which container, and what it waited for.

use sandbox::apiserver::resources::{CONFIG_MAPS, DEPLOYMENTS, EVENTS};
use serde_json::{Value, json};

use super::{Stage, annotation};
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

    /// Changes this text in the record of `shop/db`, behind the scanner's back.
    fn falsify_the_record(&self, from: &str, to: &str) {
        let records = self.store.list(&CONFIG_MAPS, Some("kubefresh"));
        let is_record = |object: &&std::sync::Arc<Value>| {
            let repository = object["data"]["repository"].as_str();
            repository.is_some_and(|repository| repository.ends_with("shop/db"))
        };
        let name = records.iter().find(is_record).unwrap()["metadata"]["name"].clone();
        let falsify = |object: &mut Value| {
            let tags = object["data"]["tags"].as_str().unwrap();
            assert!(tags.contains(from), "{tags}");
            object["data"]["tags"] = json!(tags.replace(from, to));
            Ok(())
        };
        self.store
            .update(&CONFIG_MAPS, "kubefresh", name.as_str().unwrap(), falsify)
            .unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_no_registry_has_is_undone_and_held_and_what_the_registry_has_comes_after_it() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/pin", "digest");
    stage.publish("shop/db", "1.5.0", &[]);
    scan(&stage.cluster).await;
    let digest = stage.cluster.registry.digest("shop/db", "1.5.0").unwrap();
    let lie = format!("sha256:{}", "a".repeat(64));
    stage.falsify_the_record(&digest, &lie);
    let _updater = start_updater(&stage.cluster);
    let note = stage.failure().await;
    assert!(
        note.contains(": container db: ") && note.contains("Pull"),
        "{note}"
    );
    let db = stage.get(&DEPLOYMENTS).unwrap();
    let image = |db: &Value| db["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image(&db), stage.image("shop/db", "1.4.0"));
    assert_eq!(annotation(&db, "hold"), Some(format!("1.5.0@{lie}")));

    // The next scan finds the lie out, and what is really there was never tried.
    scan(&stage.cluster).await;
    let truth = format!("{}@{digest}", stage.image("shop/db", "1.5.0"));
    stage
        .wait(&DEPLOYMENTS, "db runs what is there", |db| {
            image(db) == truth && annotation(db, "last-result").as_deref() == Some("completed")
        })
        .await;
}
