//! What can be told to the updater of other programs that want to hear of rollouts: the variables of watch-cluster, and more.
//!
//! An address and headers may be secrets, so that no message quotes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args};
use reqwest::Url;
use reqwest::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use shared::domain::announcement::template::{Template, TemplateError};
use shared::domain::message::EventType;
use shared::io::arguments::{given, switch};

use crate::outgoing;
use crate::webhook::{EVENT_ID, SIGNATURE};

/// In milliseconds.
const DEFAULT_TIMEOUT: u64 = 10_000;
const LONGEST_TIMEOUT: u64 = 120_000;
const DEFAULT_RETRIES: u32 = 3;
const MOST_RETRIES: u32 = 100;

/// One receiver of rollouts' events, as JSON by POST.
#[derive(Debug, Args)]
#[command(next_help_heading = "Webhook")]
#[expect(clippy::struct_excessive_bools, reason = "each is a variable of its own")]
pub struct WebhookOptions {
    /// Where events are posted; none are without it. Rather give it by the variable, as it may hold a secret.
    #[arg(
        long,
        env = "WEBHOOK_URL",
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub webhook_url: Option<SecretString>,
    /// Tell that a workload is watched that was not, or that somebody else changed its images: `true` or `false`.
    #[arg(
        long, env = "WEBHOOK_ENABLE_DEPLOYMENT_DETECTED", value_parser = switch(false), default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        value_name = "BOOLEAN", global = true
    )]
    pub webhook_enable_deployment_detected: bool,
    /// Tell that an update was applied: `true` or `false`.
    #[arg(
        long, env = "WEBHOOK_ENABLE_IMAGE_ROLLOUT_STARTED", value_parser = switch(false), default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        value_name = "BOOLEAN", global = true
    )]
    pub webhook_enable_image_rollout_started: bool,
    /// Tell that it rolled out: `true` or `false`.
    #[arg(
        long, env = "WEBHOOK_ENABLE_IMAGE_ROLLOUT_COMPLETED", value_parser = switch(false), default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        value_name = "BOOLEAN", global = true
    )]
    pub webhook_enable_image_rollout_completed: bool,
    /// Tell that it did not: `true` or `false`.
    #[arg(
        long, env = "WEBHOOK_ENABLE_IMAGE_ROLLOUT_FAILED", value_parser = switch(false), default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        value_name = "BOOLEAN", global = true
    )]
    pub webhook_enable_image_rollout_failed: bool,
    /// Tell what watch-cluster knows nothing of, too: what is offered or waits for approval, reminders of it, what is held
    /// because somebody went back, and what cannot be obeyed: `true` or `false`.
    #[arg(
        long, env = "WEBHOOK_ENABLE_NOTICE", value_parser = switch(false), default_value = "false",
        default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set,
        value_name = "BOOLEAN", global = true
    )]
    pub webhook_enable_notice: bool,
    /// Headers of each request. Rather give them by the variable, as they may hold a secret.
    #[arg(
        long,
        env = "WEBHOOK_HEADERS",
        hide_env_values = true,
        value_name = "NAME=VALUE,…",
        global = true
    )]
    pub webhook_headers: Option<SecretString>,
    /// How long a request may take, in milliseconds [default: 10000]
    #[arg(long, env = "WEBHOOK_TIMEOUT", value_name = "MILLISECONDS", global = true)]
    pub webhook_timeout: Option<String>,
    /// How often an event is sent again that the receiver did not take [default: 3]
    #[arg(long, env = "WEBHOOK_RETRY_COUNT", value_name = "N", global = true)]
    pub webhook_retry_count: Option<String>,
    /// With which each body is signed, in the header X-Kubefresh-Signature-256: `sha256=` and its HMAC. Rather give it by the variable.
    #[arg(
        long,
        env = "WEBHOOK_SECRET",
        hide_env_values = true,
        value_name = "SECRET",
        global = true
    )]
    pub webhook_secret: Option<SecretString>,
    /// A template of the body, for what takes other JSON than watch-cluster's.
    #[arg(long, env = "WEBHOOK_TEMPLATE_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub webhook_template_file: Option<PathBuf>,
}

/// A receiver, checked.
#[derive(Clone)]
pub struct WebhookSettings {
    pub url: Url,
    /// Each marked as a secret.
    pub headers: HeaderMap,
    pub timeout: Duration,
    /// After the first attempt.
    pub retries: u32,
    /// What it is told; perhaps nothing.
    pub events: BTreeSet<EventType>,
    /// With which bodies are signed.
    pub secret: Option<SecretString>,
    /// `None`: watch-cluster's body.
    pub template: Option<Template>,
}

