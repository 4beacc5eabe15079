use std::sync::Arc;

use super::*;
use crate::domain::annotations::LONGEST;
use crate::domain::decision::KnownBy;
use crate::domain::plan::tests::{AUTO, LIMITS, app, now, snapshot, workload};
use crate::domain::plan::{Action, plan};

const OLD: &str = "shop.example/app:1.4.0";

/// A workload with two containers, and how it stands.
fn stage(annotations: &[(&str, &str)]) -> (Arc<Workload>, Assessment) {
    let all = [AUTO.as_slice(), &[("kubefresh.dev/mode", "approve")], annotations].concat();
    let workload = workload(&all, &[("app", OLD), ("side", OLD)]);
    let snapshot = snapshot(workload, vec![app()]);
    let assessment = plan(&snapshot, &LIMITS, now()).assessments.remove(0);
    (Arc::clone(&snapshot.workloads[0]), assessment)
}

fn alice() -> Decider {
    Decider::in_cluster("alice")
}

/// `KEY=VALUE`, and `KEY-` for what is removed, as kubectl has it.
fn written(change: &Change) -> Vec<String> {
    let as_typed = |(key, value): (&String, &Option<String>)| match value {
        Some(value) => format!("{key}={value}"),
        None => format!("{key}-"),
    };
    change.annotations.iter().map(as_typed).collect()
}

fn holds(text: &[&str]) -> Vec<Hold> {
    text.iter().map(|hold| hold.parse().unwrap()).collect()
}

#[test]
fn what_waits_is_approved_in_one_container_or_in_all_and_then_no_longer_waits() {
    let (_, assessment) = stage(&[]);
    let both = approve(&assessment, None, Exactness::Tag, &alice()).unwrap();
    assert_eq!(
        written(&both),
        [
            "app.kubefresh.dev/approved=1.5.0",
            "side.kubefresh.dev/approved=1.5.0"
        ]
    );
    let one = approve(&assessment, Some("side"), Exactness::Tag, &alice()).unwrap();
    assert_eq!(written(&one), ["side.kubefresh.dev/approved=1.5.0"]);
    assert_eq!(
        one.meaning,
        ["container side: shop.example/app:1.4.0 -> shop.example/app:1.5.0 is approved"]
    );
    let (_, after) = stage(&[
        ("app.kubefresh.dev/approved", "1.5.0"),
        ("side.kubefresh.dev/approved", "1.5.0"),
    ]);
    let error = approve(&after, None, Exactness::Tag, &alice())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("nothing of deployment shop/checkout waits for approval: container app: update to"),
        "{error}"
    );
    let error = approve(&assessment, Some("web"), Exactness::Tag, &alice())
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("has no watched container web; it has app, side"),
        "{error}"
    );
}

#[test]
fn a_scan_is_asked_for_where_one_would_be_made() {
    let (_, assessment) = stage(&[]);
    let change = check_now(&assessment, now()).unwrap();
    assert_eq!(written(&change), [format!("kubefresh.dev/check-now={}", now())]);
    let (_, stopped) = stage(&[("kubefresh.dev/policy", "never heard of")]);
    let error = check_now(&stopped, now()).unwrap_err().to_string();
    assert!(
        error.ends_with("no scan would be made for it: kubefresh-updater plan says why"),
        "{error}"
    );
}

#[test]
fn what_is_offered_or_named_is_held_beside_what_was_held_before() {
    let (_, assessment) = stage(&[("side.kubefresh.dev/hold", "1.4.9")]);
    let offered = hold(&assessment, None, &[]).unwrap();
    assert_eq!(
        written(&offered),
        [
            "app.kubefresh.dev/hold=1.5.0",
            "side.kubefresh.dev/hold=1.4.9 1.5.0"
        ]
    );
    let named = hold(&assessment, None, &holds(&["<=2.0.0", "1.4.7"])).unwrap();
    assert_eq!(written(&named), ["kubefresh.dev/hold=<=2.0.0 1.4.7"]);
    let again = hold(&assessment, Some("side"), &holds(&["1.4.9"])).unwrap();
    assert_eq!(written(&again), ["side.kubefresh.dev/hold=1.4.9"]);
    let (_, nothing_new) = stage(&[("kubefresh.dev/hold", "1.5.0")]);
    let error = hold(&nothing_new, None, &[]).unwrap_err().to_string();
    assert!(error.contains("is offered nothing that could be held"), "{error}");
}

