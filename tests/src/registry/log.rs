//! The access log.

use std::sync::Mutex;

use axum::http::request::Parts;
use jiff::Timestamp;

use super::route::RequestKind;

/// One request as it arrived, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    pub method: String,
    pub path: String,
    /// The query without the question mark; empty when there was none.
    pub query: String,
    pub kind: RequestKind,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    /// 0 while no answer has been started, which is for ever after [`super::Fault::Silent`].
    pub status: u16,
    /// Whether the request carried a credential that the registry accepted.
    pub authorised: bool,
    /// The `Authorization` header, word for word.
    pub credential: Option<String>,
    pub user_agent: String,
    /// The `Accept` header, word for word.
    pub accept: String,
    pub at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct AccessLog(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<RequestFacts>,
    /// Counts [`AccessLog::clear`], so that an answer to an older request is not written to a newer entry.
    generation: usize,
}

/// Where in the log a request stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    generation: usize,
    index: usize,
}

impl AccessLog {
    pub(super) fn arrive(&self, request: &Parts, kind: RequestKind) -> Entry {
        let Parts {
            method,
            uri,
            version,
            headers,
            ..
        } = request;
        let header = |name: &str| {
            let values: Vec<_> = headers
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect();
            values.join(", ")
        };
        let facts = RequestFacts {
            method: method.to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            kind,
            protocol: format!("{version:?}"),
            status: 0,
            authorised: false,
            credential: headers
                .contains_key("authorization")
                .then(|| header("authorization")),
            user_agent: header("user-agent"),
            accept: header("accept"),
            at: Timestamp::now(),
        };
        let mut inner = self.0.lock().unwrap();
        inner.entries.push(facts);
        Entry {
            generation: inner.generation,
            index: inner.entries.len() - 1,
        }
    }

    pub(super) fn authorised(&self, entry: Entry) {
        self.change(entry, |facts| facts.authorised = true);
    }

    pub(super) fn answered(&self, entry: Entry, status: u16) {
        self.change(entry, |facts| facts.status = status);
    }

    pub(super) fn all(&self) -> Vec<RequestFacts> {
        self.0.lock().unwrap().entries.clone()
    }

    pub(super) fn clear(&self) {
        let mut inner = self.0.lock().unwrap();
        inner.entries.clear();
        inner.generation += 1;
    }

    fn change(&self, entry: Entry, change: impl FnOnce(&mut RequestFacts)) {
        let mut inner = self.0.lock().unwrap();
        if inner.generation == entry.generation {
            change(&mut inner.entries[entry.index]);
        }
    }
}
