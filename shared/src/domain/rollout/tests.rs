use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::deployment::Facts;
use super::*;
use crate::domain::in_flight::ImageChange;
use crate::domain::nodes::PlatformSelector;
use crate::domain::ownership::{FIELD_MANAGER, Ownership};
use crate::domain::workload::{Container, WorkloadId, WorkloadKind};

const START: &str = "2026-11-21T03:00:00Z";

fn workload(image: &str, rollout: Facts) -> Workload {
    Workload {
        id: WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: "shop".to_owned(),
            name: "checkout".to_owned(),
        },
        uid: "uid".to_owned(),
        resource_version: "7".to_owned(),
        annotations: BTreeMap::new(),
        labels: BTreeMap::new(),
        containers: vec![Container {
            name: "app".to_owned(),
            image: image.to_owned(),
            init: false,
            ownership: Ownership::default(),
        }],
        paused: false,
        deleted_at: None,
        selector: Some("app=checkout".to_owned()),
        platforms: PlatformSelector::default(),
        rollout: RolloutFacts::Deployment(rollout),
        min_ready: SignedDuration::ZERO,
    }
}

fn in_flight() -> InFlight {
    let change = ImageChange {
        from: "app:1".to_owned(),
        to: "app:2".to_owned(),
        digest: None,
        ran: None,
    };
    InFlight::new(
        BTreeMap::from([("app".to_owned(), change)]),
        START.parse().unwrap(),
        SignedDuration::from_mins(10),
    )
}

fn judge(image: &str, rollout: Facts, after: SignedDuration) -> RolloutStatus {
    let start: Timestamp = START.parse().unwrap();
    judge_by(&in_flight(), image, rollout, start + after)
}

fn judge_by(marker: &InFlight, image: &str, rollout: Facts, now: Timestamp) -> RolloutStatus {
    evaluate(&workload(image, rollout), marker, until(marker.deadline), now)
}

/// The term of a rollout of which nobody asked the pods.
fn until(ends: Timestamp) -> Term {
    Term {
        ends,
        timeout: ends.duration_since(in_flight().started),
        renewed: None,
        moved: None,
    }
}

fn complete() -> Facts {
    Facts {
        generation: 2,
        observed_generation: 2,
        desired: 3,
        replicas: 3,
        updated: 3,
        available: 3,
        deadline_exceeded: None,
        deadline_exceeded_at: None,
        revision: None,
        clock: None,
    }
}

#[test]
fn the_previous_rollouts_condition_says_nothing_of_a_generation_it_has_not_seen() {
    let stale = Facts {
        observed_generation: 1,
        deadline_exceeded: Some("old news".to_owned()),
        ..complete()
    };
    assert!(matches!(
        judge("app:2", stale, SignedDuration::ZERO),
        RolloutStatus::InProgress(_)
    ));
}

#[test]
fn the_controllers_verdict_fails_the_rollout_and_says_what_was_missing() {
    let stuck = Facts {
        available: 0,
        deadline_exceeded: Some("timed out".to_owned()),
        ..complete()
    };
    assert_eq!(
        judge("app:2", stuck, SignedDuration::from_mins(1)),
        RolloutStatus::Failed(Failure::ProgressDeadlineExceeded {
            message: "timed out".to_owned(),
            waiting: Waiting::Available {
                available: 0,
                desired: 3
            },
            pod: None,
        })
    );
}

#[test]
fn either_failure_ends_with_what_a_pod_says() {
    let waiting = Waiting::Available {
        available: 0,
        desired: 3,
    };
    let message = "timed out".to_owned();
    for (failure, expected) in [
        (
            Failure::ProgressDeadlineExceeded {
                message,
                waiting,
                pod: None,
            },
            "timed out (0 of 3 pods available); pod app-1: not ready",
        ),
        (
            Failure::RolloutTimeout { waiting, pod: None },
            "rollout timeout passed: 0 of 3 pods available; pod app-1: not ready",
        ),
    ] {
        assert_eq!(failure.said_by("pod app-1: not ready").to_string(), expected);
    }
}

#[test]
fn a_verdict_from_before_our_update_is_not_about_it() {
    let start: Timestamp = START.parse().unwrap();
    let stuck = |at: SignedDuration| Facts {
        updated: 0,
        available: 0,
        deadline_exceeded: Some("timed out".to_owned()),
        deadline_exceeded_at: Some(start + at),
        ..complete()
    };
    let minute = SignedDuration::from_mins(1);
    assert!(matches!(
        judge("app:2", stuck(-minute), minute),
        RolloutStatus::InProgress(Waiting::Updated { .. })
    ));
    assert!(matches!(
        judge("app:2", stuck(minute), minute),
        RolloutStatus::Failed(Failure::ProgressDeadlineExceeded { .. })
    ));
}

