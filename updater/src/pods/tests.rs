use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use shared::domain::annotations::IN_FLIGHT;
use shared::domain::plan::Action;
use shared::domain::rollout::RolloutStatus;

use super::*;
use crate::answering::{self, Reply};
use crate::fixture::checkout;

const LIMITS: PlanLimits = PlanLimits {
    max_record_age: jiff::SignedDuration::MAX,
    max_rollouts: None,
    max_rollouts_per_namespace: None,
    max_unwatched: jiff::SignedDuration::MAX,
    threads: 1,
};

fn snapshot(workloads: Vec<Arc<Workload>>) -> Snapshot {
    Snapshot {
        workloads,
        ..Snapshot::default()
    }
}

/// The workload of `namespace` under another uid.
fn named(namespace: &str, uid: &str, version: &str) -> Arc<Workload> {
    let mut workload = checkout(namespace);
    let named = Arc::make_mut(&mut workload);
    uid.clone_into(&mut named.uid);
    version.clone_into(&mut named.resource_version);
    workload
}

#[tokio::test]
async fn a_namespace_whose_pods_take_long_takes_no_turn_from_others_and_rests_afterwards() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answered = Arc::clone(&asked);
    let pods = PodReader::new(answering::client(move |_, path| {
        let is_long = path.contains("/namespaces/long/");
        answered.lock().unwrap().push(is_long);
        let after = if is_long { LONG } else { Duration::ZERO };
        Reply {
            after,
            ..Reply::ok(list(&[]))
        }
    }));
    let all = |version: &str| {
        let long = (0..12).map(|index| named("long", &format!("long-{index:02}"), version));
        snapshot(long.chain([named("short", "short", version)]).collect())
    };
    for (version, most) in [("7", CONCURRENT_WORKLOADS), ("8", 0)] {
        let mut snapshot = all(version);
        asked.lock().unwrap().clear();
        pods.plan(&mut snapshot, &LIMITS, Timestamp::UNIX_EPOCH, |_| true)
            .await;
        let asked = asked.lock().unwrap().clone();
        let long = asked.iter().filter(|is_long| **is_long).count();
        assert_eq!(asked.len() - long, 1, "{version}");
        assert!(long <= most, "{version}: {long}");
        assert!(
            asked.iter().take(2).any(|is_long| !is_long),
            "{version}: {asked:?}"
        );
    }
    let now = Instant::now();
    let rest = pods.next_attempt(now).unwrap() - now;
    assert!(rest > LONG, "{rest:?}");
}

#[tokio::test]
async fn who_was_served_the_longest_ago_is_served_first() {
    let pods = PodReader::new(answering::client(|_, _| Reply::ok(list(&[]))));
    let served = [("b/1", 3), ("b/2", 1), ("a/1", 2)];
    let names = ["a/1", "a/2", "b/1", "b/2", "b/3"];
    let workloads = names.map(|name| named(&name[..1], name, "7"));
    let made = plan(&snapshot(workloads.to_vec()), &LIMITS, Timestamp::UNIX_EPOCH);
    let begun = Instant::now();
    let mut kept = pods.kept();
    for (name, second) in served {
        let of = |assessment: &&Assessment| assessment.workload.uid == name;
        let assessment = made.assessments.iter().find(of).unwrap();
        let at = begun + Duration::from_secs(second);
        kept.take(assessment, Ok(Arc::default()), Timestamp::UNIX_EPOCH, (at, at));
    }
    let turns = kept.in_turn(made.assessments.iter());
    let turns: Vec<&str> = turns
        .iter()
        .map(|assessment| assessment.workload.uid.as_str())
        .collect();
    assert_eq!(turns, ["a/2", "b/3", "b/2", "a/1", "b/1"]);
}

