//! Two updaters that both believe to lead, as where a clock is wrong or a lease was stolen: whatever they do is done once.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use sandbox::apiserver::faults::{Fault, FaultRule};
use sandbox::receiver::{Behaviour, Received, Receiver};
use shared::domain::in_flight::{ImageChange, InFlight};
use shared::domain::notice::notices;
use shared::domain::plan::{Action, Assessment, Pending, Plan, Snapshot};
use shared::domain::record::outbox as record;
use shared::domain::rollout::{RolloutStatus, Waiting};
use shared::domain::workload::Workload;
use tokio::sync::{Notify, watch};
use updater::leader::{Claim, Leadership};
use updater::metrics::Metrics;
use updater::outbox::{Outbox, Told};
use updater::receivers::Receivers;

use super::leading::AbortOnDrop;
use super::*;

const WORKLOADS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A stage where all of the workloads are offered 1.5.0, and two lead.
async fn offered_to_two_leaders() -> (Stage, [Updater; 2]) {
    let stage = Stage::set().await;
    for name in WORKLOADS {
        stage.deploy(name, OLD, &[]).await;
        stage.roll_out(name).await;
    }
    let first = stage.leader().await;
    let second = stage.updater(SECOND, "another-lease").await;
    second.leads().await;
    // Patches take their time, so that each updater decides before it can see what the other one did.
    let slow = FaultRule::new(Fault::Delay(Duration::from_millis(400)))
        .verb("patch")
        .resource("deployments");
    stage.cluster.api.faults().install(slow);
    stage.offer_1_5_0().await;
    (stage, [first, second])
}

