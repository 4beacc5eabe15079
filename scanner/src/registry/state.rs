//! What is remembered about one registry during a run.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Instant;

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::HeaderMap;
use shared::domain::budget;
use shared::domain::record::registry_accounts::{PrivateRepositories, RefusedPageSize, RegistryMemory};
use shared::domain::time::whole_seconds;
use tokio::sync::Semaphore;

use super::access::Name;
use super::accounts::{AccountNames, Accounts};
use super::challenge::Challenge;
use super::endpoint;
use super::first_turn::First;
use super::login::Logins;
use super::options::RegistryClientOptions;
use super::outage::Outage;
use super::pacer::Pacer;
use super::problem::Problem;
use super::token::TokenCache;
use super::usage::{Purpose, ReportedPulls, RequestKind, Usage};

#[derive(Debug)]
pub(super) struct RegistryState {
    /// The host in lower case, with the port if there is one.
    pub(super) name: String,
    pub(super) base: Url,
    pub(super) pacer: Pacer,
    /// The limit on pulls where the registry has not named one.
    pub(super) pull_limit: Option<budget::PullLimit>,
    /// How many requests may be in flight.
    pub(super) concurrency: usize,
    pub(super) permits: Semaphore,
    pub(super) tokens: TokenCache,
    pub(super) logins: Logins,
    pub(super) first: First,
    /// Whether the registry was asked for its challenge alone; held while it is.
    pub(super) asked_for_challenge: tokio::sync::Mutex<bool>,
    page_size: Option<u32>,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    accounts: Accounts,
    outage: Outage,
    token_service_outage: Outage,
    challenge: Option<Learned>,
    refused_page_size: Option<RefusedPageSize>,
    private: Option<PrivateRepositories>,
    /// By the path of a repository, in whose name it was answered.
    openers: HashMap<String, Name>,
    usage: Usage,
    /// Granted, whether they have been sent yet or not.
    repetitions: u64,
}

impl Noted {
    /// The silence of whom such a request goes to.
    fn outage_of(&mut self, kind: RequestKind) -> &mut Outage {
        match kind {
            RequestKind::Token => &mut self.token_service_outage,
            RequestKind::List
            | RequestKind::Head
            | RequestKind::Manifest(_)
            | RequestKind::Config
            | RequestKind::Ping => &mut self.outage,
        }
    }
}

/// How the registry wants to be asked, and since when that is known.
#[derive(Debug)]
struct Learned {
    challenge: Challenge,
    since: Timestamp,
    /// In this run it was heard, or has worked.
    is_confirmed: bool,
}

impl RegistryState {
    pub(super) fn new(name: &str, options: &RegistryClientOptions) -> Result<Self, Problem> {
        let special = options.registries.of(name);
        let is_plain = special.is_some_and(|special| special.plain_http);
        let plain = is_plain.then(|| name.to_owned());
        let plain_hosts: Vec<String> = options.plain_http_hosts.iter().cloned().chain(plain).collect();
        let has_certificate = special.is_some_and(|special| special.authorities.is_some());
        let base = endpoint::base_url(name, &plain_hosts, has_certificate)
            .ok_or_else(|| Problem::Protocol(format!("{name} cannot be the host of a registry")))?;
        let limits = options.limits_of(name).divided(options.shard.of);
        let concurrency = special
            .and_then(|special| special.concurrency)
            .and_then(|most| usize::try_from(most.get()).ok())
            .unwrap_or(options.concurrency_per_registry);
        // What counts pulls is asked by one scanner alone.
        let sharing = if limits.pulls.is_some() {
            1
        } else {
            options.shard.of.get()
        };
        let concurrency = (concurrency / usize::try_from(sharing).unwrap_or(1)).max(1);
        Ok(Self {
            name: name.to_owned(),
            base,
            pacer: Pacer::new(limits.pace, Timestamp::now()),
            pull_limit: limits.pulls,
            concurrency,
            permits: Semaphore::new(concurrency),
            tokens: TokenCache::default(),
            logins: Logins::default(),
            first: First::default(),
            asked_for_challenge: tokio::sync::Mutex::default(),
            page_size: limits.page_size,
            noted: Mutex::default(),
        })
    }

    /// Whether a request that failed may be sent again, which is then counted: a few at any time, and one in ten beyond,
    /// so that a registry in trouble is not asked three times as much as one that is well.
    pub(super) fn may_repeat(&self) -> bool {
        const ALWAYS: u64 = 10;
        self.noted(|noted| {
            let is_granted = noted.repetitions < ALWAYS + noted.usage.total() / 10;
            noted.repetitions += u64::from(is_granted);
            is_granted
        })
    }

