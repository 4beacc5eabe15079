//! What somebody took back is held from then on, and noted once.

use super::*;
use crate::domain::annotations::{HOLD, LAST_CHANGE, LAST_RESULT, LAST_UPDATE, UNDO};
use crate::domain::ownership::{FIELD_MANAGER, Writer};
use crate::domain::patch;

const OLD: &str = "shop.example/app:1.4.0";
const NEW: &str = "shop.example/app:1.5.0";
const EDGE: &str = "shop.example/edge:edge";

/// An updater that leads: each look is at what it saw before.
#[derive(Default)]
pub(super) struct Leader(Seen);

impl Leader {
    pub(super) fn look(&mut self, workload: &Workload) -> Assessment {
        self.look_by(workload, Some(Ok(Arc::default())))
    }

    /// Where this was read of its `ReplicaSets`.
    pub(super) fn look_by(&mut self, workload: &Workload, read: Option<ReplicaSetsRead>) -> Assessment {
        let demands = ["edge digest", "edge digest pinned"];
        let edge = record("shop.example/edge", &demands, &["edge"]);
        let snapshot = Snapshot {
            seen: std::mem::take(&mut self.0),
            replica_sets: read
                .map(|read| (workload.uid.clone(), read))
                .into_iter()
                .collect(),
            ..snapshot(workload.clone(), vec![app(), edge])
        };
        let plan = plan(&snapshot, &LIMITS, now());
        self.0 = snapshot.seen.clone();
        self.0.take_in(&plan);
        plan.assessments.into_iter().next().unwrap()
    }
}

pub(super) fn checkout(annotations: &[(&str, &str)], image: &str) -> Workload {
    workload(&[AUTO.as_slice(), annotations].concat(), &[("app", image)])
}

/// What is held in the place of the hold annotation, and `None` where nothing is noted.
pub(super) fn holds(assessment: &Assessment) -> Option<String> {
    let Action::TakenBack(taken_back) = &assessment.action else {
        return None;
    };
    assert_eq!(taken_back.holds.len(), 1, "{taken_back:?}");
    taken_back.holds.get(HOLD).cloned()
}

/// The workload after the patch of annotations that the assessment leads to.
pub(super) fn noted(workload: &Workload, assessment: &Assessment) -> Workload {
    let Action::TakenBack(taken_back) = &assessment.action else {
        panic!("{:?}", assessment.action)
    };
    let body = patch::take_note("41", taken_back, now()).0;
    let mut noted = workload.clone();
    for (key, value) in body["metadata"]["annotations"].as_object().unwrap() {
        match value.as_str() {
            Some(value) => noted.annotations.insert(key.clone(), value.to_owned()),
            None => noted.annotations.remove(key),
        };
    }
    noted
}

fn edge(fill: char) -> String {
    format!("shop.example/edge:edge@{}", digest(fill))
}

#[test]
fn an_older_image_that_somebody_sets_is_told_from_any_other_change() {
    let digest_held = format!("edge@{}", digest('b'));
    for (before, after, expected) in [
        (NEW, OLD, Some("<=1.5.0")),
        (NEW, "shop.example/app:0.9.0", Some("<=1.5.0")),
        (NEW, "shop.example/app:1.5.0-rc.1", Some("<=1.5.0")),
        // Further than the policy would go.
        ("shop.example/app:2.0.0", OLD, Some("<=2.0.0")),
        (
            "shop.example/app:1.5.0@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
            OLD,
            Some("<=1.5.0"),
        ),
        // What the registry publishes under the tag is what would be given again.
        (&edge('b'), &edge('a'), Some(digest_held.as_str())),
        (&edge('b'), EDGE, Some(digest_held.as_str())),
        // Something newer is published by now, and nobody has left that.
        (&edge('a'), EDGE, None),
        (EDGE, &edge('a'), None),
        (EDGE, &edge('b'), None),
        (&edge('a'), &edge('b'), None),
        (&edge('a'), &edge('d'), None),
        (OLD, NEW, None),
        (NEW, NEW, None),
        (NEW, "other.example/app:1.4.0", None),
        // Of another ladder, on which the policy would go on to what was left.
        (NEW, "shop.example/app:1.4.0-alpine", Some("<=1.5.0-alpine")),
        (NEW, "shop.example/app:1.4", Some("<=1.5")),
        ("shop.example/app:1.5", OLD, Some("<=1.5.999999")),
        (NEW, "shop.example/app:1.5.0-alpine", None),
        (NEW, "shop.example/app:1.6", None),
        (NEW, "shop.example/app:edge", None),
        ("Not An Image", OLD, None),
    ] {
        let mut leader = Leader::default();
        leader.look(&checkout(&[], before));
        let found = leader.look(&checkout(&[], after));
        assert_eq!(holds(&found).as_deref(), expected, "{before} -> {after}");
        let mut another = checkout(&[], after);
        another.uid = "5678".to_owned();
        let mut leader = Leader::default();
        leader.look(&checkout(&[], before));
        assert_eq!(holds(&leader.look(&another)), None, "made anew: {after}");
    }
}