impl WebhookSettings {
    /// The receiver as it may be shown: a path or a query can be a secret.
    pub fn host(&self) -> String {
        outgoing::host(&self.url)
    }
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("host", &self.host())
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// A setting of it that cannot be meant. None says what was written: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("WEBHOOK_URL is not an address such as https://hooks.example.com/kubefresh")]
    Url,
    #[error(
        "WEBHOOK_HEADERS: entry {0} is not of the form NAME=VALUE; entries are separated by commas, so no value can have one"
    )]
    NoValue(usize),
    #[error("WEBHOOK_HEADERS: the name in entry {0} is no name of a header")]
    Name(usize),
    #[error("WEBHOOK_HEADERS: the value in entry {0} has characters that no header may have")]
    Value(usize),
    #[error("WEBHOOK_HEADERS: entry {0} sets a header that belongs to the connection or is set by Kubefresh")]
    Reserved(usize),
    #[error("WEBHOOK_TIMEOUT is no number of milliseconds from 1 to {LONGEST_TIMEOUT}")]
    Timeout,
    #[error("WEBHOOK_RETRY_COUNT is no number from 0 to {MOST_RETRIES}")]
    Retries,
    #[error("WEBHOOK_TEMPLATE_FILE: unable to read {0}: {1}")]
    TemplateFile(String, String),
    #[error("WEBHOOK_TEMPLATE_FILE: {0}")]
    Template(#[from] TemplateError),
}

impl WebhookOptions {
    /// Checks them, also where there is no address to send to. What is set to nothing counts as not set.
    pub fn settings(self) -> Result<Option<WebhookSettings>, WebhookError> {
        let Self {
            webhook_url,
            webhook_enable_deployment_detected,
            webhook_enable_image_rollout_started,
            webhook_enable_image_rollout_completed,
            webhook_enable_image_rollout_failed,
            webhook_enable_notice,
            webhook_headers,
            webhook_timeout,
            webhook_retry_count,
            webhook_secret,
            webhook_template_file,
        } = self;
        let events = BTreeMap::from([
            (EventType::DeploymentDetected, webhook_enable_deployment_detected),
            (
                EventType::ImageRolloutStarted,
                webhook_enable_image_rollout_started,
            ),
            (
                EventType::ImageRolloutCompleted,
                webhook_enable_image_rollout_completed,
            ),
            (EventType::ImageRolloutFailed, webhook_enable_image_rollout_failed),
            (EventType::Notice, webhook_enable_notice),
        ]);
        let headers = headers(webhook_headers.as_ref())?;
        let timeout = number(webhook_timeout, DEFAULT_TIMEOUT);
        let timeout = timeout.filter(|millis| (1..=LONGEST_TIMEOUT).contains(millis));
        let timeout = Duration::from_millis(timeout.ok_or(WebhookError::Timeout)?);
        let retries = number(webhook_retry_count, DEFAULT_RETRIES);
        let retries = retries.filter(|retries| *retries <= MOST_RETRIES);
        let retries = retries.ok_or(WebhookError::Retries)?;
        let template = webhook_template_file.filter(|file| !file.as_os_str().is_empty());
        let template = template.as_deref().map(template_of).transpose()?;
        let url = webhook_url.and_then(|url| given(Some(url.expose_secret().to_owned())));
        let Some(url) = url else {
            return Ok(None);
        };
        let url = Url::parse(&url).map_err(|_| WebhookError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(WebhookError::Url);
        }
        let events = events.into_iter().filter(|(_, enabled)| *enabled);
        Ok(Some(WebhookSettings {
            url,
            headers,
            timeout,
            retries,
            events: events.map(|(event, _)| event).collect(),
            secret: webhook_secret.filter(|secret| !secret.expose_secret().is_empty()),
            template,
        }))
    }
}

/// Read once, and tried, so that what is wrong with it is said at the start.
fn template_of(file: &Path) -> Result<Template, WebhookError> {
    let source = std::fs::read_to_string(file)
        .map_err(|error| WebhookError::TemplateFile(file.display().to_string(), error.to_string()))?;
    let event = json!({
        "eventType": EventType::ImageRolloutCompleted,
        "timestamp": "2026-01-01T00:00:00Z",
        "deployment": { "namespace": "shop", "name": "checkout", "image": "registry.example/shop/checkout:1.5.0" },
        "details": {},
    });
    Ok(Template::new(&source, &event)?)
}

