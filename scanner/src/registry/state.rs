//! What is remembered about one registry during a run.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use governor::DefaultDirectRateLimiter;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::HeaderMap;
use shared::domain::budget::{self, PullBudget};
use tokio::sync::{MutexGuard, Semaphore};

use super::access::Name;
use super::challenge::Challenge;
use super::endpoint;
use super::limits::Limits;
use super::login::Logins;
use super::options::RegistryClientOptions;
use super::problem::Problem;
use super::token::TokenCache;
use super::usage::{PullLimit, RequestKind, Usage};

#[derive(Debug)]
pub(super) struct RegistryState {
    /// The host in lower case, with the port if there is one.
    pub(super) name: String,
    pub(super) base: Url,
    pub(super) limiter: DefaultDirectRateLimiter,
    /// The limit on pulls where the registry has not named one.
    pull_limit: Option<budget::PullLimit>,
    pub(super) permits: Semaphore,
    pub(super) tokens: TokenCache,
    pub(super) logins: Logins,
    first: First,
    /// Whether the registry was asked for its challenge alone; held while it is.
    pub(super) asked_for_challenge: tokio::sync::Mutex<bool>,
    page_size: Option<u32>,
    page_size_refused: AtomicBool,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    cool_down: Option<CoolDown>,
    challenge: Option<Challenge>,
    /// By the path of a repository, in whose name it was answered.
    openers: HashMap<String, Name>,
    usage: Usage,
    /// Granted, whether they have been sent yet or not.
    repetitions: u64,
    pulls: PullBudget,
}

/// The first question to a registry: while it is under way, the others wait. They would all be refused for want of the
/// same token, and each open a connection of its own.
#[derive(Debug, Default)]
struct First {
    is_over: AtomicBool,
    turn: tokio::sync::Mutex<()>,
}

/// The first question is over, whatever came of it, when this is dropped.
#[derive(Debug)]
pub(super) struct FirstTurn<'a> {
    first: &'a First,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for FirstTurn<'_> {
    fn drop(&mut self) {
        self.first.is_over.store(true, Ordering::Release);
    }
}

/// For how long a registry is left alone.
#[derive(Debug, Clone, Copy)]
struct CoolDown {
    until: Timestamp,
    /// The registry said so in this run, which does not ask it again whatever the time.
    in_this_run: bool,
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
        let limits = options
            .limits
            .get(name)
            .copied()
            .unwrap_or_else(|| Limits::of(name));
        let limits = special.map_or(limits, |special| special.limits(limits));
        let concurrency = special
            .and_then(|special| special.concurrency)
            .and_then(|most| usize::try_from(most.get()).ok())
            .unwrap_or(options.concurrency_per_registry);
        Ok(Self {
            name: name.to_owned(),
            base,
            limiter: DefaultDirectRateLimiter::direct(limits.pace.quota()),
            pull_limit: limits.pulls,
            permits: Semaphore::new(concurrency.max(1)),
            tokens: TokenCache::default(),
            logins: Logins::default(),
            first: First::default(),
            asked_for_challenge: tokio::sync::Mutex::default(),
            page_size: limits.page_size,
            page_size_refused: AtomicBool::new(false),
            noted: Mutex::default(),
        })
    }

    /// Waits until the first question to the registry is over, or is told that this is it.
    pub(super) async fn first_turn(&self) -> Option<FirstTurn<'_>> {
        if self.first.is_over.load(Ordering::Acquire) {
            return None;
        }
        let turn = self.first.turn.lock().await;
        let is_over = self.first.is_over.load(Ordering::Acquire);
        (!is_over).then_some(FirstTurn {
            first: &self.first,
            _turn: turn,
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
        self.page_size
            .filter(|_| !self.page_size_refused.load(Ordering::Relaxed))
    }

    pub(super) fn refuse_page_size(&self) {
        self.page_size_refused.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// When the registry is to be left alone.
    pub(super) fn check_cool_down(&self, now: Timestamp) -> Result<(), Problem> {
        match self.noted(|noted| noted.cool_down) {
            Some(CoolDown { until, in_this_run }) if in_this_run || now < until => {
                Err(Problem::Deferred { until })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn cool_down(&self, until: Timestamp, in_this_run: bool) {
        self.noted(|noted| {
            let earlier = noted.cool_down;
            let until = earlier.map_or(until, |earlier| earlier.until.max(until));
            let in_this_run = in_this_run || earlier.is_some_and(|earlier| earlier.in_this_run);
            noted.cool_down = Some(CoolDown { until, in_this_run });
        });
    }

    pub(super) fn cool_down_until(&self) -> Option<Timestamp> {
        self.noted(|noted| noted.cool_down.map(|cool_down| cool_down.until))
    }

    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.noted(|noted| noted.challenge.clone())
    }

    pub(super) fn remember_challenge(&self, challenge: &Challenge) {
        self.noted(|noted| noted.challenge = Some(challenge.clone()));
    }

    pub(super) fn opener(&self, path: &str) -> Option<Name> {
        self.noted(|noted| noted.openers.get(path).copied())
    }

    pub(super) fn remember_opener(&self, path: &str, opener: Name) {
        self.noted(|noted| {
            noted.openers.insert(path.to_owned(), opener);
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

    pub(super) fn note_pull_limit(&self, headers: &HeaderMap) {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(limit), Some(remaining)) = (header("ratelimit-limit"), header("ratelimit-remaining"))
        else {
            return;
        };
        if let Some(pull_limit) = PullLimit::parse(limit, remaining) {
            let limit = budget::PullLimit {
                pulls: pull_limit.limit,
                window_seconds: pull_limit.window_seconds,
            };
            self.noted(|noted| {
                noted.usage.pull_limit = Some(pull_limit);
                noted.pulls.observe(limit, pull_limit.remaining, Timestamp::now());
            });
        }
    }

    /// Takes one pull from what the registry still grants.
    ///
    /// # Errors
    /// When nothing is left for us.
    pub(super) fn spend_pull(&self, now: Timestamp) -> Result<(), Problem> {
        self.noted(|noted| {
            if noted.pulls.spend(self.pull_limit, now) {
                return Ok(());
            }
            Err(Problem::OverBudget {
                until: noted.pulls.next_relief(self.pull_limit, now).unwrap_or(now),
            })
        })
    }

    /// A pull that was taken has been answered, or failed.
    pub(super) fn pull_answered(&self) {
        self.noted(|noted| noted.pulls.answered());
    }

    /// What is left of the registry's pulls; `None` where it counts none.
    pub(super) fn pull_budget(&self) -> Option<PullBudget> {
        self.noted(|noted| Some(noted.pulls.clone()).filter(|pulls| *pulls != PullBudget::default()))
    }

    /// Counted pulls that may still be spent; `None` where none are counted.
    pub(super) fn pulls_left(&self, now: Timestamp) -> Option<u32> {
        let left = self.noted(|noted| noted.pulls.available(self.pull_limit, now));
        Some(left).filter(|left| *left != u32::MAX)
    }

    pub(super) fn set_pull_budget(&self, pulls: PullBudget) {
        self.noted(|noted| noted.pulls = pulls);
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
