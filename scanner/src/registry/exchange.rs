//! A question to a registry, and the answer with its body read.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use secrecy::SecretString;
use shared::domain::reference::Repository;

use super::problem::{Problem, Quoted, Who};
use super::retry_after;
use super::usage::RequestKind;

/// A request to be sent, in whosever name.
#[derive(Debug, Clone)]
pub(super) struct Exchange<'a> {
    pub(super) kind: RequestKind,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: &'static str,
    /// What is asked about, by whose credentials and tokens.
    pub(super) repository: &'a Repository,
    /// A body with a secret in it.
    pub(super) form: Option<SecretString>,
    /// What the answer is, and how many bytes of it are read at most.
    pub(super) what: &'static str,
    pub(super) limit: usize,
}

/// An answer with its body read.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The URL that answered, after redirects.
    pub(super) url: Url,
    pub(super) body: Vec<u8>,
    /// From the request to the end of the body.
    pub(super) took: Duration,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect()
    }

    /// # Errors
    /// When the status is not a success.
    pub(super) fn success(self, who: Who) -> Result<Self, Problem> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.refusal(who))
        }
    }

    pub(super) fn refusal(&self, who: Who) -> Problem {
        if self.status == StatusCode::NOT_MODIFIED {
            let answer = "it answered 304 Not Modified, which nobody asked about";
            return Problem::Protocol(answer.to_owned());
        }
        if self.status.is_redirection() {
            return Problem::Untrusted(format!("a redirect ({}) to no web address", self.status.as_u16()));
        }
        Problem::Refused {
            who,
            status: self.status,
            message: Quoted::from_body(&self.body),
            retry_at: self.retry_at(),
        }
    }

    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        let text = String::from_utf8_lossy(&self.body);
        retry_after::retry_at(self.header("retry-after"), &text, Timestamp::now())
    }
}
