use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::domain::annotations::Mode;
use crate::domain::announcement::Announcement;
use crate::domain::in_flight::{Cause, ImageChange};
use crate::domain::notice::notices;
use crate::domain::plan::tests::workload;
use crate::domain::plan::{ContainerVerdict, Pending, Update, Verdict};
use crate::domain::rollout::{Completion, Failure, RolloutStatus, Waiting};
use crate::domain::workload::Workload;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn change(from: &str, to: &str) -> ImageChange {
    ImageChange {
        from: from.to_owned(),
        to: to.to_owned(),
        digest: None,
        ran: None,
    }
}

fn marker(changes: &[(&str, ImageChange)]) -> InFlight {
    let changes = changes.iter();
    let changes = changes.map(|(name, change)| ((*name).to_owned(), change.clone()));
    InFlight::new(
        changes.collect(),
        time("2024-01-01T11:59:15Z"),
        SignedDuration::from_mins(10),
    )
}

fn update() -> InFlight {
    marker(&[("app", change("myapp:1.0.0", "myapp:1.0.1"))])
}

fn failure() -> Failure {
    Failure::RolloutTimeout {
        waiting: Waiting::Revision,
        pod: None,
    }
}

fn follow(in_flight: InFlight, status: RolloutStatus) -> Action {
    Action::Follow {
        in_flight: Box::new(in_flight),
        status,
        holds: BTreeMap::new(),
        kept: BTreeMap::new(),
    }
}

/// The marker of what undoes an update that failed.
fn undone(update: &InFlight, reason: &str, begun: &str) -> InFlight {
    let cause = Cause::Failure(reason.to_owned());
    InFlight::undoing(
        &update.containers,
        &cause,
        time(begun),
        SignedDuration::from_mins(10),
    )
}

fn by(in_flight: InFlight) -> Update {
    Update {
        in_flight,
        init_containers: std::collections::BTreeSet::new(),
        spent: std::collections::BTreeMap::new(),
        holds: BTreeMap::new(),
        last_images: None,
    }
}

fn roll_back(in_flight: InFlight) -> Action {
    let undo = by(undone(&in_flight, "no pod", "2024-01-01T12:00:00Z"));
    Action::RollBack {
        in_flight: Box::new(in_flight),
        failure: failure(),
        undo: Box::new(undo),
    }
}

/// Somebody asks for this to be undone, which is still under way or not.
fn undo(update: &InFlight, abandoned: bool) -> Action {
    let timeout = SignedDuration::from_mins(10);
    let cause = Cause::Request("kubefresh.dev/undo=1.0.1".to_owned());
    Action::Undo {
        undo: Box::new(by(InFlight::undoing(
            &update.containers,
            &cause,
            time(NOW),
            timeout,
        ))),
        abandoned: abandoned.then(|| Box::new(update.clone())),
    }
}

fn assessment(kind: WorkloadKind, action: Action) -> Assessment {
    Assessment {
        workload: Arc::new(Workload {
            id: WorkloadId {
                kind,
                namespace: "default".to_owned(),
                name: "my-app".to_owned(),
            },
            ..workload(&[], &[])
        }),
        containers: vec![ContainerVerdict {
            container: "app".to_owned(),
            image: "myapp:1.0.1".to_owned(),
            mode: Mode::Auto,
            verdict: Verdict::InFlight,
        }],
        action,
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    }
}

/// What is told 45 seconds after an update began.
fn told(kind: WorkloadKind, action: Action) -> Vec<Message> {
    let assessment = assessment(kind, action);
    messages(&assessment, &notices(&assessment), time("2024-01-01T12:00:00.4Z"))
}

fn bodies(action: Action) -> Vec<Value> {
    let messages = told(WorkloadKind::Deployment, action);
    let bodies = messages.iter().map(Message::to_webhook);
    bodies.map(|body| serde_json::from_str(&body).unwrap()).collect()
}

fn body(event: &str, timestamp: &str, image: &str, details: &Value) -> Value {
    json!({
        "eventType": event,
        "timestamp": timestamp,
        "deployment": { "namespace": "default", "name": "my-app", "image": image },
        "details": details,
    })
}

