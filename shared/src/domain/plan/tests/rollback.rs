//! What follows from an update that failed.

use super::*;
use crate::domain::annotations::LAST_IMAGES;
use crate::domain::in_flight::{Cause, LastImages};
use crate::domain::pods::Moved;
use crate::domain::rollout::{Completion, Failure};
use crate::domain::text;

const OLD: &str = "shop.example/app:1.4.0";
const NEW: &str = "shop.example/app:1.5.0";

pub(super) fn change(from: &str, to: &str) -> ImageChange {
    ImageChange {
        from: from.to_owned(),
        to: to.to_owned(),
        digest: None,
        ran: None,
    }
}

/// The marker of what undoes an update that failed.
pub(super) fn undone(update: &InFlight) -> InFlight {
    let cause = Cause::Failure("no pod is ready".to_owned());
    InFlight::undoing(&update.containers, &cause, now(), SignedDuration::from_mins(10))
}

pub(super) fn marker(changes: &[(&str, ImageChange)]) -> InFlight {
    let changes = changes.iter();
    let containers = changes.map(|(name, change)| ((*name).to_owned(), change.clone()));
    InFlight::new(containers.collect(), now(), SignedDuration::from_mins(10))
}

/// What is done an hour after this update began with a workload that has not rolled out.
fn action(marker: &InFlight, annotations: &[(&str, &str)], images: &[(&str, &str)], paused: bool) -> Action {
    let value = marker.to_annotation();
    let all = [&AUTO, annotations, &[(IN_FLIGHT, value.as_str())]].concat();
    let mut stuck = workload(&all, images);
    stuck.paused = paused;
    let later = now() + SignedDuration::from_hours(1);
    assessment(&snapshot(stuck, vec![app()]), later).unwrap().action
}

#[test]
fn an_update_that_fails_is_undone_where_the_settings_say_so_and_held_in_any_case() {
    let update = marker(&[("app", change(OLD, NEW))]);
    let approve = ("kubefresh.dev/mode", "approve");
    let rollback = |value| ("kubefresh.dev/rollback", value);
    for (annotations, expected) in [
        (&[][..], true),
        (&[rollback("false")], false),
        (&[approve], false),
        (&[approve, rollback("true")], true),
        (&[("kubefresh.dev/mode", "off")], false),
        // Nobody watches any more; nobody knows what is wanted.
        (&[("kubefresh.dev/watch", "false"), rollback("true")], false),
        (&[("kubefresh.dev/watch", "perhaps")], false),
    ] {
        let action = action(&update, annotations, &[("app", NEW)], false);
        let (undone, holds) = if let Action::RollBack { undo, .. } = action {
            (true, undo.holds)
        } else if let Action::Follow { holds, .. } = action {
            (false, holds)
        } else {
            panic!("{annotations:?}: {action:?}")
        };
        assert_eq!(undone, expected, "{annotations:?}");
        let held = BTreeMap::from([("kubefresh.dev/hold".to_owned(), "1.5.0".to_owned())]);
        assert_eq!(holds, held, "{annotations:?}");
    }
}

#[test]
fn an_update_or_a_rollback_that_somebody_pauses_is_theirs_until_they_resume_it() {
    let update = marker(&[("app", change(OLD, NEW))]);
    let back = undone(&update);
    for (marker, image) in [(update, NEW), (back, OLD)] {
        let action = action(&marker, &[], &[("app", image)], true);
        let Action::Follow { status, holds, .. } = action else {
            panic!("{action:?}")
        };
        assert_eq!(status, RolloutStatus::InProgress(Waiting::Paused));
        assert!(holds.is_empty(), "{holds:?}");
    }
}

