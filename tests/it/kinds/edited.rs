//! Somebody edits a workload in the middle of a rollout, and not its images: the rollout goes on with what they did.

use sandbox::apiserver::resources::{DEPLOYMENTS, PODS};
use serde_json::{Value, json};

use super::{Stage, annotation, told_of};
use crate::shop::{deployment, scan};

/// Sandbox time that leaves the test five seconds to come in between.
const SLOWLY: [(&str, &str); 1] = [("ready-after", "100s")];

const BOTH: [&str; 4] = ["UpdateStarted", "ImageUpdated", "UpdateStarted", "ImageUpdated"];

impl Stage {
    /// Waits until an update to this tag is in the middle: one of its pods is there, and not yet ready.
    async fn is_in_the_middle(&self, tag: &str) {
        self.until(&format!("a pod of {tag} is on its way"), || {
            self.tags().contains(&tag.to_owned())
        })
        .await;
        self.goes_on();
    }

    fn goes_on(&self) {
        let deployment = self.get(&DEPLOYMENTS).unwrap();
        assert!(annotation(&deployment, "in-flight").is_some(), "{deployment}");
    }

    fn edit(&self, edit: impl Fn(&mut Value)) {
        let edit = |deployment: &mut Value| {
            edit(deployment);
            Ok(())
        };
        self.store.update(&DEPLOYMENTS, "shop", "db", edit).unwrap();
    }

    async fn has_ended(&self) {
        self.wait(&DEPLOYMENTS, "the update has ended", |deployment| {
            annotation(deployment, "in-flight").is_none()
        })
        .await;
        let deployment = self.get(&DEPLOYMENTS).unwrap();
        assert_eq!(
            annotation(&deployment, "last-result").as_deref(),
            Some("completed")
        );
    }

    /// What the pods of `db` have in their environment.
    fn environments(&self) -> Vec<Value> {
        let pods = self.store.list(&PODS, Some("shop"));
        let environment = pods.iter().map(|pod| pod["spec"]["containers"][0]["env"].clone());
        environment.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_edited_in_the_middle_of_a_rollout_is_followed_to_the_end_of_what_it_is_then() {
    let stage = Stage::set().await;
    stage.run("Deployment", json!({ "replicas": 1 })).await;
    let runs = |deployment: &Value| deployment["status"]["availableReplicas"] == 1;
    stage.wait(&DEPLOYMENTS, "db runs", runs).await;
    let _updater = stage.offer(&SLOWLY).await;
    stage.is_in_the_middle("1.5.0").await;
    let environment = json!([{ "name": "COLOUR", "value": "green" }]);
    stage.edit(|deployment| {
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] = environment.clone();
    });
    stage
        .until("a pod of the edited template is on its way", || {
            stage.environments().contains(&environment)
        })
        .await;
    stage.goes_on();
    stage.edit(|deployment| deployment["spec"]["replicas"] = json!(2));
    stage.has_ended().await;
    let edited = [environment.clone(), environment];
    // Those of before go in their own time.
    stage
        .until("both pods are of the edited template", || {
            stage.tags() == ["1.5.0"; 2] && stage.environments() == edited
        })
        .await;
    assert_eq!(stage.told(), told_of("Deployment", &BOTH[..2]));

    // With no pod left there is none to wait for, and what was begun in mode auto is ended in mode off.
    stage.publish("shop/db", "1.6.0", &SLOWLY);
    scan(&stage.cluster).await;
    stage.is_in_the_middle("1.6.0").await;
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/mode", "off");
    stage.edit(|deployment| deployment["spec"]["replicas"] = json!(0));
    stage.has_ended().await;
    stage.until("its pods are gone", || stage.tags().is_empty()).await;
    assert_eq!(stage.told(), told_of("Deployment", &BOTH));

    // And nothing is begun anew, though another workload is given the same in the same look.
    let annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    let other = deployment("other", &stage.image("shop/db", "1.6.0"), &annotations);
    stage.cluster.apply(&[other]).await;
    stage.publish("shop/db", "1.7.0", &[]);
    scan(&stage.cluster).await;
    stage
        .until("the other one is given it", || {
            let other = stage.store.get(&DEPLOYMENTS, "shop", "other").unwrap();
            annotation(&other, "last-result").is_some()
        })
        .await;
    let container = &stage.get(&DEPLOYMENTS).unwrap()["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], stage.image("shop/db", "1.6.0"));
}
