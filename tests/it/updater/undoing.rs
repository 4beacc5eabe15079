//! Somebody asks for the last update to be undone.

use super::commands::run;
use super::*;
use crate::output::{stderr, stdout};

const RESULT: &str = "rolled back: asked for by kubefresh.dev/undo=1.5.0";

impl Stage {
    /// Plays the controller until what was asked for has ended.
    async fn goes_back(&self) {
        self.image_becomes("checkout", OLD).await;
        assert_eq!(self.annotation("checkout", "undo").await, None);
        self.roll_out("checkout").await;
        self.result_becomes(RESULT).await;
        assert_eq!(
            self.annotation("checkout", "hold").await.as_deref(),
            Some("<=1.5.0")
        );
        assert_eq!(self.annotation("checkout", "last-images").await, None);
    }

    /// Waits until a request is gone, and answers with what was told of it.
    async fn is_refused(&self) -> Vec<String> {
        eventually("the request is gone", LIMIT, || async {
            let request = self.annotation("checkout", "undo").await;
            request.is_none().then_some(())
        })
        .await;
        let mut events = self.events("checkout").await;
        events.retain(|event| event.reason.as_deref() == Some("RollbackRefused"));
        assert!(
            events
                .iter()
                .all(|event| event.type_.as_deref() == Some("Warning"))
        );
        events.into_iter().filter_map(|event| event.note).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_undoes_the_last_update_once_and_only_what_is_newer_comes_after_it() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    stage.update_to_1_5_0().await;
    let output = run(&stage, &["rollback", "shop/checkout"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    let meaning = format!("container app: {NEW} -> {OLD} is asked for\n");
    assert!(said.starts_with(&meaning), "{said}");
    stage.goes_back().await;
    let told = [
        "UpdateStarted",
        "ImageUpdated",
        // By whom, and that it begins.
        "RollbackRequested",
        "RollbackRequested",
        "RolledBack",
    ];
    assert_eq!(stage.told("checkout").await, told);
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"rolled-back-on-request\"} 1")
        .await;
    let codes: Vec<u16> = stage.patches("checkout").iter().map(|patch| patch.code).collect();
    assert_eq!(
        codes, [200; 5],
        "to begin and to end, to ask, to go back and to end"
    );

    let again = run(&stage, &["rollback", "shop/checkout"]).await;
    assert_eq!(again.status.code(), Some(2));
    let said = stderr(&again);
    assert!(said.contains("no update is written down"), "{said}");
    let tags = ["1.4.0", "1.4.9", "1.5.0", "1.5.1"];
    stage
        .scanned("registry.example/shop/checkout", &["1.4.0 minor"], &tags)
        .await;
    stage
        .image_becomes("checkout", "registry.example/shop/checkout:1.5.1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_abandoned_in_the_middle_of_its_rollout() {
    let stage = Stage::with_checkout(&[]).await;
    let _updater = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.annotate("checkout", "kubefresh.dev/undo", "1.5.0").await;
    stage.goes_back().await;
    let told = [
        "UpdateStarted",
        "UpdateSuperseded",
        "RollbackRequested",
        "RolledBack",
    ];
    assert_eq!(stage.told("checkout").await, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_mode_nor_freeze_nor_a_new_leader_keeps_a_request_waiting() {
    let stage = Stage::with_checkout(&[]).await;
    let first = stage.leader().await;
    stage.update_to_1_5_0().await;
    first.stop().await;
    stage.annotate("checkout", "kubefresh.dev/mode", "notify").await;
    let freeze = "2020-01-01T00:00/2120-01-01T00:00 UTC";
    stage.annotate("checkout", "kubefresh.dev/freeze", freeze).await;
    stage.annotate("checkout", "kubefresh.dev/undo", "1.5.0").await;
    let _second = stage.leader().await;
    stage.goes_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fits_nothing_is_told_and_removed_and_stops_only_itself() {
    let stage = Stage::with_checkout(&[]).await;
    let _updater = stage.leader().await;
    stage.annotate("checkout", "kubefresh.dev/undo", "1.5.0").await;
    assert_eq!(
        stage.is_refused().await,
        [
            "nothing is undone, and annotation kubefresh.dev/undo=1.5.0 is removed: no update is written down that could be undone"
        ]
    );
    // It does not come to fit later.
    stage.update_to_1_5_0().await;
    stage.annotate("checkout", "kubefresh.dev/undo", "1.6.0").await;
    assert_eq!(stage.is_refused().await.len(), 2);
    let other = "registry.example/shop/checkout:1.4.5";
    stage.set_image("checkout", other).await;
    stage.is_held("<=1.5.0").await;
    stage.annotate("checkout", "kubefresh.dev/undo", "1.5.0").await;
    assert_eq!(stage.is_refused().await.len(), 2, "it was told before");
    assert_eq!(stage.image("checkout").await, other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_on_request_that_fails_is_told_and_left_alone() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    stage.update_to_1_5_0().await;
    stage.annotate("checkout", "kubefresh.dev/undo", "1.5.0").await;
    stage.image_becomes("checkout", OLD).await;
    stage.give_up("checkout").await;
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"rollback-failed\"} 1")
        .await;
    let result = stage.annotation("checkout", "last-result").await.unwrap();
    let expected =
        "failed: rollback, asked for by kubefresh.dev/undo=1.5.0: ReplicaSet \"checkout-1\" has timed out";
    assert!(result.starts_with(expected), "{result}");
    assert_eq!(stage.image("checkout").await, OLD);
}
