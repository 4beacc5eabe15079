use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::domain::annotations::{AnnotationError, Mode};
use crate::domain::in_flight::ImageChange;
use crate::domain::ownership::Writer;
use crate::domain::plan::Pending;
use crate::domain::plan::tests::workload;
use crate::domain::rollout::{Completion, Failure, Waiting};
use crate::domain::watched::Problem;

fn assessment(action: Action, containers: Vec<ContainerVerdict>) -> Assessment {
    Assessment {
        workload: Arc::new(workload(&[], &[])),
        containers,
        action,
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    }
}

fn marker() -> InFlight {
    let change = ImageChange {
        from: "app:1".to_owned(),
        to: "app:2".to_owned(),
        digest: None,
        ran: None,
    };
    let start = "2026-11-21T03:00:00Z".parse().unwrap();
    InFlight::new(
        BTreeMap::from([("app".to_owned(), change)]),
        start,
        SignedDuration::from_mins(10),
    )
}

fn following(status: RolloutStatus) -> Vec<Notice> {
    notices(&assessment(
        Action::Follow {
            in_flight: Box::new(marker()),
            status,
            holds: BTreeMap::from([("kubefresh.dev/hold".to_owned(), "2".to_owned())]),
            kept: BTreeMap::new(),
        },
        Vec::new(),
    ))
}

fn waiting(verdict: Verdict) -> Vec<Notice> {
    let entry = ContainerVerdict {
        container: "app".to_owned(),
        image: "app:1".to_owned(),
        mode: Mode::Auto,
        verdict,
    };
    notices(&assessment(Action::Nothing, vec![entry]))
}

fn target() -> Target {
    Target {
        tag: "2".parse().unwrap(),
        digest: None,
        image: "app:2".to_owned(),
        superseded_at: None,
        ran: None,
        kept_by: None,
        terms: None,
    }
}

fn reasons(notices: &[Notice]) -> Vec<NoticeReason> {
    notices.iter().map(|notice| notice.reason).collect()
}

fn argo_cd() -> Writer {
    Writer {
        manager: "argocd-controller".to_owned(),
        at: Some("2026-11-21T03:00:05Z".parse().unwrap()),
    }
}

#[test]
fn each_state_of_a_rollout_is_told_under_its_own_reason() {
    let unavailable = Waiting::Available {
        available: 0,
        desired: 1,
    };
    let failure = Failure::RolloutTimeout {
        waiting: unavailable,
        pod: None,
    };
    let superseded = RolloutStatus::Superseded {
        container: "app".to_owned(),
        image: Some("app:3".to_owned()),
        by: Some(argo_cd()),
    };
    for (status, last) in [
        (
            RolloutStatus::InProgress(unavailable),
            NoticeReason::UpdateStarted,
        ),
        (
            RolloutStatus::Completed(Completion::Whole),
            NoticeReason::ImageUpdated,
        ),
        (RolloutStatus::Failed(failure), NoticeReason::RolloutFailed),
        (superseded, NoticeReason::UpdateSuperseded),
    ] {
        let told = reasons(&following(status));
        assert_eq!(told.first(), Some(&NoticeReason::UpdateStarted));
        assert_eq!(told.last(), Some(&last));
    }
}

#[test]
fn the_same_happening_has_the_same_name_and_another_has_another() {
    let first = following(RolloutStatus::Completed(Completion::Whole));
    let again = following(RolloutStatus::Completed(Completion::Whole));
    assert_eq!(first[1].event_name(), again[1].event_name());
    assert_ne!(first[0].event_name(), first[1].event_name());
    assert_ne!(
        waiting(Verdict::Notify(Box::new(target())))[0].event_name(),
        first[1].event_name()
    );
}

#[test]
fn a_progressing_rollout_is_not_told_again_for_every_replica() {
    let one = following(RolloutStatus::InProgress(Waiting::Updated {
        updated: 1,
        desired: 3,
    }));
    let two = following(RolloutStatus::InProgress(Waiting::Updated {
        updated: 2,
        desired: 3,
    }));
    assert_eq!(one, two);
}

#[test]
fn a_waiting_update_says_what_to_type() {
    let notices = waiting(Verdict::AwaitingApproval(Box::new(target())));
    assert_eq!(reasons(&notices), [NoticeReason::UpdateAvailable]);
    assert!(
        notices[0]
            .note
            .ends_with("kubectl annotate --overwrite -n shop deployment/checkout kubefresh.dev/approved=2"),
        "{}",
        notices[0].note
    );
}

#[test]
fn bad_settings_are_a_warning_that_names_key_and_value() {
    let error = AnnotationError::InvalidValue {
        origin: "annotation kubefresh.dev/mode".to_owned(),
        value: "automatic".to_owned(),
        reason: "no".to_owned(),
    };
    let notices = notices(&assessment(
        Action::Stop(vec![Problem::Annotation(error)]),
        Vec::new(),
    ));
    assert_eq!(reasons(&notices), [NoticeReason::InvalidSettings]);
    assert_eq!(notices[0].severity, Severity::Warning);
    assert!(notices[0].note.contains("kubefresh.dev/mode") && notices[0].note.contains("automatic"));
}

