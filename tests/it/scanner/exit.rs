//! How a scan ends, and what it says, where something it needs is not there.

use std::path::Path;

use sandbox::programs::programs;
use serde_json::json;

use super::{config_maps, deployment, installed, publish, said, scan_as, watched};

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_one_sentence_says_what_is_missing_and_the_exit_code_is_2() {
    let cluster = installed().await;
    let output = scan_as(
        &cluster.kubeconfig_file(Some(("shop", "default"))),
        &["--log-level", "off"],
    )
    .await;
    assert_eq!(output.status.code(), Some(2));
    let text = said(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("cannot list resource \"deployments\"") && text.contains("deploy/manifests"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_records_the_exit_code_is_2_as_well() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    let reader = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["list"] }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": "shop" }],
    });
    cluster
        .apply(&[deployment("checkout", &image, &watched()), reader, binding])
        .await;
    let output = scan_as(
        &cluster.kubeconfig_file(Some(("shop", "default"))),
        &["--log-level", "off"],
    )
    .await;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("cannot patch resource \"configmaps\""),
        "{}",
        said(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cluster_one_sentence_says_what_to_do_and_the_exit_code_is_2() {
    let nowhere = Path::new("/nonexistent/kubeconfig");
    let output = scan_as(nowhere, &["--log-level", "off"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said(&output).lines().count(), 1, "{}", said(&output));
    assert!(
        said(&output).contains("point KUBECONFIG at a cluster"),
        "{}",
        said(&output)
    );
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_does_not_stop_a_scan() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    let image = format!("{}/shop/web:1.4.0", cluster.registry.host());
    cluster.apply(&[deployment("web", &image, &watched())]).await;
    for (arguments, written) in [(vec!["--dry-run"], 0), (vec![], 1)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = tokio::process::Command::new(&programs()["kubefresh-scanner"])
            .arg("scan")
            .args(&arguments)
            .env(
                "KUBECONFIG",
                cluster.kubeconfig_file(Some(("kubefresh", "kubefresh-scanner"))),
            )
            .env("POD_NAMESPACE", "kubefresh")
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
            .wait_with_output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", said(&output));
        assert_eq!(config_maps(&cluster).await.len(), written);
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_told_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    std::fs::write(&broken, "clusters: [").unwrap();
    for (kubeconfig, reason) in [(broken, "parse"), (folder.path().join("missing"), "missing")] {
        let output = scan_as(&kubeconfig, &[]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(reason), "{}", said(&output));
    }
}
