//! Killed at any request and started again, the programs end in the same state, and no update is rolled out twice.
//!
//! Each run stops the program at its n-th request to the API server, once before the request is handled and once after
//! it was, before its answer comes back; kills it there; and starts it again. That is done for every n there is.

mod trouble;

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::cluster::{Cluster, eventually};
use sandbox::receiver::Receiver;
use sandbox::registry::ImageSpec;
use serde_json::{Value, json};
use shared::domain::record::{ScanRecord, outbox};
use shared::domain::time::whole_seconds;
use shared::io::clock;
use tokio::process::Child;

use crate::shop::{self, scan, start, start_updater_with};

/// Longer than any run; the program is killed long before.
const HELD: Duration = Duration::from_mins(2);
const LIMIT: Duration = Duration::from_mins(1);
/// Runs at the same time; each is mostly waiting.
const AT_ONCE: usize = 8;

/// Where a request is stopped.
#[derive(Debug, Clone, Copy)]
enum Moment {
    BeforeIt,
    AfterIt,
}

impl Moment {
    fn fault(self) -> Fault {
        match self {
            Self::BeforeIt => Fault::Delay(HELD),
            Self::AfterIt => Fault::DelayAnswer(HELD),
        }
    }
}

/// How the update ends that is begun.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Completed,
    RolledBack,
    /// The update had ended, and somebody asks for it to be undone.
    Undone,
    /// They ask in the middle of its rollout.
    Abandoned,
    /// The update had ended, and somebody went back while nobody led.
    TakenBack,
}

impl Ending {
    /// In seconds, of which twenty pass here in one. Only where the update is to fail does the controller give up, and where it is not it
    /// has more time than any run, however slow the machine is.
    fn progress_deadline(self) -> u32 {
        match self {
            Self::RolledBack => 40,
            Self::Completed | Self::Undone | Self::Abandoned | Self::TakenBack => 6000,
        }
    }

    /// What stands on the Deployment, and its tag, when the updater starts.
    fn given(self, cluster: &Cluster) -> Option<(Value, &'static str)> {
        let image = |tag| cluster.registry.reference("shop/checkout", tag);
        let (old, new) = (image("1.4.0"), image("1.5.0"));
        let containers = json!({ "app": { "from": old, "to": new } });
        let (key, value) = match self {
            Self::Completed | Self::RolledBack => return None,
            Self::TakenBack => {
                let last = json!({ "kubefresh.dev/last-change": format!("app: {old} -> {new}") });
                return Some((last, "1.4.0"));
            }
            Self::Undone => ("kubefresh.dev/last-images", json!({ "containers": containers })),
            Self::Abandoned => (
                "kubefresh.dev/in-flight",
                json!({
                    // What began more than a day ago is no news.
                    "containers": containers, "started": whole_seconds(clock::now()), "deadline": "2126-11-21T03:00:00Z",
                }),
            ),
        };
        let annotations = json!({ key: value.to_string(), "kubefresh.dev/undo": "1.5.0" });
        Some((annotations, "1.5.0"))
    }
}

/// A shop with one Deployment and a newer image, which works or does not.
async fn with_checkout(ending: Ending) -> Cluster {
    let cluster = shop::open().await;
    let never_ready = match ending {
        Ending::Completed | Ending::Undone | Ending::TakenBack => "false",
        Ending::RolledBack | Ending::Abandoned => "true",
    };
    let new = ImageSpec::new("shop/checkout", "1.5.0");
    let new = new.label("sandbox.kubefresh.dev/never-ready", never_ready);
    for image in [ImageSpec::new("shop/checkout", "1.4.0"), new] {
        cluster.registry.publish(&image);
    }
    let annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" });
    let mut checkout = shop::checkout(&cluster, &annotations);
    checkout["spec"]["replicas"] = json!(2);
    checkout["spec"]["progressDeadlineSeconds"] = json!(ending.progress_deadline());
    cluster.apply(&[checkout]).await;
    let deployments: Api<Deployment> = Api::namespaced(cluster.client().await, "shop");
    let runs = || async {
        let deployment = deployments.get("checkout").await.unwrap();
        let status = deployment.status.unwrap_or_default();
        let is_seen = status.observed_generation == deployment.metadata.generation;
        (is_seen && status.available_replicas >= Some(2)).then_some(())
    };
    eventually("checkout runs", LIMIT, runs).await;
    if let Some((annotations, tag)) = ending.given(&cluster) {
        let container = json!({ "name": "app", "image": cluster.registry.reference("shop/checkout", tag) });
        let patch = json!({
            "metadata": { "annotations": annotations },
            "spec": { "template": { "spec": { "containers": [container] } } },
        });
        deployments
            .patch("checkout", &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .unwrap();
        eventually("it is on its way", LIMIT, runs).await;
    }
    cluster
}

/// What a finished update leaves behind; the same however often the programs were killed.
#[derive(Debug, PartialEq, Eq)]
struct State {
    image: String,
    result: Option<String>,
    /// One more for each rollout.
    templates: usize,
    events: Vec<String>,
}

async fn state(cluster: &Cluster, client: &Client) -> Option<State> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    let deployment = deployments.get("checkout").await.unwrap();
    if deployment.annotations().contains_key("kubefresh.dev/in-flight") {
        return None;
    }
    let replica_sets: Api<ReplicaSet> = Api::namespaced(client.clone(), "shop");
    let events: Api<Event> = Api::namespaced(client.clone(), "shop");
    let all = events.list(&ListParams::default()).await.unwrap().items;
    let ours = |event: &Event| event.reporting_controller.as_deref() == Some("kubefresh.dev/updater");
    let mut told: Vec<String> = all
        .into_iter()
        .filter(ours)
        .filter_map(|event| event.reason)
        .collect();
    told.sort();
    let image = deployment.spec.as_ref()?.template.spec.as_ref()?.containers[0]
        .image
        .clone()?;
    let result = deployment.annotations().get("kubefresh.dev/last-result");
    Some(State {
        image: image.replace(&cluster.registry.host(), "registry"),
        // The reason for a rollback names pods, and differs.
        result: result
            .and_then(|result| result.split(':').next())
            .map(str::to_owned),
        templates: replica_sets
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        events: told,
    })
}