/// Ends both, and asserts that they met, and of each workload how often it was rolled out and patched and what was told.
async fn each_was_done_once(
    stage: &Stage,
    leaders: [Updater; 2],
    (rollouts, patches, told): (i64, usize, &[&str]),
) {
    for leader in leaders {
        leader.stop().await;
    }
    let answered = |name, code| {
        let patches = stage.patches(name);
        patches.iter().filter(|patch| patch.code == code).count()
    };
    let lost: usize = WORKLOADS.iter().map(|name| answered(name, 409)).sum();
    assert!(lost > 0, "they never met");
    for name in WORKLOADS {
        let generation = stage.deployment(name).await.metadata.generation;
        assert_eq!(generation, Some(1 + rollouts), "{name}");
        assert_eq!(stage.told(name).await, told, "{name}");
        let all = stage.patches(name);
        assert_eq!(answered(name, 200), patches, "{name}: {all:#?}");
        assert_eq!(answered(name, 200) + answered(name, 409), all.len(), "{all:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updaters_that_both_lead_cause_one_rollout_for_each_update() {
    let (stage, leaders) = offered_to_two_leaders().await;
    for name in WORKLOADS {
        stage.image_becomes(name, NEW).await;
        stage.roll_out(name).await;
        assert_eq!(stage.result(name).await, "completed");
    }
    each_was_done_once(&stage, leaders, (1, 2, &["UpdateStarted", "ImageUpdated"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updaters_that_both_lead_undo_each_update_that_fails_once_and_hold_it_once() {
    let (stage, leaders) = offered_to_two_leaders().await;
    for name in WORKLOADS {
        stage.image_becomes(name, NEW).await;
        stage.give_up(name).await;
    }
    for name in WORKLOADS {
        stage.image_becomes(name, OLD).await;
        stage.roll_out(name).await;
        let result = stage.result(name).await;
        assert!(result.starts_with("rolled back: "), "{name}: {result}");
        assert_eq!(stage.annotation(name, "hold").await.as_deref(), Some("1.5.0"));
    }
    let told = ["UpdateStarted", "RolloutFailed", "RolledBack"];
    each_was_done_once(&stage, leaders, (2, 3, &told)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updaters_that_both_lead_undo_once_what_somebody_asks_to_have_undone() {
    let (stage, leaders) = offered_to_two_leaders().await;
    for name in WORKLOADS {
        stage.image_becomes(name, NEW).await;
        stage.roll_out(name).await;
        assert_eq!(stage.result(name).await, "completed");
        stage.annotate(name, "kubefresh.dev/undo", "1.5.0").await;
    }
    for name in WORKLOADS {
        stage.image_becomes(name, OLD).await;
        stage.roll_out(name).await;
        let is_over = || async {
            let result = stage.annotation(name, "last-result").await;
            result.filter(|result| result.starts_with("rolled back: "))
        };
        eventually(&format!("{name} is back"), LIMIT, is_over).await;
        assert_eq!(stage.annotation(name, "hold").await.as_deref(), Some("<=1.5.0"));
    }
    let told = ["UpdateStarted", "ImageUpdated", "RollbackRequested", "RolledBack"];
    each_was_done_once(&stage, leaders, (2, 4, &told)).await;
}

/// An update that rolls out since then.
fn rolling(name: &str, begun: Timestamp) -> Assessment {
    let mut deployment = shop::deployment(name, NEW, &json!({}));
    deployment["metadata"]["uid"] = json!(name);
    deployment["metadata"]["resourceVersion"] = json!("1");
    let deployment: Deployment = serde_json::from_value(deployment).unwrap();
    let change = ImageChange {
        from: OLD.to_owned(),
        to: NEW.to_owned(),
        digest: None,
        ran: None,
    };
    let changes = [("app".to_owned(), change)].into();
    let in_flight = InFlight::new(changes, begun, jiff::SignedDuration::from_mins(10));
    Assessment {
        workload: Arc::new(Workload::of(&deployment).unwrap()),
        containers: Vec::new(),
        action: Action::Follow {
            in_flight: Box::new(in_flight),
            status: RolloutStatus::InProgress(Waiting::Revision),
            holds: BTreeMap::new(),
            kept: BTreeMap::new(),
        },
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    }
}

/// Tells a receiver that these workloads roll out, and believes to lead for ever.
async fn tell_for_ever(client: Client, url: String, workloads: &'static [&'static str], begun: Timestamp) {
    let options = [
        "--webhook-url",
        &url,
        "--webhook-enable-image-rollout-started",
        "--webhook-retry-count=50",
    ];
    let receivers = Receivers::new(&settings(UPDATER, LEASE, &options)).unwrap();
    let (_claim, claimed) = watch::channel(Claim::until(tokio::time::Instant::now() + 10 * LIMIT));
    let leadership = Leadership::new(claimed, CancellationToken::new());
    let look_again = Arc::new(Notify::new());
    let told = (receivers, LIMIT);
    let mut outbox = Outbox::new(
        client,
        (NAMESPACE, LEASE),
        told,
        leadership,
        Arc::clone(&look_again),
    );
    let rollouts: Vec<Assessment> = workloads.iter().map(|name| rolling(name, begun)).collect();
    let work: Vec<Told<'_>> = rollouts
        .iter()
        .map(|rollout| (rollout, notices(rollout)))
        .collect();
    let (snapshot, plan, metrics) = (Snapshot::default(), Plan::default(), Metrics::default());
    loop {
        outbox
            .look(&work, (&snapshot, &plan), clock::now(), &metrics)
            .await;
        let pause = tokio::time::sleep(Duration::from_millis(50));
        tokio::select! {
            () = look_again.notified() => {}
            () = pause => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updaters_that_both_lead_with_one_record_of_messages_tell_each_happening_once() {
    let stage = Stage::set().await;
    let receiver = Receiver::start().await;
    // Each decides before it can see what the other one wrote.
    let slow = FaultRule::new(Fault::Delay(Duration::from_millis(100)));
    let faults = stage.cluster.api.faults();
    faults.install(slow.verb("patch").resource("configmaps"));
    // What fails is due again for both at the same moment.
    let soon = vec![("retry-after", "5".to_owned())];
    receiver.behave(Behaviour::Answer(503, soon));
    // They see the same marker.
    let begun = clock::now();
    let mut leaders = Vec::new();
    for account in [UPDATER, SECOND] {
        let client = stage.client_of(account).await;
        let told = tell_for_ever(client, receiver.url("/"), &WORKLOADS, begun);
        leaders.push(AbortOnDrop(tokio::spawn(told)));
    }
    let comes = async |count: usize| {
        eventually(&format!("{count} requests come"), LIMIT, || async {
            (receiver.received().len() >= count).then_some(())
        })
        .await;
    };
    comes(WORKLOADS.len()).await;
    receiver.behave(Behaviour::Take);
    comes(2 * WORKLOADS.len()).await;
    let records: Api<ConfigMap> = Api::namespaced(stage.client.clone(), NAMESPACE);
    eventually("nothing waits", LIMIT, || async {
        let stored = records.get("kubefresh-updater-outbox").await.unwrap();
        record::parse(&stored).unwrap().waiting().is_empty().then_some(())
    })
    .await;
    drop(leaders);
    let requests = receiver.received();
    let taken: BTreeSet<&str> = requests
        .iter()
        .filter(|one| one.taken)
        .map(Received::id)
        .collect();
    assert_eq!(
        (taken.len(), requests.len()),
        (WORKLOADS.len(), 2 * WORKLOADS.len()),
        "each is refused once and taken once: {requests:#?}"
    );
    let met = stage.cluster.api.requests();
    let lost = met
        .iter()
        .filter(|request| request.resource == "configmaps" && request.code == 409);
    assert!(lost.count() > 0, "they never met");
}