#[test]
fn what_moves_goes_on_and_what_was_found_to_have_failed_has_whatever_moves_then() {
    let value = marker(&[("app", change(OLD, NEW))]).to_annotation();
    let stuck = workload(
        &[AUTO.as_slice(), &[(IN_FLIGHT, value.as_str())]].concat(),
        &[("app", NEW)],
    );
    let uid = stuck.uid.clone();
    let mut snapshot = snapshot(stuck, vec![app()]);
    let later = now() + SignedDuration::from_hours(1);
    let is_undone = |snapshot: &Snapshot| {
        let assessment = assessment(snapshot, later).unwrap();
        assert_ne!(assessment.has_failed(), assessment.is_under_way());
        matches!(assessment.action, Action::RollBack { .. })
    };
    assert!(is_undone(&snapshot));
    let ten = Moved {
        at: later,
        ready: 10,
        steady: 10,
        missing: 1,
    };
    let moved = BTreeMap::from([(uid.clone(), ten)]);
    let asked_later = BTreeSet::from([uid]);
    snapshot.moved.clone_from(&moved);
    assert!(!is_undone(&snapshot), "it moves");
    snapshot.moved.clear();
    snapshot.asked_later.clone_from(&asked_later);
    assert!(!is_undone(&snapshot), "nobody knows whether it moves");
    snapshot.asked_later.clear();

    let mut seen = Seen::default();
    seen.take_in(&plan(&snapshot, &LIMITS, later));
    snapshot.seen = seen;
    snapshot.moved = moved;
    assert!(is_undone(&snapshot));
    snapshot.asked_later = asked_later;
    assert!(is_undone(&snapshot));
}

#[test]
fn what_was_found_to_have_completed_has_whatever_happens_before_that_is_written_down() {
    let value = marker(&[("app", change(OLD, NEW))]).to_annotation();
    let updated = |desired: i32, image: &str| {
        let annotations = [AUTO.as_slice(), &[(IN_FLIGHT, value.as_str())]].concat();
        let mut updated = workload(&annotations, &[("app", image)]);
        let RolloutFacts::Deployment(facts) = &mut updated.rollout else {
            unreachable!()
        };
        facts.observed_generation = facts.generation;
        (facts.desired, facts.replicas, facts.updated, facts.available) = (desired, 4, 4, 4);
        updated
    };
    let mut seen = Seen::default();
    let mut status = |workload: Workload, at| {
        let mut snapshot = snapshot(workload, vec![app()]);
        snapshot.seen = std::mem::take(&mut seen);
        let plan = plan(&snapshot, &LIMITS, at);
        seen = snapshot.seen;
        seen.take_in(&plan);
        let Action::Follow { status, .. } = &plan.assessments[0].action else {
            panic!("{plan:?}")
        };
        status.clone()
    };
    let whole = RolloutStatus::Completed(Completion::Whole);
    assert_eq!(status(updated(4, NEW), now()), whole);
    // Somebody asks for more pods, and the patch that ends it is refused for an hour.
    for minutes in [0, 60] {
        let later = now() + SignedDuration::from_mins(minutes);
        assert_eq!(status(updated(5, NEW), later), whole);
    }
    let superseded = status(updated(5, OLD), now());
    assert!(matches!(superseded, RolloutStatus::Superseded { .. }));
}

#[test]
fn a_rollout_whose_time_ended_while_nobody_led_has_it_again_from_when_somebody_does() {
    let value = marker(&[("app", change(OLD, NEW))]).to_annotation();
    let minute = |minutes| now() + SignedDuration::from_mins(minutes);
    let stuck = |given_up: Option<i64>| {
        let annotations = [AUTO.as_slice(), &[(IN_FLIGHT, value.as_str())]].concat();
        let mut stuck = workload(&annotations, &[("app", NEW)]);
        if let RolloutFacts::Deployment(facts) = &mut stuck.rollout {
            facts.observed_generation = facts.generation;
            facts.available = 0;
            facts.deadline_exceeded = given_up.map(|_| "timed out".to_owned());
            facts.deadline_exceeded_at = given_up.map(minute);
        }
        stuck
    };
    // It may take ten minutes, and one more for another one's clock.
    for (given_up, leads, ends) in [
        (None, 0, 11),
        (None, 9, 11),
        (None, 16, 16),
        (None, 17, 28),
        (None, 600, 611),
        // While nobody led, and while somebody does.
        (Some(10), 16, 16),
        (Some(10), 600, 611),
        (Some(605), 600, 605),
    ] {
        let mut seen = Seen::default();
        for at in [leads, (leads + 1).max(ends - 1), (leads + 2).max(ends)] {
            let mut snapshot = snapshot(stuck(given_up.filter(|given_up| *given_up <= at)), vec![app()]);
            snapshot.seen = seen;
            snapshot.seen.look(minute(at));
            let plan = plan(&snapshot, &LIMITS, minute(at));
            let what = format!("{given_up:?} {leads} {at}");
            assert_eq!(plan.assessments[0].has_failed(), at >= ends, "{what}");
            assert_eq!(plan.next_look.is_none(), at >= ends, "{what}");
            seen = snapshot.seen;
            seen.take_in(&plan);
        }
    }
}

