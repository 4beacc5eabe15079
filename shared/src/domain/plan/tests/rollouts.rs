//! How many rollouts begin, and whose.

use super::*;
use crate::domain::annotations::LAST_UPDATE;
use crate::domain::ownership::{FIELD_MANAGER, Writer};

/// A workload that could be updated: `NAMESPACE/NAME`, with more annotations.
fn behind(name: &str, annotations: &[(&str, &str)]) -> Workload {
    let all = [AUTO.as_slice(), annotations].concat();
    let (namespace, name) = name.split_once('/').unwrap();
    let mut found = workload(&all, &[("app", "shop.example/app:1.4.0")]);
    found.id.namespace = namespace.to_owned();
    found.id.name = name.to_owned();
    found.uid = format!("{namespace}/{name}");
    found
}

/// One whose update is under way.
fn under_way(name: &str) -> Workload {
    under_way_since(name, now())
}

fn under_way_since(name: &str, started: Timestamp) -> Workload {
    let change = ImageChange {
        from: "shop.example/app:1.3.0".to_owned(),
        to: "shop.example/app:1.4.0".to_owned(),
        digest: None,
        ran: None,
    };
    let changes = BTreeMap::from([("app".to_owned(), change)]);
    let marker = InFlight::new(changes, started, SignedDuration::from_mins(10)).to_annotation();
    let mut found = behind(name, &[(IN_FLIGHT, &marker)]);
    found.containers[0].ownership.writer = Some(Writer {
        manager: FIELD_MANAGER.to_owned(),
        at: None,
    });
    found
}

fn all(workloads: Vec<Workload>) -> Snapshot {
    Snapshot {
        replica_sets: asked(&workloads),
        workloads: workloads.into_iter().map(Arc::new).collect(),
        records: [app()].into_iter().collect(),
        ..Snapshot::default()
    }
}

fn limits(max_rollouts: u32, max_rollouts_per_namespace: u32) -> PlanLimits {
    let limit = |number: u32| Some(number).filter(|number| *number > 0);
    PlanLimits {
        max_rollouts: limit(max_rollouts),
        max_rollouts_per_namespace: limit(max_rollouts_per_namespace),
        ..LIMITS
    }
}

/// Which workloads start, in the order of the plan.
fn starts(snapshot: &Snapshot, limits: &PlanLimits) -> Vec<String> {
    let plan = plan(snapshot, limits, now());
    let starting = plan.assessments.into_iter().filter_map(|assessment| {
        let starts = matches!(assessment.action, Action::Start(_));
        starts.then(|| assessment.workload.uid.clone())
    });
    starting.collect()
}

#[test]
fn no_more_rollouts_begin_than_may_be_under_way() {
    let both = ["a/1", "a/2", "a/3", "b/1", "b/2"];
    for (under_way_now, total, own, expected) in [
        (&[][..], 0, 0, &both[..]),
        (&[], 10, 0, &both),
        (&[], 2, 0, &["a/1", "b/1"]),
        (&[], 3, 0, &["a/1", "a/2", "b/1"]),
        (&[], 0, 1, &["a/1", "b/1"]),
        (&[], 4, 2, &["a/1", "a/2", "b/1", "b/2"]),
        (&["a/0"], 2, 0, &["b/1"]),
        (&["b/0"], 2, 0, &["a/1"]),
        (&["c/0"], 2, 0, &["a/1"]),
        (&["a/0", "b/0"], 2, 0, &[]),
        (&["a/0"], 0, 1, &["b/1"]),
        // What is under way goes on, though it is more than may be since the limit was set.
        (&["a/0", "b/0", "c/0"], 1, 0, &[]),
    ] {
        let behind = both.iter().map(|name| behind(name, &[]));
        let snapshot = all(under_way_now
            .iter()
            .map(|name| under_way(name))
            .chain(behind)
            .collect());
        let found = starts(&snapshot, &limits(total, own));
        assert_eq!(
            found, expected,
            "{under_way_now:?} under way, at most {total} and {own}"
        );
    }
}

