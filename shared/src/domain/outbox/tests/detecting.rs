//! Workloads that are new, and those that somebody else has changed.

use std::sync::Arc;

use super::*;
use crate::domain::workload::Workload;

/// A workload with these images by container, in no rollout.
pub(super) fn watched(uid: &str, images: &[(&str, &str)]) -> Assessment {
    let verdict = |(container, image): &(&str, &str)| ContainerVerdict {
        container: (*container).to_owned(),
        image: (*image).to_owned(),
        mode: Mode::Auto,
        verdict: Verdict::NoRecord,
    };
    Assessment {
        workload: Arc::new(Workload {
            id: workload(uid),
            uid: uid.to_owned(),
            ..plan::workload(&[], images)
        }),
        containers: images.iter().map(verdict).collect(),
        action: Action::Nothing,
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    }
}

/// The same, while our update of `app` from 1 to 2 rolls out.
pub(super) fn rolling(uid: &str, images: &[(&str, &str)]) -> Assessment {
    let change = ImageChange {
        from: "app:1".to_owned(),
        to: "app:2".to_owned(),
        digest: None,
        ran: None,
    };
    let changes = BTreeMap::from([("app".to_owned(), change)]);
    Assessment {
        action: Action::Follow {
            in_flight: Box::new(InFlight::new(changes, now(), SignedDuration::from_mins(10))),
            status: RolloutStatus::InProgress(RolloutWaiting::Revision),
            holds: BTreeMap::new(),
            kept: BTreeMap::new(),
        },
        ..watched(uid, images)
    }
}

/// How many are told in each of these looks, with a restart between any two.
fn detections(looks: &[&[Assessment]]) -> Vec<usize> {
    let mut outbox = Outbox::default();
    let tell = |(look, second): (&&[Assessment], i64)| {
        let before = outbox.waiting().len();
        let all: Vec<&Assessment> = look.iter().collect();
        outbox.detect(HOOK, &all, true, after(second));
        outbox = restarted(&outbox);
        let told = outbox.waiting().len() - before;
        // Twice the same look tells nothing, and writes nothing.
        outbox.detect(HOOK, &all, true, after(second));
        assert!(!outbox.has_changed() && outbox.waiting().len() == before + told);
        told
    };
    looks.iter().zip(0..).map(tell).collect()
}

#[test]
fn a_workload_is_detected_once_and_once_for_each_change_by_somebody_else() {
    let one = |images: &[(&str, &str)]| vec![watched("a", images)];
    let (first, second) = (one(&[("app", "app:1")]), one(&[("app", "app:9")]));
    let looks: [&[Assessment]; 5] = [&first, &first, &second, &first, &second];
    assert_eq!(detections(&looks), [1, 0, 1, 1, 1]);
    let both = one(&[("app", "app:1"), ("side", "side:1")]);
    assert_eq!(detections(&[&first, &both]), [1, 1], "another container opts in");
    let stopped = one(&[]);
    let looks: [&[Assessment]; 3] = [&first, &stopped, &first];
    assert_eq!(
        detections(&looks),
        [1, 0, 0],
        "its settings were wrong for a while"
    );
    let looks: [&[Assessment]; 3] = [&first, &[], &first];
    assert_eq!(detections(&looks), [1, 0, 1], "it opted out and in again");
    let another = vec![watched("b", &[("app", "app:1")])];
    assert_eq!(
        detections(&[&first, &another]),
        [1, 1],
        "made anew under another uid"
    );
}

#[test]
fn what_our_own_rollout_changed_is_no_detection_and_what_somebody_else_did_meanwhile_is() {
    let before = [watched("a", &[("app", "app:1"), ("side", "side:1")])];
    let ours = [rolling("a", &[("app", "app:2"), ("side", "side:1")])];
    let ended = [watched("a", &[("app", "app:2"), ("side", "side:1")])];
    let looks: [&[Assessment]; 3] = [&before, &ours, &ended];
    assert_eq!(detections(&looks), [1, 0, 0]);
    let sidecar = [rolling("a", &[("app", "app:2"), ("side", "side:2")])];
    assert_eq!(detections(&[&before, &ours, &sidecar]), [1, 0, 1]);
    assert_eq!(detections(&[&before, &sidecar]), [1, 1], "both at once");
    let theirs = [rolling("a", &[("app", "app:7"), ("side", "side:1")])];
    assert_eq!(detections(&[&before, &ours, &theirs]), [1, 0, 1]);
    assert_eq!(detections(&[&ours, &ended]), [1, 0], "switched on in the middle");
}

#[test]
fn a_large_cluster_is_told_of_bit_by_bit() {
    let all: Vec<Assessment> = (0..250)
        .map(|n| watched(&format!("w{n}"), &[("app", "app:1")]))
        .collect();
    let all: Vec<&Assessment> = all.iter().collect();
    let mut outbox = Outbox::default();
    let mut told = Vec::new();
    for second in 0..4 {
        outbox.detect(HOOK, &all, true, after(second));
        let waiting = outbox.waiting().iter();
        let ids: Vec<String> = waiting.map(|waiting| waiting.message.id.clone()).collect();
        told.push(ids.len());
        for id in ids {
            outbox
                .answered(HOOK, &id, &Answer::Taken, 3, after(second))
                .unwrap();
        }
    }
    assert_eq!(told, [100, 100, 50, 0]);
}

#[test]
fn what_is_left_to_a_later_look_is_told_then_and_our_own_rollouts_are_noted_at_once() {
    let mut outbox = Outbox::default();
    let (before, ours) = (
        watched("a", &[("app", "app:1")]),
        rolling("a", &[("app", "app:2")]),
    );
    outbox.detect(HOOK, &[&before], false, now());
    assert!(!outbox.has_changed() && outbox.waiting().is_empty());
    outbox.detect(HOOK, &[&before], true, now());
    assert_eq!(outbox.waiting().len(), 1);
    outbox.stored();
    outbox.detect(HOOK, &[&ours], false, now());
    assert!(outbox.has_changed() && outbox.waiting().len() == 1);
}

#[test]
fn a_dead_receiver_of_many_detections_does_not_hold_up_what_happens() {
    let all: Vec<Assessment> = (0..50)
        .map(|n| watched(&format!("w{n}"), &[("app", "app:1")]))
        .collect();
    let mut outbox = Outbox::default();
    outbox.detect(HOOK, &all.iter().collect::<Vec<_>>(), true, now());
    outbox.enter(HOOK, message("a", "x"), now());
    assert_eq!(due(&outbox, now())[0], "a");
}
