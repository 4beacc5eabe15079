//! What was decided for one container, and how it is told.

use std::fmt;
use std::mem;
use std::sync::Arc;

use jiff::Timestamp;

use super::gate::Gate;
use super::running::RunningUnknown;
use crate::domain::annotations::{APPROVED, Mode, Pin, Settings, of_container};
use crate::domain::approvals::Tally;
use crate::domain::in_flight::ImageChange;
use crate::domain::ownership::Keeper;
use crate::domain::policy::{Hold, SelectionReason};
use crate::domain::record::config_map::RecordError;
use crate::domain::reference::{Digest, Tag};
use crate::domain::watched::{PassedOver, Problem};
use crate::domain::workload::WorkloadId;

/// A watched container, its image as written, and what was decided.
#[derive(Debug, Clone)]
pub struct ContainerVerdict {
    pub container: String,
    pub image: String,
    pub mode: Mode,
    pub verdict: Verdict,
}

impl From<&PassedOver> for ContainerVerdict {
    fn from(passed_over: &PassedOver) -> Self {
        Self {
            container: passed_over.container.clone(),
            image: passed_over.image.clone(),
            mode: passed_over.mode,
            verdict: Verdict::PassedOver(passed_over.problem.clone()),
        }
    }
}

/// What was decided for one container, and why. What an update would be is boxed: most of many containers have none.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// Nothing newer that the policy accepts.
    UpToDate {
        reason: SelectionReason,
        /// The newest tag where the current family has ended and another goes on (rules 15 and 1).
        successor: Option<Tag>,
        /// How the next update will be written, where that is not how the image is written now.
        repinned: Option<Pin>,
    },
    /// What is newer by name is what runs already (rule 14).
    SameImage {
        tag: Tag,
    },
    /// There is something newer, and all of it is held.
    Held {
        /// The newest of it.
        tag: Tag,
        /// The annotations that hold it.
        by: Vec<String>,
    },
    Update(Box<Target>),
    AwaitingApproval(Box<Target>),
    /// It will start of its own accord once nothing is in its way.
    Waiting {
        target: Box<Target>,
        gate: Gate,
        /// When the gate will open, where a clock opens it.
        until: Option<Timestamp>,
    },
    /// Mode `notify`: people are told, nothing is done.
    Notify(Box<Target>),
    ModeOff,
    /// Watched because many are, and there is nothing to follow.
    PassedOver(Problem),
    NoRecord,
    RecordUnreadable(RecordError),
    NeverScanned,
    RecordStale {
        scanned_at: Timestamp,
    },
    /// The record does not speak of this tag and policy: nobody asked for them before, or this is why they have no answer.
    NotScannedFor {
        error: Option<String>,
    },
    /// The image is written with a digest, and that of this tag is not in the record.
    DigestNotRecorded {
        tag: Tag,
        /// Whether it is known that there is something newer: another tag, and not the present one that moves.
        is_newer: bool,
    },
    /// It depends on what runs, or where, and nobody knows.
    RunningUnknown(RunningUnknown),
    /// The container waits while the workload's own update is under way.
    InFlight,
}

/// Where a container would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub tag: Tag,
    pub digest: Option<Digest>,
    /// The image to write, in the spelling of the present one.
    pub image: String,
    /// When a newer tag, which is too young now, will take its place.
    pub superseded_at: Option<Timestamp>,
    /// The digest that is left by it, where the present image does not say it, somebody asked the pods and all that are behind run
    /// the same. Boxed, as it is rare and targets can be many.
    pub ran: Option<Box<Digest>>,
    /// Who would take it back, where nobody said that it is written all the same.
    pub kept_by: Option<Arc<Keeper>>,
    /// What else there is to an approval of it. Behind one pointer, as it is rare and targets can be many.
    pub terms: Option<Arc<Terms>>,
}

/// What else there is to an approval than that it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The risk for which it is needed though the mode is `auto`, in words.
    pub risk: Option<String>,
    /// Who has agreed, where it needs the word of several people.
    pub approvals: Option<Tally>,
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(risk) = &self.risk {
            write!(f, " ({risk})")?;
        }
        match &self.approvals {
            Some(approvals) => write!(f, ", {approvals}"),
            None => Ok(()),
        }
    }
}

impl Target {
    /// Who has agreed, where it needs the word of several people.
    pub fn approvals(&self) -> Option<&Tally> {
        self.terms.as_ref()?.approvals.as_ref()
    }