fn finished(ending: Ending) -> State {
    let (tag, result, events) = match ending {
        Ending::Completed => ("1.5.0", "completed", &["ImageUpdated", "UpdateStarted"][..]),
        Ending::RolledBack => (
            "1.4.0",
            "rolled back",
            &["RolledBack", "RolloutFailed", "UpdateStarted"][..],
        ),
        Ending::Undone => ("1.4.0", "rolled back", &["RollbackRequested", "RolledBack"][..]),
        Ending::Abandoned => (
            "1.4.0",
            "rolled back",
            &[
                "RollbackRequested",
                "RolledBack",
                "UpdateStarted",
                "UpdateSuperseded",
            ][..],
        ),
        Ending::TakenBack => ("1.4.0", "taken back", &["UpdateHeld"][..]),
    };
    State {
        image: format!("registry/shop/checkout:{tag}"),
        result: Some(result.to_owned()),
        templates: if matches!(ending, Ending::TakenBack) { 1 } else { 2 },
        events: events.iter().map(|reason| (*reason).to_owned()).collect(),
    }
}

/// What another program is told of it, in its order.
fn messages(ending: Ending) -> &'static [&'static str] {
    match ending {
        Ending::Completed | Ending::Undone => &[
            "DEPLOYMENT_DETECTED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_COMPLETED",
        ],
        Ending::Abandoned => &[
            "DEPLOYMENT_DETECTED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_FAILED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_COMPLETED",
        ],
        // It is as they wanted it, and has been when it was detected.
        Ending::TakenBack => &["DEPLOYMENT_DETECTED"],
        Ending::RolledBack => &[
            "DEPLOYMENT_DETECTED",
            "IMAGE_ROLLOUT_STARTED",
            "IMAGE_ROLLOUT_FAILED",
            "IMAGE_ROLLOUT_COMPLETED",
        ],
    }
}

/// An updater that tells this receiver everything.
fn start_updater(cluster: &Cluster, receiver: &Receiver) -> Child {
    start_updater_with(
        cluster,
        &[
            "--webhook-url",
            &receiver.url("/"),
            // Whoever leads next waits for as long as the former one may still send.
            "--webhook-timeout=1000",
            "--webhook-enable-deployment-detected",
            "--webhook-enable-image-rollout-started",
            "--webhook-enable-image-rollout-completed",
            "--webhook-enable-image-rollout-failed",
        ],
    )
}

/// Waits until nothing is left to be sent: each happening was heard under an id of its own, in order, and if twice then
/// under the same id.
async fn until_heard(cluster: &Cluster, receiver: &Receiver, ending: Ending, what: &str) {
    let records: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    eventually(&format!("all is sent: {what}"), LIMIT, || async {
        let stored = records.get_opt("kubefresh-updater-outbox").await.unwrap()?;
        let waiting = outbox::parse(&stored).unwrap().waiting().len();
        (waiting == 0 && receiver.took().len() >= messages(ending).len()).then_some(())
    })
    .await;
    let mut ids: Vec<String> = Vec::new();
    let mut events: Vec<String> = Vec::new();
    for request in receiver.received() {
        if !ids.contains(&request.id().to_owned()) {
            ids.push(request.id().to_owned());
            events.push(request.event().to_owned());
        }
    }
    assert_eq!(events, messages(ending), "{what}");
}

async fn until_finished(cluster: &Cluster, ending: Ending, what: &str) {
    let client = cluster.client().await;
    eventually(what, LIMIT, || async {
        state(cluster, &client)
            .await
            .filter(|state| state.result.is_some())
    })
    .await;
    assert_eq!(state(cluster, &client).await, Some(finished(ending)), "{what}");
}

