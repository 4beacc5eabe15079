//! Bearer tokens: one for each repository and login, fetched once however many ask for it at the same time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::access::Name;
use super::login;
use super::problem::Problem;

/// How long a token lives when the reply does not say, by the token specification.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(1);
/// No token is used for longer, whatever the reply says.
const LONGEST_LIFETIME: Duration = Duration::from_hours(1);
/// A token is renewed this long before its end, or after three quarters of a life that is shorter still.
const MARGIN: Duration = Duration::from_secs(10);

/// A token as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// `Bearer …`, marked as sensitive so that it is not printed.
    pub(super) header: HeaderValue,
    renew_at: Instant,
    accepted: Arc<AtomicBool>,
}

impl Token {
    /// A registry has answered to it.
    pub(super) fn accept(&self) {
        self.accepted.store(true, Ordering::Release);
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now < self.renew_at
    }

    /// Reads the reply of a token service.
    pub(super) fn parse(body: &[u8], now: Instant) -> Result<Self, Problem> {
        let unusable = |why: &str| Problem::Protocol(format!("the token service's reply is unusable: {why}"));
        let reply: Reply =
            serde_json::from_slice(body).map_err(|_| unusable("it is not the JSON of a token"))?;
        let named = [reply.token, reply.access_token]
            .into_iter()
            .flatten()
            .find(|token| !token.expose_secret().is_empty());
        let token = named.ok_or_else(|| unusable("there is no token in it"))?;
        let header = login::bearer(&token)
            .map_err(|_| unusable("the token contains characters that cannot be sent"))?;
        let named = reply.expires_in.as_ref().and_then(serde_json::Value::as_f64);
        let lifetime = named.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME);
        Ok(Self {
            header,
            renew_at: now + lifetime.saturating_sub(MARGIN.min(lifetime / 4)),
            accepted: Arc::default(),
        })
    }
}

#[derive(Deserialize)]
struct Reply {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
    /// Seconds; not every service sends a number.
    expires_in: Option<serde_json::Value>,
}

/// Holds the token of one repository and login. Whoever locks it first fetches; the others wait and find it there.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<HashMap<(Name, String), Slot>>);

impl TokenCache {
    /// The slot of a scope, in this name: no token is used in another than it was fetched in.
    pub(super) fn slot(&self, name: Name, scope: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((name, scope.to_owned())).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token and the seconds for which it is used.
    fn check(body: &str) -> Option<(String, u64)> {
        let now = Instant::now();
        let token = Token::parse(body.as_bytes(), now).ok()?;
        Some((
            token.header.to_str().unwrap().to_owned(),
            (token.renew_at - now).as_secs(),
        ))
    }

    #[test]
    fn every_form_of_a_token_reply_is_read() {
        for (body, token, seconds) in [
            (r#"{"token":"a","expires_in":300}"#, "Bearer a", 290),
            (r#"{"access_token":"a"}"#, "Bearer a", 50),
            (r#"{"token":"a","access_token":"b"}"#, "Bearer a", 50),
            (r#"{"token":"","access_token":"b"}"#, "Bearer b", 50),
            (r#"{"token":null,"access_token":"b"}"#, "Bearer b", 50),
            (r#"{"token":"a","expires_in":"soon"}"#, "Bearer a", 50),
            (r#"{"token":"a","expires_in":8}"#, "Bearer a", 6),
            (r#"{"token":"a","expires_in":0}"#, "Bearer a", 0),
            (r#"{"token":"a","expires_in":-1}"#, "Bearer a", 50),
            (r#"{"token":"a","expires_in":1e300}"#, "Bearer a", 50),
            (r#"{"token":"a","expires_in":999999999}"#, "Bearer a", 3590),
        ] {
            assert_eq!(check(body), Some((token.to_owned(), seconds)), "{body}");
        }
    }

    #[test]
    fn a_reply_without_a_token_that_can_be_sent_is_refused() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"token":""}"#,
            r#"{"token":"a\nb"}"#,
            r#"{"token":7}"#,
        ] {
            assert_eq!(check(body), None, "{body}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = Token::parse(br#"{"token":"geheim"}"#, Instant::now()).unwrap();
        assert!(!format!("{token:?}").contains("geheim"));
    }
}
