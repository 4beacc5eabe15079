//! What other programs hear: each happening once, whatever becomes of us, and never at the price of the work.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

use sandbox::apiserver::error::ApiError;
use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::programs::programs;
use sandbox::receiver::{Behaviour, Received, Receiver};
use shared::domain::record::outbox as record;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::*;

const OUTBOX: &str = "kubefresh-updater-outbox";
const ROLLOUTS: [&str; 3] = [
    "--webhook-enable-image-rollout-started",
    "--webhook-enable-image-rollout-completed",
    "--webhook-enable-image-rollout-failed",
];
const DETECTIONS: &str = "--webhook-enable-deployment-detected";
const STARTED: &str = "IMAGE_ROLLOUT_STARTED";
const COMPLETED: &str = "IMAGE_ROLLOUT_COMPLETED";
const FAILED: &str = "IMAGE_ROLLOUT_FAILED";
const DETECTED: &str = "DEPLOYMENT_DETECTED";

/// A leader that tells this receiver of rollouts, with more on its command line.
async fn leader(stage: &Stage, receiver: &Receiver, more: &[&str]) -> Updater {
    let url = receiver.url("/hook");
    let words = [&["--webhook-url", &url], &ROLLOUTS[..], more].concat();
    stage.steady_leader(&words).await
}

/// The same, for one whose lease runs out in the middle of its work: somebody waits for that.
async fn leader_with_a_short_lease(stage: &Stage, receiver: &Receiver, more: &[&str]) -> Updater {
    let url = receiver.url("/hook");
    let words = [&["--webhook-url", &url], &ROLLOUTS[..], more].concat();
    stage.leader_with(&words).await
}

async fn update(stage: &Stage) {
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
}

/// Waits until it took these, and no others.
async fn takes(receiver: &Receiver, events: &[&str]) {
    eventually(&format!("{events:?} are taken"), LIMIT, || async {
        (receiver.took().len() >= events.len()).then_some(())
    })
    .await;
    assert_eq!(receiver.took(), events);
}

/// Waits until `count` requests have come.
async fn comes(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually(&format!("{count} requests come"), LIMIT, || async {
        Some(receiver.received()).filter(|received| received.len() >= count)
    })
    .await
}

