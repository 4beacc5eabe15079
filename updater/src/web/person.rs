//! Who asks: somebody who signed in, somebody whom a trusted proxy names, or anybody.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use shared::domain::decision::{Decider, KnownBy};
use shared::domain::signed::SigningKey;
use shared::domain::text::is_plain;
use shared::io::clock;

use super::Site;
use super::limits::Client;
use crate::cli::page::PageSettings;

/// The cookie of a session.
pub(super) const COOKIE: &str = "kubefresh_session";
pub(super) const SESSION: SignedDuration = SignedDuration::from_hours(12);
const FORM_PURPOSE: &str = "form";
/// How long a name may be, in characters.
const NAME_LENGTH: usize = 100;

/// Somebody whose name we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// As it is written down with what they decide.
    pub(super) by: Decider,
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
        let is_proxy = peer(parts).is_some_and(|peer| settings.trusts(peer));
        let named = is_proxy.then(|| named(&parts.headers, settings)).flatten();
        Ok(Self(
            named.or_else(|| signed_in(&parts.headers, settings, clock::now())),
        ))
    }
}

/// The other end of the connection.
fn peer(parts: &Parts) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(peer)| peer.ip())
}

/// How somebody comes here.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) client: Client,
    /// Whether nobody on the way reads what they send.
    pub(super) is_https: bool,
}

impl FromRequestParts<Site> for Way {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        let settings = &site.0.settings;
        let peer = peer(parts).unwrap_or(IpAddr::from([0; 4]));
        let is_proxy = settings.trusts(peer);
        let forwarded = is_proxy
            .then(|| forwarded_for(&parts.headers, settings))
            .flatten();
        let base = settings.base_url.as_ref();
        Ok(Self {
            client: Client::at(forwarded.unwrap_or(peer)),
            is_https: base.is_some_and(|base| base.scheme() == "https")
                || (is_proxy && last(&parts.headers, "x-forwarded-proto").as_deref() == Some("https")),
        })
    }
}

/// The last address on the way here that is no proxy of ours; what stands before it anybody may have written.
fn forwarded_for(headers: &HeaderMap, settings: &PageSettings) -> Option<IpAddr> {
    let written = headers.get_all("x-forwarded-for").iter();
    let written: Vec<&str> = written
        .map(|value| value.to_str())
        .collect::<Result<_, _>>()
        .ok()?;
    let mut hops = written.iter().flat_map(|value| value.split(',')).rev();
    hops.find_map(|hop| match address(hop.trim()) {
        Some(hop) if settings.trusts(hop) => None,
        hop => Some(hop),
    })?
}

/// With a port or without.
fn address(written: &str) -> Option<IpAddr> {
    let bare = || written.trim_matches(['[', ']']).parse().ok();
    let with_port = || Some(written.parse::<SocketAddr>().ok()?.ip());
    bare().or_else(with_port)
}

/// What the last proxy wrote.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let last = value.rsplit(',').next()?;
    Some(last.trim().to_ascii_lowercase())
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
        by: Decider {
            name,
            known_by: KnownBy::Proxy,
        },
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
    let key = settings.signing_key.as_ref()?;
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    let token = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let words = key.open(&session_purpose(key, settings)?, token)?;
    let session: Session = serde_json::from_str(&words).ok()?;
    (now < session.expires).then(|| Person {
        by: Decider {
            name: session.name,
            known_by: KnownBy::Token,
        },
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
    let key = settings.signing_key.as_ref()?;
    Some(key.sign(&session_purpose(key, settings)?, &words))
}

/// Who signed in with a token that is no longer the token is out.
fn session_purpose(key: &SigningKey, settings: &PageSettings) -> Option<String> {
    let token = settings.page_token.as_ref()?;
    Some(format!(
        "session {}",
        key.sign("page token", token.expose_secret())
    ))
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::web::tests::no_settings;

    fn settings(token: &str) -> PageSettings {
        PageSettings {
            signing_key: Some(SigningKey::new(&[7; 32]).unwrap()),
            page_token: Some(token.into()),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..no_settings()
        }
    }

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_str(value).unwrap());
        values
            .map(|value| (header::HeaderName::from_static(name), value))
            .collect()
    }

    #[test]
    fn a_session_ends_in_time_and_with_the_token_that_it_was_begun_by() {
        let now: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let cookie = session(&settings("the first token"), "alice".to_owned(), now).unwrap();
        let cookies = headers("cookie", &[&format!("a=b; {COOKIE}={cookie}")]);
        let by = |token, at| signed_in(&cookies, &settings(token), at).map(|person| person.by.name);
        assert_eq!(by("the first token", now).as_deref(), Some("alice"));
        assert_eq!(by("the second token", now), None);
        assert_eq!(by("the first token", now + SESSION), None);
        let without = PageSettings {
            page_token: None,
            ..settings("")
        };
        assert_eq!(signed_in(&cookies, &without, now), None);
    }

    #[test]
    fn the_last_address_that_is_no_proxy_of_ours_is_the_client() {
        for (written, expected) in [
            (&["198.51.100.7"][..], Some("198.51.100.7")),
            (&["203.0.113.9, 198.51.100.7, 10.0.0.3"], Some("198.51.100.7")),
            (&["203.0.113.9", "198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7:4711"], Some("198.51.100.7")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["203.0.113.9, unknown"], None),
            (&["10.0.0.3"], None),
            (&[], None),
        ] {
            let found = forwarded_for(&headers("x-forwarded-for", written), &settings("a"));
            assert_eq!(found, expected.map(|text| text.parse().unwrap()), "{written:?}");
        }
        assert_eq!(
            last(
                &headers("x-forwarded-proto", &["http, HTTPS"]),
                "x-forwarded-proto"
            )
            .as_deref(),
            Some("https")
        );
    }
}
