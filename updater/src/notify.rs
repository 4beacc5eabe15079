//! Tells people: each notice is an Event on its workload, and a line in the log.
//!
//! The Event is named by what it speaks of, so the API server refuses to have it told twice, by whomever. What is told
//! is remembered while it is current, to spare the question. What cannot be told holds up the end of what it speaks of for a while, and
//! is told later then, from memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::{Api, Client};
use shared::domain::notice::{Notice, NoticeReason};
use shared::domain::ownership::FIELD_MANAGER;
use shared::io::client::explain;
use shared::io::clock;
use tokio::time::{Instant, timeout};

use crate::answer::{Failure, failure};
use crate::api;
use crate::leader::Leadership;
use crate::metrics::{Metrics, NoticeResult};
use crate::retry::Retries;

/// Who reports, as `kubectl get events -o wide` shows it.
const CONTROLLER: &str = "kubefresh.dev/updater";
/// How long an instance's name may be: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.
const INSTANCE_LENGTH: usize = 128;
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// How many notices are kept that could not be told in time.
const MOST_LATE: usize = 500;

/// Tells notices, each once.
pub struct Notifier {
    client: Client,
    leadership: Leadership,
    /// Our pod's name.
    instance: String,
    /// How long ends wait for what cannot be told.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Names of Events that are there, or will never be.
    settled: BTreeSet<String>,
    /// What ended without being told, by the name of its Event.
    late: BTreeMap<String, Notice>,
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
    pub fn new(client: Client, leadership: Leadership, pod: &str, patience: Duration) -> Self {
        let instance = pod.chars().take(INSTANCE_LENGTH).collect();
        Self {
            client,
            leadership,
            instance,
            patience,
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

    /// Tells what ends with what the assessment asks for, like [`tell`](Self::tell). Whether it may end: all is settled, or was tried for
    /// as long as anybody should wait. Then it is kept in memory.
    pub async fn tell_before_the_end(&self, notices: &[Notice], metrics: &Metrics) -> bool {
        self.tell(notices, metrics).await;
        if !self.may_end(notices) {
            return false;
        }
        for notice in self.untold(notices) {
            self.postpone(notice, metrics);
        }
        true
    }

    /// Whether all of them are settled.
    pub fn has_told(&self, notices: &[Notice]) -> bool {
        self.untold(notices).is_empty()
    }

    /// Whether what they tell of may end: all are settled, or could not be told for too long.
    pub fn may_end(&self, notices: &[Notice]) -> bool {
        let untold = self.untold(notices);
        let now = Instant::now();
        // One that fails longer than it should speaks for what comes after it: it is the same server.
        let is_overdue = |notice: &&Notice| {
            let name = notice.event_name();
            self.state().retries.is_overdue(&name, self.patience, now)
        };
        untold.is_empty() || (self.leadership.may_act() && untold.iter().any(is_overdue))
    }

    /// Whether there is one that can be told now.
    pub fn has_to_tell(&self, notices: &[Notice]) -> bool {
        self.untold(notices).into_iter().any(|notice| self.is_due(notice))
    }

    /// How often in a row the one was tried that failed most.
    pub fn failures(&self, notices: &[Notice]) -> u32 {
        let state = self.state();
        let names = notices.iter().map(Notice::event_name);
        names
            .map(|name| state.retries.failures(&name))
            .max()
            .unwrap_or_default()
    }

    fn untold<'a>(&self, notices: &'a [Notice]) -> Vec<&'a Notice> {
        let state = self.state();
        let untold = notices
            .iter()
            .filter(|notice| !state.settled.contains(&notice.event_name()));
        untold.collect()
    }

    fn postpone(&self, notice: &Notice, metrics: &Metrics) {
        let name = notice.event_name();
        let mut state = self.state();
        if state.late.contains_key(&name) {
            return;
        }
        let result = if state.late.len() < MOST_LATE {
            state.late.insert(name, notice.clone());
            NoticeResult::Postponed
        } else {
            NoticeResult::Dropped
        };
        metrics.noticed(notice.reason.into(), result);
        log(notice, result, None);
    }

    /// Namespaces of what ended without being told, and can be tried now.
    pub fn late(&self) -> BTreeSet<String> {
        let late: Vec<Notice> = self.state().late.values().cloned().collect();
        let due = late.into_iter().filter(|notice| self.is_due(notice));
        due.map(|notice| notice.workload.namespace).collect()
    }

    /// Tries what ended without being told in this namespace, up to the first that cannot be told now either.
    pub async fn tell_late(&self, namespace: &str, metrics: &Metrics) {
        let late: Vec<Notice> = self.state().late.values().cloned().collect();
        let mut tried = late
            .iter()
            .filter(|notice| notice.workload.namespace == namespace && self.is_due(notice));
        while let Some(notice) = tried.next()
            && self.tell_one(notice, metrics).await
        {
            let name = notice.event_name();
            let mut state = self.state();
            state.late.remove(&name);
        }
    }

    fn is_due(&self, notice: &Notice) -> bool {
        self.state().retries.is_due(&notice.event_name(), Instant::now())
    }

    /// Forgets notices that are no longer current.
    pub fn prune<'a>(&self, current: impl IntoIterator<Item = &'a Notice>) {
        let current: BTreeSet<String> = current.into_iter().map(Notice::event_name).collect();
        let mut state = self.state();
        let State {
            settled,
            late,
            retries,
        } = &mut *state;
        settled.retain(|name| current.contains(name));
        retries.retain(|name| current.contains(name) || late.contains_key(name));
    }

    /// When to look again, after a look at `now`, for the sake of a notice that has to be tried again.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        let overdue = state.retries.next_overdue(self.patience, now);
        state.retries.next(now).into_iter().chain(overdue).min()
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
        let events: Api<Event> = Api::namespaced(self.client.clone(), &notice.workload.namespace);
        let parameters = api::created_by(FIELD_MANAGER);
        // The moment of telling, not of the look: two notices of one look come in their order.
        let event = event(notice, &name, &self.instance, clock::now());
        let (result, problem) = match timeout(CALL_LIMIT, events.create(&parameters, &event)).await {
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
            NoticeResult::Failed | NoticeResult::Postponed | NoticeResult::Dropped => {
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
        NoticeResult::Postponed => {
            tracing::warn!(
                %workload, %reason, severity, note,
                "notice could not be told for too long, and what it tells of goes ahead; kept in memory alone until it can be"
            );
        }
        NoticeResult::Dropped => {
            tracing::warn!(
                %workload, %reason, severity, note,
                "notice could not be told for too long, and what it tells of goes ahead; too many are kept in memory, so only this line tells it"
            );
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
        NoticeReason::UpdateHeld | NoticeReason::HoldReleased | NoticeReason::UpdatePostponed => "Hold",
        NoticeReason::UpdateApproved => "Approve",
        NoticeReason::ScanRequested => "Scan",
    }
}

/// The Event that carries a notice.
pub(crate) fn event(notice: &Notice, name: &str, instance: &str, now: Timestamp) -> Event {
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
