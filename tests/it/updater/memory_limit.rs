//! How much of a cluster fits into the memory of the updater's pod.

use std::process::Stdio;

use sandbox::apiserver::resources::{CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, Resource, STATEFUL_SETS};
use sandbox::programs::programs;

use super::*;

/// Half of what the pod may take; the program itself is not counted.
const KIBIBYTES: usize = 96 << 10;
const WORKLOADS: usize = 10_000;

/// A watched workload as Flux leaves it that `kubectl apply` had made, with a copy of itself in an annotation. Every eighth has instead
/// far more than anybody means in one of ours.
fn workload(resource: &Resource, number: usize) -> Value {
    let name = format!("workload-{number}");
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": {
            "restartPolicy": if resource.kind == "CronJob" { "Never" } else { "Always" },
            "containers": [{ "name": "app", "image": format!("registry.example/shop/app-{number}:1.4.0") }],
        },
    });
    let spec = if resource.kind == "CronJob" {
        json!({ "schedule": "0 3 * * *", "jobTemplate": { "spec": { "template": template } } })
    } else {
        json!({ "selector": { "matchLabels": { "app": name } }, "template": template })
    };
    let mut annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    if number % 8 < 7 {
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = json!("x".repeat(4 << 10));
    } else {
        annotations["kubefresh.dev/decided-by"] = json!("x".repeat(40 << 10));
    }
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": "shop",
            "annotations": annotations,
            "labels": { "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system" },
            "managedFields": [applied(resource)],
        },
        "spec": spec,
    })
}

/// What Flux has of it.
fn applied(resource: &Resource) -> Value {
    let mut spec = json!({ "f:template": { "f:spec": { "f:containers": { r#"k:{"name":"app"}"#: { "f:image": {}, "f:name": {} } } } } });
    if resource.kind == "CronJob" {
        spec = json!({ "f:jobTemplate": { "f:spec": spec } });
    }
    json!({
        "manager": "kustomize-controller",
        "operation": "Apply",
        "apiVersion": resource.api_version(),
        "time": "2026-11-21T03:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": { "f:spec": spec },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_watched_workloads_fit_into_half_of_the_memory_of_the_pod_and_so_does_their_page() {
    let stage = Stage::with_checkout(&[]).await;
    let store = stage.cluster.api.store();
    let kinds = [&DEPLOYMENTS, &STATEFUL_SETS, &DAEMON_SETS, &CRON_JOBS];
    for (number, resource) in (0..WORKLOADS).zip(kinds.into_iter().cycle()) {
        store.create(resource, workload(resource, number)).unwrap();
    }
    stage.offer_1_5_0().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let _updater = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -d \"$0\" && exec \"$@\""])
        .arg(KIBIBYTES.to_string())
        .arg(&programs()["kubefresh-updater"])
        .args([
            "run",
            "--listen-address",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .env(
            "KUBECONFIG",
            stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER))),
        )
        .env("POD_NAMESPACE", NAMESPACE)
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // It acts only once it has everything in view.
    stage.image_becomes("checkout", NEW).await;
    // Nor does the page of all of them take more, which shows a hundred at once.
    for sort in ["state", "image", "since"] {
        let address = format!("http://127.0.0.1:{port}/?sort={sort}&page=50");
        let text = reqwest::get(address).await.unwrap().text().await.unwrap();
        assert!(text.contains("Containers 4901 to 5000 of 10001"), "{text}");
        assert_eq!(text.matches("<th scope=\"row\"").count(), 100);
    }
}
