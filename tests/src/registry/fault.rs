//! Misbehaviour on chosen requests.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::Method;
use jiff::Timestamp;

use super::route::{RequestKind, Route};

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Answer at once with this status, these headers and this body.
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Accept the request and never answer.
    Silent,
    /// Answer truthfully, `chunk` bytes at a time with a pause after each.
    SlowBody { chunk: usize, pause: Duration },
    /// Announce the whole length, send half of it and close the connection.
    TruncatedBody,
    /// Answer 200 with this many bytes of white space, without announcing the length.
    HugeBody { bytes: usize },
    /// Answer truthfully, with a line break added to the body, so that its digest is wrong.
    AlteredBody,
    /// `"tags": null`
    TagsNull,
    /// A `null` before the first tag.
    NullElement,
    /// A name that is no valid tag before the first tag.
    InvalidTag,
    /// `Docker-Content-Digest` of something else.
    WrongDigestHeader,
    /// No `Docker-Content-Digest`, as ECR answers a GET.
    MissingDigestHeader,
    /// Send the client elsewhere.
    Redirect { status: u16, location: String },
    /// Every bearer token handed out so far is invalid from now on; then go on as usual.
    ExpireTokens,
    /// The token in the reply has a line break inside.
    TokenWithNewline,
}

impl Fault {
    /// An OCI error body with this status, code and message.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] }).to_string();
        Self::Answer {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body,
        }
    }

    /// This status with a body that is not JSON, as a proxy in front of a registry answers.
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: "<html>upstream says no</html>".to_owned(),
        }
    }

    /// 429 without any hint when to come back.
    pub fn too_many_requests() -> Self {
        Self::error(429, "TOOMANYREQUESTS", "too many requests")
    }

    /// 429 with `Retry-After` in seconds.
    pub fn retry_after_seconds(seconds: u64) -> Self {
        Self::too_many_requests().with_header("retry-after", &seconds.to_string())
    }

    /// 429 with `Retry-After` as an HTTP date.
    pub fn retry_after_date(at: Timestamp) -> Self {
        let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        Self::too_many_requests().with_header("retry-after", &date)
    }

    /// 429 with the hint in the text of the error, as GHCR sends it, for example `985.86µs`.
    pub fn retry_after_text(wait: &str) -> Self {
        Self::error(
            429,
            "TOOMANYREQUESTS",
            &format!("retry-after: {wait}, allowed: 44000/minute"),
        )
    }

    /// Adds a header to [`Fault::Answer`]; the other faults stay as they are.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// Which requests a fault befalls: by default every one.
#[derive(Debug, Clone)]
pub struct Rule {
    fault: Fault,
    kind: Option<RequestKind>,
    method: Option<Method>,
    repository: Option<String>,
    from: usize,
    times: usize,
}

impl Rule {
    /// The fault befalls every request.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            kind: None,
            method: None,
            repository: None,
            from: 1,
            times: usize::MAX,
        }
    }

    /// The fault befalls every request of this kind.
    pub fn on(kind: RequestKind, fault: Fault) -> Self {
        Self {
            kind: Some(kind),
            ..Self::always(fault)
        }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only requests about this repository.
    #[must_use]
    pub fn repository(mut self, repository: &str) -> Self {
        self.repository = Some(repository.to_owned());
        self
    }

    /// Only from the `n`-th matching request on, counted from 1.
    #[must_use]
    pub fn from(mut self, n: usize) -> Self {
        self.from = n;
        self
    }

    /// At most this many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Only the `n`-th matching request, counted from 1.
    #[must_use]
    pub fn nth(self, n: usize) -> Self {
        self.from(n).times(1)
    }

    fn matches(&self, method: &Method, route: &Route) -> bool {
        self.kind.is_none_or(|kind| kind == route.kind())
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self
                .repository
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == route.repository())
    }
}

/// The rules in force, each with the number of requests that matched it.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<(Rule, usize)>>);

impl Faults {
    pub(super) fn add(&self, rule: Rule) {
        self.0.lock().unwrap().push((rule, 0));
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// Counts the request for every rule that matches it and returns the fault of the first that is due.
    pub(super) fn due(&self, method: &Method, route: &Route) -> Option<Fault> {
        let mut due = None;
        for (rule, seen) in self.0.lock().unwrap().iter_mut() {
            if rule.matches(method, route) {
                *seen += 1;
                if *seen >= rule.from && *seen - rule.from < rule.times && due.is_none() {
                    due = Some(rule.fault.clone());
                }
            }
        }
        due
    }
}
