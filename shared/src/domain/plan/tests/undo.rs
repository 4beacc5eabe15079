//! Somebody asks for the last update to be undone.

use super::rollback::{change, marker, undone};
use super::taken_back::Leader;
use super::*;
use crate::domain::annotations::{HOLD, LAST_IMAGES, UNDO};

const OLD: &str = "shop.example/app:1.4.0";
const NEW: &str = "shop.example/app:1.5.0";

fn last_images(changes: &[(&str, ImageChange)], revision: Option<i64>) -> String {
    let containers = marker(changes).containers;
    let last = LastImages { containers, revision };
    last.to_annotation()
}

/// A workload in mode `auto` whose update from `OLD` to `NEW` has ended.
fn updated(annotations: &[(&str, &str)]) -> Workload {
    let last = last_images(&[("app", change(OLD, NEW))], None);
    let all = [&AUTO[..], &[(LAST_IMAGES, last.as_str())], annotations].concat();
    workload(&all, &[("app", NEW)])
}

fn look(workload: &Workload) -> Assessment {
    assessment(&snapshot(workload.clone(), vec![app()]), now()).unwrap()
}

fn undo(assessment: &Assessment) -> &Update {
    let Action::Undo { undo, .. } = &assessment.action else {
        panic!("{:?} {:?}", assessment.action, assessment.refused)
    };
    undo
}

fn abandoned(assessment: &Assessment) -> Option<&InFlight> {
    let Action::Undo { abandoned, .. } = &assessment.action else {
        panic!("{:?} {:?}", assessment.action, assessment.refused)
    };
    abandoned.as_deref()
}

/// What each container is given.
fn given(update: &Update) -> Vec<(&str, &str)> {
    let containers = update.in_flight.containers.iter();
    containers
        .map(|(name, change)| (name.as_str(), change.to.as_str()))
        .collect()
}

#[test]
fn a_request_is_obeyed_in_every_mode_and_at_any_time_and_what_is_left_is_held() {
    let up_to = "<=1.5.0";
    for (key, value, held) in [
        ("kubefresh.dev/mode", "auto", up_to),
        ("kubefresh.dev/mode", "approve", up_to),
        ("kubefresh.dev/mode", "notify", up_to),
        ("kubefresh.dev/mode", "off", up_to),
        ("kubefresh.dev/window", "0 4 * * * 1h", up_to),
        (
            "kubefresh.dev/freeze",
            "2026-11-01T00:00/2026-12-01T00:00 UTC",
            up_to,
        ),
        ("kubefresh.dev/rollback", "false", up_to),
        // Nobody can tell what is older by a policy that is not asked for.
        ("kubefresh.dev/watch", "false", "1.5.0"),
    ] {
        let assessment = look(&updated(&[(key, value), (UNDO, "1.5.0")]));
        let undo = undo(&assessment);
        assert_eq!(given(undo), [("app", OLD)], "{key}={value}");
        assert_eq!(undo.holds[HOLD], held, "{key}={value}");
        assert_eq!(
            undo.spent,
            BTreeMap::from([(UNDO.to_owned(), None)]),
            "{key}={value}"
        );
        assert_eq!(undo.last_images, None);
        assert_eq!(abandoned(&assessment), None, "it had ended");
        let by = "asked for by kubefresh.dev/undo=1.5.0";
        assert_eq!(undo.in_flight.cause().unwrap().to_string(), by);
        assert_eq!(assessment.refused, []);
    }
}

#[test]
fn what_ran_before_comes_back_by_its_digest_and_a_digest_is_left_by_its_digest_alone() {
    let edge = |fill| format!("shop.example/edge:edge@{}", digest(fill));
    let mut back = change("shop.example/edge:edge", &edge('b'));
    back.ran = Some(digest('a'));
    let last = last_images(&[("app", back)], None);
    let ask = |value: &str| {
        let all = [&AUTO[..], &[(LAST_IMAGES, last.as_str()), (UNDO, value)]].concat();
        look(&workload(&all, &[("app", &edge('b'))]))
    };
    for value in [digest('b').to_string(), format!("edge@{}", digest('b'))] {
        let assessment = ask(&value);
        assert_eq!(given(undo(&assessment)), [("app", edge('a').as_str())], "{value}");
    }
    for value in [
        "edge".to_owned(),
        digest('a').to_string(),
        format!("edge@{}", digest('a')),
    ] {
        let refused = &ask(&value).refused;
        assert!(
            matches!(refused[0].why, Unfit::NotGiven { .. }),
            "{value}: {refused:?}"
        );
    }
}

/// Why the only request of a workload is refused.
fn refusal(workload: &Workload) -> String {
    let assessment = look(workload);
    let refused = assessment.refused.as_slice();
    assert!(!matches!(assessment.action, Action::Undo { .. }), "{refused:?}");
    let [RefusedUndo { key, value: _, why }] = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(key, UNDO);
    why.to_string()
}

