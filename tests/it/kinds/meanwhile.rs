//! What can come in between: the updater dies, the workload goes, a pod is broken, somebody goes back.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::apiserver::resources::{CONTROLLER_REVISIONS, PODS, STATEFUL_SETS};
use serde_json::{Value, json};

use super::{Stage, annotation, has_settled, told_of};
use crate::shop::start_updater;

/// Sandbox time that leaves the test two seconds to come in between.
const SLOWLY: [(&str, &str); 1] = [("ready-after", "40s")];

/// A StatefulSet of three pods that runs.
async fn with_db() -> Stage {
    let stage = Stage::set().await;
    stage.run("StatefulSet", json!({ "replicas": 3 })).await;
    stage
        .wait(&STATEFUL_SETS, "db runs", |set| has_settled(set, 3))
        .await;
    stage
}

impl Stage {
    async fn is_halfway(&self) {
        self.until("the start is told", || !self.told().is_empty()).await;
        self.wait(&STATEFUL_SETS, "one pod is new", |set| {
            set["status"]["updatedReplicas"].as_i64() >= Some(1)
        })
        .await;
    }

    /// What `kubectl rollout undo` does: the data of the first revision is a patch.
    async fn undo(&self) {
        let mut revisions = self.store.list(&CONTROLLER_REVISIONS, Some("shop"));
        revisions.sort_by_key(|revision| revision["revision"].as_i64());
        let sets: Api<StatefulSet> = Api::namespaced(self.cluster.client().await, "shop");
        let patch = Patch::Strategic(revisions[0]["data"].clone());
        sets.patch("db", &PatchParams::default(), &patch).await.unwrap();
    }

    fn marker(&self) -> Option<String> {
        annotation(&self.get(&STATEFUL_SETS).unwrap(), "in-flight")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_whose_updater_dies_in_the_middle_is_followed_to_its_end_by_the_next_one() {
    let stage = with_db().await;
    let mut updater = stage.offer(&SLOWLY).await;
    stage.is_halfway().await;
    updater.kill().await.unwrap();
    assert!(stage.marker().is_some());
    let _next = start_updater(&stage.cluster);
    assert_eq!(stage.result(&STATEFUL_SETS).await, "completed");
    assert_eq!(stage.tags(), ["1.5.0"; 3]);
    assert_eq!(stage.marker(), None);
    assert_eq!(
        stage.told(),
        told_of("StatefulSet", &["UpdateStarted", "ImageUpdated"])
    );
    assert_eq!(stage.generation(&STATEFUL_SETS), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_deleted_in_the_middle_is_forgotten_and_its_successor_is_another_one() {
    let stage = with_db().await;
    let mut updater = stage.offer(&SLOWLY).await;
    stage.is_halfway().await;
    stage.store.delete(&STATEFUL_SETS, "shop", "db").unwrap();
    stage.until("its pods are gone", || stage.tags().is_empty()).await;
    stage.run("StatefulSet", json!({ "replicas": 1 })).await;
    assert_eq!(stage.result(&STATEFUL_SETS).await, "completed");
    assert_eq!(stage.tags(), ["1.5.0"]);
    let expected = ["UpdateStarted", "UpdateStarted", "ImageUpdated"];
    assert_eq!(stage.told(), told_of("StatefulSet", &expected));
    assert!(updater.try_wait().unwrap().is_none(), "it still runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_pod_holds_up_the_rollback_too_and_people_hear_what_they_have_to_do() {
    let stage = with_db().await;
    stage.annotate(&STATEFUL_SETS, "kubefresh.dev/rollout-timeout", "3s");
    let _updater = stage.offer(&[("never-ready", "true")]).await;
    stage.is_halfway().await;
    // For the rollback: somebody has to help.
    stage.annotate(&STATEFUL_SETS, "kubefresh.dev/rollout-timeout", "10m");
    let old = stage.image("shop/db", "1.4.0");
    stage
        .wait(&STATEFUL_SETS, "the template is set back and seen", |set| {
            set["spec"]["template"]["spec"]["containers"][0]["image"] == old.as_str()
                && set["status"]["observedGeneration"] == set["metadata"]["generation"]
        })
        .await;
    assert_eq!(
        stage.told(),
        told_of("StatefulSet", &["UpdateStarted", "RolloutFailed"])
    );
    let note = stage.last_note();
    assert!(
        note.contains("a pod that is not ready has to be deleted by hand"),
        "{note}"
    );
    // As it says: the former image is no cure by itself.
    assert_eq!(stage.tags(), ["1.4.0", "1.4.0", "1.5.0"]);
    stage.store.delete(&PODS, "shop", "db-2").unwrap();
    assert_eq!(
        stage.result(&STATEFUL_SETS).await,
        "rolled back: rollout timeout passed: 1 of 3 pods updated, 2 available; a broken one holds up the others until \
         it is deleted"
    );
    assert_eq!(stage.tags(), ["1.4.0"; 3]);
    assert_eq!(
        stage.told(),
        told_of("StatefulSet", &["UpdateStarted", "RolloutFailed", "RolledBack"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_of_a_stateful_set_brings_no_annotation_back_and_is_not_fought() {
    let stage = with_db().await;
    let _updater = stage.offer(&[]).await;
    assert_eq!(stage.result(&STATEFUL_SETS).await, "completed");
    let revisions = stage.store.list(&CONTROLLER_REVISIONS, Some("shop"));
    let has_marker = |revision: &Value| annotation(revision, "in-flight").is_some();
    assert!(revisions.iter().any(|revision| has_marker(revision)));
    stage.undo().await;
    let expected = ["UpdateStarted", "ImageUpdated", "UpdateAvailable"];
    stage
        .until("the image is offered again", || {
            stage.told() == told_of("StatefulSet", &expected)
        })
        .await;
    assert_eq!(stage.marker(), None);
    stage
        .wait(&STATEFUL_SETS, "db is back", |set| has_settled(set, 3))
        .await;
    assert_eq!(stage.tags(), ["1.4.0"; 3]);
    assert_eq!(stage.generation(&STATEFUL_SETS), 3, "the update, and the undo");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_in_the_middle_of_a_rollout_ends_the_update() {
    let stage = with_db().await;
    let _updater = stage.offer(&SLOWLY).await;
    stage.is_halfway().await;
    stage.undo().await;
    let result = stage.result(&STATEFUL_SETS).await;
    let expected = format!(
        "superseded: container db was set to {}",
        stage.image("shop/db", "1.4.0")
    );
    assert_eq!(result, expected);
    assert_eq!(stage.marker(), None);
}
