//! What `deploy/monitoring` asks of the metrics, by a real Prometheus.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::forge::Forge;
use sandbox::programs::workspace;
use sandbox::prometheus::Prometheus;
use sandbox::receiver::Receiver;
use shared::domain::record::run::{RegistryUse, RunRecord};

use super::*;

/// An alert, a series that raises it, its values a minute in the notation of promtool, and when the alert is up.
const RAISED: &[(&str, &str, &str, &str)] = &[
    ("KubefreshNobodyLeads", "kubefresh_leader", "1 0x10", "7m"),
    (
        "KubefreshUpdateFailed",
        r#"kubefresh_updates_total{kind="Deployment",result="rolled-back"}"#,
        "0x5 1x10",
        "8m",
    ),
    (
        "KubefreshRollbackFailed",
        r#"kubefresh_updates_total{kind="Deployment",result="rollback-failed"}"#,
        "0x5 1x10",
        "8m",
    ),
    (
        "KubefreshWorkloadStopped",
        r#"kubefresh_workloads{kind="CronJob",state="stopped"}"#,
        "1x30",
        "16m",
    ),
    (
        "KubefreshPatchRefused",
        r#"kubefresh_patches_total{result="refused"}"#,
        "0x5 2x10",
        "8m",
    ),
    (
        "KubefreshWatchFailing",
        r#"kubefresh_watch_failures_total{resource="deployments"}"#,
        "0+2x60",
        "40m",
    ),
    (
        "KubefreshApprovalForgotten",
        r#"kubefresh_containers{verdict="awaiting-approval"}"#,
        "1x11000",
        "170h",
    ),
    (
        "KubefreshMessagesLost",
        r#"kubefresh_messages_total{channel="webhook",result="given-up"}"#,
        "0x5 1x10",
        "8m",
    ),
    (
        "KubefreshMessagesWaiting",
        "kubefresh_messages_overdue",
        "3x40",
        "31m",
    ),
    (
        "KubefreshReleaseNotesUnanswered",
        "kubefresh_release_notes_oldest_unanswered_age_seconds",
        "21601+60x40",
        "16m",
    ),
    (
        "KubefreshScansOverdue",
        "kubefresh_oldest_complete_scan_age_seconds",
        "43201+60x40",
        "31m",
    ),
    (
        "KubefreshScannerSilent",
        "kubefresh_last_scan_start_timestamp_seconds",
        "0x400",
        "380m",
    ),
    (
        "KubefreshScanFailing",
        r#"kubefresh_last_scan_repositories{outcome="not-found"}"#,
        "1x130",
        "121m",
    ),
    (
        "KubefreshRecordUnreadable",
        r#"kubefresh_records{state="unreadable"}"#,
        "1x30",
        "16m",
    ),
    (
        "KubefreshRegistryBudgetSpent",
        r#"kubefresh_registry_pulls_left{registry="docker.io"}"#,
        "0x70",
        "61m",
    ),
    (
        "KubefreshRegistryLeftAlone",
        r#"kubefresh_registry_left_alone_until_timestamp_seconds{registry="docker.io"}"#,
        "86400x400",
        "361m",
    ),
];

/// An alert, a series that is no reason to raise it, and its values a minute.
const NOT_RAISED: &[(&str, &str, &str)] =
    &[("KubefreshMessagesWaiting", "kubefresh_messages_waiting", "3x60")];

/// The rules as Prometheus itself reads them: the `spec` of the operator's object.
fn rules(directory: &Path) -> (PathBuf, Value) {
    let path = workspace().join("deploy/monitoring/prometheus-rule.yaml");
    let object: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let file = directory.join("rules.json");
    std::fs::write(&file, object["spec"].to_string()).unwrap();
    (file, object["spec"].clone())
}

fn alerts(rules: &Value) -> impl Iterator<Item = &Value> {
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap())
}

