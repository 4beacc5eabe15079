//! Is the rollout of an update finished, still going, or failed, and why.
//!
//! The Progressing condition alone lies right after a patch: until the Deployment controller has seen the new
//! generation it still speaks of the previous rollout. So the generation comes first, then updated replicas, then
//! the old ones' end, then availability, and the deadlines last.
//! Source: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment>.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;

use super::in_flight::InFlight;
use super::workload::Workload;

/// What a Deployment says of its own rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFacts {
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
}

impl RolloutFacts {
    /// Reads them; what a fresh object does not yet have counts as nothing seen, so never as finished.
    pub fn of_deployment(deployment: &Deployment) -> Self {
        let status = deployment.status.clone().unwrap_or_default();
        let deadline_exceeded = status.conditions.iter().flatten().find(|condition| {
            condition.type_ == "Progressing"
                && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
        });
        Self {
            generation: deployment.metadata.generation.unwrap_or(0),
            observed_generation: status.observed_generation.unwrap_or(-1),
            desired: deployment
                .spec
                .as_ref()
                .and_then(|spec| spec.replicas)
                .unwrap_or(1),
            replicas: status.replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            deadline_exceeded_at: deadline_exceeded
                .and_then(|condition| {
                    let transition = condition.last_transition_time.as_ref();
                    condition.last_update_time.as_ref().or(transition)
                })
                .map(|time| time.0),
            deadline_exceeded: deadline_exceeded.map(|condition| {
                condition
                    .message
                    .clone()
                    .unwrap_or_else(|| "progress deadline exceeded".to_owned())
            }),
        }
    }
}

/// Where the rollout of an update stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutStatus {
    InProgress(Waiting),
    Completed,
    Failed(Failure),
    /// Somebody set another image meanwhile; their word counts, ours is void.
    Superseded {
        container: String,
        image: Option<String>,
    },
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
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller { .. } => write!(f, "the controller has not yet seen the new image"),
            Self::Updated { updated, desired } => write!(f, "{updated} of {desired} replicas updated"),
            Self::OldReplicas { old } => write!(f, "{old} old replicas still there"),
            Self::Available { available, desired } => {
                write!(f, "{available} of {desired} updated replicas available")
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
        waiting: Option<Waiting>,
    },
    /// Our own deadline passed, whatever the controller thinks.
    RolloutTimeout { waiting: Waiting },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProgressDeadlineExceeded {
                message,
                waiting: Some(waiting),
            } => write!(f, "{message} ({waiting})"),
            Self::ProgressDeadlineExceeded {
                message,
                waiting: None,
            } => f.write_str(message),
            Self::RolloutTimeout { waiting } => write!(f, "rollout timeout passed: {waiting}"),
        }
    }
}

/// Judges the rollout that `in_flight` stands for.
pub fn evaluate(workload: &Workload, in_flight: &InFlight, now: Timestamp) -> RolloutStatus {
    for (container, change) in &in_flight.containers {
        let image = workload.image_of(container);
        if image != Some(change.to.as_str()) {
            return RolloutStatus::Superseded {
                container: container.clone(),
                image: image.map(str::to_owned),
            };
        }
    }
    let facts = &workload.rollout;
    let waiting = waiting(facts);
    let seen = facts.observed_generation >= facts.generation;
    // A verdict on the rollout before ours stays in the status, under our own generation, until a new ReplicaSet exists
    // or progresses: with the strategy Recreate for as long as the old pods take to end.
    let of_ours = facts
        .deadline_exceeded_at
        .is_none_or(|at| at >= in_flight.started);
    match (waiting, facts.deadline_exceeded.as_ref().filter(|_| of_ours)) {
        (None, _) => RolloutStatus::Completed,
        (waiting, Some(message)) if seen => RolloutStatus::Failed(Failure::ProgressDeadlineExceeded {
            message: message.clone(),
            waiting,
        }),
        (Some(waiting), _) if now >= in_flight.deadline => {
            RolloutStatus::Failed(Failure::RolloutTimeout { waiting })
        }
        (Some(waiting), _) => RolloutStatus::InProgress(waiting),
    }
}

