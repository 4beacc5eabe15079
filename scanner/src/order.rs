//! In which order the repositories are asked, for runs in which the time or what a registry grants does not suffice for all.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::BuildHasher;

use jiff::Timestamp;
use shared::domain::reference::Repository;

/// A repository that waits for its turn, and what decides when that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) repository: Repository,
    /// Which is asked about it.
    pub(crate) registry: String,
    /// The namespaces in which somebody waits for it.
    pub(crate) namespaces: BTreeSet<String>,
    /// Of what is known of it; `None` comes before everything.
    pub(crate) scanned_at: Option<Timestamp>,
}

/// In turn one repository of each namespace, the one whose findings are oldest: no namespace can crowd out another, and within
/// one nobody waits for ever. Equals come in another order in every run.
pub(crate) fn in_turn(mut turns: Vec<Turn>, order_of_this_run: &impl BuildHasher) -> Vec<Turn> {
    turns.sort_by_cached_key(|turn| (turn.scanned_at, order_of_this_run.hash_one(&turn.repository)));
    let mut lanes = BTreeMap::<&str, VecDeque<usize>>::new();
    for (place, turn) in turns.iter().enumerate() {
        for namespace in &turn.namespaces {
            lanes.entry(namespace).or_default().push_back(place);
        }
    }
    let mut lanes: Vec<VecDeque<usize>> = lanes.into_values().collect();
    let mut order = Vec::with_capacity(turns.len());
    let mut taken = HashSet::new();
    while !lanes.is_empty() {
        let mut round = Vec::new();
        lanes.retain_mut(|lane| {
            let next = std::iter::from_fn(|| lane.pop_front()).find(|place| taken.insert(*place));
            round.extend(next);
            next.is_some()
        });
        round.sort_unstable();
        order.extend(round);
    }
    let mut turns: Vec<Option<Turn>> = turns.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|place| turns[place].take())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    /// `name: namespaces, hour of the last scan`
    fn turns(written: &[(&str, &str, Option<u8>)]) -> Vec<Turn> {
        let turn = |(name, namespaces, hour): &(&str, &str, Option<u8>)| {
            let scanned_at = hour.map(|hour| format!("2026-11-21T{hour:02}:00:00Z").parse().unwrap());
            Turn {
                repository: format!("example.com/{name}").parse().unwrap(),
                registry: "example.com".to_owned(),
                namespaces: namespaces.split(' ').map(str::to_owned).collect(),
                scanned_at,
            }
        };
        written.iter().map(turn).collect()
    }

    fn order(turns: Vec<Turn>) -> Vec<String> {
        let order = in_turn(turns, &RandomState::new());
        order
            .iter()
            .map(|turn| turn.repository.path().to_owned())
            .collect()
    }

    #[test]
    fn what_was_never_scanned_comes_first_and_then_the_oldest() {
        let order = order(turns(&[
            ("old", "shop", Some(1)),
            ("older", "shop", Some(0)),
            ("new", "shop", None),
            ("young", "shop", Some(9)),
        ]));
        assert_eq!(order, ["new", "older", "old", "young"]);
    }

    #[test]
    fn a_namespace_with_very_many_repositories_waits_for_the_others_after_each() {
        let mut many: Vec<(String, &str, Option<u8>)> = (0..100)
            .map(|number| (format!("g{number}"), "greedy", None))
            .collect();
        many.push(("a".to_owned(), "shop", Some(5)));
        many.push(("b".to_owned(), "shop", Some(6)));
        let written: Vec<_> = many
            .iter()
            .map(|(name, namespace, hour)| (name.as_str(), *namespace, *hour))
            .collect();
        let order = order(turns(&written));
        assert_eq!((order[1].as_str(), order[3].as_str()), ("a", "b"));
        assert_eq!(order.len(), 102);
    }

    #[test]
    fn what_several_namespaces_use_comes_once_and_costs_each_of_them_nothing_more() {
        let order = order(turns(&[
            ("both", "office shop", Some(1)),
            ("mail", "office", Some(2)),
            ("web", "shop", Some(3)),
        ]));
        assert_eq!(order, ["both", "web", "mail"]);
    }

    #[test]
    fn equals_come_in_another_order_in_every_run_and_none_is_left_out() {
        let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let written: Vec<_> = names.iter().map(|name| (name.as_str(), "shop", None)).collect();
        let (one, other) = (order(turns(&written)), order(turns(&written)));
        assert_ne!(one, other);
        let all: BTreeSet<_> = one.iter().cloned().collect();
        assert_eq!(all, names.into_iter().collect());
    }
}
