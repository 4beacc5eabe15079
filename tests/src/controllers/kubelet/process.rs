//! A container that is a real process, in a process group of its own so that nothing it starts outlives it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Takes the lines a process writes.
pub type LineSink = Arc<dyn Fn(&str) + Send + Sync>;

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment; nothing is inherited.
    pub environment: BTreeMap<String, String>,
    /// Its working directory.
    pub directory: PathBuf,
}

/// A running process. Dropping it kills its whole group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    readers: Vec<JoinHandle<()>>,
    is_reaped: bool,
}

/// Output that a dead process's children still hold open is not waited for longer.
const DRAIN: Duration = Duration::from_millis(500);

impl Process {
    /// Starts the program; `lines` gets stdout and stderr.
    pub fn start(program: &Program, lines: &LineSink) -> io::Result<Self> {
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .envs(&program.environment)
            .current_dir(&program.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = group.ok_or_else(|| io::Error::other("the process ended before it could be watched"))?;
        let mut readers = Vec::new();
        readers.extend(
            child
                .stdout
                .take()
                .map(|pipe| read_lines(pipe, Arc::clone(lines))),
        );
        readers.extend(
            child
                .stderr
                .take()
                .map(|pipe| read_lines(pipe, Arc::clone(lines))),
        );
        Ok(Self {
            child,
            group,
            readers,
            is_reaped: false,
        })
    }

    /// The process id, which is the group's too.
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Waits for the end: the exit code, or 128 + the signal's number.
    pub async fn wait(&mut self) -> i32 {
        let status = self.child.wait().await;
        // What the process left behind goes with it, as the rest of a container does.
        self.signal(Signal::KILL);
        self.is_reaped = true;
        for reader in self.readers.drain(..) {
            if tokio::time::timeout(DRAIN, reader).await.is_err() {
                tracing::debug!("a process left its output open");
            }
        }
        status.map_or(137, exit_code)
    }

    /// SIGTERM, then SIGKILL when it has not ended within `grace` of real time.
    pub async fn stop(&mut self, grace: Duration) -> i32 {
        self.signal(Signal::TERM);
        if let Ok(code) = tokio::time::timeout(grace, self.wait()).await {
            return code;
        }
        self.signal(Signal::KILL);
        self.wait().await
    }

    fn signal(&self, signal: Signal) {
        if !self.is_reaped
            && let Err(error) = kill_process_group(self.group, signal)
        {
            tracing::trace!(%error, "the process group was gone already");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Kills the process of this id and its group, at once.
pub fn kill_group(id: i32) {
    if let Some(group) = Pid::from_raw(id)
        && let Err(error) = kill_process_group(group, Signal::KILL)
    {
        tracing::debug!(%error, id, "the process was gone already");
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(137)
}

fn read_lines(pipe: impl AsyncRead + Send + Unpin + 'static, sink: LineSink) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line).await, Ok(count) if count > 0) {
            sink(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
            line.clear();
        }
    })
}

/// The variables every process gets before its own.
pub fn base_environment(hostname: &str, home: &Path) -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_unset| "/usr/local/bin:/usr/bin:/bin".to_owned());
    BTreeMap::from([
        ("PATH".to_owned(), path),
        ("HOSTNAME".to_owned(), hostname.to_owned()),
        ("HOME".to_owned(), home.to_string_lossy().into_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{LineSink, Process, Program};

    fn shell(script: &str) -> (Process, Arc<Mutex<Vec<String>>>) {
        let program = Program {
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: BTreeMap::from([
                ("NAME".into(), "shop".into()),
                ("PATH".into(), "/bin:/usr/bin".into()),
            ]),
            directory: "/".into(),
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let target = Arc::clone(&lines);
        let sink: LineSink = Arc::new(move |line: &str| target.lock().unwrap().push(line.to_owned()));
        (Process::start(&program, &sink).unwrap(), lines)
    }

    async fn until_first_line(lines: &Mutex<Vec<String>>) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while lines.lock().unwrap().is_empty() {
            assert!(Instant::now() < deadline, "the process wrote nothing");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn output_and_exit_code_of_a_process_are_seen() {
        let (mut process, lines) = shell("echo out-$NAME; echo err >&2; exit 3");
        assert_eq!(process.wait().await, 3);
        let mut lines = lines.lock().unwrap().clone();
        lines.sort();
        assert_eq!(lines, ["err", "out-shop"]);
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_killed_after_its_grace() {
        // Both say when their trap is set.
        let cases = [
            ("trap '' TERM", Duration::from_millis(200), 137),
            ("trap 'exit 5' TERM", Duration::from_secs(30), 5),
        ];
        for (trap, grace, code) in cases {
            let (mut process, lines) = shell(&format!("{trap}; echo up; while true; do sleep 0.02; done"));
            until_first_line(&lines).await;
            assert_eq!(process.stop(grace).await, code, "{trap}");
        }
    }

    #[tokio::test]
    async fn dropping_a_process_kills_what_it_has_started() {
        let (process, lines) = shell("sleep 1000 & echo $!; wait");
        until_first_line(&lines).await;
        let child: i32 = lines.lock().unwrap()[0].parse().unwrap();
        drop(process);
        let is_alive = || {
            let status = std::fs::read_to_string(format!("/proc/{child}/stat"));
            status.is_ok_and(|status| !status.contains(") Z "))
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_alive() {
            assert!(
                std::time::Instant::now() < deadline,
                "process {child} is still there"
            );
            tokio::task::yield_now().await;
        }
    }
}
