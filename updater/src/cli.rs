//! What can be told to the updater, by flags or by the environment; nothing else in this crate reads either.

pub mod channels;
mod command;
pub mod notes;
pub mod page;
pub mod summary;
pub mod webhook;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser};
use jiff::SignedDuration;
use reqwest::Url;
use shared::domain::annotations::Installation;
use shared::domain::plan::PlanLimits;
use shared::io::arguments::{self, DefaultsError, given};
use shared::io::telemetry::LogFormat;
use strum::VariantNames;

use self::channels::{ChannelError, ChannelOptions, ChannelSettings};
pub use self::command::Command;
use self::notes::{NotesOptions, NotesSettings, NotesSettingsError};
use self::page::{PageError, PageOptions, PageSettings};
use self::summary::{SummaryError, SummaryOptions, SummarySettings};
use self::webhook::{WebhookError, WebhookOptions, WebhookSettings};

/// How a process is called that is told no name: outside a pod.
const DEFAULT_NAME: &str = "kubefresh-updater";
/// Longer than an API server takes to be restarted or a watch to be begun anew, and as long as somebody who freezes a namespace, whom
/// nobody sees then, may expect an update to be under way already.
const MAX_UNWATCHED: SignedDuration = SignedDuration::from_mins(5);
/// Long enough for an API server that restarts. Whoever waits longer for a rollback waits for nothing but our words.
const PATIENCE: Duration = Duration::from_mins(1);
/// The CronJob of `deploy/manifests`.
const SCANNER: &str = "kubefresh-scanner";

/// Gives the workloads of a Kubernetes cluster newer images, and follows each rollout to its end.
///
/// It reads what kubefresh-scanner recorded, decides by the workloads' kubefresh.dev annotations, patches the images, and
/// tells the outcome as Events (`kubectl get events`). It talks to no registry and reads no Secret.
///
/// Several updaters may run: one leads and acts, the others stand by. Every setting can also come from the environment
/// variable named with it.
///
/// Exit code 0: stopped by a signal. 1: something broke while running. 2: there is no cluster, no permission, or a setting
/// is wrong.
#[derive(Debug, Parser)]
#[command(
    name = "kubefresh-updater",
    version,
    propagate_version = true,
    after_help = "Examples:
  kubefresh-updater                                   what the Deployment runs
  kubefresh-updater run --watch-namespaces shop,blog  only workloads of these namespaces
  kubefresh-updater plan                              what it would do now, and why
  kubefresh-updater status                            how everything stands
  kubefresh-updater run --listen-address 127.0.0.1 --log-level debug
                                                      on a desk, with the cluster of your kubeconfig

To opt a workload in:
  kubectl annotate deployment/checkout kubefresh.dev/watch=true"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub log: LogOptions,
}