fn records(stage: &Stage) -> Api<ConfigMap> {
    Api::namespaced(stage.client.clone(), NAMESPACE)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_happening_is_posted_once_as_watch_cluster_posts_it_and_not_again_by_the_next_leader() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let headers = [
        "--webhook-headers",
        "Authorization=Bearer abc=,X-Cluster=prod",
        DETECTIONS,
    ];
    let first = leader(&stage, &receiver, &headers).await;
    takes(&receiver, &[DETECTED]).await;
    update(&stage).await;
    takes(&receiver, &[DETECTED, STARTED, COMPLETED]).await;
    first.stop().await;
    let second = leader(&stage, &receiver, &headers).await;
    second
        .shows("kubefresh_containers{verdict=\"up-to-date\"} 1")
        .await;
    assert_eq!(receiver.took(), [DETECTED, STARTED, COMPLETED]);
    second.stop().await;

    let [detected, started, completed] = &receiver.received()[..] else {
        panic!("{:#?}", receiver.received());
    };
    assert_eq!(started.target, "/hook");
    let agent = concat!("kubefresh-updater/", env!("CARGO_PKG_VERSION"));
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", agent),
        ("authorization", "Bearer abc="),
        ("x-cluster", "prod"),
    ] {
        assert_eq!(started.headers[name], value, "{name}");
    }
    let deployment = |image: &str| json!({ "namespace": "shop", "name": "checkout", "image": image });
    assert_eq!(detected.body["deployment"], deployment(OLD));
    assert_eq!(started.body["deployment"], deployment(NEW));
    assert_eq!(started.body["details"], json!({ "previousImage": OLD }));
    assert_eq!(completed.body["deployment"], deployment(NEW));
    let timestamp = completed.body["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 20 && timestamp.ends_with('Z'), "{timestamp}");
    let details = completed.body["details"].as_object().unwrap();
    let duration = details["rolloutDuration"].as_str().unwrap();
    assert!(details.len() == 1 && duration.strip_suffix("ms").unwrap().parse::<u64>().is_ok());
    let ids = BTreeSet::from([detected.id(), started.id(), completed.id()]);
    assert!(ids.len() == 3 && ids.iter().all(|id| id.len() == 16), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_webhook_no_record_of_messages_is_read_or_written() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    // Nor with an address and nothing to tell it.
    let url = receiver.url("/");
    let updater = stage.leader_with(&["--webhook-url", &url]).await;
    update(&stage).await;
    updater.stop().await;
    let mut requests = stage.cluster.api.requests();
    requests.retain(|request| request.name == OUTBOX);
    assert!(requests.is_empty(), "{requests:#?}");
    assert!(receiver.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_holds_up_no_update_and_hears_all_from_the_next_leader_in_order() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let soon = vec![("retry-after", "1".to_owned())];
    receiver.behave(Behaviour::Answer(503, soon));
    let first = leader_with_a_short_lease(&stage, &receiver, &["--webhook-retry-count=50"]).await;
    update(&stage).await;
    let tried = comes(&receiver, 2).await;
    first.shows("kubefresh_messages_waiting{} 2").await;
    first.shows("kubefresh_messages_overdue{} 2").await;
    first.kill().await;
    receiver.behave(Behaviour::Take);
    let second = leader(&stage, &receiver, &[]).await;
    takes(&receiver, &[STARTED, COMPLETED]).await;
    second
        .shows("kubefresh_messages_total{channel=\"webhook\",result=\"sent\"} 2")
        .await;
    let before = receiver.received().len();
    assert!(
        tried.iter().all(|request| request.event() == STARTED),
        "the first comes first"
    );
    let taken = receiver.received()[before - 2].clone();
    assert_eq!(taken.id(), tried[0].id(), "under the same id each time");
    second.stop().await;
}

/// What is left in the record by a leader that updated and was told to end while its receiver did not answer.
async fn left_by_one_whose_receiver_never_answers() -> String {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    receiver.behave(Behaviour::Hang);
    let updater = leader(&stage, &receiver, &["--webhook-timeout=60000"]).await;
    update(&stage).await;
    let sent = comes(&receiver, 1).await;
    assert_eq!(sent.len(), 1, "one at a time for one workload");
    let record = async || {
        let stored = records(&stage).get(OUTBOX).await.unwrap();
        stored.data.unwrap().remove("outbox").unwrap()
    };
    assert_eq!(record().await.matches("underWay").count(), 1);
    let told = Instant::now();
    updater.stop().await;
    // Far less than the receiver may take, and more than the end takes on a machine that stalls.
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    let record = record().await;
    assert!(record.contains(STARTED), "{record}");
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_holds_up_neither_an_update_nor_the_end() {
    let mut left = Vec::new();
    // Once the receiver has had its half second, as much is left for the last write, which a machine that stalls may take for itself.
    for _ in 0..3 {
        let record = left_by_one_whose_receiver_never_answers().await;
        // It was broken off, and nobody has to wait for it.
        if !record.contains("underWay") {
            return;
        }
        left.push(record);
    }
    panic!("{left:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_not_taken_in_time_is_given_up_and_what_follows_is_not() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let to = vec![("location", elsewhere.url("/"))];
    receiver.behave(Behaviour::Answer(307, to));
    let options = ["--webhook-timeout=3000", "--webhook-retry-count=1"];
    let updater = leader(&stage, &receiver, &options).await;
    stage.offer_1_5_0().await;
    updater
        .shows("kubefresh_messages_total{channel=\"webhook\",result=\"given-up\"} 1")
        .await;
    assert!(elsewhere.received().is_empty(), "no redirect is followed");
    receiver.behave(Behaviour::Hang);
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    updater
        .shows("kubefresh_messages_total{channel=\"webhook\",result=\"given-up\"} 2")
        .await;
    updater
        .shows("kubefresh_messages_total{channel=\"webhook\",result=\"failed\"} 1")
        .await;
    let events: Vec<String> = receiver
        .received()
        .iter()
        .map(|request| request.event().to_owned())
        .collect();
    assert_eq!(events, [STARTED, COMPLETED, COMPLETED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_rolled_back_has_failed_and_its_rollback_completes() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let _updater = leader(&stage, &receiver, &[]).await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.give_up("checkout").await;
    stage.image_becomes("checkout", OLD).await;
    stage.roll_out("checkout").await;
    takes(&receiver, &[STARTED, FAILED, COMPLETED]).await;
    let requests = receiver.received();
    assert_eq!(requests[1].body["deployment"]["image"], NEW);
    assert_eq!(requests[1].body["details"]["rollback"], "started");
    assert!(requests[1].body["details"]["error"].as_str().unwrap().len() > 10);
    assert_eq!(requests[2].body["deployment"]["image"], OLD);
    assert_eq!(requests[2].body["details"]["rollback"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_detected_once_and_when_somebody_else_changes_its_image_and_not_by_our_update() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let url = receiver.url("/");
    let words = ["--webhook-url", &url, DETECTIONS];
    let first = stage.leader_with(&words).await;
    takes(&receiver, &[DETECTED]).await;
    update(&stage).await;
    first.kill().await;
    let second = stage.leader_with(&words).await;
    let later = "registry.example/shop/checkout:1.6.0";
    stage.set_image("checkout", later).await;
    takes(&receiver, &[DETECTED, DETECTED]).await;
    assert_eq!(receiver.received()[1].body["deployment"]["image"], later);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_is_not_written_when_nothing_happened() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let updater = leader(&stage, &receiver, &[DETECTIONS]).await;
    update(&stage).await;
    takes(&receiver, &[DETECTED, STARTED, COMPLETED]).await;
    let written = || {
        let writes = stage.writes_by(UPDATER);
        writes.iter().filter(|write| write.name == OUTBOX).count()
    };
    updater.shows("kubefresh_messages_waiting{} 0").await;
    let before = written();
    assert!(
        before <= 7,
        "one makes it; each message is entered by one, which says who sends it, and noted by one"
    );
    for round in 0..10 {
        let round = round.to_string();
        stage.annotate("checkout", "shop.example/round", &round).await;
    }
    stage
        .deploy("other", OLD, &[("kubefresh.dev/watch", "false")])
        .await;
    stage.annotate("checkout", "kubefresh.dev/mode", "off").await;
    updater
        .shows("kubefresh_containers{verdict=\"mode-off\"} 1")
        .await;
    assert_eq!(written(), before);
    let stored = records(&stage).get(OUTBOX).await.unwrap();
    assert_eq!(stored.metadata.labels.unwrap()["kubefresh.dev/record"], "outbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_that_may_not_keep_the_record_tells_all_the_same() {
    let stage = Stage::with_checkout(&[]).await;
    let refusal = ApiError::new(http::StatusCode::FORBIDDEN, "Forbidden", "no");
    for verb in ["get", "patch"] {
        let rule = FaultRule::new(Fault::Answer(refusal.clone()));
        let rule = rule.verb(verb).resource("configmaps").user(UPDATER);
        stage.cluster.api.faults().install(rule);
    }
    let receiver = Receiver::start().await;
    let _updater = leader(&stage, &receiver, &[]).await;
    update(&stage).await;
    takes(&receiver, &[STARTED, COMPLETED]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_lost_raced_for_or_broken_costs_no_update_and_no_message() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let updater = leader(&stage, &receiver, &[DETECTIONS]).await;
    takes(&receiver, &[DETECTED]).await;
    updater.shows("kubefresh_messages_waiting{} 0").await;
    // Somebody else writes it.
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    records(&stage)
        .patch(OUTBOX, &PatchParams::default(), &patch)
        .await
        .unwrap();
    stage.offer_1_5_0().await;
    takes(&receiver, &[DETECTED, STARTED]).await;
    updater.shows("kubefresh_messages_waiting{} 0").await;
    // An answer is lost.
    let lost = FaultRule::new(Fault::DropAfter)
        .verb("patch")
        .resource("configmaps");
    let lost = stage.cluster.api.faults().install(lost.user(UPDATER).nth(1));
    stage.image_becomes("checkout", NEW).await;
    stage.roll_out("checkout").await;
    assert_eq!(stage.result("checkout").await, "completed");
    takes(&receiver, &[DETECTED, STARTED, COMPLETED]).await;
    assert_eq!(lost.struck(), 1);
    updater.shows("kubefresh_messages_waiting{} 0").await;
    // Somebody deletes it: what is in memory is stored anew.
    let delete = kube::api::DeleteParams::default();
    records(&stage).delete(OUTBOX, &delete).await.unwrap();
    stage
        .set_image("checkout", "registry.example/shop/checkout:1.6.0")
        .await;
    takes(&receiver, &[DETECTED, STARTED, COMPLETED, DETECTED]).await;
    assert!(records(&stage).get(OUTBOX).await.unwrap().data.is_some());
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_cut_off_or_of_a_newer_schema_costs_no_update_and_what_was_told_comes_again_as_the_same()
 {
    for (key, value) in [("outbox", "waiting:\n- {channel: webh"), ("schema", "2")] {
        let stage = Stage::with_checkout(&[]).await;
        let receiver = Receiver::start().await;
        let first = leader(&stage, &receiver, &[]).await;
        stage.offer_1_5_0().await;
        takes(&receiver, &[STARTED]).await;
        first.stop().await;
        let patch = Patch::Merge(json!({ "data": { key: value } }));
        records(&stage)
            .patch(OUTBOX, &PatchParams::default(), &patch)
            .await
            .unwrap();
        let second = leader(&stage, &receiver, &[]).await;
        takes(&receiver, &[STARTED, STARTED]).await;
        stage.roll_out("checkout").await;
        assert_eq!(stage.result("checkout").await, "completed", "{key}");
        takes(&receiver, &[STARTED, STARTED, COMPLETED]).await;
        let requests = receiver.received();
        assert_eq!(requests[0].id(), requests[1].id());
        second.shows("kubefresh_messages_waiting{} 0").await;
        second.stop().await;
        let stored = records(&stage).get(OUTBOX).await.unwrap();
        assert!(
            record::parse(&stored).unwrap().waiting().is_empty(),
            "it is whole again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_heard_of_a_start_hears_of_the_end_of_what_is_deleted_or_undone_in_the_middle_whoever_leads()
{
    let stage = Stage::with_checkout(&[]).await;
    for name in ["basket", "cart"] {
        stage.deploy(name, OLD, &[]).await;
        stage.roll_out(name).await;
    }
    let receiver = Receiver::start().await;
    let told = |name: &str| -> Vec<Received> {
        let of_it = |one: &Received| one.taken && one.body["deployment"]["name"] == name;
        receiver.received().into_iter().filter(of_it).collect()
    };
    let hears = async |name: &str, events: &[&str]| {
        eventually(&format!("{events:?} of {name} are taken"), LIMIT, || async {
            let told = told(name);
            let taken: Vec<&str> = told.iter().map(Received::event).collect();
            (taken == events).then_some(())
        })
        .await;
    };
    let delete = async |name: &str| {
        let parameters = kube::api::DeleteParams::default();
        stage.deployments().delete(name, &parameters).await.unwrap();
    };
    let first = leader(&stage, &receiver, &[]).await;
    stage.offer_1_5_0().await;
    for name in ["checkout", "basket", "cart"] {
        hears(name, &[STARTED]).await;
    }
    delete("checkout").await;
    hears("checkout", &[STARTED, FAILED]).await;
    first.stop().await;
    // Nobody watches.
    delete("basket").await;
    let undone = json!({
        "metadata": { "annotations": { "kubefresh.dev/in-flight": null, "kubefresh.dev/mode": "notify" } },
        "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": OLD }] } } },
    });
    let patch = Patch::Strategic(undone);
    let parameters = PatchParams::default();
    stage
        .deployments()
        .patch("cart", &parameters, &patch)
        .await
        .unwrap();
    for _ in 0..2 {
        let next = leader(&stage, &receiver, &[]).await;
        for name in ["checkout", "basket", "cart"] {
            hears(name, &[STARTED, FAILED]).await;
        }
        next.shows("kubefresh_messages_waiting{} 0").await;
        next.stop().await;
    }
    for (name, why) in [
        (
            "checkout",
            "the workload was deleted in the middle of the rollout",
        ),
        ("basket", "the workload was deleted in the middle of the rollout"),
        (
            "cart",
            "superseded: somebody took its marker away, as kubectl rollout undo does",
        ),
    ] {
        let end = &told(name)[1];
        assert_eq!(end.body["deployment"]["image"], NEW);
        assert_eq!(end.body["details"], json!({ "error": why }), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_waits_only_so_long_for_a_record_that_cannot_be_written_and_all_is_sent_later_in_order() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    let rule = FaultRule::new(Fault::internal())
        .verb("patch")
        .resource("configmaps");
    let rule = rule.name(OUTBOX).user(UPDATER);
    stage.cluster.api.faults().install(rule);
    let url = receiver.url("/");
    let words = [&["--webhook-url", &url], &ROLLOUTS[..]].concat();
    let differs = |settings: &mut Settings| {
        settings.patience = Duration::from_secs(2);
        settings.lease_duration = STEADY_LEASE;
    };
    let updater = stage.leader_that(&words, differs).await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    stage.give_up("checkout").await;
    stage.image_becomes("checkout", OLD).await;
    stage.roll_out("checkout").await;
    stage.result("checkout").await;
    updater
        .shows("kubefresh_messages_total{channel=\"webhook\",result=\"postponed\"} 3")
        .await;
    assert!(receiver.received().is_empty(), "what is not entered is not sent");
    stage.cluster.api.faults().clear();
    takes(&receiver, &[STARTED, FAILED, COMPLETED]).await;
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_when_the_lease_was_lost_is_the_next_leaders_alone() {
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    receiver.behave(Behaviour::Hang);
    // The next one waits for as long as that could go on.
    let first = leader_with_a_short_lease(&stage, &receiver, &["--webhook-timeout=3000"]).await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    comes(&receiver, 1).await;
    let cut_off = FaultRule::new(Fault::Delay(LIMIT)).resource("leases");
    stage.cluster.api.faults().install(cut_off.user(UPDATER));
    first.shows("kubefresh_leader 0").await;
    receiver.behave(Behaviour::Take);
    let url = receiver.url("/hook");
    let words = [&["--webhook-url", &url], &ROLLOUTS[..]].concat();
    let account = client(&stage.cluster.api.kubeconfig_for(NAMESPACE, SECOND)).await;
    let second = Updater::start_with(account, SECOND, LEASE, &words).await;
    takes(&receiver, &[STARTED]).await;
    second.shows("kubefresh_messages_waiting{} 0").await;
    let requests = receiver.received();
    assert_eq!(requests[0].id(), requests[1].id());
    stage.cluster.api.faults().clear();
    second.stop().await;
    first.leads().await;
    stage.roll_out("checkout").await;
    takes(&receiver, &[STARTED, COMPLETED]).await;
    assert_eq!(receiver.received().len(), 3, "what the other one sent is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_cluster_is_detected_with_few_writes_of_the_record() {
    const WORKLOADS: usize = 120;
    let stage = Stage::set().await;
    for number in 0..WORKLOADS {
        stage.deploy(&format!("w{number}"), OLD, &[]).await;
    }
    let receiver = Receiver::start().await;
    let begun = Instant::now();
    let url = receiver.url("/");
    let updater = stage.steady_leader(&["--webhook-url", &url, DETECTIONS]).await;
    comes(&receiver, WORKLOADS).await;
    updater.shows("kubefresh_messages_waiting{} 0").await;
    let took = usize::try_from(begun.elapsed().as_secs()).unwrap();
    updater.stop().await;
    let workloads: BTreeSet<String> = receiver
        .received()
        .iter()
        .map(|request| request.body["deployment"]["name"].to_string())
        .collect();
    assert_eq!((workloads.len(), receiver.took().len()), (WORKLOADS, WORKLOADS));
    let writes = stage.writes_by(UPDATER);
    let writes = writes.iter().filter(|write| write.name == OUTBOX).count();
    // One makes it, one comes at the end.
    assert!(writes <= took + 3, "{writes} writes in {took} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_address_nor_headers_are_logged_at_any_level() {
    const SECRET: &str = "hunter2";
    let stage = Stage::with_checkout(&[]).await;
    let receiver = Receiver::start().await;
    receiver.behave(Behaviour::Answer(500, vec![("retry-after", "1".to_owned())]));
    let mut child = Command::new(&programs()["kubefresh-updater"])
        .args(["run", "--port", "0", "--lease-duration", "2s"])
        .env(
            "KUBECONFIG",
            stage.cluster.kubeconfig_file(Some((NAMESPACE, UPDATER))),
        )
        .env("LISTEN_ADDRESS", "127.0.0.1")
        .env("POD_NAMESPACE", NAMESPACE)
        .env("LOG_LEVEL", "trace")
        .env("WEBHOOK_URL", receiver.url("/hunter2?token=hunter2"))
        .env("WEBHOOK_HEADERS", "Authorization=Bearer hunter2")
        .env("WEBHOOK_ENABLE_IMAGE_ROLLOUT_STARTED", "true")
        .env("WEBHOOK_TIMEOUT", "2000")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = child.stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut said = Vec::new();
        log.read_to_end(&mut said).await.unwrap();
        said
    });
    stage.offer_1_5_0().await;
    let requests = comes(&receiver, 2).await;
    assert_eq!(requests[0].headers["authorization"], "Bearer hunter2");
    assert_eq!(requests[0].target, "/hunter2?token=hunter2");
    receiver.behave(Behaviour::Hang);
    comes(&receiver, 3).await;
    child.kill().await.unwrap();
    let said = log.await.unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("it answered 500"), "{said}");
    let leak = said.lines().find(|line| line.contains(SECRET));
    assert_eq!(leak, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_meant_refuses_the_start_without_showing_it() {
    let output = Command::new(&programs()["kubefresh-updater"])
        .env("WEBHOOK_URL", "https://hooks.example.com/hunter2")
        .env("WEBHOOK_HEADERS", "Authorization=Bearer a,hunter2")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("WEBHOOK_HEADERS: entry 2"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}
