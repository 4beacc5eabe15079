//! `kubefresh-scanner records`: the real binary, under the scanner's rights, against the API server.

use std::process::Output;

use sandbox::apiserver::ApiServerOptions;
use sandbox::cluster::Cluster;
use sandbox::manifests;
use sandbox::programs::programs;
use sandbox::registry::{Fault, ImageSpec, Rule};
use serde_json::{Value, json};

use crate::shop;

/// A cluster with Kubefresh's rights in it and two watched Deployments.
async fn cluster() -> Cluster {
    let cluster = Cluster::still(ApiServerOptions::default()).await;
    cluster.apply(&manifests::install()).await;
    cluster
        .apply(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })])
        .await;
    for name in ["checkout", "web"] {
        for tag in ["1.4.0", "1.5.0"] {
            cluster
                .registry
                .publish(&ImageSpec::new(&format!("shop/{name}"), tag));
        }
        let image = cluster.registry.reference(&format!("shop/{name}"), "1.4.0");
        let deployment = shop::deployment(name, &image, &json!({ "kubefresh.dev/watch": "true" }));
        cluster.apply(&[deployment]).await;
    }
    cluster
}

/// Runs a command of the scanner with the rights of its service account.
async fn run(cluster: &Cluster, arguments: &[&str]) -> Output {
    tokio::process::Command::new(&programs()["kubefresh-scanner"])
        .args(arguments)
        .env(
            "KUBECONFIG",
            cluster.kubeconfig_file(Some(("kubefresh", "kubefresh-scanner"))),
        )
        .env("POD_NAMESPACE", "kubefresh")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// What was printed, of a run that ended well.
async fn printed(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = run(cluster, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_records_the_next_step_is_told() {
    let cluster = cluster().await;
    let printed = printed(&cluster, &["records"]).await;
    assert!(
        printed.starts_with(
            "RECORDS   0 of 0 in the namespace kubefresh, 0 failing\nNEXT      kubefresh-scanner scan "
        ),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_shown_sorted_with_what_fails_and_until_when_it_is_left_alone() {
    let cluster = cluster().await;
    printed(&cluster, &["scan"]).await;
    cluster
        .registry
        .fault(Rule::always(Fault::retry_after_seconds(3600)).repository("shop/web"));
    run(&cluster, &["scan"]).await;

    let host = cluster.registry.host();
    let table = printed(&cluster, &["records"]).await;
    let lines: Vec<&str> = table.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        words(lines[0]),
        [
            "REPOSITORY",
            "NEWEST",
            "STATE",
            "TAGS",
            "AGE",
            "ERROR",
            "SINCE",
            "UNTIL"
        ],
        "{table}"
    );
    let (checkout, web) = (words(lines[1]), words(lines[2]));
    assert_eq!(
        checkout[..4],
        [&format!("{host}/shop/checkout"), "1.5.0", "complete", "2"]
    );
    assert_eq!(
        [&web[..4], &web[5..6]].concat(),
        [
            &format!("{host}/shop/web"),
            "1.5.0",
            "failing",
            "2",
            "rate-limited"
        ]
    );
    assert_eq!(
        (checkout.len(), web.len()),
        (5, 8),
        "until when it is left alone: {table}"
    );
    assert!(
        table.contains("\nRECORDS   2 of 2 in the namespace kubefresh, 1 failing\nNEXT      kubectl "),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'), "{table}");

    for (arguments, expected) in [
        (&["records", "--failing"][..], &["web"][..]),
        (&["records", "/checkout"], &["checkout"]),
        (&["records", "/checkout", "--failing"], &[]),
        (&["records", "shop/"], &["checkout", "web"]),
    ] {
        let json = printed(&cluster, &[arguments, &["--output", "json"]].concat()).await;
        let listing: Value = serde_json::from_str(&json).unwrap();
        let records = listing["records"].as_array().unwrap();
        let repositories: Vec<_> = records
            .iter()
            .map(|record| record["repository"].clone())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|name| json!(format!("{host}/shop/{name}")))
            .collect();
        assert_eq!(repositories, expected, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_record_is_there_and_one_that_cannot_be_read_is_named() {
    let cluster = cluster().await;
    printed(&cluster, &["scan"]).await;
    cluster
        .apply(&[json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "scan-odd", "namespace": "kubefresh", "labels": { "kubefresh.dev/record": "scan" } },
            "data": { "schema": "99" },
        })])
        .await;
    let json = printed(&cluster, &["records", "shop/web", "--output", "json"]).await;
    let listing: Value = serde_json::from_str(&json).unwrap();
    let record = &listing["records"][0];
    assert_eq!(
        (
            &record["newest"],
            &record["state"],
            &record["tags"],
            &record["error"]
        ),
        (&json!("1.5.0"), &json!("complete"), &json!(2), &Value::Null)
    );
    assert!(record["age_seconds"].as_i64().unwrap() < 60, "{record}");
    assert!(
        record["record"].as_str().unwrap().starts_with("scan-"),
        "{record}"
    );
    assert_eq!(listing["unreadable"][0]["record"], "scan-odd");
    let table = printed(&cluster, &["records"]).await;
    assert!(
        table.contains("\nNOT READ  record scan-odd has schema \"99\""),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cluster_or_the_right_to_read_records_it_ends_with_2() {
    let output = tokio::process::Command::new(&programs()["kubefresh-scanner"])
        .arg("records")
        .env("KUBECONFIG", "/no/such/file")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let cluster = cluster().await;
    let refused = run(&cluster, &["records", "--namespace", "shop"]).await;
    assert_eq!(refused.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("listing the scan records"), "{errors}");
    let invalid = run(&cluster, &["records", "--namespace", "A"]).await;
    assert_eq!(invalid.status.code(), Some(2));
}
