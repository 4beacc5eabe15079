//! A container that only pretends: it becomes ready and ends when its image's labels say so.

use std::time::Duration;

use super::behaviour::Behaviour;
use super::container_worker::ContainerWorker;

/// How long a simulated container takes to shut down, in sandbox time.
const SHUTDOWN: Duration = Duration::from_millis(500);

/// Plays the container until its end: exit code and last words.
pub(super) async fn run(worker: &ContainerWorker, behaviour: &Behaviour) -> (i32, String) {
    let clock = worker.board.node.clock;
    let end = async {
        match &behaviour.exit {
            Some(exit) => {
                clock.sleep(exit.after).await;
                (exit.code, exit.message.clone())
            }
            None => std::future::pending().await,
        }
    };
    let ready = async {
        if let Some(delay) = behaviour.ready_after {
            clock.sleep(delay).await;
            worker.set_readiness(true, true);
        }
        std::future::pending::<()>().await;
    };
    worker.set_readiness(true, false);
    tokio::select! {
        (code, message) = end => {
            if !message.is_empty() {
                let board = &worker.board;
                let name = worker.spec["name"].as_str().unwrap_or_default();
                board.node.options.logs.append(board.namespace(), board.name(), name, &message);
            }
            (code, message)
        }
        () = ready => unreachable!("the readiness of a container never ends it"),
        () = worker.stop.cancelled() => {
            clock.sleep(SHUTDOWN).await;
            (0, String::new())
        }
    }
}
