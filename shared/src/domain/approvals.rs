//! How many different people have agreed to an offer, where one is not enough.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::annotations::APPROVED_BY;
use super::decision::{Decider, Entries, Entry};

/// Why somebody's word makes no difference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("{by} has agreed before: {approvals}; it needs the word of somebody else")]
    HasAgreed { by: Box<Decider>, approvals: Box<Tally> },
    #[error(
        "the word of {by} does not count here: {approvals}; it needs different people whose names somebody has checked. Come by \
         the proxy that names you, if there is one, or run kubefresh-updater approve as yourself, not in a pod"
    )]
    Unknown { by: Box<Decider>, approvals: Box<Tally> },
}

/// How much of the annotation cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    All,
    Entries(usize),
}

/// Of how many people it is told that their word counts no more.
const MOST_LAPSED: usize = 3;

/// Whose word is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// Of how many different people.
    pub people: u32,
    /// Within which time of one another; `None`: whenever they give it.
    pub within: Option<SignedDuration>,
}

/// Somebody's word, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Voice {
    name: String,
    given: Timestamp,
}

/// By who they are: each person's last word.
type Voices = BTreeMap<String, Voice>;

/// Who has agreed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    needed: u32,
    /// Their names, by who they are.
    people: BTreeMap<String, String>,
    /// Whose word counts no more, and when they gave it, the latest first.
    lapsed: Vec<Voice>,
    /// When the first of those that count will do so no more, unless they are enough by then.
    lapses_at: Option<Timestamp>,
    /// How much of what is written down cannot be read, and so is nobody's word.
    unread: Unread,
}

impl Tally {
    /// Counts what is written on a workload of approvals of this [`offer`](super::approval_link::offer). What an update of the
    /// container has spent counts no more: an offer that was taken back needs everybody's word again. Nor does at `now` what is too
    /// old, but where enough people once agreed in time, they did.
    pub fn of(annotations: &BTreeMap<String, String>, offer: &str, quorum: Quorum, now: Timestamp) -> Self {
        let (approvals, unread) = match Entries::approvals(annotations) {
            Ok(approvals) => {
                let unread = Unread::Entries(approvals.unread());
                (approvals, unread)
            }
            Err(_) => (Entries::default(), Unread::All),
        };
        let valid = approvals
            .iter()
            .filter(|approval| approval.offer.as_deref() == Some(offer))
            // Of what names no container nobody could say when it is used up.
            .filter(|approval| approval.container.is_some() && !approval.spent);
        let mut valid: Vec<&Entry> = valid.collect();
        valid.sort_by_key(|approval| approval.at);
        let needed = usize::try_from(quorum.people).unwrap_or(usize::MAX);
        let mut until_each = (1..=valid.len()).map(|count| (&valid[..count], valid[count - 1].at));
        let is_agreed = until_each.any(|(words, at)| quorum.counted(words, at).len() >= needed);
        let all = voices(&valid);
        let counted = if is_agreed {
            all.clone()
        } else {
            quorum.counted(&valid, now)
        };
        let lapsed = all
            .into_iter()
            .filter(|(identity, _)| !counted.contains_key(identity));
        let mut lapsed: Vec<Voice> = lapsed.map(|(_, voice)| voice).collect();
        lapsed.sort_by_key(|voice| Reverse(voice.given));
        lapsed.truncate(MOST_LAPSED);
        let oldest = counted.values().map(|voice| voice.given).min();
        Self {
            needed: quorum.people,
            lapsed,
            lapses_at: oldest
                .filter(|_| !is_agreed)
                .and_then(|oldest| quorum.lapse(oldest)),
            people: counted
                .into_iter()
                .map(|(identity, voice)| (identity, voice.name))
                .collect(),
            unread,
        }
    }

    /// With one more word. That of somebody who cannot be told from others is nobody's: they may have agreed before.
    #[must_use]
    pub fn with(mut self, by: &Decider) -> Self {
        if let Some(identity) = by.identity() {
            self.people.entry(identity).or_insert_with(|| by.name.clone());
        }
        self
    }

    /// Why their word would make no difference, if it would make none.
    pub fn objection(&self, by: &Decider) -> Option<Objection> {
        let identity = by.identity();
        let has_agreed = identity.map(|identity| self.people.contains_key(&identity));
        let (by, approvals) = (Box::new(by.clone()), Box::new(self.clone()));
        match has_agreed {
            None => Some(Objection::Unknown { by, approvals }),
            Some(true) => Some(Objection::HasAgreed { by, approvals }),
            Some(false) => None,
        }
    }

    pub fn is_enough(&self) -> bool {
        u32::try_from(self.people.len()).unwrap_or(u32::MAX) >= self.needed
    }

    /// Whether nobody has agreed yet.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.lapsed.is_empty()
    }

    /// When it will be another one although nobody said anything.
    pub fn lapses_at(&self) -> Option<Timestamp> {
        self.lapses_at.filter(|_| !self.is_enough())
    }
}