/// Kills the updater at its n-th request. `false` when the update was over before there was one.
async fn kill_updater_at(nth: u64, moment: Moment, ending: Ending) -> bool {
    let cluster = with_checkout(ending).await;
    scan(&cluster).await;
    let rule = FaultRule::new(moment.fault()).user(":kubefresh-updater").nth(nth);
    let fault = cluster.api.faults().install(rule);
    let client = cluster.client().await;
    let receiver = Receiver::start().await;
    let mut updater = start_updater(&cluster, &receiver);
    let reached = eventually("the request is reached or the update is over", LIMIT, || async {
        let over = state(&cluster, &client)
            .await
            .is_some_and(|state| state.result.is_some());
        (fault.struck() > 0 || over).then(|| fault.struck() > 0)
    })
    .await;
    updater.kill().await.unwrap();
    cluster.api.faults().clear();
    let _again = start_updater(&cluster, &receiver);
    let what = format!("the update killed at request {nth} ({moment:?}) has {ending:?}");
    until_finished(&cluster, ending, &what).await;
    until_heard(&cluster, &receiver, ending, &what).await;
    reached
}

/// All kill points of one kind, until a run gets through without being killed.
async fn every_kill_point(moment: Moment, ending: Ending) {
    let mut runs = futures::stream::iter(1..)
        .map(|nth| kill_updater_at(nth, moment, ending))
        .buffered(AT_ONCE);
    let mut killed = 0;
    while runs.next().await == Some(true) {
        killed += 1;
        assert!(
            killed < 150,
            "an update of one Deployment needs some thirty requests, and on a busy machine as many renewals of the lease come between them"
        );
    }
    assert!(
        killed >= 10,
        "only {killed} requests: access, lists, watches, lease, Events and patches are more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_killed_before_any_of_its_requests_is_handled_finishes_after_a_restart_with_one_rollout() {
    every_kill_point(Moment::BeforeIt, Ending::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_killed_after_any_of_its_requests_was_handled_finishes_after_a_restart_with_one_rollout() {
    every_kill_point(Moment::AfterIt, Ending::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_made_once_however_often_the_updater_is_killed_before_a_request() {
    every_kill_point(Moment::BeforeIt, Ending::RolledBack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_made_once_however_often_the_updater_is_killed_after_a_request() {
    every_kill_point(Moment::AfterIt, Ending::RolledBack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_is_undone_once_however_often_the_updater_is_killed() {
    every_kill_point(Moment::BeforeIt, Ending::Undone).await;
    every_kill_point(Moment::AfterIt, Ending::Undone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_abandoned_once_however_often_the_updater_is_killed() {
    every_kill_point(Moment::BeforeIt, Ending::Abandoned).await;
    every_kill_point(Moment::AfterIt, Ending::Abandoned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_back_is_noted_once_however_often_the_updater_is_killed() {
    every_kill_point(Moment::BeforeIt, Ending::TakenBack).await;
    every_kill_point(Moment::AfterIt, Ending::TakenBack).await;
}

/// The records, without the times that differ from run to run.
async fn records(cluster: &Cluster) -> Vec<ScanRecord> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    let all = api
        .list(&ListParams::default().labels("kubefresh.dev/record=scan"))
        .await
        .unwrap()
        .items;
    all.iter()
        .map(|config_map| ScanRecord::parse(config_map).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_killed_at_any_request_leaves_nothing_half_done_and_the_next_run_completes_it() {
    for moment in [Moment::BeforeIt, Moment::AfterIt] {
        for nth in 1.. {
            let cluster = with_checkout(Ending::Completed).await;
            let rule = FaultRule::new(moment.fault()).user(":kubefresh-scanner").nth(nth);
            let fault = cluster.api.faults().install(rule);
            let mut scanner = start(&cluster, "kubefresh-scanner", &["scan"]);
            let reached = eventually("the request is reached or the scan is over", LIMIT, || {
                let over = scanner.try_wait().unwrap().is_some();
                let reached = fault.struck() > 0;
                async move { (over || reached).then_some(reached) }
            })
            .await;
            scanner.kill().await.unwrap();
            cluster.api.faults().clear();
            let between = records(&cluster).await;
            scan(&cluster).await;
            let after = records(&cluster).await;
            let newest: Vec<String> = after
                .iter()
                .map(|record| record.newest().unwrap().to_string())
                .collect();
            assert_eq!(newest, ["1.5.0"], "killed at request {nth} ({moment:?})");
            assert!(
                between.is_empty() || between == after,
                "what was written before the kill stays as it was"
            );
            if !reached {
                assert!(
                    nth > 3,
                    "a scan reads workloads and records and writes one record"
                );
                break;
            }
        }
    }
}
