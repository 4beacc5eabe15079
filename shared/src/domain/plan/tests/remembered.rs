//! What somebody undid while no updater led is told by what the `ReplicaSets` of the Deployment keep of its annotations.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::taken_back::{Leader, checkout, holds, noted};
use super::*;
use crate::domain::annotations::{HOLD, LAST_CHANGE, LAST_UPDATE};
use crate::domain::replica_sets::{ReplicaSets, ReplicaSetsUnread};

const OLD: &str = "shop.example/app:1.4.0";
const NEW: &str = "shop.example/app:1.5.0";
const NEWEST: &str = "shop.example/app:2.0.0";
const GIVEN: &str = "app: shop.example/app:1.4.0 -> shop.example/app:1.5.0";
const GIVEN_THEN: &str = "app: shop.example/app:1.3.0 -> shop.example/app:1.4.0";
const BACK: &str = "app: shop.example/app:1.5.0 -> shop.example/app:1.4.0";
/// One after the other.
const HOURS: [&str; 3] = [
    "2026-11-21T00:00:00Z",
    "2026-11-21T01:00:00Z",
    "2026-11-21T02:00:00Z",
];
const APPROVE: (&str, &str) = ("kubefresh.dev/mode", "approve");
const APPROVED: &str = "kubefresh.dev/approved";

/// A `ReplicaSet` of the Deployment with this uid.
fn set(owner: &str, revision: i64, annotations: &[(&str, &str)]) -> ObjectMeta {
    let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
    let owner = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": owner, "controller": true });
    let mut set = json!({ "annotations": annotations, "ownerReferences": [owner] });
    set["annotations"]["deployment.kubernetes.io/revision"] = json!(revision.to_string());
    serde_json::from_value(set).unwrap()
}

fn read(workload: &Workload, sets: &[ObjectMeta]) -> Arc<ReplicaSets> {
    let mut read = ReplicaSets::default();
    for set in sets {
        read.take(workload, set);
    }
    Arc::new(read)
}

/// That of an update from `OLD` to this, which ended at that hour.
fn ended(to: &str, hour: usize) -> ObjectMeta {
    let change = format!("app: {OLD} -> {to}");
    set("1234", 2, &[(LAST_CHANGE, &change), (LAST_UPDATE, HOURS[hour])])
}

/// That of an update from `OLD` to `NEW` that began at the hour `HOURS[1]`.
fn in_the_middle(revision: i64) -> ObjectMeta {
    let mut marker = rollback::marker(&[("app", rollback::change(OLD, NEW))]);
    marker.started = HOURS[1].parse().unwrap();
    let marker = marker.to_annotation();
    set("1234", revision, &[(IN_FLIGHT, &marker), (LAST_UPDATE, HOURS[0])])
}

/// With the third template by its controller's count, as an undo makes it.
fn undone(annotations: &[(&str, &str)]) -> Workload {
    let mut workload = checkout(annotations, OLD);
    if let RolloutFacts::Deployment(facts) = &mut workload.rollout {
        facts.revision = Some(3);
    }
    workload
}

fn starts(assessment: &Assessment) -> bool {
    matches!(assessment.action, Action::Start(_))
}

#[test]
fn no_update_of_a_deployment_starts_before_it_is_known_what_its_replica_sets_say() {
    let refused = Some(Err(ReplicaSetsUnread::NotAllowed));
    let broken = Some(Err(ReplicaSetsUnread::Unreadable("no answer".to_owned())));
    let deployment = undone(&[]);
    let nothing = Some(Ok(read(&deployment, &[])));
    let mut stateful_set = undone(&[]);
    stateful_set.id.kind = WorkloadKind::StatefulSet;
    for (workload, read, waits_for, is_asked) in [
        (&deployment, None, Some("replica-sets-not-asked"), true),
        (&deployment, broken, Some("replica-sets-unreadable"), false),
        (&deployment, refused, None, false),
        (&deployment, nothing, None, false),
        (&stateful_set, None, None, false),
    ] {
        let what = format!("{:?} {read:?}", workload.id.kind);
        let found = Leader::default().look_by(workload, read);
        assert_eq!(found.containers[0].verdict.waits_for(), waits_for, "{what}");
        assert_eq!(starts(&found), waits_for.is_none(), "{what}");
        assert_eq!(found.needs_replica_sets(), is_asked, "{what}");
        // Only what lasts is written down.
        let lasts = waits_for.is_some() && !is_asked;
        assert_eq!(matches!(found.pending, Pending::Write(_)), lasts, "{what}");
    }
    // Nothing would start anyway.
    let mut paused = undone(&[]);
    paused.paused = true;
    for workload in [paused, undone(&[(HOLD, "<=1.5.0")]), undone(&[APPROVE])] {
        let found = Leader::default().look_by(&workload, None);
        assert!(!found.needs_replica_sets(), "{found:?}");
    }
}

