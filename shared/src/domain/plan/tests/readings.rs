//! What is kept of settings from one look to the next.

use super::*;
use crate::domain::annotations::Installation;

/// What is done with the workload of a snapshot, which is looked at after another one.
fn after(before: &Snapshot, mut snapshot: Snapshot) -> Option<Action> {
    let readings = Readings::default().renewed(before);
    snapshot.readings = readings.renewed(&snapshot);
    let kept = snapshot
        .readings
        .of(&snapshot.workloads[0], snapshot.namespaces.layer("shop").unwrap());
    let read_anew = watched::read(&snapshot.workloads[0], snapshot.namespaces.layer("shop").unwrap());
    assert_eq!(*kept, read_anew);
    plan(&snapshot, &LIMITS, now())
        .assessments
        .pop()
        .map(|assessment| assessment.action)
}

#[test]
fn what_was_read_of_a_workload_holds_until_the_workload_or_its_namespace_changes() {
    let of = |annotations: &[(&str, &str)]| {
        let workload = workload(annotations, &[("app", "shop.example/app:1.4.0")]);
        snapshot(workload, vec![app()])
    };
    let before = of(&AUTO);
    let same = after(&before, before.clone());
    assert!(matches!(same, Some(Action::Start(_))), "{same:?}");

    let renamed = after(
        &before,
        of(&[("kubefresh.dev/watch", "true"), ("kubefresh.dev/mode", "of")]),
    );
    assert!(matches!(renamed, Some(Action::Stop(_))), "{renamed:?}");

    let installation = Installation::read([("KUBEFRESH_MIN_AGE", "7d")], [], false).unwrap();
    let beneath = Snapshot {
        namespaces: Namespaces::Unread(Arc::new(installation)),
        ..before.clone()
    };
    let beneath = after(&before, beneath);
    assert!(matches!(beneath, Some(Action::Nothing)), "{beneath:?}");
}

#[test]
fn what_was_read_of_a_workload_that_is_gone_is_forgotten() {
    let there = snapshot(workload(&AUTO, &[("app", "shop.example/app:1.4.0")]), vec![app()]);
    let readings = Readings::default().renewed(&there);
    let size = |readings: &Readings| format!("{readings:?}").len();
    let gone = readings.clone().renewed(&Snapshot::default());
    assert_eq!(size(&gone), size(&Readings::default()));
    assert!(size(&readings) > size(&gone));
}
