//! Posts messages to the one receiver of the settings, as watch-cluster does.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use shared::domain::message::Message;
use shared::domain::outbox::Answer;
use shared::io::cause::root_cause;
use shared::io::clock;
use shared::io::tls;

use crate::cli::webhook::WebhookSettings;

/// Tells a message that is sent again from one that is not.
pub(crate) const EVENT_ID: HeaderName = HeaderName::from_static("kubefresh-event-id");
/// How much of an answer is read, so that its connection can be used again. Nobody reads it.
const MOST_BYTES: usize = 64 << 10;

/// The receiver.
#[derive(Clone)]
pub struct Webhook {
    client: Client,
    url: Url,
    /// As it may be shown.
    host: String,
    headers: HeaderMap,
    timeout: Duration,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// Fails where the certificates of the system cannot be used.
    pub fn new(settings: &WebhookSettings) -> Result<Self, reqwest::Error> {
        tls::init();
        let client = Client::builder()
            .user_agent(concat!("kubefresh-updater/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout)
            // Headers and body are meant for this receiver and for no other.
            .redirect(Policy::none())
            .referer(false)
            .build()?;
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.extend(settings.headers.clone());
        Ok(Self {
            client,
            url: settings.url.clone(),
            host: settings.host(),
            headers,
            timeout: settings.timeout,
        })
    }

    /// The receiver as it may be shown.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Tries once.
    pub async fn send(&self, message: &Message) -> Answer {
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(&message.id) {
            headers.insert(EVENT_ID, id);
        }
        let request = self.client.post(self.url.clone()).headers(headers);
        let mut response = match request.body(message.to_webhook()).send().await {
            Ok(response) => response,
            Err(error) => return self.broken(&error),
        };
        let named = response.headers().get(RETRY_AFTER).cloned();
        let named = named.as_ref().and_then(|value| value.to_str().ok());
        let answer = Answer::of_status(response.status().as_u16(), named, clock::now());
        // It has answered, whatever becomes of the rest.
        drop(read(&mut response).await);
        answer
    }

    /// The error itself would show the address.
    fn broken(&self, error: &reqwest::Error) -> Answer {
        let why = if error.is_timeout() {
            format!("no answer within {:?}", self.timeout)
        } else {
            root_cause(error)
        };
        Answer::TryAgain { why, after: None }
    }
}

async fn read(response: &mut Response) -> Result<(), reqwest::Error> {
    let mut left = MOST_BYTES;
    while let Some(chunk) = response.chunk().await? {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    Ok(())
}
