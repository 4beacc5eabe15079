//! `kubefresh-scanner`: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use scanner::cli::{Cli, Command};
use scanner::run::{self, RunError};
use shared::io::{shutdown, telemetry, tls};

/// The scan worked, but not all of it could be written down.
const INCOMPLETE: u8 = 1;
/// The run could not work at all: no cluster, no permission, or wrong settings.
const CANNOT_WORK: u8 = 2;

#[tokio::main]
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
    match error.downcast_ref() {
        Some(RunError::Unwritten(_)) => ExitCode::from(INCOMPLETE),
        _ => ExitCode::from(CANNOT_WORK),
    }
}

async fn start(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log.level, cli.log.format)?;
    let stop = shutdown::token()?;
    match cli.command {
        Command::Scan(options) => Ok(run::run(options.settings()?, stop).await?),
    }
}
