//! Workloads that are watched because many are.

use super::*;
use crate::domain::annotations::Installation;
use crate::domain::notice::notices;

#[test]
fn a_container_that_was_opted_in_with_many_and_cannot_be_followed_stops_nothing_and_nobody_is_told() {
    let variables = [("KUBEFRESH_WATCH", "true"), ("KUBEFRESH_MODE", "auto")];
    let installation = Installation::read(variables, [], false).unwrap();
    let by_digest = format!("shop.example/app@{}", digest('a'));
    let images = [
        ("app", "shop.example/app:1.4.0"),
        ("proxy", by_digest.as_str()),
        ("bad", "Not An Image"),
    ];
    let snapshot = |annotations: &[(&str, &str)]| Snapshot {
        namespaces: Namespaces::Unread(Arc::new(installation.clone())),
        ..snapshot(workload(annotations, &images), vec![app()])
    };
    let quiet = assessment(&snapshot(&[]), now()).unwrap();
    assert!(matches!(&quiet.action, Action::Start(update) if update.in_flight.containers.len() == 1));
    let passed_over = quiet.containers.iter().skip(1);
    assert!(
        passed_over
            .clone()
            .all(|entry| matches!(entry.verdict, Verdict::PassedOver(_)))
    );
    assert_eq!(passed_over.count(), 2);
    let idle = Assessment {
        action: Action::Nothing,
        ..quiet
    };
    assert!(notices(&idle).is_empty());
    let asked_for = assessment(&snapshot(&[("kubefresh.dev/watch", "true")]), now()).unwrap();
    assert!(matches!(asked_for.action, Action::Stop(problems) if problems.len() == 2));
}

#[test]
fn nothing_is_decided_in_a_namespace_that_is_not_in_view_but_what_was_under_way_before_is_followed() {
    let idle = workload(&AUTO, &[("app", "shop.example/app:1.4.0")]);
    let change = ImageChange {
        from: "shop.example/app:1.3.0".to_owned(),
        to: "shop.example/app:1.4.0".to_owned(),
        digest: None,
        ran: None,
    };
    let in_flight = InFlight::new(
        [("app".to_owned(), change)].into(),
        now(),
        SignedDuration::from_mins(1),
    );
    let marker = in_flight.to_annotation();
    let going = workload(&[(IN_FLIGHT, &marker)], &[("app", "shop.example/app:1.4.0")]);
    let of = |workload: &Workload, namespaces: Namespaces| {
        let snapshot = Snapshot {
            namespaces,
            ..snapshot(workload.clone(), vec![app()])
        };
        assessment(&snapshot, now()).map(|assessment| assessment.action)
    };
    let unseen = || Namespaces::Read(BTreeMap::new());
    let in_view = || Namespaces::Read([("shop".to_owned(), Arc::default())].into());
    assert!(of(&idle, unseen()).is_none());
    assert!(matches!(of(&idle, in_view()), Some(Action::Start(_))));
    // That of another installation, which looks into other namespaces.
    assert!(of(&going, unseen()).is_none());
    let mut snapshot = Snapshot {
        namespaces: in_view(),
        ..snapshot(going, vec![app()])
    };
    for namespaces in [in_view(), unseen(), unseen()] {
        snapshot.namespaces = namespaces;
        let plan = plan(&snapshot, &LIMITS, now());
        assert!(matches!(plan.assessments[0].action, Action::Follow { .. }));
        snapshot.seen.take_in(&plan);
    }
}
