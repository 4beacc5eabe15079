//! Workloads that were annotated for another tool: the real scanner asks for them and the updater keeps them fresh, as that
//! tool would have.

use sandbox::registry::ImageSpec;

use super::*;

const TAGS: [&str; 4] = ["1.4.0", "1.4.1", "1.5.0", "2.0.0"];

impl Stage {
    /// Publishes the tags of `shop/NAME` and runs the oldest in a deployment with this metadata, and nothing of ours.
    async fn run_annotated(&self, name: &str, metadata: Value) {
        let repository = format!("shop/{name}");
        for tag in TAGS {
            self.cluster.registry.publish(&ImageSpec::new(&repository, tag));
        }
        self.deploy_as(name, &self.published(name, TAGS[0]), metadata)
            .await;
        self.roll_out(name).await;
    }

    fn published(&self, name: &str, tag: &str) -> String {
        self.cluster.registry.reference(&format!("shop/{name}"), tag)
    }

    pub(super) async fn deploy_as(&self, name: &str, image: &str, mut metadata: Value) {
        metadata["name"] = json!(name);
        metadata["namespace"] = json!("shop");
        let mut deployment = shop::deployment(name, image, &json!({}));
        deployment["metadata"] = metadata;
        deployment["spec"]["replicas"] = json!(2);
        self.cluster.apply(&[deployment]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_was_annotated_for_another_tool_is_scanned_for_and_updated_as_that_tool_would_have() {
    let stage = Stage::set().await;
    let cases = [
        (
            "keel",
            json!({ "annotations": { "keel.sh/policy": "minor" } }),
            "1.5.0",
        ),
        (
            "label",
            json!({ "labels": { "keel.sh/policy": "patch" } }),
            "1.4.1",
        ),
        (
            "text",
            json!({ "annotations": { "keel.sh/policy": "regexp:^(?P<compare>1[.].*)$" } }),
            "1.5.0",
        ),
        (
            "locked",
            json!({ "annotations": {
                "watch-cluster.io/enabled": "true",
                "watch-cluster.io/strategy": "version-lock-major",
            } }),
            "1.5.0",
        ),
        (
            "watcher",
            json!({ "annotations": { "image-watcher/watch": "true", "image-watcher/mode": "AUTO_UPDATE" } }),
            "1.5.0",
        ),
        (
            "both",
            json!({ "annotations": {
                "keel.sh/policy": "major",
                "kubefresh.dev/watch": "true",
                "kubefresh.dev/mode": "auto",
                "kubefresh.dev/policy": "patch",
            } }),
            "1.4.1",
        ),
    ];
    for (name, metadata, _) in &cases {
        stage.run_annotated(name, metadata.clone()).await;
    }
    let never = json!({ "annotations": { "keel.sh/policy": "never" } });
    stage.run_annotated("never", never).await;
    let said = stage.scan().await;
    assert!(
        said.contains("scanned 6 of 6 repositories for 6 workloads: 6 records written"),
        "{said}"
    );
    let updater = stage.leader().await;
    for (name, _, expected) in &cases {
        stage.image_becomes(name, &stage.published(name, expected)).await;
        stage.roll_out(name).await;
        assert_eq!(stage.result(name).await, "completed", "{name}");
    }
    // What was written of the update is ours, and displaces nobody: no workload goes any further, or is stopped.
    stage.scan().await;
    updater
        .shows("kubefresh_containers{verdict=\"up-to-date\"} 6")
        .await;
    for (name, ..) in &cases {
        let told = stage.told(name).await;
        assert_eq!(told, ["UpdateStarted", "ImageUpdated"], "{name}");
    }
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_tool_would_not_understand_stops_the_workload_and_names_its_key() {
    let stage = Stage::set().await;
    let metadata = json!({ "annotations": { "keel.sh/policy": "newest" } });
    stage.deploy_as("checkout", OLD, metadata).await;
    stage.roll_out("checkout").await;
    stage.offer_1_5_0().await;
    let updater = stage.leader().await;
    let said = eventually("a Warning", LIMIT, || async {
        let events = stage.events("checkout").await;
        events.into_iter().find_map(|event| event.note)
    })
    .await;
    assert!(
        said.contains("annotation keel.sh/policy: \"newest\" is not valid"),
        "{said}"
    );
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_that_watch_cluster_promises_comes_with_ours_in_the_same_patch() {
    let stage = Stage::set().await;
    let metadata = json!({ "annotations": {
        "watch-cluster.io/enabled": "true",
        "watch-cluster.io/last-update": "2024-01-01T12:00:00+09:00",
        "watch-cluster.io/last-update-from-digest": "sha256:abc123",
    } });
    stage.run_annotated("checkout", metadata).await;
    stage.scan().await;
    let updater = stage.leader().await;
    stage
        .image_becomes("checkout", &stage.published("checkout", "2.0.0"))
        .await;
    stage.roll_out("checkout").await;
    stage.result("checkout").await;
    // A patch can be seen before it is in the log: it is there once its sender has the answer.
    updater.stop().await;
    assert_eq!(
        stage.patches("checkout").len(),
        2,
        "one to start and one to finish"
    );
    let annotations = stage.deployment("checkout").await.metadata.annotations.unwrap();
    let status = |name: &str| annotations.get(&format!("watch-cluster.io/{name}"));
    let at = |time: Option<&String>| time.unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(
        at(status("last-update")),
        at(annotations.get("kubefresh.dev/last-update"))
    );
    assert_eq!(
        status("last-update-image"),
        Some(&stage.published("checkout", "2.0.0"))
    );
    assert_eq!(status("last-update-from-digest"), None, "that of another update");
    // No pod told what it ran; the scanner knows what the new tag points at.
    let digest = stage.cluster.registry.digest("shop/checkout", "2.0.0").unwrap();
    assert_eq!(status("last-update-to-digest"), Some(&digest));
}
