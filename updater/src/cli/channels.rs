//! What can be told to the updater of the channels on which people are told.
//!
//! An address can be a secret, so that no message quotes one.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clap::{ArgAction, Args};
use jiff::SignedDuration;
use lettre::message::Mailbox;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use shared::domain::announcement::quiet::QuietHours;
use shared::domain::outbox::Channel;
use shared::domain::time;
use shared::domain::window::Windows;
use shared::io::arguments::{self, given, switch};

use crate::outgoing;

/// Where Telegram's bots are served.
const TELEGRAM: &str = "https://api.telegram.org";
const LONGEST_REMINDING: SignedDuration = SignedDuration::from_hours(366 * 24);
const LONGEST_GATHERING: Duration = Duration::from_mins(10);

/// Channels on which people are told what happens. Those that are configured are told; several may be.
#[derive(Debug, Args)]
#[command(next_help_heading = "Channels")]
pub struct ChannelOptions {
    /// The address of a Discord webhook.
    #[arg(
        long,
        env = "DISCORD_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub discord_url: Option<SecretString>,
    /// The address of an incoming webhook of Slack, or of what takes the same.
    #[arg(
        long,
        env = "SLACK_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub slack_url: Option<SecretString>,
    /// The token of a Telegram bot. Rather give it by the variable.
    #[arg(
        long,
        env = "TELEGRAM_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub telegram_token: Option<SecretString>,
    /// The chat that it writes to: a number, or a channel's @name.
    #[arg(
        long,
        env = "TELEGRAM_CHAT",
        value_name = "CHAT",
        global = true,
        allow_hyphen_values = true
    )]
    pub telegram_chat: Option<String>,
    /// Where Telegram's bots are served, if not at <https://api.telegram.org>.
    #[arg(long, env = "TELEGRAM_URL", value_name = "URL", global = true)]
    pub telegram_url: Option<String>,
    /// The address of a workflow of Microsoft Teams that posts to a channel when a webhook request is received.
    #[arg(
        long,
        env = "TEAMS_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub teams_url: Option<SecretString>,
    /// The address of an ntfy topic, such as <https://ntfy.sh/our-topic>.
    #[arg(
        long,
        env = "NTFY_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub ntfy_url: Option<SecretString>,
    /// An access token of it, where the topic is protected. Rather give it by the variable.
    #[arg(
        long,
        env = "NTFY_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub ntfy_token: Option<SecretString>,
    /// The relay for e-mail: `smtps://user:password@host`, or `smtp://user:password@host:587?tls=required` with STARTTLS. Rather give it
    /// by the variable.
    #[arg(
        long,
        env = "SMTP_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub smtp_url: Option<SecretString>,
    /// Who e-mails are from.
    #[arg(long, env = "MAIL_FROM", value_name = "ADDRESS", global = true)]
    pub mail_from: Option<String>,
    /// Who they are sent to, separated by commas.
    #[arg(long, env = "MAIL_TO", value_name = "ADDRESS,…", global = true)]
    pub mail_to: Option<String>,
    /// How long a message waits for others of the same change, which become one with it.
    #[arg(
        long, env = "GATHER_MESSAGES", default_value = "10s", value_parser = gathering, value_name = "DURATION", global = true
    )]
    pub gather_messages: Duration,
    /// When people are left alone, such as `0 22 * * * 9h Europe/Paris`: what is told then waits for the end, failures excepted.
    #[arg(long, env = "QUIET_HOURS", value_name = "STRETCHES", global = true)]
    pub quiet_hours: Option<String>,
    /// Let failures wait for the end of the quiet hours, too: `true` or `false`.
    #[arg(
        long, env = "QUIET_HOURS_KEEP_FAILURES", value_parser = switch(false), default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_name = "BOOLEAN", global = true
    )]
    pub quiet_hours_keep_failures: bool,
    /// How often people are reminded of an update that waits for approval; never when not given.
    #[arg(long, env = "REMIND_EVERY", value_name = "DURATION", global = true)]
    pub remind_every: Option<String>,
}

/// The channels, checked.
#[derive(Debug, Clone)]
pub struct ChannelSettings {
    pub destinations: BTreeMap<Channel, Destination>,
    /// How long a message waits for others like it.
    pub gathering: Duration,
    pub quiet: Option<QuietHours>,
    /// How often they are reminded of what waits for approval.
    pub remind_every: Option<SignedDuration>,
}

/// Where a channel is. Whatever of it is a secret is not shown.
#[derive(Clone)]
pub enum Destination {
    Discord(Url),
    Slack(Url),
    Telegram {
        /// With the token.
        url: Url,
        chat: String,
    },
    Teams(Url),
    Ntfy {
        server: Url,
        topic: String,
        /// Marked as a secret.
        authorization: Option<HeaderValue>,
    },
    Email(EmailSettings),
}

