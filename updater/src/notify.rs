//! Tells people: each notice is an Event on its workload, and a line in the log.
//!
//! The Event is named by what it speaks of, so the API server refuses to have it told twice, by whomever. What is told
//! is remembered while it is current, to spare the question.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use shared::domain::notice::{Notice, NoticeReason};
use shared::domain::ownership::FIELD_MANAGER;
use shared::io::client::explain;
use shared::io::clock;
use tokio::time::{Instant, timeout};

use crate::answer::{Failure, failure};
use crate::leader::Leadership;
use crate::metrics::{Metrics, NoticeResult};
use crate::retry::Retries;

/// Who reports, as `kubectl get events -o wide` shows it.
const CONTROLLER: &str = "kubefresh.dev/updater";
/// How long an instance's name may be: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.
const INSTANCE_LENGTH: usize = 128;
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Tells notices, each once.
pub struct Notifier {
    client: Client,
    leadership: Leadership,
    /// Our pod's name.
    instance: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Names of Events that are there, or will never be.
    settled: BTreeSet<String>,
    retries: Retries<String>,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Notifier {
    pub fn new(client: Client, leadership: Leadership, pod: &str) -> Self {
        let instance = pod.chars().take(INSTANCE_LENGTH).collect();
        Self {
            client,
            leadership,
            instance,
            state: Mutex::default(),
        }
    }

    /// Tells those that are not told yet. Whether all are settled: told, or refused for good.
    pub async fn tell(&self, notices: &[Notice], metrics: &Metrics) -> bool {
        let mut all = true;
        for notice in notices {
            all &= self.tell_one(notice, metrics).await;
        }
        all
    }

    /// Forgets notices that are no longer current.
    pub fn prune<'a>(&self, current: impl IntoIterator<Item = &'a Notice>) {
        let current: BTreeSet<String> = current.into_iter().map(Notice::event_name).collect();
        let mut state = self.state();
        state.settled.retain(|name| current.contains(name));
        state.retries.retain(|name| current.contains(name));
    }

    /// When to look again, after a look at `now`, for the sake of a notice that has to be tried again.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.state().retries.next(now)
    }

    async fn tell_one(&self, notice: &Notice, metrics: &Metrics) -> bool {
        let name = notice.event_name();
        {
            let state = self.state();
            if state.settled.contains(&name) {
                return true;
            }
            if !state.retries.is_due(&name, Instant::now()) {
                return false;
            }
        }
        if !self.leadership.may_act() {
            return false;
        }
        let api: Api<Event> = Api::namespaced(self.client.clone(), &notice.workload.namespace);
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        // The moment of telling, not of the look: two notices of one look come in their order.
        let event = event(notice, &name, &self.instance, clock::now());
        let (result, problem) = match timeout(CALL_LIMIT, api.create(&parameters, &event)).await {
            Ok(Ok(_)) => (NoticeResult::Told, None),
            Ok(Err(error)) => (
                failure(&error).into(),
                Some(explain("telling it as an Event", &error)),
            ),
            Err(_) => (
                NoticeResult::Failed,
                Some(format!("no answer within {CALL_LIMIT:?}")),
            ),
        };
        metrics.noticed(notice.reason.into(), result);
        log(notice, result, problem.as_deref());
        let mut state = self.state();
        match result {
            NoticeResult::Told | NoticeResult::AlreadyTold | NoticeResult::Refused => {
                state.retries.succeeded(&name);
                state.settled.insert(name);
                true
            }
            NoticeResult::Failed => {
                state.retries.failed(&name, Instant::now());
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Failure> for NoticeResult {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::AlreadyExists => Self::AlreadyTold,
            Failure::Refused => Self::Refused,
            Failure::Conflict | Failure::Unknown => Self::Failed,
        }
    }
}

/// The log line: the notice itself, and beneath it what was the matter with the Event.
fn log(notice: &Notice, result: NoticeResult, problem: Option<&str>) {
    let (workload, reason, note) = (&notice.workload, notice.reason, notice.note.as_str());
    let severity: &str = notice.severity.into();
    match result {
        NoticeResult::Told => tracing::info!(%workload, %reason, severity, note, "notice"),
        NoticeResult::AlreadyTold => tracing::debug!(%workload, %reason, note, "notice told before"),
        NoticeResult::Refused => {
            tracing::warn!(%workload, %reason, severity, note, problem, "notice without an Event");
        }
        NoticeResult::Failed => {
            tracing::warn!(%workload, %reason, note, problem, "notice not told yet; trying again later");
        }
    }
}

/// What the updater was doing, as the Event says it.
fn action(reason: NoticeReason) -> &'static str {
    match reason {
        NoticeReason::UpdateAvailable | NoticeReason::InvalidSettings | NoticeReason::InvalidRecord => {
            "Check"
        }
        NoticeReason::UpdateStarted
        | NoticeReason::ImageUpdated
        | NoticeReason::RolloutFailed
        | NoticeReason::UpdateSuperseded => "Update",
        NoticeReason::RollbackRequested
        | NoticeReason::RolledBack
        | NoticeReason::RollbackFailed
        | NoticeReason::RollbackRefused => "Rollback",
        NoticeReason::UpdateHeld => "Hold",
    }
}

fn event(notice: &Notice, name: &str, instance: &str, now: Timestamp) -> Event {
    let workload = &notice.workload;
    let severity: &str = notice.severity.into();
    Event {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(workload.namespace.clone()),
            ..ObjectMeta::default()
        },
        regarding: Some(ObjectReference {
            api_version: Some(workload.kind.api_version().to_owned()),
            kind: Some(workload.kind.to_string()),
            namespace: Some(workload.namespace.clone()),
            name: Some(workload.name.clone()),
            uid: Some(notice.uid.clone()),
            ..ObjectReference::default()
        }),
        type_: Some(severity.to_owned()),
        reason: Some(notice.reason.to_string()),
        action: Some(action(notice.reason).to_owned()),
        note: Some(notice.note.clone()),
        event_time: Some(MicroTime(now)),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    }
}