fn dashboard_queries() -> Vec<String> {
    let path = workspace().join("deploy/monitoring/dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// The names of our metrics in a query.
fn metrics_in(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.starts_with("kubefresh_"))
}

#[test]
#[ignore = "needs promtool; run by just e2e"]
fn every_alert_can_be_raised_and_is_not_where_all_is_well() {
    let directory = tempfile::tempdir().unwrap();
    let (file, rules) = rules(directory.path());
    let named: BTreeSet<&str> = alerts(&rules)
        .map(|rule| rule["alert"].as_str().unwrap())
        .collect();
    let tried: BTreeSet<&str> = RAISED.iter().map(|(alert, ..)| *alert).collect();
    assert_eq!(named, tried);
    let count = |alert: &str| format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})");
    let not_raised = NOT_RAISED.iter().map(|(alert, series, values)| {
        let never = json!({ "expr": count(alert), "eval_time": "60m", "exp_samples": [] });
        json!({ "interval": "1m", "input_series": [{ "series": series, "values": values }], "promql_expr_test": [never] })
    });
    let raised = RAISED.iter().map(|(alert, series, values, at)| {
        // At the start nothing is raised yet; then this is, and says something.
        let counted = count(alert);
        let up = json!({ "expr": counted, "eval_time": at, "exp_samples": [{ "labels": "{}", "value": 1 }] });
        let not_yet = json!({ "expr": counted, "eval_time": "0m", "exp_samples": [] });
        json!({ "interval": "1m", "input_series": [{ "series": series, "values": values }], "promql_expr_test": [not_yet, up] })
    });
    let tests: Vec<Value> = raised.chain(not_raised).collect();
    let tests = json!({ "rule_files": [file], "evaluation_interval": "1m", "tests": tests });
    let tests_file = directory.path().join("tests.json");
    std::fs::write(&tests_file, tests.to_string()).unwrap();
    for arguments in [["check", "rules"], ["test", "rules"]] {
        let checked = if arguments[0] == "check" {
            &file
        } else {
            &tests_file
        };
        let output = Command::new("promtool").args(arguments).arg(checked).output();
        let output = output.expect("promtool is installed");
        assert!(output.status.success(), "{output:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs prometheus; run by just e2e"]
async fn prometheus_finds_every_metric_that_is_asked_for_and_raises_the_alert_of_a_failed_update() {
    let directory = tempfile::tempdir().unwrap();
    let (file, rules) = rules(directory.path());
    let forge = Forge::start().await;
    forge.has("example/shop", super::notes::shop());
    forge.allows(60, clock::now().as_second() + 3600);
    let notes = format!("{}/example/shop", forge.host());
    let stage =
        Stage::with_checkout(&[("kubefresh.dev/rollback", "false"), (super::notes::NOTES, &notes)]).await;
    let (later, _) = super::waiting::window_in(3600);
    stage
        .deploy("later", OLD, &[("kubefresh.dev/window", &later)])
        .await;
    let receiver = Receiver::start().await;
    let run = run_with_a_budget().to_config_map(NAMESPACE);
    stage.cluster.apply(&[serde_json::to_value(run).unwrap()]).await;
    let url = receiver.url("/");
    let forges = forge.named("github");
    let updater = stage
        .leader_with(&[
            "--webhook-url",
            &url,
            "--webhook-enable-image-rollout-failed",
            "--forges",
            &forges,
        ])
        .await;
    let prometheus = Prometheus::asking(updater.address, &file);
    let up = [("query", "kubefresh_leader == 1")];
    eventually("prometheus has asked", LIMIT, || async {
        let found = prometheus.get("query", &up).await?;
        (!found["result"].as_array()?.is_empty()).then_some(())
    })
    .await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.give_up("checkout").await;
    stage.result("checkout").await;
    let failed = [(
        "query",
        "ALERTS{alertname=\"KubefreshUpdateFailed\",alertstate=\"firing\"}",
    )];
    eventually("the alert is raised", LIMIT, || async {
        let found = prometheus.get("query", &failed).await?;
        (!found["result"].as_array()?.is_empty()).then_some(())
    })
    .await;

    let names = prometheus.get("label/__name__/values", &[]).await.unwrap();
    let names: BTreeSet<&str> = names
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let asked: Vec<String> = alerts(&rules)
        .map(|rule| rule["expr"].as_str().unwrap().to_owned())
        .chain(dashboard_queries())
        .collect();
    for query in &asked {
        let answer = prometheus.get("query", &[("query", query)]).await;
        assert!(answer.is_some(), "{query} is no query");
        for metric in metrics_in(query) {
            assert!(names.contains(metric), "{query} asks for {metric}, of {names:?}");
        }
    }
    updater.stop().await;
}

/// The last scan: one registry has a budget, and wants to be left alone.
fn run_with_a_budget() -> RunRecord {
    let registry = RegistryUse {
        requests: BTreeMap::from([("tags".to_owned(), 3)]),
        pulls_left: Some(7),
        left_alone_until: Some(clock::now()),
        ..RegistryUse::default()
    };
    RunRecord {
        started_at: clock::now(),
        complete: 1,
        registries: BTreeMap::from([("docker.io".to_owned(), registry)]),
        ..RunRecord::default()
    }
}