const BEGUN: &str = "2024-01-01T11:59:15Z";
const NOW: &str = "2024-01-01T12:00:00Z";
const OLD: &str = "myapp:1.0.0";
const NEW: &str = "myapp:1.0.1";
const WHY: &str = "rollout timeout passed: the controller has not yet closed the rollout";

fn started() -> Value {
    body(
        "IMAGE_ROLLOUT_STARTED",
        BEGUN,
        NEW,
        &json!({ "previousImage": OLD }),
    )
}

#[test]
fn a_rollout_that_completes_is_told_with_the_payload_of_watch_cluster() {
    let status = RolloutStatus::Completed(Completion::Whole);
    // 45.4 seconds: the start is known in whole seconds.
    let details = json!({ "rolloutDuration": "45400ms" });
    let completed = body("IMAGE_ROLLOUT_COMPLETED", NOW, NEW, &details);
    assert_eq!(bodies(follow(update(), status)), [started(), completed]);
}

#[test]
fn what_an_unfinished_rollout_has_to_tell_is_that_it_started() {
    let status = RolloutStatus::InProgress(Waiting::Revision);
    assert_eq!(bodies(follow(update(), status)), [started()]);
}

#[test]
fn each_rollout_that_started_has_one_end() {
    let superseded = RolloutStatus::Superseded {
        container: "app".to_owned(),
        image: Some("myapp:3".to_owned()),
        by: None,
    };
    for (action, details) in [
        (
            follow(update(), RolloutStatus::Failed(failure())),
            json!({ "error": WHY }),
        ),
        (
            roll_back(update()),
            json!({ "error": WHY, "rollback": "started" }),
        ),
        (
            follow(update(), superseded),
            json!({ "error": "superseded: container app was set to myapp:3" }),
        ),
        (
            undo(&update(), true),
            json!({ "error": "abandoned, asked for by kubefresh.dev/undo=1.0.1", "rollback": "started" }),
        ),
    ] {
        let failed = body("IMAGE_ROLLOUT_FAILED", NOW, NEW, &details);
        assert_eq!(bodies(action), [started(), failed]);
    }
}

/// That it starts is told from its marker.
#[test]
fn an_update_that_had_ended_has_no_other_end_when_it_is_undone() {
    assert_eq!(bodies(undo(&update(), false)), Vec::<Value>::new());
}

#[test]
fn the_end_of_a_rollback_is_that_of_a_rollout_to_the_image_before() {
    let undone = || undone(&update(), "no pod is ready", BEGUN);
    let details =
        json!({ "rolloutDuration": "45400ms", "rollback": "completed", "error": "no pod is ready" });
    let back = body("IMAGE_ROLLOUT_COMPLETED", NOW, OLD, &details);
    let status = RolloutStatus::Completed(Completion::Whole);
    assert_eq!(bodies(follow(undone(), status)), [back]);
    let details = json!({ "rollback": "failed", "error": WHY });
    let stuck = body("IMAGE_ROLLOUT_FAILED", NOW, OLD, &details);
    assert_eq!(
        bodies(follow(undone(), RolloutStatus::Failed(failure()))),
        [stuck]
    );
}

#[test]
fn several_containers_and_other_kinds_are_told_under_details() {
    let both = marker(&[
        ("web", change("web:1", "web:2")),
        ("app", change("myapp:1.0.0", "myapp:1.0.1")),
    ]);
    let status = RolloutStatus::Completed(Completion::NextJob);
    let messages = told(WorkloadKind::CronJob, follow(both, status));
    let details: Vec<Value> = messages
        .iter()
        .map(|message| {
            let body: Value = serde_json::from_str(&message.to_webhook()).unwrap();
            assert_eq!(body["deployment"]["image"], NEW, "the first by name");
            body["details"].clone()
        })
        .collect();
    let images = json!({ "app": NEW, "web": "web:2" });
    assert_eq!(
        details,
        [
            json!({
                "kind": "CronJob",
                "images": images,
                "previousImage": OLD,
                "previousImages": { "app": OLD, "web": "web:1" },
            }),
            json!({
                "kind": "CronJob",
                "images": images,
                "rolloutDuration": "45400ms",
                "remark": "template set; the next job runs it",
            }),
        ]
    );
}

