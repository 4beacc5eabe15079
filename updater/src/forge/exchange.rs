//! One request to a server: its token, redirects that stay there, bounds, and what the answer's headers ask for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{
    AUTHORIZATION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use shared::domain::release_notes::source::{Forge, Server};
use shared::domain::retry_after;
use shared::io::clock;

use super::{Limit, at_second};
use crate::cli::notes::Tokens;
use crate::metrics::Metrics;
use crate::outgoing::{self, Cut};

/// How long an exchange may take as a whole.
const LIMIT: Duration = Duration::from_secs(30);
/// How much of an answer is read, in bytes.
const MOST_BYTES: usize = 12 << 20;
const MOST_REDIRECTS: usize = 3;

const PRIVATE_TOKEN: HeaderName = HeaderName::from_static("private-token");
/// What is left of the allowance, and when it is renewed, by kind of server.
const REMAINING: [&str; 2] = ["x-ratelimit-remaining", "ratelimit-remaining"];
const RESET: [&str; 2] = ["x-ratelimit-reset", "ratelimit-reset"];

/// Why there is no answer that could be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing is there, or it is hidden.
    NotFound,
    Limited(Limit),
    /// It has no answer for anybody, in words, and when it may be tried again if it said so.
    Broken {
        host: String,
        why: String,
        not_before: Option<Timestamp>,
    },
    /// In words, and when it may be tried again if the server said so.
    Failed {
        why: String,
        not_before: Option<Timestamp>,
    },
}

/// An answer of success, or that nothing has changed.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn is_unchanged(&self) -> bool {
        self.status == StatusCode::NOT_MODIFIED
    }

    pub(super) fn etag(&self) -> Option<String> {
        let etag = self.headers.get(ETAG)?.to_str().ok()?;
        Some(etag.to_owned())
    }

    /// Whether another page follows: as it says, or where it says nothing by how full this one is.
    pub(super) fn has_next(&self, is_full: bool) -> bool {
        let mut links = self.headers.get_all(LINK).iter().peekable();
        if links.peek().is_none() {
            return is_full;
        }
        links.any(|link| link.to_str().is_ok_and(|link| link.contains("rel=\"next\"")))
    }

    /// Whether this was the last request that is allowed for now.
    pub(super) fn limit(&self, host: &str) -> Option<Limit> {
        let until = exhausted_until(&self.headers)?;
        Some(Limit {
            host: host.to_owned(),
            until: Some(until),
            reason: format!("{host} allows no more requests before {until}"),
            refused: false,
        })
    }
}

#[derive(Debug)]
pub(super) struct Exchange {
    client: Client,
    tokens: Tokens,
    metrics: Arc<Metrics>,
}

impl Exchange {
    pub(super) fn new(tokens: Tokens, metrics: Arc<Metrics>) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: outgoing::client(LIMIT)?,
            tokens,
            metrics,
        })
    }

    /// Gets what is at an address of this server.
    pub(super) async fn get(
        &self,
        server: &Server,
        url: &str,
        mut headers: HeaderMap,
        etag: Option<&str>,
    ) -> Result<Reply, Trouble> {
        let host = server.host();
        if let Some((name, value)) = self.credential(server) {
            headers.insert(name, value);
        }
        if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            headers.insert(IF_NONE_MATCH, etag);
        }
        let failed = |why: String| Trouble::Failed {
            why,
            not_before: None,
        };
        let mut url = Url::parse(url).map_err(|_| failed(format!("{host}: an address that is none")))?;
        for _ in 0..=MOST_REDIRECTS {
            let request = self.client.get(url.clone()).headers(headers.clone());
            let response = request.send().await.map_err(|error| broken(host, &error))?;
            if let Some(left) = requests_left(response.headers()) {
                self.metrics.notes_requests_left(server.forge, left);
            }
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                url = redirected(&url, &response)
                    .ok_or_else(|| failed(format!("{host} leads away, where nobody follows")))?;
                continue;
            }
            return read(host, response).await;
        }
        Err(failed(format!("{host} leads in circles")))
    }

    fn credential(&self, server: &Server) -> Option<(HeaderName, HeaderValue)> {
        let token = self.tokens.of(server)?.expose_secret();
        let (name, value) = match server.forge {
            Forge::GitHub => (AUTHORIZATION, format!("Bearer {token}")),
            Forge::Gitea => (AUTHORIZATION, format!("token {token}")),
            Forge::GitLab => (PRIVATE_TOKEN, token.to_owned()),
            Forge::Page => return None,
        };
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

/// Where a redirect leads, if that is at the same server.
fn redirected(from: &Url, response: &Response) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let to = from.join(location).ok()?;
    (to.origin() == from.origin()).then_some(to)
}

async fn read(host: &str, mut response: Response) -> Result<Reply, Trouble> {
    let (status, headers) = (response.status(), response.headers().clone());
    if status == StatusCode::NOT_MODIFIED {
        return Ok(Reply {
            status,
            headers,
            body: String::new(),
        });
    }
    if !status.is_success() {
        return Err(trouble(host, status, &headers));
    }
    let (body, cut) = outgoing::read(&mut response, MOST_BYTES).await;
    match cut {
        None => {}
        Some(Cut::Broken(error)) => return Err(broken(host, &error)),
        Some(Cut::TooLong) => {
            return Err(Trouble::Failed {
                why: format!("{host} answers with more than {} MiB", MOST_BYTES >> 20),
                not_before: None,
            });
        }
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply {
        status,
        headers,
        body,
    })
}

/// What an answer that is none of success means.
fn trouble(host: &str, status: StatusCode, headers: &HeaderMap) -> Trouble {
    if matches!(
        status,
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS
    ) {
        return Trouble::NotFound;
    }
    let now = clock::now();
    let named = header(headers, &[RETRY_AFTER.as_str()]).and_then(|value| retry_after::wait(value, now));
    let named = named.and_then(|wait| now.checked_add(wait).ok());
    let until = named.or_else(|| exhausted_until(headers));
    let is_limit =
        status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && until.is_some());
    if is_limit {
        return Trouble::Limited(Limit {
            host: host.to_owned(),
            until,
            reason: format!("{host} says that there were too many requests ({status})"),
            refused: true,
        });
    }
    let why = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!(
                "{host} refuses to answer ({status}); is its token valid, and may it read the repository?"
            )
        }
        _ => format!("{host} answers {status}"),
    };
    if status.is_server_error() {
        return Trouble::Broken {
            host: host.to_owned(),
            why,
            not_before: named,
        };
    }
    Trouble::Failed {
        why,
        not_before: named,
    }
}

/// What is left of the allowance, where the server says so.
fn requests_left(headers: &HeaderMap) -> Option<i64> {
    header(headers, &REMAINING)?.trim().parse().ok()
}

/// When the allowance is renewed, where nothing is left of it.
fn exhausted_until(headers: &HeaderMap) -> Option<Timestamp> {
    if requests_left(headers)? != 0 {
        return None;
    }
    at_second(header(headers, &RESET))
}

fn header<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| headers.get(*name)?.to_str().ok())
}

fn broken(host: &str, error: &reqwest::Error) -> Trouble {
    Trouble::Broken {
        host: host.to_owned(),
        why: format!("{host} cannot be asked: {}", outgoing::problem(error, LIMIT)),
        not_before: None,
    }
}
