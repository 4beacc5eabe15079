//! Deployments: after the generation the updated replicas, then the old ones' end, then availability.
//!
//! The Progressing condition alone lies right after a patch: until the controller has seen the new generation, and at times
//! beyond, it speaks of the previous rollout.
//! Source: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

use super::{Clock, Completion, Waiting};
use crate::domain::in_flight::InFlight;
use crate::domain::text;
use crate::domain::time::SKEW;

/// What a Deployment says of its own rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The generation of the spec that stands in the store.
    pub generation: i64,
    /// The generation that the controller has seen; everything else in here is as of that one.
    pub observed_generation: i64,
    pub desired: i32,
    /// Replicas of every template, old and new.
    pub replicas: i32,
    /// Replicas of the newest template.
    pub updated: i32,
    pub available: i32,
    /// The controller's own verdict that `progressDeadlineSeconds` have passed, in its words.
    pub deadline_exceeded: Option<String>,
    /// When the controller came to that verdict.
    pub deadline_exceeded_at: Option<Timestamp>,
    /// Which template this is, by the controller's count: another one for each rollout, also for one that goes back.
    pub revision: Option<i64>,
    /// What the controller says of the time that it measures; `None` where it measures none.
    pub clock: Option<Clock>,
}

/// Where the controller keeps its count, on the Deployment and on its `ReplicaSets`.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// How much is kept of what the controller says, in bytes.
const MESSAGE_LENGTH: usize = 500;

/// Which template this is by these annotations.
pub(in crate::domain) fn revision(annotations: &BTreeMap<String, String>) -> Option<i64> {
    annotations.get(REVISION)?.parse().ok()
}

impl From<&Deployment> for Facts {
    /// What a fresh object does not yet have counts as nothing seen, so never as finished.
    fn from(deployment: &Deployment) -> Self {
        let status = deployment.status.clone().unwrap_or_default();
        let mut conditions = status.conditions.iter().flatten();
        let progressing = conditions.find(|condition| condition.type_ == "Progressing");
        let deadline_exceeded =
            progressing.filter(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"));
        let spec = deployment.spec.as_ref();
        Self {
            revision: deployment.metadata.annotations.as_ref().and_then(revision),
            generation: deployment.metadata.generation.unwrap_or(0),
            observed_generation: status.observed_generation.unwrap_or(-1),
            desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            replicas: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            deadline_exceeded_at: deadline_exceeded.and_then(updated_at),
            deadline_exceeded: deadline_exceeded.map(|condition| {
                let message = condition.message.as_deref();
                text::cut(message.unwrap_or("progress deadline exceeded"), MESSAGE_LENGTH)
            }),
            clock: progressing.and_then(clock),
        }
    }
}

fn updated_at(condition: &DeploymentCondition) -> Option<Timestamp> {
    let transition = condition.last_transition_time.as_ref();
    let time = condition.last_update_time.as_ref().or(transition);
    time.map(|time| time.0)
}

/// By a Progressing condition. It is unknown while the rollout is paused and right after that, and true again with the first
/// progress from then on; how often it is updated says nothing, as each pod does that.
fn clock(progressing: &DeploymentCondition) -> Option<Clock> {
    match progressing.reason.as_deref() {
        Some("DeploymentPaused") => Some(Clock::Stopped),
        Some("DeploymentResumed") => updated_at(progressing).map(Clock::RunsSince),
        Some(_) | None => {
            let since = progressing.last_transition_time.as_ref();
            let since = since.filter(|_| progressing.status == "True");
            since.map(|time| Clock::RunsSince(time.0))
        }
    }
}

impl Facts {
    pub(super) fn progress(&self) -> Result<Completion, Waiting> {
        let Self {
            generation,
            observed_generation,
            desired,
            replicas,
            updated,
            available,
            deadline_exceeded: _,
            deadline_exceeded_at: _,
            revision: _,
            clock: _,
        } = *self;
        Waiting::for_controller(observed_generation, generation)?;
        if updated < desired {
            Err(Waiting::Updated { updated, desired })
        } else if replicas > updated {
            Err(Waiting::OldReplicas {
                old: replicas - updated,
            })
        } else if available < updated {
            Err(Waiting::Available {
                available,
                desired: updated,
            })
        } else {
            Ok(Completion::Whole)
        }
    }

