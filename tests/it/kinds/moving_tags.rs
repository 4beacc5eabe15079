//! A tag that moves: what the pods run, as their kubelet says it, decides whether anything is to be done.

use std::collections::BTreeSet;
use std::time::Duration;

use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::apiserver::resources::{CRON_JOBS, DEPLOYMENTS, PODS};
use sandbox::forge::{Forge, Repository};
use sandbox::receiver::Receiver;
use sandbox::registry::ImageSpec;
use serde_json::{Value, json};

use super::{Stage, annotation, told_of};
use crate::shop::{scan, start_updater, start_updater_with};

impl Stage {
    /// Runs `shop/db:edge`, written without a digest, until its pods are ready.
    async fn run_edge(&self) {
        self.publish("shop/db", "edge", &[]);
        self.run_what_edge_is().await;
    }

    async fn run_what_edge_is(&self) {
        self.run_edge_pulled("Always").await;
    }

    async fn run_edge_pulled(&self, policy: &str) {
        let image = self.image("shop/db", "edge");
        let container = json!({ "name": "db", "image": image, "imagePullPolicy": policy });
        let spec = json!({
            "replicas": 2,
            "selector": { "matchLabels": { "app": "db" } },
            "template": {
                "metadata": { "labels": { "app": "db" } },
                "spec": { "containers": [container] },
            },
        });
        self.apply("apps/v1", "Deployment", &spec).await;
        self.wait(&DEPLOYMENTS, "db runs", |set| set["status"]["readyReplicas"] == 2)
            .await;
    }

    /// Has one of its pods made anew, which pulls what the tag points at now.
    async fn run_both(&self) {
        let first = self.store.list(&PODS, Some("shop")).remove(0);
        let name = first["metadata"]["name"].as_str().unwrap();
        self.store.delete(&PODS, "shop", name).unwrap();
        self.until("both digests run", || self.digests().len() == 2).await;
    }

    /// What its pods run.
    fn digests(&self) -> BTreeSet<String> {
        let pods = self.store.list(&PODS, Some("shop"));
        let running = pods.iter().filter_map(|pod| {
            let status = pod.pointer("/status/containerStatuses/0")?;
            status["imageID"]
                .as_str()
                .filter(|image_id| !image_id.is_empty())
                .map(str::to_owned)
        });
        running.collect()
    }

    /// The image that `edge` stands for now, with its digest.
    fn edge(&self) -> String {
        let digest = self.cluster.registry.digest("shop/db", "edge").unwrap();
        format!("{}@{digest}", self.image("shop/db", "edge"))
    }
}

fn image(object: &Value, template: &str) -> Option<String> {
    let image = object.pointer(&format!("{template}/spec/containers/0/image"))?;
    image.as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_tag_is_followed_from_the_digest_that_runs_and_left_alone_while_it_stays() {
    let stage = Stage::set().await;
    stage.run_edge().await;
    scan(&stage.cluster).await;
    let generation = stage.generation(&DEPLOYMENTS);
    let _updater = start_updater(&stage.cluster);
    stage
        .until("the pods were asked", || stage.asked_for("pods") > 0)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.generation(&DEPLOYMENTS), generation);
    // One state of the workload, one question, however often one looks; a scan is such an occasion.
    let asked = stage.asked_for("pods");
    scan(&stage.cluster).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.asked_for("pods"), asked);
    assert_eq!(stage.told(), []);

    stage.publish("shop/db", "edge", &[("ready-after", "2s")]);
    scan(&stage.cluster).await;
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    assert_eq!(image(&deployment, "/spec/template"), Some(stage.edge()));
    assert_eq!(
        stage.told(),
        told_of("Deployment", &["UpdateStarted", "ImageUpdated"])
    );
}

