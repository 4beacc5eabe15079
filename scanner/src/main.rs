//! `kubefresh-scanner`: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use scanner::cli::{Cli, Command};
use scanner::run;
use shared::io::{shutdown, telemetry, tls};

/// The run could not work at all: no cluster, no permission, or wrong settings.
const CANNOT_WORK: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    tls::init();
    match start(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(
                clippy::print_stderr,
                reason = "the last word to the person who started us, not a log line"
            )]
            {
                eprintln!("kubefresh-scanner: {error}");
            }
            ExitCode::from(CANNOT_WORK)
        }
    }
}

async fn start(cli: Cli) -> anyhow::Result<()> {
    telemetry::init(&cli.log.level, cli.log.format)?;
    let stop = shutdown::token()?;
    match cli.command {
        Command::Scan(options) => Ok(run::run(options.settings()?, stop).await?),
    }
}
