//! Asks a language model one question about release notes, through async-openai, within bounds of time, tokens and bytes.
//!
//! The answer is read leniently and by our own types: servers that speak like that of `OpenAI` leave out fields and add others. Nothing is
//! tried again here; whatever goes wrong, the digest by rules stands.

use std::fmt;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::ReqwestService;
use axum::http;
use reqwest::Response;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::release_notes::digest::Summary;
use shared::domain::release_notes::summary::answer::parse;
use shared::domain::release_notes::summary::prompt::{MOST_OF_AN_ANSWER, Question, reader};
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::cli::summary::SummarySettings;
use crate::outgoing::{self, Cut};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_mins(2);
/// How much of one is read, in bytes; the tokens asked for are some KiB, and what a model thought before is some more.
const MOST: usize = 1 << 20;

/// What came of a question.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Result<Summary, NoAnswer>,
    /// What it has cost, where anybody knows.
    pub(crate) tokens: Option<u64>,
}

impl Reply {
    /// Of a question that came to no end.
    pub(crate) fn lost() -> Self {
        Self::failed("the question was not finished".to_owned())
    }

    fn failed(why: String) -> Self {
        Self {
            answer: Err(NoAnswer::Failed(why)),
            tokens: None,
        }
    }
}

/// Why there is no answer, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// There is one, and it is of no use: another text may have a better one.
    #[error("{0}")]
    Useless(String),
    /// The server does not work, whatever it is asked.
    #[error("{0}")]
    Failed(String),
}

/// The one who asks.
#[derive(Clone)]
pub(crate) struct Summariser {
    client: Client<OpenAIConfig>,
    host: String,
    model: String,
    pub(crate) language: String,
    /// Names it, as far as that changes what comes of a text.
    pub(crate) reader: String,
    pub(crate) tokens_per_day: u64,
    /// For how long nothing is asked of the server once it has failed.
    pub(crate) pause: Duration,
}

impl fmt::Debug for Summariser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summariser")
            .field("host", &self.host)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// As much of an answer as matters, with as little as possible asked of it.
#[derive(Debug, Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    message: Value,
}

#[derive(Debug, Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: Value,
}

impl Completion {
    /// The text of the answer: a string, or the parts of one.
    fn text(&self) -> String {
        let content = self.choices.first().map(|choice| &choice.message["content"]);
        match content {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => String::new(),
        }
    }

    fn tokens(&self) -> Option<u64> {
        let total = &self.usage.as_ref()?.total_tokens;
        total.as_u64().filter(|tokens| *tokens > 0)
    }
}

impl Summariser {
    /// Fails where the certificates of the system cannot be used.
    pub(crate) fn new(settings: &SummarySettings) -> Result<Self, reqwest::Error> {
        let http = outgoing::client(LIMIT)?;
        let key = settings.key.as_ref().map_or("none", |key| key.expose_secret());
        // All of it is said, as what is not would be looked for in the environment.
        let config = OpenAIConfig::new()
            .with_api_base(settings.base_url.as_str())
            .with_api_key(key)
            .with_org_id("")
            .with_project_id("");
        // With a service of our own nothing is tried again behind our back.
        let client = Client::build(http.clone(), config)
            .with_http_service(ReqwestService::new(http).and_then(bounded));
        Ok(Self {
            client,
            host: settings.host(),
            model: settings.model.clone(),
            language: settings.language.clone(),
            reader: reader(&settings.model, &settings.language),
            tokens_per_day: settings.tokens_per_day,
            pause: settings.pause,
        })
    }

    /// Asks. Nothing is tried again.
    pub(crate) async fn ask(&self, question: &Question) -> Reply {
        let request = json!({
            "model": self.model,
            "messages": [
                { "role": "system", "content": question.system },
                { "role": "user", "content": question.user },
            ],
            "max_completion_tokens": MOST_OF_AN_ANSWER,
            "stream": false,
        });
        let asked = timeout(LIMIT, self.client.chat().create_byot::<_, Completion>(request)).await;
        match asked {
            Ok(Ok(completion)) if completion.choices.is_empty() => {
                Reply::failed(format!("{} answers what is no completion", self.host))
            }
            Ok(Ok(completion)) => {
                let answer = parse(&completion.text());
                Reply {
                    answer: answer.map_err(|error| NoAnswer::Useless(format!("{}: {error}", self.host))),
                    tokens: completion.tokens(),
                }
            }
            Ok(Err(error)) => Reply {
                tokens: is_free(&error).then_some(0),
                answer: Err(if is_about_the_text(&error) {
                    NoAnswer::Useless(self.explained(&error))
                } else {
                    NoAnswer::Failed(self.explained(&error))
                }),
            },
            Err(_) => Reply::failed(format!("{} does not answer within {LIMIT:?}", self.host)),
        }
    }

    /// The error itself could show addresses, or all of an answer.
    fn explained(&self, error: &OpenAIError) -> String {
        let host = &self.host;
        match error {
            OpenAIError::Reqwest(error) => {
                format!("{host} cannot be asked: {}", outgoing::problem(error, LIMIT))
            }
            OpenAIError::Boxed(error) => format!("{host} {error}"),
            OpenAIError::ApiError(_) => format!("{host} refuses to answer"),
            OpenAIError::JSONDeserialize(..) => format!("{host} answers what is no completion"),
            OpenAIError::FileSaveError(_)
            | OpenAIError::FileReadError(_)
            | OpenAIError::StreamError(_)
            | OpenAIError::InvalidArgument(_) => format!("{host} cannot be asked"),
        }
    }
}

/// The answer is longer than any that was asked for.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("answers with more than {MOST} bytes")]
struct TooLong;

/// An answer of no more than [`MOST`] bytes. The crate itself would read all of it.
async fn bounded(mut response: Response) -> Result<Response, OpenAIError> {
    let (body, cut) = outgoing::read(&mut response, MOST).await;
    match cut {
        Some(Cut::TooLong) => Err(OpenAIError::Boxed(TooLong.into())),
        Some(Cut::Broken(error)) => Err(OpenAIError::Reqwest(error)),
        None => {
            let mut whole = http::Response::new(body);
            *whole.status_mut() = response.status();
            Ok(whole.into())
        }
    }
}

/// Who cannot be reached costs nothing, and neither does who refuses.
fn is_free(error: &OpenAIError) -> bool {
    if let OpenAIError::ApiError(refused) = error {
        return refused.status_code.is_client_error();
    }
    matches!(error, OpenAIError::Reqwest(error) if error.is_connect())
}

/// Whether it is refused for what it says or how long it is: another text may be answered.
fn is_about_the_text(error: &OpenAIError) -> bool {
    let OpenAIError::ApiError(refused) = error else {
        return false;
    };
    matches!(refused.status_code.as_u16(), 400 | 413 | 422)
}
