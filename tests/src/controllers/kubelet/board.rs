//! The state of one pod, shared by the tasks of its containers; every change is written to the API.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::container_state::ContainerRecord;
use super::node::Node;
use super::pod_status::{PodRecord, compose};
use crate::apiserver::error::ApiError;
use crate::apiserver::resources::PODS;

/// Which container of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// An init container, by its place.
    Init(usize),
    /// A container, by its place.
    Main(usize),
}

/// The pod's state.
#[derive(Debug)]
pub struct Board {
    /// The node it is on.
    pub node: Arc<Node>,
    /// The pod as it was admitted, with its addresses in the status.
    pub pod: Value,
    record: Mutex<PodRecord>,
}

impl Board {
    /// A pod with these containers.
    pub fn new(node: Arc<Node>, pod: Value, record: PodRecord) -> Self {
        Self {
            node,
            pod,
            record: Mutex::new(record),
        }
    }

    /// The pod's namespace.
    pub fn namespace(&self) -> &str {
        self.text("namespace")
    }

    /// The pod's name.
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// The pod's UID.
    pub fn uid(&self) -> &str {
        self.text("uid")
    }

    /// Sandbox time.
    pub fn now(&self) -> Timestamp {
        self.node.clock.now()
    }

    /// The record of one container.
    pub fn container(&self, slot: Slot) -> ContainerRecord {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        slot_of(&mut record, slot).clone()
    }

    /// Changes the record of one container and tells the API.
    pub fn update(&self, slot: Slot, change: impl FnOnce(&mut ContainerRecord)) {
        // Held while publishing, so that an older state never overwrites a newer one.
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(slot_of(&mut record, slot));
        self.publish_record(&record);
    }

    /// Tells the API the state as it is.
    pub fn publish(&self) {
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish_record(&record);
    }

    fn publish_record(&self, record: &PodRecord) {
        let now = self.now();
        let outcome = self
            .node
            .store
            .update_status(&PODS, self.namespace(), self.name(), |pod| {
                if pod["metadata"]["uid"] != json!(self.uid()) {
                    // Another pod has taken the name meanwhile.
                    return Err(ApiError::not_found(&PODS, self.name()));
                }
                pod["status"] = compose(record, &pod["status"], now);
                Ok(())
            });
        if let Err(error) = outcome {
            tracing::debug!(pod = self.name(), %error, "a pod's status could not be written");
        }
    }

    fn text(&self, field: &str) -> &str {
        self.pod["metadata"][field].as_str().unwrap_or_default()
    }
}

fn slot_of(record: &mut PodRecord, slot: Slot) -> &mut ContainerRecord {
    match slot {
        Slot::Init(index) => &mut record.init[index],
        Slot::Main(index) => &mut record.main[index],
    }
}
