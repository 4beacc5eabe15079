//! What the updater answers on a command line: the real binary, under the updater's rights, against the API server.

use std::path::Path;
use std::process::Output;

use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::programs::programs;

use super::*;
use crate::output::{object, stderr, stdout};

pub(super) async fn run(stage: &Stage, arguments: &[&str]) -> Output {
    let kubeconfig = stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER)));
    run_with(&kubeconfig, arguments).await
}

/// The same for whom this file speaks of.
pub(super) async fn run_with(kubeconfig: &Path, arguments: &[&str]) -> Output {
    tokio::process::Command::new(&programs()["kubefresh-updater"])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", NAMESPACE)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn plan_says_what_the_run_would_do_and_changes_nothing() {
    let stage = Stage::with_checkout(&[]).await;
    stage.offer_1_5_0().await;
    stage
        .deploy("web", OLD, &[("kubefresh.dev/mode", "approve")])
        .await;
    stage
        .deploy("mail", OLD, &[("kubefresh.dev/mode", "sometimes")])
        .await;
    let output = run(&stage, &["plan", "--output", "json"]).await;
    let answer = object(&output, 0);
    let states: BTreeMap<&str, &str> = answer["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["workload"]["name"].as_str().unwrap(),
                entry["state"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [("checkout", "starting"), ("mail", "stopped"), ("web", "waiting")];
    assert_eq!(states, BTreeMap::from(expected));

    let output = run(&stage, &["plan", "shop/checkout"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let row = text.lines().nth(1).unwrap();
    let words: Vec<&str> = row.split_whitespace().take(6).collect();
    assert_eq!(
        words,
        ["deployment", "shop/checkout", "app", OLD, "1.5.0", "starting"]
    );
    assert!(text.contains("1 of 3 containers watched: 1 starting"), "{text}");

    assert!(
        stage.writes_by(UPDATER).is_empty(),
        "{:?}",
        stage.writes_by(UPDATER)
    );
    let leader = stage.leader().await;
    stage.image_becomes("checkout", NEW).await;
    leader.stop().await;
}

#[tokio::test]
async fn status_shows_every_watched_container() {
    let stage = Stage::with_checkout(&[]).await;
    let output = run(&stage, &["status"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("1 container watched: 1 unknown"), "{text}");
    assert!(text.lines().nth(1).unwrap().contains("auto"), "{text}");
}

#[tokio::test]
async fn without_permission_there_is_no_answer_but_a_reason() {
    let stage = Stage::with_checkout(&[]).await;
    let output = tokio::process::Command::new(&programs()["kubefresh-updater"])
        .arg("plan")
        .env(
            "KUBECONFIG",
            stage.cluster.kubeconfig_file(Some(("shop", "default"))),
        )
        .env("POD_NAMESPACE", NAMESPACE)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("deployments in all namespaces"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn what_waits_is_approved_by_one_command_and_what_is_held_by_another_is_not_offered() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    stage.offer_1_5_0().await;
    let said = |output: &Output| {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
        stdout(output)
    };
    let held = said(&run(&stage, &["hold", "shop/checkout"]).await);
    assert!(
        held.starts_with("1.5.0 is held by kubefresh.dev/hold\n"),
        "{held}"
    );
    let refused = run(&stage, &["approve", "deployment/shop/checkout"]).await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        stderr(&refused).contains("nothing of deployment shop/checkout waits"),
        "{}",
        stderr(&refused)
    );

    let released = said(&run(&stage, &["release", "shop/checkout"]).await);
    assert!(released.contains("1.5.0 is no longer held"), "{released}");
    let left = stage.annotation("checkout", "hold").await;
    assert_eq!(left, None);

    let approved = said(&run(&stage, &["approve", "shop/checkout"]).await);
    assert!(
        approved.contains(&format!("{OLD} -> {NEW} is approved")),
        "{approved}"
    );
    let kept = stage.annotation("checkout", "decided-by").await.unwrap();
    for decision in [
        r#""container":"app","decision":"hold""#,
        r#""decision":"release""#,
    ] {
        let word = format!(
            r#""by":"system:serviceaccount:kubefresh:kubefresh-updater",{decision},"knownBy":"nothing""#
        );
        assert!(kept.contains(&word), "{kept}");
    }
    let told = stage.told("checkout").await;
    assert_eq!(told, ["UpdateHeld", "HoldReleased", "UpdateApproved"]);
    let leader = stage.leader().await;
    stage.image_becomes("checkout", NEW).await;
    leader.stop().await;

    for (workload, says) in [
        ("shop/web", "there is no workload"),
        ("checkout", "NAMESPACE/NAME"),
    ] {
        let output = run(&stage, &["approve", workload]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn a_workload_that_changes_between_a_commands_look_and_its_write_is_looked_at_again() {
    let stage = Stage::with_checkout(&[]).await;
    stage.offer_1_5_0().await;
    let faults = stage.cluster.api.faults();
    let race = || FaultRule::new(Fault::conflict()).user(UPDATER).verb("patch");
    faults.install(race().times(3));
    let held = run(&stage, &["hold", "shop/checkout"]).await;
    assert_eq!(held.status.code(), Some(0), "{}", stderr(&held));
    assert_eq!(
        stage.annotation("checkout", "hold").await.as_deref(),
        Some("1.5.0")
    );

    faults.install(race());
    let lost = run(&stage, &["release", "shop/checkout"]).await;
    assert_eq!(lost.status.code(), Some(2));
    assert!(stderr(&lost).contains("keeps changing"), "{}", stderr(&lost));
}
