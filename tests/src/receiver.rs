//! A program that wants to be told of rollouts: it writes down what it is sent, over real HTTP, and can be told to misbehave.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::Value;

use crate::server::{self, Known, Server};

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
pub struct Receiver(Server<Inner>);

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
        let inner = Inner {
            behaviour: Behaviour::Take,
            received: Vec::new(),
        };
        Self(Server::start("receiver", inner, receive).await)
    }

    /// Where to post to.
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.0.address)
    }

    /// What it does from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.0.lock().behaviour = behaviour;
    }

    /// Everything that came, in its order.
    pub fn received(&self) -> Vec<Received> {
        self.0.lock().received.clone()
    }

    /// The types of the events that it took, in their order.
    pub fn took(&self) -> Vec<String> {
        let received = self.received().into_iter();
        let taken = received.filter(|request| request.taken);
        taken.map(|request| request.event().to_owned()).collect()
    }
}

async fn receive(
    State(known): State<Known<Inner>>,
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut request = Received {
        target: target.to_string(),
        headers: server::written(&headers),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        text: String::from_utf8_lossy(&body).into_owned(),
        taken: false,
    };
    let behaviour = {
        let mut inner = known.lock().unwrap();
        let behaviour = inner.behaviour.clone();
        request.taken = matches!(behaviour, Behaviour::Take);
        inner.received.push(request);
        behaviour
    };
    match behaviour {
        Behaviour::Take => server::answer(204, &[], Body::empty()),
        Behaviour::Answer(status, headers) => server::answer(status, &headers, Body::empty()),
        Behaviour::Hang => std::future::pending().await,
    }
}