/// A relay and whom it is to reach.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    pub url: SecretString,
    /// As it may be shown.
    pub host: String,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self {
            Self::Discord(url) | Self::Slack(url) | Self::Teams(url) | Self::Telegram { url, chat: _ } => {
                outgoing::host(url)
            }
            Self::Ntfy { server, .. } => outgoing::host(server),
            Self::Email(email) => email.host.clone(),
        };
        f.debug_tuple("Destination").field(&host).finish()
    }
}

/// A setting of them that cannot be meant. None says what was written: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    #[error("{0} is not an address such as {1}")]
    Address(&'static str, &'static str),
    #[error("{given} is set, and {missing} is not: both are needed")]
    Together {
        given: &'static str,
        missing: &'static str,
    },
    #[error("TELEGRAM_TOKEN is not a bot's token such as 123456:ABC-DEF")]
    TelegramToken,
    #[error("NTFY_URL does not end in a topic, as https://ntfy.sh/our-topic does")]
    Topic,
    #[error("NTFY_TOKEN has characters that no header may have")]
    NtfyToken,
    #[error(
        "SMTP_URL has a password and would send it in the clear: begin it with smtps://, or end it with ?tls=required"
    )]
    InTheClear,
    #[error("{0}: entry {1} is no e-mail address such as ops@example.com or Ops <ops@example.com>")]
    Mailbox(&'static str, usize),
    #[error("{0}: {1}")]
    Time(&'static str, String),
}

impl ChannelOptions {
    /// Checks them. What is set to nothing counts as not set.
    pub fn settings(self) -> Result<ChannelSettings, ChannelError> {
        let Self {
            discord_url,
            slack_url,
            telegram_token,
            telegram_chat,
            telegram_url,
            teams_url,
            ntfy_url,
            ntfy_token,
            smtp_url,
            mail_from,
            mail_to,
            gather_messages,
            quiet_hours,
            quiet_hours_keep_failures,
            remind_every,
        } = self;
        let mut destinations = BTreeMap::new();
        if let Some(url) = address(
            "DISCORD_URL",
            "https://discord.com/api/webhooks/…",
            secret(discord_url),
        )? {
            destinations.insert(Channel::Discord, Destination::Discord(url));
        }
        if let Some(url) = address(
            "SLACK_URL",
            "https://hooks.slack.com/services/…",
            secret(slack_url),
        )? {
            destinations.insert(Channel::Slack, Destination::Slack(url));
        }
        if let Some(url) = address(
            "TEAMS_URL",
            "https://….logic.azure.com/workflows/…",
            secret(teams_url),
        )? {
            destinations.insert(Channel::Teams, Destination::Teams(url));
        }
        let telegram = telegram(secret(telegram_token), given(telegram_chat), given(telegram_url))?;
        destinations.extend(telegram.map(|telegram| (Channel::Telegram, telegram)));
        let ntfy = ntfy(secret(ntfy_url), secret(ntfy_token))?;
        destinations.extend(ntfy.map(|ntfy| (Channel::Ntfy, ntfy)));
        let email = email(secret(smtp_url), given(mail_from), given(mail_to))?;
        destinations.extend(email.map(|email| (Channel::Email, Destination::Email(email))));
        Ok(ChannelSettings {
            destinations,
            gathering: gather_messages,
            quiet: quiet(given(quiet_hours), quiet_hours_keep_failures)?,
            remind_every: reminders(given(remind_every))?,
        })
    }
}

fn quiet(written: Option<String>, keep_failures: bool) -> Result<Option<QuietHours>, ChannelError> {
    let hours = written.map(|written| Windows::parse(&written)).transpose();
    let hours = hours.map_err(|why| ChannelError::Time("QUIET_HOURS", why))?;
    Ok(hours.map(|hours| QuietHours { hours, keep_failures }))
}

fn reminders(written: Option<String>) -> Result<Option<SignedDuration>, ChannelError> {
    let every = written
        .map(|written| time::duration(&written, LONGEST_REMINDING))
        .transpose();
    every.map_err(|why| ChannelError::Time("REMIND_EVERY", why))
}

fn secret(written: Option<SecretString>) -> Option<String> {
    given(written.map(|secret| secret.expose_secret().to_owned()))
}

fn address(
    name: &'static str,
    example: &'static str,
    written: Option<String>,
) -> Result<Option<Url>, ChannelError> {
    let wrong = || ChannelError::Address(name, example);
    let url = written.map(|written| Url::parse(&written)).transpose();
    let url = url.map_err(|_| wrong())?;
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    match url {
        Some(url) if !is_web(&url) => Err(wrong()),
        url => Ok(url),
    }
}

fn telegram(
    token: Option<String>,
    chat: Option<String>,
    server: Option<String>,
) -> Result<Option<Destination>, ChannelError> {
    let (token, chat) = match (token, chat) {
        (None, None) => return Ok(None),
        (Some(token), Some(chat)) => (token, chat),
        (Some(_), None) => {
            return Err(ChannelError::Together {
                given: "TELEGRAM_TOKEN",
                missing: "TELEGRAM_CHAT",
            });
        }
        (None, Some(_)) => {
            return Err(ChannelError::Together {
                given: "TELEGRAM_CHAT",
                missing: "TELEGRAM_TOKEN",
            });
        }
    };
    let is_token = |character: char| character.is_ascii_alphanumeric() || ":-_".contains(character);
    if !token.chars().all(is_token) {
        return Err(ChannelError::TelegramToken);
    }
    let server = server.unwrap_or_else(|| TELEGRAM.to_owned());
    let server = server.trim_end_matches('/');
    let url = format!("{server}/bot{token}/sendMessage");
    let url = address("TELEGRAM_URL", TELEGRAM, Some(url))?;
    Ok(url.map(|url| Destination::Telegram { url, chat }))
}

/// JSON is published to the server itself, and names the topic.
fn ntfy(written: Option<String>, token: Option<String>) -> Result<Option<Destination>, ChannelError> {
    let Some(mut server) = address("NTFY_URL", "https://ntfy.sh/our-topic", written)? else {
        return match token {
            None => Ok(None),
            Some(_) => Err(ChannelError::Together {
                given: "NTFY_TOKEN",
                missing: "NTFY_URL",
            }),
        };
    };
    let topic = {
        let path = server.path().trim_end_matches('/').to_owned();
        let (before, topic) = path.rsplit_once('/').ok_or(ChannelError::Topic)?;
        server.set_path(&format!("{before}/"));
        topic.to_owned()
    };
    let is_topic = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
    if topic.is_empty() || topic.len() > 64 || !topic.chars().all(is_topic) {
        return Err(ChannelError::Topic);
    }
    let authorization = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}")));
    let mut authorization = authorization.transpose().map_err(|_| ChannelError::NtfyToken)?;
    if let Some(value) = &mut authorization {
        value.set_sensitive(true);
    }
    Ok(Some(Destination::Ntfy {
        server,
        topic,
        authorization,
    }))
}

