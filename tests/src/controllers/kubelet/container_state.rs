//! What the kubelet knows of one container, and how it tells the API.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::rfc3339_seconds;

/// The state of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not running: `ContainerCreating`, `ImagePullBackOff`, `CrashLoopBackOff`, …
    Waiting {
        /// One word.
        reason: String,
        /// A sentence; may be empty.
        message: String,
    },
    /// Running since.
    Running(Timestamp),
    /// Ended.
    Terminated(Terminated),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminated {
    /// 128 + signal when killed.
    pub exit_code: i32,
    /// Start of this instance.
    pub started: Timestamp,
    /// Its end.
    pub finished: Timestamp,
    /// Last words; may be empty.
    pub message: String,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRecord {
    /// Name in the pod.
    pub name: String,
    /// Image as the manifest writes it.
    pub image: String,
    /// `REPOSITORY@sha256:…` once pulled.
    pub image_id: String,
    /// Now.
    pub state: State,
    /// The end of the previous instance.
    pub last: Option<Terminated>,
    /// Starts after the first one.
    pub restarts: u32,
    /// Passes its readiness probe.
    pub ready: bool,
    /// Passed its startup probe.
    pub started: bool,
    /// Identity of the instance; empty before the first start.
    pub container_id: String,
}

impl ContainerRecord {
    /// A container that has not been looked at.
    pub fn new(spec: &Value, reason: &str) -> Self {
        let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            image: text("image"),
            image_id: String::new(),
            state: State::Waiting {
                reason: reason.to_owned(),
                message: String::new(),
            },
            last: None,
            restarts: 0,
            ready: false,
            started: false,
            container_id: String::new(),
        }
    }

    /// The entry of `status.containerStatuses`.
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "name": self.name,
            "image": self.image,
            "imageID": self.image_id,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state.to_value(&self.container_id),
            "lastState": {},
        });
        if !self.container_id.is_empty() {
            status["containerID"] = json!(self.container_id);
        }
        if let Some(last) = &self.last {
            status["lastState"] = last.to_value(&self.container_id);
        }
        status
    }
}

impl State {
    fn to_value(&self, container_id: &str) -> Value {
        match self {
            Self::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
            Self::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            Self::Running(since) => json!({"running": {"startedAt": rfc3339_seconds(*since)}}),
            Self::Terminated(end) => end.to_value(container_id),
        }
    }
}

impl Terminated {
    fn to_value(&self, container_id: &str) -> Value {
        let reason = if self.exit_code == 0 { "Completed" } else { "Error" };
        let mut state = json!({
            "exitCode": self.exit_code,
            "reason": reason,
            "startedAt": rfc3339_seconds(self.started),
            "finishedAt": rfc3339_seconds(self.finished),
            "containerID": container_id,
        });
        if !self.message.is_empty() {
            state["message"] = json!(self.message);
        }
        json!({ "terminated": state })
    }
}
