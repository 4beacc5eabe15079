//! The record of what each registry still allows to whom, and of what was learned about it, so that a new process does not
//! spend what an old one has spent, asks nobody who wants to be left alone, and asks nothing that is known.
//!
//! A login is named by where it stands, as in [`rejected_logins`](super::rejected_logins), never by anything derived from it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};

use super::config_map::yaml;
use super::single::{SingleRecord, SingleRecordError};
use crate::domain::budget::{PullBudget, PullLimit};
use crate::domain::cool_down::CoolDown;
use crate::domain::hash::short_hash;
use crate::domain::time::whole_seconds;

/// The value of [`RECORD_LABEL`](super::config_map::RECORD_LABEL) and the name of the ConfigMap; there is one.
pub const REGISTRY_ACCOUNTS: &str = "registry-accounts";

const RECORD: SingleRecord = SingleRecord {
    kind: REGISTRY_ACCOUNTS,
    key: "registries",
};

/// The most that is kept, in bytes; a ConfigMap may have 1 MiB.
const MOST_BYTES: usize = 700 * 1024;

/// The most accounts and the most pools that are kept of one registry.
const MOST_OF_ONE_REGISTRY: usize = 50;

/// The most private repositories that are kept of one registry; each takes some 40 bytes, 260 at most.
const MOST_PRIVATE: usize = 1000;

/// For how long it is believed that a registry is as it was, so that one that changed is found out.
const BELIEVED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The longest address of a token service, and the longest name of a service, that is remembered, in bytes.
const LONGEST_CHALLENGE: usize = 500;

/// What is remembered of one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegistryMemory {
    /// How it wants to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<LearnedChallenge>,
    /// A page size that it does not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_page_size: Option<RefusedPageSize>,
    /// What it does not show to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<PrivateRepositories>,
    /// When the requests of earlier runs have been let through at its pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_until: Option<Timestamp>,
    /// For everybody who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cool_down: Option<CoolDown>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<AccountName, AccountMemory>,
    /// What is left of each pool that the registry has named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<PoolName, PullBudget>,
}

/// What is remembered of one account at a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountMemory {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cool_down: Option<CoolDown>,
    /// The pool that its pulls are taken from, where the registry names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// What is left of its pulls, where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulls: Option<PullBudget>,
}

/// How a registry wants to be asked: with a token from `realm`, or, where there is none, with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LearnedChallenge {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub learned_at: Timestamp,
}

/// A page size that a registry refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusedPageSize {
    pub tags: u32,
    pub learned_at: Timestamp,
}

/// Repositories that a registry refused or hid from anybody, and showed to a login: to ask for them without one costs requests
/// in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrivateRepositories {
    pub paths: BTreeSet<String>,
    /// When the first of them was.
    pub learned_at: Timestamp,
}

/// Who asks a registry: anybody, or the login that stands in a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountName(String);

impl AccountName {
    /// Whoever asks without a login.
    pub fn anybody() -> Self {
        Self("anybody".to_owned())
    }

    /// The login of an entry of a Secret, whatever its version: who gets a new password keeps what he has spent.
    pub fn of_secret(namespace: &str, name: &str, entry: &str) -> Self {
        Self(format!("secret {namespace}/{name} {}", short_hash(entry, 8)))
    }

    /// The login of an entry of the scanner's own docker config.
    pub fn of_file(entry: &str) -> Self {
        Self(format!("file {}", short_hash(entry, 8)))
    }
}

/// What a registry counts pulls by: an address or an account, as it names them itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PoolName(String);

impl PoolName {
    /// `source` is what `docker-ratelimit-source` says. It may be the address of the cluster, which is nobody's business:
    /// the six digits that are kept fit hundreds of addresses, and tell the few that one cluster has apart.
    pub fn of_source(source: &str) -> Self {
        Self(format!("pool-{}", short_hash(source, 6)))
    }
}

impl RegistryMemory {
    /// Leaves out what says nothing any more. `assumed` is the limit on pulls where the registry has not named one.
    pub fn forget(&mut self, assumed: Option<PullLimit>, now: Timestamp) {
        self.correct(now);
        let is_believed = |learned_at: Timestamp| now.duration_since(learned_at) < BELIEVED;
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.challenge = self.challenge.take().filter(|challenge| {
            is_believed(challenge.learned_at)
                && length(&challenge.realm) <= LONGEST_CHALLENGE
                && length(&challenge.service) <= LONGEST_CHALLENGE
        });
        self.refused_page_size = self
            .refused_page_size
            .filter(|refused| is_believed(refused.learned_at));
        self.private = self
            .private
            .take()
            .filter(|private| is_believed(private.learned_at) && !private.paths.is_empty());
        self.busy_until = self.busy_until.filter(|until| *until > now);
        self.cool_down = self
            .cool_down
            .take()
            .filter(|cool_down| !cool_down.is_forgotten(now));
        self.pools.retain(|_, pulls| !pulls.is_forgotten(assumed, now));
        for account in self.accounts.values_mut() {
            account.cool_down = account
                .cool_down
                .take()
                .filter(|cool_down| !cool_down.is_forgotten(now));
            account.pool = account.pool.take().filter(|pool| self.pools.contains_key(pool));
            account.pulls = account
                .pulls
                .take()
                .filter(|pulls| !pulls.is_forgotten(assumed, now));
        }
        self.accounts
            .retain(|_, account| *account != AccountMemory::default());
    }

