//! Rollouts whose end no look shows.

use super::*;
use crate::domain::annotations::{IN_FLIGHT, LAST_CHANGE, LAST_RESULT, LAST_UPDATE};
use crate::domain::in_flight::InFlight;
use crate::domain::message::messages;
use crate::domain::notice::notices;
use crate::domain::workload::Workload;

fn marker() -> InFlight {
    rolling("a", &[]).action.under_way().unwrap().clone()
}

/// The workload `a` with these annotations.
fn with(annotations: &[(&str, &str)]) -> Workload {
    let annotations = annotations.iter();
    let annotations = annotations.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Workload {
        annotations: annotations.collect(),
        ..(*rolling("a", &[]).workload).clone()
    }
}

/// A record in which the start of the rollout of `a` was told on these channels.
fn told(channels: &[Channel]) -> Outbox {
    let mut outbox = Outbox::default();
    let anew = channels.iter().copied().collect();
    outbox.told(&with(&[]), &marker(), EventType::ImageRolloutStarted, anew);
    restarted(&outbox)
}

#[test]
fn a_rollout_is_lost_where_its_workload_is_gone_or_carries_its_marker_no_more_and_no_end_was_told() {
    let value = marker().to_annotation();
    let mut other = marker();
    other.started = after(1);
    let other = other.to_annotation();
    let mut another = with(&[(IN_FLIGHT, &value)]);
    another.uid = "b".to_owned();
    for (what, workload, expected) in [
        ("gone", None, 1),
        ("another of its name", Some(another), 1),
        ("under way", Some(with(&[(IN_FLIGHT, &value)])), 0),
        ("unreadable", Some(with(&[(IN_FLIGHT, "{")])), 0),
        ("no marker", Some(with(&[])), 1),
        ("that of the next", Some(with(&[(IN_FLIGHT, &other)])), 1),
    ] {
        let mut outbox = told(&[HOOK]);
        assert_eq!(outbox.lost(workload.iter(), now()).len(), expected, "{what}");
        for event in [EventType::ImageRolloutCompleted, EventType::ImageRolloutFailed] {
            let mut outbox = told(&[HOOK]);
            outbox.told(&with(&[]), &marker(), event, BTreeSet::new());
            assert!(outbox.has_changed());
            assert!(
                restarted(&outbox).lost(workload.iter(), now()).is_empty(),
                "{what}"
            );
        }
    }
    assert!(
        told(&[]).lost([].into_iter(), now()).is_empty(),
        "nobody heard of it"
    );
    let mut old = told(&[HOOK]);
    assert!(
        old.lost([].into_iter(), after(25 * 3600)).is_empty(),
        "it is no news"
    );
    assert!(old.has_changed());
}

#[test]
fn the_end_of_a_lost_rollout_is_told_once_as_what_it_was_to_those_who_heard_of_its_start() {
    let (value, change) = (marker().to_annotation(), marker().summary());
    let written = |result| {
        vec![
            (LAST_CHANGE, change.as_str()),
            (LAST_UPDATE, "2026-11-21T03:01:00Z"),
            (LAST_RESULT, result),
        ]
    };
    let before = vec![
        (LAST_CHANGE, change.as_str()),
        (LAST_UPDATE, "2026-11-20T03:00:00Z"),
    ];
    let (failed, completed) = (EventType::ImageRolloutFailed, EventType::ImageRolloutCompleted);
    for (annotations, expected) in [
        (None, Some((failed, Some("the workload was deleted")))),
        (Some(vec![]), Some((failed, Some("superseded: somebody took")))),
        (Some(before), Some((failed, Some("superseded: somebody took")))),
        (Some(vec![(IN_FLIGHT, value.as_str())]), None),
        (Some(written("completed")), Some((completed, None))),
        (
            Some(written("rolled back: no pod")),
            Some((completed, Some("rolled back"))),
        ),
        (
            Some(written("failed: no pod")),
            Some((failed, Some("failed: no pod"))),
        ),
        (
            Some(written("superseded: x")),
            Some((failed, Some("superseded: x"))),
        ),
    ] {
        let mut outbox = told(&[HOOK, CHAT]);
        let [rollout] = &outbox.lost([].into_iter(), now())[..] else {
            panic!("{outbox:?}")
        };
        assert_eq!(rollout.channels, BTreeSet::from([HOOK, CHAT]));
        let found = annotations.map(|annotations| with(&annotations).annotations);
        let end = rollout.end(found.as_ref(), after(60));
        let told = end.as_ref().map(|end| (end.event, end.error.as_deref()));
        assert_eq!(
            told.map(|told| told.0),
            expected.map(|expected| expected.0),
            "{told:?}"
        );
        let (Some(end), Some((_, why))) = (end, expected) else {
            continue;
        };
        assert!(
            end.error
                .clone()
                .unwrap_or_default()
                .starts_with(why.unwrap_or_default())
        );
        let took = (end.event == completed).then_some(60_000);
        assert_eq!((end.at, end.rollout_millis), (after(60), took));
        outbox.enter(HOOK, end, now());
        outbox.ended(rollout);
        assert!(restarted(&outbox).lost([].into_iter(), now()).is_empty());
    }
}

#[test]
fn an_end_that_a_look_shows_after_all_is_the_same_message() {
    let mut superseded = rolling("a", &[("app", "app:1")]);
    if let Action::Follow { status, .. } = &mut superseded.action {
        *status = RolloutStatus::Superseded {
            container: "app".to_owned(),
            image: Some("app:1".to_owned()),
            by: None,
        };
    }
    let shown = messages(&superseded, &notices(&superseded), now());
    let rollout = told(&[HOOK]).lost([].into_iter(), now()).remove(0);
    let end = rollout.end(Some(&BTreeMap::new()), now()).unwrap();
    assert_eq!((&end.id, &end.images), (&shown[1].id, &shown[1].images));
}

#[test]
fn what_was_kept_aside_ends_what_it_tells_the_end_of() {
    let mut aside = Outbox::default();
    let end = Message {
        event: EventType::ImageRolloutFailed,
        ..message("end", "a")
    };
    aside.enter(HOOK, end, now());
    let mut outbox = told(&[HOOK]);
    outbox.take_over(&aside, now());
    assert!(outbox.lost([].into_iter(), now()).is_empty());
    let mut outbox = Outbox::default();
    outbox.take_over(&told(&[HOOK]), now());
    assert_eq!(outbox.lost([].into_iter(), now()).len(), 1);
}

#[test]
fn so_many_are_kept_that_the_record_stays_small() {
    let mut outbox = Outbox::default();
    for number in 0..1000 {
        let workload = Workload {
            uid: format!("{number}"),
            ..with(&[])
        };
        let anew = BTreeSet::from([HOOK]);
        outbox.told(&workload, &marker(), EventType::ImageRolloutStarted, anew);
    }
    let stored = record::to_config_map(&outbox, "kubefresh-updater", "kubefresh");
    let bytes = stored.data.as_ref().unwrap()["outbox"].len();
    assert!((30_000..70_000).contains(&bytes), "{bytes}");
    assert!(outbox.lost([].into_iter(), now()).len() > 100);
}
