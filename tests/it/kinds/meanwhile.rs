//! What can come in between: the updater dies, the workload goes, a pod is broken, somebody goes back.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::apiserver::resources::{
    CONTROLLER_REVISIONS, DAEMON_SETS, DEPLOYMENTS, PODS, REPLICA_SETS, Resource, STATEFUL_SETS,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Stage, annotation, has_settled, told_of};
use crate::shop::start_updater;

/// Sandbox time that leaves the test five seconds for each pod to come in between.
const SLOWLY: [(&str, &str); 1] = [("ready-after", "100s")];

/// The same for a rollout that does not have to end.
const VERY_SLOWLY: [(&str, &str); 1] = [("ready-after", "200s")];

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

    /// What `kubectl rollout undo` does with a kind that keeps its revisions: the data of the first one is a patch.
    async fn undo<K>(&self)
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let mut revisions = self.store.list(&CONTROLLER_REVISIONS, Some("shop"));
        revisions.sort_by_key(|revision| revision["revision"].as_i64());
        let sets: Api<K> = Api::namespaced(self.cluster.client().await, "shop");
        let patch = Patch::Strategic(revisions[0]["data"].clone());
        sets.patch("db", &PatchParams::default(), &patch).await.unwrap();
    }

    /// The same with a Deployment, back to this tag: the template of the ReplicaSet, and its copy of the annotations in the
    /// place of those that are there.
    pub(super) async fn undo_deployment(&self, tag: &str) {
        let old = self.image("shop/db", tag);
        let sets = self.store.list(&REPLICA_SETS, Some("shop"));
        let is_old =
            |set: &&Arc<Value>| set["spec"]["template"]["spec"]["containers"][0]["image"] == old.as_str();
        let set = sets.iter().find(is_old).unwrap();
        let mut template = set["spec"]["template"].clone();
        let labels = template["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("pod-template-hash");
        let mut annotations = set["metadata"]["annotations"].clone();
        let all = annotations.as_object_mut().unwrap();
        all.retain(|key, _| !key.starts_with("deployment.kubernetes.io/"));
        let revision = "deployment.kubernetes.io/revision";
        let present = self.get(&DEPLOYMENTS).unwrap();
        annotations[revision] = present["metadata"]["annotations"][revision].clone();
        let patch = json!([
            { "op": "replace", "path": "/spec/template", "value": template },
            { "op": "replace", "path": "/metadata/annotations", "value": annotations },
        ]);
        let patch = Patch::Json::<()>(serde_json::from_value(patch).unwrap());
        let deployments: Api<Deployment> = Api::namespaced(self.cluster.client().await, "shop");
        let parameters = PatchParams {
            field_manager: Some("kubectl".to_owned()),
            ..PatchParams::default()
        };
        deployments.patch("db", &parameters, &patch).await.unwrap();
    }

    async fn is_held(&self, resource: &'static Resource) {
        self.wait(resource, "what was left is held", |object| {
            annotation(object, "hold").as_deref() == Some("<=1.5.0")
        })
        .await;
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
    stage.annotate(&STATEFUL_SETS, "kubefresh.dev/rollout-timeout", "10s");
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
         it is deleted; pod db-2: not ready: containers with unready status: [db]"
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
    stage.undo::<StatefulSet>().await;
    stage.is_held(&STATEFUL_SETS).await;
    let expected = ["UpdateStarted", "ImageUpdated", "UpdateHeld"];
    assert_eq!(stage.told(), told_of("StatefulSet", &expected));
    assert_eq!(stage.marker(), None);
    stage
        .wait(&STATEFUL_SETS, "db is back", |set| has_settled(set, 3))
        .await;
    assert_eq!(stage.tags(), ["1.4.0"; 3]);
    assert_eq!(stage.generation(&STATEFUL_SETS), 3, "the update, and the undo");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_of_a_daemon_set_is_not_fought() {
    let stage = Stage::set().await;
    stage.run("DaemonSet", json!({})).await;
    let runs = |set: &Value| set["status"]["numberAvailable"] == 1;
    stage.wait(&DAEMON_SETS, "db runs", runs).await;
    let _updater = stage.offer(&[]).await;
    assert_eq!(stage.result(&DAEMON_SETS).await, "completed");
    stage.undo::<DaemonSet>().await;
    stage.is_held(&DAEMON_SETS).await;
    let expected = ["UpdateStarted", "ImageUpdated", "UpdateHeld"];
    assert_eq!(stage.told(), told_of("DaemonSet", &expected));
    stage.until("db is back", || stage.tags() == ["1.4.0"]).await;
    assert_eq!(stage.generation(&DAEMON_SETS), 3, "the update, and the undo");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_in_the_middle_of_a_rollout_ends_the_update() {
    let stage = with_db().await;
    let _updater = stage.offer(&VERY_SLOWLY).await;
    stage.is_halfway().await;
    stage.undo::<StatefulSet>().await;
    stage.is_held(&STATEFUL_SETS).await;
    let expected = ["UpdateStarted", "UpdateSuperseded", "UpdateHeld"];
    assert_eq!(stage.told(), told_of("StatefulSet", &expected));
    assert_eq!(stage.marker(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_of_a_deployment_in_the_middle_of_a_rollout_ends_the_update_although_it_takes_the_marker_away()
 {
    let stage = Stage::set().await;
    let spec = json!({ "replicas": 1, "progressDeadlineSeconds": 6000 });
    stage.run("Deployment", spec).await;
    stage
        .wait(&DEPLOYMENTS, "db runs", |set| set["status"]["readyReplicas"] == 1)
        .await;
    let _updater = stage.offer(&[("never-ready", "true")]).await;
    stage
        .until("the start is told", || !stage.told().is_empty())
        .await;
    stage.undo_deployment("1.4.0").await;
    stage.is_held(&DEPLOYMENTS).await;
    let marker = annotation(&stage.get(&DEPLOYMENTS).unwrap(), "in-flight");
    assert_eq!(marker, None, "the former revision had none");
    let expected = ["UpdateStarted", "UpdateSuperseded", "UpdateHeld"];
    assert_eq!(stage.told(), told_of("Deployment", &expected));
    let container = &stage.get(&DEPLOYMENTS).unwrap()["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], stage.image("shop/db", "1.4.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_of_a_deployment_brings_annotations_back_and_is_not_fought_either() {
    let stage = Stage::set().await;
    stage.run("Deployment", json!({ "replicas": 1 })).await;
    let available = |deployment: &Value| deployment["status"]["availableReplicas"] == 1;
    stage.wait(&DEPLOYMENTS, "db runs", available).await;
    let _updater = stage.offer(&[]).await;
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    stage.undo_deployment("1.4.0").await;
    stage.is_held(&DEPLOYMENTS).await;
    stage
        .wait(&DEPLOYMENTS, "db is back", |deployment| {
            available(deployment) && deployment["status"]["updatedReplicas"] == 1
        })
        .await;
    let expected = ["UpdateStarted", "ImageUpdated", "UpdateHeld"];
    assert_eq!(stage.told(), told_of("Deployment", &expected));
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], stage.image("shop/db", "1.4.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_failed_and_somebody_brings_back_is_not_undone_again_by_whoever_comes_to_lead() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    let mut updater = stage.offer(&[("never-ready", "true")]).await;
    let result = stage.result(&DEPLOYMENTS).await;
    assert!(result.starts_with("rolled back: "), "{result}");
    updater.kill().await.unwrap();
    stage.undo_deployment("1.5.0").await;
    let marker = |deployment: &Value| annotation(deployment, "in-flight");
    assert!(marker(&stage.get(&DEPLOYMENTS).unwrap()).is_some());
    stage
        .wait(&DEPLOYMENTS, "the controller has counted it", |deployment| {
            deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
        })
        .await;
    let _next = start_updater(&stage.cluster);
    stage
        .wait(&DEPLOYMENTS, "the marker is gone", |deployment| {
            marker(deployment).is_none()
        })
        .await;
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], stage.image("shop/db", "1.5.0"));
    let expected = ["UpdateStarted", "RolloutFailed", "RolledBack"];
    assert_eq!(stage.told(), told_of("Deployment", &expected));
}
