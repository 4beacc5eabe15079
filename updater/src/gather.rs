//! From the stores to a snapshot: reads and joins, no decisions.

use std::sync::Arc;

use shared::domain::annotations::Namespaces;
use shared::domain::plan::Snapshot;
use shared::domain::record::run::RunRecord;
use shared::domain::release_notes::book::NotesBook;

use crate::store::Store;
use crate::views::Record;
use crate::watch::Stores;

/// What the stores show at this moment, and what came of the scanner's last run; `None` where nobody has written it down.
pub fn gather(stores: &Stores) -> (Snapshot, Option<RunRecord>) {
    let mut snapshot = Snapshot {
        workloads: stores.workloads.iter().flat_map(Store::all).collect(),
        namespaces: match &stores.namespaces {
            Some(namespaces) => Namespaces::Read(namespaces.all().into_iter().collect()),
            None => Namespaces::Unread(Arc::clone(&stores.installation)),
        },
        notes: NotesBook {
            forges: Arc::clone(&stores.forges),
            fetched: stores.fetches_notes,
            ..NotesBook::default()
        },
        time_zone: stores.installation.time_zone().cloned(),
        unwatched: stores.unwatched(),
        ..Snapshot::default()
    };
    let mut runs = Vec::new();
    for record in stores.records.all() {
        match record {
            Record::Scan(name, scan) => {
                snapshot.records.insert(name, scan);
            }
            Record::Run(run) => runs.push(run),
            Record::Notes(notes) => snapshot.notes.records.push(Arc::clone(&notes.shard.records)),
        }
    }
    (snapshot, RunRecord::together(runs))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;
    use shared::domain::record::release_notes::Shard;

    use tokio::time::Instant;

    use super::*;
    use crate::health::Health;
    use crate::store::Writer;
    use crate::views;

    #[test]
    fn a_look_copies_no_release_notes() {
        let (mut writer, records) = Writer::<ConfigMap, Record>::new(Box::new(views::record));
        let stores = Stores {
            workloads: Vec::new(),
            records,
            namespaces: None,
            scanner: None,
            health: Arc::new(Health::new([], Instant::now())),
            installation: Arc::default(),
            forges: Arc::default(),
            fetches_notes: true,
        };
        let written = Shard::default().to_config_map(("l", 7), "kubefresh", &[].into());
        writer.take(&Event::Apply(written));
        let (first, second) = (gather(&stores).0, gather(&stores).0);
        assert!(Arc::ptr_eq(&first.notes.records[0], &second.notes.records[0]));
    }
}