#[test]
fn where_later_variants_are_followed_what_was_left_of_one_is_held_itself() {
    let (left, chosen) = (
        "shop.example/app:1.5.0-alpine3.22",
        "shop.example/app:1.4.0-alpine3.19",
    );
    for (follows, expected) in [("true", "<=1.5.0-alpine3.22"), ("false", "<=1.5.0-alpine3.19")] {
        let follow = [("kubefresh.dev/follow-variants", follows)];
        let mut leader = Leader::default();
        leader.look(&checkout(&follow, left));
        let found = leader.look(&checkout(&follow, chosen));
        assert_eq!(holds(&found).as_deref(), Some(expected), "{follows}");
    }
}

#[test]
fn what_is_held_already_is_not_written_again_and_what_is_not_stands_beside_it() {
    for (held, expected) in [
        ("1.4.9", Some("1.4.9 <=1.5.0")),
        ("1.5.0", Some("1.5.0 <=1.5.0")),
        ("<=1.4.9", Some("<=1.4.9 <=1.5.0")),
        ("<=1.5.0", None),
        ("<=1.6.0", None),
    ] {
        let mut leader = Leader::default();
        leader.look(&checkout(&[(HOLD, held)], NEW));
        let found = leader.look(&checkout(&[(HOLD, held)], OLD));
        assert_eq!(holds(&found).as_deref(), expected, "{held}");
    }
}

#[test]
fn only_where_something_would_be_given_again_it_has_to_be_held() {
    for (mode, expected) in [
        ("auto", true),
        ("approve", true),
        ("notify", false),
        ("off", false),
    ] {
        let mut leader = Leader::default();
        let at = |image| checkout(&[("kubefresh.dev/mode", mode)], image);
        leader.look(&at(NEW));
        assert_eq!(holds(&leader.look(&at(OLD))).is_some(), expected, "{mode}");
    }
    let mut paused = checkout(&[], OLD);
    paused.paused = true;
    let mut leader = Leader::default();
    leader.look(&checkout(&[], NEW));
    assert!(holds(&leader.look(&paused)).is_some());
}

#[test]
fn it_is_noted_once_and_nothing_is_noted_of_reverts_to_what_was_chosen() {
    let mut leader = Leader::default();
    leader.look(&checkout(&[], NEW));
    let left = checkout(&[], OLD);
    // As long as it is not written, it has to be; also where the settings cannot be read in between.
    assert!(holds(&leader.look(&left)).is_some());
    leader.look(&checkout(&[("kubefresh.dev/policy", "best")], OLD));
    let found = leader.look(&left);
    assert!(
        matches!(found.containers[0].verdict, Verdict::Held { .. }),
        "{found:?}"
    );
    let mut noted = noted(&left, &found);
    assert_eq!(noted.annotations[LAST_CHANGE], format!("app: {NEW} -> {OLD}"));
    assert_eq!(noted.annotations[LAST_RESULT], "taken back: <=1.5.0 is held");
    for image in [OLD, NEW, OLD, "shop.example/app:1.4.9", OLD, OLD] {
        noted.containers[0].image = image.to_owned();
        assert!(matches!(leader.look(&noted).action, Action::Nothing), "{image}");
        assert_eq!(holds(&Leader::default().look(&noted)), None, "{image}");
    }
    // Once it is let go, it is given again, whoever leads.
    noted.annotations.remove(HOLD);
    for mut leader in [leader, Leader::default()] {
        assert!(matches!(leader.look(&noted).action, Action::Start(_)));
    }
}

