//! What people are told, and how often: once for each thing that happened.
//!
//! A notice has an identity made from what it speaks of. The Event that carries it is named by that identity, so telling
//! it again, after a crash or by a second leader, is refused by the API server and nobody hears it twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use serde::{Deserialize, Serialize};

use super::decision::{Decider, Decision};
use super::hash::short_hash;
use super::in_flight::{Cause, InFlight};
use super::patch::Outcome;
use super::plan::{
    self, Action, Assessment, ContainerVerdict, Gate, RefusedUndo, TakenBack, Target, Update, Verdict,
};
use super::rollout::RolloutStatus;
use super::text;
use super::workload::{Workload, WorkloadId};

/// Kubernetes allows 1,024 characters in an Event's note, as bytes of UTF-8 to be on the safe side.
const NOTE_LENGTH: usize = 1000;

/// The Event's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Severity {
    Normal,
    Warning,
}

/// The Event's `reason`: what `kubectl get events --field-selector reason=…` selects by.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::Display,
    strum::EnumIter,
)]
pub enum NoticeReason {
    UpdateAvailable,
    UpdateStarted,
    ImageUpdated,
    RolloutFailed,
    RollbackRequested,
    RolledBack,
    RollbackFailed,
    RollbackRefused,
    UpdateSuperseded,
    UpdateHeld,
    /// By somebody on a page, by a link or by a command.
    UpdateApproved,
    /// The same.
    UpdatePostponed,
    /// The same.
    HoldReleased,
    /// The same.
    ScanRequested,
    InvalidSettings,
    InvalidRecord,
}

/// Something to tell people about one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub workload: WorkloadId,
    pub uid: String,
    pub reason: NoticeReason,
    pub severity: Severity,
    pub note: String,
    /// The container that it speaks of, where that is one alone.
    pub container: Option<String>,
    /// What of the note is to be known beside what happened to which images: why, or what there is to do.
    pub detail: Option<String>,
    /// The same for the same happening, another for any other.
    identity: String,
}

impl Notice {
    fn new(assessment: &Assessment, reason: NoticeReason, note: &str, identity: &str) -> Self {
        Self::about(
            &assessment.workload.id,
            &assessment.workload.uid,
            reason,
            note,
            identity,
        )
    }

    /// What somebody decided at `now`, and what it means; a decision of another moment is another one.
    pub fn decided(
        workload: &Workload,
        decision: Decision,
        by: &Decider,
        meaning: &[String],
        now: Timestamp,
    ) -> Self {
        // Who it was stands first: a note that is too long loses its end.
        let note = format!("by {by}: {}", meaning.join("; "));
        let reason = match decision {
            Decision::Approve => NoticeReason::UpdateApproved,
            Decision::Hold => NoticeReason::UpdateHeld,
            Decision::Release => NoticeReason::HoldReleased,
            Decision::Undo => NoticeReason::RollbackRequested,
            Decision::CheckNow => NoticeReason::ScanRequested,
            Decision::NotNow => NoticeReason::UpdatePostponed,
        };
        Self::about(
            &workload.id,
            &workload.uid,
            reason,
            &note,
            &format!("{now}\n{note}"),
        )
    }

    fn about(workload: &WorkloadId, uid: &str, reason: NoticeReason, note: &str, identity: &str) -> Self {
        let severity = match reason {
            NoticeReason::RolloutFailed
            | NoticeReason::RollbackFailed
            | NoticeReason::RollbackRefused
            | NoticeReason::InvalidSettings
            | NoticeReason::InvalidRecord => Severity::Warning,
            NoticeReason::UpdateAvailable
            | NoticeReason::UpdateStarted
            | NoticeReason::ImageUpdated
            | NoticeReason::RollbackRequested
            | NoticeReason::RolledBack
            | NoticeReason::UpdateSuperseded
            | NoticeReason::UpdateHeld
            | NoticeReason::UpdateApproved
            | NoticeReason::UpdatePostponed
            | NoticeReason::HoldReleased
            | NoticeReason::ScanRequested => Severity::Normal,
        };
        Self {
            workload: workload.clone(),
            uid: uid.to_owned(),
            reason,
            severity,
            note: text::cut(note, NOTE_LENGTH),
            container: None,
            detail: None,
            identity: self::identity(uid, reason, identity),
        }
    }

