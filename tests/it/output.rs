//! What a program that has ended has printed, and what one that runs says.

use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// A program that runs, and its log so far.
pub(crate) struct Heard {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    listening: JoinHandle<()>,
}

impl Heard {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let heard = log.clone();
        let listening = tokio::spawn(async move {
            let mut part = vec![0; 1 << 16];
            while let read @ 1.. = stderr.read(&mut part).await.unwrap() {
                heard.lock().unwrap().extend_from_slice(&part[..read]);
            }
        });
        Self {
            child,
            log,
            listening,
        }
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// Ends it, and returns all that it said.
    pub(crate) async fn kill(mut self) -> String {
        self.child.kill().await.unwrap();
        (&mut self.listening).await.unwrap();
        self.said()
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one object that was printed, of a run with this exit code.
pub(crate) fn object(output: &Output, exit_code: i32) -> Value {
    assert_eq!(output.status.code(), Some(exit_code), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}