#[test]
fn a_hold_that_is_taken_away_together_with_what_was_noted_still_stands_until_it_is_released() {
    let [back, failed] = ["<=1.5.0", "1.5.0"].map(|hold| {
        let change = format!("app: {NEW} -> {OLD}");
        checkout(&[(LAST_CHANGE, change.as_str()), (HOLD, hold)], OLD)
    });
    // Also by somebody who then has an older note in Git.
    let before = format!("app: shop.example/app:1.3.0 -> {OLD}");
    for theirs in [&[][..], &[(LAST_CHANGE, before.as_str())]] {
        for (noted_before, hold) in [(&back, "<=1.5.0"), (&failed, "1.5.0")] {
            let mut leader = Leader::default();
            leader.look(noted_before);
            let stripped = checkout(theirs, OLD);
            for _ in 0..3 {
                // As long as it is not written, and again once that is taken away.
                for _ in 0..2 {
                    let found = leader.look(&stripped);
                    assert_eq!(holds(&found).as_deref(), Some(hold), "{theirs:?}");
                }
                let again = noted(&stripped, &leader.look(&stripped));
                assert!(matches!(leader.look(&again).action, Action::Nothing));
            }
            let found = leader.look(&checkout(&[("kubefresh.dev/approved", "1.5.0")], OLD));
            assert!(matches!(found.action, Action::Start(_)), "{found:?}");
        }
    }
    // What is left of it was chosen: the hold was lifted, before or alone.
    let mut released = back.clone();
    released.annotations.remove(HOLD);
    let mut leader = Leader::default();
    leader.look(&back);
    assert!(matches!(leader.look(&released).action, Action::Start(_)));
    assert!(matches!(
        leader.look(&checkout(&[], OLD)).action,
        Action::Start(_)
    ));
    // It is about another image.
    let mut leader = Leader::default();
    leader.look(&back);
    assert_eq!(
        holds(&leader.look(&checkout(&[], "shop.example/app:1.4.9"))),
        None
    );
}

#[test]
fn the_first_digest_of_a_moving_tag_that_somebody_takes_away_is_held_once_whoever_leads() {
    let given = format!("app: {EDGE} -> {}", edge('b'));
    let digest_held = format!("edge@{}", digest('b'));
    let mut saw_it = Leader::default();
    saw_it.look(&checkout(&[(LAST_CHANGE, &given)], &edge('b')));
    // An undo takes what was given last away with it; a plain change of the image leaves it for whoever comes to lead.
    for (mut leader, back) in [
        (saw_it, checkout(&[], EDGE)),
        (Leader::default(), checkout(&[(LAST_CHANGE, &given)], EDGE)),
    ] {
        let found = leader.look(&back);
        assert_eq!(holds(&found).as_deref(), Some(digest_held.as_str()));
        let noted = noted(&back, &found);
        for mut leader in [leader, Leader::default()] {
            assert!(matches!(leader.look(&noted).action, Action::Nothing));
        }
    }
    // And a rollback of ours to the bare tag is told already.
    let undone = format!("app: {} -> {EDGE}", edge('b'));
    let mut leader = Leader::default();
    leader.look(&checkout(&[], &edge('b')));
    for mut leader in [leader, Leader::default()] {
        let found = leader.look(&checkout(&[(LAST_CHANGE, &undone)], EDGE));
        assert_eq!(holds(&found), None);
    }
}

#[test]
fn a_rollback_of_ours_is_nothing_that_somebody_took_back() {
    let change = ImageChange {
        from: OLD.to_owned(),
        to: NEW.to_owned(),
        digest: None,
        ran: None,
    };
    let update = InFlight::new(
        BTreeMap::from([("app".to_owned(), change)]),
        now(),
        SignedDuration::from_mins(10),
    );
    let back = rollback::undone(&update);
    let (update, back_marker) = (update.to_annotation(), back.to_annotation());
    let change = back.summary();
    let ended = checkout(&[(LAST_CHANGE, &change), (HOLD, "1.5.0")], OLD);
    let mut leader = Leader::default();
    leader.look(&checkout(&[(IN_FLIGHT, &update)], NEW));
    let found = leader.look(&checkout(&[(IN_FLIGHT, &back_marker), (HOLD, "1.5.0")], OLD));
    assert!(matches!(found.action, Action::Follow { .. }), "{found:?}");
    assert!(matches!(leader.look(&ended).action, Action::Nothing));
    // And where a look came too late to see the rollback under way.
    let mut leader = Leader::default();
    leader.look(&checkout(&[(IN_FLIGHT, &update)], NEW));
    assert!(matches!(leader.look(&ended).action, Action::Nothing));
}

