//! Carries out what the plan says of a workload: the only place that changes one.
//!
//! Each patch is sent only by a leader, checked at that very moment, and carries the `resourceVersion` that its decision
//! was made from. So of two updaters that both believe to lead only one succeeds, and an answer that got lost does
//! no harm: sent again, the patch is refused, and the watch shows what became of it.

mod attempts;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use shared::domain::annotations::PENDING;
use shared::domain::in_flight::{Cause, InFlight};
use shared::domain::ownership::FIELD_MANAGER;
use shared::domain::patch::{self, Outcome, PatchBody};
use shared::domain::plan::{Action, Assessment, Pending, Plan, RefusedUndo, TakenBack, Tried, Update};
use shared::domain::workload::{Workload, WorkloadId};
use shared::io::client::explain;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::answer::{Failure, failure};
use crate::api;
use crate::leader::Leadership;
use crate::metrics::{Metrics, PatchResult, UpdateResult};
use attempts::{Attempts, Said};

/// How long a call may take, with all that the client repeats of its own accord (answers 429, 503 and 504, unless they ask for
/// a longer wait). What it does after that is for the watch to tell.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Sends patches, each at most once for one state of a workload.
pub struct Applier {
    client: Client,
    leadership: Leadership,
    attempts: Mutex<Attempts>,
    look_again: Arc<Notify>,
}

impl fmt::Debug for Applier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applier")
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

impl Applier {
    pub fn new(client: Client, leadership: Leadership, look_again: Arc<Notify>) -> Self {
        Self {
            client,
            leadership,
            attempts: Mutex::default(),
            look_again,
        }
    }

