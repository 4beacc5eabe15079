//! What can be told to the scanner, by flags or by the environment; nothing else in this crate reads either.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand};
use shared::domain::annotations::Installation;
use shared::domain::shard::Shard;
use shared::io::arguments::{self, DefaultsError, NamespaceError};
use shared::io::telemetry::LogFormat;
use strum::VariantNames;

use crate::check::CheckOptions;
use crate::explain::ExplainOptions;
use crate::reach::ReachArguments;
use crate::records::RecordsOptions;

/// Records which image tags and digests the registries offer to the workloads of a Kubernetes cluster.
///
/// Each repository gets one ConfigMap; `kubectl get cm -l kubefresh.dev/record=scan` lists them. The scanner changes
/// nothing else: what to do with its findings is the updater's business.
#[derive(Debug, Parser)]
#[command(
    name = "kubefresh-scanner",
    version,
    propagate_version = true,
    after_help = "Next step: `kubefresh-scanner scan --dry-run` shows what a scan of the cluster in your kubeconfig would record."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub log: LogOptions,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Scan once and exit; what the CronJob runs.
    ///
    /// Reads every workload that is watched, by its annotation `kubefresh.dev/watch: "true"` or by a default, asks each
    /// registry once about each of its repositories, and writes what changed.
    ///
    /// Exit code 0: every repository got an answer or a recorded error. 1: some records could not be written. 2: there is no
    /// cluster, no permission, or a setting is wrong.
    Scan(ScanOptions),
    /// Say which tag a policy chooses and why, without a cluster.
    ///
    /// Asks the registry of IMAGE which tags there are, or takes them from `--tags`, and answers with the chosen tag, the
    /// families beside it, and the rule that rejected each other tag. Nothing is written anywhere. The options are the
    /// annotations `kubefresh.dev/…` of a workload, and the answer comes from the code that decides in the cluster.
    ///
    /// Exit code 0: there is an answer, also that nothing is newer. 1: the registry could not be asked. 2: the policy, the
    /// image or another option is wrong.
    #[command(after_help = crate::explain::EXAMPLES)]
    Explain(Box<ExplainOptions>),
    /// Say what is newer than images, or than those of manifests, without a cluster.
    ///
    /// Asks each repository once, however many images share it. A container's annotations `kubefresh.dev/…` say which tags
    /// are wanted; where they do not, and for IMAGE, the options below do. Workloads need not opt in, and are left out by
    /// `kubefresh.dev/watch: "false"`. Nothing is written anywhere.
    ///
    /// Exit code 0: everything was checked, also if something newer is published. 1: something newer is published, with
    /// `--exit-code`. 2: an image, a manifest or an option is wrong, or a registry could not be asked; the rest was checked
    /// all the same.
    #[command(after_help = crate::check::EXAMPLES)]
    Check(Box<CheckOptions>),
    /// Show the scan records of the cluster.
    ///
    /// One line for each repository: its newest tag, whether the last scan was complete, how many tags there are, how old
    /// the findings are, and, where the last scan failed, why, since when, and until when the registry is left alone.
    ///
    /// Exit code 0: the records were read, also if there are none. 2: there is no cluster, no permission, or an option is
    /// wrong.
    #[command(after_help = crate::records::EXAMPLES)]
    Records(RecordsOptions),
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogOptions {
    /// Which log lines are written to standard error: a level, or a filter such as `info,scanner=debug`.
    #[arg(long = "log-level", env = "LOG_LEVEL", default_value = "info", global = true)]
    pub level: String,
    /// How they are written: `text` for people, `json` for machines, `auto` by whether there is a terminal.
    #[arg(
        long = "log-format",
        env = "LOG_FORMAT",
        default_value = "auto", value_parser = log_format(),
        global = true
    )]
    pub format: LogFormat,
}

/// What a scan is told, as it was typed.
#[derive(Debug, Args)]
pub struct ScanOptions {
    /// Only workloads of these namespaces, separated by commas; all namespaces when empty.
    #[arg(
        long,
        env = "WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE,…"
    )]
    pub watch_namespaces: Vec<String>,
    /// Only workloads of namespaces with these labels, as `kubectl get namespaces -l` selects them; with a list as well, both
    /// have to hold.
    #[arg(long, env = "WATCH_NAMESPACE_SELECTOR", value_name = "SELECTOR")]
    pub watch_namespace_selector: Option<String>,
    /// Where the records are kept; the namespace of the client configuration when not given.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
    /// Show what would be recorded and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// When to stop asking; repositories not reached by then are left for the next run. Keep it below the Job's
    /// activeDeadlineSeconds.
    #[arg(long, env = "SCAN_DEADLINE", default_value = "4m", value_parser = arguments::duration, value_name = "DURATION")]
    pub deadline: Duration,
    /// Into how many shares the repositories are divided: the completions of an Indexed Job.
    #[arg(long, env = "SHARDS", default_value_t = NonZeroU32::MIN, value_name = "COUNT")]
    pub shards: NonZeroU32,
    /// Which share is scanned, from 0; Kubernetes says so to each pod of an Indexed Job.
    #[arg(long, env = "JOB_COMPLETION_INDEX", default_value_t = 0, value_name = "INDEX")]
    pub shard: u32,
    /// Whether the pull secrets that watched workloads name are read: `true` or `false`.
    #[arg(
        long,
        env = "READ_PULL_SECRETS",
        value_parser = arguments::switch(true),
        default_value = "true",
        action = ArgAction::Set,
        value_name = "BOOLEAN"
    )]
    pub read_pull_secrets: bool,
    /// What holds for workloads that do not say otherwise, as the annotation `kubefresh.dev/KEY` would; may be repeated. The
    /// variable `KUBEFRESH_KEY` says the same, such as `KUBEFRESH_WATCH` or `KUBEFRESH_TAG_PATTERN`. Both programs need the same.
    #[arg(long = "default", value_name = "KEY=VALUE", help_heading = "Defaults")]
    pub defaults: Vec<String>,
    /// Let the defaults win over annotations; also by `KUBEFRESH_OVERRIDE=true`. A workload that opted out stays so.
    #[arg(long, help_heading = "Defaults")]
    pub override_annotations: bool,
    #[command(flatten)]
    pub reach: ReachArguments,
}