/// Of two with the same name the last counts, as it did in watch-cluster.
fn headers(written: Option<&SecretString>) -> Result<HeaderMap, WebhookError> {
    let written = written.map(SecretString::expose_secret).unwrap_or_default();
    let mut headers = HeaderMap::new();
    let entries = written.split(',').map(str::trim).zip(1..);
    for (entry, number) in entries.filter(|(entry, _)| !entry.is_empty()) {
        let (name, value) = entry.split_once('=').ok_or(WebhookError::NoValue(number))?;
        let name: HeaderName = name.trim().parse().map_err(|_| WebhookError::Name(number))?;
        if [
            EVENT_ID,
            SIGNATURE,
            HOST,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            CONNECTION,
        ]
        .contains(&name)
        {
            return Err(WebhookError::Reserved(number));
        }
        let value = HeaderValue::from_str(value.trim());
        let mut value = value.map_err(|_| WebhookError::Value(number))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// `None`: it is no number.
fn number<T: std::str::FromStr>(written: Option<String>, default: T) -> Option<T> {
    given(written).map_or(Some(default), |text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, SettingsError};

    const SECRET: &str = "s3cr3t";

    fn parse(arguments: &[&str]) -> Result<Option<WebhookSettings>, WebhookError> {
        let words = ["kubefresh-updater"].iter().chain(arguments);
        match Cli::try_parse_from(words).unwrap().run.settings() {
            Ok(settings) => Ok(settings.webhook),
            Err(SettingsError::Webhook(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn nothing_is_sent_without_an_address_and_nothing_but_what_was_asked_for() {
        assert!(
            parse(&["--webhook-enable-image-rollout-failed"])
                .unwrap()
                .is_none()
        );
        assert!(parse(&["--webhook-url="]).unwrap().is_none());
        let url = "--webhook-url=https://hooks.example.com/a";
        assert!(parse(&[url]).unwrap().unwrap().events.is_empty());
        let settings = parse(&[
            url,
            "--webhook-enable-deployment-detected=TRUE",
            "--webhook-enable-image-rollout-started=",
            "--webhook-enable-image-rollout-completed",
            "--webhook-enable-image-rollout-failed=false",
            "--webhook-enable-notice",
            "--webhook-timeout=",
            "--webhook-headers=",
        ]);
        let settings = settings.unwrap().unwrap();
        let expected = [
            EventType::DeploymentDetected,
            EventType::ImageRolloutCompleted,
            EventType::Notice,
        ];
        assert_eq!(settings.events, BTreeSet::from(expected));
        assert_eq!(settings.timeout, Duration::from_secs(10));
        assert_eq!(settings.retries, 3);
    }

    #[test]
    fn headers_are_split_as_watch_cluster_splits_them() {
        let written = "--webhook-headers= Authorization = Bearer a=b== ,X-One=1,,x-one=2,Empty=,";
        let settings = parse(&["--webhook-url", "http://10.0.0.7:8080/hook", written]);
        let settings = settings.unwrap().unwrap();
        let values = ["authorization", "x-one", "empty"].map(|name| &settings.headers[name]);
        assert_eq!(values, ["Bearer a=b==", "2", ""]);
        assert_eq!(settings.headers.len(), 3);
        assert_eq!(settings.host(), "10.0.0.7:8080");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_place_and_without_its_value() {
        let url = "--webhook-url=https://hooks.example.com/s3cr3t";
        for (argument, expected) in [
            ("--webhook-url=s3cr3t", WebhookError::Url),
            ("--webhook-url=ftp://s3cr3t/", WebhookError::Url),
            ("--webhook-url=https://s3cr3t:0x/", WebhookError::Url),
            ("--webhook-headers=A=b,s3cr3t", WebhookError::NoValue(2)),
            ("--webhook-headers=s3cr3t s=1", WebhookError::Name(1)),
            ("--webhook-headers==s3cr3t", WebhookError::Name(1)),
            ("--webhook-headers=A=s3cr3t\r\nB: c", WebhookError::Value(1)),
            ("--webhook-headers=,Host=s3cr3t", WebhookError::Reserved(2)),
            ("--webhook-headers=Content-Length=1", WebhookError::Reserved(1)),
            (
                "--webhook-headers=kubefresh-event-id=1",
                WebhookError::Reserved(1),
            ),
            ("--webhook-timeout=0", WebhookError::Timeout),
            ("--webhook-timeout=10s", WebhookError::Timeout),
            ("--webhook-timeout=3600000", WebhookError::Timeout),
            ("--webhook-retry-count=-1", WebhookError::Retries),
            ("--webhook-retry-count=many", WebhookError::Retries),
        ] {
            let arguments = if argument.starts_with("--webhook-url") {
                vec![argument]
            } else {
                vec![url, argument]
            };
            let Err(error) = parse(&arguments) else {
                panic!("{argument} is accepted");
            };
            assert_eq!(error, expected, "{argument}");
            assert!(!error.to_string().contains(SECRET), "{error}");
        }
    }

    #[test]
    fn a_switch_that_is_neither_on_nor_off_is_refused() {
        let word = "--webhook-enable-image-rollout-failed=perhaps";
        assert!(Cli::try_parse_from(["kubefresh-updater", word]).is_err());
    }

    #[test]
    fn no_secret_is_shown_by_debug() {
        let words = [
            "kubefresh-updater",
            "--webhook-url=https://user:s3cr3t@hooks.example.com/s3cr3t?token=s3cr3t",
            "--webhook-headers=Authorization=Bearer s3cr3t",
        ];
        let cli = Cli::try_parse_from(words).unwrap();
        assert!(!format!("{cli:?}").contains(SECRET), "{cli:?}");
        let settings = cli.run.settings().unwrap();
        let shown = format!("{settings:?} {:?}", settings.webhook.as_ref().unwrap().headers);
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("hooks.example.com"), "{shown}");
    }
}
