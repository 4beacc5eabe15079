//! What the servers have in common that stand beside a cluster: a port, what they and the test both know, and an end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One on a free port of this machine, that answers every request by one handler. Dropping it closes the port.
#[derive(Debug)]
pub(crate) struct Server<Inner> {
    pub(crate) address: SocketAddr,
    inner: Known<Inner>,
    task: JoinHandle<()>,
}

/// What a server and its test both know.
pub(crate) type Known<Inner> = Arc<Mutex<Inner>>;

impl<Inner: Send + 'static> Server<Inner> {
    /// Starts one; `name` is what the log calls it.
    ///
    /// # Panics
    /// When no port can be bound.
    pub(crate) async fn start<Extracted: 'static>(
        name: &'static str,
        inner: Inner,
        handler: impl Handler<Extracted, Known<Inner>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let inner = Arc::new(Mutex::new(inner));
        let router = Router::new().fallback(handler).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(name, %error, "a server stopped");
            }
        });
        Self { address, inner, task }
    }
}

impl<Inner> Server<Inner> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl<Inner> Drop for Server<Inner> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Headers as they are written down, their names in lower case.
pub(crate) fn written(headers: &HeaderMap) -> BTreeMap<String, String> {
    let written = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    written.collect()
}

/// An answer.
///
/// # Panics
/// When there is no such status.
pub(crate) fn answer(status: u16, headers: &[(&'static str, String)], body: impl Into<Body>) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let headers = headers.iter().filter_map(|(name, value)| {
        let name: HeaderName = name.parse().ok()?;
        Some((name, value.parse().ok()?))
    });
    let headers: HeaderMap = headers.collect();
    (status, headers, body.into()).into_response()
}
