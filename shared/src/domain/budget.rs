//! How many counted pulls a registry still grants.
//!
//! Docker Hub counts every GET of a manifest against a limit in a rolling window, and shares it with the nodes that pull from
//! the same address or account. The scanner lists tags and asks by HEAD, which is free, and needs a GET only to learn the
//! platforms of a digest it has never seen. Those it must be able to afford, whatever earlier runs have spent: a process
//! forgets, so this is stored.
//!
//! Two things bound what may be spent. What the registry itself said last is believed over any model, less what was spent
//! since; and in no window does the scanner spend more than its own share, even where the registry says nothing. A part of
//! the limit is left to the nodes either way.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::time::whole_seconds;

/// The part of a limit that is left to the nodes' own pulls, in percent.
const FLOOR_PERCENT: u32 = 30;

/// Into how many parts a window is divided to remember what was spent when. Spending is forgotten a part too late rather
/// than too early.
const PARTS: i64 = 12;

/// For how long an answer may be under way while others overtake it.
const OVERTAKING: SignedDuration = SignedDuration::from_secs(60);

/// So many pulls in a rolling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullLimit {
    pub pulls: u32,
    pub window_seconds: u32,
}

/// What a registry said of its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Observation {
    pub limit: PullLimit,
    /// Pulls left, by everybody's spending.
    pub remaining: u32,
    pub at: Timestamp,
    /// What was spent since, by us.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spent_since: u32,
}

/// What is left of the counted pulls of one registry, for one address or account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PullBudget {
    /// The last word of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observation>,
    /// What we spent, by the beginning of each part of a window.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    spent: BTreeMap<Timestamp, u32>,
    /// Pulls that were spent and not answered yet. The registry's word may or may not hold them.
    #[serde(skip)]
    unanswered: u32,
    /// Whether the registry said something in this run. Answers overtake each other: of those of one run the least counts.
    #[serde(skip)]
    heard: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl PullLimit {
    /// What an anonymous client has at Docker Hub, by <https://docs.docker.com/docker-hub/usage/pulls/>, per IPv4 address or
    /// IPv6 /64; an account has at least this.
    pub const DOCKER_HUB: Self = Self {
        pulls: 100,
        window_seconds: 6 * 3600,
    };

    /// What the scanner may spend of it in a window.
    fn own_share(self) -> u32 {
        self.pulls - self.floor()
    }

    /// What is left to others.
    fn floor(self) -> u32 {
        self.pulls.saturating_mul(FLOOR_PERCENT).div_ceil(100)
    }

    fn window(self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.window_seconds.max(1)))
    }
}

impl PullBudget {
    /// Believes what the registry says now.
    pub fn observe(&mut self, limit: PullLimit, remaining: u32, now: Timestamp) {
        let before = self.observed.as_ref().filter(|before| {
            self.heard && before.limit == limit && now.duration_since(before.at) < OVERTAKING
        });
        let least = before.map_or(limit.pulls, |before| before.remaining);
        self.observed = Some(Observation {
            limit,
            remaining: remaining.min(least),
            at: now,
            spent_since: self.unanswered,
        });
        self.heard = true;
    }

    /// Says that a pull that was spent has been answered, or failed. To be called before [`observe`](Self::observe) is told
    /// what the answer says.
    pub fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// Whether nothing differs from an earlier one but the time at which the registry said the same. That is not worth a
    /// write, unless the earlier one was wrong.
    pub fn says_the_same(&self, earlier: &Self) -> bool {
        let word = |budget: &Self| {
            let observed = budget.observed.as_ref();
            observed.map(|observed| (observed.limit, observed.remaining, observed.spent_since))
        };
        self.spent == earlier.spent && word(self) == word(earlier) && self.said_at() >= earlier.said_at()
    }

    /// What a clock that was wrong has dated in the future counts as of now: nothing is believed for longer than a window.
    pub fn correct(&mut self, now: Timestamp) {
        if let Some(observed) = &mut self.observed {
            observed.at = observed.at.min(now);
        }
        let future = self.spent.split_off(&now);
        if !future.is_empty() {
            *self.spent.entry(whole_seconds(now)).or_default() += future.values().sum::<u32>();
        }
    }

    /// Whether it says nothing any more: all that was spent is given back, and the registry's word is out of date.
    pub fn is_forgotten(&self, assumed: Option<PullLimit>, now: Timestamp) -> bool {
        let observed = self.current_observation(now);
        let limit = observed.map(|observed| observed.limit).or(assumed);
        observed.is_none() && limit.is_none_or(|limit| self.spent_within(limit, now) == 0)
    }

