//! A client of an API server that is a function, for tests of how single answers are taken.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use kube::Client;
use serde_json::{Value, json};
use tower::service_fn;

/// What is answered, and after how long.
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) body: Value,
    pub(crate) after: Duration,
}

impl Reply {
    pub(crate) fn ok(body: Value) -> Self {
        let (code, after) = (200, Duration::ZERO);
        Self { code, body, after }
    }

    pub(crate) fn failure(code: u16) -> Self {
        let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code });
        let after = Duration::ZERO;
        Self { code, body, after }
    }
}

/// Answers each request by its method and path.
pub(crate) fn client(answer: impl Fn(&str, &str) -> Reply + Send + Sync + Clone + 'static) -> Client {
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let Reply { code, body, after } = answer(request.method().as_str(), request.uri().path());
        async move {
            tokio::time::sleep(after).await;
            let mut response = Response::new(Body::from(body.to_string()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            Ok::<_, Infallible>(response)
        }
    });
    Client::new(service, "default")
}
