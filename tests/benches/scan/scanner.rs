//! One run of the real scanner, as the Job runs it, and what it took.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::fixture::Shop;
use crate::process::peak;

/// What was measured of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// From its start to its exit.
    pub(crate) wall: Duration,
    /// From its first request to a registry to its last repository.
    asking: Duration,
    requests: f64,
    /// Processor time, in milliseconds.
    processor: f64,
    /// Resident memory at its peak.
    pub(crate) megabytes: f64,
    /// Its own last line.
    pub(crate) summary: String,
}

impl Run {
    /// Requests a second from its start to its exit.
    pub(crate) fn rate(&self) -> f64 {
        self.requests / self.wall.as_secs_f64()
    }

    /// Processor time for each request, in microseconds.
    pub(crate) fn processor_each(&self) -> f64 {
        1000.0 * self.processor / self.requests
    }

    /// Requests a second while it asked.
    pub(crate) fn rate_of_asking(&self) -> f64 {
        self.requests / self.asking.as_secs_f64()
    }
}

/// How often the memory is looked at, which takes from the processors that are measured. What is read is the highest there
/// has been, so only what is taken after the last look is missed, when all that is left to do is to end.
const LOOK: Duration = Duration::from_millis(20);

/// Scans the shop once, with the settings of its registry.
pub(crate) async fn run(program: &Path, shop: &Shop) -> Run {
    let kubeconfig = shop
        .cluster
        .kubeconfig_file(Some(("kubefresh", "kubefresh-scanner")));
    // Not a pipe: to read each line as it comes would take from the processors, too.
    let log = tempfile::NamedTempFile::new().unwrap();
    let started = Instant::now();
    let mut child = Command::new(program)
        .arg("scan")
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", "kubefresh")
        .env("REGISTRIES_FILE", &shop.registries_file)
        .stdout(Stdio::piped())
        .stderr(log.reopen().unwrap())
        .kill_on_drop(true)
        .spawn()
        .expect("the scanner starts");
    let id = child.id().expect("it runs");
    let mut stdout = child.stdout.take().unwrap();
    let mut result = String::new();
    let (mut most, mut processor) = (0.0_f64, 0.0_f64);
    let watched = async {
        loop {
            tokio::select! {
                status = child.wait() => return (status.unwrap(), started.elapsed()),
                () = tokio::time::sleep(LOOK) => {
                    most = most.max(peak(id).unwrap_or_default());
                    processor = processor.max(processor_time(id).unwrap_or_default());
                }
            }
        }
    };
    let ((status, wall), _) = tokio::join!(watched, stdout.read_to_string(&mut result));
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(status.success(), "{status}\n{log}");
    let summary = result.lines().last().unwrap_or_default().to_owned();
    let asked = format!("scanned {0} of {0} repositories", shop.repositories.len());
    assert!(summary.starts_with(&asked), "{summary}\n{log}");
    Run {
        wall,
        asking: asking(&log).expect("its log says when it asked"),
        requests: requests(&summary).expect("it says how many requests it sent"),
        processor,
        megabytes: most,
        summary,
    }
}

/// What a process has had of the processors so far, in milliseconds. Linux counts in hundredths of a second.
fn processor_time(id: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = status.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let (user, system): (f64, f64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    Some(10.0 * (user + system))
}

/// From the line that announces the questions to the one that ends them.
fn asking(log: &str) -> Option<Duration> {
    let times: Vec<(String, Timestamp)> = log
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let at: Timestamp = line["timestamp"].as_str()?.parse().ok()?;
            Some((line["message"].as_str()?.to_owned(), at))
        })
        .collect();
    let (_, first) = times
        .iter()
        .find(|(message, _)| message == "asking the registries")?;
    let (_, last) = times
        .iter()
        .find(|(message, _)| message == "asked the registries")?;
    last.duration_since(*first).try_into().ok()
}

/// The number before the words in `…, 1000 registry requests, …`.
fn requests(summary: &str) -> Option<f64> {
    let (before, _) = summary.split_once(" registry request")?;
    before.rsplit(' ').next()?.parse().ok()
}
