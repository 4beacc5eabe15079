//! How many different people have agreed to an offer, where one is not enough.

use std::collections::BTreeMap;
use std::fmt;

use super::annotations::APPROVED_BY;
use super::decision::{Decider, Entries};

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

/// Who has agreed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    needed: u32,
    /// Their names, by who they are.
    people: BTreeMap<String, String>,
    /// How much of what is written down cannot be read, and so is nobody's word.
    unread: Unread,
}

impl Tally {
    /// Counts what is written on a workload of approvals of this [`offer`](super::approval_link::offer). What an update of the
    /// container has spent counts no more: an offer that was taken back needs everybody's word again.
    pub fn of(annotations: &BTreeMap<String, String>, offer: &str, needed: u32) -> Self {
        let empty = |unread| Self {
            needed,
            people: BTreeMap::new(),
            unread,
        };
        let Ok(approvals) = Entries::approvals(annotations) else {
            return empty(Unread::All);
        };
        let valid = approvals
            .iter()
            .filter(|approval| approval.offer.as_deref() == Some(offer))
            // Of what names no container nobody could say when it is used up.
            .filter(|approval| approval.container.is_some() && !approval.spent);
        let unread = Unread::Entries(approvals.unread());
        valid.fold(empty(unread), |tally, approval| tally.with(&approval.by))
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
        let people: Vec<&str> = self.people.values().map(String::as_str).collect();
        if !people.is_empty() {
            write!(f, " ({})", people.join(", "))?;
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

    fn told(annotations: &BTreeMap<String, String>) -> String {
        Tally::of(annotations, OFFER, 2).to_string()
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
            let tally = Tally::of(&written(&approvals), OFFER, 2);
            assert_eq!(
                (tally.to_string().as_str(), tally.is_enough()),
                (expected, is_enough),
                "{people:?}"
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
        let tally = Tally::of(&annotations, OFFER, 2);
        assert!(
            !tally.is_enough() && tally.to_string().starts_with("0 of 2 approvals; annotation"),
            "{tally}"
        );
    }
}
