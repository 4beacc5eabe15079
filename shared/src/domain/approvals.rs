//! How many different people have agreed to an offer, where one is not enough.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use super::annotations::{APPROVED_BY, LAST_UPDATE};
use super::decision::{Decider, Journal};

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

/// Who has agreed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    needed: u32,
    /// Their names, by who they are.
    people: BTreeMap<String, String>,
    /// What is written down cannot be read, so nobody is known to have agreed.
    is_unreadable: bool,
}

impl Tally {
    /// Counts what is written on a workload of approvals of this [`offer`](super::approval_link::offer). What was agreed to before
    /// the last update ended is used up: an offer that was taken back needs everybody's word again.
    pub fn of(annotations: &BTreeMap<String, String>, offer: &str, needed: u32) -> Self {
        let empty = |is_unreadable| Self {
            needed,
            people: BTreeMap::new(),
            is_unreadable,
        };
        let Ok(journal) = Journal::read(annotations) else {
            return empty(true);
        };
        let ended: Option<Result<Timestamp, _>> = annotations.get(LAST_UPDATE).map(|written| written.parse());
        let is_after = |at: Timestamp| match &ended {
            None => true,
            Some(Ok(ended)) => *ended < at,
            Some(Err(_)) => false,
        };
        let approvals = journal.approvals().iter();
        let valid =
            approvals.filter(|approval| approval.offer.as_deref() == Some(offer) && is_after(approval.at));
        valid.fold(empty(false), |tally, approval| tally.with(&approval.by))
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
        self.people.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} approvals", self.people.len(), self.needed)?;
        if self.is_unreadable {
            return write!(f, "; annotation {APPROVED_BY} cannot be read, remove it");
        }
        let people: Vec<&str> = self.people.values().map(String::as_str).collect();
        if people.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", people.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::{Decision, Entry};

    const OFFER: &str = "this one";

    fn time(hour: &str) -> Timestamp {
        format!("2026-11-21T{hour}:00:00Z").parse().unwrap()
    }

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

    /// What is said where these have agreed to these offers at these hours.
    fn told(approvals: &[(&str, &str, &str)], last_update: Option<&str>) -> (String, bool) {
        let entry = |(by, offer, hour): &(&str, &str, &str)| Entry {
            offer: Some((*offer).to_owned()),
            ..Entry::new(Decision::Approve, &person(by), "a -> b", time(hour))
        };
        let entries = approvals.iter().map(entry).collect();
        let mut annotations = Journal::default().with(entries, time("03")).unwrap();
        annotations.extend(last_update.map(|written| (LAST_UPDATE.to_owned(), written.to_owned())));
        let tally = Tally::of(&annotations, OFFER, 2);
        (tally.to_string(), tally.is_enough())
    }

    #[test]
    fn different_people_count_nobody_counts_twice_and_nobody_without_a_checked_name_at_all() {
        let cases: [(&[&str], &str, bool); 10] = [
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
            (&["cluster:alice", "token:bob"], "1 of 2 approvals (alice)", false),
            (
                &["proxy:a", "proxy:b", "proxy:c"],
                "3 of 2 approvals (a, b, c)",
                true,
            ),
        ];
        for (people, expected, is_enough) in cases {
            let approvals: Vec<(&str, &str, &str)> = people.iter().map(|by| (*by, OFFER, "02")).collect();
            assert_eq!(
                told(&approvals, None),
                (expected.to_owned(), is_enough),
                "{people:?}"
            );
        }
    }

    #[test]
    fn a_word_counts_for_what_was_offered_and_until_an_update_ended() {
        let alice = ("proxy:alice", OFFER, "02");
        for (other, last_update, expected) in [
            (("proxy:bob", OFFER, "02"), None, "2 of 2 approvals (alice, bob)"),
            (("proxy:bob", "another", "02"), None, "1 of 2 approvals (alice)"),
            (
                ("proxy:bob", OFFER, "02"),
                Some("2026-11-21T01:00:00Z"),
                "2 of 2 approvals (alice, bob)",
            ),
            (
                ("proxy:bob", OFFER, "03"),
                Some("2026-11-21T02:30:00Z"),
                "1 of 2 approvals (bob)",
            ),
            (
                ("proxy:bob", OFFER, "02"),
                Some("2026-11-21T02:00:00Z"),
                "0 of 2 approvals",
            ),
            (("proxy:bob", OFFER, "02"), Some("yesterday"), "0 of 2 approvals"),
        ] {
            assert_eq!(
                told(&[alice, other], last_update).0,
                expected,
                "{other:?} {last_update:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobodys_word() {
        let annotations = BTreeMap::from([(APPROVED_BY.to_owned(), "alice, bob".to_owned())]);
        let tally = Tally::of(&annotations, OFFER, 2);
        assert!(
            !tally.is_enough() && tally.to_string().starts_with("0 of 2 approvals; annotation"),
            "{tally}"
        );
    }
}