#[test]
fn a_request_that_fits_nothing_stops_only_itself() {
    let newer = marker(&[("app", change(NEW, "shop.example/app:1.6.0"))]).to_annotation();
    let rollback = undone(&marker(&[("app", change(OLD, NEW))])).to_annotation();
    let ask = (UNDO, "1.5.0");
    let with = |annotations: &[(&str, &str)], image: &str| Workload {
        containers: workload(&[], &[("app", image)]).containers,
        ..updated(annotations)
    };
    let paused = Workload {
        paused: true,
        ..updated(&[ask])
    };
    let nothing = workload(&[&AUTO[..], &[ask]].concat(), &[("app", NEW)]);
    let under_way = |marker: &str, image| with(&[ask, (IN_FLIGHT, marker)], image);
    let edited = updated(&[ask, (LAST_IMAGES, "1.4.0")]);
    for (workload, expected) in [
        (nothing, "no update is written down"),
        (
            updated(&[(UNDO, "1.6.0")]),
            "it gave container app shop.example/app:1.5.0",
        ),
        (
            with(&[ask], "shop.example/app:1.4.9"),
            "has shop.example/app:1.4.9 by now",
        ),
        (
            under_way(&newer, "shop.example/app:1.6.0"),
            "it gave container app shop.example/app:1.6.0",
        ),
        (under_way(&rollback, OLD), "a rollback is under way"),
        (paused, "the rollout is paused"),
        (edited, "cannot be read"),
    ] {
        let why = refusal(&workload);
        assert!(why.contains(expected), "{why}");
    }
    // All else goes on.
    let assessment = look(&with(&[ask], OLD));
    assert!(
        matches!(assessment.action, Action::Start(_)),
        "{:?}",
        assessment.action
    );
}

#[test]
fn an_update_is_undone_in_the_middle_of_its_rollout_in_one_container_or_in_all() {
    let both = [("app", change(OLD, NEW)), ("migrate", change(OLD, NEW))];
    let value = marker(&both).to_annotation();
    let ask = |key| {
        let all = [&AUTO[..], &[(IN_FLIGHT, value.as_str()), (key, "1.5.0")]].concat();
        look(&workload(&all, &[("migrate", NEW), ("app", NEW)]))
    };
    let all = ask(UNDO);
    assert_eq!(given(undo(&all)), [("app", OLD), ("migrate", OLD)]);
    assert_eq!(abandoned(&all), Some(&marker(&both)));
    assert_eq!(undo(&all).init_containers, BTreeSet::from(["migrate".to_owned()]));
    let one = ask("app.kubefresh.dev/undo");
    // The other one is part of the same rollout, and can be undone later.
    assert_eq!(given(undo(&one)), [("app", OLD), ("migrate", NEW)]);
    assert_eq!(abandoned(&one), Some(&marker(&both)));
    let rest = undo(&one).last_images.as_ref().unwrap();
    assert_eq!(rest.containers, marker(&both[1..]).containers);
    let holds: Vec<&String> = undo(&one).holds.keys().collect();
    assert_eq!(holds, ["app.kubefresh.dev/hold"]);
}

/// Between two looks an update can begin and somebody ask for its end.
#[test]
fn a_request_that_is_seen_together_with_the_update_that_it_undoes_is_obeyed() {
    let mut leader = Leader::default();
    leader.look(&workload(&AUTO, &[("app", OLD)]));
    let value = marker(&[("app", change(OLD, NEW))]).to_annotation();
    let all = [&AUTO[..], &[(IN_FLIGHT, value.as_str()), (UNDO, "1.5.0")]].concat();
    let assessment = leader.look(&workload(&all, &[("app", NEW)]));
    assert_eq!(given(undo(&assessment)), [("app", OLD)]);
}

#[test]
fn what_an_update_did_is_kept_at_its_end_and_a_rollback_leaves_that_alone() {
    let update = marker(&[("app", change(OLD, NEW))]);
    let kept = |marker: &InFlight, image: &str| {
        let value = marker.to_annotation();
        let mut workload = workload(
            &[&AUTO[..], &[(IN_FLIGHT, value.as_str())]].concat(),
            &[("app", image)],
        );
        workload.rollout = RolloutFacts::CronJob;
        let Action::Follow { kept, .. } = look(&workload).action else {
            panic!("its rollout is over")
        };
        kept.get(LAST_IMAGES).cloned()
    };
    let expected = last_images(&[("app", change(OLD, NEW))], None);
    assert_eq!(kept(&update, NEW), Some(Some(expected)));
    assert_eq!(kept(&undone(&update), OLD), None);
}

/// `kubectl rollout undo` of a Deployment brings back the annotations of that time.
#[test]
fn a_request_that_comes_back_with_an_older_template_is_refused_and_one_that_is_meant_is_not() {
    let mut leader = Leader::default();
    let after = workload(&AUTO, &[("app", OLD)]);
    leader.look(&after);
    let brought_back = updated(&[(UNDO, "1.5.0")]);
    for _ in 0..2 {
        let refused = leader.look(&brought_back).refused;
        assert_eq!(refused[0].why, Unfit::BroughtBack);
    }
    leader.look(&updated(&[]));
    assert!(matches!(leader.look(&brought_back).action, Action::Undo { .. }));

    let revision = |number: i64| {
        let mut workload = brought_back.clone();
        let last = last_images(&[("app", change(OLD, NEW))], Some(2));
        workload.annotations.insert(LAST_IMAGES.to_owned(), last);
        if let RolloutFacts::Deployment(facts) = &mut workload.rollout {
            facts.revision = Some(number);
        }
        workload
    };
    assert!(matches!(look(&revision(2)).action, Action::Undo { .. }));
    assert_eq!(look(&revision(4)).refused[0].why, Unfit::BroughtBack);
}

#[test]
fn a_rollback_of_ours_uses_up_the_request_for_the_same() {
    let value = marker(&[("app", change(OLD, NEW))]).to_annotation();
    let all = [&AUTO[..], &[(IN_FLIGHT, value.as_str()), (UNDO, "1.5.0")]].concat();
    let late = now() + SignedDuration::from_hours(1);
    let assessment = assessment(&snapshot(workload(&all, &[("app", NEW)]), vec![app()]), late).unwrap();
    let Action::RollBack { undo, .. } = &assessment.action else {
        panic!("{:?}", assessment.action)
    };
    assert_eq!(undo.spent, BTreeMap::from([(UNDO.to_owned(), None)]));
}
