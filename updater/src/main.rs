//! The program: reads its settings, runs the library, and turns the outcome into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use shared::io::{shutdown, telemetry, tls};
use updater::app;
use updater::cli::{Cli, Command, Settings};
use updater::commands::link::link;
use updater::commands::migrate::migrate;
use updater::commands::steer::{Step, steer};
use updater::commands::{CommandError, Question, show};

/// No cluster, no permission, or a setting is wrong.
const CONFIGURATION: u8 = 2;

// The loop has this thread, and everything else one more, also on a large machine: they wait most of the time, and each thread keeps
// memory of its own, as every pattern does for each thread that ever ran it.
#[tokio::main(worker_threads = 1)]
async fn main() -> ExitCode {
    tls::init();
    let Cli { command, run, log } = Cli::parse();
    let prepared = telemetry::init(&log.level, log.format).map_err(|error| error.to_string());
    let settings = prepared.and_then(|()| run.settings().map_err(|error| error.to_string()));
    let settings = match settings {
        Ok(settings) => settings,
        Err(problem) => return complain(CONFIGURATION, &problem),
    };
    match command {
        None | Some(Command::Run) => Box::pin(outcome(settings)).await,
        // A signal may end the others at any time, as there is nothing to finish.
        Some(Command::Plan(options)) => answer(show(Question::Plan, options, settings)).await,
        Some(Command::Status(options)) => answer(show(Question::Status, options, settings)).await,
        Some(Command::Migrate(options)) => answer(migrate(options, settings)).await,
        Some(Command::Approve(options)) => take(Step::Approve(options), settings).await,
        Some(Command::Hold(options)) => take(Step::Hold(options), settings).await,
        Some(Command::Release(options)) => take(Step::Release(options), settings).await,
        Some(Command::Rollback(options)) => take(Step::Rollback(options), settings).await,
        Some(Command::Link(options)) => answer(link(options, settings)).await,
        Some(Command::CheckNow(options)) => take(Step::CheckNow(options), settings).await,
    }
}

async fn take(step: Step, settings: Settings) -> ExitCode {
    answer(Box::pin(steer(step, settings))).await
}

async fn answer(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    match command.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(CONFIGURATION, &error.to_string()),
    }
}

async fn outcome(settings: Settings) -> ExitCode {
    let stop = match shutdown::token() {
        Ok(stop) => stop,
        Err(error) => return complain(1, &format!("unable to listen for signals: {error}")),
    };
    match app::start(settings, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(
            if error.is_configuration() {
                CONFIGURATION
            } else {
                1
            },
            &error.to_string(),
        ),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last word goes to whoever started the program, whatever the log filter"
)]
fn complain(code: u8, problem: &str) -> ExitCode {
    eprintln!("kubefresh-updater: {problem}");
    ExitCode::from(code)
}