/// What a scan is told, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Empty: all namespaces.
    pub watch_namespaces: Vec<String>,
    /// A label selector that the server reads.
    pub watch_namespace_selector: Option<String>,
    pub namespace: Option<String>,
    pub dry_run: bool,
    pub deadline: Duration,
    pub shard: Shard,
    pub plain_http: Vec<String>,
    pub read_pull_secrets: bool,
    /// What holds for workloads that do not say otherwise.
    pub installation: Installation,
    pub docker_config: Option<PathBuf>,
    pub registries_file: Option<PathBuf>,
}

/// Settings that contradict themselves or cannot be meant.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("--watch-namespaces: {0}")]
    WatchNamespaces(#[source] NamespaceError),
    #[error("--namespace: {0}")]
    Namespace(#[source] NamespaceError),
    #[error("--plain-http: {0:?} is no registry; write HOST or HOST:PORT without a scheme or path")]
    PlainHttp(String),
    #[error("--shard: {0}")]
    Shard(String),
    #[error(transparent)]
    Defaults(#[from] DefaultsError),
}

impl ScanOptions {
    /// Checks them.
    pub fn settings(self) -> Result<Settings, SettingsError> {
        let Self {
            watch_namespaces,
            watch_namespace_selector,
            namespace,
            dry_run,
            deadline,
            shards,
            shard,
            read_pull_secrets,
            defaults,
            override_annotations,
            reach,
        } = self;
        let ReachArguments {
            plain_http,
            registries_file,
            docker_config,
        } = reach;
        let watch_namespaces =
            arguments::namespaces(watch_namespaces).map_err(SettingsError::WatchNamespaces)?;
        let namespace = arguments::given(namespace).map(arguments::namespace).transpose();
        let plain_http = registries(plain_http)?;
        Ok(Settings {
            watch_namespaces,
            watch_namespace_selector: arguments::given(watch_namespace_selector),
            namespace: namespace.map_err(SettingsError::Namespace)?,
            dry_run,
            deadline,
            shard: Shard::new(shard, shards).map_err(SettingsError::Shard)?,
            plain_http,
            read_pull_secrets,
            installation: installation(&defaults, override_annotations)?,
            docker_config: arguments::given(docker_config).map(PathBuf::from),
            registries_file: arguments::given(registries_file).map(PathBuf::from),
        })
    }
}

/// Names of registries, out of a list that was typed.
pub(crate) fn registries(list: Vec<String>) -> Result<Vec<String>, SettingsError> {
    let registries = arguments::words(list);
    match registries.iter().find(|host| host.contains('/')) {
        Some(host) => Err(SettingsError::PlainHttp(host.clone())),
        None => Ok(registries),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "clap knows no variable for each setting"
)]
fn installation(flags: &[String], overrides: bool) -> Result<Installation, DefaultsError> {
    arguments::installation(std::env::vars_os(), flags, overrides)
}

/// Named one by one, so that a wrong one is answered with the right ones.
fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    PossibleValuesParser::new(<LogFormat as VariantNames>::VARIANTS).try_map(|name| name.parse::<LogFormat>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Settings, SettingsError> {
        let cli = Cli::try_parse_from(["kubefresh-scanner", "scan"].iter().chain(arguments)).unwrap();
        let Command::Scan(options) = cli.command else {
            panic!("{arguments:?} is another command");
        };
        options.settings()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn empty_lists_mean_nothing_was_named() {
        let settings = parse(&["--watch-namespaces", "", "--plain-http", " "]).unwrap();
        assert!(settings.watch_namespaces.is_empty() && settings.plain_http.is_empty());
    }

    #[test]
    fn pull_secrets_are_read_unless_that_is_switched_off() {
        for (arguments, expected) in [
            (&[][..], true),
            (&["--read-pull-secrets", ""], true),
            (&["--read-pull-secrets", "false"], false),
            (&["--read-pull-secrets", "FALSE"], false),
        ] {
            let settings = parse(arguments).unwrap();
            assert_eq!(settings.read_pull_secrets, expected, "{arguments:?}");
        }
    }

    #[test]
    fn a_docker_config_that_is_set_to_nothing_is_not_set() {
        assert_eq!(parse(&["--docker-config", ""]).unwrap().docker_config, None);
    }

    #[test]
    fn lists_are_separated_by_commas() {
        let settings = parse(&["--watch-namespaces", "shop, office"]).unwrap();
        assert_eq!(settings.watch_namespaces, ["shop", "office"]);
    }

    #[test]
    fn a_namespace_that_cannot_exist_is_refused() {
        let watched = parse(&["--watch-namespaces", "Shop"]);
        assert!(matches!(watched, Err(SettingsError::WatchNamespaces(_))));
        assert!(matches!(
            parse(&["--namespace", "a/b"]),
            Err(SettingsError::Namespace(_))
        ));
    }

    #[test]
    fn a_namespace_that_is_set_to_nothing_is_not_set() {
        assert_eq!(parse(&["--namespace", ""]).unwrap().namespace, None);
    }

    #[test]
    fn a_registry_with_a_scheme_is_refused() {
        assert!(matches!(
            parse(&["--plain-http", "http://registry:5000"]),
            Err(SettingsError::PlainHttp(_))
        ));
    }
}