#[test]
fn what_may_last_for_ever_takes_no_place_from_others() {
    let paused = {
        let mut found = under_way("b/0");
        found.paused = true;
        found
    };
    let forged = {
        let mut found = under_way("b/0");
        found.containers[0].ownership = Ownership::default();
        found
    };
    // Its end cannot be written down, whatever the reason.
    let over = {
        let mut found = under_way("b/0");
        found.rollout = RolloutFacts::CronJob;
        found
    };
    for (what, other, expected) in [
        ("one that goes on", under_way("b/0"), &[][..]),
        ("one that is paused", paused, &["a/1"]),
        ("a marker that we did not write", forged, &["a/1"]),
        ("one that is over", over, &["a/1"]),
    ] {
        let snapshot = all(vec![behind("a/1", &[]), other]);
        assert_eq!(starts(&snapshot, &limits(1, 0)), expected, "{what}");
    }
    // It failed, and its rollback is refused.
    let late = under_way_since("b/0", now() - SignedDuration::from_hours(1));
    let mut snapshot = all(vec![behind("a/1", &[]), late]);
    assert!(starts(&snapshot, &limits(1, 0)).is_empty());
    snapshot.tried = BTreeMap::from([("b/0".to_owned(), Tried::InTrouble)]);
    assert_eq!(starts(&snapshot, &limits(1, 0)), ["a/1"]);
}

#[test]
fn whoever_was_updated_the_longest_ago_is_next() {
    let at = |hour: u8| format!("2026-11-20T0{hour}:00:00Z");
    let updated = |name: &str, hour: u8| behind(name, &[(LAST_UPDATE, &at(hour))]);
    let subject = || {
        all(vec![
            updated("a/1", 3),
            updated("a/2", 1),
            updated("b/1", 2),
            updated("b/2", 1),
        ])
    };
    // Nothing is under way in either, and the last update in `a` was after that in `b`.
    assert_eq!(starts(&subject(), &limits(1, 0)), ["b/2"]);
    assert_eq!(starts(&subject(), &limits(0, 1)), ["a/2", "b/2"]);
    let mut with_new = subject();
    let new = behind("c/1", &[]);
    with_new.replica_sets.extend(asked([&new]));
    with_new.workloads.push(Arc::new(new));
    assert_eq!(starts(&with_new, &limits(1, 0)), ["c/1"]);
}

#[test]
fn what_was_begun_and_cannot_be_seen_yet_keeps_its_place_and_what_cannot_start_takes_none() {
    let tried = |entries: &[(&str, Tried)]| Snapshot {
        tried: entries
            .iter()
            .map(|(uid, tried)| ((*uid).to_owned(), tried.clone()))
            .collect(),
        ..all(["a/1", "a/2", "a/3"].map(|name| behind(name, &[])).to_vec())
    };
    let answered = |version: &str| Tried::Answered {
        resource_version: version.to_owned(),
    };
    // The one that was begun is still shown at the version it was begun from.
    assert_eq!(starts(&tried(&[("a/3", answered("41"))]), &limits(1, 0)), ["a/3"]);
    assert_eq!(starts(&tried(&[("a/3", answered("40"))]), &limits(1, 0)), ["a/1"]);
    assert_eq!(
        starts(&tried(&[("a/1", Tried::InTrouble)]), &limits(1, 0)),
        ["a/1", "a/2"]
    );
}

#[test]
fn those_that_wait_for_their_turn_say_so() {
    let snapshot = all(["a/1", "a/2"].map(|name| behind(name, &[])).to_vec());
    for (limits, told) in [
        (limits(1, 0), "no more than 1 rollouts at once (MAX_ROLLOUTS)"),
        (
            limits(1, 1),
            "no more than 1 rollouts at once in a namespace (MAX_ROLLOUTS_PER_NAMESPACE)",
        ),
    ] {
        let plan = plan(&snapshot, &limits, now());
        let text = format!("app: shop.example/app:1.5.0 waits for its turn: {told}");
        assert_eq!(plan.assessments[1].pending, Pending::Write(text), "{limits:?}");
        assert_eq!(plan.next_look, None);
    }
}

