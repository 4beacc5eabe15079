//! The HTTP server: logs a request, applies faults, checks who asks, and hands over to the operation.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, Uri};
use futures::StreamExt;
use serde_json::json;

use super::auth::{self, FailedLogins, Tokens, Verdict};
use super::fault::{Fault, Faults};
use super::image::digest_of;
use super::log::AccessLog;
use super::options::RegistryOptions;
use super::route::Route;
use super::store::Store;
use super::{manifests, tags, uploads};

const MAX_REQUEST_BYTES: usize = 512 * 1024 * 1024;

/// Everything the handlers share. No lock is held across an await.
#[derive(Debug)]
pub(super) struct State {
    pub(super) address: SocketAddr,
    pub(super) options: Mutex<RegistryOptions>,
    pub(super) store: Mutex<Store>,
    pub(super) faults: Faults,
    pub(super) tokens: Tokens,
    pub(super) logins: FailedLogins,
    pub(super) log: AccessLog,
}

impl State {
    pub(super) fn new(address: SocketAddr, options: RegistryOptions) -> Self {
        Self {
            address,
            options: Mutex::new(options),
            store: Mutex::default(),
            faults: Faults::default(),
            tokens: Tokens::default(),
            logins: FailedLogins::default(),
            log: AccessLog::default(),
        }
    }
}

/// A request with its body read.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The decoded pairs of a query.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn of(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default())
    }

    /// Of a query or a form.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = reqwest::Url::parse(&format!("http://registry/?{text}"))
            .map(|url| url.query_pairs().into_owned().collect());
        Self(pairs.unwrap_or_default())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

pub(super) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(move |request: Request| handle(Arc::clone(&state), request))
}

async fn handle(state: Arc<State>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let route = Route::of(parts.uri.path());
    let entry = state.log.arrive(&parts, route.kind());
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST_BYTES).await else {
        return error_answer(413, "SIZE_INVALID", "the request is too large").map(Body::from);
    };
    let query = Query::of(&parts.uri);
    let call = Call {
        method: parts.method,
        query,
        headers: parts.headers,
        body,
    };
    let fault = state.faults.due(&call.method, &route);
    let response = match &fault {
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Answer {
            status,
            headers,
            body,
        }) => {
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            answer(*status, &headers, body.clone())
        }
        Some(Fault::Redirect { status, location }) => {
            answer(*status, &[("location", location)], String::new())
        }
        Some(Fault::HugeBody { .. }) => answer(200, &[], String::new()),
        _ => {
            if matches!(fault, Some(Fault::ExpireTokens)) {
                state.tokens.forget();
            }
            let (response, authorised) = operate(&state, &route, &call);
            if authorised {
                state.log.authorised(entry);
            }
            response
        }
    };
    state.log.answered(entry, response.status().as_u16());
    spoil(fault.as_ref(), response)
}

/// The truthful answer, and whether a credential was accepted on the way.
fn operate(state: &State, route: &Route, call: &Call) -> (Response<Bytes>, bool) {
    if *route == Route::Token {
        return (
            auth::token(state, call),
            call.headers.contains_key("authorization") || call.method == Method::POST,
        );
    }
    let authorised = match auth::check(state, &call.method, route, &call.headers) {
        Verdict::Open => false,
        Verdict::Authorised => true,
        Verdict::Refused(response) => return (response, false),
    };
    let response = match route {
        Route::Ping => answer(200, &[("docker-distribution-api-version", "registry/2.0")], "{}"),
        Route::Tags { repository } => tags::list(state, repository, call),
        Route::Manifest {
            repository,
            reference,
        } => manifests::serve(state, repository, reference, call),
        Route::Blob { repository, digest } => uploads::blob(state, repository, digest, call),
        Route::StartUpload { repository } => uploads::start(state, repository, call),
        Route::Upload { repository, id } => uploads::go_on(state, repository, id, call),
        Route::Token | Route::Unknown => error_answer(404, "UNSUPPORTED", "no such operation"),
    };
    (response, authorised)
}

/// Turns a truthful answer into the faulty one.
fn spoil(fault: Option<&Fault>, response: Response<Bytes>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let body = match fault {
        Some(Fault::SlowBody { chunk, pause }) => slow(&body, *chunk, *pause),
        Some(Fault::TruncatedBody) => {
            parts
                .headers
                .insert("content-length", HeaderValue::from(body.len()));
            truncated(&body)
        }
        Some(Fault::HugeBody { bytes }) => {
            const CHUNK: usize = 64 * 1024;
            let chunk = Bytes::from(vec![b' '; CHUNK]);
            let chunks = futures::stream::iter(0..bytes.div_ceil(CHUNK));
            Body::from_stream(chunks.map(move |_| Ok::<_, std::io::Error>(chunk.clone())))
        }
        Some(Fault::AlteredBody) => {
            // White space around JSON: the document still parses, and only the digest tells.
            parts.headers.remove("content-length");
            let mut bytes = body.to_vec();
            bytes.push(b'\n');
            Body::from(bytes)
        }
        Some(Fault::TagsNull) => Body::from(with_tags(&body, |_| json!(null))),
        Some(Fault::NullElement) => Body::from(with_first_tag(&body, json!(null))),
        Some(Fault::InvalidTag) => Body::from(with_first_tag(&body, json!("not a tag!"))),
        Some(Fault::WrongDigestHeader) => {
            let wrong = digest_of(b"something else")
                .parse()
                .expect("a digest is a header value");
            parts.headers.insert("docker-content-digest", wrong);
            Body::from(body)
        }
        Some(Fault::MissingDigestHeader) => {
            parts.headers.remove("docker-content-digest");
            Body::from(body)
        }
        Some(Fault::TokenWithNewline) => {
            Body::from(String::from_utf8_lossy(&body).replace("token-", "to\\nken-"))
        }
        Some(Fault::Answer { .. } | Fault::Redirect { .. } | Fault::Silent | Fault::ExpireTokens) | None => {
            Body::from(body)
        }
    };
    Response::from_parts(parts, body)
}

fn slow(body: &Bytes, chunk: usize, pause: Duration) -> Body {
    Body::from_stream(futures::stream::unfold(
        body.clone(),
        move |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(pause).await;
            let next = rest.split_to(chunk.clamp(1, rest.len()));
            Some((Ok::<_, std::io::Error>(next), rest))
        },
    ))
}

/// Half of the body, then an error, for which hyper closes the connection.
fn truncated(body: &Bytes) -> Body {
    let half = futures::stream::iter([Ok(body.slice(..body.len() / 2))]);
    let end = futures::stream::once(async {
        // Without a pause hyper would drop what it has not written yet, the status line included.
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof))
    });
    Body::from_stream(half.chain(end))
}

fn with_tags(body: &[u8], change: impl FnOnce(&serde_json::Value) -> serde_json::Value) -> Vec<u8> {
    let mut list: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    list["tags"] = change(&list["tags"]);
    list.to_string().into_bytes()
}

fn with_first_tag(body: &[u8], first: serde_json::Value) -> Vec<u8> {
    with_tags(body, |tags| {
        let rest = tags.as_array().cloned().unwrap_or_default();
        std::iter::once(first).chain(rest).collect()
    })
}

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).expect("status and headers are valid")
}

/// An error in the form of the distribution specification.
pub(super) fn error_answer(status: u16, code: &str, message: &str) -> Response<Bytes> {
    let body = json!({ "errors": [{ "code": code, "message": message, "detail": null }] }).to_string();
    answer(status, &[("content-type", "application/json")], body)
}
