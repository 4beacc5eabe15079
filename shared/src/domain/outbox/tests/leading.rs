//! Several who believe to lead, at the same time or one after the other.

use proptest::prelude::*;

use super::*;

/// How long an attempt may take.
const LASTS: SignedDuration = SignedDuration::from_secs(15);

fn begin(outbox: &mut Outbox, by: &str, now: Timestamp) -> Vec<String> {
    let begun = outbox.begin(by, |_| LASTS, 100, now, |_| false);
    begun.concat().into_iter().map(|one| one.message.id).collect()
}

/// As it is read by another one.
fn read_by(outbox: &Outbox, by: &str, now: Timestamp) -> Outbox {
    let mut read = restarted(outbox);
    read.read_by(by, now, |_, _| false);
    read
}

#[test]
fn what_is_under_way_is_left_alone_until_it_must_be_over_by_whatever_clock_and_holds_up_what_comes_after_it()
{
    let mut first = outbox(&[("a1", "a"), ("a2", "a"), ("b1", "b")]);
    first.stored();
    assert_eq!(begin(&mut first, "first", now()), ["a1", "b1"]);
    assert!(first.has_changed(), "it is sent once that is written");
    assert!(begin(&mut first, "first", now()).is_empty());
    // An hour fast, an hour slow.
    for clock in [-3600, 3600] {
        let read = read_by(&first, "second", after(clock));
        assert!(
            read.is_sent_by_another(HOOK, "a1", "second") && !read.is_sent_by_another(HOOK, "a1", "first")
        );
        assert!(due(&read, after(clock + 15)).is_empty());
        assert_eq!(read.next(after(clock)), Some(after(clock + 16)));
        assert_eq!(due(&read, after(clock + 16)), ["a1", "b1"]);
    }
}

#[test]
fn what_its_sender_notes_as_over_is_under_way_no_more() {
    let mut first = outbox(&[("a", "x"), ("b", "y"), ("c", "z"), ("d", "w")]);
    begin(&mut first, "first", now());
    first.answered(HOOK, "a", &Answer::Taken, 3, now()).unwrap();
    first.answered(HOOK, "b", &again(), 3, now()).unwrap();
    first.give_back("second", |_, _| true);
    first.give_back("first", |_, id| id == "c");
    assert_eq!(due(&read_by(&first, "second", now()), after(5)), ["b", "c"]);
    // Whoever has begun it knows better.
    assert_eq!(due(&read_by(&first, "first", now()), now()), ["c", "d"]);
    let mut going_on = restarted(&first);
    going_on.read_by("first", now(), |_, id| id == "d");
    assert_eq!(due(&going_on, now()), ["c"]);
}

#[test]
fn a_record_of_an_older_version_says_of_nothing_that_it_is_under_way_and_one_that_does_is_legible() {
    let mut first = outbox(&[("a", "x")]);
    let stored = record::to_config_map(&first, "kubefresh-updater", "kubefresh");
    let text = &stored.data.as_ref().unwrap()["outbox"];
    assert!(!text.contains("underWay"), "{text}");
    assert_eq!(due(&read_by(&first, "second", now()), now()), ["a"]);
    begin(&mut first, "0123456789abcdef", now());
    let stored = record::to_config_map(&first, "kubefresh-updater", "kubefresh");
    let text = &stored.data.as_ref().unwrap()["outbox"];
    let expected = "  underWay:\n    by: 0123456789abcdef\n    seconds: 16\n";
    assert!(text.contains(expected), "{text}");
}

/// An updater that believes to lead.
struct Leader {
    name: &'static str,
    /// How far its clock is ahead.
    ahead: i64,
    /// What it has read or written, and the version of that.
    book: Option<(Outbox, u64)>,
    /// When what it has begun is over, by id.
    begun: BTreeMap<String, i64>,
}

impl Leader {
    /// Takes in what is over, begins what is due, and writes that over the version it has read. What it may send then.
    fn look(&mut self, stored: &mut (Outbox, u64), at: i64) -> Vec<String> {
        let now = after(at + self.ahead);
        let begun = &self.begun;
        let (book, version) = self.book.get_or_insert_with(|| {
            let mut read = restarted(&stored.0);
            read.read_by(self.name, now, |_, id| begun.contains_key(id));
            (read, stored.1)
        });
        let over = begun.iter().filter(|(_, over)| **over <= at);
        for (id, _) in over {
            book.answered(HOOK, id, &Answer::Taken, 3, now);
        }
        let sent = begin(book, self.name, now);
        if !book.has_changed() {
            return Vec::new();
        }
        if *version != stored.1 {
            self.book = None;
            return Vec::new();
        }
        book.stored();
        *version += 1;
        *stored = (book.clone(), *version);
        self.begun.retain(|_, over| *over > at);
        sent
    }
}

/// How many seconds an attempt takes at most: turns are up to three apart, so that what came of it is noted before another one may try.
const TAKES: i64 = LASTS.as_secs() - 2;

proptest! {
    #[test]
    fn however_two_who_believe_to_lead_take_turns_a_message_is_sent_once_if_each_notes_in_time_what_came_of_it(
        ahead in -3600_i64..3600,
        turns in prop::collection::vec((0_usize..2, 0..=TAKES, 0_i64..4), 1..60),
        names in prop::collection::vec(0_u8..4, 1..6),
    ) {
        let messages: Vec<(String, String)> =
            names.iter().enumerate().map(|(id, name)| (id.to_string(), name.to_string())).collect();
        let messages: Vec<(&str, &str)> =
            messages.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
        let mut stored = (outbox(&messages), 1);
        let leader = |name, ahead| Leader { name, ahead, book: None, begun: BTreeMap::new() };
        let mut leaders = [leader("first", 0), leader("second", ahead)];
        let (mut at, mut sent) = (0, Vec::new());
        for (who, takes, passes) in turns {
            at += passes;
            let ids = leaders[who].look(&mut stored, at);
            leaders[who].begun.extend(ids.iter().map(|id| (id.clone(), at + takes)));
            sent.extend(ids);
            // Nobody is paused for longer than an attempt may take.
            for leader in &mut leaders {
                if leader.begun.values().any(|over| *over <= at) {
                    let ids = leader.look(&mut stored, at);
                    leader.begun.extend(ids.iter().map(|id| (id.clone(), at + TAKES)));
                    sent.extend(ids);
                }
            }
        }
        let once: BTreeSet<&String> = sent.iter().collect();
        prop_assert_eq!(once.len(), sent.len(), "{:?}", sent);
    }
}
