//! What is kept of each object that is watched.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt as _;
use shared::domain::annotations::{Installation, Layer};
use shared::domain::record::ScanRecord;
use shared::domain::record::config_map::{RECORD_LABEL, RecordError};
use shared::domain::record::release_notes::{NOTES, Shard};
use shared::domain::record::run::{LAST_RUN, RunRecord};
use shared::domain::scan_request::{ScanJob, Scanner};
use shared::domain::workload::{Workload, WorkloadObject};

/// What the scanner has written, as it was read.
#[derive(Debug, Clone)]
pub enum Record {
    /// Of one repository, under the name of its ConfigMap, good or bad.
    Scan(String, Result<Arc<ScanRecord>, RecordError>),
    /// Of a run.
    Run(RunRecord),
    /// Of release notes. Written by an updater, this one or another.
    Notes(Arc<NotesView>),
}

/// One of the ConfigMaps of release notes.
#[derive(Debug, Clone)]
pub struct NotesView {
    pub name: String,
    pub version: Option<String>,
    pub shard: Shard,
}

/// `None` for a workload that cannot be viewed.
pub(crate) fn workload<K: WorkloadObject>(object: &K) -> Option<Arc<Workload>> {
    let view = Workload::of(object).inspect_err(|error| {
        let (kind, metadata) = (K::WORKLOAD_KIND, object.metadata());
        let (namespace, name) = (&metadata.namespace, &metadata.name);
        tracing::warn!(%kind, namespace, name, %error, "a workload cannot be viewed and is left alone");
    });
    view.ok().map(Arc::new)
}

/// The scanner's own CronJob.
pub(crate) fn scanner(object: &CronJob) -> Option<Arc<Scanner>> {
    Scanner::of(object).map(Arc::new)
}

/// `None` for a Job that no CronJob owns.
pub(crate) fn scan_job(object: &Job) -> Option<ScanJob> {
    ScanJob::of(object)
}

/// What holds in a namespace, under its name. Read once for all its workloads.
pub(crate) fn namespace(object: &Namespace, installation: &Installation) -> (String, Arc<Layer>) {
    let name = object.name_any();
    let layer = installation.layer(&name, object.annotations());
    for error in layer.errors() {
        tracing::warn!(namespace = name, %error, "a default of a namespace cannot be obeyed");
    }
    (name, layer)
}

/// `None` for the record of a run that cannot be read: only the metrics miss it.
pub(crate) fn record(config_map: &ConfigMap) -> Option<Record> {
    let name = config_map.name_any();
    let kind = config_map.labels().get(RECORD_LABEL).map(String::as_str);
    if kind == Some(NOTES) {
        return Some(Record::Notes(Arc::new(NotesView {
            name,
            version: config_map.resource_version(),
            shard: Shard::parse(config_map),
        })));
    }
    if kind == Some(LAST_RUN) {
        let run = RunRecord::parse(config_map);
        let run = run.inspect_err(|error| tracing::warn!(%error, "the metrics say nothing of it"));
        return run.ok().map(Record::Run);
    }
    let scan = ScanRecord::parse(config_map);
    let scan = scan.inspect_err(|error| tracing::warn!(record = name, %error, "a record cannot be read"));
    Some(Record::Scan(name, scan.map(Arc::new)))
}
