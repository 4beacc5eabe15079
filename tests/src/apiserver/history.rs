//! The last few thousand changes, so that a watch can resume and a paged list can stay consistent.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::error::ApiError;
use super::resources::Resource;

const KEPT_CHANGES: usize = 20_000;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is different.
    Modified,
    /// It is gone.
    Deleted,
}

/// One write.
#[derive(Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The store's revision after the write; also the object's resourceVersion.
    pub revision: u64,
    /// The resource under which the object is stored.
    pub resource: &'static Resource,
    /// The object after the write; for a deletion its last state.
    pub object: Arc<Value>,
    /// The object before the write.
    pub previous: Option<Arc<Value>>,
}

#[derive(Debug)]
pub(super) struct History {
    changes: VecDeque<Arc<Change>>,
    /// Everything after this revision is kept.
    complete_after: u64,
}

impl History {
    pub(super) fn new(revision: u64) -> Self {
        Self {
            changes: VecDeque::new(),
            complete_after: revision,
        }
    }

    pub(super) fn push(&mut self, change: Arc<Change>) {
        self.changes.push_back(change);
        if self.changes.len() > KEPT_CHANGES
            && let Some(forgotten) = self.changes.pop_front()
        {
            self.complete_after = forgotten.revision;
        }
    }

    /// The changes after `revision`, oldest first.
    pub(super) fn since(
        &self,
        revision: u64,
    ) -> Result<impl DoubleEndedIterator<Item = &Arc<Change>> + use<'_>, ApiError> {
        if revision < self.complete_after {
            return Err(ApiError::expired(format!(
                "too old resource version: {revision} ({})",
                self.complete_after
            )));
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(self.changes.range(first..))
    }
}
