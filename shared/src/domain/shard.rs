//! A scanner's share where several of them, the pods of an Indexed Job, divide the repositories among themselves.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::hash::short_hash;
use super::reference::Repository;

/// One share of so many. By default there is one scanner, and everything is its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shard {
    /// From 0, as Kubernetes numbers the pods of an Indexed Job.
    pub index: u32,
    pub of: NonZeroU32,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            index: 0,
            of: NonZeroU32::MIN,
        }
    }
}

impl Shard {
    /// # Errors
    /// When there is no such share.
    pub fn new(index: u32, of: NonZeroU32) -> Result<Self, String> {
        if index < of.get() {
            return Ok(Self { index, of });
        }
        Err(format!(
            "there is no shard {index} of {of}, they are numbered from 0; the number of shards is that of the Job's completions"
        ))
    }

    /// Whether there is no other.
    pub fn is_all(&self) -> bool {
        self.of == NonZeroU32::MIN
    }

    /// Whether a repository, by the name under which it is asked for, belongs to this share. What a registry counts is left to
    /// the first one alone, whatever their number, so that nobody spends what another has spent; the others are divided by
    /// their names.
    pub fn takes(self, asked_as: &Repository, is_counted: bool) -> bool {
        if is_counted {
            return self.index == 0;
        }
        let hash = u32::from_str_radix(&short_hash(&asked_as.to_string(), 8), 16).unwrap_or(0);
        hash % self.of == self.index
    }

    /// The name of its record of a kind of which every scanner has one.
    pub fn record_name(self, kind: &str) -> String {
        match self.index {
            0 => kind.to_owned(),
            index => format!("{kind}-{index}"),
        }
    }

    /// Whether a record of that kind is left over from a time in which there were more scanners. The first one clears up.
    pub fn is_left_over(self, kind: &str, name: &str) -> bool {
        let suffix = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
        let index = suffix.and_then(|suffix| suffix.parse::<u32>().ok());
        self.index == 0 && index.is_some_and(|index| index >= self.of.get())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(of: u32) -> Vec<Shard> {
        let of = NonZeroU32::new(of).unwrap();
        (0..of.get())
            .map(|index| Shard::new(index, of).unwrap())
            .collect()
    }

    fn repository(number: usize) -> Repository {
        format!("registry.example/shop/{number}").parse().unwrap()
    }

    #[test]
    fn every_repository_is_in_one_share_and_the_shares_are_of_a_size() {
        for of in 1..8 {
            let shards = shards(of);
            let mut sizes = vec![0_u32; shards.len()];
            for number in 0..1000 {
                let takers: Vec<_> = (0..shards.len())
                    .filter(|index| shards[*index].takes(&repository(number), false))
                    .collect();
                assert_eq!(takers.len(), 1, "{number} of {of}");
                sizes[takers[0]] += 1;
            }
            let fair = 1000 / of;
            assert!(
                sizes.iter().all(|size| (fair / 2..fair * 2).contains(size)),
                "{sizes:?}"
            );
        }
    }

    #[test]
    fn what_is_counted_stays_with_the_first_whatever_their_number() {
        for of in 1..8 {
            for shard in shards(of) {
                assert_eq!(shard.takes(&repository(7), true), shard.index == 0, "{shard}");
            }
        }
    }

    #[test]
    fn there_is_no_share_beyond_the_last() {
        let error = Shard::new(3, NonZeroU32::new(3).unwrap()).unwrap_err();
        assert!(error.contains("no shard 3 of 3"), "{error}");
    }

    #[test]
    fn each_has_records_of_its_own_and_the_first_clears_up_after_more() {
        let [first, second] = shards(2)[..] else {
            panic!("two")
        };
        assert_eq!(first.record_name("last-run"), "last-run");
        assert_eq!(second.record_name("last-run"), "last-run-1");
        for (name, left_over) in [
            ("last-run", false),
            ("last-run-1", false),
            ("last-run-2", true),
            ("last-run-77", true),
            ("last-run-", false),
            ("last-run-x", false),
        ] {
            assert_eq!(first.is_left_over("last-run", name), left_over, "{name}");
            assert!(!second.is_left_over("last-run", name), "{name}");
        }
    }
}
