//! Asks a language model for a summary of release notes, through async-openai, within bounds of time and tokens.
//!
//! The answer is read leniently and by our own types: servers that speak like that of `OpenAI` leave out fields and add others. Nothing is
//! tried again here; whatever goes wrong, the digest by rules stands.

use std::fmt;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::ReqwestService;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::domain::release_notes::Release;
use shared::domain::release_notes::digest::Summary;
use shared::domain::release_notes::summary::answer::parse;
use shared::domain::release_notes::summary::completed;
use shared::domain::release_notes::summary::inquiry::Inquiry;
use shared::domain::release_notes::summary::prompt::{MOST_OF_AN_ANSWER, Question};
use tokio::time::timeout;

use crate::cli::summary::SummarySettings;
use crate::outgoing;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_mins(2);

/// What is spent on a summary, and how much more may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purse {
    pub(crate) left: u64,
    pub(crate) spent: u64,
}

impl Purse {
    pub(crate) fn new(left: u64) -> Self {
        Self { left, spent: 0 }
    }

    fn pay(&mut self, tokens: u64) {
        self.left = self.left.saturating_sub(tokens);
        self.spent = self.spent.saturating_add(tokens);
    }
}

/// Why there is no summary by a model, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSummary {
    #[error("the tokens for today are spent (SUMMARY_TOKENS_PER_DAY)")]
    TooDear,
    #[error("there is nothing to summarise")]
    NothingToSay,
    /// That of this text.
    #[error("{0}")]
    Useless(String),
    /// That of any.
    #[error("{0}")]
    Failed(String),
}

/// The one who asks.
#[derive(Clone)]
pub(crate) struct Summariser {
    client: Client<OpenAIConfig>,
    host: String,
    model: String,
    language: String,
    pub(crate) tokens_per_day: u64,
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
        let client = Client::build(http.clone(), config).with_http_service(ReqwestService::new(http));
        Ok(Self {
            client,
            host: settings.host(),
            model: settings.model.clone(),
            language: settings.language.clone(),
            tokens_per_day: settings.tokens_per_day,
        })
    }

    /// The summary of these releases by the model, with what the rules of `digest` find urgent in it.
    pub(crate) async fn summarise(
        &self,
        releases: &[Release],
        digest: &Summary,
        purse: &mut Purse,
    ) -> Result<Summary, NoSummary> {
        if digest.is_empty() {
            return Err(NoSummary::NothingToSay);
        }
        let mut inquiry = Inquiry::new(releases);
        let mut problem = NoSummary::NothingToSay;
        while let Some(question) = inquiry.question(&self.language) {
            match self.ask(&question, purse).await {
                Ok(answer) => inquiry.answered(answer),
                Err(why) => {
                    tracing::warn!(%why, "a question about release notes has no answer");
                    match &why {
                        NoSummary::Useless(_) => inquiry.useless(),
                        NoSummary::TooDear | NoSummary::NothingToSay | NoSummary::Failed(_) => inquiry.stop(),
                    }
                    problem = why;
                }
            }
        }
        let summary = inquiry.summary().ok_or(problem)?;
        Ok(completed(summary, digest))
    }

    async fn ask(&self, question: &Question, purse: &mut Purse) -> Result<Summary, NoSummary> {
        let most = question.most_tokens();
        if most > purse.left {
            return Err(NoSummary::TooDear);
        }
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
        let completion = match asked {
            Ok(Ok(completion)) => completion,
            Ok(Err(error)) => {
                // Nobody knows what it has cost.
                purse.pay(most);
                return Err(NoSummary::Failed(self.explained(&error)));
            }
            Err(_) => {
                purse.pay(most);
                return Err(NoSummary::Failed(format!(
                    "{} does not answer within {LIMIT:?}",
                    self.host
                )));
            }
        };
        purse.pay(completion.tokens().unwrap_or(most));
        parse(&completion.text()).map_err(|error| NoSummary::Useless(format!("{}: {error}", self.host)))
    }

    /// The error itself could show addresses, or all of an answer.
    fn explained(&self, error: &OpenAIError) -> String {
        let host = &self.host;
        match error {
            OpenAIError::Reqwest(error) => {
                format!("{host} cannot be asked: {}", outgoing::problem(error, LIMIT))
            }
            OpenAIError::ApiError(_) => format!("{host} refuses to answer"),
            OpenAIError::JSONDeserialize(..) => format!("{host} answers what is no completion"),
            OpenAIError::FileSaveError(_)
            | OpenAIError::FileReadError(_)
            | OpenAIError::StreamError(_)
            | OpenAIError::Boxed(_)
            | OpenAIError::InvalidArgument(_) => format!("{host} cannot be asked"),
        }
    }
}
