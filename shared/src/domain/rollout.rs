//! Is the rollout of an update finished, still going, or failed, and why.
//!
//! What a controller says is as of the generation it has seen, so that comes first, right after a patch it still speaks of
//! the rollout before. What must have happened then differs from kind to kind, and the deadlines come last.

pub mod daemon_set;
pub mod deployment;
pub mod stateful_set;

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::in_flight::InFlight;
use super::ownership::Writer;
use super::pods::Moved;
use super::workload::Workload;

/// What a workload says of its own rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutFacts {
    Deployment(deployment::Facts),
    StatefulSet(stateful_set::Facts),
    DaemonSet(daemon_set::Facts),
    /// It rolls nothing out: jobs that run go on, and the next one is made from the template.
    CronJob,
}

impl RolloutFacts {
    /// How the rollout ended, or else the first thing that is still missing.
    fn progress(&self) -> Result<Completion, Waiting> {
        match self {
            Self::Deployment(facts) => facts.progress(),
            Self::StatefulSet(facts) => facts.progress(),
            Self::DaemonSet(facts) => facts.progress(),
            Self::CronJob => Ok(Completion::NextJob),
        }
    }

    /// Whether every pod is of the present template.
    pub fn is_whole(&self) -> bool {
        self.progress() == Ok(Completion::Whole)
    }

    /// How many pods are meant to run, as far as that is told; of a `CronJob` none.
    pub fn desired(&self) -> i32 {
        match self {
            Self::Deployment(facts) => facts.desired,
            Self::StatefulSet(facts) => facts.desired,
            Self::DaemonSet(facts) => facts.desired,
            Self::CronJob => 0,
        }
    }

    /// Whether no pod is meant to run.
    pub fn wants_no_pods(&self) -> bool {
        match self {
            Self::Deployment(facts) => facts.desired == 0,
            Self::StatefulSet(facts) => facts.desired == 0,
            Self::DaemonSet(facts) => facts.desired == 0 && facts.observed_generation >= facts.generation,
            // Each job has pods of its own, made from the template when it begins.
            Self::CronJob => true,
        }
    }

    /// Which template this is, where the controller counts them.
    pub fn revision(&self) -> Option<i64> {
        match self {
            Self::Deployment(facts) => facts.revision,
            Self::StatefulSet(_) | Self::DaemonSet(_) | Self::CronJob => None,
        }
    }

    /// When the controller came to its verdict that a rollout has failed, by its clock.
    pub fn failed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Deployment(facts) => facts.deadline_exceeded_at,
            Self::StatefulSet(_) | Self::DaemonSet(_) | Self::CronJob => None,
        }
    }

    /// What the controller says of the time that it measures. Only Deployments can be paused.
    fn clock(&self) -> Option<Clock> {
        match self {
            Self::Deployment(facts) => facts.clock,
            Self::StatefulSet(_) | Self::DaemonSet(_) | Self::CronJob => None,
        }
    }

    /// The controller's own verdict that the rollout that `in_flight` stands for has failed. Only Deployments have one.
    fn verdict(&self, in_flight: &InFlight) -> Option<&str> {
        match self {
            Self::Deployment(facts) => facts.verdict(in_flight),
            Self::StatefulSet(_) | Self::DaemonSet(_) | Self::CronJob => None,
        }
    }
}

/// The clock of a controller's own deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// It stands still, as the rollout is paused as far as the controller has seen.
    Stopped,
    /// It runs, and has done so without a break at least since then.
    RunsSince(Timestamp),
}

/// Where the rollout of an update stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStatus {
    InProgress(Waiting),
    Completed(Completion),
    Failed(Failure),
    /// Somebody set another image meanwhile; their word counts, ours is void.
    Superseded {
        container: String,
        image: Option<String>,
        /// Who did, as far as the API server says.
        by: Option<Writer>,
    },
}

/// What is true once there is nothing left to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Every pod is a new one.
    Whole,
    /// The partition of a StatefulSet keeps the pods of the lower ordinals as they were.
    Partition { kept: i32, desired: i32 },
    /// The strategy `OnDelete`: each pod stays as it was until somebody deletes it.
    OnDelete,
    /// A CronJob has the new image for its next job.
    NextJob,
}

impl Completion {
    /// What people have to know beside that it is completed.
    pub fn remark(self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Partition { kept, desired } => {
                Some(format!("the partition keeps {kept} of {desired} pods back"))
            }
            Self::OnDelete => Some("template set; pods change when they are deleted (OnDelete)".to_owned()),
            Self::NextJob => Some("template set; the next job runs it".to_owned()),
        }
    }
}

/// What an unfinished rollout waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The controller has not seen the new template.
    Controller {
        observed: i64,
        generation: i64,
    },
    Updated {
        updated: i32,
        desired: i32,
    },
    OldReplicas {
        old: i32,
    },
    Available {
        available: i32,
        desired: i32,
    },
    /// A StatefulSet goes on only while all its pods are available, and never replaces one that is not.
    InOrder {
        updated: i32,
        available: i32,
        desired: i32,
    },
    /// All pods are new, and the controller still calls the old revision the current one.
    Revision,
    /// Somebody paused it in the middle.
    Paused,
}

impl Waiting {
    /// As long as the controller has not seen the newest generation.
    fn for_controller(observed: i64, generation: i64) -> Result<(), Self> {
        if observed < generation {
            return Err(Self::Controller { observed, generation });
        }
        Ok(())
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller { .. } => f.write_str("the controller has not yet seen the new image"),
            Self::Updated { updated, desired } => write!(f, "{updated} of {desired} pods updated"),
            Self::OldReplicas { old } => write!(f, "{old} old pods still there"),
            Self::Available { available, desired } => write!(f, "{available} of {desired} pods available"),
            Self::InOrder {
                updated,
                available,
                desired,
            } => write!(
                f,
                "{updated} of {desired} pods updated, {available} available; a broken one holds up the others until it is deleted"
            ),
            Self::Revision => f.write_str("the controller has not yet closed the rollout"),
            Self::Paused => {
                f.write_str("the rollout is paused until somebody resumes it (kubectl rollout resume)")
            }
        }
    }
}

