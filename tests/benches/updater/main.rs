//! What the updater takes in a large cluster: `just bench-updater`. `docs/benchmarks.md` keeps what was measured and how.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what cannot be measured ends the measurement, and its result is for whoever asked for it"
)]

mod fixture;
mod planning;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/report.rs"]
#[expect(dead_code, reason = "the other benchmark asks for more")]
mod report;
mod stalls;
mod updater;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use fixture::Fleet;
use report::{Figure, median};
use stalls::Stalls;
use updater::Updater;

/// Measures the updater on this machine.
#[derive(Debug, Parser)]
#[command(name = "just bench-updater")]
struct Arguments {
    /// How many records are changed, one after the other.
    #[arg(long, default_value_t = 300)]
    changes: usize,
    /// How long nothing happens, in seconds.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// How many workloads the large cluster has.
    #[arg(long, default_value_t = 10_000)]
    large: usize,
    /// The updater to measure, as it is shipped.
    #[arg(long)]
    updater: PathBuf,
    /// Said by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Workloads of the cluster in which records change.
const WORKLOADS: usize = 1000;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut figures = planning::figures(arguments.large);
    figures.extend(large(&arguments.updater, arguments.large).await);
    let idle = Duration::from_secs(arguments.idle);
    figures.extend(changes(&arguments.updater, arguments.changes.min(WORKLOADS), idle).await);
    report::show(&figures)
}

/// How long it takes to see a large cluster, and how much memory.
async fn large(program: &Path, workloads: usize) -> Vec<Figure> {
    println!("writing {workloads} workloads and their records");
    let fleet = Fleet::new(workloads).await;
    let mut times = Vec::new();
    let mut memory: f64 = 0.0;
    for _ in 0..3 {
        let updater = Updater::start(program, &fleet).await;
        println!(
            "{workloads} workloads: synced after {:.2} s, {:.1} MB",
            updater.synced.as_secs_f64(),
            updater.peak()
        );
        // The first look is at everything.
        tokio::time::sleep(Duration::from_secs(2)).await;
        times.push(updater.synced.as_secs_f64());
        memory = memory.max(updater.peak());
        updater.stop().await;
    }
    vec![
        Figure::new(
            &format!("start to synced, {workloads} workloads"),
            median(times),
            "s",
        )
        .at_most(5.0),
        Figure::new(
            &format!("memory at its peak, {workloads} workloads"),
            memory,
            "MB",
        )
        .at_most(120.0),
    ]
}

/// Nothing happens for a while, and then one record after the other offers something newer.
async fn changes(program: &Path, changes: usize, idle: Duration) -> Vec<Figure> {
    let fleet = Fleet::new(WORKLOADS).await;
    let updater = Updater::start(program, &fleet).await;
    updater.leads(&fleet).await;
    fleet.cluster.api.clear_requests();
    tokio::time::sleep(idle).await;
    let besides = fleet.requests_besides_watches_and_lease();
    println!(
        "idle for {idle:?}: {} requests besides watches and the lease",
        besides.len()
    );
    let stalls = Stalls::watch();
    let (mut latencies, mut held_up) = (Vec::new(), Vec::new());
    for number in 0..changes {
        stalls.take_longest();
        latencies.push(1000.0 * fleet.offer(number).await.as_secs_f64());
        held_up.push(stalls.take_longest());
        // As records change in a scan: one after the other, and not in step with the updater's looks.
        tokio::time::sleep(Duration::from_millis(250 + 37 * (number as u64 % 7))).await;
    }
    let memory = updater.peak();
    updater.stop().await;
    vec![
        Figure::new(
            "requests while nothing happens",
            f64::from(u32::try_from(besides.len()).unwrap()),
            "",
        )
        .at_most(0.0),
        Figure::new(
            "record change to patch, median",
            median(latencies.iter().copied()),
            "ms",
        ),
        Figure::new(
            "record change to patch, 99 of 100",
            percentile(&latencies, 99),
            "ms",
        )
        .at_most(150.0),
        Figure::new(
            "a timer of 1 ms beside it is late, 99 of 100",
            percentile(&held_up, 99),
            "ms",
        ),
        Figure::new(
            &format!("memory at its peak, {WORKLOADS} workloads"),
            memory,
            "MB",
        )
        .at_most(30.0),
    ]
}

/// The one that so many of a hundred do not exceed.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
