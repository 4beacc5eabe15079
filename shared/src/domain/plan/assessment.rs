//! What was decided for one workload, and what is to be done with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gate::Gate;
use super::pending::Pending;
use super::running::RunningUnknown;
use super::taken_back::TakenBack;
use super::undo::RefusedUndo;
use super::verdict::{ContainerVerdict, Verdict};
use crate::domain::in_flight::{InFlight, InFlightError, LastImages};
use crate::domain::rollout::{Failure, RolloutStatus};
use crate::domain::watched::Problem;
use crate::domain::workload::Workload;

/// One workload's part of the plan.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// As it was when this was decided.
    pub workload: Arc<Workload>,
    /// One for each watched container.
    pub containers: Vec<ContainerVerdict>,
    pub action: Action,
    pub pending: Pending,
    /// What others will make of the update that is under way, where they keep its images.
    pub prospect: Option<String>,
    /// Requests to undo an update that fit none.
    pub refused: Vec<RefusedUndo>,
}

impl Assessment {
    /// Whether an update is under way, of which the pods can say what it waits for.
    pub fn is_under_way(&self) -> bool {
        matches!(
            self.action,
            Action::Follow {
                status: RolloutStatus::InProgress(_),
                ..
            }
        )
    }

    /// Whether what it asks for ends what there is to tell of it now: once that is done, no look speaks of it any more.
    pub fn ends_its_notices(&self) -> bool {
        match &self.action {
            Action::RollBack { .. }
            | Action::TakenBack(_)
            | Action::Follow {
                status:
                    RolloutStatus::Completed(_) | RolloutStatus::Failed(_) | RolloutStatus::Superseded { .. },
                ..
            } => true,
            Action::Undo { undo: _, abandoned } => abandoned.is_some(),
            Action::Start(_) => false,
            Action::Follow {
                status: RolloutStatus::InProgress(_),
                ..
            }
            | Action::Nothing
            | Action::Stop(_)
            | Action::StopForMarker(_) => !self.refused.is_empty(),
        }
    }

    /// Whether an update has failed, of which the pods can say why.
    pub fn has_failed(&self) -> bool {
        matches!(
            self.action,
            Action::RollBack { .. }
                | Action::Follow {
                    status: RolloutStatus::Failed(_),
                    ..
                }
        )
    }

    /// Whether another plan would decide or tell more if its pods were read.
    pub fn needs_pods(&self) -> bool {
        self.has_failed() || self.waits_for(&RunningUnknown::NotAsked)
    }

    /// Whether another plan would decide more if the nodes were read.
    pub fn needs_nodes(&self) -> bool {
        self.waits_for(&RunningUnknown::NodesNotAsked)
    }

    /// Whether an update of it may start once it is known what its `ReplicaSets` say.
    pub fn needs_replica_sets(&self) -> bool {
        let mut verdicts = self.containers.iter().map(|entry| &entry.verdict);
        verdicts.any(Verdict::needs_replica_sets)
    }

    /// Whether it is decided otherwise once nodes of some platform are gone.
    pub fn waits_for_nodes(&self) -> bool {
        let mut verdicts = self.containers.iter().map(|entry| &entry.verdict);
        verdicts.any(|verdict| {
            matches!(
                verdict,
                Verdict::Waiting {
                    gate: Gate::PlatformMissing { .. },
                    ..
                }
            )
        })
    }

    fn waits_for(&self, unknown: &RunningUnknown) -> bool {
        let mut verdicts = self.containers.iter().map(|entry| &entry.verdict);
        verdicts.any(|verdict| matches!(verdict, Verdict::RunningUnknown(found) if found == unknown))
    }
}

impl Action {
    /// The update that was under way when this was decided, whatever becomes of it.
    pub fn under_way(&self) -> Option<&InFlight> {
        match self {
            Self::Follow { in_flight, .. } | Self::RollBack { in_flight, .. } => Some(in_flight),
            Self::Undo { abandoned, .. } => abandoned.as_deref(),
            Self::Nothing | Self::Stop(_) | Self::StopForMarker(_) | Self::Start(_) | Self::TakenBack(_) => {
                None
            }
        }
    }
}

/// What to do with a workload. What is rare and large is boxed: most of many workloads have nothing to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Nothing; each container's verdict says why.
    Nothing,
    /// Nothing until somebody mends what is wrong.
    Stop(Vec<Problem>),
    /// The in-flight marker cannot be read, so nobody knows whether an update is under way.
    StopForMarker(InFlightError),
    /// Apply this update.
    Start(Box<Update>),
    /// An update is under way: this is where it stands.
    Follow {
        in_flight: Box<InFlight>,
        status: RolloutStatus,
        /// What is held from its end on, as annotations.
        holds: BTreeMap<String, String>,
        /// What else is written down at its end: what it did, for whoever undoes it, and what another tool promises to write of an
        /// update that is complete ([`status_annotations`](crate::domain::annotations::status_annotations)).
        kept: BTreeMap<String, Option<String>>,
    },
    /// An update has failed and is to be undone by another one.
    RollBack {
        in_flight: Box<InFlight>,
        failure: Failure,
        undo: Box<Update>,
    },
    /// Somebody asks for the last update to be undone, which this does.
    Undo {
        undo: Box<Update>,
        /// That update, where it is still under way.
        abandoned: Option<Box<InFlight>>,
    },
    /// Somebody went back to an older image. Nothing else is done until that is written down.
    TakenBack(Box<TakenBack>),
}

/// An update of one workload, all its containers in one patch and so in one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub in_flight: InFlight,
    /// Which of the containers stand under `initContainers`.
    pub init_containers: BTreeSet<String>,
    /// Annotations that asked for this update or agreed to it, as they are once it has used them up; `None` goes.
    pub spent: BTreeMap<String, Option<String>>,
    /// What is held from now on, as annotations.
    pub holds: BTreeMap<String, String>,
    /// What can still be undone of the update before.
    pub last_images: Option<LastImages>,
}
