//! The stored form of a record of a kind of which there is one: a schema, and one thing as YAML.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config_map::{RECORD_LABEL, yaml};

const SCHEMA: &str = "1";

/// A kind of record of which there is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct SingleRecord {
    /// The value of [`RECORD_LABEL`] and the name of the ConfigMap.
    pub(super) kind: &'static str,
    /// What its content stands under.
    pub(super) key: &'static str,
}

/// A ConfigMap that is no such record. Its text does not matter: it is written anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record {kind} cannot be read: {reason}")]
pub struct SingleRecordError {
    kind: &'static str,
    reason: String,
}

impl SingleRecord {
    pub(super) fn to_config_map(self, content: &impl Serialize, namespace: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.kind.to_owned()),
                namespace: Some(namespace.to_owned()),
                labels: Some(BTreeMap::from([(RECORD_LABEL.to_owned(), self.kind.to_owned())])),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([
                ("schema".to_owned(), SCHEMA.to_owned()),
                (self.key.to_owned(), yaml(content)),
            ])),
            ..ConfigMap::default()
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(self, config_map: &ConfigMap) -> Result<T, SingleRecordError> {
        let error = |reason| SingleRecordError {
            kind: self.kind,
            reason,
        };
        let get = |key: &str| config_map.data.as_ref().and_then(|data| data.get(key));
        match (get("schema").map(String::as_str), get(self.key)) {
            (Some(SCHEMA), Some(content)) => {
                serde_saphyr::from_str(content).map_err(|reason| error(reason.to_string()))
            }
            (schema, _) => Err(error(format!(
                "its schema is {schema:?} and this version reads {SCHEMA:?}"
            ))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Whatever the kind: this record is read, and not with another schema, with broken content or with this content.
    pub(in super::super) fn assert_nothing_else_is_read<T: Debug>(
        record: SingleRecord,
        readable: &ConfigMap,
        parse: impl Fn(&ConfigMap) -> Result<T, SingleRecordError>,
        unreadable: &str,
    ) {
        parse(readable).unwrap();
        for (key, value) in [("schema", "2"), (record.key, "- ["), (record.key, unreadable)] {
            let mut stored = readable.clone();
            stored
                .data
                .get_or_insert_default()
                .insert(key.to_owned(), value.to_owned());
            let error = parse(&stored).unwrap_err();
            assert_eq!(error.kind, record.kind, "{key} {value}");
        }
        assert!(parse(&ConfigMap::default()).is_err());
    }
}
