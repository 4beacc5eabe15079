//! The client of the run, which obeys the API server when it asks for a wait (`Retry-After`).
//!
//! kube's own layer waits inside of the call, however long. The calls of the run have limits, and one that is given up takes its wait
//! away with it: the next attempt would come far too early. So only a short wait passes inside of the call. A longer one is answered
//! to the caller, who goes on with other things, and is kept here: who asks for the same before it is over is refused in the
//! server's place.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::header::RETRY_AFTER;
use axum::http::{Method, Request, Response, StatusCode};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder};
use kube::core::Status;
use kube::{Client, Config};
use shared::domain::retry_after;
use shared::io::client::{self, ClientError};
use shared::io::clock;
use tokio::time::{Instant, Sleep, sleep};
use tower::buffer::BufferLayer;
use tower::layer::layer_fn;
use tower::retry::{Policy, RetryLayer};
use tower::{BoxError, Service, ServiceExt as _};

/// What is waited for inside of a call: less than the limit of any.
const INSIDE: Duration = Duration::from_secs(2);
/// No wait is longer, whatever the server says.
const LONGEST: Duration = Duration::from_mins(5);
/// As many as kube's own client has.
const MOST_CALLS: usize = 1024;

/// A client for the cluster that the environment names. No call hangs longer than `silence` without a word from the cluster.
pub async fn connect(silence: Duration) -> Result<Client, ClientError> {
    obedient(client::config(silence).await?).map_err(ClientError::Build)
}

/// A client of this configuration.
pub fn obedient(mut config: Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    Ok(over(ClientBuilder::try_from(config)?))
}

fn over<S, B>(calls: ClientBuilder<S>) -> Client
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let waits = Waits::default();
    let patience = Patience {
        short: RetryPolicy::server_retry(),
        waits: waits.clone(),
    };
    calls
        .with_layer(&BufferLayer::new(MOST_CALLS))
        .with_layer(&RetryLayer::new(patience))
        .with_layer(&layer_fn(move |calls| Gate {
            calls,
            waits: waits.clone(),
        }))
        .build()
}

/// What is asked for: the server says of this that it has to wait.
type Question = (Method, String);

fn question(request: &Request<Body>) -> Question {
    (request.method().clone(), request.uri().path().to_owned())
}

/// When what has to wait may be asked again.
#[derive(Clone, Default)]
struct Waits(Arc<Mutex<HashMap<Question, Instant>>>);

impl Waits {
    fn keep(&self, question: Question, wait: Duration) {
        let now = Instant::now();
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.retain(|_, until| *until > now);
        waits.insert(question, now + wait);
    }

    fn left(&self, question: &Question) -> Duration {
        let waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = waits.get(question);
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }
}

/// What is tried again inside of a call: as kube does, unless the server asks for a longer wait.
#[derive(Clone)]
struct Patience {
    short: RetryPolicy,
    waits: Waits,
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for Patience {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<B>, BoxError>,
    ) -> Option<Sleep> {
        if let Some(wait) = result.as_ref().ok().and_then(asked_wait) {
            self.waits.keep(question(request), wait);
            if wait > INSIDE {
                return None;
            }
        }
        self.short.retry(request, result)
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Policy::<_, Response<B>, _>::clone_request(&mut self.short, request)
    }
}

fn asked_wait<B>(response: &Response<B>) -> Option<Duration> {
    let asks = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let said = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let wait = retry_after::wait(said, clock::now()).filter(|_| asks.contains(&response.status()));
    wait.map(|wait| wait.min(LONGEST))
}

/// Lets nothing through before its time.
struct Gate<S> {
    calls: S,
    waits: Waits,
}

impl<S, B> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let left = self.waits.left(&question(&request));
        let calls = self.calls.clone();
        Box::pin(async move {
            if left > INSIDE {
                return Err(BoxError::from(refusal(left)));
            }
            sleep(left).await;
            calls.oneshot(request).await
        })
    }
}

/// In the words of the server.
fn refusal(left: Duration) -> kube::Error {
    let message = format!("the API server has asked to wait, for {} s more", left.as_secs());
    let code = StatusCode::TOO_MANY_REQUESTS.as_u16();
    kube::Error::Api(Box::new(
        Status::failure(&message, "TooManyRequests").with_code(code),
    ))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use serde_json::json;
    use tower::{ServiceBuilder, service_fn};

    use super::*;

    /// A client whose first call is answered with this code and `Retry-After`, all others well; and how often it was called.
    fn busy(code: u16, seconds: u64) -> (Api<Namespace>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let answer = service_fn(move |request: Request<Body>| {
            let is_first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            let name = request
                .uri()
                .path()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned();
            async move {
                let mut response = Response::new(axum::body::Body::from(
                    json!({ "metadata": { "name": name } }).to_string(),
                ));
                if is_first {
                    *response.status_mut() = StatusCode::from_u16(code).unwrap();
                    response.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                Ok::<_, Infallible>(response)
            }
        });
        let service = ServiceBuilder::new().map_err(BoxError::from).service(answer);
        (Api::all(over(ClientBuilder::new(service, "default"))), asked)
    }

    #[tokio::test]
    async fn a_wait_that_is_too_long_for_a_call_is_answered_at_once_and_obeyed() {
        for code in [429, 503] {
            let (api, asked) = busy(code, 3);
            let begun = Instant::now();
            for _ in 0..5 {
                assert!(
                    matches!(api.get("shop").await, Err(kube::Error::Api(_))),
                    "{code}"
                );
            }
            assert!(begun.elapsed() < Duration::from_secs(1));
            assert_eq!(asked.load(Ordering::SeqCst), 1, "{code}");
            // Others were not asked to wait.
            api.get("bank").await.unwrap();
            assert_eq!(asked.load(Ordering::SeqCst), 2, "{code}");
            sleep(Duration::from_millis(1500)).await;
            api.get("shop").await.unwrap();
            assert!(begun.elapsed() >= Duration::from_secs(3));
            assert_eq!(asked.load(Ordering::SeqCst), 3, "{code}");
        }
    }

    #[tokio::test]
    async fn a_short_wait_passes_inside_of_the_call() {
        let (api, asked) = busy(429, 1);
        let begun = Instant::now();
        api.get("shop").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn no_wait_is_longer_than_five_minutes_and_only_a_server_that_is_busy_asks_for_one() {
        let asked = |code: u16, wait: &str| {
            let response = Response::builder().status(code).header(RETRY_AFTER, wait);
            asked_wait(&response.body(()).unwrap())
        };
        assert_eq!(asked(429, "60"), Some(Duration::from_mins(1)));
        assert_eq!(asked(503, "86400"), Some(LONGEST));
        assert_eq!(asked(429, "soon"), None);
        assert_eq!(asked(201, "60"), None);
    }
}
