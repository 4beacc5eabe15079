//! StatefulSets: after the generation the pods above the partition, from the last one down, then that the controller calls the
//! new revision the current one.
//!
//! Under the policy `OrderedReady` a pod that does not become ready stops everything, even the return to the image before:
//! the controller waits for it and never replaces it.
//! Sources: `kubectl rollout status`, `kubectl/pkg/polymorphichelpers/rollout_status.go`;
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback>.

use k8s_openapi::api::apps::v1::StatefulSet;

use super::{Completion, Waiting};

/// What a StatefulSet says of its own rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The generation of the spec that stands in the store.
    pub generation: i64,
    /// The generation that the controller has seen; the rest of the status is as of that one.
    pub observed_generation: i64,
    /// The strategy `OnDelete`: pods are replaced when somebody deletes them.
    pub on_delete: bool,
    /// How many pods, from the lowest ordinal, a rolling update leaves as they are.
    pub partition: i32,
    /// `OrderedReady`, and not `Parallel`.
    pub ordered: bool,
    pub desired: i32,
    pub updated: i32,
    /// Of every revision.
    pub available: i32,
    /// Whether the newest revision is the current one: all pods are of it.
    pub is_current: bool,
}

impl From<&StatefulSet> for Facts {
    /// What a fresh object does not yet have counts as nothing seen, so never as finished.
    fn from(set: &StatefulSet) -> Self {
        let spec = set.spec.as_ref();
        let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let management = spec.and_then(|spec| spec.pod_management_policy.as_deref());
        let status = set.status.clone().unwrap_or_default();
        Self {
            generation: set.metadata.generation.unwrap_or(0),
            observed_generation: status.observed_generation.unwrap_or(-1),
            on_delete: strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("OnDelete"),
            partition: rolling.and_then(|rolling| rolling.partition).unwrap_or(0),
            ordered: management != Some("Parallel"),
            desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            is_current: status.current_revision == status.update_revision,
        }
    }
}

impl Facts {
    pub(super) fn progress(self) -> Result<Completion, Waiting> {
        let Self {
            generation,
            observed_generation,
            on_delete,
            partition,
            ordered,
            desired,
            updated,
            available,
            is_current,
        } = self;
        Waiting::for_controller(observed_generation, generation)?;
        let kept = partition.min(desired);
        let to_update = desired - kept;
        if on_delete {
            Ok(Completion::OnDelete)
        } else if to_update > 0 && available < desired && ordered {
            Err(Waiting::InOrder {
                updated,
                available,
                desired,
            })
        } else if updated < to_update {
            Err(Waiting::Updated {
                updated,
                desired: to_update,
            })
        } else if to_update > 0 && available < desired {
            Err(Waiting::Available { available, desired })
        } else if kept > 0 {
            Ok(Completion::Partition { kept, desired })
        } else if is_current {
            Ok(Completion::Whole)
        } else {
            Err(Waiting::Revision)
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{
        RollingUpdateStatefulSetStrategy, StatefulSetSpec, StatefulSetUpdateStrategy,
    };

    use super::*;

    const COMPLETE: Facts = Facts {
        generation: 2,
        observed_generation: 2,
        on_delete: false,
        partition: 0,
        ordered: true,
        desired: 3,
        updated: 3,
        available: 3,
        is_current: true,
    };

    /// `COMPLETE` with these counts, under the old revision.
    fn rolling(updated: i32, available: i32) -> Facts {
        Facts {
            updated,
            available,
            is_current: false,
            ..COMPLETE
        }
    }

    fn assert_progress(cases: impl IntoIterator<Item = (Facts, Result<Completion, &'static str>)>) {
        for (facts, expected) in cases {
            let progress = facts.progress().map_err(|waiting| waiting.to_string());
            assert_eq!(progress, expected.map_err(str::to_owned), "{facts:?}");
        }
    }

    #[test]
    fn a_rollout_is_complete_when_all_pods_are_updated_and_available_and_the_revision_is_current() {
        let unseen = Facts {
            observed_generation: 1,
            ..COMPLETE
        };
        let empty = Facts {
            desired: 0,
            updated: 0,
            available: 0,
            ..COMPLETE
        };
        assert_progress([
            (COMPLETE, Ok(Completion::Whole)),
            (unseen, Err("the controller has not yet seen the new image")),
            (rolling(1, 3), Err("1 of 3 pods updated")),
            (
                rolling(3, 3),
                Err("the controller has not yet closed the rollout"),
            ),
            (empty, Ok(Completion::Whole)),
        ]);
    }

    #[test]
    fn a_pod_that_is_not_available_holds_up_the_others_where_order_is_kept() {
        let parallel = |facts: Facts| Facts {
            ordered: false,
            ..facts
        };
        let in_order =
            "1 of 3 pods updated, 2 available; a broken one holds up the others until it is deleted";
        assert_progress([
            (rolling(1, 2), Err(in_order)),
            (parallel(rolling(1, 2)), Err("1 of 3 pods updated")),
            (parallel(rolling(3, 2)), Err("2 of 3 pods available")),
        ]);
    }

    #[test]
    fn a_partition_keeps_its_pods_back_and_says_so() {
        let partition = |partition: i32, facts: Facts| Facts { partition, ..facts };
        let kept = |kept: i32| Ok(Completion::Partition { kept, desired: 3 });
        assert_progress([
            (partition(1, rolling(1, 3)), Err("1 of 2 pods updated")),
            (partition(1, rolling(2, 3)), kept(1)),
            // The partition was raised meanwhile.
            (partition(2, rolling(2, 3)), kept(2)),
            // Nothing rolls, so a broken pod is none of ours.
            (partition(9, rolling(0, 2)), kept(3)),
        ]);
    }

    #[test]
    fn on_delete_rolls_nothing_and_is_complete_once_the_controller_has_the_template() {
        let old = Facts {
            on_delete: true,
            ..rolling(0, 3)
        };
        let unseen = Facts {
            observed_generation: 1,
            ..old
        };
        assert_progress([
            (old, Ok(Completion::OnDelete)),
            (unseen, Err("the controller has not yet seen the new image")),
        ]);
    }

    #[test]
    fn what_a_fresh_object_does_not_say_yet_counts_as_nothing_seen() {
        let facts = Facts::from(&StatefulSet::default());
        assert!(matches!(facts.progress(), Err(Waiting::Controller { .. })));
    }

    #[test]
    fn strategy_and_order_are_read_from_the_spec() {
        let spec = StatefulSetSpec {
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: Some(RollingUpdateStatefulSetStrategy {
                    partition: Some(2),
                    ..RollingUpdateStatefulSetStrategy::default()
                }),
            }),
            ..StatefulSetSpec::default()
        };
        let set = StatefulSet {
            spec: Some(spec),
            ..StatefulSet::default()
        };
        let facts = Facts::from(&set);
        assert_eq!(
            (facts.ordered, facts.on_delete, facts.partition),
            (false, true, 2)
        );
    }
}
