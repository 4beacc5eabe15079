//! `kubefresh-scanner`: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use scanner::check::{self, CheckError};
use scanner::cli::{Cli, Command};
use scanner::explain::{self, ExplainError};
use scanner::records;
use scanner::run::{self, RunError};
use shared::io::{shutdown, telemetry, tls};

/// The scan worked, but not all of it could be written down; there is no answer for now; or a check found something.
const INCOMPLETE: u8 = 1;
/// The run could not work at all: no cluster, no permission, or wrong settings; or not everything could be checked.
const CANNOT_WORK: u8 = 2;

// A scan waits for others most of its time, and what takes long has threads of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tls::init();
    let Err(error) = start(cli).await else {
        return ExitCode::SUCCESS;
    };
    #[expect(
        clippy::print_stderr,
        reason = "the last word to the person who started us, not a log line"
    )]
    {
        eprintln!("kubefresh-scanner: {error}");
    }
    let is_unwritten = matches!(error.downcast_ref(), Some(RunError::Unwritten(_)));
    let is_unanswered = matches!(
        error.downcast_ref(),
        Some(ExplainError::Registry(_) | ExplainError::Stream(_))
    );
    let is_newer = matches!(error.downcast_ref(), Some(CheckError::Newer { .. }));
    if is_unwritten || is_unanswered || is_newer {
        ExitCode::from(INCOMPLETE)
    } else {
        ExitCode::from(CANNOT_WORK)
    }
}

async fn start(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log.level, cli.log.format)?;
    match cli.command {
        Command::Scan(options) => {
            let stop = shutdown::token()?;
            Ok(run::run(options.settings()?, stop).await?)
        }
        // Nothing has to be finished, so a signal may end it as it ends any other command.
        Command::Explain(options) => Ok(explain::run(*options).await?),
        Command::Check(options) => Ok(check::run(*options).await?),
        Command::Records(options) => Ok(records::run(options).await?),
    }
}
