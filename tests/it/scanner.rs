//! The scanner as the Job runs it: the real binary, under the rights of `deploy/`, against the API server and a registry.

mod accounts;
mod budgets;
mod credentials;
mod digest_map;
mod docker_registry;
mod exit;
mod hostile;
mod kinds;
mod labels;
mod memory_limit;
mod order;
mod pinning;
mod registries;
mod rejected_logins;
mod shards;

use std::path::Path;
use std::process::Output;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use sandbox::apiserver::ApiServerOptions;
use sandbox::cluster::Cluster;
use sandbox::manifests;
use sandbox::programs::programs;
use sandbox::registry::{Fault, ImageSpec, RequestKind, Rule};
use serde_json::{Value, json};
use shared::domain::record::ScanRecord;

use crate::shop::deployment;

/// A cluster with Kubefresh installed as `deploy/` says, without anything that would start it.
async fn installed() -> Cluster {
    let cluster = Cluster::still(ApiServerOptions::default()).await;
    cluster.apply(&manifests::install()).await;
    cluster
        .apply(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })])
        .await;
    cluster
}

fn publish(cluster: &Cluster, repository: &str, tags: &[&str]) {
    for tag in tags {
        cluster.registry.publish(&ImageSpec::new(repository, tag));
    }
}

fn watched() -> Value {
    json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" })
}

/// Runs `kubefresh-scanner scan` with the rights of the scanner's service account.
async fn scan(cluster: &Cluster, arguments: &[&str]) -> Output {
    scan_as(
        &cluster.kubeconfig_file(Some(("kubefresh", "kubefresh-scanner"))),
        arguments,
    )
    .await
}

/// The same, with this `registries.yaml`.
async fn scan_with_registries(cluster: &Cluster, yaml: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registries.yaml");
    std::fs::write(&file, yaml).unwrap();
    scan(
        cluster,
        &[arguments, &["--registries", file.to_str().unwrap()]].concat(),
    )
    .await
}

