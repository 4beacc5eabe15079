//! Each kind and strategy is updated as it is meant to be, and what is left to others is said.

use std::time::{Duration, Instant};

use sandbox::apiserver::resources::{CRON_JOBS, DAEMON_SETS, JOBS, PODS, STATEFUL_SETS};
use sandbox::apiserver::store::ChangeKind;
use serde_json::{Value, json};

use super::{Stage, has_settled, told_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_set_is_followed_pod_by_pod_until_the_last_one_is_new() {
    let stage = Stage::set().await;
    stage.run("StatefulSet", json!({ "replicas": 3 })).await;
    stage
        .wait(&STATEFUL_SETS, "db runs", |set| has_settled(set, 3))
        .await;
    let mut changes = stage.store.subscribe();
    let _updater = stage.offer(&[]).await;
    assert_eq!(stage.result(&STATEFUL_SETS).await, "completed");
    let set = stage.get(&STATEFUL_SETS).unwrap();
    assert!(has_settled(&set, 3), "{}", set["status"]);
    assert_eq!(stage.tags(), ["1.5.0"; 3]);
    let mut came = Vec::new();
    while let Ok(change) = changes.try_recv() {
        if *change.resource == PODS && change.kind == ChangeKind::Added {
            came.push(change.object["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(came, ["db-2", "db-1", "db-0"]);
    assert_eq!(
        stage.told(),
        told_of("StatefulSet", &["UpdateStarted", "ImageUpdated"])
    );
}

/// It may take 10 s, and each of its pods takes 5 s of them to become ready: 100 s of the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_may_take_longer_than_its_timeout_as_long_as_pods_become_ready() {
    let stage = Stage::set().await;
    stage.run("StatefulSet", json!({ "replicas": 3 })).await;
    stage
        .wait(&STATEFUL_SETS, "db runs", |set| has_settled(set, 3))
        .await;
    stage.annotate(&STATEFUL_SETS, "kubefresh.dev/rollout-timeout", "10s");
    let begun = Instant::now();
    let _updater = stage.offer(&[("ready-after", "100s")]).await;
    assert_eq!(stage.result(&STATEFUL_SETS).await, "completed");
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(stage.tags(), ["1.5.0"; 3]);
    assert_eq!(
        stage.told(),
        told_of("StatefulSet", &["UpdateStarted", "ImageUpdated"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_keeps_pods_back_and_the_result_says_so() {
    let stage = Stage::set().await;
    let strategy = json!({ "rollingUpdate": { "partition": 2 } });
    stage
        .run(
            "StatefulSet",
            json!({ "replicas": 3, "updateStrategy": strategy }),
        )
        .await;
    stage
        .wait(&STATEFUL_SETS, "db runs", |set| has_settled(set, 3))
        .await;
    let _updater = stage.offer(&[]).await;
    assert_eq!(
        stage.result(&STATEFUL_SETS).await,
        "completed: the partition keeps 2 of 3 pods back"
    );
    assert_eq!(stage.tags(), ["1.4.0", "1.4.0", "1.5.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_delete_sets_the_template_and_says_that_pods_change_when_they_are_deleted() {
    let cases = [("StatefulSet", &STATEFUL_SETS), ("DaemonSet", &DAEMON_SETS)];
    for (kind, resource) in cases {
        let stage = Stage::set().await;
        stage
            .run(kind, json!({ "updateStrategy": { "type": "OnDelete" } }))
            .await;
        let is_ready = |set: &Value| {
            let status = &set["status"];
            status["readyReplicas"] == 1 || status["numberReady"] == 1
        };
        stage.wait(resource, "db runs", is_ready).await;
        let _updater = stage.offer(&[]).await;
        assert_eq!(
            stage.result(resource).await,
            "completed: template set; pods change when they are deleted (OnDelete)",
            "{kind}"
        );
        assert_eq!(stage.tags(), ["1.4.0"], "{kind}");
        let pod = stage.store.list(&PODS, Some("shop")).remove(0);
        let name = pod["metadata"]["name"].as_str().unwrap();
        stage.store.delete(&PODS, "shop", name).unwrap();
        stage
            .until("the pod comes back with the new image", || {
                stage.tags() == ["1.5.0"]
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_set_is_followed_until_every_node_has_a_new_pod_that_is_available() {
    let stage = Stage::set().await;
    stage.run("DaemonSet", json!({})).await;
    let runs = |set: &Value| set["status"]["numberAvailable"] == 1;
    stage.wait(&DAEMON_SETS, "db runs", runs).await;
    let _updater = stage.offer(&[("ready-after", "100s")]).await;
    stage
        .wait(&DAEMON_SETS, "the new pod is on its way", |set| {
            set["status"]["updatedNumberScheduled"] == 1
        })
        .await;
    let set = stage.get(&DAEMON_SETS).unwrap();
    assert_eq!(super::annotation(&set, "last-result"), None, "{}", set["status"]);
    assert_eq!(stage.result(&DAEMON_SETS).await, "completed");
    let set = stage.get(&DAEMON_SETS).unwrap();
    assert!(runs(&set), "{}", set["status"]);
    assert_eq!(stage.tags(), ["1.5.0"]);
    assert_eq!(
        stage.told(),
        told_of("DaemonSet", &["UpdateStarted", "ImageUpdated"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_runs_the_new_image_in_its_next_job() {
    let stage = Stage::set().await;
    let container = json!({ "name": "db", "image": stage.image("shop/db", "1.4.0") });
    let pod = json!({ "restartPolicy": "Never", "containers": [container] });
    let spec = json!({
        "schedule": "* * * * *",
        "jobTemplate": { "spec": { "template": { "spec": pod } } },
    });
    stage.apply("batch/v1", "CronJob", &spec).await;
    let runs = |stage: &Stage, image: &str| {
        let jobs = stage.store.list(&JOBS, Some("shop"));
        jobs.iter().any(|job| {
            job["spec"]["template"]["spec"]["containers"][0]["image"] == image
                && job["status"]["succeeded"] == 1
        })
    };
    let (old, new) = (stage.image("shop/db", "1.4.0"), stage.image("shop/db", "1.5.0"));
    stage
        .until("a job has run the old image", || runs(&stage, &old))
        .await;
    let _updater = stage.offer(&[]).await;
    assert_eq!(
        stage.result(&CRON_JOBS).await,
        "completed: template set; the next job runs it"
    );
    stage
        .until("a job has run the new image", || runs(&stage, &new))
        .await;
    assert_eq!(
        stage.told(),
        told_of("CronJob", &["UpdateStarted", "ImageUpdated"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_containers_and_an_init_container_go_in_one_patch_and_one_rollout() {
    let stage = Stage::set().await;
    for repository in ["shop/db", "shop/migrate", "shop/metrics"] {
        stage.publish(repository, "1.4.0", &[]);
    }
    let container =
        |name: &str| json!({ "name": name, "image": stage.image(&format!("shop/{name}"), "1.4.0") });
    let template = json!({
        "metadata": { "labels": { "app": "db" } },
        "spec": {
            "initContainers": [container("migrate")],
            "containers": [container("db"), container("metrics")],
        },
    });
    let spec = json!({ "selector": { "matchLabels": { "app": "db" } }, "template": template });
    stage.apply("apps/v1", "StatefulSet", &spec).await;
    stage
        .wait(&STATEFUL_SETS, "db runs", |set| has_settled(set, 1))
        .await;
    for repository in ["shop/migrate", "shop/metrics"] {
        stage.publish(repository, "1.5.0", &[]);
    }
    let _updater = stage.offer(&[]).await;
    assert_eq!(stage.result(&STATEFUL_SETS).await, "completed");
    let pod = stage.store.list(&PODS, Some("shop")).remove(0);
    let images = ["initContainers", "containers"].map(|list| pod["spec"][list].as_array().unwrap().clone());
    let images: Vec<Value> = images.concat().iter().map(|one| one["image"].clone()).collect();
    let expected = ["migrate", "db", "metrics"].map(|name| stage.image(&format!("shop/{name}"), "1.5.0"));
    assert_eq!(images, expected);
    assert_eq!(stage.generation(&STATEFUL_SETS), 2);
}