    /// A verdict on the rollout before ours stays in the status, under our own generation, until a new ReplicaSet exists or
    /// progresses: with the strategy Recreate for as long as the old pods take to end.
    ///
    /// Which one it is, its time tells: two of the controller's own need no common clock. Where the marker has none, nothing stood
    /// there when it was written, unless an earlier version wrote it: that one knew only its own clock, and a rollback from it
    /// follows a verdict.
    pub(super) fn verdict(&self, in_flight: &InFlight) -> Option<&str> {
        let seen = self.observed_generation >= self.generation;
        let of_ours = self
            .deadline_exceeded_at
            .is_none_or(|at| match in_flight.verdict_before {
                Some(before) => at != before,
                None if in_flight.rollback.is_some() => at > in_flight.started,
                // A difference, as whoever may annotate a workload may write any time: one before the first is none.
                None => at.duration_since(in_flight.started) > -SKEW,
            });
        self.deadline_exceeded.as_deref().filter(|_| seen && of_ours)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const COMPLETE: Facts = Facts {
        generation: 2,
        observed_generation: 2,
        desired: 3,
        replicas: 3,
        updated: 3,
        available: 3,
        deadline_exceeded: None,
        deadline_exceeded_at: None,
        revision: None,
        clock: None,
    };

    #[test]
    fn a_rollout_is_complete_only_when_nothing_is_missing() {
        let cases = [
            (COMPLETE, Ok(Completion::Whole)),
            (
                Facts {
                    observed_generation: 1,
                    ..COMPLETE
                },
                Err("the controller has not yet seen the new image"),
            ),
            (
                Facts {
                    updated: 1,
                    replicas: 4,
                    ..COMPLETE
                },
                Err("1 of 3 pods updated"),
            ),
            (
                Facts {
                    replicas: 4,
                    ..COMPLETE
                },
                Err("1 old pods still there"),
            ),
            (
                Facts {
                    available: 2,
                    ..COMPLETE
                },
                Err("2 of 3 pods available"),
            ),
            (
                Facts {
                    desired: 0,
                    replicas: 0,
                    updated: 0,
                    available: 0,
                    ..COMPLETE
                },
                Ok(Completion::Whole),
            ),
        ];
        for (facts, expected) in cases {
            let progress = facts.progress().map_err(|waiting| waiting.to_string());
            assert_eq!(progress, expected.map_err(str::to_owned), "{facts:?}");
        }
    }

    #[test]
    fn what_a_fresh_object_does_not_say_yet_counts_as_nothing_seen() {
        let facts = Facts::from(&Deployment::default());
        assert!(matches!(facts.progress(), Err(Waiting::Controller { .. })));
    }

    #[test]
    fn a_verdict_is_of_ours_unless_it_is_older_also_where_somebody_wrote_that_it_began_before_all_time() {
        let exceeded: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let facts = Facts {
            deadline_exceeded: Some("timed out".to_owned()),
            deadline_exceeded_at: Some(exceeded),
            ..COMPLETE
        };
        for (started, is_ours) in [
            (Timestamp::MIN, true),
            (exceeded, true),
            (exceeded + SKEW / 2, true),
            (exceeded + SKEW, false),
            (Timestamp::MAX, false),
        ] {
            let in_flight = InFlight::new(BTreeMap::new(), started, SignedDuration::ZERO);
            assert_eq!(facts.verdict(&in_flight).is_some(), is_ours, "{started}");
        }
    }

    #[test]
    fn the_controllers_clock_stands_still_in_a_pause_and_begins_anew_after_it() {
        let (first, second) = ("2026-11-21T03:00:00Z", "2026-11-21T04:00:00Z");
        let since = |time: &str| Some(Clock::RunsSince(time.parse().unwrap()));
        for (status, reason, expected) in [
            ("Unknown", "DeploymentPaused", Some(Clock::Stopped)),
            ("Unknown", "DeploymentResumed", since(second)),
            ("True", "ReplicaSetUpdated", since(first)),
            ("True", "NewReplicaSetCreated", since(first)),
            ("False", "ProgressDeadlineExceeded", None),
        ] {
            let condition = serde_json::json!({
                "type": "Progressing",
                "status": status,
                "reason": reason,
                "lastTransitionTime": first,
                "lastUpdateTime": second,
            });
            let deployment = serde_json::json!({ "status": { "conditions": [condition] } });
            let deployment: Deployment = serde_json::from_value(deployment).unwrap();
            assert_eq!(Facts::from(&deployment).clock, expected, "{reason}");
        }
    }
}