    /// `; Argo CD keeps this image, …`, or nothing.
    pub(in crate::domain) fn advice(&self) -> String {
        let keeper = self.kept_by.as_ref();
        keeper.map_or_else(String::new, |keeper| format!("; {}", keeper.advice()))
    }

    /// What it does to a container that has `image`.
    pub(in crate::domain) fn change(&self, image: &str) -> ImageChange {
        ImageChange {
            from: image.to_owned(),
            to: self.image.clone(),
            digest: self.digest.clone(),
            ran: self.ran.as_deref().cloned(),
        }
    }
}

impl Verdict {
    /// Puts a gate in the way of an update.
    pub(super) fn wait(&mut self, gate: Gate, until: Option<Timestamp>) {
        if matches!(self, Self::Update(_))
            && let Self::Update(target) = mem::replace(self, Self::InFlight)
        {
            *self = Self::Waiting { target, gate, until };
        }
    }

    /// Where it would go once that is old enough, if that is what it waits for.
    pub(super) fn matures(&self) -> Option<&Target> {
        self.target().filter(|_| {
            matches!(
                self,
                Self::Waiting {
                    gate: Gate::MinAge,
                    ..
                }
            )
        })
    }

    /// What starts by itself once it is old enough does so no sooner than its window and freeze allow it.
    pub(super) fn wait_for_window(&mut self, settings: &Settings) {
        if let Self::Waiting { gate, until, .. } = self
            && *gate == Gate::MinAge
            && let Some(matures_at) = *until
            && let Some((_, opens_at)) = Gate::closed(settings, matures_at)
        {
            *gate = Gate::MinAgeAndWindow;
            *until = opens_at;
        }
    }

    /// What somebody may agree to: what asks for it, and what waits for notes, which whoever agrees need not wait for. How long
    /// those are waited for the updater that leads alone knows, and what it asks for has to be agreed to by way of all others.
    pub fn approvable(&self) -> Option<&Target> {
        if let Self::Waiting {
            target,
            gate: Gate::ReleaseNotes,
            until: _,
        } = self
        {
            return Some(target);
        }
        // Somebody's word would not make it start where another keeps the image.
        self.target()
            .filter(|target| matches!(self, Self::AwaitingApproval(_)) && target.kept_by.is_none())
    }

