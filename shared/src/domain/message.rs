//! What other programs are told: that a workload was detected, and that an image's rollout started, completed or failed.
//!
//! A message is the facts, made once, when the thing happens; each way of sending gives them a form of its own. Its identity
//! is that of the notice to people, so what is one happening to them is one to everybody.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::hash::short_hash;
use super::in_flight::{ImageChange, InFlight};
use super::notice::{Notice, NoticeReason, abandonment};
use super::patch::Outcome;
use super::plan::{Action, Assessment, ContainerVerdict, Verdict};
use super::text;
use super::time::whole_seconds;
use super::workload::{WorkloadId, WorkloadKind};

/// How much is told of why something failed, in bytes.
const TEXT_LENGTH: usize = 500;
/// How many containers a message names: so many that all of a pod's are named, and so few that nobody fills the record with one.
const MOST_IMAGES: usize = 30;

/// What happened, in the words of watch-cluster.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum EventType {
    /// A workload is watched that was not, or somebody else than we changed its images.
    DeploymentDetected,
    ImageRolloutStarted,
    ImageRolloutCompleted,
    /// Also one that somebody ended by setting another image, by asking for it to be undone, or by deleting its workload: each that
    /// started has one end.
    ImageRolloutFailed,
    /// What watch-cluster knows nothing of: people are told, and other programs where they ask for it.
    Notice,
}

impl EventType {
    /// What a notice is to other programs.
    pub fn of(reason: NoticeReason) -> Self {
        match reason {
            // One that somebody asked for was told of by no failure before.
            NoticeReason::UpdateStarted | NoticeReason::RollbackRequested => Self::ImageRolloutStarted,
            // A rollback is a rollout, too: what runs after it is what was completed last.
            NoticeReason::ImageUpdated | NoticeReason::RolledBack => Self::ImageRolloutCompleted,
            NoticeReason::RolloutFailed | NoticeReason::RollbackFailed | NoticeReason::UpdateSuperseded => {
                Self::ImageRolloutFailed
            }
            NoticeReason::UpdateAvailable
            | NoticeReason::UpdateHeld
            | NoticeReason::UpdateApproved
            | NoticeReason::UpdatePostponed
            | NoticeReason::HoldReleased
            | NoticeReason::ScanRequested
            | NoticeReason::RollbackRefused
            | NoticeReason::InvalidSettings
            | NoticeReason::InvalidRecord => Self::Notice,
        }
    }
}

/// One container's image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub image: String,
    /// What it had before a rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// How far a rollback is of which a message speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rollback {
    /// The rollout failed or was abandoned, and what was there before is brought back.
    Started,
    Completed,
    Failed,
}

/// Something to tell other programs about one workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// The same for the same happening, another for any other: 16 hexadecimal digits.
    pub id: String,
    pub event: EventType,
    /// When it happened, in whole seconds.
    pub at: Timestamp,
    pub workload: WorkloadId,
    /// By container: those that changed, or of a detected workload those that are watched.
    pub images: BTreeMap<String, Image>,
    /// How long a rollout took that was completed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout_millis: Option<u64>,
    /// Why it failed, or why the update did that a rollback undid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What has to be known beside that it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// What it is to people; nothing where they are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_people: Option<ToPeople>,
}

/// What people are told beside the facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToPeople {
    pub reason: NoticeReason,
    /// Why, or what there is to do, where neither error nor remark says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaits_approval: bool,
    /// Whether it was told before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_reminder: bool,
}

impl Message {
    /// As other programs are told it: what watch-cluster tells them is told in its words alone.
    #[must_use]
    pub fn to_programs(self) -> Self {
        Self {
            to_people: self.to_people.filter(|_| self.event == EventType::Notice),
            ..self
        }
    }

    /// Whether people are told both at once: the same happened with the same images, in whatever workload.
    pub fn is_like(&self, other: &Self) -> bool {
        let images = |message: &Self| -> BTreeSet<(Option<String>, String)> {
            let images = message.images.values().cloned();
            images.map(|image| (image.previous, image.image)).collect()
        };
        let kind = |message: &Self| {
            let told = message.to_people.as_ref();
            told.map(|told| (told.reason, told.awaits_approval, told.is_reminder))
        };
        kind(self) == kind(other) && images(self) == images(other)
    }