#[test]
fn the_exact_images_of_before_come_back_in_one_update_with_its_own_deadline() {
    let pinned_old = format!("shop.example/app:1.4.0@{}", digest('a'));
    let pinned_new = format!("shop.example/app:1.5.0@{}", digest('b'));
    let mut update = marker(&[
        ("app", change(&pinned_old, &pinned_new)),
        ("migrate", change(OLD, NEW)),
    ]);
    update.containers.get_mut("migrate").unwrap().digest = Some(digest('c'));
    let images = [("migrate", NEW), ("app", pinned_new.as_str()), ("side", "x:1")];
    let annotations = [
        ("kubefresh.dev/rollout-timeout", "90s"),
        ("app.kubefresh.dev/hold", "1.4.9"),
    ];
    let Action::RollBack {
        in_flight,
        failure,
        undo,
    } = action(&update, &annotations, &images, false)
    else {
        panic!("it is not undone")
    };
    assert_eq!(*in_flight, update);
    assert!(matches!(failure, Failure::RolloutTimeout { .. }));
    let back = &undo.in_flight;
    assert_eq!(back.containers["app"].to, pinned_old);
    assert_eq!(back.containers["migrate"].to, OLD);
    assert_eq!(back.rollback, Some(text::cut(&failure.to_string(), 500)));
    let later = now() + SignedDuration::from_hours(1);
    assert_eq!(back.deadline, later + SignedDuration::from_secs(90));
    assert_eq!(undo.init_containers, BTreeSet::from(["migrate".to_owned()]));
    let held = [
        ("app.kubefresh.dev/hold", format!("1.4.9 1.5.0@{}", digest('b'))),
        ("migrate.kubefresh.dev/hold", format!("1.5.0@{}", digest('c'))),
    ];
    assert_eq!(undo.holds, held.map(|(key, held)| (key.to_owned(), held)).into());
}

#[test]
fn a_tag_that_points_elsewhere_than_when_it_ran_comes_back_with_the_digest_that_did() {
    // By the record of now 1.4.0 is c… and its image for one platform is d….
    for (ran, asked, expected) in [
        (Some('a'), true, format!("{OLD}@{}", digest('a'))),
        (Some('c'), true, OLD.to_owned()),
        (Some('d'), true, OLD.to_owned()),
        // Nobody knows what it points at, or what ran.
        (Some('a'), false, OLD.to_owned()),
        (None, true, OLD.to_owned()),
    ] {
        let mut update = marker(&[("app", change(OLD, NEW))]);
        update.containers.get_mut("app").unwrap().ran = ran.map(digest);
        let value = update.to_annotation();
        let failed = workload(
            &[&AUTO[..], &[(IN_FLIGHT, value.as_str())]].concat(),
            &[("app", NEW)],
        );
        let last = LastImages {
            containers: update.containers,
            revision: None,
        };
        let last = last.to_annotation();
        let undone = [(LAST_IMAGES, last.as_str()), ("kubefresh.dev/undo", "1.5.0")];
        let undone = workload(&[&AUTO[..], &undone].concat(), &[("app", NEW)]);
        let (name, record) = record(
            "shop.example/app",
            &["1.4.0 minor pinned"],
            &["1.4.0", "1.5.0", "2.0.0"],
        );
        let mut record = record.unwrap().as_ref().clone();
        for tag in &mut record.findings.as_mut().unwrap().tags {
            let known = asked.then(|| digest('c'));
            tag.digest = known;
            tag.platforms.insert("linux/amd64".to_owned(), digest('d'));
        }
        let record = Arc::new(record);
        let later = now() + SignedDuration::from_hours(1);
        for workload in [failed, undone] {
            let snapshot = snapshot(workload, vec![(name.clone(), Ok(record.clone()))]);
            let (Action::RollBack { undo, .. } | Action::Undo { undo, .. }) =
                assessment(&snapshot, later).unwrap().action
            else {
                panic!("it is not undone")
            };
            assert_eq!(undo.in_flight.containers["app"].to, expected, "{ran:?} {asked}");
        }
    }
}

