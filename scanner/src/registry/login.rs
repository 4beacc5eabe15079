//! What is known about one login at one registry: whether it was ever accepted, or is to be left alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::MutexGuard;

use super::problem::Problem;
use crate::credentials::LoginId;

/// So many times 403, and never an acceptance, are a rejection where the service does not say what it thinks of the login
/// itself. One alone may be about the repository, and must not keep the login from the others; services that count failures
/// lock accounts after no fewer.
const FORBIDDEN_IS_REJECTED: u32 = 3;

/// What a 403 of a token service says of a login that was never accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forbidden {
    /// Nothing yet: the service is to be asked about the login itself.
    First,
    /// Nothing more.
    Again,
    /// It is wrong, by all that can be known.
    Rejected,
}

#[derive(Debug, Default)]
pub(super) struct LoginState {
    accepted: AtomicBool,
    /// How often a token service has answered 403, which some do to a wrong password and others where a login may not read
    /// what is asked for.
    forbidden: AtomicU32,
    /// Held by whoever shows the login while nobody knows whether it is good.
    first: tokio::sync::Mutex<()>,
    left_alone_until: Mutex<Option<Timestamp>>,
}

/// The right to show a login, together with others or alone.
pub(super) type Turn<'a> = Option<MutexGuard<'a, ()>>;

impl LoginState {
    /// Waits for the turn to show the login: a login that was never accepted is shown once at a time, so that a wrong one
    /// fails once, however many repositories are waiting for it.
    ///
    /// # Errors
    /// With the time until which the login is left alone.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Timestamp> {
        let turn = if self.was_accepted() {
            None
        } else {
            Some(self.first.lock().await)
        };
        match self.left_alone_until() {
            Some(until) => Err(until),
            None => Ok(turn.filter(|_| !self.was_accepted())),
        }
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Acquire)
    }

    pub(super) fn accept(&self) {
        self.accepted.store(true, Ordering::Release);
    }

    /// Notes a 403 to a login that was never accepted.
    pub(super) fn forbid(&self) -> Forbidden {
        match self.forbidden.fetch_add(1, Ordering::AcqRel) {
            0 => Forbidden::First,
            earlier if earlier + 1 < FORBIDDEN_IS_REJECTED => Forbidden::Again,
            _ => Forbidden::Rejected,
        }
    }

    /// Not shown again in this run.
    pub(super) fn leave_alone(&self, until: Timestamp) {
        *self
            .left_alone_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    pub(super) fn left_alone_until(&self) -> Option<Timestamp> {
        *self
            .left_alone_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logins of one registry.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<LoginId, Arc<LoginState>>>);

impl Logins {
    pub(super) fn of(&self, id: LoginId) -> Arc<LoginState> {
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(logins.entry(id).or_default())
    }

    /// Those that are left alone, and until when.
    pub(super) fn left_alone(&self) -> Vec<(LoginId, Timestamp)> {
        let logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_alone = logins
            .iter()
            .filter_map(|(id, state)| Some((*id, state.left_alone_until()?)));
        left_alone.collect()
    }
}

/// `Basic …`, marked as sensitive so that it is not printed.
pub(super) fn basic(username: &SecretString, password: &SecretString) -> Result<HeaderValue, Problem> {
    let pair = SecretString::from(format!(
        "{}:{}",
        username.expose_secret(),
        password.expose_secret()
    ));
    authorization("Basic", &STANDARD.encode(pair.expose_secret()).into())
}

/// `Bearer …`, likewise.
pub(super) fn bearer(token: &SecretString) -> Result<HeaderValue, Problem> {
    authorization("Bearer", token)
}

fn authorization(scheme: &str, value: &SecretString) -> Result<HeaderValue, Problem> {
    let text = SecretString::from(format!("{scheme} {}", value.expose_secret()));
    let mut header = HeaderValue::from_str(text.expose_secret())
        .map_err(|_| Problem::Protocol("a credential contains characters that cannot be sent".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_login_is_shown_alone_until_it_was_accepted_and_not_at_all_once_it_was_rejected() {
        let login = LoginState::default();
        let first = login.turn().await.unwrap();
        assert!(first.is_some());
        assert!(login.first.try_lock().is_err(), "others wait");
        login.accept();
        drop(first);
        assert!(login.turn().await.unwrap().is_none(), "nobody waits any more");
        let until = Timestamp::UNIX_EPOCH;
        login.leave_alone(until);
        assert_eq!(login.turn().await.err(), Some(until));
    }

    #[test]
    fn headers_are_not_printed_and_cannot_be_split() {
        let header = basic(&"ann".into(), &"geheim".into()).unwrap();
        assert_eq!(header, "Basic YW5uOmdlaGVpbQ==");
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert!(bearer(&"a\r\nb: c".into()).is_err());
    }
}
