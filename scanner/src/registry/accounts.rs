//! What a registry still allows to each of its accounts, and to all of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use shared::domain::budget::{PullBudget, PullLimit};
use shared::domain::cool_down::CoolDown;
use shared::domain::record::registry_accounts::{AccountMemory, AccountName, PoolName, RegistryMemory};

use super::access::Name;
use super::problem::Problem;
use super::restraint::{Refusal, Restraint, Stopped};
use super::usage::Purpose;

/// The most pools that one registry may name; the pulls of further ones are counted by account.
const MOST_POOLS: usize = 100;

/// Which accounts the names in the record stand for.
pub(super) type AccountNames = BTreeMap<AccountName, Name>;

/// The accounts of one registry.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    everybody: Restraint,
    of: HashMap<Name, Account>,
    pools: BTreeMap<PoolName, PullBudget>,
    /// As an earlier run has left them.
    recalled: BTreeMap<AccountName, AccountMemory>,
}

#[derive(Debug, Default)]
struct Account {
    restraint: Restraint,
    pool: Option<PoolName>,
    pulls: PullBudget,
}

impl Accounts {
    /// # Errors
    /// When the registry, or this account at it, is to be left alone.
    pub(super) fn check(&self, name: Name, now: Timestamp) -> Result<(), Problem> {
        self.check_everybody(now)?;
        self.of
            .get(&name)
            .map_or(Ok(()), |account| account.restraint.check(now))
    }

    /// # Errors
    /// When nobody may ask.
    pub(super) fn check_everybody(&self, now: Timestamp) -> Result<(), Problem> {
        self.everybody.check(now)
    }

    /// Takes a 429 to heart. Answers with the time until which nothing is asked.
    pub(super) fn refuse(
        &mut self,
        name: Name,
        refusal: Refusal,
        shortest: Duration,
        now: Timestamp,
    ) -> Timestamp {
        let restraint = match refusal.stopped {
            Stopped::Account => &mut self.of.entry(name).or_default().restraint,
            Stopped::Registry => &mut self.everybody,
        };
        restraint.refuse(refusal, shortest, now)
    }

    /// Nobody asks before that time, which is told for another reason than too many requests.
    pub(super) fn leave_alone(&mut self, until: Timestamp, reason: String) {
        let earlier = self.everybody.cool_down.as_ref();
        self.everybody.cool_down = Some(CoolDown::until(earlier, until, reason));
    }

    /// The registry has answered: the next refusal is the first again.
    /// An account is refused for its pulls, so that only a pull shows that it no longer is.
    pub(super) fn answered(&mut self, name: Name, is_pull: bool, now: Timestamp) {
        self.everybody.answered(now);
        if let Some(account) = self.of.get_mut(&name).filter(|_| is_pull) {
            account.restraint.answered(now);
        }
    }

    /// Takes one pull from what the registry still grants.
    ///
    /// # Errors
    /// When nothing is left for us.
    pub(super) fn spend_pull(
        &mut self,
        name: Name,
        purpose: Purpose,
        assumed: Option<PullLimit>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let pulls = self.pulls(name);
        let is_worth_it = match purpose {
            Purpose::Decision => true,
            Purpose::Description => pulls.has_some_to_spare(assumed, now),
        };
        if is_worth_it && pulls.spend(assumed, now) {
            return Ok(());
        }
        Err(Problem::OverBudget {
            until: pulls.next_relief(assumed, now).unwrap_or(now),
        })
    }

    /// Whether there is enough for what is not needed.
    pub(super) fn has_pulls_to_spare(
        &mut self,
        name: Name,
        assumed: Option<PullLimit>,
        now: Timestamp,
    ) -> bool {
        self.pulls(name).has_some_to_spare(assumed, now)
    }

    /// A pull that was taken has been answered, or failed.
    pub(super) fn pull_answered(&mut self, name: Name) {
        self.pulls(name).answered();
    }

    /// What the account with the fewest may still spend.
    pub(super) fn pulls_left(&self, assumed: Option<PullLimit>, now: Timestamp) -> u32 {
        let own = self.of.values().filter(|account| account.pool.is_none());
        let budgets = own.map(|account| &account.pulls).chain(self.pools.values());
        let left = budgets.map(|pulls| pulls.available(assumed, now)).min();
        left.unwrap_or_else(|| PullBudget::default().available(assumed, now))
    }

    /// The registry says which pool an account draws on. What was spent before that was spent from it as well.
    pub(super) fn name_pool(&mut self, name: Name, source: &str) {
        let pool = PoolName::of_source(source);
        if self.pools.len() >= MOST_POOLS && !self.pools.contains_key(&pool) {
            return;
        }
        let account = self.of.entry(name).or_default();
        let spent = std::mem::take(&mut account.pulls);
        account.pool = Some(pool.clone());
        self.pools.entry(pool).or_default().merge(spent);
    }

    /// The registry says what is left of an account's pulls.
    pub(super) fn observe(&mut self, name: Name, limit: PullLimit, remaining: u32, now: Timestamp) {
        self.pulls(name).observe(limit, remaining, now);
    }

    fn pulls(&mut self, name: Name) -> &mut PullBudget {
        let account = self.of.entry(name).or_default();
        match &account.pool {
            Some(pool) => self.pools.entry(pool.clone()).or_default(),
            None => &mut account.pulls,
        }
    }

