//! Who asks: somebody who signed in, somebody whom a trusted proxy names, or anybody.

use std::num::NonZeroU32;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::domain::text::is_plain;
use shared::io::clock;

use super::Site;
use super::refusal::Refusal;
use crate::cli::page::PageSettings;

/// The cookie of a session.
pub(super) const COOKIE: &str = "kubefresh_session";
pub(super) const SESSION: SignedDuration = SignedDuration::from_hours(12);
const SESSION_PURPOSE: &str = "session";
const FORM_PURPOSE: &str = "form";
/// How long a name may be, in characters.
const NAME_LENGTH: usize = 100;
/// Decisions of all people together, so that a loop somewhere does not wear out the API server.
const DECISIONS_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
/// And attempts to sign in.
const SIGN_INS_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How often anything may be tried.
#[derive(Debug)]
pub(super) struct Limits {
    decisions: DefaultDirectRateLimiter,
    sign_ins: DefaultDirectRateLimiter,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            decisions: RateLimiter::direct(Quota::per_minute(DECISIONS_A_MINUTE)),
            sign_ins: RateLimiter::direct(Quota::per_minute(SIGN_INS_A_MINUTE)),
        }
    }
}

impl Limits {
    pub(super) fn decide(&self) -> Result<(), Refusal> {
        admit(&self.decisions)
    }

    pub(super) fn sign_in(&self) -> Result<(), Refusal> {
        admit(&self.sign_ins)
    }
}

fn admit(limiter: &DefaultDirectRateLimiter) -> Result<(), Refusal> {
    let problem = "Too much was asked for within a minute. Nothing was changed; try again in a minute.";
    let refused = |_| Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", problem);
    limiter.check().map_err(refused)
}

/// Somebody whose name we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// As it is written down with what they decide.
    pub(super) name: String,
    /// What the forms that they are given are good for.
    session: String,
}

/// What a cookie says.
#[derive(Debug, Serialize, Deserialize)]
struct Session {
    name: String,
    expires: Timestamp,
}

/// Whoever asks; `None` for anybody.
#[derive(Debug)]
pub(super) struct Visitor(pub(super) Option<Person>);

impl FromRequestParts<Site> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let settings = &site.0.settings;
        let peer = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>();
        let is_proxy = peer.is_some_and(|ConnectInfo(peer)| settings.trusts(peer.ip()));
        let named = is_proxy.then(|| named(&parts.headers, settings)).flatten();
        Ok(Self(
            named.or_else(|| signed_in(&parts.headers, settings, clock::now())),
        ))
    }
}

/// Whom a proxy names. Of two names nobody knows which it wrote.
fn named(headers: &HeaderMap, settings: &PageSettings) -> Option<Person> {
    // Without a key there is no form that only we could have made.
    settings.signing_key.as_ref()?;
    let mut names = headers.get_all(&settings.user_header).iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        return None;
    };
    let name = known_name(name.to_str().ok()?)?;
    Some(Person {
        session: format!("proxy {name}"),
        name,
    })
}

/// A name that may be written down.
pub(super) fn known_name(written: &str) -> Option<String> {
    let name = written.trim();
    let is_name = !name.is_empty() && name.chars().count() <= NAME_LENGTH && name.chars().all(is_plain);
    is_name.then(|| name.to_owned())
}

/// Whose cookie it is.
fn signed_in(headers: &HeaderMap, settings: &PageSettings, now: Timestamp) -> Option<Person> {
    // Who may no longer sign in is out.
    settings.page_token.as_ref()?;
    let key = settings.signing_key.as_ref()?;
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    let token = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let words = key.open(SESSION_PURPOSE, token)?;
    let session: Session = serde_json::from_str(&words).ok()?;
    (now < session.expires).then(|| Person {
        name: session.name,
        session: words.clone(),
    })
}

/// The value of the cookie of somebody who signed in; `None` without a key.
pub(super) fn session(settings: &PageSettings, name: String, now: Timestamp) -> Option<String> {
    let session = Session {
        name,
        // Saturating: twelve hours before the end of time nobody signs in.
        expires: now.checked_add(SESSION).unwrap_or(Timestamp::MAX),
    };
    let words = serde_json::json!(session).to_string();
    Some(settings.signing_key.as_ref()?.sign(SESSION_PURPOSE, &words))
}

impl Person {
    /// What a form of theirs carries: no other page can have it.
    pub(super) fn form_token(&self, settings: &PageSettings) -> Option<String> {
        Some(settings.signing_key.as_ref()?.sign(FORM_PURPOSE, &self.session))
    }

    /// Whether a form was made for them.
    pub(super) fn owns(&self, form_token: &str, settings: &PageSettings) -> bool {
        let key = settings.signing_key.as_ref();
        let session = key.and_then(|key| key.open(FORM_PURPOSE, form_token));
        session.as_ref() == Some(&self.session)
    }
}

/// Whether a form was sent from one of our own pages, as browsers say it.
pub(super) fn is_from_our_page(headers: &HeaderMap, settings: &PageSettings) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let base = settings.base_url.as_ref();
            let is_base = base.is_some_and(|base| base.origin().ascii_serialization() == origin);
            let host = text("host");
            is_base || host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, of)| of == host))
        }
        // No browser; a link or a form's own secret is all that it can show.
        (None, None) => true,
    }
}