    /// That a workload with these images was detected at `now`; it had those of `before`, as far as anybody knows. Somebody may
    /// come back to images that it had, so the time is part of what is told.
    pub(super) fn detected(
        assessment: &Assessment,
        images: &BTreeMap<&str, &str>,
        before: Option<&str>,
        now: Timestamp,
    ) -> Self {
        let event = EventType::DeploymentDetected;
        let before = before.unwrap_or_default();
        let images = images.iter().map(|(container, image)| {
            let image = Image {
                image: (*image).to_owned(),
                previous: None,
            };
            ((*container).to_owned(), image)
        });
        let id = short_hash(
            &format!("{}\n{event}\n{before}\n{now}", assessment.workload.uid),
            16,
        );
        Self::without_end(
            event,
            id,
            whole_seconds(now),
            &assessment.workload.id,
            images.into_iter(),
        )
    }

    /// What every message says, and nothing of the end of a rollout.
    fn without_end(
        event: EventType,
        id: String,
        at: Timestamp,
        workload: &WorkloadId,
        images: impl Iterator<Item = (String, Image)>,
    ) -> Self {
        Self {
            id,
            event,
            at,
            workload: workload.clone(),
            images: images.take(MOST_IMAGES).collect(),
            rollout_millis: None,
            error: None,
            remark: None,
            rollback: None,
            to_people: None,
        }
    }

    /// The body that watch-cluster would post, with more under `details` where there is more to say.
    pub fn to_webhook(&self) -> String {
        let Self {
            id: _,
            event,
            at,
            workload:
                WorkloadId {
                    kind,
                    namespace,
                    name,
                },
            images,
            rollout_millis,
            error,
            remark,
            rollback,
            to_people,
        } = self;
        let told = to_people.as_ref().filter(|_| *event == EventType::Notice);
        let mut details = Map::new();
        let mut detail = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                details.insert(key.to_owned(), value);
            }
        };
        let of_all = |image: fn(&Image) -> Option<&str>| -> Option<Value> {
            let all: Map<String, Value> = images
                .iter()
                .filter_map(|(container, found)| Some((container.clone(), json!(image(found)?))))
                .collect();
            (all.len() > 1).then_some(Value::Object(all))
        };
        let first = images.values().next();
        detail("kind", (*kind != WorkloadKind::Deployment).then(|| json!(kind)));
        detail("reason", told.map(|told| json!(told.reason)));
        detail("images", of_all(|image| Some(&image.image)));
        if matches!(event, EventType::ImageRolloutStarted | EventType::Notice) {
            let previous = first.and_then(|image| image.previous.as_ref());
            detail("previousImage", previous.map(|image| json!(image)));
            detail("previousImages", of_all(|image| image.previous.as_deref()));
        }
        let duration = rollout_millis.map(|millis| json!(format!("{millis}ms")));
        detail("rolloutDuration", duration);
        detail("remark", remark.as_ref().map(|remark| json!(remark)));
        detail("rollback", rollback.map(|rollback| json!(rollback)));
        detail("error", error.as_ref().map(|error| json!(error)));
        detail(
            "detail",
            told.and_then(|told| told.detail.as_ref()).map(|why| json!(why)),
        );
        let flag = |is: fn(&ToPeople) -> bool| told.filter(|told| is(told)).map(|_| json!(true));
        detail("awaitsApproval", flag(|told| told.awaits_approval));
        detail("isReminder", flag(|told| told.is_reminder));
        let image = first.map(|image| image.image.as_str()).unwrap_or_default();
        json!({
            "eventType": event,
            "timestamp": at.to_string(),
            "deployment": { "namespace": namespace, "name": name, "image": image },
            "details": details,
        })
        .to_string()
    }
}

