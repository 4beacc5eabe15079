//! What came of a run, in one line.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) workloads: usize,
    pub(crate) repositories: usize,
    /// Repositories whose scan was complete.
    pub(crate) complete: usize,
    /// Records that were written because something changed.
    pub(crate) written: usize,
    /// Repositories whose error was recorded, by class.
    pub(crate) failed: BTreeMap<String, usize>,
    /// Repositories whose schedules ask for nothing in this run.
    pub(crate) not_due: usize,
    /// Repositories left for a later run because their registry wants to be left alone.
    pub(crate) left_alone: usize,
    /// Repositories left for a later run because the time was up.
    pub(crate) out_of_time: usize,
    /// Repositories whose record could not be written.
    pub(crate) unwritten: usize,
    /// Workloads that are not scanned for because their settings or images cannot be read.
    pub(crate) stopped: usize,
    pub(crate) requests: u64,
    pub(crate) duration: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workloads,
            repositories,
            complete,
            written,
            failed,
            not_due,
            left_alone,
            out_of_time,
            unwritten,
            stopped,
            requests,
            duration,
        } = self;
        let workloads = count(*workloads, "workload");
        let written = count(*written, "record");
        let requests = count(*requests, "registry request");
        write!(
            f,
            "scanned {complete} of {repositories} repositories for {workloads}: "
        )?;
        write!(
            f,
            "{written} written, {requests}, {:.1} s",
            duration.as_secs_f64()
        )?;
        for (class, count) in failed {
            write!(f, ", {count} failed ({class})")?;
        }
        for (number, text) in [
            (*not_due, format!("{not_due} not due")),
            (
                *left_alone,
                format!("{left_alone} deferred (registry left alone)"),
            ),
            (*out_of_time, format!("{out_of_time} deferred (time was up)")),
            (*unwritten, format!("{} not written", count(*unwritten, "record"))),
            (
                *stopped,
                format!("{} stopped by bad settings", count(*stopped, "workload")),
            ),
        ] {
            if number > 0 {
                write!(f, ", {text}")?;
            }
        }
        Ok(())
    }
}

/// `1 record`, `2 records`.
fn count<N: fmt::Display + PartialEq + From<u8> + Copy>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_run_is_one_short_line_and_trouble_is_named() {
        let quiet = Summary {
            workloads: 3,
            repositories: 2,
            complete: 2,
            requests: 2,
            ..Summary::default()
        };
        assert_eq!(
            quiet.to_string(),
            "scanned 2 of 2 repositories for 3 workloads: 0 records written, 2 registry requests, 0.0 s"
        );
        let trouble = Summary {
            failed: BTreeMap::from([("rate-limited".to_owned(), 1)]),
            not_due: 7,
            left_alone: 4,
            out_of_time: 2,
            stopped: 1,
            ..quiet
        };
        assert!(trouble.to_string().ends_with(
            ", 1 failed (rate-limited), 7 not due, 4 deferred (registry left alone), \
             2 deferred (time was up), 1 workload stopped by bad settings"
        ));
    }
}
