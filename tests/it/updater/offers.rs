//! Other programs hear of offers and reminders where they ask for that, beside what watch-cluster would tell them.

use sandbox::receiver::{Received, Receiver};

use super::*;

/// Waits until it took so many.
async fn taken(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually(&format!("{count} are taken"), LIMIT, || async {
        Some(receiver.received()).filter(|received| received.len() >= count)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_approval_is_posted_in_quiet_hours_too_and_reminded_of() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let receiver = Receiver::start().await;
    let url = receiver.url("/hook");
    let words = [
        "--webhook-url",
        &url,
        "--webhook-enable-notice",
        "--webhook-enable-image-rollout-started",
        "--remind-every=2s",
        "--quiet-hours=2020-01-01T00:00/2099-01-01T00:00",
    ];
    let updater = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    let told = taken(&receiver, 2).await;
    for (posted, is_reminder) in told.iter().zip([Value::Null, json!(true)]) {
        assert_eq!(posted.body["eventType"], "NOTICE");
        let deployment = json!({ "namespace": "shop", "name": "checkout", "image": NEW });
        assert_eq!(posted.body["deployment"], deployment);
        let details = &posted.body["details"];
        assert_eq!(details["reason"], "UpdateAvailable");
        assert_eq!(details["previousImage"], OLD);
        assert_eq!(details["awaitsApproval"], true);
        assert_eq!(details["isReminder"], is_reminder);
    }
    stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    let started = eventually("the rollout is posted", LIMIT, || async {
        let mut told = receiver.received().into_iter();
        told.find(|posted| posted.body["eventType"] == "IMAGE_ROLLOUT_STARTED")
    })
    .await;
    let details = json!({ "previousImage": OLD });
    assert_eq!(started.body["details"], details, "in watch-cluster's words");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_says_what_waits_for_approval_and_what_is_a_reminder_of_it() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let receiver = Receiver::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json.j2");
    let template = r#"{"reason": {{ reason }}, "waits": {{ awaits_approval }}, "again": {{ is_reminder }}, "event": {{ event.eventType }}}"#;
    std::fs::write(&file, template).unwrap();
    let url = receiver.url("/hook");
    let words = [
        "--webhook-url",
        &url,
        "--webhook-enable-notice",
        "--remind-every=2s",
        "--webhook-template-file",
        file.to_str().unwrap(),
    ];
    let updater = stage.leader_with(&words).await;
    stage.offer_1_5_0().await;
    let told = taken(&receiver, 2).await;
    for (posted, again) in told.iter().zip([false, true]) {
        let expected =
            json!({ "reason": "UpdateAvailable", "waits": true, "again": again, "event": "NOTICE" });
        assert_eq!(posted.body, expected);
    }
    updater.stop().await;
}
