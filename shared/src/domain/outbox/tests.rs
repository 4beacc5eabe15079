use jiff::SignedDuration;

use super::*;
use crate::domain::annotations::Mode;
use crate::domain::in_flight::{ImageChange, InFlight};
use crate::domain::message::{Image, ToPeople};
use crate::domain::notice::NoticeReason;
use crate::domain::plan::{Action, Assessment, ContainerVerdict, Pending, Verdict};
use crate::domain::record::outbox as record;
use crate::domain::rollout::{RolloutStatus, Waiting as RolloutWaiting};
use crate::domain::workload::WorkloadKind;

const HOOK: Channel = Channel::Webhook;

fn now() -> Timestamp {
    "2026-11-21T03:00:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn workload(name: &str) -> WorkloadId {
    WorkloadId {
        kind: WorkloadKind::Deployment,
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn message(id: &str, name: &str) -> Message {
    let image = Image {
        image: "shop/app:2".to_owned(),
        previous: Some("shop/app:1".to_owned()),
    };
    Message {
        id: id.to_owned(),
        event: EventType::ImageRolloutStarted,
        at: now(),
        workload: workload(name),
        images: BTreeMap::from([("app".to_owned(), image)]),
        rollout_millis: None,
        error: None,
        remark: None,
        rollback: None,
        to_people: None,
    }
}

fn outbox(entries: &[(&str, &str)]) -> Outbox {
    let mut outbox = Outbox::default();
    for (id, name) in entries {
        assert!(outbox.enter(HOOK, message(id, name), now()).is_empty());
    }
    outbox
}

fn due(outbox: &Outbox, now: Timestamp, busy: &[&str]) -> Vec<String> {
    let busy = busy.iter().map(|name| (HOOK, workload(name))).collect();
    let due = outbox.due(now, &busy).into_iter().flatten();
    due.map(|waiting| waiting.message.id.clone()).collect()
}

fn again() -> Answer {
    Answer::TryAgain {
        why: "it answered 503".to_owned(),
        after: None,
    }
}

/// Stored and read back, as the next leader does.
fn restarted(outbox: &Outbox) -> Outbox {
    record::parse(&record::to_config_map(outbox, "kubefresh-updater", "kubefresh")).unwrap()
}

#[test]
fn a_message_is_entered_once_by_its_id_whatever_became_of_it() {
    let mut outbox = outbox(&[("a", "x")]);
    for answer in [None, Some(again()), Some(Answer::Taken)] {
        if let Some(answer) = answer {
            outbox.answered(HOOK, "a", &answer, 3, now()).unwrap();
        }
        outbox = restarted(&outbox);
        outbox.enter(HOOK, message("a", "x"), now());
        assert!(!outbox.has_changed());
    }
    assert!(outbox.waiting().is_empty());
}

#[test]
fn what_was_kept_aside_is_taken_over_in_its_order_and_not_twice() {
    let aside = outbox(&[("a1", "a"), ("a2", "a"), ("b1", "b")]);
    let mut outbox = outbox(&[("a1", "a")]);
    outbox.answered(HOOK, "a1", &Answer::Taken, 3, now()).unwrap();
    for _ in 0..2 {
        outbox.take_over(&aside, now());
        let waiting = outbox.waiting().iter();
        let ids: Vec<&str> = waiting.map(|waiting| waiting.message.id.as_str()).collect();
        assert_eq!(ids, ["a2", "b1"]);
    }
}

#[test]
fn what_had_to_go_is_remembered_from_the_moment_at_which_it_went() {
    let mut outbox = Outbox::default();
    let late = after(7200);
    let mut number = 0;
    let gone = loop {
        number += 1;
        let mut long = message(&format!("{number}"), &format!("w{number}"));
        long.error = Some("e".repeat(500));
        let gone = outbox.enter(HOOK, long, late);
        if !gone.is_empty() {
            break gone;
        }
    };
    outbox.prune(&BTreeSet::new(), late);
    assert!(outbox.knows(HOOK, &gone[0].message.id));
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
fn messages_of_one_workload_keep_their_order_and_hold_up_no_other() {
    let mut outbox = outbox(&[("a1", "a"), ("a2", "a"), ("b1", "b")]);
    assert_eq!(due(&outbox, now(), &[]), ["a1", "b1"]);
    assert_eq!(due(&outbox, now(), &["a"]), ["b1"]);
    let fate = outbox.answered(HOOK, "a1", &again(), 3, now());
    assert_eq!(fate, Some(Fate::Waits(after(5))));
    assert_eq!(due(&outbox, now(), &[]), ["b1"]);
    assert_eq!(outbox.next(now()), Some(after(5)));
    assert_eq!(due(&outbox, after(5), &[]), ["a1", "b1"]);
    outbox.answered(HOOK, "a1", &Answer::Taken, 3, after(5)).unwrap();
    assert_eq!(due(&outbox, after(5), &[]), ["a2", "b1"]);
    assert_eq!(outbox.next(after(5)), None);
}

#[test]
fn what_is_not_taken_is_tried_again_so_many_times_across_restarts_and_then_given_up() {
    let mut outbox = outbox(&[("a", "x")]);
    let mut at = now();
    let mut pauses = Vec::new();
    loop {
        outbox = restarted(&outbox);
        match outbox.answered(HOOK, "a", &again(), 5, at).unwrap() {
            Fate::Waits(until) => {
                pauses.push(until.duration_since(at).as_secs());
                at = until;
            }
            Fate::GivenUp => break,
            Fate::Sent => panic!("nobody took it"),
        }
    }
    assert_eq!(pauses, [5, 30, 180, 900, 900]);
    assert!(outbox.waiting().is_empty());
    assert!(
        restarted(&outbox)
            .enter(HOOK, message("a", "x"), now())
            .is_empty()
    );
    let answer = outbox.answered(HOOK, "a", &Answer::Taken, 5, at);
    assert_eq!(answer, None, "an answer that comes late");
}

#[test]
fn a_named_wait_is_obeyed_within_reason_and_a_refusal_is_final() {
    let named = |seconds| Answer::TryAgain {
        why: String::new(),
        after: Some(SignedDuration::from_secs(seconds)),
    };
    for (answer, retries, expected) in [
        (named(0), 3, Fate::Waits(after(5))),
        (named(1), 3, Fate::Waits(after(5))),
        (named(6), 3, Fate::Waits(after(6))),
        (named(120), 3, Fate::Waits(after(120))),
        (named(864_000), 3, Fate::Waits(after(3600))),
        (named(1), 0, Fate::GivenUp),
        (again(), 0, Fate::GivenUp),
        (Answer::Refused("it answered 404".to_owned()), 3, Fate::GivenUp),
    ] {
        let mut outbox = outbox(&[("a", "x")]);
        let fate = outbox.answered(HOOK, "a", &answer, retries, now());
        assert_eq!(fate, Some(expected), "{answer:?}");
    }
}

#[test]
fn what_was_settled_is_forgotten_an_hour_after_nothing_speaks_of_it() {
    let mut outbox = outbox(&[("a", "x"), ("b", "y")]);
    for id in ["a", "b"] {
        outbox.answered(HOOK, id, &Answer::Taken, 3, now()).unwrap();
    }
    outbox.stored();
    let spoken_of = BTreeSet::from(["a".to_owned()]);
    outbox.prune(&spoken_of, after(3600));
    assert!(outbox.knows(HOOK, "a") && outbox.knows(HOOK, "b"));
    outbox.prune(&spoken_of, after(3601));
    assert!(outbox.knows(HOOK, "a") && !outbox.knows(HOOK, "b"));
    assert!(!outbox.has_changed(), "that alone is not written");
}

#[test]
fn what_is_older_than_a_day_is_given_up() {
    let mut outbox = outbox(&[("a", "x")]);
    outbox.stored();
    assert!(outbox.give_up_stale(after(24 * 3600)).is_empty() && !outbox.has_changed());
    assert_eq!(outbox.give_up_stale(after(24 * 3600 + 1)).len(), 1);
    assert!(outbox.waiting().is_empty() && outbox.has_changed() && outbox.knows(HOOK, "a"));
}

#[test]
fn when_too_much_waits_the_oldest_goes_and_is_not_entered_again() {
    let mut outbox = Outbox::default();
    let mut entered = 0;
    let gone = loop {
        let mut long = message(&format!("{entered:016}"), &format!("w{entered}"));
        long.error = Some("e".repeat(500));
        let gone = outbox.enter(HOOK, long, now());
        if !gone.is_empty() {
            break gone;
        }
        entered += 1;
    };
    assert!(entered > 100, "{entered}");
    assert_eq!(gone[0].message.id, "0000000000000000");
    let waiting = outbox.waiting().len();
    outbox.enter(HOOK, gone[0].message.clone(), now());
    assert_eq!(outbox.waiting().len(), waiting);
}

/// A workload with these images by container, in no rollout.
fn watched(uid: &str, images: &[(&str, &str)]) -> Assessment {
    let verdict = |(container, image): &(&str, &str)| ContainerVerdict {
        container: (*container).to_owned(),
        image: (*image).to_owned(),
        mode: Mode::Auto,
        verdict: Verdict::NoRecord,
    };
    Assessment {
        workload: workload(uid),
        uid: uid.to_owned(),
        resource_version: "1".to_owned(),
        containers: images.iter().map(verdict).collect(),
        action: Action::Nothing,
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    }
}

/// The same, while our update of `app` from 1 to 2 rolls out.
fn rolling(uid: &str, images: &[(&str, &str)]) -> Assessment {
    let change = ImageChange {
        from: "app:1".to_owned(),
        to: "app:2".to_owned(),
        digest: None,
        ran: None,
    };
    let changes = BTreeMap::from([("app".to_owned(), change)]);
    Assessment {
        action: Action::Follow {
            in_flight: InFlight::new(changes, now(), SignedDuration::from_mins(10)),
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
fn the_record_of_a_large_cluster_stays_far_below_its_limit_and_can_be_read() {
    let mut outbox = Outbox::default();
    let hash = |number: u64| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for number in 0..15_000 {
        let images = hash(number + 1)[..8].to_owned();
        outbox.detected.insert(hash(number), images);
    }
    // The worst: as much as may wait and be remembered of everything.
    for number in 0.. {
        let mut long = message(&hash(number), &format!("w{number}"));
        long.error = Some("e".repeat(500));
        if !outbox.enter(HOOK, long, now()).is_empty() {
            break;
        }
    }
    for number in 20_000..20_600 {
        outbox
            .settled
            .entry(HOOK)
            .or_default()
            .insert(hash(number), after(i64::try_from(number).unwrap()));
    }
    outbox.prune(&BTreeSet::new(), after(20_600));
    let stored = record::to_config_map(&outbox, "kubefresh-updater", "kubefresh");
    let bytes: usize = stored.data.iter().flatten().map(|(_, text)| text.len()).sum();
    assert!((500_000..850_000).contains(&bytes), "{bytes} bytes");
    outbox.stored();
    assert_eq!(record::parse(&stored), Ok(outbox));
}

#[test]
fn a_dead_receiver_of_many_detections_does_not_hold_up_what_happens() {
    let all: Vec<Assessment> = (0..50)
        .map(|n| watched(&format!("w{n}"), &[("app", "app:1")]))
        .collect();
    let mut outbox = Outbox::default();
    outbox.detect(HOOK, &all.iter().collect::<Vec<_>>(), true, now());
    outbox.enter(HOOK, message("a", "x"), now());
    assert_eq!(due(&outbox, now(), &[])[0], "a");
}

#[test]
fn the_record_is_legible_and_is_read_back() {
    let mut outbox = outbox(&[("0123456789abcdef", "checkout"), ("fedcba9876543210", "catalog")]);
    outbox
        .answered(HOOK, "0123456789abcdef", &again(), 3, now())
        .unwrap();
    outbox
        .answered(HOOK, "fedcba9876543210", &Answer::Taken, 3, now())
        .unwrap();
    outbox.detect(HOOK, &[&rolling("a", &[])], true, now());
    let stored = record::to_config_map(&outbox, "kubefresh-updater", "kubefresh");
    assert_eq!(stored.metadata.name.as_deref(), Some("kubefresh-updater-outbox"));
    assert_eq!(
        stored.metadata.labels.as_ref().unwrap()["kubefresh.dev/record"],
        "outbox"
    );
    assert_eq!(
        stored.data.as_ref().unwrap()["outbox"],
        "\
waiting:
- channel: webhook
  message:
    id: 0123456789abcdef
    event: IMAGE_ROLLOUT_STARTED
    at: \"2026-11-21T03:00:00Z\"
    workload:
      kind: Deployment
      namespace: shop
      name: checkout
    images:
      app:
        image: shop/app:2
        previous: shop/app:1
  attempts: 1
  notBefore: \"2026-11-21T03:00:05Z\"
settled:
  webhook:
    fedcba9876543210: \"2026-11-21T03:00:00Z\"
detected: {}
"
    );
    outbox.stored();
    assert_eq!(record::parse(&stored), Ok(outbox));
    assert_eq!(
        record::parse(&k8s_openapi::api::core::v1::ConfigMap::default()),
        Ok(Outbox::default()),
        "made, and not yet written"
    );
    let mut broken = stored;
    broken
        .data
        .get_or_insert_default()
        .insert("outbox".to_owned(), "waiting: 7".to_owned());
    assert!(record::parse(&broken).is_err());
}

const CHAT: Channel = Channel::Discord;

fn to_people(id: &str, name: &str, reason: NoticeReason) -> Message {
    Message {
        event: EventType::of(reason),
        to_people: Some(ToPeople {
            reason,
            detail: None,
            awaits_approval: false,
            is_reminder: false,
        }),
        ..message(id, name)
    }
}

/// Those that are told at once.
fn batches(outbox: &Outbox, now: Timestamp, busy: &[(Channel, &str)]) -> Vec<Vec<String>> {
    let busy = busy.iter().map(|(channel, name)| (*channel, workload(name)));
    let due = outbox.due(now, &busy.collect()).into_iter();
    due.map(|batch| batch.iter().map(|one| one.message.id.clone()).collect())
        .collect()
}

#[test]
fn people_are_told_at_once_what_is_alike_one_thing_after_the_other_and_after_a_pause_in_which_it_gathers() {
    let mut outbox = Outbox::default();
    let mut tell = |id: &str, name: &str, reason, second| {
        let message = to_people(id, name, reason);
        outbox.announce(CHAT, message, after(second + 10), after(second));
    };
    tell("a", "x", NoticeReason::UpdateStarted, 0);
    tell("b", "y", NoticeReason::UpdateStarted, 4);
    tell("c", "z", NoticeReason::UpdateAvailable, 1);
    tell("d", "y", NoticeReason::ImageUpdated, 5);
    let outbox = restarted(&outbox);
    assert!(batches(&outbox, after(9), &[]).is_empty());
    assert_eq!(outbox.next(after(9)), Some(after(10)));
    // `b` came later and goes with it; `d` is of a workload of which something else waits.
    assert_eq!(batches(&outbox, after(10), &[]), [["a", "b"]]);
    assert!(batches(&outbox, after(11), &[(CHAT, "w")]).is_empty());
    let mut outbox = outbox;
    for id in ["a", "b"] {
        let fate = outbox.answered(CHAT, id, &Answer::Taken, 3, after(11));
        assert_eq!(fate, Some(Fate::Sent));
    }
    assert_eq!(batches(&outbox, after(11), &[]), [["c"]]);
}

#[test]
fn what_a_channel_names_as_its_wait_holds_for_all_that_waits_there_and_for_no_other_and_is_stored() {
    let mut outbox = Outbox::default();
    for channel in [CHAT, Channel::Slack] {
        for (id, reason) in [
            ("a", NoticeReason::UpdateStarted),
            ("b", NoticeReason::UpdateAvailable),
        ] {
            outbox.announce(channel, to_people(id, id, reason), now(), now());
        }
    }
    let wait = Answer::TryAgain {
        why: String::new(),
        after: Some(SignedDuration::from_secs(60)),
    };
    outbox.answered(CHAT, "a", &wait, 3, now());
    let outbox = restarted(&outbox);
    assert_eq!(batches(&outbox, after(59), &[]), [["a"]], "Slack's");
    assert_eq!(batches(&outbox, after(60), &[]).len(), 2);
    assert_eq!(outbox.next(after(1)), Some(after(60)));
}

#[test]
fn of_what_stands_in_a_large_cluster_people_are_told_bit_by_bit() {
    let mut outbox = Outbox::default();
    for number in 0..500 {
        let (id, name) = (format!("{number:016}"), format!("w{number}"));
        let message = to_people(&id, &name, NoticeReason::UpdateAvailable);
        assert!(outbox.announce(CHAT, message, now(), now()).is_empty());
    }
    assert_eq!(outbox.waiting().len(), 200);
    outbox.announce(
        CHAT,
        to_people("f", "x", NoticeReason::RolloutFailed),
        now(),
        now(),
    );
    assert_eq!(outbox.waiting().len(), 201, "what happens does not wait for it");
    assert_eq!(
        batches(&outbox, now(), &[])[0].len(),
        100,
        "and a message names some"
    );
}

#[test]
fn a_failure_is_told_at_once_and_with_it_what_it_follows_upon() {
    let mut outbox = Outbox::default();
    let started = to_people("a", "x", NoticeReason::UpdateStarted);
    outbox.announce(CHAT, started, after(3600), now());
    let other = to_people("b", "y", NoticeReason::UpdateStarted);
    outbox.announce(CHAT, other, after(3600), now());
    let failed = to_people("c", "x", NoticeReason::RolloutFailed);
    outbox.announce(CHAT, failed, after(60), after(50));
    let mut outbox = restarted(&outbox);
    assert_eq!(outbox.next(after(50)), Some(after(60)));
    outbox.answered(CHAT, "a", &Answer::Taken, 3, after(60)).unwrap();
    assert_eq!(batches(&outbox, after(60), &[]), [["c"]]);
}

#[test]
fn people_are_reminded_of_what_still_stands_once_in_each_period_whoever_leads() {
    let every = SignedDuration::from_hours(24);
    let mut outbox = Outbox::default();
    let available = to_people("a", "x", NoticeReason::UpdateAvailable);
    outbox.announce(CHAT, available.clone(), now(), now());
    assert_eq!(outbox.reminder(CHAT, "a", every), None, "it waits");
    let mut told = now();
    for _ in 0..2 {
        outbox.answered(CHAT, "a", &Answer::Taken, 3, told).unwrap();
        outbox = restarted(&outbox);
        outbox.prune(&BTreeSet::from(["a".to_owned()]), told);
        let due = outbox.reminder(CHAT, "a", every).unwrap();
        assert_eq!(due, told + every);
        outbox.remind(CHAT, available.clone(), due, due);
        assert_eq!(outbox.reminder(CHAT, "a", every), None, "it waits again");
        let reminder = &outbox.waiting()[0].message;
        assert!(reminder.to_people.as_ref().unwrap().is_reminder && reminder.at == due);
        told = due;
    }
}
