//! Every watched container in one line: what runs, what is newest, what happens next and why. What people are shown, wherever
//! they look.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::annotations::{LAST_CHANGE, LAST_RESULT, LAST_UPDATE, Mode};
use super::in_flight::{InFlight, last_given};
use super::patch::Outcome;
use super::plan::{Action, Assessment, ContainerVerdict, Plan, Snapshot, Target, Verdict};
use super::policy::{Hold, SelectionReason};
use super::reference::ImageReference;
use super::rollout::RolloutStatus;
use super::workload::{Workload, WorkloadId};

/// A container, or a workload that is stopped as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub workload: WorkloadId,
    /// `None`: this is about the whole workload.
    pub container: Option<String>,
    /// As it is written.
    pub image: Option<String>,
    /// The image that it is given now, or would be if nothing stood against it.
    pub target: Option<String>,
    /// The newest that is known where there is no target: the tag, or the digest where only that would be new.
    pub newest: Option<Hold>,
    pub mode: Option<Mode>,
    pub state: State,
    /// When it came to that, as far as anybody knows.
    pub since: Option<Timestamp>,
    pub why: String,
    /// The last update that ended.
    pub last: Option<LastUpdate>,
}

/// Where a container stands.
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
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum State {
    /// Somebody has to mend something first.
    Stopped,
    /// The last update failed, and its image is still there.
    Failed,
    /// An update is under way.
    RollingOut,
    /// An update starts at the next look.
    Starting,
    /// There is something newer, and something stands against it now.
    Waiting,
    /// There is something newer, and people do what they like.
    Offered,
    /// Nobody knows whether there is something newer.
    Unknown,
    UpToDate,
    Off,
}

impl State {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Whether people may have something to do about it.
    pub fn needs_a_look(self) -> bool {
        match self {
            Self::Stopped | Self::Failed | Self::Waiting | Self::Offered | Self::Unknown => true,
            Self::RollingOut | Self::Starting | Self::UpToDate | Self::Off => false,
        }
    }
}

/// How the last update of a workload ended, in the words of its annotations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastUpdate {
    pub at: Timestamp,
    pub change: String,
    pub result: String,
}

impl LastUpdate {
    fn of(workload: &Workload) -> Option<Self> {
        let annotation = |key| workload.annotations.get(key);
        Some(Self {
            at: annotation(LAST_UPDATE)?.parse().ok()?,
            change: annotation(LAST_CHANGE)?.clone(),
            result: annotation(LAST_RESULT)?.clone(),
        })
    }

    fn has_failed(&self) -> bool {
        self.result.starts_with("failed")
    }

    fn went_back(&self) -> bool {
        self.result.starts_with("rolled back")
    }
}

/// One line for each watched container, in the order of the plan.
pub fn overview(snapshot: &Snapshot, plan: &Plan) -> Vec<Line> {
    let assessments = plan.assessments.iter();
    assessments
        .flat_map(|assessment| lines(assessment, snapshot))
        .collect()
}

fn lines(assessment: &Assessment, snapshot: &Snapshot) -> Vec<Line> {
    let last = LastUpdate::of(&assessment.workload);
    let line = |entry: Option<&ContainerVerdict>, standing: Standing| Line {
        workload: assessment.workload.id.clone(),
        container: entry.map(|entry| entry.container.clone()),
        image: entry.map(|entry| entry.image.clone()),
        target: standing.target,
        newest: standing.newest,
        mode: entry.map(|entry| entry.mode),
        state: standing.state,
        since: standing.since,
        why: standing.why,
        last: last.clone(),
    };
    let entries = assessment.containers.iter();
    let said = snapshot
        .trouble(&assessment.workload.uid)
        .filter(|_| assessment.is_under_way());
    match &assessment.action {
        Action::Stop(problems) => {
            let why: Vec<String> = problems.iter().map(ToString::to_string).collect();
            vec![line(None, Standing::new(State::Stopped, why.join("; ")))]
        }
        Action::StopForMarker(error) => vec![line(None, Standing::new(State::Stopped, error.to_string()))],
        Action::Follow {
            in_flight, status, ..
        } if assessment.containers.is_empty() => {
            vec![line(
                None,
                Standing::following(None, in_flight, status).with(said),
            )]
        }
        Action::Follow {
            in_flight, status, ..
        } => entries
            .map(|entry| {
                let name = Some(entry.container.as_str());
                line(
                    Some(entry),
                    Standing::following(name, in_flight, status).with(said),
                )
            })
            .collect(),
        Action::RollBack { undo, .. } | Action::Undo { undo, .. } => entries
            .map(|entry| line(Some(entry), Standing::going_back(entry, &undo.in_flight)))
            .collect(),
        Action::Start(_) | Action::TakenBack(_) | Action::Nothing => entries
            .map(|entry| {
                let standing = Standing::of(entry, &assessment.workload, snapshot);
                line(
                    Some(entry),
                    standing.after(entry, &assessment.workload, last.as_ref()),
                )
            })
            .collect(),
    }
}

/// What is to be said of one container beside its name.
struct Standing {
    state: State,
    target: Option<String>,
    newest: Option<Hold>,
    since: Option<Timestamp>,
    why: String,
}

impl Standing {
    fn new(state: State, why: String) -> Self {
        Self {
            state,
            target: None,
            newest: None,
            since: None,
            why,
        }
    }