#[test]
fn whoever_comes_to_lead_knows_by_what_was_given_last_unless_somebody_agreed_to_more() {
    let given = format!("app: {OLD} -> {NEW}");
    let foreign = format!("app: {OLD} -> other.example/app:1.5.0");
    for (last, more, image, expected) in [
        (&given, &[][..], OLD, Some("<=1.5.0")),
        (&given, &[], "shop.example/app:1.3.0", Some("<=1.5.0")),
        (&given, &[], NEW, None),
        (&given, &[], "shop.example/app:1.6.0", None),
        (&given, &[("kubefresh.dev/approved", "1.5.0")], OLD, None),
        (&foreign, &[], OLD, None),
    ] {
        let annotations = [more, &[(LAST_CHANGE, last.as_str())]].concat();
        let found = Leader::default().look(&checkout(&annotations, image));
        assert_eq!(holds(&found).as_deref(), expected, "{last}; {image} {more:?}");
    }
}

#[test]
fn an_undo_that_brings_back_annotations_of_that_time_is_seen_for_what_it_is() {
    let given_then = format!("app: shop.example/app:1.3.0 -> {OLD}");
    let given = format!("app: {OLD} -> {NEW}");
    let ended = (LAST_UPDATE, "2026-11-21T02:00:00Z");
    let agreed = ("kubefresh.dev/approved", "1.5.0");
    let mut leader = Leader::default();
    leader.look(&checkout(&[(LAST_CHANGE, &given), ended], NEW));
    let back = checkout(&[(LAST_CHANGE, &given_then), agreed], OLD);
    let found = leader.look(&back);
    assert_eq!(holds(&found).as_deref(), Some("<=1.5.0"));
    let noted = noted(&back, &found);
    assert!(!noted.annotations.contains_key(agreed.0), "{noted:?}");
    let Action::TakenBack(taken_back) = found.action else {
        unreachable!()
    };
    assert_eq!(taken_back.after.as_deref(), Some(ended.1));
}

#[test]
fn each_time_that_somebody_goes_back_is_told_from_the_one_before_though_what_was_seen_lags_behind() {
    let ended = |at: &'static str| [(LAST_UPDATE, at)];
    let mut leader = Leader::default();
    leader.look(&checkout(&ended("2026-11-21T02:00:00Z"), NEW));
    // The end of the update and the older image are seen at once.
    let found = leader.look(&checkout(&ended("2026-11-21T02:30:00Z"), OLD));
    let Action::TakenBack(taken_back) = found.action else {
        panic!("nobody went back")
    };
    assert_eq!(taken_back.after.as_deref(), Some("2026-11-21T02:30:00Z"));
}

/// The workload after the patch of annotations that ends an update.
fn ended(workload: &Workload, assessment: &Assessment) -> Workload {
    let Action::Follow { in_flight, .. } = &assessment.action else {
        panic!("{:?}", assessment.action)
    };
    let mut ended = workload.clone();
    ended.annotations.remove(IN_FLIGHT);
    let time = now().to_string();
    let result = [(LAST_CHANGE, in_flight.summary()), (LAST_UPDATE, time)];
    ended
        .annotations
        .extend(result.map(|(key, value)| (key.to_owned(), value)));
    ended
}

#[test]
fn an_undo_in_the_middle_of_a_rollout_takes_its_marker_away_and_is_its_end_all_the_same() {
    let marker = rollback::marker(&[("app", rollback::change(OLD, NEW))]);
    let rolling = checkout(&[(IN_FLIGHT, &marker.to_annotation())], NEW);
    let given_then = format!("app: shop.example/app:1.3.0 -> {OLD}");
    // What the former update left on its revision.
    let mut copy = marker.clone();
    copy.started -= SignedDuration::from_hours(1);
    let copy = copy.to_annotation();
    for back in [
        checkout(&[], OLD),
        checkout(
            &[(LAST_CHANGE, &given_then), (LAST_UPDATE, "2026-11-20T02:00:00Z")],
            OLD,
        ),
    ] {
        let mut leader = Leader::default();
        leader.look(&rolling);
        // What has not been written down yet is told again.
        for _ in 0..2 {
            let found = leader.look(&back);
            let Action::Follow {
                in_flight, status, ..
            } = &found.action
            else {
                panic!("{:?}", found.action)
            };
            assert_eq!(**in_flight, marker);
            assert!(matches!(status, RolloutStatus::Superseded { .. }), "{status:?}");
        }
        let found = leader.look(&back);
        let ended = ended(&back, &found);
        assert_eq!(holds(&leader.look(&ended)).as_deref(), Some("<=1.5.0"));
    }
    // Nobody saw it, or it had ended before, or goes on.
    let follows = |before: &[&Workload], then: &Workload| {
        let mut leader = Leader::default();
        for workload in before {
            leader.look(workload);
        }
        matches!(leader.look(then).action, Action::Follow { .. })
    };
    assert!(!follows(&[], &checkout(&[], OLD)));
    assert!(!follows(&[&rolling], &checkout(&[], NEW)));
    assert!(!follows(&[&rolling, &checkout(&[], NEW)], &checkout(&[], OLD)));
    let set_back = checkout(&[(IN_FLIGHT, &marker.to_annotation())], OLD);
    assert!(
        !follows(&[&rolling, &set_back], &checkout(&[], OLD)),
        "its end is told already"
    );
    let copied = checkout(&[(IN_FLIGHT, &copy)], NEW);
    assert!(follows(
        &[&copied, &rolling],
        &checkout(&[(IN_FLIGHT, &copy)], OLD)
    ));
}

