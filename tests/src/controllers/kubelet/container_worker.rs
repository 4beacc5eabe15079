//! The life of one container: image, configuration, run, back-off, again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::back_off::{go_duration, pause_after};
use super::behaviour::{Behaviour, Role};
use super::board::{Board, Slot};
use super::container_state::{State, Terminated};
use super::images::{ImageProblem, login_of_pod};
use super::prepare_program::{PreparedProgram, prepare};
use super::{run_program, run_simulated};
use crate::apiserver::strategy::new_uid;
use crate::controllers::events::Severity;

/// An instance that ran this long has proven itself: its next crash is counted as the first.
const PROVEN: Duration = Duration::from_mins(10);
/// The kubelet looks at its pods about once a second.
const SYNC: Duration = Duration::from_secs(1);

/// What a container runs.
#[derive(Debug)]
enum Body {
    Simulated(Behaviour),
    Program(PreparedProgram),
}

/// The task of one container.
#[derive(Clone, Debug)]
pub struct ContainerWorker {
    /// The pod.
    pub board: Arc<Board>,
    /// The container's place in it.
    pub slot: Slot,
    /// Its specification.
    pub spec: Value,
    /// What it is for.
    pub role: Role,
    /// `Always`, `OnFailure`, `Never`.
    pub restart_policy: String,
    /// Told to end.
    pub stop: CancellationToken,
    /// Real time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl ContainerWorker {
    /// Runs until it ends for good; the last exit code, or `None` when it was stopped.
    pub async fn run(self) -> Option<i32> {
        let mut crashes = 0;
        loop {
            let body = self.prepare().await?;
            let end = self.run_once(body).await;
            let ran_for = Duration::try_from(end.finished.duration_since(end.started)).unwrap_or_default();
            let code = end.exit_code;
            self.board.update(self.slot, |record| {
                record.state = State::Terminated(end);
                // An init container that has done its work counts as ready.
                record.ready = matches!(self.slot, Slot::Init(_)) && code == 0;
                record.started = false;
            });
            if self.stop.is_cancelled() {
                return None;
            }
            let restarts = match self.restart_policy.as_str() {
                "Never" => false,
                "OnFailure" => code != 0,
                _ => true,
            };
            if !restarts {
                return Some(code);
            }
            crashes = if ran_for > PROVEN { 1 } else { crashes + 1 };
            self.pause_before_restart(crashes).await?;
        }
    }

    /// Sleeps in sandbox time; `None` when told to end meanwhile.
    async fn sleep(&self, duration: Duration) -> Option<()> {
        tokio::select! {
            () = self.stop.cancelled() => None,
            () = self.board.node.clock.sleep(duration) => Some(()),
        }
    }

    fn name(&self) -> &str {
        self.spec["name"].as_str().unwrap_or_default()
    }

    fn image(&self) -> &str {
        self.spec["image"].as_str().unwrap_or_default()
    }

    fn event(&self, severity: Severity, reason: &str, message: &str) {
        self.board.node.event(&self.board.pod, severity, reason, message);
    }

    fn wait_with(&self, reason: &str, message: &str) {
        self.board.update(self.slot, |record| {
            let before = std::mem::replace(
                &mut record.state,
                State::Waiting {
                    reason: reason.to_owned(),
                    message: message.to_owned(),
                },
            );
            if let State::Terminated(end) = before {
                record.last = Some(end);
            }
        });
    }

    /// The first restart comes at once, later ones after a growing pause.
    async fn pause_before_restart(&self, crashes: u32) -> Option<()> {
        self.sleep(SYNC).await?;
        if crashes < 2 {
            return Some(());
        }
        let pause = pause_after(crashes - 1);
        let (pod, namespace, uid) = (self.board.name(), self.board.namespace(), self.board.uid());
        let what = format!(
            "restarting failed container={} pod={pod}_{namespace}({uid})",
            self.name()
        );
        self.wait_with(
            "CrashLoopBackOff",
            &format!("back-off {} {what}", go_duration(pause)),
        );
        let message = format!(
            "Back-off restarting failed container {} in pod {pod}_{namespace}({uid})",
            self.name()
        );
        self.event(Severity::Warning, "BackOff", &message);
        self.sleep(pause).await
    }

    /// Gets image and configuration, however long it takes.
    async fn prepare(&self) -> Option<Body> {
        let mut failures = 0;
        loop {
            let problem = match self.try_prepare().await {
                Ok(body) => return Some(body),
                Err(problem) => problem,
            };
            failures += 1;
            match problem {
                Problem::Image(ImageProblem::Pull(error)) => {
                    self.report_pull(&error.to_string(), failures).await?;
                }
                Problem::Image(ImageProblem::InvalidName(message)) => {
                    self.wait_with("InvalidImageName", &message);
                    self.event(Severity::Warning, "InspectFailed", &message);
                    self.event(Severity::Warning, "Failed", "Error: InvalidImageName");
                    self.sleep(pause_after(failures)).await?;
                }
                Problem::Image(ImageProblem::NeverPull(message)) => {
                    self.wait_with("ErrImageNeverPull", &message);
                    self.event(Severity::Warning, "ErrImageNeverPull", &message);
                    self.event(Severity::Warning, "Failed", "Error: ErrImageNeverPull");
                    self.sleep(pause_after(failures)).await?;
                }
                Problem::Config(message) => {
                    self.wait_with("CreateContainerConfigError", &message);
                    self.event(Severity::Warning, "Failed", &format!("Error: {message}"));
                    self.sleep(SYNC * 2).await?;
                }
            }
        }
    }