    /// Takes in what another knows of the same pulls.
    pub fn merge(&mut self, other: Self) {
        let is_later = other.said_at() > self.said_at();
        for (begins, count) in other.spent {
            let known = self.spent.entry(begins).or_default();
            *known = count.max(*known);
        }
        self.unanswered += other.unanswered;
        if is_later {
            self.observed = other.observed;
            self.heard = other.heard;
        }
    }

    /// How many pulls may be spent now. `assumed` is the limit where the registry has not named one; where there is none
    /// either, pulls are not counted.
    pub fn available(&self, assumed: Option<PullLimit>, now: Timestamp) -> u32 {
        let observed = self.current_observation(now);
        let Some(limit) = observed.map(|observed| observed.limit).or(assumed) else {
            return u32::MAX;
        };
        let own = limit.own_share().saturating_sub(self.spent_within(limit, now));
        let shared = observed.map(|observed| {
            observed
                .remaining
                .saturating_sub(observed.spent_since)
                .saturating_sub(limit.floor())
        });
        shared.map_or(own, |shared| shared.min(own))
    }

    /// Whether more than half of our own share may be spent now: less is kept for what updates are decided by.
    pub fn has_some_to_spare(&self, assumed: Option<PullLimit>, now: Timestamp) -> bool {
        let observed = self.current_observation(now).map(|observed| observed.limit);
        let share = observed.or(assumed).map_or(0, PullLimit::own_share);
        self.available(assumed, now) > share / 2
    }

    /// Spends a pull, if there is one.
    pub fn spend(&mut self, assumed: Option<PullLimit>, now: Timestamp) -> bool {
        if self.available(assumed, now) == 0 {
            return false;
        }
        let observed = self.current_observation(now).map(|observed| observed.limit);
        if let Some(limit) = observed.or(assumed) {
            let part = part_of(limit);
            let begins = now.as_second().div_euclid(part) * part;
            if let Ok(begins) = Timestamp::from_second(begins) {
                *self.spent.entry(begins).or_default() += 1;
            }
            self.forget(limit, now);
        }
        if let Some(observed) = &mut self.observed {
            observed.spent_since += 1;
        }
        self.unanswered += 1;
        true
    }

    /// When more may be spent than now, where nothing new is heard before.
    pub fn next_relief(&self, assumed: Option<PullLimit>, now: Timestamp) -> Option<Timestamp> {
        let observed = self.current_observation(now);
        let limit = observed.map(|observed| observed.limit).or(assumed)?;
        let oldest = self
            .spent
            .keys()
            .next()
            .map(|begins| forgotten_at(*begins, limit));
        let outdated = observed.and_then(|observed| observed.at.checked_add(limit.window()).ok());
        oldest
            .into_iter()
            .chain(outdated)
            .filter(|relief| *relief > now)
            .min()
    }

    fn said_at(&self) -> Option<Timestamp> {
        self.observed.as_ref().map(|observed| observed.at)
    }

    /// What the registry said less than a window ago. Whatever was spent before that is given back by now.
    fn current_observation(&self, now: Timestamp) -> Option<&Observation> {
        self.observed
            .as_ref()
            .filter(|observed| now.duration_since(observed.at) < observed.limit.window())
    }

    fn spent_within(&self, limit: PullLimit, now: Timestamp) -> u32 {
        let still_counts = |(begins, _): &(&Timestamp, &u32)| forgotten_at(**begins, limit) > now;
        self.spent
            .iter()
            .filter(still_counts)
            .map(|(_, count)| count)
            .sum()
    }

    fn forget(&mut self, limit: PullLimit, now: Timestamp) {
        self.spent.retain(|begins, _| forgotten_at(*begins, limit) > now);
    }
}

/// The length of a part of the window, in seconds.
fn part_of(limit: PullLimit) -> i64 {
    (i64::from(limit.window_seconds) / PARTS).max(1)
}

