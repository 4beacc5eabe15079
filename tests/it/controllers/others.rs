//! `StatefulSets`, `DaemonSets`, plain Pods.

use sandbox::apiserver::resources::{DAEMON_SETS, PODS, STATEFUL_SETS};
use sandbox::apiserver::store::ChangeKind;
use serde_json::{Value, json};

use super::{Cluster, set_image, waiting_reason, workload};

fn is_updated(set: &Value, replicas: i64) -> bool {
    let status = &set["status"];
    status["observedGeneration"] == set["metadata"]["generation"]
        && status["updatedReplicas"] == replicas
        && status["readyReplicas"] == replicas
        && status["currentRevision"] == status["updateRevision"]
}

#[tokio::test]
async fn a_stateful_set_comes_up_in_order_and_is_updated_from_the_last_pod_down() {
    let cluster = Cluster::start(20.0).await;
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    let mut set = workload("db", &json!({"name": "db", "image": first}));
    set["spec"]["replicas"] = json!(3);
    set["spec"]["serviceName"] = json!("db");
    let mut changes = cluster.store.subscribe();
    cluster.create(&STATEFUL_SETS, set);
    cluster
        .wait("db:1 runs", &STATEFUL_SETS, "db", |set| is_updated(set, 3))
        .await;
    cluster
        .store
        .update(&STATEFUL_SETS, "default", "db", set_image(&second))
        .unwrap();
    cluster
        .wait("db:2 runs", &STATEFUL_SETS, "db", |set| is_updated(set, 3))
        .await;
    let mut steps = Vec::new();
    while let Ok(change) = changes.try_recv() {
        if *change.resource == PODS && change.kind != ChangeKind::Modified {
            let sign = if change.kind == ChangeKind::Added {
                "+"
            } else {
                "-"
            };
            steps.push(format!(
                "{sign}{}",
                change.object["metadata"]["name"].as_str().unwrap()
            ));
        }
    }
    let expected = [
        "+db-0", "+db-1", "+db-2", "-db-2", "+db-2", "-db-1", "+db-1", "-db-0", "+db-0",
    ];
    assert_eq!(steps, expected);
    assert_eq!(cluster.pod_names(), ["db-0", "db-1", "db-2"]);
}

#[tokio::test]
async fn a_partition_keeps_the_lower_pods_on_the_old_image() {
    let cluster = Cluster::start(20.0).await;
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    let mut set = workload("db", &json!({"name": "db", "image": first}));
    set["spec"]["replicas"] = json!(2);
    set["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 1}});
    cluster.create(&STATEFUL_SETS, set);
    cluster
        .wait("db:1 runs", &STATEFUL_SETS, "db", |set| is_updated(set, 2))
        .await;
    cluster
        .store
        .update(&STATEFUL_SETS, "default", "db", set_image(&second))
        .unwrap();
    let half = |set: &Value| set["status"]["updatedReplicas"] == 1 && set["status"]["readyReplicas"] == 2;
    let set = cluster.wait("db-1 is updated", &STATEFUL_SETS, "db", half).await;
    assert_ne!(set["status"]["currentRevision"], set["status"]["updateRevision"]);
    let images: Vec<Value> = cluster
        .pods()
        .iter()
        .map(|pod| pod["spec"]["containers"][0]["image"].clone())
        .collect();
    assert_eq!(images, [first, second]);
}

#[tokio::test]
async fn a_daemon_set_runs_one_pod_and_replaces_it() {
    let cluster = Cluster::start(20.0).await;
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    cluster.create(
        &DAEMON_SETS,
        workload("agent", &json!({"name": "agent", "image": first})),
    );
    let done = |set: &Value| {
        let status = &set["status"];
        status["observedGeneration"] == set["metadata"]["generation"]
            && status["updatedNumberScheduled"] == 1
            && status["numberAvailable"] == 1
    };
    cluster.wait("agent:1 runs", &DAEMON_SETS, "agent", done).await;
    cluster
        .store
        .update(&DAEMON_SETS, "default", "agent", set_image(&second))
        .unwrap();
    cluster.wait("agent:2 runs", &DAEMON_SETS, "agent", done).await;
    let pods = cluster.pods();
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["spec"]["containers"][0]["image"], second.as_str());
}

