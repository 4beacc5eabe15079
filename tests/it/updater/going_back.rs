//! Somebody goes back to an older image: that is their decision, and it lasts until they or the publisher change it.

use super::*;

impl Stage {
    /// A stage where `checkout` was updated to 1.5.0, and somebody has just gone back to 1.4.0.
    async fn with_a_human_who_went_back() -> (Self, Updater) {
        let stage = Self::with_checkout(&[]).await;
        let updater = stage.leader().await;
        stage.update_to_1_5_0().await;
        stage.set_image("checkout", OLD).await;
        (stage, updater)
    }

    /// What `kubefresh-updater release` does.
    async fn release(&self) {
        let patch = json!({ "metadata": { "annotations": { "kubefresh.dev/hold": null } } });
        self.deployments()
            .patch("checkout", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    async fn told_of_holds(&self) -> Vec<String> {
        let mut events = self.events("checkout").await;
        events.retain(|event| event.reason.as_deref() == Some("UpdateHeld"));
        events.into_iter().filter_map(|event| event.note).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_back_is_held_and_told_once_and_not_fought_for() {
    let (stage, updater) = Stage::with_a_human_who_went_back().await;
    stage.is_held("<=1.5.0").await;
    updater.shows("kubefresh_containers{verdict=\"held\"} 1").await;
    assert_eq!(stage.image("checkout").await, OLD);
    stage.result_becomes("taken back: <=1.5.0 is held").await;
    assert_eq!(
        stage.annotation("checkout", "last-change").await,
        Some(format!("app: {NEW} -> {OLD}"))
    );
    updater
        .shows("kubefresh_updates_total{kind=\"Deployment\",result=\"taken-back\"} 1")
        .await;
    // A tool that reverts whatever differs from its own copy is not fought either.
    for image in [NEW, OLD, NEW, OLD] {
        stage.set_image("checkout", image).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stage.roll_out("checkout").await;
    updater.shows("kubefresh_containers{verdict=\"held\"} 1").await;
    let notes = stage.told_of_holds().await;
    assert_eq!(
        notes,
        [format!(
            "app: {NEW} -> {OLD}: somebody went back, so <=1.5.0 is held, and only what is newer is offered; to lift it: \
             kubefresh-updater release shop/checkout, or remove kubefresh.dev/hold"
        )]
    );
    updater.stop().await;
    assert_eq!(
        stage.patches("checkout").len(),
        3,
        "to begin, to end, and to hold"
    );
    assert_eq!(stage.image("checkout").await, OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_released_is_given_again_and_held_again_when_it_is_taken_back_again() {
    let (stage, _updater) = Stage::with_a_human_who_went_back().await;
    stage.is_held("<=1.5.0").await;
    // Two ends of updates in one second could not be told apart.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.release().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    // Its result is that of the update before: its marker tells whether it has ended.
    eventually("the second update has ended", LIMIT, || async {
        let marker = stage.annotation("checkout", "in-flight").await;
        marker.is_none().then_some(())
    })
    .await;
    stage.set_image("checkout", OLD).await;
    stage.is_held("<=1.5.0").await;
    eventually("people are told of the second hold, too", LIMIT, || async {
        (stage.told_of_holds().await.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_than_what_was_taken_back_is_given() {
    let (stage, _updater) = Stage::with_a_human_who_went_back().await;
    stage.is_held("<=1.5.0").await;
    let tags = ["1.4.0", "1.4.9", "1.5.0", "1.5.1"];
    stage
        .scanned("registry.example/shop/checkout", &["1.4.0 minor"], &tags)
        .await;
    stage
        .image_becomes("checkout", "registry.example/shop/checkout:1.5.1")
        .await;
    assert_eq!(
        stage.annotation("checkout", "hold").await.as_deref(),
        Some("<=1.5.0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_to_lead_later_holds_what_was_taken_back_meanwhile() {
    let stage = Stage::with_checkout(&[]).await;
    let first = stage.leader().await;
    stage.update_to_1_5_0().await;
    first.stop().await;
    stage.set_image("checkout", OLD).await;
    let _second = stage.updater(SECOND, LEASE).await;
    stage.is_held("<=1.5.0").await;
    assert_eq!(stage.image("checkout").await, OLD);
    assert_eq!(stage.told_of_holds().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_image_in_the_place_of_one_that_people_set_themselves_is_held_too() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    let newest = "registry.example/shop/checkout:1.6.0";
    let (demands, tags) = (["1.4.0 minor", "1.6.0 minor"], ["1.4.0", "1.6.0"]);
    stage.set_image("checkout", newest).await;
    stage
        .scanned("registry.example/shop/checkout", &demands, &tags)
        .await;
    updater
        .shows("kubefresh_containers{verdict=\"up-to-date\"} 1")
        .await;
    stage.set_image("checkout", OLD).await;
    stage.is_held("<=1.6.0").await;
    updater.shows("kubefresh_containers{verdict=\"held\"} 1").await;
    assert_eq!(stage.image("checkout").await, OLD);
    assert_eq!(stage.patches("checkout").len(), 1);
}
