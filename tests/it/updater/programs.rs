//! The updater as the Deployment runs it: the real binary, with signals and exit codes.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::PostParams;
use sandbox::programs::programs;
use sandbox::receiver::{Behaviour, Receiver};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::*;

fn start(kubeconfig: &Path, pod: &str) -> Child {
    start_with(kubeconfig, pod, &["--lease-duration", "3s"])
}

fn start_with(kubeconfig: &Path, pod: &str, more: &[&str]) -> Child {
    Command::new(&programs()["kubefresh-updater"])
        .args(["run", "--port", "0"])
        .args(more)
        .env("KUBECONFIG", kubeconfig)
        .env("LISTEN_ADDRESS", "127.0.0.1")
        .env("POD_NAMESPACE", NAMESPACE)
        .env("POD_NAME", pod)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .await
            .unwrap()
            .success()
    );
}

/// The exit code and everything it said.
async fn end(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    (child.wait().await.unwrap().code(), said)
}

async fn holder_becomes(stage: &Stage, pod: &str) {
    eventually(&format!("{pod} holds the lease"), LIMIT, || async {
        stage.lease_holder(LEASE).await.starts_with(pod).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_hands_the_lease_over_and_ends_with_exit_code_0_within_seconds() {
    let stage = Stage::with_checkout(&[]).await;
    let kubeconfig = stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER)));
    let first = start(&kubeconfig, "first");
    holder_becomes(&stage, "first").await;
    let second = start(&kubeconfig, "second");
    let told = Instant::now();
    signal(&first, "TERM").await;
    let (code, said) = end(first).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        told.elapsed() < Duration::from_secs(10),
        "{:?}\n{said}",
        told.elapsed()
    );
    assert!(
        said.lines().next().unwrap().contains(env!("CARGO_PKG_VERSION")),
        "{said}"
    );
    holder_becomes(&stage, "second").await;
    stage.offer_1_5_0().await;
    stage
        .image_becomes("checkout", "registry.example/shop/checkout:1.5.0")
        .await;
    signal(&second, "TERM").await;
    assert_eq!(end(second).await.0, Some(0));
}

/// How long after this signal to the process that leads another one patches a workload. `None` when the first one still did that itself.
/// The first one is sending a message to `receiver` then, where there is one.
async fn takeover(with: &str, options: &[&str], receiver: Option<&Receiver>) -> Option<Duration> {
    let stage = Stage::with_checkout(&[]).await;
    let start = |account, pod| {
        let kubeconfig = stage.cluster.kubeconfig_file(Some((NAMESPACE, account)));
        start_with(&kubeconfig, pod, options)
    };
    let first = start(UPDATER, "first");
    holder_becomes(&stage, "first").await;
    let _second = start(SECOND, "second");
    eventually("the other one looks at the lease", LIMIT, || async {
        let requests = stage.cluster.api.requests();
        let looks = requests
            .iter()
            .filter(|request| request.user.ends_with(SECOND) && request.resource == "leases");
        // The first time is the check of its rights.
        (looks.count() >= 2).then_some(())
    })
    .await;
    if let Some(receiver) = receiver {
        let before = receiver.received().len();
        stage.deploy("other", OLD, &[]).await;
        eventually("a message is being sent", LIMIT, || async {
            (receiver.received().len() > before).then_some(())
        })
        .await;
    }
    let sent = Instant::now();
    signal(&first, with).await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    let took = sent.elapsed();
    let patches = stage.patches("checkout");
    let by_other = |patch: &&RequestRecord| patch.user.ends_with(SECOND);
    patches.first().filter(by_other).map(|_| took)
}

/// The best of a few attempts, as a machine may be busy, is within this.
async fn assert_taken_over_within(
    limit: Duration,
    with: &str,
    options: &[&str],
    receiver: Option<&Receiver>,
) {
    let mut took = Vec::new();
    for _ in 0..4 {
        let attempt = takeover(with, options, receiver).await;
        took.push(attempt);
        if attempt.is_some_and(|attempt| attempt < limit) {
            return;
        }
    }
    panic!("SIG{with} {options:?}: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_the_other_acts_within_2_s_of_sigterm_and_within_the_lease_and_2_s_of_sigkill() {
    tokio::join!(
        // The lease lasts 15 s, as nobody says otherwise.
        assert_taken_over_within(Duration::from_secs(2), "TERM", &[], None),
        assert_taken_over_within(
            Duration::from_secs(3 + 2),
            "KILL",
            &["--lease-duration", "3s"],
            None
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_acts_within_2_s_of_sigterm_although_a_message_has_no_answer() {
    let receiver = Receiver::start().await;
    receiver.behave(Behaviour::Hang);
    let url = receiver.url("/");
    let options = ["--webhook-url", &url, "--webhook-enable-deployment-detected"];
    assert_taken_over_within(Duration::from_secs(2), "TERM", &options, Some(&receiver)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_it_ends_at_once_with_one_sentence_and_exit_code_2() {
    let stage = Stage::set().await;
    let kubeconfig = stage.cluster.kubeconfig_file(Some((NAMESPACE, "default")));
    let (code, said) = end(start(&kubeconfig, "nobody")).await;
    assert_eq!(code, Some(2), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("kubefresh-updater: reading deployments in all namespaces: "),
        "{said}"
    );
    assert!(
        last.contains("cannot list resource \"deployments\"") && last.contains("RBAC"),
        "{last}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_is_named_in_one_sentence_with_exit_code_2() {
    let stage = Stage::set().await;
    let kubeconfig = stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER)));
    stage.cluster.api.stop();
    let (code, said) = end(start(&kubeconfig, "lonely")).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.lines()
            .last()
            .unwrap()
            .contains("check that the cluster can be reached"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_for_one_kind_of_workload_it_names_that_kind() {
    let stage = Stage::set().await;
    let roles: Api<ClusterRole> = Api::all(stage.client.clone());
    let mut role = roles.get(UPDATER).await.unwrap();
    let granted = role.rules.as_mut().unwrap();
    granted.retain(|rule| rule.api_groups.as_deref() != Some(&["batch".to_owned()]));
    roles
        .replace(UPDATER, &PostParams::default(), &role)
        .await
        .unwrap();
    let kubeconfig = stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER)));
    let (code, said) = end(start(&kubeconfig, "halfway")).await;
    assert_eq!(code, Some(2), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("kubefresh-updater: reading cronjobs in all namespaces: ")
            && last.contains("cannot list resource \"cronjobs\""),
        "{last}"
    );
}
