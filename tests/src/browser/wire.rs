//! How one talks to it: its debugging protocol (`DevTools`) over two pipes, JSON objects that a NUL ends.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long one command may take, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(30);
/// It reads commands from 3 and writes to 4, which a child of ours has no other way to be given.
const START: &str = "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null";
const COMPLAINTS: &str = "stderr";

#[derive(Debug)]
pub(super) struct Wire {
    input: tokio::sync::Mutex<ChildStdin>,
    next: AtomicU64,
    heard: Arc<Mutex<Heard>>,
    profile: std::path::PathBuf,
    _process: Child,
}

/// What it said.
#[derive(Debug, Default)]
struct Heard {
    awaited: HashMap<u64, oneshot::Sender<Value>>,
    /// What happened in a session, by its id.
    events: HashMap<String, Vec<Value>>,
    has_ended: bool,
}

impl Wire {
    /// Starts Chromium with this profile.
    pub(super) fn open(profile: &Path) -> Self {
        let log = std::fs::File::create(profile.join(COMPLAINTS)).unwrap();
        let mut process = Command::new("sh")
            .args(["-c", START, "sh"])
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-first-run",
                "--disable-gpu",
                // A container gives neither the rights that its sandbox needs nor much shared memory. It shows our pages only:
                "--no-sandbox",
                "--disable-dev-shm-usage",
                // there is nobody else to be found.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--disable-background-networking",
                "--disable-component-update",
                "--hide-scrollbars",
                "--lang=en-US",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("there is a shell");
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let heard = Arc::default();
        tokio::spawn(listen(output, Arc::clone(&heard)));
        Self {
            input: tokio::sync::Mutex::new(input),
            next: AtomicU64::new(1),
            heard,
            profile: profile.to_owned(),
            _process: process,
        }
    }

    /// What it answers to a command, or why it does not obey.
    ///
    /// # Panics
    /// When it has ended, or is silent.
    pub(super) async fn ask(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        if !self.lock().has_ended {
            self.lock().awaited.insert(id, answered);
        }
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut line = message.to_string().into_bytes();
        line.push(0);
        // Where it has ended, nobody answers.
        self.input.lock().await.write_all(&line).await.ok();
        let answer = timeout(LIMIT, answer).await;
        let Ok(mut answer) = answer.unwrap_or_else(|_| panic!("{method} is not answered in {LIMIT:?}"))
        else {
            let log = std::fs::read_to_string(self.profile.join(COMPLAINTS)).unwrap_or_default();
            panic!("chromium does not run; is Debian's package `chromium` installed? It said: {log}");
        };
        match answer.get_mut("error") {
            Some(error) => Err(format!("{method}: {error}")),
            None => Ok(answer["result"].take()),
        }
    }

    /// What happened in a session since it was asked for last.
    pub(super) fn events(&self, session: &str) -> Vec<Value> {
        self.lock().events.remove(session).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(output: ChildStdout, heard: Arc<Mutex<Heard>>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let lock = || heard.lock().unwrap_or_else(PoisonError::into_inner);
    while matches!(output.read_until(0, &mut line).await, Ok(count) if count > 0) {
        let message: Value =
            serde_json::from_slice(line.strip_suffix(&[0]).unwrap_or(&line)).unwrap_or_default();
        line.clear();
        if let Some(id) = message["id"].as_u64() {
            if let Some(awaited) = lock().awaited.remove(&id) {
                // Whoever asked may have gone.
                awaited.send(message).ok();
            }
        } else if let Some(session) = message["sessionId"].as_str() {
            lock().events.entry(session.to_owned()).or_default().push(message);
        }
    }
    let mut heard = lock();
    heard.has_ended = true;
    heard.awaited.clear();
}