    fn following(container: Option<&str>, in_flight: &InFlight, status: &RolloutStatus) -> Self {
        let change = container.and_then(|container| in_flight.containers.get(container));
        let why = match status {
            RolloutStatus::InProgress(waiting) if in_flight.rollback.is_some() => {
                format!("rolling back: {waiting}")
            }
            RolloutStatus::InProgress(waiting) => waiting.to_string(),
            RolloutStatus::Completed(_) | RolloutStatus::Failed(_) | RolloutStatus::Superseded { .. } => {
                Outcome::of(in_flight, status).map_or_else(String::new, |outcome| outcome.to_annotation())
            }
        };
        Self {
            target: change.map(|change| change.to.clone()),
            since: Some(in_flight.started),
            ..Self::new(State::RollingOut, why)
        }
    }

    /// What is yet to be written.
    fn going_back(entry: &ContainerVerdict, undo: &InFlight) -> Self {
        let change = undo.containers.get(&entry.container);
        let why = undo.cause().map(|cause| format!("going back: {cause}"));
        Self {
            target: change.map(|change| change.to.clone()),
            ..Self::new(State::RollingOut, why.unwrap_or_default())
        }
    }

    /// With what one of the pods says.
    fn with(mut self, said: Option<&str>) -> Self {
        if let Some(said) = said {
            self.why = format!("{}; {said}", self.why);
        }
        self
    }

    fn of(entry: &ContainerVerdict, workload: &Arc<Workload>, snapshot: &Snapshot) -> Self {
        let target = entry.verdict.target();
        Self {
            state: state(&entry.verdict),
            target: target.map(|target| target.image.clone()),
            newest: newest(entry, workload, snapshot),
            since: target.and_then(|target| first_seen(entry, target, snapshot)),
            why: entry.verdict.to_string(),
        }
    }

    /// In the light of what came before.
    fn after(self, entry: &ContainerVerdict, workload: &Workload, last: Option<&LastUpdate>) -> Self {
        let is_held =
            matches!(entry.verdict, Verdict::Held { .. }) && last.is_some_and(LastUpdate::went_back);
        let Some(last) = last.filter(|_| is_held || self.state == State::UpToDate) else {
            return self;
        };
        let given = last_given(&workload.annotations, &entry.container);
        if given != Some(entry.image.as_str()) {
            return self;
        }
        let (state, why) = if !is_held && last.has_failed() {
            (State::Failed, last.result.clone())
        } else {
            (self.state, self.why)
        };
        Self {
            state,
            since: Some(last.at),
            why,
            ..self
        }
    }
}

fn state(verdict: &Verdict) -> State {
    match verdict {
        Verdict::UpToDate { .. } | Verdict::SameImage { .. } => State::UpToDate,
        Verdict::Update(_) => State::Starting,
        Verdict::AwaitingApproval(_) | Verdict::Held { .. } | Verdict::Waiting { .. } => State::Waiting,
        Verdict::Notify(_) => State::Offered,
        Verdict::ModeOff => State::Off,
        Verdict::InFlight => State::RollingOut,
        Verdict::PassedOver(_)
        | Verdict::NoRecord
        | Verdict::RecordUnreadable(_)
        | Verdict::NeverScanned
        | Verdict::RecordStale { .. }
        | Verdict::NotScannedFor { .. }
        | Verdict::DigestNotRecorded { .. }
        | Verdict::RunningUnknown(_) => State::Unknown,
    }
}

/// The newest that is known where it is no target.
fn newest(entry: &ContainerVerdict, workload: &Arc<Workload>, snapshot: &Snapshot) -> Option<Hold> {
    let image = || entry.image.parse::<ImageReference>().ok();
    match &entry.verdict {
        // Other reasons say that nobody can tell.
        Verdict::UpToDate { reason, .. } => matches!(
            reason,
            SelectionReason::NoNewerVersion | SelectionReason::Pinned | SelectionReason::DigestUnchanged
        )
        .then(|| image()?.effective_tag().map(Hold::Tag))?,
        Verdict::SameImage { tag } => Some(Hold::Tag(tag.clone())),
        Verdict::Held { tag, .. } => {
            let image = image()?;
            if image.effective_tag().as_ref() != Some(tag) {
                return Some(Hold::Tag(tag.clone()));
            }
            let recorded = snapshot.recorded(image.repository(), tag)?;
            recorded.digest.clone().map(Hold::Digest)
        }
        Verdict::ModeOff => snapshot.newest(workload, &entry.container),
        Verdict::Update(_)
        | Verdict::AwaitingApproval(_)
        | Verdict::Waiting { .. }
        | Verdict::Notify(_)
        | Verdict::InFlight
        | Verdict::PassedOver(_)
        | Verdict::NoRecord
        | Verdict::RecordUnreadable(_)
        | Verdict::NeverScanned
        | Verdict::RecordStale { .. }
        | Verdict::NotScannedFor { .. }
        | Verdict::DigestNotRecorded { .. }
        | Verdict::RunningUnknown(_) => None,
    }
}

/// When the scanner saw the target first: the tag, or where only the digest is new that the tag points there.
fn first_seen(entry: &ContainerVerdict, target: &Target, snapshot: &Snapshot) -> Option<Timestamp> {
    let image: ImageReference = entry.image.parse().ok()?;
    let recorded = snapshot.recorded(image.repository(), &target.tag)?;
    let new = target.change(&entry.image).what_is_new();
    let is_tag_new = matches!(new, Some(Hold::Tag(_)));
    let digest_first_seen = recorded.digest_first_seen.filter(|_| !is_tag_new);
    Some(digest_first_seen.unwrap_or(recorded.first_seen))
}

#[cfg(test)]
mod tests;