    fn with_detail(self, detail: impl AsRef<str>) -> Self {
        let detail: &str = detail.as_ref();
        let detail = (!detail.is_empty()).then(|| text::cut(detail, NOTE_LENGTH));
        Self { detail, ..self }
    }

    /// Its identity in short: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        short_hash(&self.identity, 16)
    }

    /// The name of the Event that carries this notice.
    pub fn event_name(&self) -> String {
        let hash = self.id();
        // A name may have 253 characters; that of the workload may use them all.
        let workload: String = self.workload.name.chars().take(230).collect();
        format!("{}.{hash}", workload.trim_end_matches(['.', '-']))
    }
}

/// The id of a notice that nobody has to make: of the workload with this uid, for this reason.
pub(super) fn notice_id(uid: &str, reason: NoticeReason, identity: &str) -> String {
    short_hash(&self::identity(uid, reason, identity), 16)
}

fn identity(uid: &str, reason: NoticeReason, identity: &str) -> String {
    format!("{uid}\n{reason}\n{identity}")
}

/// Everything there is to tell about a workload as it stands.
pub fn notices(assessment: &Assessment) -> Vec<Notice> {
    let refused = assessment.refused.iter();
    let refused = refused.map(|refused| self::refused(assessment, refused));
    happening(assessment).into_iter().chain(refused).collect()
}

fn refused(assessment: &Assessment, refused: &RefusedUndo) -> Notice {
    let RefusedUndo { key, value, why } = refused;
    let note = format!("nothing is undone, and annotation {key}={value} is removed: {why}");
    Notice::new(assessment, NoticeReason::RollbackRefused, &note, &note).with_detail(note)
}

fn happening(assessment: &Assessment) -> Vec<Notice> {
    match &assessment.action {
        Action::Stop(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            vec![invalid(assessment, &problems.join("; "))]
        }
        Action::StopForMarker(error) => vec![invalid(assessment, &error.to_string())],
        // The marker is not stored yet: that the update started is told once it is.
        Action::Start(_) | Action::Undo { abandoned: None, .. } => Vec::new(),
        Action::Undo {
            undo,
            abandoned: Some(in_flight),
        } => abandoned(assessment, undo, in_flight),
        Action::Follow {
            in_flight,
            status,
            holds,
            kept: _,
        } => following(assessment, in_flight, status, holds),
        Action::RollBack {
            in_flight,
            failure,
            undo,
        } => {
            let started = started(assessment, in_flight);
            let mut note = format!(
                "{}: {failure}; going back, and {}",
                in_flight.summary(),
                are_held(&undo.holds)
            );
            if failure.holds_up_its_own_rollback() {
                note.push_str(
                    "; a pod that is not ready has to be deleted by hand, its controller replaces none",
                );
            }
            let identity = in_flight.to_annotation();
            let failed = Notice::new(assessment, NoticeReason::RolloutFailed, &note, &identity);
            vec![started, failed]
        }
        Action::TakenBack(taken_back) => held(assessment, taken_back).into_iter().collect(),
        Action::Nothing => assessment
            .containers
            .iter()
            .filter_map(|entry| standing(assessment, entry))
            .collect(),
    }
}

fn invalid(assessment: &Assessment, note: &str) -> Notice {
    Notice::new(assessment, NoticeReason::InvalidSettings, note, note).with_detail(note)
}

