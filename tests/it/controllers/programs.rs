//! Real processes as containers: probes, signals, restarts, replicas on one port.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sandbox::apiserver::resources::{DEPLOYMENTS, PODS};
use serde_json::{Value, json};

use super::{Cluster, workload};

/// Not a test: what the containers below run. It serves HTTP on its pod's address until it is killed, and is
/// unwell once somebody has asked for `/break`.
#[test]
#[ignore = "a program for the tests beside it"]
fn http_server() {
    let (Ok(address), Ok(port)) = (std::env::var("POD_IP"), std::env::var("PORT")) else {
        return;
    };
    let address: IpAddr = address.parse().unwrap();
    let listener = TcpListener::bind((address, port.parse().unwrap())).unwrap();
    let mut is_well = true;
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap_or_default();
        is_well &= !request[..read].starts_with(b"GET /break");
        let status = if is_well { "200 OK" } else { "500 Broken" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).ok();
    }
}

async fn start() -> Cluster {
    let programs = [
        ("server", std::env::current_exe().unwrap()),
        ("sh", PathBuf::from("/bin/sh")),
    ];
    Cluster::with_programs(20.0, &programs).await
}

fn server() -> Value {
    let probe = |period: i64| json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": period, "failureThreshold": 1});
    json!({
        "name": "server", "image": "tools/server",
        "args": ["--exact", "controllers::programs::http_server", "--ignored"],
        "env": [{"name": "PORT", "value": "3000"},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "http", "containerPort": 3000}],
        "startupProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 30},
        "livenessProbe": probe(2), "readinessProbe": probe(1),
    })
}

async fn start_servers(cluster: &Cluster, replicas: i64) {
    let mut object = workload("server", &server());
    object["spec"]["replicas"] = json!(replicas);
    cluster.create(&DEPLOYMENTS, object);
    let is_up = |object: &Value| object["status"]["readyReplicas"] == replicas;
    cluster.wait("all are ready", &DEPLOYMENTS, "server", is_up).await;
}

#[tokio::test]
async fn two_replicas_listen_on_one_port_with_addresses_of_their_own() {
    let cluster = start().await;
    start_servers(&cluster, 2).await;
    let address = |pod: &Value| pod["status"]["podIP"].as_str().unwrap().to_owned();
    let addresses: Vec<String> = cluster.pods().iter().map(|pod| address(pod)).collect();
    assert_ne!(addresses[0], addresses[1]);
    for address in addresses {
        let answer = reqwest::get(format!("http://{address}:3000/")).await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

#[tokio::test]
async fn a_process_that_fails_its_liveness_probe_is_restarted() {
    let cluster = start().await;
    start_servers(&cluster, 1).await;
    let pod = cluster.pods().remove(0);
    let (name, address) = (pod["metadata"]["name"].as_str().unwrap(), &pod["status"]["podIP"]);
    let before = cluster.controllers.process_id("default", name).unwrap();
    reqwest::get(format!("http://{}:3000/break", address.as_str().unwrap()))
        .await
        .unwrap();
    let restarted = |pod: &Value| {
        let container = &pod["status"]["containerStatuses"][0];
        container["restartCount"] == 1 && container["ready"] == true
    };
    cluster.wait("it runs again", &PODS, name, restarted).await;
    assert_ne!(cluster.controllers.process_id("default", name), Some(before));
    assert!(
        cluster
            .events("Killing")
            .iter()
            .any(|message| message.contains("failed liveness probe"))
    );
}

#[tokio::test]
async fn a_killed_process_is_started_again_by_the_same_pod() {
    let cluster = start().await;
    start_servers(&cluster, 1).await;
    let name = cluster.pod_names().remove(0);
    assert!(cluster.controllers.kill_pod_process("default", &name));
    let pod = cluster
        .wait("it runs again", &PODS, &name, |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"] == 1
                && pod["status"]["containerStatuses"][0]["ready"] == true
        })
        .await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 137);
}

#[tokio::test]
async fn a_deleted_pod_stays_until_its_process_has_ended() {
    let cluster = start().await;
    let script = "trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.02; done";
    let pod = json!({"metadata": {"name": "slow", "namespace": "default"}, "spec": {
        "containers": [{"name": "main", "image": "tools/sh", "args": ["-c", script]}]}});
    cluster.create(&PODS, pod);
    let logs = cluster.controllers.logs();
    let read = || logs.read("default", "slow", "main", false).unwrap_or_default();
    cluster
        .until("it is up", || read().contains(&"up".to_owned()).then_some(()))
        .await;
    let deleted = cluster.store.delete(&PODS, "default", "slow").unwrap();
    assert!(deleted["metadata"]["deletionTimestamp"].is_string());
    cluster
        .until("it said goodbye", || {
            (read().contains(&"bye".to_owned()) || cluster.get(&PODS, "slow").is_none()).then_some(())
        })
        .await;
    cluster
        .until("it is gone", || {
            cluster.get(&PODS, "slow").is_none().then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_process_gets_a_kubeconfig_of_its_service_account() {
    let cluster = start().await;
    let pod = json!({"metadata": {"name": "reader", "namespace": "default"}, "spec": {
        "restartPolicy": "Never", "serviceAccountName": "default",
        "containers": [{"name": "main", "image": "tools/sh", "args": ["-c", "cat $KUBECONFIG"]}]}});
    cluster.create(&PODS, pod);
    cluster
        .wait("it ends", &PODS, "reader", |pod| {
            pod["status"]["phase"] == "Succeeded"
        })
        .await;
    let text = cluster
        .controllers
        .logs()
        .read("default", "reader", "main", false)
        .unwrap()
        .join("\n");
    assert!(text.contains(&cluster.api.url()), "{text}");
}

#[tokio::test]
async fn processes_end_with_the_controllers() {
    let cluster = start().await;
    start_servers(&cluster, 1).await;
    let name = cluster.pod_names().remove(0);
    let id = cluster.controllers.process_id("default", &name).unwrap();
    let Cluster { controllers, .. } = cluster;
    controllers.stop().await;
    // The signal is sent; the kernel may take a moment to carry it out.
    let is_there = || {
        let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_there() {
        assert!(Instant::now() < deadline, "process {id} is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
