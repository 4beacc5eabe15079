//! What people are told, and how often: once for each thing that happened.
//!
//! A notice has an identity made from what it speaks of. The Event that carries it is named by that identity, so telling
//! it again, after a crash or by a second leader, is refused by the API server and nobody hears it twice.

use super::hash::short_hash;
use super::in_flight::InFlight;
use super::patch::Outcome;
use super::plan::{self, Action, Assessment, ContainerVerdict, Target, Verdict};
use super::rollout::RolloutStatus;
use super::workload::WorkloadId;

/// Kubernetes allows 1,024 characters in an Event's note, as bytes of UTF-8 to be on the safe side.
const NOTE_LENGTH: usize = 1000;

/// The Event's `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Severity {
    Normal,
    Warning,
}

/// The Event's `reason`: what `kubectl get events --field-selector reason=…` selects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr, strum::Display)]
pub enum NoticeReason {
    UpdateAvailable,
    UpdateStarted,
    ImageUpdated,
    RolloutFailed,
    UpdateSuperseded,
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
    /// The same for the same happening, another for any other.
    identity: String,
}

impl Notice {
    fn new(assessment: &Assessment, reason: NoticeReason, note: &str, identity: &str) -> Self {
        let severity = match reason {
            NoticeReason::RolloutFailed | NoticeReason::InvalidSettings | NoticeReason::InvalidRecord => {
                Severity::Warning
            }
            NoticeReason::UpdateAvailable
            | NoticeReason::UpdateStarted
            | NoticeReason::ImageUpdated
            | NoticeReason::UpdateSuperseded => Severity::Normal,
        };
        Self {
            workload: assessment.workload.clone(),
            uid: assessment.uid.clone(),
            reason,
            severity,
            note: shortened(note),
            identity: format!("{}\n{reason}\n{identity}", assessment.uid),
        }
    }

    /// The name of the Event that carries this notice.
    pub fn event_name(&self) -> String {
        let hash = short_hash(&self.identity, 16);
        // A name may have 253 characters; that of the workload may use them all.
        let workload: String = self.workload.name.chars().take(230).collect();
        format!("{}.{hash}", workload.trim_end_matches(['.', '-']))
    }
}

/// Cuts at a character, never inside one.
fn shortened(note: &str) -> String {
    if note.len() <= NOTE_LENGTH {
        return note.to_owned();
    }
    let end = (0..=NOTE_LENGTH)
        .rev()
        .find(|index| note.is_char_boundary(*index))
        .unwrap_or(0);
    format!("{}…", note.get(..end).unwrap_or_default())
}

/// Everything there is to tell about a workload as it stands.
pub fn notices(assessment: &Assessment) -> Vec<Notice> {
    match &assessment.action {
        Action::Stop(problems) => {
            let note = problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ");
            vec![Notice::new(
                assessment,
                NoticeReason::InvalidSettings,
                &note,
                &note,
            )]
        }
        Action::StopForMarker(error) => {
            let note = error.to_string();
            vec![Notice::new(
                assessment,
                NoticeReason::InvalidSettings,
                &note,
                &note,
            )]
        }
        // The marker is not stored yet: that the update started is told once it is.
        Action::Start(_) => Vec::new(),
        Action::Follow { in_flight, status } => following(assessment, in_flight, status),
        Action::Nothing => assessment
            .containers
            .iter()
            .filter_map(|entry| standing(assessment, entry))
            .collect(),
    }
}

fn following(assessment: &Assessment, in_flight: &InFlight, status: &RolloutStatus) -> Vec<Notice> {
    let identity = in_flight.to_annotation();
    let change = in_flight.summary();
    let started = Notice::new(assessment, NoticeReason::UpdateStarted, &change, &identity);
    let (reason, note) = match Outcome::of(status) {
        None => return vec![started],
        Some(Outcome::Completed(completion)) => {
            let remark = completion.remark().map(|remark| format!("; {remark}"));
            (NoticeReason::ImageUpdated, change + &remark.unwrap_or_default())
        }
        Some(Outcome::Failed(why)) => (NoticeReason::RolloutFailed, format!("{change}: {why}")),
        Some(Outcome::Superseded(by)) => (NoticeReason::UpdateSuperseded, format!("{change}: {by}")),
    };
    vec![started, Notice::new(assessment, reason, &note, &identity)]
}

fn standing(assessment: &Assessment, entry: &ContainerVerdict) -> Option<Notice> {
    let ContainerVerdict {
        container,
        image,
        mode: _,
        verdict,
    } = entry;
    match verdict {
        Verdict::AwaitingApproval(target) => {
            let only = assessment.containers.len() == 1;
            let command = plan::approval_command(&assessment.workload, entry, only, target);
            let note = format!(
                "container {container}: {image} can be updated to {}; to agree: {command}",
                target.image,
            );
            Some(available(assessment, entry, target, &note))
        }
        Verdict::Notify(target) => {
            let note = format!(
                "container {container}: {image} can be updated to {}",
                target.image
            );
            Some(available(assessment, entry, target, &note))
        }
        Verdict::RecordUnreadable(error) => {
            let note = error.to_string();
            Some(Notice::new(assessment, NoticeReason::InvalidRecord, &note, &note))
        }
        Verdict::UpToDate { .. }
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
        | Verdict::InFlight => None,
    }
}

fn available(assessment: &Assessment, entry: &ContainerVerdict, target: &Target, note: &str) -> Notice {
    let identity = format!("{} {} {}", entry.container, entry.image, target.image);
    Notice::new(assessment, NoticeReason::UpdateAvailable, note, &identity)
}

#[cfg(test)]
mod tests;
