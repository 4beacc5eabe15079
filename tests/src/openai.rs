//! A server that speaks as that of `OpenAI`, over real HTTP: it writes down what it is asked, and can answer oddly.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::{self, Known, Server};

/// What it answers.
#[derive(Debug, Clone)]
pub enum Completion {
    /// This text, in the form that `OpenAI` gives it, for so many tokens.
    Says(String, u64),
    /// This status and this body.
    Raw(u16, String),
    /// An answer that never ends, of which 8 MiB come in a second.
    Endless,
    Hangs,
    /// This text, once [`OpenAi::lets_go`] is called.
    Held(String),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Question {
    pub path: String,
    pub authorization: String,
    pub body: Value,
}

/// A running server. Dropping it closes the port.
#[derive(Debug)]
pub struct OpenAi(Server<Inner>);

#[derive(Debug)]
struct Inner {
    completion: Completion,
    /// What it answers before that, once each.
    first: VecDeque<Completion>,
    let_go: watch::Sender<bool>,
    questions: Vec<Question>,
}

impl OpenAi {
    /// Starts one that answers so.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(completion: Completion) -> Self {
        let inner = Inner {
            completion,
            first: VecDeque::new(),
            let_go: watch::Sender::new(false),
            questions: Vec::new(),
        };
        Self(Server::start("model", inner, answer).await)
    }

    /// As `OPENAI_BASE_URL` names it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.address)
    }

    /// What it answers from now on.
    pub fn answers(&self, completion: Completion) {
        self.0.lock().completion = completion;
    }

    /// What it answers to the next questions, in this order, before it answers as it does now.
    pub fn answers_first(&self, completions: impl IntoIterator<Item = Completion>) {
        self.0.lock().first.extend(completions);
    }

    /// What was held is answered.
    pub fn lets_go(&self) {
        self.0.lock().let_go.send_replace(true);
    }

    /// Everything that was asked, in its order.
    pub fn questions(&self) -> Vec<Question> {
        self.0.lock().questions.clone()
    }
}

async fn answer(State(known): State<Known<Inner>>, target: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    let question = Question {
        path: target.path().to_owned(),
        authorization: authorization.unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let (completion, mut let_go) = {
        let mut inner = known.lock().unwrap();
        inner.questions.push(question);
        let first = inner.first.pop_front();
        let completion = first.unwrap_or_else(|| inner.completion.clone());
        (completion, inner.let_go.subscribe())
    };
    let (status, body) = match completion {
        Completion::Says(text, tokens) => (200, said(&text, tokens)),
        Completion::Raw(status, body) => (status, body),
        Completion::Endless => return endless(),
        Completion::Hangs => return std::future::pending().await,
        Completion::Held(text) => {
            let is_over = let_go.wait_for(|is_let_go| *is_let_go).await.is_err();
            if is_over {
                return std::future::pending().await;
            }
            (200, said(&text, 100))
        }
    };
    server::answer(status, &[("content-type", "application/json".to_owned())], body)
}

fn said(text: &str, tokens: u64) -> String {
    let message = json!({ "role": "assistant", "content": text });
    let body = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "any",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens },
    });
    body.to_string()
}

fn endless() -> Response {
    let chunks = futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8 << 10])), ()))
    });
    Body::from_stream(chunks).into_response()
}