#[test]
fn what_cannot_be_read_takes_no_turn_and_who_has_no_turn_is_not_asked() {
    let one = PlanLimits {
        max_rollouts: Some(1),
        ..LIMITS
    };
    let named = |name: &str| {
        let mut workload = undone(&[]);
        (workload.uid, workload.id.name) = (name.to_owned(), name.to_owned());
        Arc::new(workload)
    };
    let mut snapshot = Snapshot {
        workloads: ["first", "second"].map(named).to_vec(),
        records: [app()].into_iter().collect(),
        ..Snapshot::default()
    };
    let asked = |snapshot: &Snapshot| {
        let plan = plan(snapshot, &one, now());
        let asked = plan.assessments.iter().map(Assessment::needs_replica_sets);
        asked.collect::<Vec<_>>()
    };
    assert_eq!(asked(&snapshot), [true, false]);
    let broken = Err(ReplicaSetsUnread::Unreadable("no answer".to_owned()));
    snapshot.replica_sets.insert("first".to_owned(), broken);
    assert_eq!(asked(&snapshot), [false, true]);
}

#[test]
fn what_was_given_later_than_the_deployment_knows_is_held() {
    let then: &[(&str, &str)] = &[(LAST_CHANGE, GIVEN_THEN), (LAST_UPDATE, HOURS[0])];
    let later: &[(&str, &str)] = &[(LAST_UPDATE, HOURS[2])];
    let rolled_back: &[(&str, &str)] = &[(LAST_CHANGE, BACK), (LAST_UPDATE, HOURS[0])];
    let of_another = set("5678", 2, &[(LAST_CHANGE, GIVEN), (LAST_UPDATE, HOURS[1])]);
    let garbled: &[(&str, &str)] = &[(IN_FLIGHT, "{"), (LAST_UPDATE, "now"), (LAST_CHANGE, GIVEN)];
    for (what, sets, knows, expected) in [
        ("an update that ended", vec![ended(NEW, 1)], then, Some("<=1.5.0")),
        ("the first one", vec![ended(NEW, 1)], &[], Some("<=1.5.0")),
        ("one in the middle", vec![in_the_middle(2)], then, Some("<=1.5.0")),
        ("one that it knows of", vec![ended(NEW, 0)], then, None),
        ("one that it has left behind", vec![in_the_middle(2)], later, None),
        (
            "an older one",
            vec![ended("shop.example/app:1.3.0", 1)],
            then,
            None,
        ),
        ("the one it has", vec![ended(OLD, 1)], then, None),
        (
            "another repository",
            vec![ended("other.example/app:1.5.0", 1)],
            then,
            None,
        ),
        (
            "several",
            vec![ended(NEWEST, 1), ended(NEW, 2)],
            then,
            Some("<=2.0.0"),
        ),
        (
            "the other way round",
            vec![ended(NEW, 1), ended(NEWEST, 2)],
            then,
            Some("<=2.0.0"),
        ),
        ("that of another Deployment", vec![of_another], then, None),
        ("garbled", vec![set("1234", 2, garbled)], then, None),
        // The clock of whoever gave it was ahead of the clock of whoever rolled it back.
        ("our own rollback", vec![in_the_middle(2)], rolled_back, None),
    ] {
        let workload = undone(knows);
        let found = Leader::default().look_by(&workload, Some(Ok(read(&workload, &sets))));
        assert_eq!(holds(&found).as_deref(), expected, "{what}");
        assert_eq!(starts(&found), expected.is_none(), "{what}");
    }
    // A watch that lags shows what was there before another updater began the update.
    let workload = undone(then);
    let found = Leader::default().look_by(&workload, Some(Ok(read(&workload, &[in_the_middle(4)]))));
    let waits = matches!(found.action, Action::Nothing) && found.needs_replica_sets();
    assert!(waits, "{found:?}");
}

