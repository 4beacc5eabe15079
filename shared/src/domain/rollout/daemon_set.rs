//! DaemonSets: after the generation one updated pod for each node, then availability.
//!
//! The controller counts the oldest pod of each node, so an updated one is counted only where no old one is left.
//! Source: `kubectl rollout status`, `kubectl/pkg/polymorphichelpers/rollout_status.go`.

use k8s_openapi::api::apps::v1::DaemonSet;

use super::{Completion, Waiting};

/// What a DaemonSet says of its own rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The generation of the spec that stands in the store.
    pub generation: i64,
    /// The generation that the controller has seen; the counts are as of that one.
    pub observed_generation: i64,
    /// The strategy `OnDelete`: pods are replaced when somebody deletes them.
    pub on_delete: bool,
    /// Nodes that are to run a pod.
    pub desired: i32,
    pub updated: i32,
    pub available: i32,
}

impl From<&DaemonSet> for Facts {
    /// What a fresh object does not yet have counts as nothing seen, so never as finished.
    fn from(set: &DaemonSet) -> Self {
        let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
        let status = set.status.as_ref();
        Self {
            generation: set.metadata.generation.unwrap_or(0),
            observed_generation: status.and_then(|status| status.observed_generation).unwrap_or(-1),
            on_delete: strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete"),
            desired: status.map_or(0, |status| status.desired_number_scheduled),
            updated: status
                .and_then(|status| status.updated_number_scheduled)
                .unwrap_or(0),
            available: status.and_then(|status| status.number_available).unwrap_or(0),
        }
    }
}

impl Facts {
    pub(super) fn progress(self) -> Result<Completion, Waiting> {
        let Self {
            generation,
            observed_generation,
            on_delete,
            desired,
            updated,
            available,
        } = self;
        Waiting::for_controller(observed_generation, generation)?;
        if on_delete {
            Ok(Completion::OnDelete)
        } else if updated < desired {
            Err(Waiting::Updated { updated, desired })
        } else if available < desired {
            Err(Waiting::Available { available, desired })
        } else {
            Ok(Completion::Whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: Facts = Facts {
        generation: 2,
        observed_generation: 2,
        on_delete: false,
        desired: 3,
        updated: 3,
        available: 3,
    };

    #[test]
    fn a_rollout_is_complete_when_every_node_has_an_updated_pod_that_is_available() {
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
                    ..COMPLETE
                },
                Err("1 of 3 pods updated"),
            ),
            (
                Facts {
                    available: 2,
                    ..COMPLETE
                },
                Err("2 of 3 pods available"),
            ),
            // No node is to run it.
            (
                Facts {
                    desired: 0,
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
    fn on_delete_rolls_nothing_and_is_complete_once_the_controller_has_the_template() {
        let old = Facts {
            on_delete: true,
            updated: 0,
            ..COMPLETE
        };
        assert_eq!(old.progress(), Ok(Completion::OnDelete));
        let unseen = Facts {
            observed_generation: 1,
            ..old
        };
        assert!(matches!(unseen.progress(), Err(Waiting::Controller { .. })));
    }

    #[test]
    fn what_a_fresh_object_does_not_say_yet_counts_as_nothing_seen() {
        let facts = Facts::from(&DaemonSet::default());
        assert!(matches!(facts.progress(), Err(Waiting::Controller { .. })));
    }
}