fn started(assessment: &Assessment, in_flight: &InFlight) -> Notice {
    let identity = in_flight.to_annotation();
    let prospect = assessment.prospect.as_ref();
    let prospect = prospect
        .map(|prospect| format!("; {prospect}"))
        .unwrap_or_default();
    let note = in_flight.summary() + &prospect;
    Notice::new(assessment, NoticeReason::UpdateStarted, &note, &identity)
        .with_detail(prospect.trim_start_matches("; "))
}

fn following(
    assessment: &Assessment,
    in_flight: &InFlight,
    status: &RolloutStatus,
    holds: &BTreeMap<String, String>,
) -> Vec<Notice> {
    let change = in_flight.summary();
    let identity = in_flight.to_annotation();
    let started = match in_flight.cause() {
        None => Some(started(assessment, in_flight)),
        // That it starts was told with the failure.
        Some(Cause::Failure(_)) => None,
        Some(cause @ Cause::Request(_)) => {
            let WorkloadId { namespace, name, .. } = &assessment.workload.id;
            let why = format!(
                "{cause}; what is left is held, and only what is newer is offered; to lift it: kubefresh-updater release \
                 {namespace}/{name}"
            );
            let reason = NoticeReason::RollbackRequested;
            let notice = Notice::new(assessment, reason, &format!("{change}: {why}"), &identity);
            Some(notice.with_detail(why))
        }
    };
    let ended = Outcome::of(in_flight, status).map(|outcome| match outcome {
        Outcome::Completed(completion) => {
            let remark = completion.remark().map(|remark| format!("; {remark}"));
            (NoticeReason::ImageUpdated, change + &remark.unwrap_or_default())
        }
        Outcome::Failed(why) => (
            NoticeReason::RolloutFailed,
            format!("{change}: {why}; {}", are_held(holds)),
        ),
        Outcome::Superseded(by) => (NoticeReason::UpdateSuperseded, format!("{change}: {by}")),
        Outcome::RolledBack(cause) => (NoticeReason::RolledBack, format!("{change}: {cause}")),
        Outcome::RollbackFailed { cause, rollback } => {
            let why = match cause {
                Cause::Failure(update) => format!("The update had failed: {update}"),
                Cause::Request(_) => format!("It was {cause}"),
            };
            let note = format!("{change}: {rollback}; nothing more is tried. {why}");
            (NoticeReason::RollbackFailed, note)
        }
    });
    let ended = ended.map(|(reason, note)| Notice::new(assessment, reason, &note, &identity));
    started.into_iter().chain(ended).collect()
}

/// Why an update was abandoned, for the one that undoes it.
pub(super) fn abandonment(undo: &Update) -> String {
    let why = undo.in_flight.cause().map(|cause| cause.to_string());
    format!("abandoned, {}", why.unwrap_or_default())
}

/// Its marker is overwritten by that of its undoing, so it ends here.
fn abandoned(assessment: &Assessment, undo: &Update, in_flight: &InFlight) -> Vec<Notice> {
    let note = format!("{}: {}", in_flight.summary(), abandonment(undo));
    let identity = in_flight.to_annotation();
    let ended = Notice::new(assessment, NoticeReason::UpdateSuperseded, &note, &identity);
    vec![started(assessment, in_flight), ended]
}

/// That somebody went back, what is held for it, and how that ends.
fn held(assessment: &Assessment, taken_back: &TakenBack) -> Option<Notice> {
    if taken_back.held.is_empty() {
        return None;
    }
    let change = taken_back.summary();
    let keys: Vec<&str> = taken_back.holds.keys().map(String::as_str).collect();
    let WorkloadId { namespace, name, .. } = &assessment.workload.id;
    let by = taken_back.by.as_ref();
    let by = by.map(|by| format!(" ({by})")).unwrap_or_default();
    let why = format!(
        "somebody{by} went back, so {} held, and only what is newer is offered; to lift it: kubefresh-updater release \
         {namespace}/{name}, or remove {}",
        taken_back.what_is_held(),
        keys.join(" and ")
    );
    let identity = format!("{change} {}", taken_back.after.as_deref().unwrap_or_default());
    let note = format!("{change}: {why}");
    let notice = Notice::new(assessment, NoticeReason::UpdateHeld, &note, &identity);
    Some(notice.with_detail(why))
}

