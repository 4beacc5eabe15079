//! A program that wants to be told of rollouts: it writes down what it is sent, over real HTTP, and can be told to misbehave.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it does with a request, beside writing it down.
#[derive(Debug, Clone)]
pub enum Behaviour {
    /// 204.
    Take,
    /// This status, with these headers.
    Answer(u16, Vec<(&'static str, String)>),
    /// Never answers.
    Hang,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Received {
    /// With the query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Value,
    /// The body as it came.
    pub text: String,
    /// Whether it was answered with a success.
    pub taken: bool,
}

impl Received {
    /// Its event's type.
    pub fn event(&self) -> &str {
        self.body["eventType"].as_str().unwrap_or_default()
    }

    /// Its event's id.
    pub fn id(&self) -> &str {
        self.headers.get("kubefresh-event-id").map_or("", String::as_str)
    }
}

/// A running receiver. Dropping it closes the port.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Inner {
    behaviour: Behaviour,
    received: Vec<Received>,
}

impl Receiver {
    /// Starts one that takes everything.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let inner = Inner {
            behaviour: Behaviour::Take,
            received: Vec::new(),
        };
        let state = Arc::new(Mutex::new(inner));
        let router = Router::new().fallback(receive).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the receiver stopped");
            }
        });
        Self {
            address,
            state,
            server,
        }
    }

    /// Where to post to.
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// What it does from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.lock().behaviour = behaviour;
    }

    /// Everything that came, in its order.
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// The types of the events that it took, in their order.
    pub fn took(&self) -> Vec<String> {
        let received = self.received().into_iter();
        let taken = received.filter(|request| request.taken);
        taken.map(|request| request.event().to_owned()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(
    State(state): State<Arc<Mutex<Inner>>>,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    let mut request = Received {
        target: target.to_string(),
        headers: headers.collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        text: String::from_utf8_lossy(&body).into_owned(),
        taken: false,
    };
    let behaviour = {
        let mut inner = state.lock().unwrap_or_else(PoisonError::into_inner);
        let behaviour = inner.behaviour.clone();
        request.taken = matches!(behaviour, Behaviour::Take);
        inner.received.push(request);
        behaviour
    };
    match behaviour {
        Behaviour::Take => StatusCode::NO_CONTENT.into_response(),
        Behaviour::Answer(status, headers) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let headers = headers.into_iter().filter_map(|(name, value)| {
                let name: http::HeaderName = name.parse().ok()?;
                Some((name, value.parse().ok()?))
            });
            let headers: HeaderMap = headers.collect();
            (status, headers).into_response()
        }
        Behaviour::Hang => std::future::pending().await,
    }
}