    /// What an update waits for, in a word for machines: somebody's approval, a gate, or what has to be known of it. Where it is
    /// not known whether there is an update, none waits.
    pub fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::Waiting { gate, .. } => Some(gate.into()),
            Self::AwaitingApproval(_) => Some("approval"),
            Self::DigestNotRecorded { is_newer: true, .. } => Some("digest-not-recorded"),
            Self::RunningUnknown(RunningUnknown::NodesUnreadable(_)) => Some("nodes-unreadable"),
            Self::UpToDate { .. }
            | Self::SameImage { .. }
            | Self::Held { .. }
            | Self::Update(_)
            | Self::Notify(_)
            | Self::ModeOff
            | Self::PassedOver(_)
            | Self::NoRecord
            | Self::RecordUnreadable(_)
            | Self::NeverScanned
            | Self::RecordStale { .. }
            | Self::NotScannedFor { .. }
            | Self::DigestNotRecorded { is_newer: false, .. }
            | Self::RunningUnknown(_)
            | Self::InFlight => None,
        }
    }

    /// When what it waits for will be there, where a clock decides on it.
    pub fn waits_until(&self) -> Option<Timestamp> {
        let Self::Waiting { until, .. } = self else {
            return None;
        };
        *until
    }

    /// Whether pods, nodes or `ReplicaSets` have to be asked before there is another.
    pub(super) fn is_unasked(&self) -> bool {
        matches!(
            self,
            Self::RunningUnknown(RunningUnknown::NotAsked | RunningUnknown::NodesNotAsked)
        ) || self.needs_replica_sets()
    }

    pub(super) fn needs_replica_sets(&self) -> bool {
        matches!(
            self,
            Self::Waiting {
                gate: Gate::ReplicaSetsNotAsked,
                ..
            }
        )
    }

    /// When there will be another verdict although nothing changed.
    pub(super) fn holds_until(&self) -> Option<Timestamp> {
        let target = self.target();
        let superseded_at = target.and_then(|target| target.superseded_at);
        let lapses_at = target.and_then(|target| target.approvals()?.lapses_at());
        let times = self.waits_until().into_iter().chain(superseded_at);
        times.chain(lapses_at).min()
    }

    /// What the container would be given, now or once nothing stands against it any more.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Update(target)
            | Self::AwaitingApproval(target)
            | Self::Notify(target)
            | Self::Waiting { target, .. } => Some(target),
            Self::UpToDate { .. }
            | Self::SameImage { .. }
            | Self::Held { .. }
            | Self::ModeOff
            | Self::PassedOver(_)
            | Self::NoRecord
            | Self::RecordUnreadable(_)
            | Self::NeverScanned
            | Self::RecordStale { .. }
            | Self::NotScannedFor { .. }
            | Self::DigestNotRecorded { .. }
            | Self::RunningUnknown(_)
            | Self::InFlight => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpToDate {
                reason,
                successor,
                repinned,
            } => {
                write!(f, "up to date: {reason}")?;
                if let Some(newest) = successor {
                    write!(f, "; this variant has ended, and {newest} goes on")?;
                }
                match repinned {
                    Some(Pin::Digest) => f.write_str("; the next update will write its digest, too"),
                    Some(Pin::Tag) => f.write_str("; the next update will be written without a digest"),
                    None => Ok(()),
                }
            }
            Self::SameImage { tag } => {
                write!(
                    f,
                    "up to date: {tag} is another name for the image that runs already"
                )
            }
            Self::Held { tag, by } => write!(
                f,
                "{tag} is held by the annotation {}; removing that lifts it",
                by.join(" and ")
            ),
            Self::Update(target) => write!(f, "update to {}", target.image),
            Self::AwaitingApproval(target) => {
                write!(f, "{} waits for approval", target.image)?;
                if let Some(terms) = &target.terms {
                    write!(f, "{terms}")?;
                }
                f.write_str(&target.advice())
            }
            Self::Waiting { target, gate, until } => {
                write!(f, "{} ", target.image)?;
                gate.tell(*until, f)?;
                f.write_str(&target.advice())
            }
            Self::Notify(target) => write!(
                f,
                "{} is available; mode notify leaves it to people{}",
                target.image,
                target.advice()
            ),
            Self::ModeOff => f.write_str("mode is off"),
            Self::PassedOver(problem) => write!(f, "passed over: {problem}"),
            Self::NoRecord => f.write_str("not scanned yet"),
            Self::RecordUnreadable(error) => write!(f, "{error}"),
            Self::NeverScanned => f.write_str("no scan was complete yet"),
            Self::RecordStale { scanned_at } => write!(f, "the last complete scan is too old ({scanned_at})"),
            Self::NotScannedFor { error: None } => {
                f.write_str("the next scan will look for this tag and policy")
            }
            Self::NotScannedFor { error: Some(error) } => write!(f, "the last scan found no answer: {error}"),
            Self::DigestNotRecorded { tag, .. } => write!(f, "the digest of {tag} is not recorded yet"),
            Self::RunningUnknown(unknown) => write!(f, "{unknown}"),
            Self::InFlight => f.write_str("an update is under way"),
        }
    }
}

/// The command that agrees to `target`. Where several people have to, the annotation says nothing: nobody knows who wrote it.
pub fn approval_command(
    workload: &WorkloadId,
    entry: &ContainerVerdict,
    only_container: bool,
    target: &Target,
) -> String {
    let WorkloadId {
        kind,
        namespace,
        name,
    } = workload;
    let kind = kind.in_lower_case();
    if target.approvals().is_some() {
        let container = if only_container {
            String::new()
        } else {
            format!(" --container {}", entry.container)
        };
        return format!("kubefresh-updater approve {kind}/{namespace}/{name}{container}");
    }
    let approval = approval(&entry.container, only_container, &entry.image, target);
    format!("kubectl annotate --overwrite -n {namespace} {kind}/{name} {approval}")
}

/// The annotation that would agree to `target`, as `KEY=VALUE` for `kubectl annotate`.
pub fn approval(container: &str, only_container: bool, current: &str, target: &Target) -> String {
    let (key, value) = approval_annotation(container, only_container, current, target);
    format!("{key}={value}")
}

/// The same as key and value.
pub fn approval_annotation(
    container: &str,
    only_container: bool,
    current: &str,
    target: &Target,
) -> (String, String) {
    let value = match target.change(current).what_is_new() {
        Some(Hold::Image(_, digest) | Hold::Digest(digest)) => digest.to_string(),
        Some(Hold::Tag(_) | Hold::UpTo(_)) | None => target.tag.to_string(),
    };
    let key = if only_container {
        APPROVED.to_owned()
    } else {
        of_container(container, APPROVED)
    };
    (key, value)
}