/// Why a rollout counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The controller gave up: `progressDeadlineSeconds` passed.
    ProgressDeadlineExceeded {
        message: String,
        waiting: Waiting,
        /// What one of the new pods says, if anybody asked.
        pod: Option<String>,
    },
    /// Our own deadline passed, whatever the controller thinks.
    RolloutTimeout { waiting: Waiting, pod: Option<String> },
}

impl Failure {
    fn pod(&self) -> Option<&str> {
        match self {
            Self::ProgressDeadlineExceeded { pod, .. } | Self::RolloutTimeout { pod, .. } => pod.as_deref(),
        }
    }

    /// The same failure, with what one of the new pods says.
    #[must_use]
    pub fn said_by(mut self, said: &str) -> Self {
        match &mut self {
            Self::ProgressDeadlineExceeded { pod, .. } | Self::RolloutTimeout { pod, .. } => {
                *pod = Some(said.to_owned());
            }
        }
        self
    }

    /// Whether what failed also stands in the way of the return to the image before, so that somebody has to help.
    pub fn holds_up_its_own_rollback(&self) -> bool {
        match self {
            Self::ProgressDeadlineExceeded { waiting, .. } | Self::RolloutTimeout { waiting, .. } => {
                matches!(waiting, Waiting::InOrder { .. })
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProgressDeadlineExceeded { message, waiting, .. } => write!(f, "{message} ({waiting})")?,
            Self::RolloutTimeout { waiting, .. } => write!(f, "rollout timeout passed: {waiting}")?,
        }
        self.pod().map_or(Ok(()), |pod| write!(f, "; {pod}"))
    }
}

/// How long a rollout may go on.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// When its time is over, by the clock of whoever asks.
    pub ends: Timestamp,
    /// How long that is, and it has again with each step.
    pub timeout: SignedDuration,
    /// Since when it has its time again, where that ended while nobody followed it.
    pub renewed: Option<Timestamp>,
    /// How far it has come by its pods, as far as anybody asked.
    pub moved: Option<Moved>,
}

impl Term {
    /// Whether a verdict of the controller counts: not one that it came to while nobody followed, perhaps for the same reason.
    fn counts(self, verdict_at: Option<Timestamp>) -> bool {
        self.renewed
            .zip(verdict_at)
            .is_none_or(|(renewed, at)| at > renewed)
    }
}

/// Judges the rollout that `in_flight` stands for.
pub fn evaluate(workload: &Workload, in_flight: &InFlight, term: Term, now: Timestamp) -> RolloutStatus {
    for (container, change) in &in_flight.containers {
        let image = workload.image_of(container);
        if image != Some(change.to.as_str()) {
            return RolloutStatus::Superseded {
                container: container.clone(),
                image: image.map(str::to_owned),
                by: workload.other_writer_of(container).cloned(),
            };
        }
    }
    let waiting = match workload.rollout.progress() {
        Ok(completion) => return RolloutStatus::Completed(completion),
        Err(waiting) => waiting,
    };
    if workload.paused {
        // Whatever the controller said before: whoever paused it decides when it goes on.
        RolloutStatus::InProgress(Waiting::Paused)
    } else if let Some(message) = workload.rollout.verdict(in_flight)
        && term.counts(workload.rollout.failed_at())
    {
        let message = message.to_owned();
        RolloutStatus::Failed(Failure::ProgressDeadlineExceeded {
            message,
            waiting,
            pod: None,
        })
    } else if deadline(workload, term).is_some_and(|deadline| now >= deadline) {
        RolloutStatus::Failed(Failure::RolloutTimeout { waiting, pod: None })
    } else {
        RolloutStatus::InProgress(waiting)
    }
}

/// When we stop waiting for a rollout, which without a pause is when its time ends and that which a new pod has to be ready
/// (`minReadySeconds`); `None` while it is paused, which can take any time.
///
/// Once it goes on it has its whole time again, by when its controller says that it does. A Deployment that switched its own
/// deadline off has no such word of its controller, and keeps the deadline that it was given.
///
/// It has its whole time again with each new pod that becomes ready, as `progressDeadlineSeconds` has it: a `DaemonSet` of many nodes
/// takes as long as it takes. Pods that are ready only at times, or by a clock that is wrong, do not prolong it for ever: it has no more
/// than that time for each that was seen to be.
pub fn deadline(workload: &Workload, term: Term) -> Option<Timestamp> {
    if workload.paused {
        return None;
    }
    // A new pod has to be ready for so long before the next one follows.
    let rest = workload.min_ready;
    let timeout = term.timeout.saturating_add(rest);
    let after = |since: Timestamp| since.checked_add(timeout).unwrap_or(Timestamp::MAX);
    let ends = term.ends.checked_add(rest).unwrap_or(Timestamp::MAX);
    let ends = match workload.rollout.clock() {
        // The controller has yet to see that it goes on.
        Some(Clock::Stopped) => return None,
        Some(Clock::RunsSince(since)) => ends.max(after(since)),
        None => ends,
    };
    Some(term.moved.map_or(ends, |moved| {
        let for_each = timeout.checked_mul(moved.ready).unwrap_or(SignedDuration::MAX);
        let last = ends.checked_add(for_each).unwrap_or(Timestamp::MAX);
        ends.max(after(moved.at).min(last))
    }))
}

#[cfg(test)]
mod tests;
