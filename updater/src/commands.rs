//! What people ask of the updater on a command line. It reads what the run reads and decides by the same code.
//!
//! `plan`, `status` and [`migrate`] change nothing; `approve`, `hold`, `release`, `rollback` and `check-now` ([`steer`]) change annotations of one workload.

pub(crate) mod json;
pub mod link;
pub mod migrate;
mod plan_table;
mod status_table;
pub mod steer;
mod survey;
pub(crate) mod words;

use std::io;

use clap::Args;
use jiff::Timestamp;
use shared::domain::overview::{Line, overview};
use shared::domain::steer::SteerError;
use shared::domain::workload::WorkloadId;
use shared::io::client::{self, ClientError};
use shared::io::terminal::{Format, output, page};

use crate::cli::Settings;

/// Shown below the options of `plan`.
pub const PLAN_EXAMPLES: &str = "\
Examples:
  What would happen now, in the whole cluster and in one namespace:
    kubefresh-updater plan
    kubefresh-updater plan shop/

  Which updates wait, for other programs:
    kubefresh-updater plan --output json | jq -r '.containers[] | select(.state == \"waiting\") | .workload.name'

JSON is one object in one line, the same for plan and status:
  at          when it was decided
  containers  workload (kind, namespace, name), container (null: the whole workload), image, target, mode
              state: starting, waiting, offered, rolling-out, stopped, failed, unknown, up-to-date or off
              since, why, and last: null, or at, change and result of the last update";

/// Shown below the options of `status`.
pub const STATUS_EXAMPLES: &str = "\
Examples:
  All that is watched, and one workload:
    kubefresh-updater status
    kubefresh-updater status shop/checkout

  What is behind, for other programs:
    kubefresh-updater status --output json | jq -r '.containers[] | select(.target) | \"\\(.image) \\(.target)\"'

`kubefresh-updater plan --help` says what the JSON holds.";

/// What is shown.
#[derive(Debug, Clone, Args)]
pub struct ShowOptions {
    /// Only workloads with this in NAMESPACE/NAME.
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// How the answer is written: for people, or as one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

/// Which of the two questions is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What would happen now, and why not more.
    Plan,
    /// How everything stands.
    Status,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Cluster(String),
    #[error(transparent)]
    Steer(#[from] SteerError),
    /// Of manifests.
    #[error("not everything could be read: {0}")]
    Unread(String),
    #[error("unable to go on: {0}")]
    Stream(#[source] io::Error),
}

/// Everything that a page speaks of.
#[derive(Debug)]
struct View {
    /// Those that are asked for.
    lines: Vec<Line>,
    /// How many containers are watched, asked for or not.
    watched: usize,
    now: Timestamp,
}

/// Answers on standard output.
pub async fn show(question: Question, options: ShowOptions, settings: Settings) -> Result<(), CommandError> {
    let client = client::connect(client::CALL_LIMIT).await?;
    let is_wanted = |workload: &WorkloadId| {
        let name = format!("{}/{}", workload.namespace, workload.name);
        options
            .filter
            .as_ref()
            .is_none_or(|filter| name.contains(filter.as_str()))
    };
    let survey = survey::survey(&client, &settings, is_wanted)
        .await
        .map_err(CommandError::Cluster)?;
    let now = survey.at;
    let mut lines = overview(&survey.snapshot, &survey.plan);
    let watched = lines.len();
    lines.retain(|line| is_wanted(&line.workload));
    let view = View { lines, watched, now };
    let printed = match options.output {
        Format::Json => output::json(&json::Answer::of(&view)),
        Format::Table => {
            let text = match question {
                Question::Plan => plan_table::render(&view, page::width()),
                Question::Status => status_table::render(&view, page::width()),
            };
            text.map_err(io::Error::other)
                .and_then(|text| output::page(&text))
        }
    };
    printed.map_err(CommandError::Stream)
}

impl View {
    fn summary(&self) -> String {
        words::summary(&self.lines, self.watched)
    }
}

#[cfg(test)]
mod tests;
