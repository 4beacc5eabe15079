//! Every kind of workload is scanned for, with the pull secrets of its own pods.

use sandbox::apiserver::resources::DEPLOYMENTS;
use serde_json::{Value, json};

use super::credentials::pull_secret;
use super::{installed, publish, records, scan, summary, watched};

/// A watched workload whose pods pull by the Secret of its name.
fn workload(api_version: &str, kind: &str, name: &str, image: &str) -> Value {
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": {
            "restartPolicy": if kind == "CronJob" { "Never" } else { "Always" },
            "imagePullSecrets": [{ "name": name }],
            "containers": [{ "name": "app", "image": image }],
        },
    });
    let spec = if kind == "CronJob" {
        json!({ "schedule": "0 3 * * *", "jobTemplate": { "spec": { "template": template } } })
    } else {
        json!({ "selector": { "matchLabels": { "app": name } }, "template": template })
    };
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": name, "namespace": "shop", "annotations": watched() },
        "spec": spec,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_cannot_be_read_keeps_no_other_from_being_scanned_for() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    for name in ["checkout", "spoilt"] {
        cluster
            .apply(&[workload("apps/v1", "Deployment", name, &image)])
            .await;
    }
    let spoil = |deployment: &mut Value| {
        // Beyond the last time that there is for us.
        deployment["spec"]["template"]["metadata"]["creationTimestamp"] = json!("9999-12-31T00:00:00Z");
    };
    cluster.api.store().spoil(&DEPLOYMENTS, "shop", "spoilt", spoil);
    let output = scan(&cluster, &[]).await;
    let line = summary(&output);
    assert!(
        line.starts_with("scanned 1 of 1 repositories for 1 workload"),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_scanned_for_with_the_pull_secrets_of_its_pods() {
    let cluster = installed().await;
    let kinds = [
        ("apps/v1", "DaemonSet", "agent"),
        ("apps/v1", "Deployment", "checkout"),
        ("apps/v1", "StatefulSet", "db"),
        ("batch/v1", "CronJob", "report"),
    ];
    for (api_version, kind, name) in kinds {
        let repository = format!("shop/{name}");
        publish(&cluster, &repository, &["1.4.0", "1.5.0"]);
        let image = cluster.registry.reference(&repository, "1.4.0");
        let secret = pull_secret("shop", name, &cluster.registry.host(), "ann", "geheim");
        cluster
            .apply(&[secret, workload(api_version, kind, name, &image)])
            .await;
    }
    let line = summary(&scan(&cluster, &[]).await);
    assert!(
        line.starts_with("scanned 4 of 4 repositories for 4 workloads"),
        "{line}"
    );
    let found = records(&cluster).await;
    let newest: Vec<String> = found
        .iter()
        .map(|record| record.newest().unwrap().to_string())
        .collect();
    assert_eq!(newest, ["1.5.0"; 4]);
    let read = cluster.api.requests();
    let secrets = read.iter().filter(|request| request.resource == "secrets");
    let by_scanner = secrets.filter(|request| request.user.ends_with(":kubefresh-scanner"));
    let mut names: Vec<&str> = by_scanner.map(|request| request.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, kinds.map(|(_, _, name)| name));
}
