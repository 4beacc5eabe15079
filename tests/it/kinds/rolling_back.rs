//! An update that fails is undone to the exact images of before, whatever the kind and however they are written.

use sandbox::apiserver::resources::{DAEMON_SETS, DEPLOYMENTS, PODS, Resource};
use serde_json::json;

use super::undoing::images;
use super::{Stage, annotation, told_of};
use crate::shop::{scan, start_updater};

impl Stage {
    /// The image of this tag with the digest that the tag has now.
    fn pinned(&self, tag: &str) -> String {
        let digest = self.cluster.registry.digest("shop/db", tag).unwrap();
        format!("{}@{digest}", self.image("shop/db", tag))
    }

    /// Runs `db` with this image until all of its pods are ready; an update may take 10 s.
    async fn run_image(&self, kind: &str, resource: &'static Resource, image: &str) {
        let container = json!({ "name": "db", "image": image });
        let spec = json!({
            "selector": { "matchLabels": { "app": "db" } },
            "template": {
                "metadata": { "labels": { "app": "db" } },
                "spec": { "containers": [container] },
            },
        });
        self.apply("apps/v1", kind, &spec).await;
        self.wait(resource, "db runs", |db| {
            db["status"]["readyReplicas"] == 1 || db["status"]["numberReady"] == 1
        })
        .await;
        self.annotate(resource, "kubefresh.dev/rollout-timeout", "10s");
    }

    /// Publishes an image that never becomes ready, and waits until the update to it is undone.
    async fn fails(&self, kind: &str, resource: &'static Resource, before: &str, tag: &str) {
        self.publish("shop/db", tag, &[("never-ready", "true")]);
        scan(&self.cluster).await;
        let _updater = start_updater(&self.cluster);
        let result = self.result(resource).await;
        assert!(
            result.starts_with("rolled back: rollout timeout passed: ") && result.contains("; pod db-"),
            "{result}"
        );
        let db = self.get(resource).unwrap();
        let container = &db["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], before);
        // Those that failed go in their own time.
        self.until("only pods with the image of before are there", || {
            let pods = self.store.list(&PODS, Some("shop"));
            let mut run = pods.iter().map(|pod| &pod["spec"]["containers"][0]["image"]);
            !pods.is_empty() && run.all(|image| image == before)
        })
        .await;
        // As exact as what was given.
        let digest = self.cluster.registry.digest("shop/db", tag).unwrap();
        let is_pinned = before.contains('@');
        let failed = if is_pinned {
            format!("{tag}@{digest}")
        } else {
            tag.to_owned()
        };
        assert_eq!(annotation(&db, "hold"), Some(failed));
        let expected = ["UpdateStarted", "RolloutFailed", "RolledBack"];
        assert_eq!(self.told(), told_of(kind, &expected));
        assert_eq!(self.generation(resource), 3, "to begin, and to go back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_containers_and_an_init_container_go_back_in_one_patch_though_only_one_of_them_failed() {
    let stage = Stage::set().await;
    let before = stage.run_all("apps/v1", "Deployment").await;
    stage
        .wait(&DEPLOYMENTS, "db runs", |db| db["status"]["readyReplicas"] == 1)
        .await;
    for repository in ["shop/migrate", "shop/metrics"] {
        stage.publish(repository, "1.5.0", &[]);
    }
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/rollout-timeout", "10s");
    let _updater = stage.offer(&[("never-ready", "true")]).await;
    stage
        .until("the start is told", || !stage.told().is_empty())
        .await;
    // The way back may take any time.
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/rollout-timeout", "10m");
    let result = stage.result(&DEPLOYMENTS).await;
    assert!(result.starts_with("rolled back: "), "{result}");
    let db = stage.get(&DEPLOYMENTS).unwrap();
    assert_eq!(images(&db), before);
    for container in ["migrate", "db", "metrics"] {
        let hold = &db["metadata"]["annotations"][format!("{container}.kubefresh.dev/hold")];
        assert_eq!(*hold, "1.5.0", "{container}");
    }
    assert_eq!(stage.generation(&DEPLOYMENTS), 3, "to begin, and to go back");
    let expected = ["UpdateStarted", "RolloutFailed", "RolledBack"];
    assert_eq!(stage.told(), told_of("Deployment", &expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_whose_new_pods_do_not_become_ready_goes_back() {
    let stage = Stage::set().await;
    let before = stage.image("shop/db", "1.4.0");
    stage.run_image("DaemonSet", &DAEMON_SETS, &before).await;
    stage.fails("DaemonSet", &DAEMON_SETS, &before, "1.5.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_was_pinned_goes_back_to_its_digest() {
    let stage = Stage::set().await;
    let before = stage.pinned("1.4.0");
    stage.run_image("Deployment", &DEPLOYMENTS, &before).await;
    stage.fails("Deployment", &DEPLOYMENTS, &before, "1.5.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_tag_that_was_pinned_goes_back_to_the_digest_that_it_had() {
    let stage = Stage::set().await;
    stage.publish("shop/db", "edge", &[]);
    let before = stage.pinned("edge");
    stage.run_image("DaemonSet", &DAEMON_SETS, &before).await;
    stage.fails("DaemonSet", &DAEMON_SETS, &before, "edge").await;
    assert_ne!(stage.pinned("edge"), before);
}
