//! Why a request came to nothing, before it is known which question it belonged to.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use shared::domain::text::is_plain;
use shared::io::cause::root_cause;

use super::error::ErrorClass;
use super::names::LedAstray;

/// The most of a registry's own words that is repeated in a message.
const MAX_QUOTED_CHARACTERS: usize = 200;
/// The most of an explanation that may contain such words, or an address.
const MAX_EXPLANATION_CHARACTERS: usize = 500;

#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Problem {
    #[error("{who} answered {status}{message}")]
    Refused {
        who: Who,
        status: StatusCode,
        message: Quoted,
        retry_at: Option<Timestamp>,
    },
    #[error("{who} says there are too many requests{message}; it may be asked again at {retry_at}")]
    RateLimited {
        who: Who,
        message: Quoted,
        retry_at: Timestamp,
    },
    #[error("the registry said before that there are too many requests; it is left alone until {until}")]
    Deferred { until: Timestamp },
    #[error(
        "its limit on pulls has nothing left for the scanner, the rest is for the nodes; more from {until} on"
    )]
    OverBudget { until: Timestamp },
    #[error("the login of {credential} was rejected; it is used again after {until}, or once it is changed")]
    LoginRejected { credential: String, until: Timestamp },
    /// Everybody who could ask was turned away.
    #[error("asked {askers}: {refusal}")]
    Denied { refusal: Box<Problem>, askers: Askers },
    #[error("there was no complete answer within {after:?}")]
    Timeout { after: Duration },
    #[error("the connection failed: {cause}")]
    Connection { cause: String },
    #[error("TLS failed: {cause}")]
    Tls { cause: String },
    /// Not asked at all.
    #[error("it is not asked any more in this run, after it did not answer again and again: {problem}")]
    GivenUp { problem: Box<Problem> },
    #[error("the registry sends us where we do not go: {0}")]
    Untrusted(String),
    #[error("{0}")]
    Protocol(String),
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    #[error("the list of tags has more than {0} pages")]
    TooManyPages(usize),
    #[error("the list of tags has more than {0} names")]
    TooManyTags(usize),
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
pub(super) enum Who {
    #[strum(to_string = "the registry")]
    Registry,
    #[strum(to_string = "the token service")]
    TokenService,
}

/// In whose name a repository was asked: anonymously, and with so many credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Askers(pub(super) usize);

impl std::fmt::Display for Askers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            0 => f.write_str("without a credential"),
            1 => f.write_str("without and with a credential"),
            many => write!(f, "without and with {many} credentials"),
        }
    }
}

/// What an error reply says for itself: empty, or a colon and text that is safe to print on one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Quoted(String);

impl std::fmt::Display for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.0)
        }
    }
}

/// An error reply in the form of the specification.
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
pub(super) struct ErrorEntry {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

impl Quoted {
    /// Takes the errors out of a reply in the form of the specification, or its plain text. A web page says nothing.
    pub(super) fn from_body(body: &[u8]) -> Self {
        let text = match serde_json::from_slice::<ErrorBody>(body) {
            Ok(ErrorBody { errors }) => {
                let lines: Vec<_> = errors
                    .iter()
                    .map(|ErrorEntry { code, message }| format!("{code}: {message}"))
                    .collect();
                lines.join(", ")
            }
            Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
        };
        if text.starts_with(['<', '{', '[']) {
            return Self::default();
        }
        Self(one_line(&text, MAX_QUOTED_CHARACTERS))
    }
}

impl From<Quoted> for String {
    fn from(quoted: Quoted) -> Self {
        quoted.0
    }
}

/// A text that cannot break out of its line or reorder it on a screen, cut to so many characters.
fn one_line(text: &str, length: usize) -> String {
    let printable = |character| if is_plain(character) { character } else { ' ' };
    text.chars().map(printable).take(length).collect()
}

impl Problem {
    /// The problem with every text in it cut and fit for one line: parsers and addresses quote what the registry sent,
    /// which may be megabytes, and the text goes into records and logs.
    pub(super) fn bounded(self) -> Self {
        let cut = |text: String| one_line(&text, MAX_EXPLANATION_CHARACTERS);
        match self {
            Self::Connection { cause } => Self::Connection { cause: cut(cause) },
            Self::Tls { cause } => Self::Tls { cause: cut(cause) },
            Self::Untrusted(text) => Self::Untrusted(cut(text)),
            Self::Protocol(text) => Self::Protocol(cut(text)),
            Self::LoginRejected { credential, until } => Self::LoginRejected {
                credential: cut(credential),
                until,
            },
            Self::Denied { refusal, askers } => Self::Denied {
                refusal: Box::new(refusal.bounded()),
                askers,
            },
            Self::GivenUp { problem } => Self::GivenUp {
                problem: Box::new(problem.bounded()),
            },
            Self::Refused { .. }
            | Self::RateLimited { .. }
            | Self::Deferred { .. }
            | Self::OverBudget { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::TooManyPages(_)
            | Self::TooManyTags(_) => self,
        }
    }

    pub(super) fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { status, .. } => match status.as_u16() {
                401 => ErrorClass::Unauthorized,
                403 => ErrorClass::Forbidden,
                404 => ErrorClass::NotFound,
                500.. => ErrorClass::Unavailable,
                _ => ErrorClass::Rejected,
            },
            Self::LoginRejected { .. } => ErrorClass::Unauthorized,
            Self::Denied { refusal, .. } => refusal.class(),
            Self::RateLimited { .. } => ErrorClass::RateLimited,
            Self::Deferred { .. } => ErrorClass::Deferred,
            Self::OverBudget { .. } => ErrorClass::OverBudget,
            Self::GivenUp { problem } => problem.class(),
            Self::Timeout { .. } => ErrorClass::Timeout,
            Self::Connection { .. } => ErrorClass::Connection,
            Self::Tls { .. } => ErrorClass::Tls,
            Self::Untrusted(_) => ErrorClass::Untrusted,
            Self::Protocol(_) => ErrorClass::Protocol,
            Self::TooLarge { .. } | Self::TooManyPages(_) | Self::TooManyTags(_) => ErrorClass::TooLarge,
        }
    }

