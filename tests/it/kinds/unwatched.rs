//! Somebody undoes an update of a Deployment while no updater leads: its ReplicaSets tell of it.

use sandbox::apiserver::faults::Fault;
use sandbox::apiserver::resources::{DEPLOYMENTS, REPLICA_SETS};
use serde_json::Value;

use super::{Stage, annotation, told_of};
use crate::shop::start_updater;

/// Sandbox time that leaves the test five seconds to come in between.
const SLOWLY: [(&str, &str); 1] = [("ready-after", "100s")];

fn is_held(deployment: &Value) -> bool {
    annotation(deployment, "hold").as_deref() == Some("<=1.5.0")
}

impl Stage {
    fn db_image(&self) -> Value {
        let deployment = self.get(&DEPLOYMENTS).unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    }

    /// Waits until a ReplicaSet has the marker of the update that is under way.
    async fn marker_is_copied(&self) {
        self.until("its ReplicaSet has the marker", || {
            let marker = annotation(&self.get(&DEPLOYMENTS).unwrap(), "in-flight");
            let sets = self.store.list(&REPLICA_SETS, Some("shop"));
            marker.is_some() && sets.iter().any(|set| annotation(set, "in-flight") == marker)
        })
        .await;
    }

    async fn marker_is_gone(&self) {
        self.wait(&DEPLOYMENTS, "the update has ended", |deployment| {
            annotation(deployment, "in-flight").is_none() && annotation(deployment, "hold").is_none()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_while_no_updater_leads_is_held_until_somebody_lets_it_go() {
    let stage = Stage::set().await;
    stage.run_deployment().await;
    let mut updater = stage.offer(&SLOWLY).await;
    stage.marker_is_copied().await;
    stage
        .until("the start is told", || !stage.told().is_empty())
        .await;
    updater.kill().await.unwrap();
    stage.undo_deployment("1.4.0").await;
    let _next = start_updater(&stage.cluster);
    stage.wait(&DEPLOYMENTS, "what was left is held", is_held).await;
    assert_eq!(
        stage.told(),
        told_of("Deployment", &["UpdateStarted", "UpdateHeld"])
    );
    assert_eq!(stage.db_image(), stage.image("shop/db", "1.4.0"));
    let result = annotation(&stage.get(&DEPLOYMENTS).unwrap(), "last-result");
    assert_eq!(result.as_deref(), Some("taken back: <=1.5.0 is held"));
    let asked = stage.asked_for("replicasets");
    let let_go = |deployment: &mut Value| {
        let annotations = deployment["metadata"]["annotations"].as_object_mut().unwrap();
        annotations.remove("kubefresh.dev/hold");
        Ok(())
    };
    stage.store.update(&DEPLOYMENTS, "shop", "db", let_go).unwrap();
    stage.marker_is_copied().await;
    stage.marker_is_gone().await;
    assert_eq!(stage.db_image(), stage.image("shop/db", "1.5.0"));
    // Who let it go wants it; it is asked once more only where that came before the updater had seen its own hold.
    let again = stage.asked_for("replicasets") - asked;
    assert!(again <= 1, "asked {again} times more");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_list_replica_sets_it_goes_on_and_without_an_answer_it_waits_for_one() {
    for (fault, goes_on) in [(Fault::forbidden(), true), (Fault::internal(), false)] {
        let stage = Stage::set().await;
        stage.run_deployment().await;
        let refused = stage.fail_to_list("replicasets", fault);
        let _updater = stage.offer(&[]).await;
        if !goes_on {
            stage
                .says("waits until it is known whether somebody has undone it: listing the ReplicaSets of")
                .await;
            stage.until("it has tried again", || refused.struck() >= 2).await;
            assert_eq!(stage.told(), []);
            stage.cluster.api.faults().clear();
        }
        assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    }
}
