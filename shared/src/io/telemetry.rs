//! Log lines: for people in a terminal, as JSON everywhere else.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
#[error(
    "log filter {filter:?} is not valid: {reason}; write a level such as info, or a filter such as info,updater=debug"
)]
pub struct FilterError {
    filter: String,
    reason: String,
}

/// What is logged when nothing else is said; also the default of `--log-level`.
const DEFAULT: &str = "info";
/// Directives that hold unless the filter names the same target: kube-leader-election tells every standby tick at `info`.
const QUIET: &str = "kube_leader_election=warn";

/// What the filter of a person means. Nothing at all means the default, as in a manifest with an empty `value`; a lone word
/// that is no level would silence everything but a target of that name, and is a slip of the pen.
fn env_filter(filter: &str) -> Result<EnvFilter, FilterError> {
    let error = |reason: String| FilterError {
        filter: filter.to_owned(),
        reason,
    };
    let wanted = match filter.trim() {
        "" => DEFAULT,
        wanted => wanted,
    };
    let is_word = wanted.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word && wanted.parse::<LevelFilter>().is_err() {
        return Err(error("there is no such level".to_owned()));
    }
    EnvFilter::try_new(format!("{QUIET},{wanted}")).map_err(|invalid| error(invalid.to_string()))
}

/// Sends log lines to standard error, so that standard output stays for results.
pub fn init(filter: &str, format: LogFormat) -> Result<(), FilterError> {
    let env_filter = env_filter(filter)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_directives_and_nothing_means_the_default() {
        for (filter, expected) in [
            ("", Some("kube_leader_election=warn,info")),
            (" ", Some("kube_leader_election=warn,info")),
            ("debug", Some("kube_leader_election=warn,debug")),
            ("OFF", Some("kube_leader_election=warn,off")),
            (
                "info,scanner=debug",
                Some("kube_leader_election=warn,scanner=debug,info"),
            ),
            ("inof", None),
            ("x=y=z", None),
        ] {
            let read = env_filter(filter).map(|read| read.to_string()).ok();
            assert_eq!(read.as_deref(), expected, "{filter:?}");
        }
    }
}