fn list(items: &[Value]) -> Value {
    json!({ "kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items })
}

#[tokio::test]
async fn what_cannot_be_read_is_asked_for_once_in_a_look_however_long_the_others_take() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    // Longer than the pause after a failure.
    let slow = Duration::from_millis(1200);
    let pods = PodReader::new(answering::client(move |_, path| {
        if path.contains("/namespaces/broken/") {
            counted.fetch_add(1, Ordering::SeqCst);
            return Reply::failure(500);
        }
        Reply {
            after: slow,
            ..Reply::ok(list(&[]))
        }
    }));
    let mut snapshot = snapshot(vec![checkout("broken"), checkout("slow")]);
    pods.plan(&mut snapshot, &LIMITS, Timestamp::UNIX_EPOCH, |_| true)
        .await;
    assert_eq!(snapshot.pods.len(), 2);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// A Deployment whose update began at the epoch and has ten minutes.
fn updating() -> Arc<Workload> {
    let mut workload = checkout("shop");
    let change = json!({ "from": "shop.example/app:old", "to": "shop.example/app:edge" });
    let marker = json!({
        "containers": { "app": change }, "started": "1970-01-01T00:00:00Z", "deadline": "1970-01-01T00:10:00Z",
    });
    let marker = (IN_FLIGHT.to_owned(), marker.to_string());
    Arc::make_mut(&mut workload).annotations.extend([marker]);
    workload
}

/// One of its new pods, whose image is still being pulled, or cannot be.
fn new_pod(reason: &str) -> Value {
    let owner = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-abc", "uid": "1", "controller": true });
    let labels = json!({ "app": "checkout", "pod-template-hash": "abc" });
    json!({
        "metadata": { "name": "checkout-abc-1", "labels": labels, "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "app", "image": "shop.example/app:edge" }] },
        "status": { "containerStatuses": [{
            "name": "app", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": "said by the kubelet" } },
        }] },
    })
}

/// A reader of one pod that cannot pull its image from the second answer on, and how often it was asked.
fn failing() -> (PodReader, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let reader = PodReader::new(answering::client(move |_, _| {
        let reason = match counted.fetch_add(1, Ordering::SeqCst) {
            0 => "ContainerCreating",
            _ => "ImagePullBackOff",
        };
        Reply::ok(list(&[new_pod(reason)]))
    }));
    (reader, asked)
}

fn later(pods: &PodReader) {
    for answer in pods.kept().answers.values_mut() {
        answer.at -= FRESH;
    }
}

#[tokio::test]
async fn a_failure_is_told_with_what_pods_say_then_whatever_they_said_before_and_asks_once() {
    let (pods, asked) = failing();
    let mut snapshot = snapshot(vec![updating()]);
    let begun = Timestamp::UNIX_EPOCH;
    pods.plan(&mut snapshot, &LIMITS, begun, Assessment::is_under_way)
        .await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let failed = begun + jiff::SignedDuration::from_hours(1);
    for _ in 0..3 {
        let plan = pods
            .plan(&mut snapshot, &LIMITS, failed, Assessment::needs_pods)
            .await;
        let Action::Follow { status, .. } = &plan.assessments[0].action else {
            panic!("{plan:?}");
        };
        let RolloutStatus::Failed(failure) = status else {
            panic!("{status:?}");
        };
        let said = failure.to_string();
        assert!(
            said.contains("checkout-abc-1") && said.contains("ImagePullBackOff"),
            "{said}"
        );
        later(&pods);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn during_an_update_pods_are_asked_again_after_a_while_by_those_who_want_to_know() {
    let (pods, asked) = failing();
    let mut snapshot = snapshot(vec![updating()]);
    let mut look = async |wanted: fn(&Assessment) -> bool| {
        pods.plan(&mut snapshot, &LIMITS, Timestamp::UNIX_EPOCH, wanted)
            .await;
        let trouble = snapshot.trouble("shop").unwrap_or_default();
        (asked.load(Ordering::SeqCst), trouble.contains("ImagePullBackOff"))
    };
    assert_eq!(look(Assessment::is_under_way).await, (1, false));
    assert_eq!(look(Assessment::is_under_way).await, (1, false));
    later(&pods);
    assert_eq!(look(Assessment::needs_pods).await, (1, false));
    assert_eq!(look(Assessment::is_under_way).await, (2, true));
}

/// A reader of two new pods, one of them ready since 09:00 after the epoch and one that cannot pull its image, and how often it was asked.
fn moving() -> (PodReader, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let reader = PodReader::new(answering::client(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut ready = new_pod("");
        ready["metadata"]["name"] = json!("checkout-abc-2");
        ready["status"] = json!({
            "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:09:00Z" }],
        });
        Reply::ok(list(&[ready, new_pod("ImagePullBackOff")]))
    }));
    (reader, asked)
}

fn minute(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_mins(minutes)
}

/// What has failed of the one workload, if it has.
fn failed(plan: &Plan) -> Option<String> {
    let Action::Follow { status, .. } = &plan.assessments[0].action else {
        panic!("{plan:?}");
    };
    match status {
        RolloutStatus::Failed(failure) => Some(failure.to_string()),
        RolloutStatus::InProgress(_) => None,
        other @ (RolloutStatus::Completed(_) | RolloutStatus::Superseded { .. }) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rollout_that_outlasts_its_time_goes_on_while_pods_become_ready_and_they_are_asked_anew_at_its_end()
{
    let (pods, asked) = moving();
    let mut snapshot = snapshot(vec![updating()]);
    // A minute of it is for the clock of whoever began it.
    for (minutes, questions, ends) in [
        (10, 0, Some(11)),
        (11, 1, Some(20)),
        (19, 1, Some(20)),
        (20, 2, None),
    ] {
        let plan = pods
            .plan(&mut snapshot, &LIMITS, minute(minutes), Assessment::needs_pods)
            .await;
        assert_eq!(plan.next_look, ends.map(minute), "{minutes}");
        assert_eq!(asked.load(Ordering::SeqCst), questions, "{minutes}");
        let failed = failed(&plan);
        assert_eq!(failed.is_some(), ends.is_none(), "{failed:?}");
        assert!(failed.is_none_or(|failed| failed.contains("ImagePullBackOff")));
    }
}

#[tokio::test]
async fn no_rollout_fails_by_its_time_before_its_pods_were_asked_and_whoever_could_not_ask_looks_again() {
    let (pods, asked) = failing();
    let mut snapshot = snapshot(vec![updating()]);
    let rest = Duration::from_mins(1);
    let resting = [("shop".to_owned(), Instant::now() + rest)];
    pods.kept().resting.extend(resting);
    let plan = pods
        .plan(&mut snapshot, &LIMITS, minute(600), Assessment::needs_pods)
        .await;
    assert_eq!(failed(&plan), None);
    let soon = minute(600) + ASKED_AGAIN;
    assert_eq!((plan.next_look, asked.load(Ordering::SeqCst)), (Some(soon), 0));
    pods.kept().resting.clear();
    let plan = pods
        .plan(&mut snapshot, &LIMITS, minute(600), Assessment::needs_pods)
        .await;
    assert!(failed(&plan).is_some());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_moved_is_known_though_pods_cannot_be_read_and_without_an_answer_time_is_over_after_a_minute() {
    let answers = Arc::new(AtomicUsize::new(0));
    let given = Arc::clone(&answers);
    let pods = PodReader::new(answering::client(move |_, _| {
        if given.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reply::failure(500);
        }
        let mut ready = new_pod("");
        ready["status"] = json!({
            "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:09:00Z" }],
        });
        Reply::ok(list(&[ready]))
    }));
    let mut snapshot = snapshot(vec![updating()]);
    let mut look = async |version: &str, minutes: i64| {
        version.clone_into(&mut Arc::make_mut(&mut snapshot.workloads[0]).resource_version);
        let plan = pods
            .plan(&mut snapshot, &LIMITS, minute(minutes), Assessment::needs_pods)
            .await;
        (failed(&plan).is_some(), plan.next_look)
    };
    assert_eq!(look("7", 11).await, (false, Some(minute(20))));
    // Not asked again, though the workload says something new.
    assert_eq!(look("8", 19).await, (false, Some(minute(20))));
    assert_eq!(answers.load(Ordering::SeqCst), 1);
    assert_eq!(look("8", 20).await, (false, Some(minute(20) + ASKED_AGAIN)));
    assert_eq!(answers.load(Ordering::SeqCst), 2);
    pods.kept().trouble.began_earlier("shop", PATIENT_WITH_PODS);
    assert!(look("8", 20).await.0);
}

#[tokio::test]
async fn what_could_not_be_read_before_the_time_was_over_does_not_shorten_the_wait_for_an_answer() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let pods = PodReader::new(answering::client(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::failure(500)
    }));
    let mut snapshot = snapshot(vec![updating()]);
    // Somebody looked on, and long ago.
    pods.plan(&mut snapshot, &LIMITS, minute(1), Assessment::is_under_way)
        .await;
    pods.kept().trouble.began_earlier("shop", 2 * PATIENT_WITH_PODS);
    let mut look = async || {
        let plan = pods
            .plan(&mut snapshot, &LIMITS, minute(20), Assessment::needs_pods)
            .await;
        (failed(&plan).is_some(), asked.load(Ordering::SeqCst))
    };
    // Asked at once, whatever pause the failure before asks for, and no more often than each second from then on.
    assert_eq!(look().await, (false, 2));
    assert_eq!(look().await, (false, 2));
    pods.kept().trouble.began_earlier("shop", PATIENT_WITH_PODS);
    assert!(look().await.0);
}

