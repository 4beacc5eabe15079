//! What is published beside its name decides too: whether it is the image that runs already, and for which platforms it is.

use std::time::Duration;

use sandbox::apiserver::faults::Fault;
use sandbox::apiserver::resources::{DEPLOYMENTS, NODES};
use sandbox::registry::ImageSpec;
use serde_json::Value;

use super::{Stage, annotation};
use crate::shop::{scan, start_updater};

impl Stage {
    fn publish_for(&self, tag: &str, platforms: &[&str]) {
        let image = ImageSpec::new("shop/db", tag).platforms(platforms);
        self.cluster.registry.publish(&image);
    }

    /// Waits until `db` says what it waits for.
    pub(super) async fn says(&self, what: &str) {
        let says = |set: &Value| annotation(set, "pending").is_some_and(|said| said.contains(what));
        self.wait(&DEPLOYMENTS, what, says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_name_for_the_image_that_runs_rolls_nothing_out() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    stage.cluster.registry.retag("shop/db", "1.4.0", "1.4.1");
    scan(&stage.cluster).await;
    let generation = stage.generation(&DEPLOYMENTS);
    let _updater = start_updater(&stage.cluster);
    stage
        .until("the pods were asked", || stage.asked_for("pods") > 0)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.generation(&DEPLOYMENTS), generation);
    assert_eq!(stage.told(), []);
    stage.publish("shop/db", "1.5.0", &[]);
    scan(&stage.cluster).await;
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    assert_eq!(stage.generation(&DEPLOYMENTS), generation + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_published_for_the_node_that_it_would_run_on_waits_for_one_that_is() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    stage.publish_for("1.5.0", &["linux/arm64"]);
    scan(&stage.cluster).await;
    let generation = stage.generation(&DEPLOYMENTS);
    let _updater = start_updater(&stage.cluster);
    stage
        .says("1.5.0 waits until it is published for linux/amd64, on which nodes run")
        .await;
    assert_eq!(stage.generation(&DEPLOYMENTS), generation);
    assert_eq!(stage.asked_for("nodes"), 1, "one answer lasts for a while");
    stage.publish_for("1.5.1", &["linux/amd64", "linux/arm64"]);
    scan(&stage.cluster).await;
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    assert_eq!(annotation(&deployment, "pending"), None);
    assert_eq!(stage.store.list(&NODES, None).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_list_nodes_it_goes_on_and_without_an_answer_it_waits_for_one() {
    for (fault, goes_on) in [(Fault::forbidden(), true), (Fault::internal(), false)] {
        let stage = Stage::set().await;
        stage.run_deployment().await;
        let refused = stage.fail_to_list("nodes", fault);
        let _updater = stage.offer(&[]).await;
        if !goes_on {
            stage.until("it has tried again", || refused.struck() >= 2).await;
            assert_eq!(annotation(&stage.get(&DEPLOYMENTS).unwrap(), "last-result"), None);
            stage.cluster.api.faults().clear();
        }
        assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    }
}