#[test]
fn what_is_held_is_let_go_one_version_or_all() {
    let (workload, _) = stage(&[
        ("kubefresh.dev/hold", "1.5.0 <=1.4.9"),
        ("side.kubefresh.dev/hold", "1.5.0"),
    ]);
    let released = |container, versions: &[&str]| {
        release(&workload, container, &holds(versions)).map(|change| written(&change))
    };
    assert_eq!(
        released(None, &["1.5.0"]).unwrap(),
        ["kubefresh.dev/hold=<=1.4.9", "side.kubefresh.dev/hold-"]
    );
    assert_eq!(
        released(None, &[]).unwrap(),
        ["kubefresh.dev/hold-", "side.kubefresh.dev/hold-"]
    );
    assert_eq!(released(Some("side"), &[]).unwrap(), ["side.kubefresh.dev/hold-"]);
    assert!(matches!(
        released(None, &["1.6.0"]),
        Err(SteerError::NotHeld { .. })
    ));
    assert!(matches!(
        released(Some("app"), &[]),
        Err(SteerError::NothingHeld { .. })
    ));
}

#[test]
fn the_last_update_is_asked_to_be_undone_by_exactly_what_it_gave() {
    let new = "shop.example/app:1.5.0";
    let given = format!(r#"{{"from":"{OLD}","to":"{new}"}}"#);
    let last = format!(r#"{{"containers":{{"app":{given},"side":{given}}}}}"#);
    let last = [("kubefresh.dev/last-images", last.as_str())];
    let two = workload(&last, &[("app", new), ("side", new)]);
    let asked = |workload: &Workload, container| rollback(workload, container).map(|change| written(&change));
    assert_eq!(
        asked(&two, None).unwrap(),
        ["app.kubefresh.dev/undo=1.5.0", "side.kubefresh.dev/undo=1.5.0"]
    );
    assert_eq!(
        asked(&two, Some("side")).unwrap(),
        ["side.kubefresh.dev/undo=1.5.0"]
    );
    assert_eq!(
        rollback(&two, Some("side")).unwrap().meaning,
        [format!("container side: {new} -> {OLD} is asked for")]
    );
    let changed = workload(&last, &[("app", OLD), ("side", new)]);
    for (workload, container) in [
        (&two, Some("web")),
        (&changed, None),
        (&workload(&[], &[("app", new)]), None),
    ] {
        let error = rollback(workload, container).unwrap_err();
        assert!(matches!(error, SteerError::NothingToUndo { .. }), "{error}");
    }
}

#[test]
fn what_no_longer_fits_among_what_is_held_is_told() {
    // As long as a value may be.
    let many: Vec<String> = (0..LONGEST / 128)
        .map(|number| format!("{number:0>127}"))
        .collect();
    let (_, assessment) = stage(&[("kubefresh.dev/hold", &many.join(" "))]);
    let change = hold(&assessment, None, &holds(&["1.5.0"])).unwrap();
    let oldest = &many[0];
    assert_eq!(
        change.meaning,
        [
            "1.5.0 is held by kubefresh.dev/hold".to_owned(),
            format!("{oldest} is no longer held by kubefresh.dev/hold, which keeps the latest only"),
        ]
    );
}

#[test]
fn who_decided_is_written_beside_what_follows_from_it_for_each_container_on_what_it_was_offered() {
    let (workload, assessment) = stage(&[]);
    let by = Decider::by_link();
    let until = "2026-11-24T03:00:00Z".parse().unwrap();
    let signed = |change: Change, decision| {
        let word = Word {
            decision,
            by: &by,
            link_until: Some(until),
        };
        let annotations = change.signed(&workload, word, now()).unwrap().annotations;
        let kept = annotations
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        Journal::read(&kept.collect()).unwrap()
    };
    let offers: Vec<String> = assessment
        .containers
        .iter()
        .map(|entry| offer(&assessment.workload.uid, entry, entry.verdict.target().unwrap()))
        .collect();
    for (change, decision) in [
        (
            approve(&assessment, None, Exactness::Digest, &alice()),
            Decision::Approve,
        ),
        (hold(&assessment, None, &[]), Decision::Hold),
        (not_now(&assessment, None), Decision::NotNow),
    ] {
        let journal = signed(change.unwrap(), decision);
        for offer in &offers {
            let used: Vec<&Entry> = journal.used(offer, until).collect();
            assert_eq!(used.len(), 1, "{decision:?}");
            assert_eq!((used[0].decision, &used[0].by), (decision, &by));
        }
    }
    let released = hold(&assessment, None, &holds(&["1.4.9"])).unwrap();
    let word = Word {
        decision: Decision::Hold,
        by: &by,
        link_until: None,
    };
    let value = released.signed(&workload, word, now()).unwrap().annotations;
    let value = value["kubefresh.dev/decided-by"].clone().unwrap();
    assert!(value.contains("1.4.9 is held by kubefresh.dev/hold"), "{value}");
}

/// A workload of which two people have to agree to updates, and what they said.
struct Two(BTreeMap<String, String>);

impl Two {
    fn stage(&self) -> (Arc<Workload>, Assessment) {
        let said = self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = said.chain([("kubefresh.dev/approvers", "2")]).collect();
        stage(&all)
    }

    fn verdict(&self) -> String {
        self.stage().1.containers[0].verdict.to_string()
    }

    /// What it means that somebody agrees, which is written.
    fn agree(&mut self, by: &Decider) -> Result<Change, SteerError> {
        let (workload, assessment) = self.stage();
        let word = Word {
            decision: Decision::Approve,
            by,
            link_until: None,
        };
        let change = approve(&assessment, Some("app"), Exactness::Tag, by)?;
        let change = change.signed(&workload, word, now())?;
        let written = change.annotations.clone().into_iter();
        self.0.extend(written.map(|(key, value)| (key, value.unwrap())));
        Ok(change)
    }
}

#[test]
fn where_several_people_have_to_agree_each_word_is_written_and_the_last_one_opens_the_gate() {
    let mut two = Two(BTreeMap::new());
    let new = "shop.example/app:1.5.0";
    let waits = |approvals: &str| format!("{new} waits for approval, {approvals}");
    assert_eq!(two.verdict(), waits("0 of 2 approvals"));
    let first = two.agree(&alice()).unwrap();
    assert_eq!(
        first.meaning,
        [format!(
            "container app: {OLD} -> {new} has 1 of 2 approvals (alice)"
        )]
    );
    assert_eq!(
        first.annotations.keys().collect::<Vec<_>>(),
        ["kubefresh.dev/approved-by"]
    );
    assert_eq!(two.verdict(), waits("1 of 2 approvals (alice)"));
    two.0
        .insert("kubefresh.dev/last-update".to_owned(), now().to_string());
    assert_eq!(
        two.verdict(),
        waits("1 of 2 approvals (alice)"),
        "an update of another container uses up nothing"
    );
    let again = two.agree(&alice()).unwrap_err().to_string();
    assert!(
        again.starts_with("alice (known to the cluster) has agreed before: 1 of 2 approvals (alice);"),
        "{again}"
    );
    let by_hand = "app.kubefresh.dev/approved".to_owned();
    two.0.insert(by_hand, "1.5.0".to_owned());
    assert_eq!(
        two.verdict(),
        waits("1 of 2 approvals (alice)"),
        "an annotation names nobody"
    );
    let token = Decider {
        name: "bob".to_owned(),
        known_by: KnownBy::Token,
    };
    for unknown in [Decider::by_link(), Decider::nobody_knows(), token] {
        let refused = two.agree(&unknown).unwrap_err().to_string();
        let expected = format!("the word of {unknown} does not count here: 1 of 2 approvals (alice);");
        assert!(refused.starts_with(&expected), "{refused}");
    }
    two.agree(&Decider::in_cluster("bob")).unwrap();
    assert_eq!(two.verdict(), format!("update to {new}"));
    let Action::Start(update) = two.stage().1.action else {
        panic!("it does not start");
    };
    for (key, value) in update.spent {
        match value {
            Some(value) => two.0.insert(key, value),
            None => two.0.remove(&key),
        };
    }
    assert_eq!(two.verdict(), waits("0 of 2 approvals"), "all of it is used up");
}
