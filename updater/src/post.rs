//! Posts bodies to one address, and shows that address nowhere.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Url};
use shared::domain::outbox::Answer;
use shared::io::clock;

use crate::outgoing::{self, host};

/// How much of an answer is read, so that its connection can be used again.
const MOST_BYTES: usize = 64 << 10;

/// An address with what each request to it has. A path, a query or a header can be a secret.
#[derive(Clone)]
pub(crate) struct Address {
    client: Client,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("host", &host(&self.url))
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Fails where the certificates of the system cannot be used.
    pub(crate) fn new(url: Url, headers: HeaderMap, timeout: Duration) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: outgoing::client(timeout)?,
            url,
            headers,
            timeout,
        })
    }

    /// As it may be shown.
    pub(crate) fn host(&self) -> String {
        host(&self.url)
    }

    /// How long an exchange takes at most.
    pub(crate) fn limit(&self) -> Duration {
        self.timeout
    }

    /// Tries once, with more headers of this request.
    pub(crate) async fn post(&self, more: HeaderMap, body: String) -> Answer {
        let mut headers = self.headers.clone();
        headers.extend(more);
        let request = self.client.post(self.url.clone()).headers(headers);
        let mut response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) => {
                let why = outgoing::problem(&error, self.timeout);
                return Answer::TryAgain { why, after: None };
            }
        };
        let named = response.headers().get(RETRY_AFTER).cloned();
        let named = named.as_ref().and_then(|value| value.to_str().ok());
        let status = response.status().as_u16();
        // It has answered, whatever becomes of the rest.
        let (said, _) = outgoing::read(&mut response, MOST_BYTES).await;
        Answer::of_status(status, named, clock::now()).explained(&said)
    }
}