#[test]
fn what_is_held_for_what_replica_sets_say_is_not_held_again_once_it_is_let_go_whoever_leads() {
    let sets = [ended(NEW, 1)];
    let agreed = (APPROVED, "1.5.0");
    let back = undone(&[(LAST_CHANGE, GIVEN_THEN), (LAST_UPDATE, HOURS[0]), agreed]);
    let read = || Some(Ok(read(&back, &sets)));
    let mut leader = Leader::default();
    let found = leader.look_by(&back, read());
    let Action::TakenBack(taken_back) = &found.action else {
        panic!("{found:?}")
    };
    assert_eq!(taken_back.summary(), format!("app: {NEW} -> {OLD}"));
    assert_eq!(
        taken_back.after.as_deref(),
        Some(HOURS[1]),
        "as whoever had seen it says"
    );
    let mut noted = noted(&back, &found);
    assert!(
        !noted.annotations.contains_key(agreed.0),
        "an undo can bring that back"
    );
    let found = leader.look_by(&noted, read());
    assert!(matches!(found.action, Action::Nothing), "{found:?}");
    noted.annotations.remove(HOLD);
    for mut leader in [leader, Leader::default()] {
        let found = leader.look_by(&noted, read());
        assert!(starts(&found), "{found:?}");
    }
}

#[test]
fn one_question_in_a_term_is_enough_until_somebody_brings_annotations_back() {
    let sets = [ended(NEW, 1)];
    let mut leader = Leader::default();
    let knows = undone(&[(LAST_UPDATE, HOURS[1])]);
    assert!(starts(&leader.look_by(&knows, Some(Ok(read(&knows, &sets))))));
    assert!(starts(&leader.look_by(&knows, None)));
    // An older template with the same image, and no hold of that time.
    let mut back = undone(&[(LAST_UPDATE, HOURS[0])]);
    for version in ["42", "43"] {
        version.clone_into(&mut back.resource_version);
        assert!(leader.look_by(&back, None).needs_replica_sets());
    }
    let found = leader.look_by(&back, Some(Ok(read(&back, &sets))));
    assert_eq!(holds(&found).as_deref(), Some("<=1.5.0"));
}

#[test]
fn what_somebody_lets_go_or_agrees_to_while_an_updater_leads_is_what_they_want() {
    let then = (LAST_UPDATE, HOURS[0]);
    for (before, after) in [
        (&[then, (HOLD, "<=1.5.0")][..], &[then][..]),
        (&[then, (HOLD, "<=1.5.0 1.2.0")], &[then, (HOLD, "1.2.0")]),
        (&[then, APPROVE], &[then, APPROVE, (APPROVED, "1.5.0")]),
    ] {
        let mut leader = Leader::default();
        leader.look_by(&undone(before), None);
        let decided = undone(after);
        for _ in 0..2 {
            let found = leader.look_by(&decided, None);
            assert!(starts(&found), "{after:?}: {found:?}");
        }
    }
    // Nobody knows whether a word was there before the undo, which brings it back, or came after it.
    let workload = undone(&[then, APPROVE, (APPROVED, "1.5.0")]);
    let found = Leader::default().look_by(&workload, Some(Ok(read(&workload, &[ended(NEW, 1)]))));
    assert_eq!(holds(&found).as_deref(), Some("<=1.5.0"));
}

#[test]
fn a_step_back_that_is_seen_does_not_hide_one_before_it_that_was_not() {
    let then = (LAST_UPDATE, HOURS[0]);
    let mut before = undone(&[
        then,
        ("kubefresh.dev/freeze", "2026-11-01T00:00/2026-12-01T00:00 UTC"),
    ]);
    before.containers[0].image = "shop.example/app:1.4.9".to_owned();
    let mut leader = Leader::default();
    assert!(!leader.look_by(&before, None).needs_replica_sets(), "it waits");
    let after = undone(&[then]);
    let seen = leader.look_by(&after, None);
    assert_eq!(holds(&seen).as_deref(), Some("<=1.4.9"));
    let noted = noted(&after, &seen);
    let found = leader.look_by(&noted, Some(Ok(read(&noted, &[ended(NEW, 1)]))));
    assert_eq!(holds(&found).as_deref(), Some("<=1.4.9 <=1.5.0"));
}
