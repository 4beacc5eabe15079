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
/// How loud these may be unless the filter names the same target: kube-leader-election tells every standby tick at `info`, and
/// async-openai whole answers at `error`.
const QUIET: [(&str, LevelFilter); 3] = [
    // It would show the whole of what it could not read, and with it what workloads say in secret; the error is told anyway.
    ("kube_client::client", LevelFilter::ERROR),
    ("kube_leader_election", LevelFilter::WARN),
    ("async_openai", LevelFilter::OFF),
];

/// The directives of [`QUIET`], none of which makes anything louder than all others are.
fn quiet(wanted: &str) -> String {
    let mut levels = wanted
        .rsplit(',')
        .filter_map(|directive| directive.trim().parse().ok());
    let others = levels.next().unwrap_or(LevelFilter::OFF);
    let quiet = QUIET.map(|(target, most)| format!("{target}={},", most.min(others)));
    quiet.concat()
}

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
    EnvFilter::try_new(format!("{}{wanted}", quiet(wanted))).map_err(|invalid| error(invalid.to_string()))
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
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    #[test]
    fn a_filter_is_a_level_or_directives_and_nothing_means_the_default() {
        for (filter, expected) in [
            (
                "",
                Some("kube_leader_election=warn,kube_client::client=error,async_openai=off,info"),
            ),
            (
                " ",
                Some("kube_leader_election=warn,kube_client::client=error,async_openai=off,info"),
            ),
            (
                "debug",
                Some("kube_leader_election=warn,kube_client::client=error,async_openai=off,debug"),
            ),
            (
                "OFF",
                Some("kube_leader_election=off,kube_client::client=off,async_openai=off,off"),
            ),
            (
                "info,scanner=debug",
                Some(
                    "kube_leader_election=warn,kube_client::client=error,async_openai=off,scanner=debug,info",
                ),
            ),
            ("inof", None),
            ("x=y=z", None),
        ] {
            let read = env_filter(filter).map(|read| read.to_string()).ok();
            assert_eq!(read.as_deref(), expected, "{filter:?}");
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The messages of these libraries that get through.
    fn heard(filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(env_filter(filter).unwrap())
            .with_writer(move || writer.clone())
            .without_time()
            .with_target(false)
            .with_level(false)
            .with_ansi(false)
            .finish();
        with_default(subscriber, || {
            tracing::error!(target: "async_openai::error", "answer");
            tracing::debug!(target: "async_openai::client", "question");
            tracing::info!(target: "kube_leader_election::lock", "tick");
            tracing::warn!(target: "kube_leader_election::lock", "lost");
            tracing::info!(target: "updater::notes", "ours");
            tracing::debug!(target: "scanner::run", "fine");
        });
        let written = lines.0.lock().unwrap().clone();
        let written = String::from_utf8(written).unwrap();
        written.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_libraries_say_too_loudly_is_heard_by_those_who_name_them() {
        for (filter, expected) in [
            ("info", "lost ours"),
            ("trace", "lost ours fine"),
            ("error", ""),
            ("off", ""),
            ("updater=debug", "ours"),
            ("scanner=debug,info", "lost ours fine"),
            ("info,async_openai=error", "answer lost ours"),
            ("async_openai=debug,info", "answer question lost ours"),
            ("info,async_openai::error=error", "answer lost ours"),
            ("info,kube_leader_election=info", "tick lost ours"),
            ("kube_leader_election=off,info", "ours"),
        ] {
            assert_eq!(heard(filter), expected, "{filter:?}");
        }
    }
}
