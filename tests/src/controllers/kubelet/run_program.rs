//! A container that is a real process: started, probed, stopped.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::container_worker::ContainerWorker;
use super::prepare_program::PreparedProgram;
use super::probes::{Finding, Probes};
use super::process::{LineSink, Process};
use crate::controllers::events::Severity;

/// The exit code of a container whose program cannot be started.
const CANNOT_START: i32 = 128;

/// Runs the process to its end and returns its exit code.
pub(super) async fn run(worker: &ContainerWorker, prepared: PreparedProgram) -> i32 {
    let board = &worker.board;
    let (namespace, pod) = (board.namespace().to_owned(), board.name().to_owned());
    let container = worker.spec["name"].as_str().unwrap_or_default().to_owned();
    let sink: LineSink = {
        let (logs, namespace, pod, container) = (
            board.node.options.logs.clone(),
            namespace.clone(),
            pod.clone(),
            container.clone(),
        );
        Arc::new(move |line: &str| logs.append(&namespace, &pod, &container, line))
    };
    let mut process = match Process::start(&prepared.program, &sink) {
        Ok(process) => process,
        Err(error) => {
            let message = format!(
                "Error: failed to start {}: {error}",
                prepared.program.path.display()
            );
            sink(&message);
            board
                .node
                .event(&board.pod, Severity::Warning, "Failed", &message);
            return CANNOT_START;
        }
    };
    board
        .node
        .process_started(&namespace, &pod, &container, process.id());
    let code = attend(worker, &mut process).await;
    board.node.process_ended(&namespace, &pod, &container);
    code
}

async fn attend(worker: &ContainerWorker, process: &mut Process) -> i32 {
    let board = &worker.board;
    let address = board.pod["status"]["podIP"].as_str().unwrap_or_default();
    let probes = Probes::of(&worker.spec, address);
    let (sender, mut findings) = mpsc::channel(16);
    let probing = probes.run(board.node.clock, board.node.http.clone(), sender);
    tokio::pin!(probing);
    let mut is_probing = true;
    let mut is_ready = false;
    worker.set_readiness(false, false);
    loop {
        tokio::select! {
            code = process.wait() => return code,
            () = worker.stop.cancelled() => return process.stop(worker.grace).await,
            () = &mut probing, if is_probing => is_probing = false,
            Some(finding) = findings.recv() => match finding {
                Finding::Started => worker.set_readiness(true, is_ready),
                Finding::Ready(verdict) if verdict != is_ready => {
                    is_ready = verdict;
                    worker.set_readiness(true, verdict);
                }
                Finding::Ready(_) => {}
                Finding::Unhealthy(message) => {
                    board.node.event(&board.pod, Severity::Warning, "Unhealthy", &message);
                }
                Finding::Kill(probe) => {
                    let name = worker.spec["name"].as_str().unwrap_or_default();
                    let message = format!("Container {name} failed {probe} probe, will be restarted");
                    board.node.event(&board.pod, Severity::Normal, "Killing", &message);
                    return process.stop(worker.grace).await;
                }
            },
        }
    }
}
