//! What a `StatefulSet` does next: one Pod at a time, in order. A pure function of the Pods as they are.

/// A Pod of the set as the decision sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The number in its name.
    pub ordinal: i64,
    /// Name of the revision it was made from.
    pub revision: String,
    /// Running, ready, and for `minReadySeconds`.
    pub healthy: bool,
    /// On its way out.
    pub terminating: bool,
    /// Succeeded or failed: to be replaced.
    pub finished: bool,
}

/// How the set is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// The first ordinal.
    pub start: i64,
    /// Number of Pods.
    pub replicas: i64,
    /// One after the other (`OrderedReady`), or all at once (`Parallel`).
    pub ordered: bool,
    /// Pods of an old revision are replaced (`RollingUpdate`), or left until somebody deletes them (`OnDelete`).
    pub rolling: bool,
    /// Ordinals below this keep the current revision.
    pub partition: i64,
    /// The revision Pods below the partition are made from.
    pub current_revision: String,
    /// The revision of the template.
    pub update_revision: String,
}

impl Goal {
    /// The revision a new Pod of this ordinal is made from.
    pub fn revision_for(&self, ordinal: i64) -> &str {
        let keeps = if self.rolling {
            ordinal < self.start + self.partition
        } else {
            false
        };
        if keeps {
            &self.current_revision
        } else {
            &self.update_revision
        }
    }
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the Pod of this ordinal.
    Create(i64),
    /// Delete the Pod of this ordinal.
    Delete(i64),
}

/// What is to be done now; nothing while something has to become ready or to go first.
pub fn next_steps(goal: &Goal, members: &[Member]) -> Vec<Step> {
    let find = |ordinal: i64| members.iter().find(|member| member.ordinal == ordinal);
    let mut steps = Vec::new();
    for ordinal in goal.start..goal.start + goal.replicas {
        let waits = match find(ordinal) {
            None => {
                steps.push(Step::Create(ordinal));
                true
            }
            Some(member) if member.finished && !member.terminating => {
                steps.push(Step::Delete(ordinal));
                true
            }
            Some(member) => member.terminating || !member.healthy,
        };
        if waits && goal.ordered {
            return steps;
        }
    }
    let is_wanted = |ordinal: i64| (goal.start..goal.start + goal.replicas).contains(&ordinal);
    let mut condemned: Vec<&Member> = members
        .iter()
        .filter(|member| !is_wanted(member.ordinal))
        .collect();
    condemned.sort_by_key(|member| std::cmp::Reverse(member.ordinal));
    for member in condemned {
        if !member.terminating {
            steps.push(Step::Delete(member.ordinal));
        }
        if goal.ordered {
            return steps;
        }
    }
    if goal.rolling && steps.is_empty() {
        steps.extend(next_update(goal, members));
    }
    steps
}

/// From the largest ordinal down: the first Pod of an old revision goes, unless a newer one is still coming up.
fn next_update(goal: &Goal, members: &[Member]) -> Option<Step> {
    let mut updatable: Vec<&Member> = members
        .iter()
        .filter(|member| member.ordinal >= goal.start + goal.partition)
        .collect();
    updatable.sort_by_key(|member| std::cmp::Reverse(member.ordinal));
    for member in updatable {
        if member.terminating {
            return None;
        }
        if member.revision != goal.update_revision {
            return Some(Step::Delete(member.ordinal));
        }
        if !member.healthy {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Goal, Member, Step, next_steps};

    fn goal(replicas: i64) -> Goal {
        Goal {
            start: 0,
            replicas,
            ordered: true,
            rolling: true,
            partition: 0,
            current_revision: "old".into(),
            update_revision: "new".into(),
        }
    }

    /// `o` old, `n` new, upper case healthy, `t` terminating.
    fn members(letters: &str) -> Vec<Member> {
        let member = |(ordinal, letter): (i64, char)| Member {
            ordinal,
            revision: if letter.eq_ignore_ascii_case(&'n') {
                "new".into()
            } else {
                "old".into()
            },
            healthy: letter.is_uppercase(),
            terminating: letter == 't',
            finished: false,
        };
        (0..).zip(letters.chars()).map(member).collect()
    }

    #[test]
    fn pods_come_up_one_by_one_and_are_updated_from_the_last_down() {
        use Step::{Create, Delete};
        let cases = [
            ("", vec![Create(0)]),
            ("n", vec![]),
            ("N", vec![Create(1)]),
            ("NN", vec![Create(2)]),
            ("NNN", vec![]),
            ("OOO", vec![Delete(2)]),
            ("OOt", vec![]),
            ("OO", vec![Create(2)]),
            ("OOn", vec![]),
            ("OON", vec![Delete(1)]),
            ("ONN", vec![Delete(0)]),
            ("NNNNN", vec![Delete(4)]),
            ("NNNNt", vec![]),
            // A broken Pod blocks even its own repair: Kubernetes asks for a manual deletion here too.
            ("OOo", vec![]),
        ];
        for (letters, expected) in cases {
            assert_eq!(next_steps(&goal(3), &members(letters)), expected, "{letters:?}");
        }
    }

    #[test]
    fn a_partition_keeps_the_lower_ordinals() {
        let goal = Goal {
            partition: 2,
            ..goal(3)
        };
        assert_eq!(next_steps(&goal, &members("OOO")), [Step::Delete(2)]);
        assert_eq!(next_steps(&goal, &members("OON")), []);
        assert_eq!(goal.revision_for(1), "old");
        assert_eq!(goal.revision_for(2), "new");
    }

    #[test]
    fn on_delete_replaces_nothing_by_itself() {
        let goal = Goal {
            rolling: false,
            ..goal(2)
        };
        assert_eq!(next_steps(&goal, &members("OO")), []);
        assert_eq!(goal.revision_for(0), "new");
    }

    #[test]
    fn parallel_management_makes_all_pods_at_once_but_still_updates_one_by_one() {
        let goal = Goal {
            ordered: false,
            ..goal(3)
        };
        assert_eq!(
            next_steps(&goal, &[]),
            [Step::Create(0), Step::Create(1), Step::Create(2)]
        );
        assert_eq!(next_steps(&goal, &members("OOO")), [Step::Delete(2)]);
        // An old broken Pod does not block the update here.
        assert_eq!(next_steps(&goal, &members("OOo")), [Step::Delete(2)]);
    }
}
