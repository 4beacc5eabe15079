//! An update that fails is undone, and not tried again until there is a reason to.

use super::*;

impl Stage {
    /// A stage where the update of `checkout` to 1.5.0 has just failed.
    async fn with_a_failed_update(annotations: &[(&str, &str)]) -> (Self, Updater) {
        let stage = Self::with_checkout(annotations).await;
        let updater = stage.leader().await;
        stage.offer_1_5_0().await;
        stage.image_becomes("checkout", NEW).await;
        stage.give_up("checkout").await;
        (stage, updater)
    }

    async fn hold(&self) -> Option<String> {
        self.annotation("checkout", "hold").await
    }

    async fn offer(&self, tags: &[&str]) {
        self.scanned("registry.example/shop/checkout", &["1.4.0 minor"], tags)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_fails_is_undone_in_one_patch_and_held_until_something_newer_appears() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/hold", "1.4.7")]).await;
    let before = stage.deployment("checkout").await.metadata.generation.unwrap();
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.give_up("checkout").await;
    stage.image_becomes("checkout", OLD).await;
    assert_eq!(stage.hold().await.as_deref(), Some("1.4.7 1.5.0"));
    let marker = stage.annotation("checkout", "in-flight").await.unwrap();
    assert!(marker.contains("has timed out progressing"), "{marker}");
    stage.roll_out("checkout").await;
    let result = stage.result("checkout").await;
    assert!(
        result.starts_with("rolled back: ReplicaSet \"checkout-1\" has timed out progressing."),
        "{result}"
    );
    assert_eq!(stage.annotation("checkout", "in-flight").await, None);
    assert_eq!(
        stage.told("checkout").await,
        ["UpdateStarted", "RolloutFailed", "RolledBack"]
    );
    let note = stage.events("checkout").await.remove(1).note.unwrap();
    assert!(note.contains("kubefresh.dev/hold is removed"), "{note}");
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"rolled-back\"} 1")
        .await;
    updater.shows("kubefresh_containers{verdict=\"held\"} 1").await;
    let codes: Vec<u16> = stage.patches("checkout").iter().map(|patch| patch.code).collect();
    assert_eq!(codes, [200; 3], "to begin, to go back, to end");
    let generation = stage.deployment("checkout").await.metadata.generation;
    assert_eq!(generation, Some(before + 2));

    stage.offer(&["1.4.0", "1.5.0", "1.5.1"]).await;
    stage
        .image_becomes("checkout", "registry.example/shop/checkout:1.5.1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rolled_back_is_offered_again_once_the_hold_is_removed() {
    let (stage, updater) = Stage::with_a_failed_update(&[]).await;
    stage.image_becomes("checkout", OLD).await;
    stage.roll_out("checkout").await;
    updater.shows("kubefresh_containers{verdict=\"held\"} 1").await;
    let patch = json!({ "metadata": { "annotations": { "kubefresh.dev/hold": null } } });
    stage
        .deployments()
        .patch("checkout", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    stage.image_becomes("checkout", NEW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_too_is_told_loudly_and_left_alone() {
    let (stage, updater) = Stage::with_a_failed_update(&[]).await;
    stage.image_becomes("checkout", OLD).await;
    stage.give_up("checkout").await;
    let result = stage.result("checkout").await;
    assert!(
        result.starts_with("failed: ReplicaSet") && result.contains("; rollback failed: ReplicaSet"),
        "{result}"
    );
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"rollback-failed\"} 1")
        .await;
    updater.shows("kubefresh_containers{verdict=\"held\"} 1").await;
    let events = stage.events("checkout").await;
    let last = events.last().unwrap();
    assert_eq!(
        (last.reason.as_deref(), last.type_.as_deref()),
        (Some("RollbackFailed"), Some("Warning"))
    );
    assert_eq!(events.len(), 3, "{events:#?}");
    assert_eq!(stage.image("checkout").await, OLD);
    assert_eq!(stage.hold().await.as_deref(), Some("1.5.0"));
    assert_eq!(stage.patches("checkout").len(), 3);
    // What is newer than the one that failed may be the cure.
    stage.offer(&["1.4.0", "1.5.0"]).await;
    stage.offer(&["1.4.0", "1.5.0", "1.5.1"]).await;
    stage
        .image_becomes("checkout", "registry.example/shop/checkout:1.5.1")
        .await;
    assert_eq!(stage.patches("checkout").len(), 4, "nothing was tried in between");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_next_ends_a_rollback_that_was_begun() {
    let (stage, first) = Stage::with_a_failed_update(&[]).await;
    stage.image_becomes("checkout", OLD).await;
    first.kill().await;
    stage.roll_out("checkout").await;
    let second = stage.updater(SECOND, LEASE).await;
    let result = stage.result("checkout").await;
    assert!(result.starts_with("rolled back: "), "{result}");
    second.stop().await;
    assert_eq!(
        stage.told("checkout").await,
        ["UpdateStarted", "RolloutFailed", "RolledBack"]
    );
    assert_eq!(stage.patches("checkout").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_human_sets_in_a_rollback_ends_it_and_stays() {
    let (stage, _updater) = Stage::with_a_failed_update(&[]).await;
    stage.image_becomes("checkout", OLD).await;
    let other = "registry.example/shop/checkout:2.0.0";
    stage.set_image("checkout", other).await;
    let result = stage.result("checkout").await;
    assert_eq!(result, format!("superseded: container app was set to {other}"));
    assert_eq!(stage.image("checkout").await, other);
}
