use std::sync::Arc;

use super::*;
use crate::domain::plan::plan;
use crate::domain::plan::tests::{AUTO, LIMITS, app, now, snapshot, workload};

const OLD: &str = "shop.example/app:1.4.0";

/// A workload with two containers, and how it stands.
fn stage(annotations: &[(&str, &str)]) -> (Arc<Workload>, Assessment) {
    let all = [AUTO.as_slice(), &[("kubefresh.dev/mode", "approve")], annotations].concat();
    let workload = workload(&all, &[("app", OLD), ("side", OLD)]);
    let snapshot = snapshot(workload, vec![app()]);
    let assessment = plan(&snapshot, &LIMITS, now()).assessments.remove(0);
    (Arc::clone(&snapshot.workloads[0]), assessment)
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
    let both = approve(&assessment, None).unwrap();
    assert_eq!(
        written(&both),
        [
            "app.kubefresh.dev/approved=1.5.0",
            "side.kubefresh.dev/approved=1.5.0"
        ]
    );
    let one = approve(&assessment, Some("side")).unwrap();
    assert_eq!(written(&one), ["side.kubefresh.dev/approved=1.5.0"]);
    assert_eq!(
        one.meaning,
        ["container side: shop.example/app:1.4.0 -> shop.example/app:1.5.0 is approved"]
    );
    let (_, after) = stage(&[
        ("app.kubefresh.dev/approved", "1.5.0"),
        ("side.kubefresh.dev/approved", "1.5.0"),
    ]);
    let error = approve(&after, None).unwrap_err().to_string();
    assert!(
        error.contains("nothing of deployment shop/checkout waits for approval: container app: update to"),
        "{error}"
    );
    let error = approve(&assessment, Some("web")).unwrap_err().to_string();
    assert!(
        error.ends_with("has no watched container web; it has app, side"),
        "{error}"
    );
}

#[test]
fn what_is_offered_or_named_is_held_beside_what_was_held_before() {
    let (workload, assessment) = stage(&[("side.kubefresh.dev/hold", "1.4.9")]);
    let offered = hold(&workload, &assessment, None, &[]).unwrap();
    assert_eq!(
        written(&offered),
        [
            "app.kubefresh.dev/hold=1.5.0",
            "side.kubefresh.dev/hold=1.4.9 1.5.0"
        ]
    );
    let named = hold(&workload, &assessment, None, &holds(&["<=2.0.0", "1.4.7"])).unwrap();
    assert_eq!(written(&named), ["kubefresh.dev/hold=<=2.0.0 1.4.7"]);
    let again = hold(&workload, &assessment, Some("side"), &holds(&["1.4.9"])).unwrap();
    assert_eq!(written(&again), ["side.kubefresh.dev/hold=1.4.9"]);
    let (workload, nothing_new) = stage(&[("kubefresh.dev/hold", "1.5.0")]);
    let error = hold(&workload, &nothing_new, None, &[]).unwrap_err().to_string();
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
    let many: Vec<String> = (0..20).map(|number| format!("1.4.{number}")).collect();
    let (workload, assessment) = stage(&[("kubefresh.dev/hold", &many.join(" "))]);
    let change = hold(&workload, &assessment, None, &holds(&["1.5.0"])).unwrap();
    assert_eq!(
        change.meaning,
        [
            "1.5.0 is held by kubefresh.dev/hold",
            "1.4.0 is no longer held by kubefresh.dev/hold, which keeps the latest only"
        ]
    );
}
