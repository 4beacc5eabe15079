//! What people are told: together, one thing after the other, and again.

use super::*;

#[test]
fn a_message_that_is_held_holds_up_nothing_else_and_goes_with_what_is_like_it_or_before_what_follows_upon_it()
{
    let mut outbox = Outbox::default();
    let tell = |outbox: &mut Outbox, id: &str, name: &str, reason| {
        outbox.announce(CHAT, to_people(id, name, reason), now(), now());
    };
    let due = |outbox: &Outbox, held: &[&str]| -> Vec<Vec<String>> {
        let due = outbox.due(now(), |id| held.contains(&id));
        let ids = due
            .into_iter()
            .map(|batch| batch.iter().map(|one| one.message.id.clone()).collect());
        ids.collect()
    };
    tell(&mut outbox, "a", "x", NoticeReason::UpdateAvailable);
    tell(&mut outbox, "b", "y", NoticeReason::UpdateStarted);
    assert_eq!(due(&outbox, &["a"]), [["b"]]);
    tell(&mut outbox, "c", "z", NoticeReason::UpdateAvailable);
    outbox.answered(CHAT, "b", &Answer::Taken, 3, now());
    assert!(due(&outbox, &["a", "c"]).is_empty());
    assert_eq!(due(&outbox, &["a"]), [["a", "c"]]);
    tell(&mut outbox, "d", "x", NoticeReason::UpdateStarted);
    assert_eq!(due(&outbox, &["a"])[0][0], "a");
}

#[test]
fn what_waits_for_the_end_of_quiet_hours_is_not_overdue_and_what_a_receiver_does_not_take_is() {
    let mut outbox = Outbox::default();
    let morning = after(8 * 3600);
    let available = to_people("a", "x", NoticeReason::UpdateAvailable);
    outbox.announce(CHAT, available, morning, now());
    assert_eq!((outbox.waiting().len(), outbox.overdue(now())), (1, 0));
    assert_eq!(outbox.overdue(morning), 1);
    outbox.enter(HOOK, message("b", "y"), now());
    assert_eq!(outbox.overdue(now()), 1);
    outbox.answered(HOOK, "b", &again(), 3, now());
    assert_eq!(outbox.overdue(now()), 1, "also before it is tried again");
    outbox.answered(HOOK, "b", &Answer::Taken, 3, after(60));
    assert_eq!(outbox.overdue(after(60)), 0);
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
    assert!(batches(&outbox, after(9)).is_empty());
    assert_eq!(outbox.next(after(9)), Some(after(10)));
    // `b` came later and goes with it; `d` is of a workload of which something else waits.
    assert_eq!(batches(&outbox, after(10)), [["a", "b"]]);
    let mut outbox = outbox;
    outbox.begin("x", |_| SignedDuration::from_secs(9), 1, after(10), |_| false);
    assert!(batches(&outbox, after(11)).is_empty(), "`c` waits for them");
    for id in ["a", "b"] {
        let fate = outbox.answered(CHAT, id, &Answer::Taken, 3, after(11));
        assert_eq!(fate, Some(Fate::Sent));
    }
    assert_eq!(batches(&outbox, after(11)), [["c"]]);
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
    assert_eq!(batches(&outbox, after(59)), [["a"]], "Slack's");
    assert_eq!(batches(&outbox, after(60)).len(), 2);
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
    assert_eq!(batches(&outbox, now())[0].len(), 100, "and a message names some");
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
    assert_eq!(batches(&outbox, after(60)), [["c"]]);
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

#[test]
fn a_reminder_for_which_there_is_no_room_is_one_when_there_is() {
    let every = SignedDuration::from_hours(24);
    let mut outbox = Outbox::default();
    let available = to_people("a", "x", NoticeReason::UpdateAvailable);
    outbox.announce(CHAT, available.clone(), now(), now());
    outbox.answered(CHAT, "a", &Answer::Taken, 3, now()).unwrap();
    for number in 0..200 {
        let other = to_people(
            &format!("{number}"),
            &format!("w{number}"),
            NoticeReason::UpdateHeld,
        );
        outbox.announce(CHAT, other, now(), now());
    }
    let due = outbox.reminder(CHAT, "a", every).unwrap();
    outbox.remind(CHAT, available, due, due);
    assert_eq!(outbox.waiting().len(), 200);
    assert_eq!(outbox.reminder(CHAT, "a", every), Some(due));
}