#[test]
fn a_detected_workload_is_told_with_its_image() {
    let assessment = assessment(WorkloadKind::Deployment, Action::Nothing);
    let images = BTreeMap::from([("app", NEW)]);
    let message = Message::detected(&assessment, &images, None, time(NOW));
    let found: Value = serde_json::from_str(&message.to_webhook()).unwrap();
    assert_eq!(found, body("DEPLOYMENT_DETECTED", NOW, NEW, &json!({})));
}

#[test]
fn a_message_has_the_identity_of_its_notice_and_no_other_has() {
    let status = RolloutStatus::Completed(Completion::Whole);
    let assessment = assessment(WorkloadKind::Deployment, follow(update(), status));
    let notices = notices(&assessment);
    let at = |now: &str| {
        let messages = messages(&assessment, &notices, time(now));
        messages.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    let ids: Vec<String> = notices.iter().map(Notice::id).collect();
    assert_eq!(at(NOW), ids, "by the next leader as well");
    assert_eq!(at("2024-01-01T13:00:00Z"), ids);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn of_what_waits_or_is_wrong_only_people_are_told() {
    let mut waiting = assessment(WorkloadKind::Deployment, Action::Nothing);
    waiting.containers[0].verdict = Verdict::NoRecord;
    assert!(messages(&waiting, &notices(&waiting), time(NOW)).is_empty());
    let broken = assessment(WorkloadKind::Deployment, Action::Stop(Vec::new()));
    let notices = notices(&broken);
    let told = messages(&broken, &notices, time(NOW));
    assert_eq!((told.len(), told[0].event), (1, EventType::Notice));
    assert_eq!(
        told[0].to_people.as_ref().unwrap().reason,
        NoticeReason::InvalidSettings
    );
}

#[test]
fn people_are_told_what_an_update_did_and_why_it_failed_and_programs_only_the_facts() {
    let mut told = told(WorkloadKind::Deployment, roll_back(update()));
    let failed = told.pop().unwrap();
    let announcement = Announcement::of(&[&failed]).unwrap();
    assert_eq!(announcement.reason, Some(NoticeReason::RolloutFailed));
    assert_eq!(announcement.changes[0].from.as_deref(), Some("myapp:1.0.0"));
    assert_eq!(announcement.concerned[0].note, failed.error);
    assert!(failed.error.is_some());
    let before = failed.to_webhook();
    let plain = failed.to_programs();
    assert_eq!((plain.to_webhook(), plain.to_people), (before, None));
}

#[test]
fn a_long_reason_is_cut() {
    let reason = "no pod is ready ".repeat(100);
    let undone = undone(&update(), &reason, BEGUN);
    let status = RolloutStatus::Failed(failure());
    let messages = told(WorkloadKind::Deployment, follow(undone, status));
    assert!(messages[0].error.as_ref().unwrap().len() <= TEXT_LENGTH + '…'.len_utf8());
}

#[test]
fn a_message_names_as_many_containers_as_a_pod_has_and_no_more() {
    let change = |number: u32| {
        let change = ImageChange {
            from: "shop/app:1.4.0".to_owned(),
            to: "shop/app:1.5.0".to_owned(),
            digest: None,
            ran: None,
        };
        (format!("c{number:03}"), change)
    };
    let images = changed(&(0..900).map(change).collect());
    let workload = WorkloadId {
        kind: WorkloadKind::Deployment,
        namespace: "shop".to_owned(),
        name: "checkout".to_owned(),
    };
    let event = EventType::ImageRolloutStarted;
    let message = Message::without_end(
        event,
        "0".repeat(16),
        Timestamp::UNIX_EPOCH,
        &workload,
        images.into_iter(),
    );
    assert_eq!(message.images.len(), MOST_IMAGES);
}
