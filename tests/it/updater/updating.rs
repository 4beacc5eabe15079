//! One update, from the record to its end, and what can come in between.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_applied_once_and_followed_to_its_end() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    let before = stage.deployment("checkout").await.metadata.generation.unwrap();
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    let marker = stage.annotation("checkout", "in-flight").await.unwrap();
    assert!(marker.contains(OLD) && marker.contains(NEW), "{marker}");

    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    assert_eq!(stage.annotation("checkout", "in-flight").await, None);
    assert_eq!(
        stage.annotation("checkout", "last-change").await,
        Some(format!("app: {OLD} -> {NEW}"))
    );
    assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"completed\"} 1")
        .await;
    updater
        .shows("kubefresh_containers{verdict=\"up-to-date\"} 1")
        .await;
    updater.stop().await;

    let patches = stage.patches("checkout");
    let codes: Vec<u16> = patches.iter().map(|patch| patch.code).collect();
    assert_eq!(codes, [200, 200], "one patch to begin and one to end");
    assert!(
        patches
            .iter()
            .all(|patch| patch.content_type == "application/strategic-merge-patch+json")
    );
    assert_eq!(
        stage.deployment("checkout").await.metadata.generation,
        Some(before + 1),
        "one rollout"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_fails_is_told_and_written_down() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/rollback", "false")]).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.give_up("checkout").await;
    let result = stage.result("checkout").await;
    assert!(
        result.starts_with("failed: ReplicaSet \"checkout-1\" has timed out progressing."),
        "{result}"
    );
    assert_eq!(stage.annotation("checkout", "in-flight").await, None);
    assert_eq!(
        stage.annotation("checkout", "hold").await.as_deref(),
        Some("1.5.0")
    );
    assert_eq!(stage.image("checkout").await, NEW, "nobody wants it back");
    let events = stage.events("checkout").await;
    let failed = events.last().unwrap();
    assert_eq!(
        (failed.reason.as_deref(), failed.type_.as_deref()),
        (Some("RolloutFailed"), Some("Warning"))
    );
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"failed\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_outlasts_its_timeout_fails_although_nothing_changes_any_more() {
    let annotations = [
        ("kubefresh.dev/rollout-timeout", "1s"),
        ("kubefresh.dev/rollback", "false"),
    ];
    let stage = Stage::with_checkout(&annotations).await;
    let _updater = stage.leader().await;
    stage.offer_1_5_0().await;
    let result = stage.result("checkout").await;
    assert!(result.starts_with("failed: rollout timeout passed"), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_human_sets_meanwhile_ends_the_update_and_stays() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    let other = "registry.example/shop/checkout:2.0.0";
    stage.set_image("checkout", other).await;
    let result = stage.result("checkout").await;
    assert_eq!(result, format!("superseded: container app was set to {other}"));
    assert_eq!(
        stage.told("checkout").await,
        ["UpdateStarted", "UpdateSuperseded"]
    );
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"superseded\"} 1")
        .await;
    assert_eq!(stage.image("checkout").await, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leads_next_goes_on_with_an_update_that_was_begun() {
    let stage = Stage::with_checkout(&[]).await;
    let first = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    first.kill().await;
    stage.roll_out("checkout").await;
    let second = stage.updater(SECOND, LEASE).await;
    assert_eq!(stage.result("checkout").await, "completed");
    assert_eq!(stage.told("checkout").await, ["UpdateStarted", "ImageUpdated"]);
    second.stop().await;
    assert_eq!(stage.patches("checkout").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_is_wrong_holds_up_no_other() {
    let stage = Stage::with_checkout(&[]).await;
    stage
        .deploy("typo", OLD, &[("kubefresh.dev/mode", "automatic")])
        .await;
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    updater
        .shows("kubefresh_workloads{kind=\"Deployment\",state=\"stopped\"} 1")
        .await;
    let events = stage.events("typo").await;
    let [event] = &events[..] else {
        panic!("{events:#?}")
    };
    let note = event.note.as_deref().unwrap();
    assert!(
        note.contains("kubefresh.dev/mode") && note.contains("\"automatic\""),
        "{note}"
    );
    assert_eq!(
        (event.reason.as_deref(), event.type_.as_deref()),
        (Some("InvalidSettings"), Some("Warning"))
    );
    assert_eq!(stage.image("typo").await, OLD);
}