async fn scan_as(kubeconfig: &Path, arguments: &[&str]) -> Output {
    tokio::process::Command::new(&programs()["kubefresh-scanner"])
        .arg("scan")
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", "kubefresh")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// The last line on standard output, of a run that ended well.
fn summary(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{errors}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .last()
        .unwrap()
        .to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn config_maps(cluster: &Cluster) -> Vec<ConfigMap> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    api.list(&ListParams::default().labels("kubefresh.dev/record=scan"))
        .await
        .unwrap()
        .items
}

async fn records(cluster: &Cluster) -> Vec<ScanRecord> {
    config_maps(cluster)
        .await
        .iter()
        .map(|config_map| ScanRecord::parse(config_map).unwrap())
        .collect()
}

/// The names of what the scanner has written.
fn writes(cluster: &Cluster) -> Vec<String> {
    let requests = cluster.api.requests();
    let by_scanner = requests
        .iter()
        .filter(|request| request.user.ends_with(":kubefresh-scanner"));
    by_scanner
        .filter(|request| !["get", "list", "watch"].contains(&request.verb.as_str()))
        .map(|request| request.name.clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_writes_one_record_a_repository_and_the_next_one_only_that_it_took_place() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.3.9", "1.4.0", "1.5.0", "2.0.0"]);
    publish(&cluster, "shop/web", &["edge"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    cluster
        .apply(&[
            deployment("checkout", &image, &watched()),
            deployment("checkout-copy", &image, &watched()),
            deployment("web", &cluster.registry.reference("shop/web", "edge"), &watched()),
            deployment(
                "ignored",
                &cluster.registry.reference("shop/ignored", "1.0.0"),
                &json!({}),
            ),
        ])
        .await;
    let first = scan(&cluster, &[]).await;
    assert!(
        summary(&first).starts_with("scanned 2 of 2 repositories for 3 workloads: 2 records written, "),
        "{}",
        summary(&first)
    );
    let found = records(&cluster).await;
    let newest: Vec<String> = found
        .iter()
        .map(|record| record.newest().unwrap().to_string())
        .collect();
    assert_eq!(newest, ["1.5.0", "edge"]);
    assert_eq!(
        found[1].findings.as_ref().unwrap().tags[0]
            .digest
            .as_ref()
            .unwrap()
            .to_string(),
        { cluster.registry.digest("shop/web", "edge").unwrap() }
    );

    cluster.api.clear_requests();
    cluster.registry.clear_requests();
    let second = scan(&cluster, &[]).await;
    assert!(
        summary(&second).contains(": 0 records written, 2 registry requests"),
        "{}",
        summary(&second)
    );
    assert_eq!(writes(&cluster), ["last-run"]);
    assert_eq!(
        cluster.registry.count(RequestKind::Tags),
        1,
        "one list for two workloads of one repository"
    );
    assert_eq!(
        cluster.registry.requests().len(),
        2,
        "one list and one HEAD, no ping, no manifest read twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_write_and_writes_nothing() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    cluster.apply(&[deployment("checkout", &image, &watched())]).await;
    let output = scan(&cluster, &["--dry-run"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("would write scan-") && text.contains("newest 1.5.0, complete"),
        "{text}"
    );
    assert!(summary(&output).contains("0 records written"));
    assert_eq!(writes(&cluster), [""; 0]);
    assert!(config_maps(&cluster).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_fails_is_recorded_with_its_class_and_the_findings_stay() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    publish(&cluster, "shop/web", &["2.0.0"]);
    cluster
        .apply(&[
            deployment(
                "checkout",
                &cluster.registry.reference("shop/checkout", "1.4.0"),
                &watched(),
            ),
            deployment(
                "web",
                &cluster.registry.reference("shop/web", "2.0.0"),
                &watched(),
            ),
        ])
        .await;
    summary(&scan(&cluster, &[]).await);
    let before = records(&cluster).await;
    cluster
        .registry
        .fault(Rule::always(Fault::status(500)).repository("shop/checkout"));
    let output = summary(&scan(&cluster, &[]).await);
    assert!(
        output.starts_with("scanned 1 of 2") && output.contains("1 failed (unavailable)"),
        "{output}"
    );
    let after = records(&cluster).await;
    assert_eq!(after[0].findings, before[0].findings);
    assert_eq!(after[0].last_error.as_ref().unwrap().class, "unavailable");
    assert_eq!(after[1], before[1]);
    let labels = config_maps(&cluster).await[0].metadata.labels.clone().unwrap();
    assert_eq!(labels["kubefresh.dev/state"], "failing");

    cluster.registry.clear_faults();
    summary(&scan(&cluster, &[]).await);
    assert_eq!(
        records(&cluster).await[0].last_error,
        None,
        "the error goes when the registry is well again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_to_wait_is_not_asked_again_by_the_next_run() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    cluster.apply(&[deployment("checkout", &image, &watched())]).await;
    cluster
        .registry
        .fault(Rule::always(Fault::retry_after_seconds(3600)));
    let output = summary(&scan(&cluster, &[]).await);
    assert!(output.contains("1 failed (rate-limited)"), "{output}");
    let record = records(&cluster).await.remove(0);
    assert!(record.last_error.unwrap().retry_at.is_some());
    assert_eq!(record.findings, None);

    cluster.registry.clear_faults();
    cluster.registry.clear_requests();
    let output = summary(&scan(&cluster, &[]).await);
    assert!(output.contains("1 deferred"), "{output}");
    assert!(
        cluster.registry.requests().is_empty(),
        "{:?}",
        cluster.registry.requests()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_workload_does_not_keep_the_others_from_being_scanned() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    cluster
        .apply(&[
            deployment("checkout", &image, &watched()),
            deployment(
                "typo",
                &image,
                &json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/polcy": "minor" }),
            ),
            deployment("unparsable", "Not:An:Image", &watched()),
        ])
        .await;
    let output = scan(&cluster, &[]).await;
    let line = summary(&output);
    assert!(
        line.starts_with("scanned 1 of 1") && line.ends_with("2 workloads stopped by bad settings"),
        "{line}"
    );
    assert!(said(&output).contains("kubefresh.dev/polcy") && said(&output).contains("Not:An:Image"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_written_anew() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    cluster.apply(&[deployment("checkout", &image, &watched())]).await;
    summary(&scan(&cluster, &[]).await);
    let name = config_maps(&cluster).await[0].metadata.name.clone().unwrap();
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    let garbage = Patch::Merge(json!({ "data": { "tags": "- [" } }));
    api.patch(&name, &PatchParams::default(), &garbage).await.unwrap();
    let output = scan(&cluster, &[]).await;
    assert!(
        summary(&output).contains("1 record written"),
        "{}",
        summary(&output)
    );
    assert!(said(&output).contains(&name));
    assert_eq!(records(&cluster).await[0].newest().unwrap().to_string(), "1.5.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_asked_by_its_schedule_and_at_once_when_that_is_wanted() {
    let cluster = installed().await;
    publish(&cluster, "shop/checkout", &["1.4.0", "1.5.0"]);
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    let mut annotations = watched();
    // Once in a leap year.
    annotations["kubefresh.dev/schedule"] = json!("0 0 29 2 *");
    cluster
        .apply(&[deployment("checkout", &image, &annotations)])
        .await;
    let requests = || cluster.registry.requests().len();

    let first = summary(&scan(&cluster, &[]).await);
    assert!(first.contains("scanned 1 of 1"), "nothing is known yet: {first}");
    let asked = requests();
    let second = summary(&scan(&cluster, &[]).await);
    assert!(
        second.contains("scanned 0 of 1") && second.ends_with(", 1 not due"),
        "{second}"
    );
    assert_eq!(requests(), asked);

    annotations["kubefresh.dev/check-now"] = json!("please");
    cluster
        .apply(&[deployment("checkout", &image, &annotations)])
        .await;
    let third = summary(&scan(&cluster, &[]).await);
    assert!(third.contains("scanned 1 of 1"), "{third}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_nobody_asks_for_is_removed_after_a_week_and_no_other() {
    let cluster = installed().await;
    for name in ["used", "left", "gone"] {
        let repository = format!("shop/{name}");
        publish(&cluster, &repository, &["1.4.0"]);
        let image = cluster.registry.reference(&repository, "1.4.0");
        cluster.apply(&[deployment(name, &image, &watched())]).await;
    }
    summary(&scan(&cluster, &[]).await);
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    // Two of them have been scanned long ago, and one of these is in use all the same.
    for record in config_maps(&cluster).await {
        if record.data.as_ref().unwrap()["repository"].ends_with("left") {
            continue;
        }
        let long_ago = json!({ "data": { "scannedAt": "2026-01-01T00:00:00Z" } });
        let name = record.metadata.name.unwrap();
        api.patch(&name, &PatchParams::default(), &Patch::Merge(long_ago))
            .await
            .unwrap();
    }
    let deployments: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(cluster.client().await, "shop");
    for name in ["left", "gone"] {
        deployments
            .delete(name, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }
    let names = async || {
        let found = records(&cluster).await;
        let mut names: Vec<String> = found
            .iter()
            .map(|record| record.repository.path().to_owned())
            .collect();
        names.sort();
        names
    };
    summary(&scan(&cluster, &["--dry-run"]).await);
    assert_eq!(names().await, ["shop/gone", "shop/left", "shop/used"]);
    summary(&scan(&cluster, &[]).await);
    assert_eq!(names().await, ["shop/left", "shop/used"]);
}