#[test]
fn a_rollback_waits_for_nobody_and_is_a_rollout_itself() {
    let snapshot = all(vec![under_way("a/1"), under_way("a/2"), behind("a/3", &[])]);
    let after_the_deadline = now() + SignedDuration::from_hours(1);
    let plan = plan(&snapshot, &limits(1, 1), after_the_deadline);
    let actions = plan.assessments.iter().map(|assessment| &assessment.action);
    let rolls_back: Vec<bool> = actions
        .map(|action| matches!(action, Action::RollBack { .. }))
        .collect();
    assert_eq!(rolls_back, [true, true, false]);
    assert!(matches!(plan.assessments[2].action, Action::Nothing));
}

#[test]
fn two_threads_find_what_one_finds() {
    let updated = |name, at: &str| behind(name, &[(LAST_UPDATE, at), ("kubefresh.dev/channels", "webhook")]);
    let deleted = Workload {
        deleted_at: Some(now()),
        ..behind("b/0", &[])
    };
    let snapshot = all(vec![
        under_way("a/1"),
        updated("a/2", "2026-11-20T03:00:00Z"),
        behind("a/3", &[]),
        deleted,
        behind("b/1", &[]),
        behind("b/2", &[("kubefresh.dev/policy", "wrong")]),
        updated("a/4", "2026-11-19T03:00:00Z"),
        under_way_since("b/3", now() - SignedDuration::from_mins(1)),
        updated("b/4", "2026-11-20T05:00:00Z"),
        updated("c/1", "2026-11-18T03:00:00Z"),
        updated("c/2", "2026-11-17T03:00:00Z"),
    ]);
    for (total, own) in [(0, 0), (3, 0), (5, 0), (0, 1), (0, 2), (6, 2)] {
        let limits = limits(total, own);
        let plan = |part| format!("{:?}", finish(part, &snapshot, &limits, now()));
        let (one, two) = (
            plan(Part::by_one(&snapshot, &limits, now())),
            plan(Part::by_two(&snapshot, &limits, now())),
        );
        assert_eq!(one, two, "{total} in all, {own} in each namespace");
    }
}

#[test]
fn no_update_starts_while_a_part_of_the_cluster_has_not_been_watched_for_too_long_and_rollouts_are_followed()
{
    let mut snapshot = all(vec![behind("shop/a", &[]), under_way("shop/b")]);
    let limits = PlanLimits {
        max_unwatched: SignedDuration::from_mins(5),
        ..LIMITS
    };
    let unwatched = |what: &str, since: &str| {
        Arc::new(Unwatched {
            what: what.to_owned(),
            since: since.parse().unwrap(),
            reason: "watching it: forbidden (403)".to_owned(),
        })
    };
    assert_eq!(starts(&snapshot, &limits), ["shop/a"]);
    snapshot.unwatched = vec![
        unwatched("cronjobs", "2026-11-21T02:59:00Z"),
        unwatched("namespaces", "2026-11-21T02:55:01Z"),
    ];
    assert_eq!(starts(&snapshot, &limits), ["shop/a"]);
    snapshot
        .unwatched
        .push(unwatched("deployments", "2026-11-21T02:55:00Z"));
    let plan = plan(&snapshot, &limits, now());
    let [waits, follows] = plan.assessments.as_slice() else {
        panic!("{plan:#?}");
    };
    let verdict = &waits.containers[0].verdict;
    assert_eq!(
        verdict.to_string(),
        "shop.example/app:1.5.0 waits until deployments can be watched again, which has failed since 2026-11-21T02:55:00Z; \
         the updater's log says why"
    );
    assert_eq!(verdict.waits_for(), Some("unwatched"));
    assert!(matches!(waits.action, Action::Nothing));
    assert!(matches!(&waits.pending, Pending::Write(text) if text.contains("deployments can be watched")));
    assert!(matches!(follows.action, Action::Follow { .. }));
}