#[test]
fn a_marker_that_an_undo_brings_back_is_not_followed_by_whoever_saw_its_end() {
    let change = ImageChange {
        from: OLD.to_owned(),
        to: NEW.to_owned(),
        digest: None,
        ran: None,
    };
    let failed = InFlight::new(
        BTreeMap::from([("app".to_owned(), change)]),
        now() - SignedDuration::from_hours(1),
        SignedDuration::from_mins(10),
    );
    let back = rollback::undone(&failed);
    let failed = failed.to_annotation();
    let brought_back = checkout(&[(IN_FLIGHT, &failed)], NEW);
    let mut leader = Leader::default();
    // Its updater may have died: then the next one goes on from it.
    assert!(matches!(
        leader.look(&brought_back).action,
        Action::RollBack { .. }
    ));
    assert!(matches!(
        leader.look(&brought_back).action,
        Action::RollBack { .. }
    ));
    leader.look(&checkout(
        &[(IN_FLIGHT, &back.to_annotation()), (HOLD, "1.5.0")],
        OLD,
    ));
    leader.look(&checkout(&[(LAST_CHANGE, &back.summary()), (HOLD, "1.5.0")], OLD));
    let found = leader.look(&brought_back);
    let noted = noted(&brought_back, &found);
    assert!(!noted.annotations.contains_key(IN_FLIGHT) && !noted.annotations.contains_key(HOLD));
    assert_eq!(noted.annotations[LAST_CHANGE], format!("app: {OLD} -> {NEW}"));
    assert!(matches!(leader.look(&noted).action, Action::Nothing));
    // What they go back to from there is told as ever.
    let found = leader.look(&checkout(&[], OLD));
    assert_eq!(holds(&found).as_deref(), Some("<=1.5.0"));
}

/// Of a Deployment whose template is the `present` one by its controller's count, and whose image `writer` set.
fn brought_back(replaced: Option<i64>, present: Option<i64>, writer: Option<&str>) -> Workload {
    let changes = [("app", rollback::change(OLD, NEW))];
    let mut failed = rollback::marker(&changes);
    failed.replaced = replaced;
    let failed = failed.to_annotation();
    let mut workload = checkout(&[(IN_FLIGHT, &failed), (UNDO, "1.5.0")], NEW);
    workload.containers[0].ownership.writer = writer.map(|manager| Writer {
        manager: manager.to_owned(),
        at: None,
    });
    if let RolloutFacts::Deployment(facts) = &mut workload.rollout {
        facts.revision = present;
    }
    workload
}

#[test]
fn whoever_comes_to_lead_tells_a_marker_that_an_undo_brings_back_by_a_later_revision_that_others_wrote() {
    let (ours, kubectl) = (Some(FIELD_MANAGER), Some("kubectl"));
    for (replaced, present, writer, expected) in [
        (Some(1), Some(4), kubectl, true),
        (Some(1), Some(3), kubectl, true),
        (Some(1), Some(3), None, true),
        // Of the update itself, and before its controller has seen it.
        (Some(1), Some(2), kubectl, false),
        (Some(1), Some(1), kubectl, false),
        // Somebody changed something else of the template meanwhile.
        (Some(1), Some(3), ours, false),
        // Nobody counts, or an updater of before has written it.
        (None, Some(4), kubectl, false),
        (Some(1), None, kubectl, false),
    ] {
        let workload = brought_back(replaced, present, writer);
        let found = Leader::default().look(&workload);
        let what = format!("{replaced:?} {present:?} {writer:?}");
        let is_over = matches!(found.action, Action::TakenBack(_));
        assert_eq!(is_over, expected, "{what}");
        // A request that came back with it undoes nothing.
        assert_eq!(!found.refused.is_empty(), expected, "{what}");
        assert_eq!(matches!(found.action, Action::Undo { .. }), !expected, "{what}");
        if expected {
            let noted = noted(&workload, &found);
            assert!(!noted.annotations.contains_key(IN_FLIGHT), "{what}");
        }
    }
}

