//! How many Pods a Job makes or removes, and whether it is over: a pure function of its Pods.

use std::collections::BTreeSet;

/// What the Job asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Pods that may run at once.
    pub parallelism: i64,
    /// Successes it takes; `None` for a work queue, which is over when one has succeeded and none runs.
    pub completions: Option<i64>,
    /// Failures it bears.
    pub backoff_limit: i64,
    /// Every completion has its own index.
    pub indexed: bool,
    /// No Pod may run.
    pub suspended: bool,
    /// The deadline has passed.
    pub past_deadline: bool,
}

/// What has happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Running or pending Pods.
    pub active: i64,
    /// Pods that succeeded.
    pub succeeded: i64,
    /// Pods that failed.
    pub failed: i64,
    /// Restarts inside running Pods, which count as failures too.
    pub restarts: i64,
    /// Indexes that succeeded.
    pub succeeded_indexes: BTreeSet<i64>,
    /// Indexes with a running Pod.
    pub active_indexes: BTreeSet<i64>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All is done.
    Complete,
    /// It is given up, with the condition's reason and message.
    Fail(&'static str, &'static str),
    /// Make a Pod for each index (`None` in a Job without indexes).
    Start(Vec<Option<i64>>),
    /// Remove so many running Pods.
    Stop(i64),
    /// Nothing now.
    Wait,
}

/// Decides the next step.
pub fn decide(goal: &Goal, progress: &Progress) -> Decision {
    if goal.past_deadline {
        return Decision::Fail(
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
        );
    }
    let restarts_exceed = progress.restarts > 0 && progress.restarts >= goal.backoff_limit.max(1);
    if progress.failed > goal.backoff_limit || restarts_exceed {
        return Decision::Fail(
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
        );
    }
    let succeeded = succeeded(goal, progress);
    let is_complete = match goal.completions {
        Some(completions) => succeeded >= completions,
        None => succeeded > 0 && progress.active == 0,
    };
    if is_complete {
        return Decision::Complete;
    }
    let wanted = if goal.suspended {
        0
    } else {
        wanted_active(goal, progress)
    };
    if progress.active > wanted {
        return Decision::Stop(progress.active - wanted);
    }
    let missing = usize::try_from(wanted - progress.active).unwrap_or_default();
    if missing == 0 {
        return Decision::Wait;
    }
    if !goal.indexed {
        return Decision::Start(vec![None; missing]);
    }
    let is_open =
        |index: &i64| !progress.succeeded_indexes.contains(index) && !progress.active_indexes.contains(index);
    let open = (0..goal.completions.unwrap_or_default()).filter(is_open);
    Decision::Start(open.take(missing).map(Some).collect())
}

/// Successes that count: in an indexed Job every index once.
pub fn succeeded(goal: &Goal, progress: &Progress) -> i64 {
    if goal.indexed {
        i64::try_from(progress.succeeded_indexes.len()).unwrap_or(i64::MAX)
    } else {
        progress.succeeded
    }
}

fn wanted_active(goal: &Goal, progress: &Progress) -> i64 {
    match goal.completions {
        Some(completions) => goal.parallelism.min(completions - succeeded(goal, progress)),
        // A work queue starts nothing new once one of its Pods has succeeded.
        None if progress.succeeded > 0 => progress.active,
        None => goal.parallelism,
    }
}

/// `0,2-4`: the form of `status.completedIndexes`.
pub fn index_ranges(indexes: &BTreeSet<i64>) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for &index in indexes {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => ranges.push((index, index)),
        }
    }
    let text = |(first, last): (i64, i64)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.into_iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Decision, Goal, Progress, decide, index_ranges};

    fn goal(parallelism: i64, completions: Option<i64>) -> Goal {
        Goal {
            parallelism,
            completions,
            backoff_limit: 2,
            indexed: false,
            suspended: false,
            past_deadline: false,
        }
    }

    fn progress(active: i64, succeeded: i64, failed: i64) -> Progress {
        Progress {
            active,
            succeeded,
            failed,
            ..Progress::default()
        }
    }

    #[test]
    fn a_job_runs_as_many_pods_as_it_needs_and_bears() {
        let cases = [
            (goal(1, Some(1)), progress(0, 0, 0), Decision::Start(vec![None])),
            (goal(1, Some(1)), progress(1, 0, 0), Decision::Wait),
            (goal(1, Some(1)), progress(0, 1, 0), Decision::Complete),
            (
                goal(3, Some(5)),
                progress(0, 3, 0),
                Decision::Start(vec![None, None]),
            ),
            (goal(1, Some(1)), progress(0, 0, 2), Decision::Start(vec![None])),
            (
                goal(1, Some(1)),
                progress(0, 0, 3),
                Decision::Fail(
                    "BackoffLimitExceeded",
                    "Job has reached the specified backoff limit",
                ),
            ),
            (goal(1, Some(3)), progress(2, 0, 0), Decision::Stop(1)),
            (
                Goal {
                    suspended: true,
                    ..goal(2, Some(2))
                },
                progress(2, 0, 0),
                Decision::Stop(2),
            ),
            (goal(2, None), progress(1, 1, 0), Decision::Wait),
            (goal(2, None), progress(0, 1, 0), Decision::Complete),
        ];
        for (goal, progress, expected) in cases {
            assert_eq!(decide(&goal, &progress), expected, "{goal:?} {progress:?}");
        }
    }

    #[test]
    fn a_deadline_and_too_many_restarts_end_a_job() {
        let late = Goal {
            past_deadline: true,
            ..goal(1, Some(1))
        };
        assert!(matches!(
            decide(&late, &progress(1, 0, 0)),
            Decision::Fail("DeadlineExceeded", _)
        ));
        let restarted = Progress {
            restarts: 2,
            ..progress(1, 0, 0)
        };
        assert!(matches!(
            decide(&goal(1, Some(1)), &restarted),
            Decision::Fail("BackoffLimitExceeded", _)
        ));
    }

    #[test]
    fn an_indexed_job_starts_the_lowest_open_indexes() {
        let goal = Goal {
            indexed: true,
            ..goal(2, Some(4))
        };
        let state = Progress {
            active: 1,
            active_indexes: BTreeSet::from([1]),
            succeeded_indexes: BTreeSet::from([0]),
            ..Progress::default()
        };
        assert_eq!(decide(&goal, &state), Decision::Start(vec![Some(2)]));
    }

    #[test]
    fn indexes_are_written_as_ranges() {
        assert_eq!(index_ranges(&BTreeSet::from([0, 2, 3, 4, 7])), "0,2-4,7");
        assert_eq!(index_ranges(&BTreeSet::new()), "");
    }
}
