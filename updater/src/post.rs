//! Posts bodies to one address, and shows that address nowhere.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use shared::domain::outbox::Answer;
use shared::io::cause::root_cause;
use shared::io::clock;
use shared::io::tls;

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

/// As it may be shown.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl Address {
    /// Fails where the certificates of the system cannot be used.
    pub(crate) fn new(url: Url, headers: HeaderMap, timeout: Duration) -> Result<Self, reqwest::Error> {
        tls::init();
        let client = Client::builder()
            .user_agent(concat!("kubefresh-updater/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            // Headers and body are meant for this receiver and for no other.
            .redirect(Policy::none())
            .referer(false)
            .build()?;
        Ok(Self {
            client,
            url,
            headers,
            timeout,
        })
    }

    /// As it may be shown.
    pub(crate) fn host(&self) -> String {
        host(&self.url)
    }

    /// Tries once, with more headers of this request.
    pub(crate) async fn post(&self, more: HeaderMap, body: String) -> Answer {
        let mut headers = self.headers.clone();
        headers.extend(more);
        let request = self.client.post(self.url.clone()).headers(headers);
        let mut response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) => return self.broken(&error),
        };
        let named = response.headers().get(RETRY_AFTER).cloned();
        let named = named.as_ref().and_then(|value| value.to_str().ok());
        let status = response.status().as_u16();
        // It has answered, whatever becomes of the rest.
        let said = read(&mut response).await;
        Answer::of_status(status, named, clock::now()).explained(&said)
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

/// What of it came and was read.
async fn read(response: &mut Response) -> Vec<u8> {
    let mut said = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        said.extend_from_slice(&chunk);
        if said.len() > MOST_BYTES {
            break;
        }
    }
    said
}
