//! `cargo demo`: see `sandbox::demo`.

use std::process::ExitCode;

use clap::Parser;

/// Shows the whole way from a registry to a finished rollout, in a sandbox inside this process.
///
/// An embedded Kubernetes API server with its controllers and kubelet, and an image registry, run the unchanged
/// kubefresh-scanner and kubefresh-updater from the manifests of deploy/. Needs no cluster, no Docker and no network.
#[derive(Debug, Parser)]
#[command(name = "cargo demo --", version)]
struct Arguments {
    /// Keep the cluster running afterwards and say how kubectl gets to it.
    #[arg(long)]
    serve: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match sandbox::demo::story::tell(arguments.serve).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("\nthe demo did not come true: {error:#}");
            ExitCode::FAILURE
        }
    }
}
