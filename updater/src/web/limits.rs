//! How often anything may be tried: by one client, and by all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use super::refusal::Refusal;

/// Decisions of all people together, so that a loop somewhere does not wear out the API server.
const DECISIONS_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// Links that one client opens.
const LINKS_A_MINUTE: u32 = 60;
/// Forms that one client sends, before anybody reads them.
const FORMS_A_MINUTE: u32 = 60;
/// Tokens that one client tries in vain.
const WRONG_TOKENS_A_MINUTE: u32 = 10;
/// How many clients are told apart; what comes beyond them shares one allowance.
const MOST_CLIENTS: usize = 4096;

/// All of them.
#[derive(Debug)]
pub(super) struct Limits {
    decisions: DefaultDirectRateLimiter,
    links: PerClient,
    forms: PerClient,
    wrong_tokens: PerClient,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            decisions: RateLimiter::direct(Quota::per_minute(DECISIONS_A_MINUTE)),
            links: PerClient::a_minute(LINKS_A_MINUTE),
            forms: PerClient::a_minute(FORMS_A_MINUTE),
            wrong_tokens: PerClient::a_minute(WRONG_TOKENS_A_MINUTE),
        }
    }
}

impl Limits {
    pub(super) fn decide(&self) -> Result<(), Refusal> {
        self.decisions.check().map_err(|_| refusal())
    }

    pub(super) fn open_link(&self, client: Client) -> Result<(), Refusal> {
        self.links.take(client, Instant::now())
    }

    pub(super) fn send_form(&self, client: Client) -> Result<(), Refusal> {
        self.forms.take(client, Instant::now())
    }

    /// One attempt to sign in, which counts unless it is [`forgiven`](Self::forgive).
    pub(super) fn sign_in(&self, client: Client) -> Result<(), Refusal> {
        self.wrong_tokens.take(client, Instant::now())
    }

    pub(super) fn forgive(&self, client: Client) {
        self.wrong_tokens.give_back(client);
    }
}

fn refusal() -> Refusal {
    let problem = "Too much was asked for within a minute. Nothing was changed; try again in a minute.";
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", problem)
}

/// Whoever sends requests from an address, or from a network of IPv6 such as one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client(IpAddr);

impl Client {
    /// Those that there is no room to tell apart.
    const OTHERS: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    pub(crate) fn at(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        })
    }
}

/// An allowance of each client, which grows back over a minute.
#[derive(Debug)]
struct PerClient {
    burst: u32,
    /// By client, when its allowance will be whole again.
    whole_at: Mutex<HashMap<Client, Instant>>,
}

impl PerClient {
    fn a_minute(burst: u32) -> Self {
        Self {
            burst,
            whole_at: Mutex::default(),
        }
    }

    /// In what time one piece of it grows back.
    fn piece(&self) -> Duration {
        Duration::from_mins(1) / self.burst
    }

    fn take(&self, client: Client, now: Instant) -> Result<(), Refusal> {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        if !whole_at.contains_key(&client) && whole_at.len() >= MOST_CLIENTS {
            whole_at.retain(|_, whole_at| now < *whole_at);
        }
        let is_known = whole_at.contains_key(&client) || whole_at.len() < MOST_CLIENTS;
        let client = if is_known { client } else { Client::OTHERS };
        let before = whole_at.get(&client).copied().unwrap_or(now).max(now);
        let after = before + self.piece();
        if after > now + Duration::from_mins(1) {
            return Err(refusal());
        }
        whole_at.insert(client, after);
        Ok(())
    }

    fn give_back(&self, client: Client) {
        let mut whole_at = self.whole_at.lock().unwrap_or_else(PoisonError::into_inner);
        let known = if whole_at.contains_key(&client) {
            client
        } else {
            Client::OTHERS
        };
        if let Some(whole_at) = whole_at.get_mut(&known) {
            *whole_at = whole_at.checked_sub(self.piece()).unwrap_or(*whole_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Client {
        Client::at(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)))
    }

    #[test]
    fn each_client_has_an_allowance_of_its_own_that_grows_back() {
        let limit = PerClient::a_minute(3);
        let now = Instant::now();
        let taken = |number, at| limit.take(client(number), at).is_ok();
        assert_eq!(
            [1, 1, 1, 1, 2].map(|number| taken(number, now)),
            [true, true, true, false, true]
        );
        let later = now + Duration::from_secs(20);
        assert_eq!([taken(1, later), taken(1, later)], [true, false]);
        limit.give_back(client(1));
        assert_eq!([taken(1, later), taken(1, later)], [true, false]);
        let much_later = now + Duration::from_mins(5);
        assert_eq!(
            [1; 4].map(|number| taken(number, much_later)),
            [true, true, true, false]
        );
    }

    #[test]
    fn many_clients_take_no_more_memory_and_no_room_from_those_that_are_known() {
        let limit = PerClient::a_minute(2);
        let now = Instant::now();
        let most = u32::try_from(MOST_CLIENTS).unwrap();
        for number in 0..most {
            assert!(limit.take(client(number), now).is_ok());
        }
        let beyond = (most..most + 10).filter(|number| limit.take(client(*number), now).is_ok());
        assert_eq!(beyond.count(), 2, "they share one allowance");
        assert!(limit.take(client(0), now).is_ok() && limit.take(client(0), now).is_err());
        assert!(limit.whole_at.lock().unwrap().len() <= MOST_CLIENTS + 1);
        let later = now + Duration::from_mins(2);
        assert!(limit.take(client(most), later).is_ok());
        assert_eq!(
            limit.whole_at.lock().unwrap().len(),
            1,
            "who is at rest is forgotten"
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_an_address_of_ipv4_however_it_is_written() {
        let at = |text: &str| Client::at(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }
}