    /// Takes in what an earlier run has left. A login that stands in several places is one account.
    pub(super) fn recall(&mut self, memory: &RegistryMemory, names: &AccountNames) {
        self.everybody.recall(memory.cool_down.as_ref());
        self.pools.clone_from(&memory.pools);
        self.recalled.clone_from(&memory.accounts);
        for (account_name, name) in names {
            let Some(recalled) = memory.accounts.get(account_name) else {
                continue;
            };
            let account = self.of.entry(*name).or_default();
            account.restraint.recall(recalled.cool_down.as_ref());
            account.pool = recalled.pool.clone().or(account.pool.take());
            account.pulls.merge(recalled.pulls.clone().unwrap_or_default());
        }
    }

    /// What a later run has to know. Of logins that this run did not know, it is what an earlier one has left.
    pub(super) fn write_down(&self, memory: &mut RegistryMemory, names: &AccountNames) {
        memory.cool_down.clone_from(&self.everybody.cool_down);
        memory.pools.clone_from(&self.pools);
        memory.accounts.clone_from(&self.recalled);
        for (account_name, name) in names {
            let known = self.of.get(name).map(|account| AccountMemory {
                cool_down: account.restraint.cool_down.clone(),
                pool: account.pool.clone(),
                pulls: Some(account.pulls.clone()),
            });
            memory
                .accounts
                .insert(account_name.clone(), known.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Credential, Login, Origin, Source};

    const QUARTER: Duration = Duration::from_mins(15);

    fn refusal(stopped: Stopped) -> Refusal {
        Refusal {
            stopped,
            named: None,
            reason: "slow down".to_owned(),
        }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + 60 * minute).unwrap()
    }

    #[test]
    fn those_that_are_refused_together_count_once_and_the_next_run_waits_longer() {
        let mut accounts = Accounts::default();
        for _ in 0..4 {
            let until = accounts.refuse(Name::Anybody, refusal(Stopped::Registry), QUARTER, at(0));
            assert_eq!(until, at(15));
        }
        accounts.answered(Name::Anybody, true, at(0));
        assert!(accounts.check(Name::Anybody, at(60)).is_err(), "not in this run");
        let mut memory = RegistryMemory::default();
        accounts.write_down(&mut memory, &AccountNames::new());
        let next_run = || {
            let mut accounts = Accounts::default();
            accounts.recall(&memory, &AccountNames::new());
            accounts
        };
        assert!(next_run().check(Name::Anybody, at(14)).is_err());
        let mut accounts = next_run();
        assert!(accounts.check(Name::Anybody, at(15)).is_ok());
        let until = accounts.refuse(Name::Anybody, refusal(Stopped::Registry), QUARTER, at(15));
        assert_eq!(until, at(45));
        let mut accounts = next_run();
        accounts.answered(Name::Anybody, true, at(15));
        let until = accounts.refuse(Name::Anybody, refusal(Stopped::Registry), QUARTER, at(16));
        assert_eq!(until, at(31), "it was answered in between");
    }

    #[test]
    fn an_account_that_was_refused_for_its_pulls_is_not_let_off_by_what_costs_none() {
        let names = AccountNames::from([(AccountName::anybody(), Name::Anybody)]);
        let mut accounts = Accounts::default();
        accounts.refuse(Name::Anybody, refusal(Stopped::Account), QUARTER, at(0));
        let mut memory = RegistryMemory::default();
        accounts.write_down(&mut memory, &names);
        for (is_pull, next) in [(false, at(50)), (true, at(35))] {
            let mut accounts = Accounts::default();
            accounts.recall(&memory, &names);
            accounts.answered(Name::Anybody, is_pull, at(20));
            let until = accounts.refuse(Name::Anybody, refusal(Stopped::Account), QUARTER, at(20));
            assert_eq!(until, next, "pull: {is_pull}");
        }
    }

    #[test]
    fn what_is_remembered_of_a_login_that_this_run_does_not_know_is_kept() {
        let place = AccountName::of_secret("shop", "regcred", "docker.io");
        let cooling = AccountMemory {
            cool_down: Some(CoolDown::after_refusal(None, None, QUARTER, String::new(), at(0))),
            ..AccountMemory::default()
        };
        let before = RegistryMemory {
            accounts: BTreeMap::from([(place, cooling)]),
            ..RegistryMemory::default()
        };
        let names = AccountNames::from([(AccountName::anybody(), Name::Anybody)]);
        let mut accounts = Accounts::default();
        accounts.recall(&before, &names);
        assert!(accounts.check(Name::Anybody, at(0)).is_ok());
        let mut after = RegistryMemory::default();
        accounts.write_down(&mut after, &names);
        after.forget(None, at(0));
        assert_eq!(after, before);
    }

    #[test]
    fn accounts_share_a_pool_if_and_only_if_the_registry_says_so() {
        let limit = PullLimit {
            pulls: 10,
            window_seconds: 21_600,
        };
        let source = Source {
            origin: Origin::File,
            entry: "docker.io".to_owned(),
        };
        let login = Name::Login(Credential::new(Login::IdentityToken("token".into()), source).id());
        let spend_all = |accounts: &mut Accounts, name| {
            (0..20)
                .filter(|_| {
                    accounts
                        .spend_pull(name, Purpose::Decision, Some(limit), at(0))
                        .is_ok()
                })
                .count()
        };
        let mut apart = Accounts::default();
        assert_eq!(spend_all(&mut apart, Name::Anybody), 7);
        assert_eq!(spend_all(&mut apart, login), 7);
        let mut together = Accounts::default();
        assert_eq!(spend_all(&mut together, Name::Anybody), 7);
        together.name_pool(Name::Anybody, "192.0.2.1");
        together.name_pool(login, "192.0.2.1");
        assert_eq!(spend_all(&mut together, login), 0);
        together.name_pool(login, "0a1b2c3d");
        assert_eq!(spend_all(&mut together, login), 7);
    }
}