    /// Whether it was not the question that was refused, but that it was asked now.
    pub(super) fn is_about_limits(&self) -> bool {
        matches!(
            self.class(),
            ErrorClass::RateLimited | ErrorClass::Deferred | ErrorClass::OverBudget
        )
    }

    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::Refused { retry_at, .. } => *retry_at,
            Self::RateLimited { retry_at, .. } => Some(*retry_at),
            Self::Denied { refusal, .. } => refusal.retry_at(),
            Self::Deferred { until } | Self::OverBudget { until } => Some(*until),
            // One login is left alone, not the registry.
            Self::LoginRejected { .. }
            | Self::GivenUp { .. }
            | Self::Timeout { .. }
            | Self::Connection { .. }
            | Self::Tls { .. }
            | Self::Untrusted(_)
            | Self::Protocol(_)
            | Self::TooLarge { .. }
            | Self::TooManyPages(_)
            | Self::TooManyTags(_) => None,
        }
    }

    /// What a failure of the HTTP client means, for a request that may take so long and has taken so long. The client's
    /// own text is not used: it holds the whole URL.
    pub(super) fn of(error: &reqwest::Error, timeout: Duration, taken: Duration) -> Self {
        let cause = root_cause(error);
        if let Some(astray) = found_in::<LedAstray>(error) {
            Self::Untrusted(astray.to_string())
        } else if error.is_builder() {
            Self::Protocol(cause)
        } else if is_tls(error) {
            Self::Tls { cause }
        } else if error.is_timeout() && !error.is_connect() && taken >= timeout {
            Self::Timeout { after: timeout }
        } else {
            // Also a timeout before that time: nothing comes over this connection any more.
            Self::Connection { cause }
        }
    }
}

/// The error itself or one that it was caused by, if it is of this kind.
fn found_in<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    error
        .downcast_ref()
        .or_else(|| error.source().and_then(found_in::<E>))
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // An I/O error is silent about the error it wraps: its `source` is that error's source.
    let wrapped = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    match wrapped {
        Some(wrapped) => is_tls(wrapped),
        None => error.source().is_some_and(is_tls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_readable_part_of_an_error_reply_is_quoted() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no"}]}"#,
                " (DENIED: no)",
            ),
            (
                r#"{"errors":[{"code":"DENIED","message":"a\nb\u001b[31m"}]}"#,
                " (DENIED: a b [31m)",
            ),
            ("Too Many Requests\n", " (Too Many Requests)"),
            ("<html><body>no</body></html>", ""),
            (r#"{"detail":"x"}"#, ""),
            ("", ""),
        ] {
            assert_eq!(Quoted::from_body(body.as_bytes()).to_string(), expected, "{body}");
        }
        assert_eq!(
            Quoted::from_body("x".repeat(1000).as_bytes()).to_string().len(),
            203
        );
    }

    #[tokio::test]
    async fn a_peer_that_speaks_no_tls_is_told_from_a_broken_connection() {
        shared::io::tls::init();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let written =
                tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
            written.await.unwrap();
            stream
        };
        let client = reqwest::Client::new();
        let (failed, _stream) = tokio::join!(client.get(&url).send(), answer);
        let problem = Problem::of(&failed.unwrap_err(), Duration::MAX, Duration::ZERO);
        assert_eq!(problem.class(), ErrorClass::Tls, "{problem}");
    }
}