    async fn report_pull(&self, error: &str, failures: u32) -> Option<()> {
        let image = self.image();
        self.wait_with("ErrImagePull", error);
        self.event(
            Severity::Warning,
            "Failed",
            &format!("Failed to pull image {image:?}: {error}"),
        );
        self.event(Severity::Warning, "Failed", "Error: ErrImagePull");
        self.sleep(SYNC).await?;
        let message = format!("Back-off pulling image {image:?}: ErrImagePull: {error}");
        self.wait_with("ImagePullBackOff", &message);
        self.event(
            Severity::Normal,
            "BackOff",
            &format!("Back-off pulling image {image:?}"),
        );
        self.event(Severity::Warning, "Failed", "Error: ImagePullBackOff");
        self.sleep(pause_after(failures)).await
    }

    async fn try_prepare(&self) -> Result<Body, Problem> {
        let (node, image) = (&self.board.node, self.image());
        if let Some(path) = node.program_of(image) {
            let program =
                prepare(&self.board, &self.spec, path).map_err(|problem| Problem::Config(problem.0))?;
            self.event(
                Severity::Normal,
                "Pulled",
                &format!("Container image {image:?} already present on machine"),
            );
            self.board
                .update(self.slot, |record| record.image_id.clone_from(&program.image_id));
            return Ok(Body::Program(program));
        }
        let policy = self.pull_policy();
        let login = login_of_pod(&node.store, &self.board.pod, image);
        if policy == "Always" || self.board.container(self.slot).image_id.is_empty() {
            self.event(Severity::Normal, "Pulling", &format!("Pulling image {image:?}"));
        }
        let started = self.board.now();
        let available = node
            .images
            .ensure(image, policy, login.as_ref())
            .await
            .map_err(Problem::Image)?;
        let message = if available.was_present {
            format!("Container image {image:?} already present on machine")
        } else {
            let took = self.board.now().duration_since(started).as_millis();
            format!("Successfully pulled image {image:?} in {took}ms ({took}ms including waiting).")
        };
        self.event(Severity::Normal, "Pulled", &message);
        self.board.update(self.slot, |record| {
            record.image_id.clone_from(&available.image.image_id);
        });
        self.check_configuration().map_err(Problem::Config)?;
        Ok(Body::Simulated(Behaviour::from_labels(
            &available.image.labels,
            self.role,
        )))
    }

    fn pull_policy(&self) -> &str {
        let is_moving =
            super::image_name::ImageName::parse(self.image()).is_some_and(|name| name.is_moving());
        let default = if is_moving { "Always" } else { "IfNotPresent" };
        self.spec["imagePullPolicy"].as_str().unwrap_or(default)
    }

    /// A simulated container has no environment, but a missing `ConfigMap` still keeps it from starting.
    fn check_configuration(&self) -> Result<(), String> {
        let lookup = super::node::NamespaceLookup {
            store: &self.board.node.store,
            namespace: self.board.namespace(),
        };
        let resolved = super::environment::resolve(&self.board.pod, &self.spec, &lookup);
        resolved.map(|_variables| ()).map_err(|problem| problem.0)
    }

    async fn run_once(&self, body: Body) -> Terminated {
        let started = self.board.now();
        let name = self.name();
        self.board
            .node
            .options
            .logs
            .start(self.board.namespace(), self.board.name(), name);
        self.event(Severity::Normal, "Created", &format!("Created container: {name}"));
        self.board.update(self.slot, |record| {
            if let State::Terminated(end) = &record.state {
                record.last = Some(end.clone());
            }
            if !record.container_id.is_empty() {
                record.restarts += 1;
            }
            record.container_id = format!("containerd://{}", new_uid().replace('-', ""));
            record.state = State::Running(started);
        });
        self.event(Severity::Normal, "Started", &format!("Started container {name}"));
        let (exit_code, message) = match body {
            Body::Simulated(behaviour) => run_simulated::run(self, &behaviour).await,
            Body::Program(program) => (run_program::run(self, program).await, String::new()),
        };
        Terminated {
            exit_code,
            started,
            finished: self.board.now(),
            message,
        }
    }

    /// Notes what probes or time have brought about.
    pub(super) fn set_readiness(&self, started: bool, ready: bool) {
        // `started` and `ready` of an init container mean a sidecar, which only a restart policy makes.
        let counts = matches!(self.slot, Slot::Main(_)) || self.spec["restartPolicy"] == "Always";
        if counts {
            self.board.update(self.slot, |record| {
                (record.started, record.ready) = (started, ready);
            });
        }
    }
}

enum Problem {
    Image(ImageProblem),
    Config(String),
}
