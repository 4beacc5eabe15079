//! Log lines: for people in a terminal, as JSON everywhere else.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::Display, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum LogFormat {
    /// `text` if standard error is a terminal, `json` if not.
    #[default]
    Auto,
    Text,
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("log filter {filter:?} is not valid: {source}; write a level such as info, or info,updater=debug")]
pub struct FilterError {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Directives that hold unless the filter names the same target: kube-leader-election tells every standby tick at `info`.
const QUIET: &str = "kube_leader_election=warn";

/// Sends log lines to standard error, so that standard output stays for results.
pub fn init(filter: &str, format: LogFormat) -> Result<(), FilterError> {
    let directives = format!("{QUIET},{filter}");
    let env_filter = EnvFilter::try_new(directives).map_err(|source| FilterError {
        filter: filter.to_owned(),
        source,
    })?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(env_filter)
        .with_writer(std::io::stderr);
    // A second initialisation only happens in tests, where the first one is as good.
    let _ = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Auto if !terminal => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Auto | LogFormat::Text => builder.with_ansi(terminal).with_target(false).try_init(),
    };
    Ok(())
}