#[test]
fn a_verdict_counts_although_the_clock_that_began_the_update_was_a_minute_ahead() {
    let start: Timestamp = START.parse().unwrap();
    let stood = |seconds| Some(start + SignedDuration::from_secs(seconds));
    for (marker_says, at, is_ours) in [
        (None, 60, true),
        (None, 0, true),
        (None, -59, true),
        (None, -60, false),
        // The controller's clock may be ahead too, and what stood there before is not about ours.
        (stood(45), 45, false),
        (stood(-30), -30, false),
        (stood(-30), -10, true),
        (stood(45), 50, true),
    ] {
        let mut marker = in_flight();
        marker.verdict_before = marker_says;
        let stuck = Facts {
            available: 0,
            deadline_exceeded: Some("timed out".to_owned()),
            deadline_exceeded_at: stood(at),
            ..complete()
        };
        let status = judge_by(&marker, "app:2", stuck, start + SignedDuration::from_mins(1));
        let counts = matches!(status, RolloutStatus::Failed(_));
        assert_eq!(counts, is_ours, "{marker_says:?} {at}");
    }
}

#[test]
fn a_rollback_that_an_earlier_version_began_takes_no_verdict_from_before_for_its_own() {
    let start: Timestamp = START.parse().unwrap();
    let mut marker = in_flight();
    marker.rollback = Some("timed out".to_owned());
    for (at, is_ours) in [(-1, false), (0, false), (1, true)] {
        let stuck = Facts {
            available: 0,
            deadline_exceeded: Some("timed out".to_owned()),
            deadline_exceeded_at: Some(start + SignedDuration::from_secs(at)),
            ..complete()
        };
        let status = judge_by(&marker, "app:2", stuck, start);
        assert_eq!(matches!(status, RolloutStatus::Failed(_)), is_ours, "{at}");
    }
}

#[test]
fn our_own_deadline_fails_a_rollout_that_the_controller_still_believes_in() {
    let slow = Facts {
        available: 1,
        ..complete()
    };
    let before = judge("app:2", slow.clone(), SignedDuration::from_secs(599));
    let after = judge("app:2", slow, SignedDuration::from_mins(10));
    assert!(matches!(before, RolloutStatus::InProgress(_)));
    assert!(matches!(
        after,
        RolloutStatus::Failed(Failure::RolloutTimeout { .. })
    ));
}

/// A rollout of which one pod is new, as it is judged after so many minutes.
fn judge_begun(paused: bool, clock: Option<Clock>, exceeded: bool, minutes: i64) -> RolloutStatus {
    let begun = Facts {
        available: 1,
        deadline_exceeded: exceeded.then(|| "timed out".to_owned()),
        clock,
        ..complete()
    };
    let mut workload = workload("app:2", begun);
    workload.paused = paused;
    evaluate(&workload, &in_flight(), until(minute(10)), minute(minutes))
}

fn minute(minutes: i64) -> Timestamp {
    let start: Timestamp = START.parse().unwrap();
    start + SignedDuration::from_mins(minutes)
}

#[test]
fn a_paused_rollout_waits_for_whoever_paused_it_and_fails_by_no_deadline() {
    for (clock, exceeded) in [
        (None, false),
        (Some(Clock::RunsSince(minute(-60))), false),
        (Some(Clock::Stopped), false),
        (None, true),
    ] {
        let status = judge_begun(true, clock, exceeded, 600);
        assert_eq!(status, RolloutStatus::InProgress(Waiting::Paused), "{clock:?}");
    }
    let mut whole = workload("app:2", complete());
    whole.paused = true;
    let status = evaluate(&whole, &in_flight(), until(minute(10)), minute(600));
    assert_eq!(status, RolloutStatus::Completed(Completion::Whole));
}

