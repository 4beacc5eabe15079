//! What a look has to do, one task after the other, and who does it: tells people, then patches.

use std::sync::Arc;

use jiff::Timestamp;
use shared::domain::notice::Notice;
use shared::domain::plan::{Action, Assessment, Update};
use tokio::time::Instant;

use super::work::Piece;
use crate::apply::Applier;
use crate::metrics::Metrics;
use crate::notify::Notifier;

/// Whoever carries out tasks.
#[derive(Debug)]
pub struct Hands {
    pub notifier: Notifier,
    pub applier: Applier,
    pub metrics: Arc<Metrics>,
}

/// What is to be done in one place.
#[derive(Debug)]
pub(super) enum Task<'p> {
    /// What the assessment says.
    Tell {
        assessment: &'p Assessment,
        notices: Vec<Notice>,
        /// Whether others will be told, too.
        entered: bool,
    },
    /// A scan that these annotations asked for has been made.
    Checked(&'p Assessment, Vec<&'static str>),
    /// What could not be told in time in this namespace.
    Late(String),
}

/// A task that may outlast its plan.
#[derive(Debug)]
pub(super) enum Own {
    Tell {
        assessment: Assessment,
        notices: Vec<Notice>,
        entered: bool,
    },
    Checked(Assessment, Vec<&'static str>),
    Late(String),
}

/// An update that has begun.
#[derive(Debug)]
pub struct Begun {
    /// What it was decided by.
    pub(super) assessment: Assessment,
    pub(super) update: Update,
    /// The look that began it.
    pub(super) look: Instant,
}

impl Hands {
    /// Does the task of this look, which was made at `now`. Returns the update that has begun by it.
    pub(super) async fn carry_out(
        self: Arc<Self>,
        task: Own,
        (look, now): (Instant, Timestamp),
    ) -> Option<Begun> {
        let (assessment, notices, entered) = match task {
            Own::Tell {
                assessment,
                notices,
                entered,
            } => (assessment, notices, entered),
            Own::Checked(assessment, annotations) => {
                self.applier
                    .checked(&assessment, &annotations, &self.metrics)
                    .await;
                return None;
            }
            Own::Late(namespace) => {
                self.notifier.tell_late(&namespace, &self.metrics).await;
                return None;
            }
        };
        let told = if assessment.ends_its_notices() {
            self.notifier.tell_before_the_end(&notices, &self.metrics).await
        } else {
            self.notifier.tell(&notices, &self.metrics).await
        };
        let applied = self
            .applier
            .apply(&assessment, told && entered, now, &self.metrics);
        let update = applied.await.cloned()?;
        Some(Begun {
            assessment,
            update,
            look,
        })
    }

    /// Whether there is anything to be sent for it now.
    pub(super) fn can_begin(&self, task: &Task<'_>) -> bool {
        match task {
            Task::Tell {
                assessment,
                notices,
                entered,
            } => {
                let told = if assessment.ends_its_notices() {
                    self.notifier.may_end(notices)
                } else {
                    self.notifier.has_told(notices)
                };
                self.notifier.has_to_tell(notices) || self.applier.has_to_apply(assessment, told && *entered)
            }
            Task::Checked(assessment, _) => self.applier.can_send(&assessment.workload),
            Task::Late(_) => true,
        }
    }

    /// How often in a row it came to nothing.
    pub(super) fn failures(&self, task: &Task<'_>) -> u32 {
        match task {
            Task::Tell {
                assessment, notices, ..
            } => {
                let patches = self.applier.failures(&assessment.workload);
                patches.max(self.notifier.failures(notices))
            }
            Task::Checked(assessment, _) => self.applier.failures(&assessment.workload),
            Task::Late(_) => 0,
        }
    }
}

impl<'p> Task<'p> {
    /// The lowest goes first: what ends an update or takes it back, then what begins one, then what only has something to say.
    pub(super) fn urgency(&self) -> u8 {
        match self.assessment().map(|assessment| &assessment.action) {
            Some(
                Action::RollBack { .. } | Action::Undo { .. } | Action::TakenBack(_) | Action::Follow { .. },
            ) => 0,
            Some(Action::Start(_)) => 1,
            Some(Action::Nothing | Action::Stop(_) | Action::StopForMarker(_)) | None => 2,
        }
    }

    pub(super) fn assessment(&self) -> Option<&'p Assessment> {
        match self {
            Self::Tell { assessment, .. } | Self::Checked(assessment, _) => Some(assessment),
            Self::Late(_) => None,
        }
    }
}

impl From<Task<'_>> for Own {
    fn from(task: Task<'_>) -> Self {
        match task {
            Task::Tell {
                assessment,
                notices,
                entered,
            } => Self::Tell {
                assessment: assessment.clone(),
                notices,
                entered,
            },
            Task::Checked(assessment, annotations) => Self::Checked(assessment.clone(), annotations),
            Task::Late(namespace) => Self::Late(namespace),
        }
    }
}

impl Piece for Task<'_> {
    fn subject(&self) -> &str {
        match self {
            Self::Tell { assessment, .. } | Self::Checked(assessment, _) => &assessment.workload.uid,
            Self::Late(namespace) => namespace,
        }
    }

    fn namespace(&self) -> &str {
        match self {
            Self::Tell { assessment, .. } | Self::Checked(assessment, _) => &assessment.workload.id.namespace,
            Self::Late(namespace) => namespace,
        }
    }
}
