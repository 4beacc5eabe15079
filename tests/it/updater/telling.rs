//! What people hear: once, and never at the price of the work.

use sandbox::apiserver::error::ApiError;
use sandbox::apiserver::faults::{Fault, FaultRule};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_waits_for_approval_is_told_once_even_by_the_next_leader() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let first = stage.leader().await;
    stage.offer_1_5_0().await;
    first
        .shows("kubefresh_notices_total{reason=\"UpdateAvailable\",result=\"told\"} 1")
        .await;
    first.stop().await;
    let second = stage.leader().await;
    second
        .shows("kubefresh_notices_total{reason=\"UpdateAvailable\",result=\"already-told\"} 1")
        .await;
    let events = stage.events("checkout").await;
    let [event] = &events[..] else {
        panic!("{events:#?}")
    };
    let note = event.note.as_deref().unwrap();
    assert!(note.contains("kubefresh.dev/approved=1.5.0"), "{note}");
    assert_eq!(event.reporting_instance.as_deref(), Some(UPDATER));
    assert_eq!(
        event.regarding.as_ref().unwrap().uid,
        stage.deployment("checkout").await.metadata.uid
    );
    assert_eq!(stage.image("checkout").await, OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_starts_the_update_and_is_used_up() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let _updater = stage.leader().await;
    stage.offer_1_5_0().await;
    eventually("the update is offered", LIMIT, || async {
        (stage.told("checkout").await == ["UpdateAvailable"]).then_some(())
    })
    .await;
    stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    stage.image_becomes("checkout", NEW).await;
    assert_eq!(stage.annotation("checkout", "approved").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_refused_for_good_do_not_hold_up_the_update() {
    let stage = Stage::with_checkout(&[]).await;
    let refusal = ApiError::new(http::StatusCode::FORBIDDEN, "Forbidden", "events is forbidden");
    let rule = FaultRule::new(Fault::Answer(refusal))
        .verb("create")
        .resource("events");
    stage.cluster.api.faults().install(rule);
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    updater
        .shows("kubefresh_notices_total{reason=\"ImageUpdated\",result=\"refused\"} 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_is_refused_is_not_repeated_in_a_hurry() {
    let stage = Stage::with_checkout(&[]).await;
    let refusal = ApiError::new(http::StatusCode::FORBIDDEN, "Forbidden", "denied by policy");
    let rule = FaultRule::new(Fault::Answer(refusal))
        .verb("patch")
        .resource("deployments");
    let refused = stage.cluster.api.faults().install(rule.user(UPDATER));
    let updater = stage.leader().await;
    stage.offer_1_5_0().await;
    updater
        .shows("kubefresh_patches_total{result=\"refused\"} 2")
        .await;
    // Ten new states of the workload are ten reasons to look, and none to try again before its time.
    let before = refused.struck();
    for round in 0..10 {
        stage
            .annotate("checkout", "shop.example/round", &round.to_string())
            .await;
    }
    stage.deploy("other", OLD, &[("kubefresh.dev/mode", "off")]).await;
    updater
        .shows("kubefresh_containers{verdict=\"mode-off\"} 1")
        .await;
    assert!(refused.struck() <= before + 1, "{} tries", refused.struck());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_stops_its_own_workloads_with_a_warning_and_no_others() {
    let stage = Stage::with_checkout(&[]).await;
    stage
        .deploy("catalog", "registry.example/shop/catalog:1.4.0", &[])
        .await;
    stage
        .scanned(
            "registry.example/shop/catalog",
            &["1.4.0 minor"],
            &["1.4.0", "1.5.0"],
        )
        .await;
    stage.offer_1_5_0_in_a_record_that_is_broken().await;
    let _updater = stage.leader().await;
    stage
        .image_becomes("catalog", "registry.example/shop/catalog:1.5.0")
        .await;
    let event = eventually("the broken record is told", LIMIT, || async {
        stage.events("checkout").await.pop()
    })
    .await;
    assert_eq!(event.reason.as_deref(), Some("InvalidRecord"));
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.unwrap();
    assert!(
        note.contains("scan-registry-example-shop-checkout-") && note.contains("tags"),
        "{note}"
    );
    assert_eq!(stage.image("checkout").await, OLD);
}