#[test]
fn a_rollout_that_was_resumed_has_its_whole_time_again() {
    // It may take ten minutes, and began at zero.
    for (clock, minutes, fails) in [
        // The controller has not seen yet that it goes on.
        (Some(Clock::Stopped), 600, false),
        (Some(Clock::RunsSince(minute(60))), 69, false),
        (Some(Clock::RunsSince(minute(60))), 70, true),
        // It was never paused, or so shortly that it makes no difference.
        (Some(Clock::RunsSince(minute(-60))), 9, false),
        (Some(Clock::RunsSince(minute(-60))), 10, true),
        (None, 10, true),
    ] {
        let status = judge_begun(false, clock, false, minutes);
        let has_failed = matches!(status, RolloutStatus::Failed(Failure::RolloutTimeout { .. }));
        assert_eq!(has_failed, fails, "{clock:?} after {minutes} minutes: {status:?}");
    }
    // What failed before it was paused is told once that is over.
    assert!(matches!(
        judge_begun(false, None, true, 1),
        RolloutStatus::Failed(Failure::ProgressDeadlineExceeded { .. })
    ));
}

#[test]
fn a_rollout_has_its_whole_time_again_with_each_new_pod_that_becomes_ready_and_no_more_than_that_for_each() {
    // It may take ten minutes, and began at zero.
    for (moved, ends) in [
        (None, 10),
        // Before it began.
        (Some((-5, 2)), 10),
        (Some((0, 1)), 10),
        (Some((9, 1)), 19),
        (Some((10, 1)), 20),
        (Some((19, 2)), 29),
        // Ready again and again, or by a clock that is ahead.
        (Some((15, 1)), 20),
        (Some((6000, 2)), 30),
    ] {
        let slow = Facts {
            updated: 2,
            available: 2,
            ..complete()
        };
        let term = Term {
            moved: moved.map(|(at, ready)| Moved {
                at: minute(at),
                ready,
                steady: ready,
                missing: 3 - ready,
            }),
            ..until(minute(10))
        };
        let workload = workload("app:2", slow);
        assert_eq!(deadline(&workload, term), Some(minute(ends)), "{moved:?}");
        let status = |now| evaluate(&workload, &in_flight(), term, now);
        let before = status(minute(ends) - SignedDuration::from_secs(1));
        assert!(matches!(before, RolloutStatus::InProgress(_)), "{moved:?}");
        let after = status(minute(ends));
        let is_over = matches!(after, RolloutStatus::Failed(Failure::RolloutTimeout { .. }));
        assert!(is_over, "{moved:?}");
    }
}

#[test]
fn what_a_new_pod_has_to_be_ready_for_comes_on_top_of_each_step() {
    let mut slow = workload("app:2", complete());
    slow.min_ready = SignedDuration::from_mins(15);
    let moved = |at, ready| Moved {
        at: minute(at),
        ready,
        steady: ready,
        missing: 3 - ready,
    };
    for (moved, ends) in [(None, 25), (Some(moved(1, 1)), 26), (Some(moved(40, 2)), 65)] {
        let term = Term {
            moved,
            ..until(minute(10))
        };
        assert_eq!(deadline(&slow, term), Some(minute(ends)), "{moved:?}");
    }
}

#[test]
fn pods_that_become_ready_prolong_no_rollout_that_its_controller_has_given_up() {
    let given_up = Facts {
        available: 2,
        deadline_exceeded: Some("timed out".to_owned()),
        ..complete()
    };
    let term = Term {
        moved: Some(Moved {
            at: minute(1),
            ready: 2,
            steady: 2,
            missing: 1,
        }),
        ..until(minute(10))
    };
    let status = evaluate(&workload("app:2", given_up), &in_flight(), term, minute(2));
    assert!(matches!(
        status,
        RolloutStatus::Failed(Failure::ProgressDeadlineExceeded { .. })
    ));
}

#[test]
fn a_rollout_that_completed_late_is_complete() {
    assert_eq!(
        judge("app:2", complete(), SignedDuration::from_hours(5)),
        RolloutStatus::Completed(Completion::Whole)
    );
}

#[test]
fn another_image_than_ours_voids_the_update_even_when_it_rolled_out() {
    for (manager, is_named) in [("argocd-controller", true), (FIELD_MANAGER, false)] {
        let writer = Writer {
            manager: manager.to_owned(),
            at: None,
        };
        let mut workload = workload("app:3", complete());
        workload.containers[0].ownership.writer = Some(writer.clone());
        let marker = in_flight();
        let status = evaluate(&workload, &marker, until(marker.deadline), START.parse().unwrap());
        let expected = RolloutStatus::Superseded {
            container: "app".to_owned(),
            image: Some("app:3".to_owned()),
            by: is_named.then_some(writer),
        };
        assert_eq!(status, expected);
    }
}

#[test]
fn a_cron_job_has_nothing_to_roll_out() {
    assert_eq!(RolloutFacts::CronJob.progress(), Ok(Completion::NextJob));
}
