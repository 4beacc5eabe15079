use jiff::SignedDuration;
use strum::VariantArray as _;

use super::*;
use crate::domain::annotations::Mode;
use crate::domain::in_flight::{ImageChange, InFlight};
use crate::domain::message::EventType;
use crate::domain::message::{Image, ToPeople};
use crate::domain::notice::NoticeReason;
use crate::domain::plan::tests as plan;
use crate::domain::plan::{Action, Assessment, ContainerVerdict, Pending, Verdict};
use crate::domain::record::outbox as record;
use crate::domain::rollout::{RolloutStatus, Waiting as RolloutWaiting};
use crate::domain::workload::{WorkloadId, WorkloadKind};

use self::detecting::{rolling, watched};

mod detecting;
mod leading;
mod rollouts;
mod telling_people;

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

fn due(outbox: &Outbox, now: Timestamp) -> Vec<String> {
    batches(outbox, now).concat()
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
fn batches(outbox: &Outbox, now: Timestamp) -> Vec<Vec<String>> {
    let due = outbox.due(now, |_| false).into_iter();
    due.map(|batch| batch.iter().map(|one| one.message.id.clone()).collect())
        .collect()
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
        long.error = Some("\u{1b}".repeat(500));
        let gone = outbox.enter(HOOK, long, late);
        if !gone.is_empty() {
            break gone;
        }
    };
    outbox.prune(&BTreeSet::new(), late);
    assert!(outbox.knows(HOOK, &gone[0].message.id));
}

