//! What a whole scan takes beside the tools of others: `just bench-scan`. `docs/benchmarks.md` keeps what was measured and
//! how.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what cannot be measured ends the measurement, and its result is for whoever asked for it"
)]

mod fixture;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/report.rs"]
mod report;
mod scanner;
mod skopeo;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use sandbox::docker_registry::DockerRegistry;

use fixture::{Shop, TagLists};
use report::{Figure, median};
use scanner::Run;

/// Measures the scanner against Debian's docker-registry, on this machine.
#[derive(Debug, Parser)]
#[command(name = "just bench-scan")]
struct Arguments {
    /// How many repositories the cluster uses.
    #[arg(long, default_value_t = 1000)]
    repositories: usize,
    /// How often wrk and the scanner take turns.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// The scanner to measure, as it is shipped.
    #[arg(long)]
    scanner: PathBuf,
    /// Said by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Requests in flight, of the scanner as of wrk: what the scanner keeps in flight to all registries.
const CONCURRENCY: usize = 16;

/// Tags in each list of the first shop.
const TAGS: usize = 30;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let scanner = &arguments.scanner;
    let registry = DockerRegistry::open().await;
    let mut figures = Vec::new();
    println!("writing {} repositories", arguments.repositories);
    let shop = Shop::open(&registry, "shop", arguments.repositories, TagLists::Own(TAGS)).await;
    figures.extend(speed(scanner, &shop, arguments.rounds).await);
    let long = Shop::open(
        &registry,
        "long",
        arguments.repositories,
        TagLists::Shared(10_000),
    )
    .await;
    figures.push(long_lists(scanner, &long).await);
    let one = Shop::open(&registry, "one", 1, TagLists::Own(TAGS)).await;
    figures.push(start_to_exit(scanner, &one).await);
    report::show(&figures)
}

/// A first scan, then wrk and the scanner in turn.
async fn speed(scanner: &Path, shop: &Shop, rounds: usize) -> Vec<Figure> {
    let first = scanner::run(scanner, shop).await;
    println!("first scan: {}", first.summary);
    let (mut floor, mut asking, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    let (mut memory, mut processor) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let rate = wrk::rate(shop, CONCURRENCY).await;
        let run = scanner::run(scanner, shop).await;
        println!(
            "round {round}: wrk {rate:.0}/s, scanner {:.0}/s while it asks, {:.0}/s from start to exit, {:.1} MB; {}",
            run.rate_of_asking(),
            run.rate(),
            run.megabytes,
            run.summary,
        );
        floor.push(rate);
        asking.push(run.rate_of_asking());
        whole.push(run.rate());
        memory.push(run.megabytes);
        processor.push(run.processor_each());
    }
    let ratios = |rates: &[f64]| median(rates.iter().zip(&floor).map(|(rate, floor)| 100.0 * rate / floor));
    let mut figures = vec![
        Figure::new("wrk, requests a second", median(floor.iter().copied()), "1/s"),
        Figure::new("scanner, while it asks", median(asking.iter().copied()), "1/s"),
        Figure::new("… beside wrk", ratios(&asking), "%").at_least(85.0),
        Figure::new("scanner, start to exit", median(whole.iter().copied()), "1/s"),
        Figure::new("… beside wrk", ratios(&whole), "%"),
        Figure::new("processor time of a request", median(processor), "µs"),
        Figure::new("memory at its peak, first scan", first.megabytes, "MB").at_most(25.0),
        Figure::new(
            "memory at its peak, later scans",
            memory.iter().copied().fold(0.0, f64::max),
            "MB",
        )
        .at_most(25.0),
    ];
    let each = 1000.0 / median(whole.iter().copied());
    figures.extend(skopeo::beside(shop, each).await);
    figures
}

/// The worst of a first scan and one more.
async fn long_lists(scanner: &Path, shop: &Shop) -> Figure {
    let mut most: f64 = 0.0;
    for _ in 0..2 {
        let run = scanner::run(scanner, shop).await;
        println!("lists of 10,000 tags: {:.1} MB; {}", run.megabytes, run.summary);
        most = most.max(run.megabytes);
    }
    Figure::new("memory at its peak, 10,000 tags each", most, "MB").at_most(40.0)
}

async fn start_to_exit(scanner: &Path, shop: &Shop) -> Figure {
    scanner::run(scanner, shop).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let run: Run = scanner::run(scanner, shop).await;
        times.push(1000.0 * run.wall.as_secs_f64());
    }
    Figure::new("one repository, start to exit", median(times), "ms").at_most(60.0)
}
