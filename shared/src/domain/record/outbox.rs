//! The record of messages to other programs. The updater that leads is its only writer.

use k8s_openapi::api::core::v1::ConfigMap;

use super::single::{SingleRecord, SingleRecordError};
use crate::domain::outbox::{Outbox, PartlyRead};

const RECORD: SingleRecord = SingleRecord {
    kind: "outbox",
    key: "outbox",
};

/// The name of the ConfigMap of the updaters that share a lease; others do not know of them.
pub fn name(lease: &str) -> String {
    format!("{lease}-outbox")
}

/// The stored form.
pub fn to_config_map(outbox: &Outbox, lease: &str, namespace: &str) -> ConfigMap {
    let mut config_map = RECORD.to_config_map(outbox, namespace);
    config_map.metadata.name = Some(name(lease));
    config_map
}

/// Reads the stored form, of a newer version's all that this one knows. One without content is that of nothing: it was made and not yet
/// written.
pub fn parse(config_map: &ConfigMap) -> Result<Outbox, SingleRecordError> {
    if config_map.data.is_none() {
        return Ok(Outbox::default());
    }
    RECORD
        .parse(config_map)
        .or_else(|_| RECORD.parse::<PartlyRead>(config_map).map(Outbox::from))
}