    /// The `n` to ask for; `None` once the registry has refused it.
    pub(super) fn page_size(&self) -> Option<u32> {
        let refused = self.noted(|noted| noted.refused_page_size.map(|refused| refused.tags));
        self.page_size.filter(|tags| Some(*tags) != refused)
    }

    pub(super) fn refuse_page_size(&self, tags: u32, now: Timestamp) {
        let refused = RefusedPageSize {
            tags,
            learned_at: whole_seconds(now),
        };
        self.noted(|noted| noted.refused_page_size = Some(refused));
    }

    /// # Errors
    /// When the registry, or its token service, has been silent for so long that it is given up.
    pub(super) fn check_outage(&self, kind: RequestKind) -> Result<(), Problem> {
        self.noted(|noted| noted.outage_of(kind).check())
    }

    /// Who is asked so has said something.
    pub(super) fn spoke(&self, kind: RequestKind) {
        self.noted(|noted| noted.outage_of(kind).answered());
    }

    /// A request that was sent then came to nothing. A config may come from another host, and a description is nobody's
    /// need: neither is a reason to give the registry up.
    pub(super) fn silent(&self, kind: RequestKind, problem: &Problem, sent: Instant) {
        if !matches!(
            kind,
            RequestKind::Config | RequestKind::Manifest(Purpose::Description)
        ) {
            self.noted(|noted| noted.outage_of(kind).failed(problem, sent, Instant::now()));
        }
    }

    /// A request was neither refused for its number nor for trouble. A token says nothing of what it is for.
    pub(super) fn answered(&self, name: Name, kind: RequestKind, now: Timestamp) {
        if kind != RequestKind::Token {
            let is_pull = matches!(kind, RequestKind::Manifest(_));
            self.accounts(|accounts| accounts.answered(name, is_pull, now));
        }
    }

    /// Reads and changes what is known of the accounts.
    pub(super) fn accounts<T>(&self, change: impl FnOnce(&mut Accounts) -> T) -> T {
        self.noted(|noted| change(&mut noted.accounts))
    }

    /// Whether nobody but one account is to be left alone, if any.
    pub(super) fn may_others_ask(&self, now: Timestamp) -> bool {
        self.accounts(|accounts| accounts.check_everybody(now).is_ok())
    }

    /// Whether it counts pulls, as far as is known.
    pub(super) fn counts_pulls(&self) -> bool {
        self.pull_limit.is_some() || self.noted(|noted| noted.usage.pull_limit.is_some())
    }