/// What is held, and how that ends.
fn are_held(holds: &BTreeMap<String, String>) -> String {
    let keys: Vec<&str> = holds.keys().map(String::as_str).collect();
    let keys = keys.join(" and ");
    format!("it is not offered again until {keys} is removed, or anything newer appears")
}

fn standing(assessment: &Assessment, entry: &ContainerVerdict) -> Option<Notice> {
    let ContainerVerdict {
        container,
        image,
        mode: _,
        verdict,
    } = entry;
    match verdict {
        Verdict::AwaitingApproval(target) if target.kept_by.is_none() => {
            let only = assessment.containers.len() == 1;
            let command = plan::approval_command(&assessment.workload.id, entry, only, target);
            let risk = target.terms.as_ref().and_then(|terms| terms.risk.as_ref());
            let approvals = target.approvals();
            let approvals = approvals.map_or_else(String::new, |approvals| format!("{approvals}; "));
            let agreeing = format!("{approvals}to agree: {command}");
            let note = format!(
                "container {container}: {image} can be updated to {}{}; {agreeing}",
                target.image,
                risk.map_or_else(String::new, |risk| format!(" ({risk})")),
            );
            let notice = available(assessment, entry, target, &note);
            Some(notice.with_detail(agreeing))
        }
        Verdict::AwaitingApproval(target) | Verdict::Notify(target) => {
            Some(left_to_people(assessment, entry, target))
        }
        Verdict::Waiting {
            target,
            gate: Gate::Kept,
            until: _,
        } => Some(left_to_people(assessment, entry, target)),
        Verdict::RecordUnreadable(error) => {
            let note = error.to_string();
            let notice = Notice::new(assessment, NoticeReason::InvalidRecord, &note, &note);
            Some(notice.with_detail(note))
        }
        Verdict::UpToDate { .. }
        | Verdict::SameImage { .. }
        | Verdict::Held { .. }
        | Verdict::Update(_)
        | Verdict::ModeOff
        | Verdict::Waiting { .. }
        | Verdict::PassedOver(_)
        | Verdict::NoRecord
        | Verdict::NeverScanned
        | Verdict::RecordStale { .. }
        | Verdict::NotScannedFor { .. }
        | Verdict::DigestNotRecorded { .. }
        | Verdict::RunningUnknown(_)
        | Verdict::InFlight => None,
    }
}

/// What nobody starts before somebody has said or done something else.
fn left_to_people(assessment: &Assessment, entry: &ContainerVerdict, target: &Target) -> Notice {
    let ContainerVerdict { container, image, .. } = entry;
    let note = format!(
        "container {container}: {image} can be updated to {}{}",
        target.image,
        target.advice()
    );
    let advice = target.advice();
    available(assessment, entry, target, &note).with_detail(advice.trim_start_matches("; "))
}

fn available(assessment: &Assessment, entry: &ContainerVerdict, target: &Target, note: &str) -> Notice {
    let mut identity = format!("{} {} {}", entry.container, entry.image, target.image);
    // What there is to do is another thing once nobody keeps the image any more.
    if target.kept_by.is_some() {
        identity.push_str(" kept");
    }
    // Each word is told to those whose word is missing still.
    if let Some(approvals) = target.approvals().filter(|approvals| !approvals.is_empty()) {
        let _ = write!(identity, " {approvals}");
    }
    Notice {
        container: Some(entry.container.clone()),
        ..Notice::new(assessment, NoticeReason::UpdateAvailable, note, &identity)
    }
}

#[cfg(test)]
mod tests;