impl Quorum {
    /// When a word that was given then counts no more.
    fn lapse(self, given: Timestamp) -> Option<Timestamp> {
        given.checked_add(self.within?).ok()
    }

    /// Whose word counts at `now`, of these that were given by then.
    fn counted(self, words: &[&Entry], now: Timestamp) -> Voices {
        let mut voices = voices(words);
        voices.retain(|_, voice| self.lapse(voice.given).is_none_or(|lapse| now < lapse));
        voices
    }
}

/// That of somebody who cannot be told from others is nobody's.
fn voices(words: &[&Entry]) -> Voices {
    let mut voices = Voices::new();
    for word in words {
        if let Some(identity) = word.by.identity() {
            let voice = voices.entry(identity).or_insert_with(|| Voice {
                name: word.by.name.clone(),
                given: word.at,
            });
            voice.given = word.at;
        }
    }
    voices
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} approvals", self.people.len(), self.needed)?;
        let people: Vec<&str> = self.people.values().map(String::as_str).collect();
        if !people.is_empty() {
            write!(f, " ({})", people.join(", "))?;
        }
        if let Some(until) = self.lapses_at() {
            write!(f, ", good until {until}")?;
        }
        for Voice { name, given } in &self.lapsed {
            write!(f, "; the word of {name}, given at {given}, counts no more")?;
        }
        match self.unread {
            Unread::Entries(0) => Ok(()),
            Unread::Entries(number) => write!(f, "; {number} of annotation {APPROVED_BY} cannot be read"),
            Unread::All => write!(f, "; annotation {APPROVED_BY} cannot be read, remove it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::annotations::DECIDED_BY;
    use crate::domain::decision::{Decision, Entry, Journal, KnownBy, spend};

    const OFFER: &str = "this one";

    fn person(written: &str) -> Decider {
        let known_by = |known_by, name: &str| Decider {
            name: name.to_owned(),
            known_by,
        };
        match written.split_once(':') {
            Some(("proxy", name)) => known_by(KnownBy::Proxy, name),
            Some(("cluster", name)) => known_by(KnownBy::Cluster, name),
            Some(("token", name)) => known_by(KnownBy::Token, name),
            Some(("program", name)) => known_by(KnownBy::Nothing, name),
            Some(_) | None => Decider::by_link(),
        }
    }

    /// Where these have agreed to these offers, to containers.
    fn written(approvals: &[(&str, &str, &str)]) -> BTreeMap<String, String> {
        let now = "2026-11-21T03:00:00Z".parse().unwrap();
        let entry = |(by, container, offer): &(&str, &str, &str)| Entry {
            container: Some((*container).to_owned()),
            offer: Some((*offer).to_owned()),
            ..Entry::new(Decision::Approve, &person(by), "a -> b", now)
        };
        let entries = approvals.iter().map(entry).collect();
        Journal::default().with(entries, now).unwrap()
    }

    fn tally(annotations: &BTreeMap<String, String>) -> Tally {
        let two = Quorum {
            people: 2,
            within: None,
        };
        Tally::of(annotations, OFFER, two, "2026-11-21T03:00:00Z".parse().unwrap())
    }

    fn told(annotations: &BTreeMap<String, String>) -> String {
        tally(annotations).to_string()
    }

    #[test]
    fn different_people_count_nobody_counts_twice_and_nobody_without_a_checked_name_at_all() {
        let cases: [(&[&str], &str, bool); 11] = [
            (&[], "0 of 2 approvals", false),
            (&["proxy:alice"], "1 of 2 approvals (alice)", false),
            (&["proxy:alice", "proxy:alice"], "1 of 2 approvals (alice)", false),
            (
                &["proxy:alice", "cluster:Alice"],
                "1 of 2 approvals (alice)",
                false,
            ),
            (
                &["proxy:alice", "proxy:bob"],
                "2 of 2 approvals (alice, bob)",
                true,
            ),
            (
                &["cluster:bob", "proxy:alice"],
                "2 of 2 approvals (alice, bob)",
                true,
            ),
            (
                &["token:alice", "token:bob", "link", "program:ci"],
                "0 of 2 approvals",
                false,
            ),
            (&["link", "proxy:alice"], "1 of 2 approvals (alice)", false),
            (
                &["proxy:system:admin", "proxy: System:node"],
                "0 of 2 approvals",
                false,
            ),
            (&["cluster:alice", "token:bob"], "1 of 2 approvals (alice)", false),
            (
                &["proxy:a", "proxy:b", "proxy:c"],
                "3 of 2 approvals (a, b, c)",
                true,
            ),
        ];
        for (people, expected, is_enough) in cases {
            let approvals: Vec<(&str, &str, &str)> = people.iter().map(|by| (*by, "app", OFFER)).collect();
            let tally = tally(&written(&approvals));
            assert_eq!(
                (tally.to_string().as_str(), tally.is_enough()),
                (expected, is_enough),
                "{people:?}"
            );
        }
    }

    /// Where two have to agree within a day, and these did after so many hours: what is told after so many.
    fn told_within_a_day(words: &[(&str, i64)], hours: i64) -> (String, Option<i64>) {
        let start: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let after = |hours: i64| start + SignedDuration::from_hours(hours);
        let entry = |(by, hours): &(&str, i64)| Entry {
            container: Some("app".to_owned()),
            offer: Some(OFFER.to_owned()),
            ..Entry::new(Decision::Approve, &person(by), "a -> b", after(*hours))
        };
        let entries = words.iter().map(entry).collect();
        let written = Journal::default().with(entries, start).unwrap();
        let quorum = Quorum {
            people: 2,
            within: Some(SignedDuration::from_hours(24)),
        };
        let tally = Tally::of(&written, OFFER, quorum, after(hours));
        let lapses_after = tally.lapses_at().map(|at| at.duration_since(start).as_hours());
        (tally.to_string(), lapses_after)
    }

    /// Who agreed after how many hours, when one looks, what is told then, and when it will be told otherwise.
    type Case<'a> = (&'a [(&'a str, i64)], i64, &'a str, Option<i64>);

    #[test]
    fn a_word_counts_for_as_long_as_it_may_wait_for_others_and_what_enough_agreed_to_in_time_stays_agreed_to()
    {
        let alice = "1 of 2 approvals (alice), good until 2026-11-22T00:00:00Z";
        let lapsed = "0 of 2 approvals; the word of alice, given at 2026-11-21T00:00:00Z, counts no more";
        let both = "2 of 2 approvals (alice, bob)";
        let cases: [Case<'_>; 7] = [
            (&[("proxy:alice", 0)], 23, alice, Some(24)),
            (&[("proxy:alice", 0)], 24, lapsed, None),
            (&[("proxy:alice", 0), ("proxy:bob", 23)], 23, both, None),
            // It may wait for its window for days.
            (&[("proxy:alice", 0), ("proxy:bob", 23)], 99, both, None),
            (
                &[("proxy:alice", 0), ("proxy:bob", 24)],
                25,
                "1 of 2 approvals (bob), good until 2026-11-23T00:00:00Z; the word of alice, given at 2026-11-21T00:00:00Z, \
                 counts no more",
                Some(48),
            ),
            // Her last word is what counts.
            (
                &[("proxy:alice", 0), ("proxy:alice", 30), ("proxy:bob", 53)],
                60,
                both,
                None,
            ),
            // A clock that is ahead.
            (
                &[("proxy:alice", 1)],
                0,
                "1 of 2 approvals (alice), good until 2026-11-22T01:00:00Z",
                Some(25),
            ),
        ];
        for (words, hours, expected, lapses_after) in cases {
            let found = told_within_a_day(words, hours);
            assert_eq!(
                found,
                (expected.to_owned(), lapses_after),
                "{words:?} after {hours}"
            );
        }
    }

    #[test]
    fn a_word_counts_for_what_was_offered_and_until_an_update_of_that_container_begins() {
        let agreed = written(&[("proxy:alice", "app", OFFER), ("proxy:bob", "web", "another")]);
        assert_eq!(told(&agreed), "1 of 2 approvals (alice)");
        for (containers, expected) in [
            (&["web"][..], "1 of 2 approvals (alice)"),
            (&["web", "app"], "0 of 2 approvals"),
        ] {
            let spent = spend(&agreed, containers.iter().copied()).unwrap();
            let spent = BTreeMap::from([(spent.0, spent.1.unwrap())]);
            assert_eq!(told(&spent), expected, "{containers:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_costs_the_word_of_nobody_else() {
        let mut agreed = written(&[("proxy:alice", "app", OFFER)]);
        agreed.insert(DECIDED_BY.to_owned(), "me".to_owned());
        assert_eq!(told(&agreed), "1 of 2 approvals (alice)");
        let entries = agreed[APPROVED_BY].strip_prefix('[').unwrap();
        let broken = format!(r#"[{{"by":"bob"}},{entries}"#);
        agreed.insert(APPROVED_BY.to_owned(), broken);
        assert_eq!(
            told(&agreed),
            "1 of 2 approvals (alice); 1 of annotation kubefresh.dev/approved-by cannot be read"
        );
    }

    #[test]
    fn what_cannot_be_read_is_nobodys_word() {
        let annotations = BTreeMap::from([(APPROVED_BY.to_owned(), "alice, bob".to_owned())]);
        let tally = tally(&annotations);
        assert!(
            !tally.is_enough() && tally.to_string().starts_with("0 of 2 approvals; annotation"),
            "{tally}"
        );
    }
}
