//! From the stores to a snapshot: reads and joins, no decisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::runtime::reflector::Store;
use shared::domain::plan::Snapshot;
use shared::domain::record::ScanRecord;
use shared::domain::record::config_map::{RECORD_LABEL, RecordError};
use shared::domain::record::run::{LAST_RUN, RunRecord};
use shared::domain::workload::Workload;

use crate::watch::Stores;

/// A record as it was read, good or bad.
type Reading = Result<Arc<ScanRecord>, RecordError>;

/// Makes snapshots, and remembers the records it has read: they change seldom and are dear to parse.
#[derive(Debug, Default)]
pub struct Gatherer {
    records: BTreeMap<String, (String, Reading)>,
}

impl Gatherer {
    /// What the stores show at this moment.
    pub fn gather(&mut self, stores: &Stores) -> Snapshot {
        let Stores { deployments, records } = stores;
        let records: BTreeMap<String, Reading> = records
            .state()
            .iter()
            .filter(|object| kind(object) != Some(LAST_RUN))
            .map(|object| (object.name_any(), self.read(object)))
            .collect();
        self.records.retain(|name, _| records.contains_key(name));
        let workloads = deployments
            .iter()
            .flat_map(Store::state)
            .filter_map(|object| view(&object))
            .collect();
        Snapshot { workloads, records }
    }

    /// What came of the scanner's last run; `None` where nobody has written it down.
    pub fn last_run(stores: &Stores) -> Option<RunRecord> {
        let records = stores.records.state();
        let runs = records.iter().filter(|object| kind(object) == Some(LAST_RUN));
        let readable = runs.filter_map(|record| {
            RunRecord::parse(record)
                .inspect_err(|error| tracing::warn!(%error, "the metrics say nothing of it"))
                .ok()
        });
        RunRecord::together(readable.collect())
    }

    fn read(&mut self, config_map: &ConfigMap) -> Reading {
        let name = config_map.name_any();
        let version = config_map.resource_version().unwrap_or_default();
        match self.records.get(&name) {
            Some((known, reading)) if *known == version => reading.clone(),
            _ => {
                let reading = ScanRecord::parse(config_map).map(Arc::new);
                if let Err(error) = &reading {
                    tracing::warn!(record = name, %error, "a record cannot be read");
                }
                self.records.insert(name, (version, reading.clone()));
                reading
            }
        }
    }
}

fn kind(config_map: &ConfigMap) -> Option<&str> {
    config_map.labels().get(RECORD_LABEL).map(String::as_str)
}

fn view(deployment: &Deployment) -> Option<Workload> {
    Workload::try_from(deployment)
        .inspect_err(|error| {
            let (namespace, name) = (deployment.namespace(), deployment.name_any());
            tracing::warn!(namespace, name, %error, "a deployment cannot be viewed and is left alone");
        })
        .ok()
}