#[test]
fn messages_of_one_workload_keep_their_order_and_hold_up_no_other() {
    let mut outbox = outbox(&[("a1", "a"), ("a2", "a"), ("b1", "b")]);
    assert_eq!(due(&outbox, now()), ["a1", "b1"]);
    let fate = outbox.answered(HOOK, "a1", &again(), 3, now());
    assert_eq!(fate, Some(Fate::Waits(after(5))));
    assert_eq!(due(&outbox, now()), ["b1"]);
    assert_eq!(outbox.next(now()), Some(after(5)));
    assert_eq!(due(&outbox, after(5)), ["a1", "b1"]);
    outbox.answered(HOOK, "a1", &Answer::Taken, 3, after(5)).unwrap();
    assert_eq!(due(&outbox, after(5)), ["a2", "b1"]);
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

#[test]
fn the_record_of_a_large_cluster_stays_far_below_its_limit_and_can_be_read() {
    let mut outbox = Outbox::default();
    let hash = |number: u64| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for number in 0..12_000 {
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
    // All that is spoken of on one channel, and what is remembered beside on each.
    let spoken_of: BTreeSet<String> = (20_000..24_000).map(hash).collect();
    for (number, channel) in (20_000..).zip(Channel::VARIANTS) {
        let first = if *channel == HOOK { 20_000 } else { number * 10_000 };
        let last = if *channel == HOOK { 24_600 } else { first + 600 };
        let settled = (first..last).map(|number| (hash(number), now()));
        outbox.settled.insert(*channel, settled.collect());
    }
    outbox.prune(&spoken_of, now());
    let stored = record::to_config_map(&outbox, "kubefresh-updater", "kubefresh");
    let bytes: usize = stored.data.iter().flatten().map(|(_, text)| text.len()).sum();
    assert!((700_000..950_000).contains(&bytes), "{bytes} bytes");
    outbox.stored();
    assert_eq!(record::parse(&stored), Ok(outbox));
}

#[test]
fn a_namespace_that_fills_the_record_loses_its_own_messages() {
    let mut outbox = outbox(&[("before", "checkout")]);
    let mut gone = Vec::new();
    for number in 0..600 {
        let mut long = message(&format!("{number}"), "greedy");
        long.workload.namespace = "greedy".to_owned();
        long.error = Some("e".repeat(500));
        gone.extend(outbox.enter(HOOK, long, now()));
        if number == 300 {
            gone.extend(outbox.enter(HOOK, message("between", "catalog"), now()));
        }
    }
    assert!(gone.len() > 100, "only {} had to go", gone.len());
    let greedy = |waiting: &Waiting| waiting.message.workload.namespace == "greedy";
    assert!(gone.iter().all(greedy));
    assert_eq!(gone[0].message.id, "0", "the oldest");
}

#[test]
fn of_many_that_were_settled_in_one_second_the_most_that_are_remembered_are() {
    let mut outbox = Outbox::default();
    let ids = (0..600).map(|number| (format!("{number:016x}"), now()));
    outbox.settled.insert(HOOK, ids.collect());
    outbox.prune(&BTreeSet::new(), now());
    assert_eq!(outbox.settled[&HOOK].len(), 500);
}

#[test]
fn what_a_newer_version_stored_is_read_but_for_what_this_one_does_not_know() {
    let stored = "\
waiting:
- channel: webhook
  message:
    id: 0123456789abcdef
    event: IMAGE_ROLLOUT_STARTED
    at: 2026-11-21T03:00:00Z
    workload: {kind: Deployment, namespace: shop, name: checkout, cluster: north}
    images: {app: {image: shop/app:2, previous: shop/app:1, platform: arm64}}
    urgency: high
    toPeople: {reason: UpdateStarted, colour: red}
  attempts: 2
  priority: 7
- channel: carrier-pigeon
  message:
    id: 1123456789abcdef
    event: IMAGE_ROLLOUT_STARTED
    at: 2026-11-21T03:00:00Z
    workload: {kind: Deployment, namespace: shop, name: catalog}
    images: {}
- channel: webhook
  message:
    id: 2123456789abcdef
    event: SOMETHING_NEW
    at: 2026-11-21T03:00:00Z
    workload: {kind: Deployment, namespace: shop, name: basket}
    images: {}
settled:
  webhook: {fedcba9876543210: 2026-11-21T03:00:00Z, '12345678e1234567': 2026-11-21T03:00:00Z}
  carrier-pigeon: {edcba98765432100: 2026-11-21T03:00:00Z}
paused: {carrier-pigeon: 2026-11-21T03:00:00Z, discord: 2026-11-21T04:00:00Z}
detected: {'0000000000000012': '12345678'}
moods: {}
";
    let mut config_map = record::to_config_map(&Outbox::default(), "kubefresh-updater", "kubefresh");
    let data = config_map.data.get_or_insert_default();
    data.insert("outbox".to_owned(), stored.to_owned());
    let outbox = record::parse(&config_map).unwrap();
    assert_eq!(due(&outbox, now()), ["0123456789abcdef"]);
    assert_eq!(outbox.waiting()[0].attempts, 2);
    assert_eq!(outbox.unread(), 2);
    assert!(outbox.knows(HOOK, "fedcba9876543210") && outbox.knows(HOOK, "12345678e1234567"));
    assert_eq!(outbox.paused, BTreeMap::from([(CHAT, after(3600))]));
    assert_eq!(outbox.detected["0000000000000012"], "12345678");
    assert_eq!(restarted(&outbox).unread(), 0, "what is written can be read");
}

#[test]
fn when_too_much_waits_what_stands_goes_first_and_comes_back_and_what_happened_goes_last() {
    let mut outbox = Outbox::default();
    outbox.enter(HOOK, message("happened", "x"), now());
    outbox.detect(HOOK, &[&watched("w", &[("app", "app:1")])], true, now());
    let stands = to_people("stands", "y", NoticeReason::UpdateAvailable);
    outbox.announce(CHAT, stands.clone(), now(), now());
    let mut gone = Vec::new();
    for number in 0.. {
        let mut long = message(&format!("{number}"), &format!("w{number}"));
        long.error = Some("e".repeat(500));
        gone.extend(outbox.enter(HOOK, long, now()));
        if gone.len() == 3 {
            break;
        }
    }
    let gone: Vec<&Message> = gone.iter().map(|waiting| &waiting.message).collect();
    assert_eq!(gone[0].id, "stands");
    assert_eq!(gone[1].event, EventType::DeploymentDetected);
    assert_eq!(gone[2].id, "happened");
    assert!(outbox.knows(HOOK, "happened") && !outbox.knows(CHAT, "stands"));
    let before = outbox.waiting().len();
    assert!(outbox.announce(CHAT, stands.clone(), now(), now()).is_empty());
    assert_eq!(outbox.waiting().len(), before, "not while there is no room");
    outbox.give_up_stale(after(25 * 3600));
    outbox.announce(CHAT, stands, after(25 * 3600), after(25 * 3600));
    assert_eq!(outbox.waiting().len(), 1);
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
