//! What came of a run, in one line.

use std::fmt;
use std::time::Duration;

use shared::domain::record::run::RunRecord;

/// The line for people.
#[derive(Debug)]
pub(crate) struct Summary<'a>(pub(crate) &'a RunRecord);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RunRecord {
            started_at: _,
            duration_milliseconds,
            shard,
            workloads,
            repositories,
            complete,
            failed,
            not_due,
            left_alone,
            out_of_time,
            unwritten,
            written,
            stopped,
            registries: _,
        } = self.0;
        let workloads = count(*workloads, "workload");
        let written = count(*written, "record");
        let requests = count(self.0.requests(), "registry request");
        if !shard.is_all() {
            write!(f, "{shard}: ")?;
        }
        write!(
            f,
            "scanned {complete} of {repositories} repositories for {workloads}: "
        )?;
        write!(
            f,
            "{written} written, {requests}, {:.1} s",
            Duration::from_millis(*duration_milliseconds).as_secs_f64()
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
    use std::collections::BTreeMap;

    use shared::domain::record::run::RegistryUse;

    use super::*;

    #[test]
    fn a_quiet_run_is_one_short_line_and_trouble_is_named() {
        let asked = RegistryUse {
            requests: BTreeMap::from([("list".to_owned(), 2)]),
            ..RegistryUse::default()
        };
        let quiet = RunRecord {
            workloads: 3,
            repositories: 2,
            complete: 2,
            registries: BTreeMap::from([("docker.io".to_owned(), asked)]),
            ..RunRecord::default()
        };
        assert_eq!(
            Summary(&quiet).to_string(),
            "scanned 2 of 2 repositories for 3 workloads: 0 records written, 2 registry requests, 0.0 s"
        );
        let trouble = RunRecord {
            failed: BTreeMap::from([("rate-limited".to_owned(), 1)]),
            not_due: 7,
            left_alone: 4,
            out_of_time: 2,
            stopped: 1,
            ..quiet
        };
        assert!(Summary(&trouble).to_string().ends_with(
            ", 1 failed (rate-limited), 7 not due, 4 deferred (registry left alone), \
             2 deferred (time was up), 1 workload stopped by bad settings"
        ));
    }
}
