//! The settings of workloads as they were read, kept from one look to the next: nearly all of a cluster is as it was.

use std::collections::HashMap;
use std::sync::Arc;

use super::Snapshot;
use crate::domain::annotations::Layer;
use crate::domain::watched::{self, Problem, Reading};
use crate::domain::workload::Workload;

/// Shared, as it can be large and is mostly the same at the next look.
pub(super) type Read = Arc<Result<Reading, Vec<Problem>>>;

/// What was read, by where the workload lies, which is found without looking into it. Losing it costs time and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Readings(HashMap<usize, Kept>);

/// A reading, and what it was made from: of the same two nothing else can come, and nothing else can lie there while we keep them.
#[derive(Debug, Clone)]
struct Kept {
    workload: Arc<Workload>,
    layer: Arc<Layer>,
    reading: Read,
}

impl Kept {
    fn new(workload: &Arc<Workload>, layer: &Arc<Layer>) -> Self {
        Self {
            workload: Arc::clone(workload),
            layer: Arc::clone(layer),
            reading: Arc::new(watched::read(workload, layer)),
        }
    }

    fn is_of(&self, workload: &Arc<Workload>, layer: &Arc<Layer>) -> bool {
        Arc::ptr_eq(&self.workload, workload) && Arc::ptr_eq(&self.layer, layer)
    }
}

impl Readings {
    /// Those of a snapshot: what changed is read, what is gone is forgotten.
    #[must_use]
    pub fn renewed(mut self, snapshot: &Snapshot) -> Self {
        let readings = snapshot.workloads.iter().filter_map(|workload| {
            let layer = snapshot.namespaces.layer(&workload.id.namespace)?;
            let place = place(workload);
            let kept = self.0.remove(&place).filter(|kept| kept.is_of(workload, layer));
            Some((place, kept.unwrap_or_else(|| Kept::new(workload, layer))))
        });
        Self(readings.collect())
    }

    /// What a workload says over what lies beneath it.
    pub(super) fn of(&self, workload: &Arc<Workload>, layer: &Arc<Layer>) -> Read {
        let kept = self.0.get(&place(workload));
        let kept = kept.filter(|kept| kept.is_of(workload, layer));
        kept.map_or_else(
            || Kept::new(workload, layer).reading,
            |kept| Arc::clone(&kept.reading),
        )
    }
}

fn place(workload: &Arc<Workload>) -> usize {
    Arc::as_ptr(workload).addr()
}
