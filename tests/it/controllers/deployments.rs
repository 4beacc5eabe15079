//! Deployments: rollouts, their failures, their ends.

use std::collections::BTreeSet;

use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::apiserver::resources::{DEPLOYMENTS, PODS, REPLICA_SETS};
use sandbox::apiserver::store::{Change, ChangeKind};
use serde_json::{Value, json};

use super::{Cluster, condition, set_image, waiting_reason, workload};

fn is_done(deployment: &Value, replicas: i64) -> bool {
    let count = |field: &str| deployment["status"][field].as_i64().unwrap_or_default();
    deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
        && ["replicas", "updatedReplicas", "availableReplicas"]
            .into_iter()
            .all(|field| count(field) == replicas)
}

fn deployment(image: &str, replicas: i64) -> Value {
    let mut object = workload("web", &json!({"name": "web", "image": image}));
    object["spec"]["replicas"] = json!(replicas);
    object["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    object
}

#[tokio::test]
async fn a_rollout_passes_the_states_of_a_real_one_and_never_lacks_a_pod() {
    let cluster = Cluster::start(20.0).await;
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    cluster.create(&DEPLOYMENTS, deployment(&first, 3));
    cluster
        .wait("web:1 runs", &DEPLOYMENTS, "web", |web| is_done(web, 3))
        .await;
    let mut changes = cluster.store.subscribe();

    let client = sandbox::cluster::client(&cluster.api.admin_kubeconfig()).await;
    let api: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client, "default");
    let patch = json!({"spec":{"template":{"spec":{"containers":[{"name":"web","image":second}]}}}});
    api.patch("web", &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .unwrap();
    cluster
        .wait("web:2 runs", &DEPLOYMENTS, "web", |web| is_done(web, 3))
        .await;

    let mut steps: Vec<(bool, String)> = Vec::new();
    let (mut total, mut lowest) = (BTreeSet::new(), i64::MAX);
    while let Ok(change) = changes.try_recv() {
        let Change { resource, object, .. } = &*change;
        if **resource != DEPLOYMENTS {
            continue;
        }
        let has_caught_up = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        let reason = condition(object, "Progressing")["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if steps.last() != Some(&(has_caught_up, reason.clone())) {
            steps.push((has_caught_up, reason));
        }
        total.insert(object["status"]["replicas"].as_i64().unwrap_or_default());
        lowest = lowest.min(object["status"]["availableReplicas"].as_i64().unwrap_or_default());
    }
    let step = |has_caught_up: bool, reason: &str| (has_caught_up, reason.to_owned());
    let expected = [
        step(false, "NewReplicaSetAvailable"),
        step(true, "NewReplicaSetCreated"),
        step(true, "ReplicaSetUpdated"),
        step(true, "NewReplicaSetAvailable"),
    ];
    assert_eq!(steps, expected);
    assert_eq!(total, BTreeSet::from([3, 4]));
    assert_eq!(lowest, 3);
    let digest = cluster.registry.digest("shop/web", "2").unwrap();
    let running: Vec<Value> = cluster
        .pods()
        .iter()
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .map(|pod| pod["status"]["containerStatuses"][0]["imageID"].clone())
        .collect();
    assert_eq!(
        running,
        vec![json!(format!("{}/shop/web@{digest}", cluster.registry.host())); 3]
    );
}

#[tokio::test]
async fn a_tag_that_does_not_exist_backs_off_until_the_deadline_and_an_undo_repairs_it() {
    let cluster = Cluster::start(40.0).await;
    let (first, missing) = (
        cluster.image("1", &[]),
        cluster.registry.reference("shop/web", "missing"),
    );
    let mut object = deployment(&first, 2);
    object["spec"]["progressDeadlineSeconds"] = json!(30);
    cluster.create(&DEPLOYMENTS, object);
    cluster
        .wait("web:1 runs", &DEPLOYMENTS, "web", |web| is_done(web, 2))
        .await;

    cluster
        .store
        .update(&DEPLOYMENTS, "default", "web", set_image(&missing))
        .unwrap();
    let pod = cluster
        .until("a pod backs off", || {
            cluster
                .pods()
                .into_iter()
                .find(|pod| waiting_reason(pod) == "ImagePullBackOff")
        })
        .await;
    let message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
        .as_str()
        .unwrap();
    assert!(
        message.starts_with(&format!("Back-off pulling image {missing:?}")),
        "{message}"
    );
    assert!(message.contains("not found"), "{message}");
    assert_eq!(pod["status"]["phase"], "Pending");
    for (reason, part) in [
        ("Pulling", "Pulling image"),
        ("Failed", "Failed to pull image"),
        ("BackOff", "Back-off pulling"),
    ] {
        assert!(
            cluster
                .events(reason)
                .iter()
                .any(|message| message.contains(part)),
            "no Event {reason} {part}"
        );
    }
    let late = |web: &Value| condition(web, "Progressing")["reason"] == "ProgressDeadlineExceeded";
    let stuck = cluster
        .wait("the deadline passes", &DEPLOYMENTS, "web", late)
        .await;
    assert_eq!(condition(&stuck, "Progressing")["status"], "False");
    assert_eq!(stuck["status"]["availableReplicas"], 2);

    cluster
        .store
        .update(&DEPLOYMENTS, "default", "web", set_image(&first))
        .unwrap();
    let healed = cluster
        .wait("web:1 runs again", &DEPLOYMENTS, "web", |web| {
            is_done(web, 2) && condition(web, "Progressing")["reason"] == "NewReplicaSetAvailable"
        })
        .await;
    assert_eq!(
        healed["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "3"
    );
}

#[tokio::test]
async fn a_crashing_container_loops_with_its_last_end_shown() {
    let cluster = Cluster::start(20.0).await;
    let image = cluster.image("1", &[("exit-code", "3"), ("exit-message", "no database")]);
    cluster.create(&DEPLOYMENTS, deployment(&image, 1));
    let pod = cluster
        .until("a pod loops", || {
            cluster
                .pods()
                .into_iter()
                .find(|pod| waiting_reason(pod) == "CrashLoopBackOff")
        })
        .await;
    let container = &pod["status"]["containerStatuses"][0];
    assert_eq!(container["restartCount"], 1);
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(pod["status"]["phase"], "Running");
    let name = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        cluster
            .controllers
            .logs()
            .read("default", name, "web", false)
            .unwrap(),
        ["no database"]
    );
}

#[tokio::test]
async fn a_container_that_never_gets_ready_holds_the_rollout_up() {
    let cluster = Cluster::start(40.0).await;
    let (first, second) = (
        cluster.image("1", &[]),
        cluster.image("2", &[("never-ready", "true")]),
    );
    cluster.create(&DEPLOYMENTS, deployment(&first, 2));
    cluster
        .wait("web:1 runs", &DEPLOYMENTS, "web", |web| is_done(web, 2))
        .await;
    cluster
        .store
        .update(&DEPLOYMENTS, "default", "web", set_image(&second))
        .unwrap();
    let held = |web: &Value| web["status"]["updatedReplicas"] == 1 && web["status"]["replicas"] == 3;
    let web = cluster
        .wait("one new pod is there", &DEPLOYMENTS, "web", held)
        .await;
    assert_eq!(web["status"]["availableReplicas"], 2);
}

#[tokio::test]
async fn recreate_waits_until_the_last_old_pod_is_gone() {
    let cluster = Cluster::start(20.0).await;
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    let mut object = deployment(&first, 2);
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.create(&DEPLOYMENTS, object);
    cluster
        .wait("web:1 runs", &DEPLOYMENTS, "web", |web| is_done(web, 2))
        .await;
    let mut changes = cluster.store.subscribe();
    cluster
        .store
        .update(&DEPLOYMENTS, "default", "web", set_image(&second))
        .unwrap();
    cluster
        .wait("web:2 runs", &DEPLOYMENTS, "web", |web| is_done(web, 2))
        .await;
    let mut old = 2;
    while let Ok(change) = changes.try_recv() {
        if *change.resource != PODS {
            continue;
        }
        let is_old = change.object["spec"]["containers"][0]["image"] == first.as_str();
        match change.kind {
            ChangeKind::Deleted => old -= i32::from(is_old),
            ChangeKind::Added => assert_eq!(old, 0, "a new pod came too early"),
            ChangeKind::Modified => {}
        }
    }
}

#[tokio::test]
async fn old_sets_are_kept_up_to_the_history_limit_and_all_go_with_the_deployment() {
    let cluster = Cluster::start(50.0).await;
    let mut object = deployment(&cluster.image("0", &[]), 1);
    object["spec"]["revisionHistoryLimit"] = json!(1);
    cluster.create(&DEPLOYMENTS, object);
    cluster
        .wait("web:0 runs", &DEPLOYMENTS, "web", |web| is_done(web, 1))
        .await;
    for tag in ["1", "2", "3"] {
        let image = cluster.image(tag, &[]);
        cluster
            .store
            .update(&DEPLOYMENTS, "default", "web", set_image(&image))
            .unwrap();
        cluster
            .wait("the next one runs", &DEPLOYMENTS, "web", |web| is_done(web, 1))
            .await;
    }
    let sets = || cluster.store.list(&REPLICA_SETS, Some("default"));
    cluster
        .until("two sets are left", || (sets().len() == 2).then_some(()))
        .await;
    cluster.store.delete(&DEPLOYMENTS, "default", "web").unwrap();
    cluster
        .until("nothing is left", || {
            (sets().is_empty() && cluster.pods().is_empty()).then_some(())
        })
        .await;
}

#[tokio::test]
async fn scaling_changes_the_number_without_a_rollout() {
    let cluster = Cluster::start(20.0).await;
    cluster.create(&DEPLOYMENTS, deployment(&cluster.image("1", &[]), 1));
    cluster
        .wait("one runs", &DEPLOYMENTS, "web", |web| is_done(web, 1))
        .await;
    for replicas in [4, 0, 2] {
        cluster
            .store
            .update(&DEPLOYMENTS, "default", "web", |web| {
                web["spec"]["replicas"] = json!(replicas);
                Ok(())
            })
            .unwrap();
        cluster
            .wait("the number is right", &DEPLOYMENTS, "web", |web| {
                is_done(web, replicas)
            })
            .await;
    }
    assert_eq!(cluster.store.list(&REPLICA_SETS, Some("default")).len(), 1);
}