/// Where one of its pods may run what is broken already.
async fn is_undone_to_what_ran(does_one_run_it: bool) {
    let stage = Stage::set().await;
    stage.run_edge().await;
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/rollout-timeout", "10s");
    let before = stage.edge();
    stage.publish("shop/db", "edge", &[("never-ready", "true")]);
    if does_one_run_it {
        stage.run_both().await;
    }
    scan(&stage.cluster).await;
    let _updater = start_updater(&stage.cluster);
    let result = stage.result(&DEPLOYMENTS).await;
    assert!(result.starts_with("rolled back: "), "{result}");
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    assert_eq!(image(&deployment, "/spec/template"), Some(before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_tag_that_moved_to_something_broken_is_undone_to_the_digest_that_ran() {
    is_undone_to_what_ran(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_the_broken_image_already_does_not_make_it_the_one_to_go_back_to() {
    is_undone_to_what_ran(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_under_a_moving_tag_gets_its_digest_as_nothing_is_disturbed_by_it() {
    let stage = Stage::set().await;
    stage.publish("shop/db", "edge", &[]);
    let container = json!({ "name": "db", "image": stage.image("shop/db", "edge") });
    let pod = json!({ "restartPolicy": "Never", "containers": [container] });
    let spec = json!({
        "schedule": "0 0 1 1 *",
        "jobTemplate": { "spec": { "template": { "spec": pod } } },
    });
    stage.apply("batch/v1", "CronJob", &spec).await;
    scan(&stage.cluster).await;
    let _updater = start_updater(&stage.cluster);
    let result = stage.result(&CRON_JOBS).await;
    assert_eq!(result, "completed: template set; the next job runs it");
    let job = stage.get(&CRON_JOBS).unwrap();
    assert_eq!(image(&job, "/spec/jobTemplate/spec/template"), Some(stage.edge()));
    assert_eq!(stage.asked_for("pods"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_cannot_be_listed_keep_a_moving_tag_waiting_and_are_asked_for_ever_more_rarely() {
    for fault in [Fault::internal(), Fault::forbidden()] {
        let stage = Stage::set().await;
        stage.run_edge().await;
        stage.publish("shop/db", "edge", &[("ready-after", "2s")]);
        scan(&stage.cluster).await;
        let generation = stage.generation(&DEPLOYMENTS);
        let faults = stage.cluster.api.faults();
        let listing = FaultRule::new(fault)
            .verb("list")
            .resource("pods")
            .user(":kubefresh-updater");
        let refused = faults.install(listing);
        let _updater = start_updater(&stage.cluster);
        stage.until("it has tried again", || refused.struck() >= 2).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        // At once, and after pauses of one second, two, and four.
        assert!(refused.struck() <= 4, "{} in a few seconds", refused.struck());
        assert_eq!(stage.generation(&DEPLOYMENTS), generation);
        faults.clear();
        assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_digests_side_by_side_become_the_published_one_in_one_rollout() {
    let stage = Stage::set().await;
    stage.run_edge().await;
    stage.publish("shop/db", "edge", &[("ready-after", "2s")]);
    stage.run_both().await;
    scan(&stage.cluster).await;
    let _updater = start_updater(&stage.cluster);
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    stage.until("one is left", || stage.digests().len() == 1).await;
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    assert_eq!(image(&deployment, "/spec/template"), Some(stage.edge()));
    assert_eq!(
        stage.told(),
        told_of("Deployment", &["UpdateStarted", "ImageUpdated"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_back_to_the_bare_tag_whose_nodes_keep_what_it_was_is_not_fought() {
    let stage = Stage::set().await;
    stage.publish("shop/db", "edge", &[]);
    stage.run_edge_pulled("IfNotPresent").await;
    let kept = stage.digests();
    stage.publish("shop/db", "edge", &[("ready-after", "2s")]);
    scan(&stage.cluster).await;
    let mut updater = start_updater(&stage.cluster);
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    stage.undo_deployment("edge").await;
    let published = stage.cluster.registry.digest("shop/db", "edge").unwrap();
    let is_held = |deployment: &Value| annotation(deployment, "hold") == Some(format!("edge@{published}"));
    stage
        .wait(&DEPLOYMENTS, "the digest that was left is held", is_held)
        .await;
    let is_back = || stage.digests() == kept;
    stage
        .until("the pods run what their nodes have kept", is_back)
        .await;
    let expected = ["UpdateStarted", "ImageUpdated", "UpdateHeld"];
    assert_eq!(stage.told(), told_of("Deployment", &expected));

    // Neither by the next leader, which looks at the pods.
    updater.kill().await.unwrap();
    let asked = stage.asked_for("pods");
    let _next = start_updater(&stage.cluster);
    stage
        .until("the pods were asked", || stage.asked_for("pods") > asked)
        .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let deployment = stage.get(&DEPLOYMENTS).unwrap();
    let bare = stage.image("shop/db", "edge");
    assert_eq!(image(&deployment, "/spec/template"), Some(bare));
    assert_eq!(stage.told(), told_of("Deployment", &expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tag_that_moved_brings_is_told_by_the_versions_that_its_images_say() {
    let (stage, forge, discord) = (Stage::set().await, Forge::start().await, Receiver::start().await);
    let releases = [
        ("v1.6.0", "- feat: too new"),
        ("v1.5.0", "- feat: baskets"),
        ("v1.4.1", "- fix: totals"),
        ("v1.4.0", "- feat: runs already"),
    ];
    forge.has("example/shop", Repository::with(&releases));
    let source = format!("http://{}/example/shop", forge.host());
    let publish = |version: &str| {
        let edge = ImageSpec::new("shop/db", "edge")
            .label("org.opencontainers.image.source", &source)
            .label("org.opencontainers.image.version", version);
        stage.cluster.registry.publish(&edge);
    };
    publish("1.4.0");
    stage.run_what_edge_is().await;
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/mode", "approve");
    scan(&stage.cluster).await;
    publish("1.5.0");
    scan(&stage.cluster).await;
    let (forges, url) = (forge.named("github"), discord.url("/discord"));
    let words = ["--gather-messages=0", "--forges", &forges, "--discord-url", &url];
    let _updater = start_updater_with(&stage.cluster, &words);
    let told = async |count: usize| {
        stage
            .until("people are told", || discord.received().len() >= count)
            .await;
        discord.received()[count - 1].text.replace('\\', "")
    };
    let offered = told(1).await;
    let about = "1.4.0 to 1.5.0 by the images' labels: v1.5.0, v1.4.1; summarised by rules";
    for words in [about, "baskets", "totals"] {
        assert!(offered.contains(words), "{words}: {offered}");
    }
    for words in ["too new", "runs already"] {
        assert!(!offered.contains(words), "{words}: {offered}");
    }
    // The tag no longer says what ran once it is under way.
    let digest = stage.cluster.registry.digest("shop/db", "edge").unwrap();
    stage.annotate(&DEPLOYMENTS, "kubefresh.dev/approved", &digest);
    let started = told(2).await;
    assert!(started.contains(about), "{started}");
    assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
    assert_eq!(forge.asked().len(), 1);
}