#[test]
fn an_update_that_we_began_is_no_copy_though_somebody_writes_its_image_in_a_later_template() {
    let mut before = checkout(&[], OLD);
    if let RolloutFacts::Deployment(facts) = &mut before.rollout {
        facts.revision = Some(1);
    }
    let mut snapshot = snapshot(before, vec![app()]);
    let first = plan(&snapshot, &LIMITS, now());
    let Action::Start(update) = &first.assessments[0].action else {
        panic!("{first:?}")
    };
    snapshot.seen.take_in(&first);
    snapshot.seen.gave(&first.assessments[0], update);
    let mut applied = brought_back(Some(1), Some(3), Some("helm"));
    "42".clone_into(&mut applied.resource_version);
    let marker = update.in_flight.to_annotation();
    applied.annotations = checkout(&[(IN_FLIGHT, &marker)], NEW).annotations;
    let look = |snapshot: &Snapshot| plan(snapshot, &LIMITS, now()).assessments.remove(0).action;
    snapshot.workloads = vec![Arc::new(applied)];
    assert!(matches!(look(&snapshot), Action::Follow { .. }));
    // Who has not begun it cannot know.
    snapshot.seen = Seen::default();
    assert!(matches!(look(&snapshot), Action::TakenBack(_)));
}

#[test]
fn of_several_containers_each_has_its_own_hold_and_those_that_stay_have_none() {
    let images = |app: &'static str, side: &'static str| [("app", app), ("side", side), ("migrate", OLD)];
    let mut leader = Leader::default();
    leader.look(&workload(&AUTO, &images(NEW, NEW)));
    let found = leader.look(&workload(&AUTO, &images(OLD, "shop.example/app:1.3.0")));
    let Action::TakenBack(taken_back) = found.action else {
        panic!("{found:?}")
    };
    let held = ["app", "side"].map(|name| (format!("{name}.{HOLD}"), "<=1.5.0".to_owned()));
    assert_eq!(taken_back.holds, held.into());
    assert_eq!(
        taken_back.summary(),
        format!("app: {NEW} -> {OLD}, side: {NEW} -> shop.example/app:1.3.0")
    );
}

#[test]
fn what_a_patch_of_ours_gave_counts_as_seen_once_the_watch_shows_another_version() {
    let mut leader = Leader::default();
    let before = checkout(&[], OLD);
    let started = leader.look(&before);
    let update = begun(&started);
    leader.0.gave(&started, update);
    // A watch that lags shows what the patch was made from.
    for _ in 0..2 {
        let action = leader.look(&before).action;
        assert!(matches!(action, Action::Start(_)), "{action:?}");
    }
    let mut replaced = before;
    replaced.resource_version = "43".to_owned();
    let found = leader.look(&replaced);
    let ended = ended(&replaced, &found);
    assert_eq!(holds(&leader.look(&ended)).as_deref(), Some("<=1.5.0"));

    let mut leader = Leader::default();
    leader.look(&checkout(&[], OLD));
    leader.0.gave(&started, update);
    let mut shown = checkout(&[(IN_FLIGHT, &update.in_flight.to_annotation())], NEW);
    shown.resource_version = "42".to_owned();
    assert!(matches!(leader.look(&shown).action, Action::Follow { .. }));
}

#[test]
fn a_watch_that_lags_behind_a_patch_made_beside_a_refused_request_shows_no_step_back() {
    let mut leader = Leader::default();
    leader.look(&checkout(&[], OLD));
    let mut asked = checkout(&[(UNDO, "1.3.0")], OLD);
    asked.resource_version = "43".to_owned();
    let started = leader.look(&asked);
    assert_eq!(started.refused.len(), 1);
    leader.0.gave(&started, begun(&started));
    let action = leader.look(&asked).action;
    assert!(matches!(action, Action::Start(_)), "{action:?}");
}

fn begun(assessment: &Assessment) -> &Update {
    let Action::Start(update) = &assessment.action else {
        panic!("not started: {:?}", assessment.action)
    };
    update
}