#[tokio::test]
async fn a_daemon_set_with_on_delete_waits_for_somebody_to_delete() {
    let cluster = Cluster::start(20.0).await;
    let (first, second) = (cluster.image("1", &[]), cluster.image("2", &[]));
    let mut set = workload("agent", &json!({"name": "agent", "image": first}));
    set["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    cluster.create(&DAEMON_SETS, set);
    cluster
        .wait("agent:1 runs", &DAEMON_SETS, "agent", |set| {
            set["status"]["numberReady"] == 1
        })
        .await;
    cluster
        .store
        .update(&DAEMON_SETS, "default", "agent", set_image(&second))
        .unwrap();
    let seen = |set: &Value| set["status"]["observedGeneration"] == 2;
    let set = cluster
        .wait("the change is seen", &DAEMON_SETS, "agent", seen)
        .await;
    assert!(
        set["status"].get("updatedNumberScheduled").is_none(),
        "{}",
        set["status"]
    );
    let name = cluster.pod_names().remove(0);
    cluster.store.delete(&PODS, "default", &name).unwrap();
    let updated =
        |set: &Value| set["status"]["updatedNumberScheduled"] == 1 && set["status"]["numberReady"] == 1;
    cluster.wait("agent:2 runs", &DAEMON_SETS, "agent", updated).await;
}

#[tokio::test]
async fn init_containers_run_in_order_before_the_containers() {
    let cluster = Cluster::start(20.0).await;
    let (plain, failing) = (
        cluster.image("1", &[]),
        cluster.image("bad", &[("exit-code", "1")]),
    );
    let pod = |name: &str, second: &str| {
        json!({"metadata": {"name": name, "namespace": "default"}, "spec": {
            "restartPolicy": "Never",
            "initContainers": [{"name": "a", "image": plain}, {"name": "b", "image": second}],
            "containers": [{"name": "main", "image": plain}]}})
    };
    cluster.create(&PODS, pod("good", &plain));
    cluster.create(&PODS, pod("bad", &failing));
    let good = cluster
        .wait("it ends", &PODS, "good", |pod| {
            pod["status"]["phase"] == "Succeeded"
        })
        .await;
    let bad = cluster
        .wait("it fails", &PODS, "bad", |pod| pod["status"]["phase"] == "Failed")
        .await;
    let end = |pod: &Value, list: &str, index: usize| {
        pod["status"][list][index]["state"]["terminated"]["exitCode"].clone()
    };
    assert_eq!(
        (
            end(&good, "initContainerStatuses", 1),
            end(&good, "containerStatuses", 0)
        ),
        (json!(0), json!(0))
    );
    assert_eq!(end(&bad, "initContainerStatuses", 1), 1);
    assert_eq!(waiting_reason(&bad), "PodInitializing");
}

#[tokio::test]
async fn a_missing_config_map_keeps_a_container_from_starting_until_it_is_there() {
    let cluster = Cluster::start(20.0).await;
    let variable = json!({"name": "X", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "x"}}});
    let pod = json!({"metadata": {"name": "web", "namespace": "default"}, "spec": {
        "containers": [{"name": "web", "image": cluster.image("1", &[]), "env": [variable]}]}});
    cluster.create(&PODS, pod);
    let waits = |pod: &Value| waiting_reason(pod) == "CreateContainerConfigError";
    let web = cluster.wait("it waits", &PODS, "web", waits).await;
    let message = &web["status"]["containerStatuses"][0]["state"]["waiting"]["message"];
    assert_eq!(message, r#"configmap "settings" not found"#);
    let settings = json!({"metadata": {"name": "settings", "namespace": "default"}, "data": {"x": "1"}});
    cluster.create(&sandbox::apiserver::resources::CONFIG_MAPS, settings);
    cluster
        .wait("it runs", &PODS, "web", |pod| pod["status"]["phase"] == "Running")
        .await;
}
