//! `migrate`: what it prints means what the annotations of the other tool did, and it changes nothing.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use sandbox::programs::programs;

use super::commands::run;
use super::*;
use crate::output::{object, stderr, stdout};

const FOREIGN: [(&str, &str, &str); 4] = [
    ("web", "keel.sh/policy", "all"),
    ("mail", "keel.sh/policy", r"regexp:^(?P<compare>1[.]\d+)[.]0$"),
    ("jobs", "watch-cluster.io/enabled", "true"),
    ("blog", "image-watcher/watch", "true"),
];

/// What `plan` says of each container, by workload.
async fn planned(stage: &Stage) -> BTreeMap<String, Value> {
    let answer = object(&run(stage, &["plan", "--output", "json"]).await, 0);
    let entries = answer["containers"].as_array().unwrap().iter();
    let planned = entries.map(|entry| {
        let name = entry["workload"]["name"].as_str().unwrap().to_owned();
        let what = ["target", "mode", "state"].map(|field| entry[field].clone());
        (name, json!(what))
    });
    planned.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_migrate_prints_gives_the_same_plan_once_it_is_applied() {
    let stage = Stage::set().await;
    for (name, key, value) in FOREIGN {
        let image = format!("registry.example/shop/{name}:1.4.0");
        let metadata = json!({ "annotations": { key: value, "example.com/owner": "shop" } });
        stage.deploy_as(name, &image, metadata).await;
        stage.roll_out(name).await;
        let repository = format!("registry.example/shop/{name}");
        let demands = [
            "1.4.0 major prerelease any-suffix",
            "1.4.0 major",
            "1.4.0 minor",
            r#"1.4.0 "regex:^(?P<compare>1[.]\\d+)[.]0$" tag-extract="${compare}" tag-order=alphabetical"#,
        ];
        stage
            .scanned(
                &repository,
                &demands,
                &["1.4.0", "1.5.0", "2.0.0", "2.1.0-beta.1"],
            )
            .await;
    }
    stage.deploy("own", OLD, &[]).await;
    let before = planned(&stage).await;
    assert_eq!(
        before["web"],
        json!(["registry.example/shop/web:2.1.0-beta.1", "auto", "starting"])
    );
    assert_eq!(
        before["blog"],
        json!(["registry.example/shop/blog:1.5.0", "approve", "waiting"])
    );

    let answer = object(&run(&stage, &["migrate", "--output", "json"]).await, 0);
    let entries = answer["workloads"].as_array().unwrap();
    assert_eq!(entries.len(), FOREIGN.len(), "{answer}");
    assert!(
        stage.writes_by(UPDATER).is_empty(),
        "{:?}",
        stage.writes_by(UPDATER)
    );
    for entry in entries {
        let name = entry["name"].as_str().unwrap();
        for (key, value) in entry["annotations"].as_object().unwrap() {
            stage.annotate(name, key, value.as_str().unwrap()).await;
        }
    }
    assert_eq!(planned(&stage).await, before);
    let again = object(&run(&stage, &["migrate", "--output", "json"]).await, 0);
    for entry in again["workloads"].as_array().unwrap() {
        assert_eq!(entry["annotations"], json!({}), "{entry}");
        assert_eq!(entry["dialect"], Value::Null, "{entry}");
    }
}

fn migrate(manifest: &str, arguments: &[&str]) -> Output {
    let mut child = Command::new(&programs()["kubefresh-updater"])
        .args(["migrate", "-f", "-"])
        .args(arguments)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(manifest.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

const MANIFEST: &str = "\
kind: Deployment
metadata:
  name: web
  namespace: shop
  labels: { keel.sh/policy: minor }
  annotations: { keel.sh/approvals: '1', keel.sh/approvalDeadline: '24' }
spec: { template: { spec: { containers: [{ name: app, image: 'shop/web:1.4.0' }] } } }
---
kind: Service
metadata: { name: web }
---
kind: StatefulSet
metadata: { name: db, annotations: { image-watcher/watch: 'true', image-watcher/strategy: newest } }
spec: { template: { spec: { containers: [{ name: app, image: 'shop/db:1.4.0' }] } } }
---
apiVersion: v1
kind: List
items:
- kind: Pod
  metadata: { name: probe, annotations: { keel.sh/policy: minor } }
  spec: { containers: [{ name: app, image: 'shop/probe:1.4.0' }] }
- apiVersion: apps.kruise.io/v1beta1
  kind: StatefulSet
  metadata: { name: db, annotations: { keel.sh/policy: minor } }
  spec: { template: { spec: { containers: [{ name: app, image: 'shop/db:1.4.0' }] } } }
";

#[test]
fn migrate_reads_manifests_and_writes_a_script_that_says_what_is_lost() {
    let output = migrate(MANIFEST, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = "\
# deployment web in namespace shop follows its annotations for Keel
#   annotation keel.sh/approvalDeadline=24: it limits how long the word of one person waits for the others, and here none does; an offer of Kubefresh stays until it is agreed to, it is held back or a newer one takes its place
kubectl annotate --namespace=shop deployment/web \\
  kubefresh.dev/mode=approve \\
  kubefresh.dev/policy=minor \\
  kubefresh.dev/watch=true

# statefulset db follows its annotations for Image-Watcher
#   to be mended first: annotation image-watcher/strategy: \"newest\" is not valid: it must be one of MAJOR, MINOR, PATCH

# pod probe follows its annotations for Keel
#   kind Pod: Kubefresh updates only Deployment, StatefulSet, DaemonSet, CronJob

# statefulset db follows its annotations for Keel
#   kind StatefulSet of apps.kruise.io: Kubefresh updates only Deployment, StatefulSet, DaemonSet, CronJob

# 4 workloads with annotations for other tools: 1 to be taken over by these commands, 1 to be mended first
";
    assert_eq!(stdout(&output), expected);
    let answer = object(&migrate(MANIFEST, &["shop/", "--output", "json"]), 0);
    let [entry] = answer["workloads"].as_array().unwrap().as_slice() else {
        panic!("{answer}");
    };
    assert_eq!(entry["document"], json!(1));
    assert_eq!(entry["annotations"]["kubefresh.dev/mode"], json!("approve"));
    assert_eq!(
        entry["remarks"][0]["origin"],
        json!("annotation keel.sh/approvalDeadline")
    );
}

#[test]
fn a_manifest_that_cannot_be_read_is_told_and_the_rest_is_answered() {
    let broken = format!("{MANIFEST}---\nkind: Job\n---\nkind: [Deployment\n");
    let output = migrate(&broken, &["--output", "json"]);
    let answer = object(&output, 2);
    assert_eq!(answer["workloads"].as_array().unwrap().len(), 4);
    assert_eq!(answer["problems"][0]["document"], json!(5));
    assert_eq!(answer["problems"][1]["document"], json!(6));
    assert!(
        stderr(&output).contains("2 parts of the manifests"),
        "{}",
        stderr(&output)
    );
}