    /// Does what the assessment asks for, if anything. The end of an update is written down only once people were `told`
    /// of it, so that a crash in between repeats a notice rather than losing it. Returns the update that has begun by it.
    pub async fn apply<'a>(
        &self,
        assessment: &'a Assessment,
        told: bool,
        now: Timestamp,
        metrics: &Metrics,
    ) -> Option<&'a Update> {
        let step = Step::of(assessment, told)?;
        if !self.may_take(&step, &assessment.workload) {
            return None;
        }
        match step {
            Step::Start(update) => return self.start(assessment, update, metrics).await,
            Step::TakeNote(taken_back) => self.take_note(assessment, taken_back, now, metrics).await,
            Step::Finish(end) => self.finish(assessment, &end, now, metrics).await,
            Step::Annotate(annotations) => self.annotate(assessment, &annotations, metrics).await,
        }
        None
    }

    /// Whether [`apply`](Self::apply) would send anything now.
    pub fn has_to_apply(&self, assessment: &Assessment, told: bool) -> bool {
        let step = Step::of(assessment, told);
        step.is_some_and(|step| self.may_take(&step, &assessment.workload))
    }

    fn may_take(&self, step: &Step<'_>, workload: &Workload) -> bool {
        let said = match step {
            Step::Start(_) | Step::Finish(_) => return self.can_send(workload),
            Step::TakeNote(_) => Said::TakenBack,
            Step::Annotate(_) => Said::Waits,
        };
        self.attempts().may_say(said, workload, Instant::now())
    }

    /// Whether a patch of this workload as it stands may be sent now.
    pub fn can_send(&self, workload: &Workload) -> bool {
        let (uid, version) = (&workload.uid, &workload.resource_version);
        self.attempts().may_try(uid, version, Instant::now())
    }

    fn said(&self, said: Said, workload: &Workload, annotations: &Annotations) {
        self.attempts()
            .said(said, &workload.uid, annotations, Instant::now());
    }

    /// How many patches of this workload came to nothing in a row.
    pub fn failures(&self, workload: &Workload) -> u32 {
        self.attempts().failures(&workload.uid)
    }

    /// Takes back what asked for a scan, which has been made.
    pub async fn checked(&self, assessment: &Assessment, annotations: &[&str], metrics: &Metrics) {
        let done = annotations.iter().map(|key| ((*key).to_owned(), None)).collect();
        let body = patch::annotate(&assessment.workload.resource_version, &done);
        if self.send(assessment, &body, metrics).await == Some(PatchResult::Sent) {
            tracing::info!(workload = %assessment.workload.id, "checked, as check-now asked");
        }
    }

    /// Forgets workloads that are no longer part of the plan.
    pub fn prune(&self, plan: &Plan) {
        let assessments = plan.assessments.iter();
        let shown: HashMap<&str, &str> = assessments
            .map(|assessment| {
                (
                    assessment.workload.uid.as_str(),
                    assessment.workload.resource_version.as_str(),
                )
            })
            .collect();
        self.attempts().prune(|uid| shown.get(uid.as_str()).copied());
    }

    /// What became of patches that cannot be seen yet at `now`, by uid.
    pub fn tried(&self, now: Instant) -> BTreeMap<String, Tried> {
        self.attempts().unseen(now)
    }

    /// When to look again, after a look at `now`, for the sake of a patch that has to be tried again.
    pub fn next_attempt(&self, now: Instant) -> Option<Instant> {
        self.attempts().next(now)
    }

    async fn start<'a>(
        &self,
        assessment: &Assessment,
        update: &'a Update,
        metrics: &Metrics,
    ) -> Option<&'a Update> {
        let body = patch::start(
            assessment.workload.id.kind,
            &assessment.workload.resource_version,
            update,
        );
        match self.send(assessment, &body, metrics).await {
            Some(PatchResult::Sent) => {
                tracing::info!(
                    workload = %assessment.workload.id,
                    change = update.in_flight.summary(),
                    rollback = update.in_flight.rollback,
                    deadline = %update.in_flight.deadline,
                    "update started"
                );
                return Some(update);
            }
            // It may have been its turn, which is somebody else's now.
            Some(PatchResult::Refused | PatchResult::Unknown) => self.look_again.notify_one(),
            Some(PatchResult::Conflict) | None => {}
        }
        None
    }

    async fn take_note(
        &self,
        assessment: &Assessment,
        taken_back: &TakenBack,
        now: Timestamp,
        metrics: &Metrics,
    ) {
        let body = patch::take_note(&assessment.workload.resource_version, taken_back, now);
        if self.send(assessment, &body, metrics).await == Some(PatchResult::Sent) {
            let (workload, change) = (&assessment.workload.id, taken_back.summary());
            tracing::info!(%workload, change, result = taken_back.result(), "somebody else changed the images");
            let holds = taken_back.holds.iter();
            let holds = holds.map(|(key, value)| (key.clone(), Some(value.clone())));
            self.said(Said::TakenBack, &assessment.workload, &holds.collect());
            if !taken_back.held.is_empty() {
                metrics.updated(workload.kind, UpdateResult::TakenBack);
            }
        }
    }

    async fn finish(&self, assessment: &Assessment, end: &End<'_>, now: Timestamp, metrics: &Metrics) {
        let (workload, in_flight, outcome) = (&assessment.workload, end.in_flight, &end.outcome);
        let version = &workload.resource_version;
        let body = patch::finish(version, in_flight, outcome, end.holds, end.kept, now);
        if self.send(assessment, &body, metrics).await == Some(PatchResult::Sent) {
            tracing::info!(
                workload = %workload.id,
                change = in_flight.summary(),
                result = outcome.to_annotation(),
                "update ended"
            );
            metrics.updated(workload.id.kind, result(outcome));
        }
    }

    /// Says what waits, and takes away requests that fit nothing.
    async fn annotate(&self, assessment: &Assessment, annotations: &Annotations, metrics: &Metrics) {
        let workload = &assessment.workload;
        let body = patch::annotate(&workload.resource_version, annotations);
        if self.send(assessment, &body, metrics).await != Some(PatchResult::Sent) {
            return;
        }
        self.said(Said::Waits, workload, annotations);
        let workload = &workload.id;
        match annotations.get(PENDING) {
            None => {}
            Some(Some(pending)) => tracing::info!(%workload, pending, "update waits"),
            Some(None) => tracing::info!(%workload, "no update waits any more"),
        }
        let refused = assessment.refused.iter();
        for RefusedUndo { key, value, why } in
            refused.filter(|refused| annotations.contains_key(&refused.key))
        {
            tracing::warn!(%workload, key, value, %why, "nothing is undone, and the request is removed");
        }
    }

    /// `None`: not sent, because this state was tried, or we do not lead.
    async fn send(
        &self,
        assessment: &Assessment,
        body: &PatchBody,
        metrics: &Metrics,
    ) -> Option<PatchResult> {
        let workload = &assessment.workload;
        let (uid, version) = (&workload.uid, &workload.resource_version);
        if !self.can_send(workload) || !self.leadership.may_act() {
            return None;
        }
        let answer = timeout(
            CALL_LIMIT,
            api::patch(&self.client, &workload.id, body, FIELD_MANAGER),
        )
        .await;
        let result = match &answer {
            Ok(Ok(())) => PatchResult::Sent,
            Ok(Err(error)) => failure(error).into(),
            Err(_) => PatchResult::Unknown,
        };
        self.attempts().tried(uid, version, result, Instant::now());
        metrics.patched(result);
        tell(&workload.id, result, &answer);
        Some(result)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Annotations to be written; `None` goes.
type Annotations = BTreeMap<String, Option<String>>;

/// The one patch that an assessment leads to.
enum Step<'a> {
    Start(&'a Update),
    TakeNote(&'a TakenBack),
    Finish(End<'a>),
    Annotate(Annotations),
}

/// How an update ended, and what is written down of it.
struct End<'a> {
    in_flight: &'a InFlight,
    outcome: Outcome,
    holds: &'a BTreeMap<String, String>,
    kept: &'a Annotations,
}

impl<'a> Step<'a> {
    /// `told`: people know what they have to know of before it is written down.
    fn of(assessment: &'a Assessment, told: bool) -> Option<Self> {
        match &assessment.action {
            Action::Nothing | Action::Stop(_) | Action::StopForMarker(_) => note(assessment, told),
            // That it was asked for is told from its marker.
            Action::Start(update)
            | Action::Undo {
                undo: update,
                abandoned: None,
            } => Some(Self::Start(update)),
            // The end of what is undone is written down by no patch of its own, so this is the last chance to tell of it.
            Action::RollBack { undo, .. }
            | Action::Undo {
                undo,
                abandoned: Some(_),
            } => told.then_some(Self::Start(undo)),
            // Once it is written down, nothing is left to tell of it.
            Action::TakenBack(taken_back) => told.then_some(Self::TakeNote(taken_back)),
            Action::Follow {
                in_flight,
                status,
                holds,
                kept,
            } => {
                let Some(outcome) = Outcome::of(in_flight, status).filter(|_| told) else {
                    return note(assessment, told);
                };
                Some(Self::Finish(End {
                    in_flight,
                    outcome,
                    holds,
                    kept,
                }))
            }
        }
    }
}

/// What waits, and requests that fit nothing, which go once people were `told`.
fn note(assessment: &Assessment, told: bool) -> Option<Step<'static>> {
    let waits = match &assessment.pending {
        Pending::Unchanged => None,
        Pending::Write(text) => Some((PENDING.to_owned(), Some(text.clone()))),
        Pending::Remove => Some((PENDING.to_owned(), None)),
    };
    let refused = assessment.refused.iter().filter(|_| told);
    let refused = refused.map(|refused| (refused.key.clone(), None));
    let annotations: Annotations = refused.chain(waits).collect();
    (!annotations.is_empty()).then_some(Step::Annotate(annotations))
}

impl From<Failure> for PatchResult {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Conflict | Failure::AlreadyExists => Self::Conflict,
            Failure::Refused => Self::Refused,
            Failure::Unknown => Self::Unknown,
        }
    }
}