#[test]
fn a_rollback_that_fails_and_an_update_that_somebody_took_over_are_left_alone() {
    let update = marker(&[("app", change(OLD, NEW))]);
    let rollback = undone(&update);
    let failed = action(&rollback, &[], &[("app", OLD)], false);
    let taken_over = action(&update, &[], &[("app", "shop.example/app:1.4.1")], false);
    for (action, is_failure) in [(failed, true), (taken_over, false)] {
        let Action::Follow { status, holds, .. } = action else {
            panic!("{action:?}")
        };
        assert_eq!(
            matches!(status, RolloutStatus::Failed(_)),
            is_failure,
            "{status:?}"
        );
        assert!(holds.is_empty(), "{holds:?}");
    }
}

#[test]
fn the_verdict_that_failed_an_update_is_none_on_its_rollback() {
    let update = marker(&[("app", change(OLD, NEW))]);
    let value = update.to_annotation();
    let mut stuck = workload(
        &[AUTO.as_slice(), &[(IN_FLIGHT, &value)]].concat(),
        &[("app", NEW)],
    );
    // By a clock that is a minute ahead.
    let failed_at = now() + SignedDuration::from_mins(6);
    let facts = deployment::Facts {
        generation: 2,
        observed_generation: 2,
        desired: 1,
        replicas: 1,
        updated: 0,
        available: 0,
        revision: None,
        deadline_exceeded: Some("timed out".to_owned()),
        deadline_exceeded_at: Some(failed_at),
        clock: None,
    };
    stuck.rollout = RolloutFacts::Deployment(facts);
    let at = now() + SignedDuration::from_mins(5);
    let action = assessment(&snapshot(stuck.clone(), vec![]), at).unwrap().action;
    let Action::RollBack { undo, .. } = action else {
        panic!("{action:?}")
    };
    let value = undo.in_flight.to_annotation();
    stuck.annotations.insert(IN_FLIGHT.to_owned(), value);
    stuck.containers[0].image = OLD.to_owned();
    let action = assessment(&snapshot(stuck, vec![]), at).unwrap().action;
    let is_under_way = matches!(
        &action,
        Action::Follow {
            status: RolloutStatus::InProgress(_),
            ..
        }
    );
    assert!(is_under_way, "{action:?}");
}

#[test]
fn only_an_update_that_somebody_else_began_has_a_minute_more_than_its_timeout_as_clocks_differ() {
    let minute = ("kubefresh.dev/rollout-timeout", "1m");
    let before = workload(&[AUTO.as_slice(), &[minute]].concat(), &[("app", OLD)]);
    let first = plan(&snapshot(before.clone(), vec![app()]), &LIMITS, now());
    let Action::Start(update) = &first.assessments[0].action else {
        panic!("{first:?}")
    };
    let mut ours = Seen::default();
    ours.take_in(&first);
    ours.gave(&first.assessments[0], update);
    let mut updating = before;
    "42".clone_into(&mut updating.resource_version);
    NEW.clone_into(&mut updating.containers[0].image);
    let marker = (IN_FLIGHT.to_owned(), update.in_flight.to_annotation());
    updating.annotations.extend([marker]);
    let looks = |mut seen: Seen| {
        let mut failed = Vec::new();
        for seconds in [0, 59, 60, 119, 120] {
            let at = now() + SignedDuration::from_secs(seconds);
            let mut snapshot = snapshot(updating.clone(), vec![app()]);
            snapshot.seen = seen;
            let plan = plan(&snapshot, &LIMITS, at);
            seen = snapshot.seen;
            seen.take_in(&plan);
            let has_failed = plan.assessments[0].has_failed();
            assert_eq!(plan.next_look.is_none(), has_failed, "{seconds}");
            assert!(plan.next_look.is_none_or(|next| next > at), "{seconds}");
            failed.extend(has_failed.then_some(seconds));
        }
        failed
    };
    assert_eq!(looks(ours), [60, 119, 120]);
    assert_eq!(looks(Seen::default()), [120]);
}