/// When the last pull of the part that begins then is out of the window.
fn forgotten_at(begins: Timestamp, limit: PullLimit) -> Timestamp {
    let after = limit.window() + SignedDuration::from_secs(part_of(limit));
    begins.checked_add(after).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HUB: Option<PullLimit> = Some(PullLimit::DOCKER_HUB);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn spend_all(budget: &mut PullBudget, now: Timestamp) -> u32 {
        let mut spent = 0;
        while budget.spend(HUB, now) {
            spent += 1;
        }
        spent
    }

    #[test]
    fn without_a_word_of_the_registry_seventy_of_a_hundred_pulls_are_ours_in_any_window() {
        let mut budget = PullBudget::default();
        assert_eq!(spend_all(&mut budget, at(0)), 70);
        assert_eq!(spend_all(&mut budget, at(5 * 3600)), 0);
        assert_eq!(
            spend_all(&mut budget, at(6 * 3600 + 1800)),
            70,
            "a part later at most"
        );
    }

    #[test]
    fn what_the_registry_says_is_believed_over_the_model_and_the_nodes_keep_their_part() {
        let mut budget = PullBudget::default();
        budget.observe(PullLimit::DOCKER_HUB, 35, at(0));
        assert_eq!(budget.available(HUB, at(10)), 5);
        assert_eq!(spend_all(&mut budget, at(10)), 5);
        (0..5).for_each(|_| budget.answered());
        budget.observe(PullLimit::DOCKER_HUB, 29, at(20));
        assert_eq!(budget.available(HUB, at(20)), 0);
        budget.observe(PullLimit::DOCKER_HUB, 100, at(90));
        assert_eq!(budget.available(HUB, at(90)), 65, "never more than our share");
        let larger = PullLimit {
            pulls: 200,
            window_seconds: 21_600,
        };
        budget.observe(larger, 200, at(100));
        assert_eq!(budget.available(HUB, at(100)), 135);
        budget.observe(PullLimit::DOCKER_HUB, 0, at(110));
        assert_eq!(
            budget.next_relief(HUB, at(110)).map(|relief| relief > at(110)),
            Some(true)
        );
        assert_eq!(
            budget.available(HUB, at(110 + 21_600 + 1800)),
            70,
            "that word is out of date"
        );
    }

    #[test]
    fn a_pull_that_is_not_answered_yet_is_not_spent_twice_whichever_answer_comes_first() {
        let mut budget = PullBudget::default();
        budget.observe(PullLimit::DOCKER_HUB, 32, at(0));
        assert!(budget.spend(HUB, at(1)));
        // A HEAD that was answered before the pull was counted.
        budget.observe(PullLimit::DOCKER_HUB, 32, at(2));
        assert_eq!(budget.available(HUB, at(2)), 1);
        budget.answered();
        budget.observe(PullLimit::DOCKER_HUB, 31, at(3));
        // Another one, whose answer was overtaken.
        budget.observe(PullLimit::DOCKER_HUB, 32, at(4));
        assert_eq!(budget.available(HUB, at(4)), 1);
        assert_eq!(spend_all(&mut budget, at(5)), 1);
    }

    #[test]
    fn what_a_wrong_clock_has_dated_in_the_future_is_believed_for_one_window_from_now() {
        let mut budget = PullBudget::default();
        let (future, now) = (at(1_000_000), at(0));
        budget.observe(PullLimit::DOCKER_HUB, 40, future);
        assert_eq!(spend_all(&mut budget, future), 10);
        let stored = budget.clone();
        budget.correct(now);
        assert!(!budget.says_the_same(&stored), "so that it is written");
        assert_eq!(budget.available(HUB, at(3600)), 0);
        assert_eq!(budget.available(HUB, at(6 * 3600)), 60);
        assert_eq!(budget.available(HUB, at(6 * 3600 + 1800)), 70);
        let corrected = budget.clone();
        budget.correct(at(60));
        assert_eq!(budget, corrected);
    }

    #[test]
    fn a_registry_that_counts_nothing_is_not_budgeted() {
        let mut budget = PullBudget::default();
        assert_eq!(budget.available(None, at(0)), u32::MAX);
        assert!(budget.spend(None, at(0)));
        budget.answered();
        assert_eq!(budget, PullBudget::default());
        assert_eq!(budget.next_relief(None, at(0)), None);
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let mut budget = PullBudget::default();
        budget.observe(PullLimit::DOCKER_HUB, 80, at(0));
        for second in [1, 2, 4000] {
            assert!(budget.spend(HUB, at(second)));
            budget.answered();
        }
        let stored = serde_json::to_string(&budget).unwrap();
        let read: PullBudget = serde_json::from_str(&stored).unwrap();
        assert!(read.says_the_same(&budget));
        assert_eq!(read.available(HUB, at(4001)), budget.available(HUB, at(4001)));
    }

    #[test]
    fn two_accounts_of_one_pool_together_know_what_each_of_them_knows() {
        let mut one = PullBudget::default();
        assert!(one.spend(HUB, at(0)) && one.spend(HUB, at(0)));
        let mut other = PullBudget::default();
        assert!(other.spend(HUB, at(0)) && other.spend(HUB, at(7200)));
        other.observe(PullLimit::DOCKER_HUB, 60, at(7201));
        one.merge(other.clone());
        assert_eq!(one.spent_within(PullLimit::DOCKER_HUB, at(7201)), 3);
        assert_eq!(one.observed, other.observed);
        let before = one.clone();
        one.merge(PullBudget::default());
        assert_eq!(one, before);
    }

    #[test]
    fn a_budget_is_forgotten_once_the_window_is_over() {
        let mut budget = PullBudget::default();
        assert!(budget.is_forgotten(HUB, at(0)));
        assert!(budget.spend(HUB, at(0)));
        assert!(!budget.is_forgotten(HUB, at(6 * 3600)));
        assert!(budget.is_forgotten(HUB, at(7 * 3600)));
        budget.observe(PullLimit::DOCKER_HUB, 100, at(7 * 3600));
        assert!(!budget.is_forgotten(None, at(8 * 3600)));
        assert!(budget.is_forgotten(None, at(14 * 3600)));
    }

    proptest! {
        /// Whoever spends whenever he may never has more than the share in any window, whatever the registry says.
        #[test]
        fn no_window_ever_holds_more_than_the_share(
            steps in prop::collection::vec((0_i64..4000, 0_usize..40, prop::option::of(0_u32..=100)), 1..60),
        ) {
            let mut budget = PullBudget::default();
            let mut now = 0;
            let mut pulls: Vec<i64> = Vec::new();
            for (wait, wish, said) in steps {
                now += wait;
                if let Some(remaining) = said {
                    budget.observe(PullLimit::DOCKER_HUB, remaining, at(now));
                }
                let granted = (0..wish).take_while(|_| budget.spend(HUB, at(now))).count();
                (0..granted).for_each(|_| budget.answered());
                pulls.extend(std::iter::repeat_n(now, granted));
            }
            for &end in &pulls {
                let window = pulls.iter().filter(|&&pull| pull <= end && pull > end - 6 * 3600).count();
                prop_assert!(window <= 70, "{window} pulls up to {end}");
            }
            prop_assert!(budget.spent.len() <= 15, "{} parts are remembered", budget.spent.len());
        }
    }

    /// Docker Hub as its anonymous clients know it: it counts GETs in a rolling window, ours and the nodes', and says with
    /// every HEAD what is left.
    #[derive(Default)]
    struct Hub {
        pulls: std::collections::VecDeque<i64>,
        refused: usize,
    }

    impl Hub {
        fn remaining(&mut self, now: i64) -> u32 {
            while self.pulls.front().is_some_and(|&pull| pull <= now - 6 * 3600) {
                self.pulls.pop_front();
            }
            100_u32.saturating_sub(u32::try_from(self.pulls.len()).unwrap())
        }

        fn pull(&mut self, now: i64) {
            if self.remaining(now) == 0 {
                self.refused += 1;
            } else {
                self.pulls.push_back(now);
            }
        }
    }

    #[test]
    fn five_hundred_images_every_five_minutes_for_a_day_cost_the_nodes_nothing() {
        let (mut hub, mut budget) = (Hub::default(), PullBudget::default());
        let mut unknown = 500_usize;
        let mut resolved = 0;
        for run in 0..288 {
            let now = run * 300;
            // Every eighth hour the nodes pull thirty images; every run three images get a new digest.
            if run % 96 == 50 {
                (0..30).for_each(|_| hub.pull(now));
            }
            unknown += 3;
            // The run begins with its HEADs, which are free and say what is left.
            budget.observe(PullLimit::DOCKER_HUB, hub.remaining(now), at(now));
            while unknown > 0 && budget.spend(HUB, at(now)) {
                budget.answered();
                hub.pull(now);
                unknown -= 1;
                resolved += 1;
            }
        }
        assert_eq!(hub.refused, 0, "neither we nor the nodes were refused a pull");
        assert!(resolved >= 200, "only {resolved} digests were resolved in a day");
    }
}