/// What to watch, where to keep state, how to lead.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Only workloads of these namespaces, separated by commas; all namespaces when empty.
    #[arg(
        long,
        env = "WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE,…",
        global = true
    )]
    pub watch_namespaces: Vec<String>,
    /// Only workloads of namespaces with these labels, as `kubectl get namespaces -l` selects them; with a list as well, both
    /// have to hold.
    #[arg(
        long,
        env = "WATCH_NAMESPACE_SELECTOR",
        value_name = "SELECTOR",
        global = true
    )]
    pub watch_namespace_selector: Option<String>,
    /// Our own namespace, where records and the lease are kept; that of the client configuration when not given.
    #[arg(long, env = "POD_NAMESPACE", global = true)]
    pub namespace: Option<String>,
    /// Records of a complete scan older than this are no grounds for an update.
    #[arg(long, env = "MAX_RECORD_AGE", default_value = "24h", value_parser = arguments::duration, value_name = "DURATION", global = true)]
    pub max_record_age: Duration,
    /// How many rollouts may be under way at once, so that what goes wrong does so in few places; 0 for any number. Rollbacks
    /// do not wait.
    #[arg(
        long,
        env = "MAX_ROLLOUTS",
        default_value_t = 10,
        value_name = "N",
        global = true
    )]
    pub max_rollouts: u32,
    /// The same, in each namespace.
    #[arg(
        long,
        env = "MAX_ROLLOUTS_PER_NAMESPACE",
        default_value_t = 0,
        value_name = "N",
        global = true
    )]
    pub max_rollouts_per_namespace: u32,
    /// The scanner's CronJob, in our own namespace: what cannot wait for its schedule gets a Job of it at once.
    #[arg(
        long,
        env = "SCANNER_CRONJOB",
        default_value = SCANNER,
        value_name = "NAME",
        global = true
    )]
    pub scanner_cronjob: String,
    /// Scan when an updater has started and leads, unless a scan began in the five minutes before or since: `true` or `false`.
    #[arg(
        long,
        env = "RUN_ON_BOOT",
        value_parser = arguments::switch(false),
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        value_name = "BOOLEAN",
        global = true
    )]
    pub run_on_boot: bool,
    /// The address where probes and metrics are served; 0.0.0.0 when empty.
    #[arg(
        long,
        env = "LISTEN_ADDRESS",
        default_value = "0.0.0.0",
        value_name = "ADDRESS",
        global = true
    )]
    pub listen_address: String,
    /// And the port.
    #[arg(long, env = "PORT", default_value_t = 3000, global = true)]
    pub port: u16,
    /// The Lease that decides who leads. Updaters with different leases do not know of each other.
    #[arg(
        long,
        env = "LEASE_NAME",
        default_value = DEFAULT_NAME,
        value_name = "NAME",
        help_heading = "Leadership",
        global = true
    )]
    pub lease_name: String,
    /// How long leadership outlives a leader that does not answer, in whole seconds, at least 2s.
    #[arg(
        long,
        env = "LEASE_DURATION",
        default_value = "15s",
        value_parser = lease_duration,
        value_name = "DURATION",
        help_heading = "Leadership",
        global = true
    )]
    pub lease_duration: Duration,
    /// Our name in the Lease and in Events: the pod's.
    #[arg(
        long,
        env = "POD_NAME",
        default_value = DEFAULT_NAME,
        value_name = "NAME",
        help_heading = "Leadership",
        global = true
    )]
    pub pod_name: String,
    /// What holds for workloads that do not say otherwise, as the annotation `kubefresh.dev/KEY` would; may be repeated. The
    /// variable `KUBEFRESH_KEY` says the same, such as `KUBEFRESH_WATCH` or `KUBEFRESH_TAG_PATTERN`. Both programs need the same.
    #[arg(
        long = "default",
        value_name = "KEY=VALUE",
        help_heading = "Defaults",
        global = true
    )]
    pub defaults: Vec<String>,
    /// Let the defaults win over annotations; also by `KUBEFRESH_OVERRIDE=true`. A workload that opted out stays so.
    #[arg(long, help_heading = "Defaults", global = true)]
    pub override_annotations: bool,
    #[command(flatten)]
    pub webhook: WebhookOptions,
    #[command(flatten)]
    pub notes: NotesOptions,
    #[command(flatten)]
    pub summary: SummaryOptions,
    #[command(flatten)]
    pub channels: ChannelOptions,
    #[command(flatten)]
    pub page: PageOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogOptions {
    /// Which log lines are written to standard error: a level, or a filter such as `info,updater=debug`.
    #[arg(
        long = "log-level",
        env = "LOG_LEVEL",
        default_value = "info",
        value_name = "FILTER",
        global = true
    )]
    pub level: String,
    /// How they are written: `text` for people, `json` for machines, `auto` by whether there is a terminal.
    #[arg(
        long = "log-format",
        env = "LOG_FORMAT",
        default_value = "auto", value_parser = log_format(),
        value_name = "FORMAT",
        global = true
    )]
    pub format: LogFormat,
}

