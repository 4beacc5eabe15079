//! Hands e-mails to a relay.

use std::fmt;
use std::time::Duration;

use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret as _;
use shared::domain::announcement::{Announcement, email};
use shared::domain::outbox::Answer;
use shared::io::cause::root_cause;
use shared::io::tls;
use tokio::time::timeout;

use super::TIMEOUT;
use crate::cli::channels::EmailSettings;

/// How long an attempt takes at most, of which each step has its own limit.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// The relay, and who is written to.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    host: String,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl Mailer {
    /// Fails where the certificates of the system cannot be used; the error shows no address.
    pub(super) fn new(settings: &EmailSettings) -> Result<Self, String> {
        tls::init();
        let EmailSettings { url, host, from, to } = settings;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret());
        let transport = transport.map_err(|error| root_cause(&error))?;
        Ok(Self {
            transport: transport.timeout(Some(TIMEOUT)).build(),
            host: host.clone(),
            from: from.clone(),
            to: to.clone(),
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Tries once. The same message has the same `Message-ID`, by which a mailbox can tell that it came twice; a reminder is another.
    pub(super) async fn send(&self, announcement: &Announcement, id: &str) -> Answer {
        let email = email::render(announcement);
        let id = if announcement.is_reminder {
            format!("{id}.{}", announcement.at.as_second())
        } else {
            id.to_owned()
        };
        let mut message = Message::builder()
            .from(self.from.clone())
            .subject(email.subject)
            .message_id(Some(format!("<{id}@kubefresh>")));
        for to in &self.to {
            message = message.to(to.clone());
        }
        let body = MultiPart::alternative_plain_html(email.text, email.html);
        let message = match message.multipart(body) {
            Ok(message) => message,
            Err(error) => return Answer::Refused(format!("it cannot be written as an e-mail: {error}")),
        };
        match timeout(LIMIT, self.transport.send(message)).await {
            Ok(Ok(_)) => Answer::Taken,
            Ok(Err(error)) => answer(&error),
            Err(_) => Answer::TryAgain {
                why: format!("no answer within {LIMIT:?}"),
                after: None,
            },
        }
    }
}

/// A code that begins with 5 would come again.
fn answer(error: &Error) -> Answer {
    let why = root_cause(error);
    let why = match error.status() {
        Some(code) => format!("it answered {code}: {why}"),
        None => why,
    };
    if error.is_permanent() {
        Answer::Refused(why)
    } else {
        Answer::TryAgain { why, after: None }
    }
}