/// A conflict is no error: the watch brings what changed, and the next look decides anew.
fn tell(
    workload: &WorkloadId,
    result: PatchResult,
    answer: &Result<Result<(), kube::Error>, impl std::error::Error>,
) {
    let problem = match answer {
        Ok(Ok(())) => return,
        Ok(Err(error)) => explain(&format!("patching {workload}"), error),
        Err(_) => format!("patching {workload}: no answer within {CALL_LIMIT:?}"),
    };
    let name: &str = result.into();
    if result == PatchResult::Conflict {
        tracing::debug!(%workload, result = name, problem, "patch not applied");
    } else {
        tracing::warn!(%workload, result = name, problem, "patch not applied, or not known to be; trying again later");
    }
}

fn result(outcome: &Outcome) -> UpdateResult {
    match outcome {
        Outcome::Completed(_) => UpdateResult::Completed,
        Outcome::Failed(_) => UpdateResult::Failed,
        Outcome::Superseded(_) => UpdateResult::Superseded,
        Outcome::RolledBack(Cause::Failure(_)) => UpdateResult::RolledBack,
        Outcome::RolledBack(Cause::Request(_)) => UpdateResult::RolledBackOnRequest,
        Outcome::RollbackFailed { .. } => UpdateResult::RollbackFailed,
    }
}
