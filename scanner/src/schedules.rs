//! Whether a repository is to be asked in this run.

use std::sync::Arc;

use jiff::Timestamp;
use shared::domain::record::ScanRecord;
use shared::domain::reference::Repository;
use shared::domain::schedule::Schedule;
use shared::domain::watched::Demand;

/// The schedules of all workloads that use one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedules {
    given: Vec<Arc<Schedule>>,
    /// A workload without one wants its repository asked in every run.
    is_every_run: bool,
}

impl Schedules {
    pub fn add(&mut self, schedule: Option<Arc<Schedule>>) {
        match schedule {
            None => self.is_every_run = true,
            Some(schedule) if !self.given.contains(&schedule) => self.given.push(schedule),
            Some(_) => {}
        }
    }

    /// Whether every workload says when. Then the time of each scan is worth storing, so that the next run knows it.
    pub(crate) fn are_given(&self) -> bool {
        !self.is_every_run
    }

    /// Whether the repository is to be asked now: somebody's schedule fell due since the last scan, or there is a demand
    /// that was not scanned for, or the last attempt failed.
    pub(crate) fn are_due<'a>(
        &self,
        repository: &Repository,
        demands: impl IntoIterator<Item = &'a Demand>,
        previous: Option<&ScanRecord>,
        now: Timestamp,
    ) -> bool {
        let Some(record) = previous.filter(|record| record.last_error.is_none()) else {
            return true;
        };
        let Some(findings) = &record.findings else {
            return true;
        };
        self.is_every_run
            || self
                .given
                .iter()
                .any(|schedule| schedule.is_due(repository, findings.scanned_at, now))
            || demands.into_iter().any(|demand| !findings.covers(demand))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::domain::record::ScanError;
    use shared::domain::record::choices::Choices;
    use shared::domain::record::scan::{Answer, complete, failed};
    use shared::domain::schedule::time_zone;

    use super::*;

    fn at(written: &str) -> Timestamp {
        written.parse().unwrap()
    }

    fn schedules(written: &[Option<&str>]) -> Schedules {
        let mut schedules = Schedules::default();
        for schedule in written {
            let parsed = schedule.map(|written| Schedule::parse(written, time_zone("UTC").unwrap()).unwrap());
            schedules.add(parsed.map(Arc::new));
        }
        schedules
    }

    fn demands(line: &str) -> BTreeSet<Demand> {
        BTreeSet::from([line.parse().unwrap()])
    }

    #[test]
    fn a_repository_is_asked_when_somebody_is_due_and_not_before() {
        let repository: Repository = "registry.example/shop".parse().unwrap();
        let choices = Choices::among(demands("1.0 minor"), Some(&["1.0".parse().unwrap()]));
        let scanned = |time| {
            complete(
                None,
                repository.clone(),
                choices.clone(),
                &Answer::default(),
                at(time),
            )
        };
        let record = scanned("2026-11-20T03:30:00Z");
        let error = ScanError {
            class: "timeout".to_owned(),
            message: "no answer".to_owned(),
            since: at("2026-11-20T04:00:00Z"),
            retry_at: None,
        };
        let failing = failed(Some(&record), repository.clone(), error);
        let daily = schedules(&[Some("0 3 * * *")]);
        let cases = [
            (&daily, "1.0 minor", Some(&record), "2026-11-20T12:00:00Z", false),
            (&daily, "1.0 minor", Some(&record), "2026-11-21T03:30:00Z", true),
            (&daily, "1.0 major", Some(&record), "2026-11-20T12:00:00Z", true),
            (&daily, "1.0 minor", Some(&failing), "2026-11-20T12:00:00Z", true),
            (&daily, "1.0 minor", None, "2026-11-20T12:00:00Z", true),
            (
                &schedules(&[Some("0 3 * * *"), None]),
                "1.0 minor",
                Some(&record),
                "2026-11-20T12:00:00Z",
                true,
            ),
            (
                &schedules(&[Some("0 3 * * *"), Some("0 9 * * *")]),
                "1.0 minor",
                Some(&record),
                "2026-11-20T12:00:00Z",
                true,
            ),
        ];
        for (index, (schedules, demand, previous, now, expected)) in cases.into_iter().enumerate() {
            let due = schedules.are_due(&repository, &demands(demand), previous, at(now));
            assert_eq!(due, expected, "case {index}");
        }
    }
}
