//! Who is asked next: repositories in their order, as far as their registry and those who wait for them have room.
//!
//! A registry that takes its time holds up nobody but those who ask it, and a namespace whose registries do can hold no more
//! than its part of the places.

use std::collections::{BTreeMap, VecDeque};

use shared::domain::reference::Repository;

use crate::order::Turn;

/// How many repositories may be in work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// All together.
    pub(crate) all: usize,
    /// For the sake of one namespace, where several wait for something.
    pub(crate) for_each_namespace: usize,
}

/// A repository in work, and whose places it takes. To be given back by [`Queue::ended`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) repository: Repository,
    registry: String,
    namespace: String,
}

/// Those that wait, and the places that are taken.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Places,
    in_work: usize,
    registries: BTreeMap<String, Line>,
    /// How many are in work for the sake of each.
    namespaces: BTreeMap<String, usize>,
}

/// Those that wait for one registry, each with its place in the whole order.
#[derive(Debug)]
struct Line {
    waiting: VecDeque<(usize, Turn)>,
    in_work: usize,
    places: usize,
}

impl Queue {
    /// `order` is the order in which they are begun where there is room; `places_at` says how many a registry has, by its name.
    pub(crate) fn new(order: Vec<Turn>, places: Places, places_at: impl Fn(&str) -> usize) -> Self {
        let mut registries = BTreeMap::new();
        let mut namespaces = BTreeMap::new();
        for (place, turn) in order.into_iter().enumerate() {
            namespaces.extend(turn.namespaces.iter().map(|namespace| (namespace.clone(), 0)));
            let line = registries
                .entry(turn.registry.clone())
                .or_insert_with_key(|registry: &String| Line {
                    waiting: VecDeque::new(),
                    in_work: 0,
                    places: places_at(registry).max(1),
                });
            line.waiting.push_back((place, turn));
        }
        Self {
            places: Places {
                for_each_namespace: if namespaces.len() > 1 {
                    places.for_each_namespace
                } else {
                    places.all
                },
                ..places
            },
            in_work: 0,
            registries,
            namespaces,
        }
    }

    /// The first that has room now.
    pub(crate) fn begin(&mut self) -> Option<Begun> {
        if self.in_work >= self.places.all {
            return None;
        }
        let first_of_each = self.registries.iter().filter_map(|(registry, line)| {
            let with_room = (line.in_work < line.places).then_some(&line.waiting);
            let mut waiting = with_room?.iter().enumerate();
            waiting.find_map(|(at, (place, turn))| {
                let namespace = self.namespace_with_room(turn)?;
                Some((*place, at, registry, namespace))
            })
        });
        let (_, at, registry, namespace) = first_of_each.min()?;
        let (registry, namespace) = (registry.clone(), namespace.to_owned());
        let line = self.registries.get_mut(&registry)?;
        let (_, Turn { repository, .. }) = line.waiting.remove(at)?;
        line.in_work += 1;
        self.in_work += 1;
        *self.namespaces.entry(namespace.clone()).or_default() += 1;
        Some(Begun {
            repository,
            registry,
            namespace,
        })
    }

    /// Gives its places back.
    pub(crate) fn ended(&mut self, begun: &Begun) {
        self.in_work -= 1;
        if let Some(line) = self.registries.get_mut(&begun.registry) {
            line.in_work -= 1;
        }
        if let Some(in_work) = self.namespaces.get_mut(&begun.namespace) {
            *in_work -= 1;
        }
    }

    /// The one that has the fewest in work of those who wait for it, if that has room for another.
    fn namespace_with_room<'a>(&self, turn: &'a Turn) -> Option<&'a str> {
        let in_work = |namespace: &&String| self.namespaces.get(*namespace).copied().unwrap_or(0);
        let fewest = turn.namespaces.iter().min_by_key(in_work)?;
        (in_work(&fewest) < self.places.for_each_namespace).then_some(fewest.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        all: 6,
        for_each_namespace: 3,
    };

    /// `registry/path: namespaces`
    fn queue(written: &[(&str, &str)]) -> Queue {
        let turn = |(repository, namespaces): &(&str, &str)| {
            let repository: Repository = repository.parse().unwrap();
            Turn {
                scanned_at: None,
                registry: repository.registry().to_owned(),
                namespaces: namespaces.split(' ').map(str::to_owned).collect(),
                repository,
            }
        };
        Queue::new(written.iter().map(turn).collect(), PLACES, |_| 2)
    }

    fn begin_all(queue: &mut Queue) -> Vec<Begun> {
        std::iter::from_fn(|| queue.begin()).collect()
    }

    fn names(begun: &[Begun]) -> Vec<String> {
        begun.iter().map(|begun| begun.repository.to_string()).collect()
    }

    #[test]
    fn a_slow_registry_holds_up_nobody_who_asks_another() {
        let mut queue = queue(&[
            ("slow.example/a", "shop"),
            ("slow.example/b", "shop"),
            ("slow.example/c", "shop"),
            ("fast.example/d", "shop"),
            ("fast.example/e", "shop"),
            ("fast.example/f", "shop"),
        ]);
        let begun = begin_all(&mut queue);
        let expected = [
            "slow.example/a",
            "slow.example/b",
            "fast.example/d",
            "fast.example/e",
        ];
        assert_eq!(names(&begun), expected);
        queue.ended(&begun[2]);
        assert_eq!(names(&begin_all(&mut queue)), ["fast.example/f"]);
        queue.ended(&begun[1]);
        assert_eq!(names(&begin_all(&mut queue)), ["slow.example/c"]);
    }

    #[test]
    fn a_namespace_with_many_slow_registries_leaves_room_for_the_others() {
        let mut queue = queue(&[
            ("a.example/x", "greedy"),
            ("b.example/x", "greedy"),
            ("c.example/x", "greedy"),
            ("d.example/x", "greedy"),
            ("e.example/x", "shop"),
            ("f.example/x", "greedy shop"),
        ]);
        let begun = names(&begin_all(&mut queue));
        assert_eq!(
            begun,
            [
                "a.example/x",
                "b.example/x",
                "c.example/x",
                "e.example/x",
                "f.example/x"
            ]
        );
    }

    #[test]
    fn a_namespace_that_is_alone_has_all_the_places() {
        let mut queue = queue(&[
            ("a.example/x", "shop"),
            ("b.example/x", "shop"),
            ("c.example/x", "shop"),
            ("d.example/x", "shop"),
            ("e.example/x", "shop"),
            ("f.example/x", "shop"),
            ("g.example/x", "shop"),
        ]);
        let begun = begin_all(&mut queue);
        assert_eq!(begun.len(), PLACES.all);
        queue.ended(&begun[0]);
        assert_eq!(names(&begin_all(&mut queue)), ["g.example/x"]);
    }
}