/// What `notices` of a workload are to other programs and to people on channels, in their order, as of `now`.
pub fn messages(assessment: &Assessment, notices: &[Notice], now: Timestamp) -> Vec<Message> {
    let rollout = match &assessment.action {
        Action::Follow {
            in_flight,
            status,
            holds: _,
            kept: _,
        } => Some((in_flight, Outcome::of(in_flight, status), false)),
        Action::RollBack {
            in_flight,
            failure,
            undo: _,
        } => Some((in_flight, Some(Outcome::Failed(failure.to_string())), true)),
        Action::Undo {
            undo,
            abandoned: Some(in_flight),
        } => Some((in_flight, Some(Outcome::Failed(abandonment(undo))), true)),
        Action::Nothing
        | Action::Stop(_)
        | Action::StopForMarker(_)
        | Action::Start(_)
        | Action::Undo { abandoned: None, .. }
        | Action::TakenBack(_) => None,
    };
    notices
        .iter()
        .filter_map(|notice| {
            let event = EventType::of(notice.reason);
            if event == EventType::Notice {
                return Some(notice_alone(assessment, notice, now));
            }
            let (in_flight, outcome, undone) = rollout.as_ref()?;
            let images = changed(&in_flight.containers);
            let mut message = about(assessment, notice, event, images, in_flight.started);
            if event != EventType::ImageRolloutStarted {
                message.end(in_flight, outcome.as_ref()?, *undone, now);
            }
            Some(message)
        })
        .collect()
}

/// What watch-cluster knows nothing of.
fn notice_alone(assessment: &Assessment, notice: &Notice, now: Timestamp) -> Message {
    let spoken_of = |entry: &&ContainerVerdict| notice.container.as_ref() == Some(&entry.container);
    let entry = assessment.containers.iter().find(spoken_of);
    let images = match (&assessment.action, entry) {
        (Action::TakenBack(taken_back), _) => changed(&taken_back.changes),
        (_, Some(entry)) => offered(entry).into_iter().collect(),
        (_, None) => BTreeMap::new(),
    };
    let mut message = about(assessment, notice, EventType::Notice, images, whole_seconds(now));
    if let Some(told) = &mut message.to_people {
        told.awaits_approval = entry.is_some_and(
            |entry| matches!(&entry.verdict, Verdict::AwaitingApproval(target) if target.kept_by.is_none()),
        );
    }
    message
}

/// The image that could be had.
fn offered(entry: &ContainerVerdict) -> Option<(String, Image)> {
    let target = entry.verdict.target()?;
    let image = Image {
        image: target.image.clone(),
        previous: Some(entry.image.clone()),
    };
    Some((entry.container.clone(), image))
}

pub(super) fn changed(changes: &BTreeMap<String, ImageChange>) -> BTreeMap<String, Image> {
    let images = changes.iter().map(|(container, change)| {
        let image = Image {
            image: change.to.clone(),
            previous: Some(change.from.clone()),
        };
        (container.clone(), image)
    });
    images.collect()
}

/// What all messages have in common that come from a notice.
fn about(
    assessment: &Assessment,
    notice: &Notice,
    event: EventType,
    images: BTreeMap<String, Image>,
    at: Timestamp,
) -> Message {
    let detail = notice.detail.as_ref();
    Message {
        to_people: Some(ToPeople {
            reason: notice.reason,
            detail: detail.map(|detail| text::cut(detail, TEXT_LENGTH)),
            awaits_approval: false,
            is_reminder: false,
        }),
        ..Message::without_end(
            event,
            notice.id(),
            at,
            &assessment.workload.id,
            images.into_iter(),
        )
    }
}

impl Message {
    /// How it ended; `undone` says that it is now brought back.
    fn end(&mut self, in_flight: &InFlight, outcome: &Outcome, undone: bool, now: Timestamp) {
        self.at = whole_seconds(now);
        let (error, rollback) = match outcome {
            Outcome::Completed(completion) => {
                self.remark = completion.remark();
                (None, None)
            }
            Outcome::Failed(why) => (Some(why.clone()), undone.then_some(Rollback::Started)),
            Outcome::Superseded(_) => (Some(outcome.to_annotation()), None),
            Outcome::RolledBack(cause) => (Some(cause.to_string()), Some(Rollback::Completed)),
            Outcome::RollbackFailed { cause: _, rollback } => {
                (Some(rollback.clone()), Some(Rollback::Failed))
            }
        };
        if self.event == EventType::ImageRolloutCompleted {
            let took = now.duration_since(in_flight.started).as_millis();
            self.rollout_millis = Some(u64::try_from(took).unwrap_or_default());
        }
        self.error = error.map(|error| text::cut(&error, TEXT_LENGTH));
        self.rollback = rollback;
    }
}

#[cfg(test)]
mod tests;
