//! Sends announcements to people, one sender for each channel that is configured.

mod email;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use shared::domain::announcement::{Announcement, discord, ntfy, slack, teams, telegram};
use shared::domain::outbox::{Answer, Channel};

use self::email::Mailer;
use crate::cli::channels::Destination;
use crate::post::Address;

/// How long a request may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);

/// A channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ChannelSetupError {
    #[error("the HTTP client of channel {channel} could not be set up: {source}")]
    Http {
        channel: Channel,
        source: reqwest::Error,
    },
    #[error("the SMTP client of channel email could not be set up: {0}")]
    Email(String),
}

/// One channel's way of sending.
pub(crate) enum Sender {
    /// A body by POST; what kind of body is for the channel to say.
    Discord(Address),
    Slack(Address),
    Teams(Address),
    Telegram {
        address: Address,
        chat: String,
    },
    Ntfy {
        address: Address,
        topic: String,
    },
    Email(Box<Mailer>),
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.receiver()).finish()
    }
}

/// Those of the settings.
pub(crate) fn senders(
    destinations: &BTreeMap<Channel, Destination>,
) -> Result<BTreeMap<Channel, Sender>, ChannelSetupError> {
    let senders = destinations.iter();
    senders
        .map(|(channel, destination)| Ok((*channel, Sender::new(*channel, destination)?)))
        .collect()
}

impl Sender {
    fn new(channel: Channel, destination: &Destination) -> Result<Self, ChannelSetupError> {
        let address = |url: &reqwest::Url, more: HeaderMap| {
            // Teams reckons in two bytes a character unless it is told.
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
            headers.extend(more);
            Address::new(url.clone(), headers, TIMEOUT)
                .map_err(|source| ChannelSetupError::Http { channel, source })
        };
        Ok(match destination {
            Destination::Discord(url) => Self::Discord(address(url, HeaderMap::new())?),
            Destination::Slack(url) => Self::Slack(address(url, HeaderMap::new())?),
            Destination::Teams(url) => Self::Teams(address(url, HeaderMap::new())?),
            Destination::Telegram { url, chat } => Self::Telegram {
                address: address(url, HeaderMap::new())?,
                chat: chat.clone(),
            },
            Destination::Ntfy {
                server,
                topic,
                authorization,
            } => Self::Ntfy {
                address: address(
                    server,
                    authorization
                        .iter()
                        .map(|value| (AUTHORIZATION, value.clone()))
                        .collect(),
                )?,
                topic: topic.clone(),
            },
            Destination::Email(settings) => {
                Self::Email(Box::new(Mailer::new(settings).map_err(ChannelSetupError::Email)?))
            }
        })
    }

    /// The receiver as it may be shown.
    pub(crate) fn receiver(&self) -> String {
        match self {
            Self::Discord(address)
            | Self::Slack(address)
            | Self::Teams(address)
            | Self::Telegram { address, chat: _ }
            | Self::Ntfy { address, topic: _ } => address.host(),
            Self::Email(mailer) => mailer.host().to_owned(),
        }
    }

    /// How long an attempt takes at most.
    pub(crate) fn limit(&self) -> Duration {
        match self {
            Self::Discord(address)
            | Self::Slack(address)
            | Self::Teams(address)
            | Self::Telegram { address, chat: _ }
            | Self::Ntfy { address, topic: _ } => address.limit(),
            Self::Email(_) => email::LIMIT,
        }
    }

    /// Tries once.
    pub(crate) async fn send(&self, announcement: &Announcement, id: &str) -> Answer {
        let (address, body) = match self {
            Self::Discord(address) => (address, discord::render(announcement)),
            Self::Slack(address) => (address, slack::render(announcement)),
            Self::Teams(address) => (address, teams::render(announcement)),
            Self::Telegram { address, chat } => (address, telegram::render(announcement, chat)),
            Self::Ntfy { address, topic } => (address, ntfy::render(announcement, topic)),
            Self::Email(mailer) => return mailer.send(announcement, id).await,
        };
        address.post(HeaderMap::new(), body.to_string()).await
    }
}