/// What an updater is told, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Empty: all namespaces.
    pub watch_namespaces: Vec<String>,
    /// A label selector that the server reads.
    pub watch_namespace_selector: Option<String>,
    /// `None`: that of the client configuration.
    pub namespace: Option<String>,
    pub limits: PlanLimits,
    /// The name of the scanner's CronJob.
    pub scanner_cronjob: String,
    /// Whether to scan after a start.
    pub run_on_boot: bool,
    pub listen: SocketAddr,
    pub lease_name: String,
    /// Whole seconds.
    pub lease_duration: Duration,
    pub pod_name: String,
    /// What holds for workloads that do not say otherwise.
    pub installation: Installation,
    /// `None`: nobody wants to be told.
    pub webhook: Option<WebhookSettings>,
    pub notes: NotesSettings,
    /// `None`: notes are summarised by rules alone.
    pub summary: Option<SummarySettings>,
    /// Where people are told, beside by Events.
    pub channels: ChannelSettings,
    pub page: PageSettings,
    /// How long the end of an update waits for what the API server does not let us tell of it. The same for everybody.
    pub patience: Duration,
}

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("--watch-namespaces: {0}")]
    WatchNamespaces(#[source] arguments::NamespaceError),
    #[error("--namespace: {0}")]
    Namespace(#[source] arguments::NamespaceError),
    #[error("--listen-address: {0:?} is no IP address, such as 0.0.0.0 or ::")]
    ListenAddress(String),
    #[error(transparent)]
    Defaults(#[from] DefaultsError),
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error(transparent)]
    Notes(#[from] NotesSettingsError),
    #[error(transparent)]
    Summary(#[from] SummaryError),
    #[error(transparent)]
    Channels(#[from] ChannelError),
    #[error(transparent)]
    Page(#[from] PageError),
}

impl RunOptions {
    /// Checks them. What is set to nothing counts as not set, as in a manifest with an empty `value`.
    pub fn settings(self) -> Result<Settings, SettingsError> {
        let Self {
            watch_namespaces,
            watch_namespace_selector,
            namespace,
            max_record_age,
            max_rollouts,
            max_rollouts_per_namespace,
            scanner_cronjob,
            run_on_boot,
            listen_address,
            port,
            lease_name,
            lease_duration,
            pod_name,
            defaults,
            override_annotations,
            webhook,
            notes,
            summary,
            channels,
            page,
        } = self;
        let namespace = given(namespace).map(arguments::namespace).transpose();
        let max_record_age = SignedDuration::try_from(max_record_age).unwrap_or(SignedDuration::MAX);
        let address = match given(Some(listen_address)) {
            Some(text) => text.parse().map_err(|_| SettingsError::ListenAddress(text))?,
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        Ok(Settings {
            watch_namespaces: arguments::namespaces(watch_namespaces)
                .map_err(SettingsError::WatchNamespaces)?,
            watch_namespace_selector: given(watch_namespace_selector),
            namespace: namespace.map_err(SettingsError::Namespace)?,
            limits: PlanLimits {
                max_record_age,
                max_rollouts: limit(max_rollouts),
                max_rollouts_per_namespace: limit(max_rollouts_per_namespace),
                max_unwatched: MAX_UNWATCHED,
                threads: thread::available_parallelism().map_or(1, NonZero::get),
            },
            scanner_cronjob: given(Some(scanner_cronjob)).unwrap_or_else(|| SCANNER.to_owned()),
            run_on_boot,
            listen: SocketAddr::new(address, port),
            lease_name: given(Some(lease_name)).unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            lease_duration,
            pod_name: given(Some(pod_name)).unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            installation: installation(&defaults, override_annotations)?,
            webhook: webhook.settings()?,
            notes: notes.settings()?,
            summary: summary.settings()?,
            channels: channels.settings()?,
            page: page.settings()?,
            patience: PATIENCE,
        })
    }
}

/// Zero is none.
fn limit(number: u32) -> Option<u32> {
    Some(number).filter(|number| *number > 0)
}

/// The Lease stores whole seconds, and a third of it has to be enough for a call.
fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = arguments::duration(text)?;
    if duration < Duration::from_secs(2) || duration.subsec_nanos() != 0 {
        return Err("it must be whole seconds, and at least 2s".to_owned());
    }
    Ok(duration)
}

#[expect(
    clippy::disallowed_methods,
    reason = "clap knows no variable for each setting"
)]
fn installation(flags: &[String], overrides: bool) -> Result<Installation, DefaultsError> {
    arguments::installation(std::env::vars_os(), flags, overrides)
}

/// A file by its name, where an empty one names none: `PathBuf` takes no empty value.
#[expect(clippy::unnecessary_wraps, reason = "a value parser may fail")]
fn file(name: &str) -> Result<PathBuf, Infallible> {
    Ok(name.into())
}

/// Named one by one, so that a wrong one is answered with the right ones.
fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(<LogFormat as VariantNames>::VARIANTS).try_map(|name| name.parse::<LogFormat>())
}

/// Whether it is an address on the web with nothing in it but a server and a path.
fn is_bare(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests;