/// The first thing that is still missing, or `None` when the rollout is complete.
fn waiting(facts: &RolloutFacts) -> Option<Waiting> {
    let RolloutFacts {
        generation,
        observed_generation,
        desired,
        replicas,
        updated,
        available,
        deadline_exceeded: _,
        deadline_exceeded_at: _,
    } = *facts;
    if observed_generation < generation {
        Some(Waiting::Controller {
            observed: observed_generation,
            generation,
        })
    } else if updated < desired {
        Some(Waiting::Updated { updated, desired })
    } else if replicas > updated {
        Some(Waiting::OldReplicas {
            old: replicas - updated,
        })
    } else if available < updated {
        Some(Waiting::Available {
            available,
            desired: updated,
        })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::SignedDuration;

    use super::*;
    use crate::domain::in_flight::ImageChange;
    use crate::domain::workload::{Container, WorkloadId, WorkloadKind};

    const START: &str = "2026-11-21T03:00:00Z";

    fn workload(image: &str, rollout: RolloutFacts) -> Workload {
        Workload {
            id: WorkloadId {
                kind: WorkloadKind::Deployment,
                namespace: "shop".to_owned(),
                name: "checkout".to_owned(),
            },
            uid: "uid".to_owned(),
            resource_version: "7".to_owned(),
            annotations: BTreeMap::new(),
            containers: vec![Container {
                name: "app".to_owned(),
                image: image.to_owned(),
                init: false,
            }],
            paused: false,
            deleted_at: None,
            rollout,
        }
    }

    fn judge(image: &str, rollout: RolloutFacts, after: SignedDuration) -> RolloutStatus {
        let start: Timestamp = START.parse().unwrap();
        let change = ImageChange {
            from: "app:1".to_owned(),
            to: "app:2".to_owned(),
        };
        let marker = InFlight::new(
            BTreeMap::from([("app".to_owned(), change)]),
            start,
            SignedDuration::from_mins(10),
        );
        evaluate(&workload(image, rollout), &marker, start + after)
    }

    fn complete() -> RolloutFacts {
        RolloutFacts {
            generation: 2,
            observed_generation: 2,
            desired: 3,
            replicas: 3,
            updated: 3,
            available: 3,
            deadline_exceeded: None,
            deadline_exceeded_at: None,
        }
    }

    #[test]
    fn a_rollout_is_complete_only_when_nothing_is_missing() {
        let minute = SignedDuration::from_mins(1);
        let cases = [
            (complete(), RolloutStatus::Completed),
            (
                RolloutFacts {
                    observed_generation: 1,
                    ..complete()
                },
                RolloutStatus::InProgress(Waiting::Controller {
                    observed: 1,
                    generation: 2,
                }),
            ),
            (
                RolloutFacts {
                    updated: 1,
                    replicas: 4,
                    ..complete()
                },
                RolloutStatus::InProgress(Waiting::Updated {
                    updated: 1,
                    desired: 3,
                }),
            ),
            (
                RolloutFacts {
                    replicas: 4,
                    ..complete()
                },
                RolloutStatus::InProgress(Waiting::OldReplicas { old: 1 }),
            ),
            (
                RolloutFacts {
                    available: 2,
                    ..complete()
                },
                RolloutStatus::InProgress(Waiting::Available {
                    available: 2,
                    desired: 3,
                }),
            ),
            (
                RolloutFacts {
                    desired: 0,
                    replicas: 0,
                    updated: 0,
                    available: 0,
                    ..complete()
                },
                RolloutStatus::Completed,
            ),
        ];
        for (facts, expected) in cases {
            assert_eq!(judge("app:2", facts.clone(), minute), expected, "{facts:?}");
        }
    }

    #[test]
    fn the_previous_rollouts_condition_says_nothing_of_a_generation_it_has_not_seen() {
        let stale = RolloutFacts {
            observed_generation: 1,
            deadline_exceeded: Some("old news".to_owned()),
            ..complete()
        };
        assert!(matches!(
            judge("app:2", stale, SignedDuration::ZERO),
            RolloutStatus::InProgress(_)
        ));
    }

    #[test]
    fn the_controllers_verdict_fails_the_rollout_and_says_what_was_missing() {
        let stuck = RolloutFacts {
            available: 0,
            deadline_exceeded: Some("timed out".to_owned()),
            ..complete()
        };
        assert_eq!(
            judge("app:2", stuck, SignedDuration::from_mins(1)),
            RolloutStatus::Failed(Failure::ProgressDeadlineExceeded {
                message: "timed out".to_owned(),
                waiting: Some(Waiting::Available {
                    available: 0,
                    desired: 3
                }),
            })
        );
    }

    #[test]
    fn a_verdict_from_before_our_update_is_not_about_it() {
        let start: Timestamp = START.parse().unwrap();
        let stuck = |at: SignedDuration| RolloutFacts {
            updated: 0,
            available: 0,
            deadline_exceeded: Some("timed out".to_owned()),
            deadline_exceeded_at: Some(start + at),
            ..complete()
        };
        let minute = SignedDuration::from_mins(1);
        assert!(matches!(
            judge("app:2", stuck(-minute), minute),
            RolloutStatus::InProgress(Waiting::Updated { .. })
        ));
        assert!(matches!(
            judge("app:2", stuck(minute), minute),
            RolloutStatus::Failed(Failure::ProgressDeadlineExceeded { .. })
        ));
    }

    #[test]
    fn our_own_deadline_fails_a_rollout_that_the_controller_still_believes_in() {
        let slow = RolloutFacts {
            available: 1,
            ..complete()
        };
        let before = judge("app:2", slow.clone(), SignedDuration::from_secs(599));
        let after = judge("app:2", slow, SignedDuration::from_mins(10));
        assert!(matches!(before, RolloutStatus::InProgress(_)));
        assert!(matches!(
            after,
            RolloutStatus::Failed(Failure::RolloutTimeout { .. })
        ));
    }

    #[test]
    fn a_rollout_that_completed_late_is_complete() {
        assert_eq!(
            judge("app:2", complete(), SignedDuration::from_hours(5)),
            RolloutStatus::Completed
        );
    }

    #[test]
    fn another_image_than_ours_voids_the_update_even_when_it_rolled_out() {
        assert_eq!(
            judge("app:3", complete(), SignedDuration::ZERO),
            RolloutStatus::Superseded {
                container: "app".to_owned(),
                image: Some("app:3".to_owned())
            }
        );
    }
}