#[tokio::test]
async fn a_pod_that_is_ready_again_and_again_does_not_keep_a_rollout_going_that_is_stuck() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let pods = PodReader::new(answering::client(move |_, _| {
        // Ready since a minute ago whenever somebody asks.
        let minutes = [10, 19, 28][counted.fetch_add(1, Ordering::SeqCst)];
        let mut ready = new_pod("");
        ready["status"] = json!({
            "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": minute(minutes) }],
        });
        Reply::ok(list(&[ready, new_pod("ImagePullBackOff")]))
    }));
    let mut snapshot = snapshot(vec![updating()]);
    for (minutes, is_over) in [(11, false), (20, false), (21, true)] {
        let plan = pods
            .plan(&mut snapshot, &LIMITS, minute(minutes), Assessment::needs_pods)
            .await;
        assert_eq!(failed(&plan).is_some(), is_over, "{minutes}");
    }
}

#[tokio::test]
async fn what_pods_run_is_asked_for_once_for_each_state_of_their_workload() {
    let (pods, asked) = failing();
    let mut snapshot = snapshot(vec![checkout("shop")]);
    for (version, expected) in [("7", 1), ("7", 1), ("8", 2), ("8", 2)] {
        version.clone_into(&mut Arc::make_mut(&mut snapshot.workloads[0]).resource_version);
        pods.plan(&mut snapshot, &LIMITS, Timestamp::UNIX_EPOCH, |_| true)
            .await;
        assert_eq!(asked.load(Ordering::SeqCst), expected, "{version}");
        later(&pods);
    }
}