    /// A clock that was wrong may have dated something in the future. It counts as of now, so that nothing is believed for
    /// longer than it ever is.
    fn correct(&mut self, now: Timestamp) {
        let learned = [
            self.challenge.as_mut().map(|challenge| &mut challenge.learned_at),
            self.refused_page_size
                .as_mut()
                .map(|refused| &mut refused.learned_at),
            self.private.as_mut().map(|private| &mut private.learned_at),
        ];
        for learned_at in learned.into_iter().flatten() {
            *learned_at = whole_seconds(now).min(*learned_at);
        }
        for account in self.accounts.values_mut() {
            account
                .cool_down
                .iter_mut()
                .for_each(|cool_down| cool_down.correct(now));
            account.pulls.iter_mut().for_each(|pulls| pulls.correct(now));
        }
        self.cool_down
            .iter_mut()
            .for_each(|cool_down| cool_down.correct(now));
        self.pools.values_mut().for_each(|pulls| pulls.correct(now));
    }

    /// Whether nothing differs but the time at which the registry said the same. That is not worth a write.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let words = |memory: &Self| {
            let mut words = memory.clone();
            words.pools.clear();
            words
                .accounts
                .values_mut()
                .for_each(|account| account.pulls = None);
            words
        };
        let pulls = |memory: &Self| -> Vec<PullBudget> {
            let accounts = memory.accounts.values();
            let own = accounts.map(|account| account.pulls.clone().unwrap_or_default());
            memory.pools.values().cloned().chain(own).collect()
        };
        let (ours, theirs) = (pulls(self), pulls(other));
        words(self) == words(other)
            && self.pools.keys().eq(other.pools.keys())
            && ours
                .iter()
                .zip(&theirs)
                .all(|(ours, theirs)| ours.says_the_same(theirs))
    }

    /// Whether it, or one of its accounts, is to be left alone until then or longer.
    pub fn is_left_alone_until(&self, until: Timestamp) -> bool {
        let of_accounts = self.accounts.values().map(|account| &account.cool_down);
        let mut cool_downs = of_accounts.chain([&self.cool_down]).flatten();
        cool_downs.any(|cool_down| cool_down.until >= until)
    }

    fn bounded(&self) -> Self {
        let mut bounded = self.clone();
        let accounts = std::mem::take(&mut bounded.accounts).into_iter();
        // Those that must be left alone before those that may be asked.
        let (cooling, others): (Vec<_>, Vec<_>) =
            accounts.partition(|(_, account)| account.cool_down.is_some());
        bounded.accounts = cooling
            .into_iter()
            .chain(others)
            .take(MOST_OF_ONE_REGISTRY)
            .collect();
        if let Some(private) = &mut bounded.private {
            let paths = std::mem::take(&mut private.paths);
            private.paths = paths.into_iter().take(MOST_PRIVATE).collect();
        }
        bounded.pools = std::mem::take(&mut bounded.pools)
            .into_iter()
            .take(MOST_OF_ONE_REGISTRY)
            .collect();
        bounded
    }

    /// Whether forgetting it would only cost a few requests.
    fn is_only_knowledge(&self) -> bool {
        self.cool_down.is_none() && self.accounts.is_empty() && self.pools.is_empty()
    }
}

/// The stored form, by registry. Where there is too much for a ConfigMap, what must be obeyed comes first.
pub fn to_config_map(registries: &BTreeMap<String, RegistryMemory>, namespace: &str) -> ConfigMap {
    let mut registries: Vec<_> = registries.iter().collect();
    registries.sort_by_key(|(_, memory)| memory.is_only_knowledge());
    let (mut kept, mut bytes) = (BTreeMap::new(), 0);
    for (registry, memory) in registries {
        let memory = memory.bounded();
        let entry = BTreeMap::from([(registry, &memory)]);
        let size = yaml(&entry).len();
        if bytes + size <= MOST_BYTES {
            bytes += size;
            kept.insert(registry, memory);
        }
    }
    RECORD.to_config_map(&kept, namespace)
}

/// Reads the stored form.
pub fn parse(config_map: &ConfigMap) -> Result<BTreeMap<String, RegistryMemory>, SingleRecordError> {
    RECORD.parse(config_map)
}

#[cfg(test)]
mod tests;