fn email(
    url: Option<String>,
    from: Option<String>,
    to: Option<String>,
) -> Result<Option<EmailSettings>, ChannelError> {
    let (url, from, to) = match (url, from, to) {
        (None, None, None) => return Ok(None),
        (Some(url), Some(from), Some(to)) => (url, from, to),
        (url, from, to) => {
            let all = [
                ("SMTP_URL", url.is_some()),
                ("MAIL_FROM", from.is_some()),
                ("MAIL_TO", to.is_some()),
            ];
            let named = |is_set: bool| {
                let found = all.iter().find(|(_, set)| *set == is_set);
                found.map_or("SMTP_URL", |(name, _)| name)
            };
            return Err(ChannelError::Together {
                given: named(true),
                missing: named(false),
            });
        }
    };
    let wrong = || ChannelError::Address("SMTP_URL", "smtps://user:password@smtp.example.com");
    let parsed = Url::parse(&url).map_err(|_| wrong())?;
    let tls = parsed.query_pairs().find(|(name, _)| name == "tls");
    let tls = tls.map(|(_, value)| value.into_owned());
    let is_encrypted = match (parsed.scheme(), tls.as_deref()) {
        ("smtps", _) | ("smtp", Some("required")) => true,
        ("smtp", None | Some("opportunistic")) => false,
        _ => return Err(wrong()),
    };
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(wrong());
    }
    if !is_encrypted && parsed.password().is_some() {
        return Err(ChannelError::InTheClear);
    }
    let read = |name, number, written: &str| {
        let mailbox = written.trim().parse::<Mailbox>();
        mailbox.map_err(|_| ChannelError::Mailbox(name, number))
    };
    let to = to.split(',').zip(1..);
    let to = to.map(|(written, number)| read("MAIL_TO", number, written));
    Ok(Some(EmailSettings {
        host: outgoing::host(&parsed),
        from: read("MAIL_FROM", 1, &from)?,
        to: to.collect::<Result<_, _>>()?,
        url: SecretString::from(url),
    }))
}

/// Nothing, or so long that people do not wait for it.
fn gathering(text: &str) -> Result<Duration, String> {
    if text == "0" || text == "0s" {
        return Ok(Duration::ZERO);
    }
    let duration = arguments::duration(text)?;
    if duration > LONGEST_GATHERING {
        return Err(format!("it must be at most {LONGEST_GATHERING:?}"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests;