    /// What the registry wants, by what it said in this run or an earlier one.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.noted(|noted| noted.challenge.as_ref().map(|learned| learned.challenge.clone()))
    }

    /// Whether the challenge is from an earlier run, and nothing in this one has shown that it still is right.
    pub(super) fn is_challenge_doubtful(&self) -> bool {
        self.noted(|noted| {
            noted
                .challenge
                .as_ref()
                .is_some_and(|learned| !learned.is_confirmed)
        })
    }

    /// The registry has said so now.
    pub(super) fn remember_challenge(&self, challenge: &Challenge, now: Timestamp) {
        self.noted(|noted| {
            let known = noted
                .challenge
                .take()
                .filter(|known| known.challenge == *challenge);
            noted.challenge = Some(Learned {
                challenge: challenge.clone(),
                since: known.map_or(whole_seconds(now), |known| known.since),
                is_confirmed: true,
            });
        });
    }

    /// Somebody was let in by it.
    pub(super) fn confirm_challenge(&self, worked: &Challenge) {
        self.noted(|noted| {
            if let Some(learned) = noted
                .challenge
                .as_mut()
                .filter(|known| known.challenge == *worked)
            {
                learned.is_confirmed = true;
            }
        });
    }

    pub(super) fn forget_challenge(&self) {
        self.noted(|noted| noted.challenge = None);
    }

    pub(super) fn opener(&self, path: &str) -> Option<Name> {
        self.noted(|noted| noted.openers.get(path).copied())
    }

    pub(super) fn remember_opener(&self, path: &str, opener: Name) {
        self.noted(|noted| {
            noted.openers.insert(path.to_owned(), opener);
            if let Some(private) = noted.private.as_mut().filter(|_| opener == Name::Anybody) {
                private.paths.remove(path);
            }
        });
    }

    /// Whether anybody was refused the repository, as far as is known, and somebody was not.
    pub(super) fn is_private(&self, path: &str) -> bool {
        self.noted(|noted| {
            noted
                .private
                .as_ref()
                .is_some_and(|private| private.paths.contains(path))
        })
    }

    pub(super) fn remember_private(&self, path: &str, now: Timestamp) {
        self.noted(|noted| {
            let private = noted.private.get_or_insert_with(|| PrivateRepositories {
                paths: BTreeSet::new(),
                learned_at: whole_seconds(now),
            });
            private.paths.insert(path.to_owned());
        });
    }

    pub(super) fn usage(&self) -> Usage {
        self.noted(|noted| noted.usage.clone())
    }

    pub(super) fn count(&self, kind: RequestKind, repeated: bool) {
        self.noted(|noted| {
            noted.usage.count(kind);
            noted.usage.retries += u64::from(repeated);
        });
    }

    pub(super) fn count_invalid_tags(&self, invalid: usize) {
        self.noted(|noted| noted.usage.invalid_tags += invalid as u64);
    }

    /// What the answer to this account says of its pulls.
    pub(super) fn note_pull_limit(&self, name: Name, headers: &HeaderMap, now: Timestamp) {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(limit), Some(remaining)) = (header("ratelimit-limit"), header("ratelimit-remaining"))
        else {
            return;
        };
        if let Some(pull_limit) = ReportedPulls::parse(limit, remaining) {
            let limit = budget::PullLimit {
                pulls: pull_limit.limit,
                window_seconds: pull_limit.window_seconds,
            };
            self.noted(|noted| {
                noted.usage.pull_limit = Some(pull_limit);
                if let Some(source) = header("docker-ratelimit-source") {
                    noted.accounts.name_pool(name, source);
                }
                noted.accounts.observe(name, limit, pull_limit.remaining, now);
            });
        }
    }

    /// Takes one pull from what the registry still grants to this account.
    ///
    /// # Errors
    /// When nothing is left for us.
    pub(super) fn spend_pull(&self, name: Name, purpose: Purpose, now: Timestamp) -> Result<(), Problem> {
        self.accounts(|accounts| accounts.spend_pull(name, purpose, self.pull_limit, now))
    }

    /// Takes in what an earlier run has left, except for a challenge, which is to be checked like any other.
    pub(super) fn recall(&self, memory: &RegistryMemory, names: &AccountNames) {
        self.noted(|noted| {
            noted.refused_page_size = memory.refused_page_size;
            noted.private.clone_from(&memory.private);
            noted.accounts.recall(memory, names);
        });
        if let Some(busy_until) = memory.busy_until {
            self.pacer.recall(busy_until);
        }
    }

    /// Takes in a challenge that an earlier run has learned.
    pub(super) fn recall_challenge(&self, challenge: Challenge, since: Timestamp) {
        let learned = Learned {
            challenge,
            since,
            is_confirmed: false,
        };
        self.noted(|noted| noted.challenge = Some(learned));
    }

    /// Counted pulls that the account with the fewest may still spend; `None` where none are counted.
    pub(super) fn pulls_left(&self, now: Timestamp) -> Option<u32> {
        let left = self.accounts(|accounts| accounts.pulls_left(self.pull_limit, now));
        Some(left).filter(|left| *left != u32::MAX)
    }

    pub(super) fn has_pulls_to_spare(&self, path: &str, now: Timestamp) -> bool {
        let name = self.opener(path).unwrap_or(Name::Anybody);
        self.accounts(|accounts| accounts.has_pulls_to_spare(name, self.pull_limit, now))
    }

    /// Until when nobody may ask.
    pub(super) fn left_alone_until(&self, now: Timestamp) -> Option<Timestamp> {
        let check = self.accounts(|accounts| accounts.check_everybody(now));
        check.err()?.retry_at()
    }

    /// What a later run has to know.
    pub(super) fn memory(&self, names: &AccountNames, now: Timestamp) -> RegistryMemory {
        let mut memory = RegistryMemory {
            busy_until: self.pacer.busy_until(now),
            ..RegistryMemory::default()
        };
        self.noted(|noted| {
            memory.challenge = noted
                .challenge
                .as_ref()
                .map(|learned| learned.challenge.learned_at(learned.since));
            memory.refused_page_size = noted.refused_page_size;
            memory.private.clone_from(&noted.private);
            noted.accounts.write_down(&mut memory, names);
        });
        memory.forget(self.pull_limit, now);
        memory
    }

    /// A task that panicked while it held the lock leaves counters behind that are still worth having.
    fn noted<T>(&self, change: impl FnOnce(&mut Noted) -> T) -> T {
        change(
            &mut self
                .noted
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }
}
