//! What changes in the middle of a rollout, and waits for its end.

use super::*;

const NEWEST: &str = "registry.example/shop/checkout:1.6.0";

impl Stage {
    /// A stage on which the update to 1.5.0 has begun.
    async fn in_the_middle() -> (Self, Updater) {
        let stage = Self::with_checkout(&[]).await;
        let updater = stage.leader().await;
        stage.offer_1_5_0().await;
        stage.image_becomes("checkout", NEW).await;
        (stage, updater)
    }

    /// The rollout ends, and was the only one.
    async fn ends_as_it_began(&self, what: &str) {
        self.roll_out("checkout").await;
        assert_eq!(self.result("checkout").await, "completed", "{what}");
        let deployment = self.deployment("checkout").await;
        assert_eq!(deployment.metadata.generation, Some(2), "{what}");
        assert_eq!(self.image("checkout").await, NEW, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_tag_in_the_middle_of_a_rollout_waits_for_its_end_and_then_goes() {
    let (stage, updater) = Stage::in_the_middle().await;
    stage.deploy("other", NEW, &[]).await;
    stage
        .scanned(
            "registry.example/shop/checkout",
            &["1.4.0 minor", "1.5.0 minor"],
            &["1.4.0", "1.5.0", "1.6.0"],
        )
        .await;
    // The same record takes the other workload further, so it was seen.
    stage.image_becomes("other", NEWEST).await;
    assert_eq!(stage.image("checkout").await, NEW);
    stage.roll_out("checkout").await;
    stage.image_becomes("checkout", NEWEST).await;
    stage.roll_out("checkout").await;
    let told = ["UpdateStarted", "ImageUpdated", "UpdateStarted", "ImageUpdated"];
    eventually("both updates are over", LIMIT, || async {
        (stage.told("checkout").await == told).then_some(())
    })
    .await;
    assert_eq!(stage.deployment("checkout").await.metadata.generation, Some(3));
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_goes_wrong_in_the_middle_of_a_rollout_changes_nothing_of_it() {
    let wrong = [
        ("newer", json!({ "data": { "schema": "2" } })),
        (
            "truncated",
            json!({ "data": { "tags": "- tag: \"1.5.0\"\n  first" } }),
        ),
        ("emptied", json!({ "data": null })),
        (
            "of another repository",
            json!({ "data": { "repository": "registry.example/shop/other" } }),
        ),
    ];
    for (what, patch) in wrong {
        let (stage, updater) = Stage::in_the_middle().await;
        let records: Api<ConfigMap> = Api::namespaced(stage.client.clone(), NAMESPACE);
        let name = record_name(&"registry.example/shop/checkout".parse().unwrap());
        let parameters = PatchParams::default();
        records
            .patch(&name, &parameters, &Patch::Merge(patch))
            .await
            .unwrap();
        stage.ends_as_it_began(what).await;
        // Only then is it of any concern.
        eventually(&format!("a record that is {what} is told of"), LIMIT, || async {
            let told = stage.told("checkout").await;
            (told == ["UpdateStarted", "ImageUpdated", "InvalidRecord"]).then_some(())
        })
        .await;
        updater.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_deleted_in_the_middle_of_a_rollout_is_not_missed() {
    let (stage, updater) = Stage::in_the_middle().await;
    let records: Api<ConfigMap> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let name = record_name(&"registry.example/shop/checkout".parse().unwrap());
    records
        .delete(&name, &kube::api::DeleteParams::default())
        .await
        .unwrap();
    stage.ends_as_it_began("deleted").await;
    updater.stop().await;
    assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
}