#[test]
fn quiet_verdicts_tell_nobody() {
    for verdict in [
        Verdict::ModeOff,
        Verdict::Waiting {
            target: Box::new(target()),
            gate: Gate::Window,
            until: None,
        },
        Verdict::NoRecord,
        Verdict::NotScannedFor { error: None },
    ] {
        assert!(waiting(verdict).is_empty());
    }
}

#[test]
fn an_event_name_fits_for_the_longest_workload_name() {
    let mut long = assessment(
        Action::StopForMarker(crate::domain::in_flight::InFlightError {
            value: "x".to_owned(),
            reason: "y".to_owned(),
        }),
        Vec::new(),
    );
    Arc::make_mut(&mut long.workload).id.name = "a".repeat(253);
    assert!(notices(&long)[0].event_name().len() <= 253);
}

#[test]
fn what_is_held_because_somebody_went_back_is_told_each_time_and_says_how_to_lift_it() {
    let told = |after: &str, held: Option<&str>| {
        let change = ImageChange {
            from: "app:2".to_owned(),
            to: "app:1".to_owned(),
            digest: None,
            ran: None,
        };
        let held = held.map(|hold| ("app".to_owned(), hold.parse().unwrap()));
        notices(&assessment(
            Action::TakenBack(Box::new(TakenBack {
                changes: BTreeMap::from([("app".to_owned(), change)]),
                held: held.into_iter().collect(),
                holds: BTreeMap::from([("kubefresh.dev/hold".to_owned(), "<=2".to_owned())]),
                spent_approvals: std::collections::BTreeMap::new(),
                after: Some(after.to_owned()),
                by: Some(argo_cd()),
            })),
            Vec::new(),
        ))
    };
    let first = told("2026-11-21T03:00:00Z", Some("<=2"));
    assert_eq!(reasons(&first), [NoticeReason::UpdateHeld]);
    assert_eq!(
        first[0].note,
        "app: app:2 -> app:1: somebody (argocd-controller, 2026-11-21T03:00:05Z) went back, so <=2 is held, and only what is newer is offered; to lift it: \
         kubefresh-updater release shop/checkout, or remove kubefresh.dev/hold"
    );
    assert_eq!(first, told("2026-11-21T03:00:00Z", Some("<=2")));
    let next = told("2026-11-21T04:00:00Z", Some("<=2"));
    assert_ne!(first[0].event_name(), next[0].event_name());
    assert_eq!(told("2026-11-21T03:00:00Z", None), []);
}

#[test]
fn that_somebody_asked_is_told_when_it_begins_and_when_it_ends_and_why_nothing_came_of_it() {
    let cause = Cause::Request("kubefresh.dev/undo=2".to_owned());
    let update = marker();
    let in_flight = InFlight::undoing(
        &update.containers,
        &cause,
        update.started,
        SignedDuration::from_mins(10),
    );
    let told = |status| {
        let following = Action::Follow {
            in_flight: Box::new(in_flight.clone()),
            status,
            holds: BTreeMap::new(),
            kept: BTreeMap::new(),
        };
        notices(&assessment(following, Vec::new()))
    };
    let begun = told(RolloutStatus::InProgress(Waiting::Revision));
    assert_eq!(reasons(&begun), [NoticeReason::RollbackRequested]);
    assert!(
        begun[0].note.contains("asked for by kubefresh.dev/undo=2"),
        "{}",
        begun[0].note
    );
    let ended = told(RolloutStatus::Completed(Completion::Whole));
    assert_eq!(
        reasons(&ended),
        [NoticeReason::RollbackRequested, NoticeReason::RolledBack]
    );
    assert_eq!(ended[0], begun[0]);

    let mut refused = assessment(Action::Nothing, Vec::new());
    refused.refused.push(RefusedUndo {
        key: "kubefresh.dev/undo".to_owned(),
        value: "3".to_owned(),
        why: plan::Unfit::NothingToUndo,
    });
    let [notice] = notices(&refused).try_into().unwrap();
    let expected = (NoticeReason::RollbackRefused, Severity::Warning);
    assert_eq!((notice.reason, notice.severity), expected);
}

#[test]
fn who_decided_is_told_however_long_it_takes_to_say_what() {
    let workload = crate::domain::plan::tests::workload(&[], &[]);
    let meaning: Vec<String> = (0..30)
        .map(|number| format!("container c{number}: shop/app:1 -> shop/app:2 is approved"))
        .collect();
    let by = Decider::in_cluster("alice");
    let now = "2026-11-21T03:00:00Z".parse().unwrap();
    let notice = Notice::decided(&workload, Decision::Approve, &by, &meaning, now);
    let expected = "by alice (known to the cluster): container c0: shop/app:1 -> shop/app:2 is approved; ";
    assert!(notice.note.starts_with(expected), "{}", notice.note);
    assert!(notice.note.len() < 1024);
}
