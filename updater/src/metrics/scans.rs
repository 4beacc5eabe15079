//! What the scanner wrote down of its last run, as metrics: it ends before anybody could ask it.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use shared::domain::record::run::{RegistryUse, RunRecord};

use super::NoLabels;

/// Registries that have metrics of their own.
const REGISTRIES: usize = 30;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RegistryLabel {
    registry: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    registry: String,
    kind: String,
}

#[derive(Debug, Default)]
pub(super) struct Scans {
    started: Family<NoLabels, Gauge>,
    duration: Family<NoLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    repositories: Family<OutcomeLabel, Gauge>,
    requests: Family<RequestLabels, Gauge>,
    pulls_left: Family<RegistryLabel, Gauge>,
    left_alone_until: Family<RegistryLabel, Gauge>,
}

impl Scans {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "last_scan_start_timestamp",
            "When the scanner's last run began, since 1970",
            Unit::Seconds,
            self.started.clone(),
        );
        registry.register_with_unit(
            "last_scan_duration",
            "How long the scanner's last run took",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "last_scan_repositories",
            "Repositories in the scanner's last run, by what became of them: complete, not-due, left-alone, out-of-time, \
             unwritten, or the class of the failure",
            self.repositories.clone(),
        );
        registry.register(
            "last_scan_requests",
            "Requests of the scanner's last run, by registry and by what they were for",
            self.requests.clone(),
        );
        registry.register(
            "registry_pulls_left",
            "Counted pulls that the scanner may still spend, by registry",
            self.pulls_left.clone(),
        );
        registry.register_with_unit(
            "registry_left_alone_until_timestamp",
            "Until when a registry wants to be left alone, since 1970",
            Unit::Seconds,
            self.left_alone_until.clone(),
        );
    }

    /// What is not said of this run is not said any more.
    pub(super) fn set(&self, run: Option<&RunRecord>) {
        self.started.clear();
        self.duration.clear();
        self.repositories.clear();
        self.requests.clear();
        self.pulls_left.clear();
        self.left_alone_until.clear();
        let Some(run) = run else { return };
        self.started.get_or_create(&[]).set(run.started_at.as_second());
        let milliseconds = u32::try_from(run.duration_milliseconds).unwrap_or(u32::MAX);
        self.duration
            .get_or_create(&[])
            .set(f64::from(milliseconds) / 1000.0);
        self.set_repositories(run);
        for (name, registry) in run.most_telling(REGISTRIES) {
            self.set_registry(name, registry);
        }
    }

    fn set_repositories(&self, run: &RunRecord) {
        let outcomes = [
            ("complete", run.complete),
            ("not-due", run.not_due),
            ("left-alone", run.left_alone),
            ("out-of-time", run.out_of_time),
            ("unwritten", run.unwritten),
        ];
        let failures = run.failed.iter().map(|(class, count)| (class.as_str(), *count));
        for (outcome, count) in outcomes.into_iter().chain(failures) {
            let outcome = OutcomeLabel {
                outcome: outcome.to_owned(),
            };
            self.repositories.get_or_create(&outcome).set(whole(count as u64));
        }
    }

    fn set_registry(&self, name: &str, registry: &RegistryUse) {
        let label = RegistryLabel {
            registry: name.to_owned(),
        };
        for (kind, requests) in &registry.requests {
            let labels = RequestLabels {
                registry: name.to_owned(),
                kind: kind.clone(),
            };
            self.requests.get_or_create(&labels).set(whole(*requests));
        }
        if let Some(left) = registry.pulls_left {
            self.pulls_left.get_or_create(&label).set(i64::from(left));
        }
        if let Some(until) = registry.left_alone_until {
            self.left_alone_until.get_or_create(&label).set(until.as_second());
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn text(scans: &Scans) -> String {
        let mut registry = Registry::default();
        scans.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_run_is_told_until_there_is_another_one() {
        let scans = Scans::default();
        let hub = RegistryUse {
            requests: BTreeMap::from([("list".to_owned(), 4)]),
            pulls_left: Some(70),
            left_alone_until: Some(Timestamp::from_second(90).unwrap()),
            ..RegistryUse::default()
        };
        let run = RunRecord {
            started_at: Timestamp::from_second(60).unwrap(),
            duration_milliseconds: 1250,
            complete: 3,
            failed: BTreeMap::from([("timeout".to_owned(), 1)]),
            registries: BTreeMap::from([("docker.io".to_owned(), hub)]),
            ..RunRecord::default()
        };
        scans.set(Some(&run));
        let told = text(&scans);
        for line in [
            "last_scan_start_timestamp_seconds{} 60",
            "last_scan_duration_seconds{} 1.25",
            "last_scan_repositories{outcome=\"complete\"} 3",
            "last_scan_repositories{outcome=\"timeout\"} 1",
            "last_scan_requests{registry=\"docker.io\",kind=\"list\"} 4",
            "registry_pulls_left{registry=\"docker.io\"} 70",
            "registry_left_alone_until_timestamp_seconds{registry=\"docker.io\"} 90",
        ] {
            assert!(
                told.lines().any(|found| found == line),
                "{line} is missing in\n{told}"
            );
        }
        scans.set(Some(&RunRecord::default()));
        let told = text(&scans);
        assert!(!told.contains("timeout") && !told.contains("docker.io"), "{told}");
        scans.set(None);
        assert!(!text(&scans).contains("_seconds{"), "nobody has scanned");
    }

    #[test]
    fn very_many_registries_do_not_make_very_many_metrics() {
        let scans = Scans::default();
        let asked = |requests| RegistryUse {
            requests: BTreeMap::from([("list".to_owned(), requests)]),
            ..RegistryUse::default()
        };
        let registries = (0..500)
            .map(|number| (format!("r{number}.example"), asked(number)))
            .collect();
        scans.set(Some(&RunRecord {
            registries,
            ..RunRecord::default()
        }));
        let told = text(&scans);
        assert_eq!(told.matches("last_scan_requests{").count(), REGISTRIES);
        assert!(told.contains("r499.example"));
    }
}
