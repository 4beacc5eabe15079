//! Stored objects as the client asked to see them: as they are, as metadata, or as a table.

use serde_json::{Value, json};

use super::negotiate::Format;
use super::path::Query;
use super::resources::Resource;
use super::{events, table};
use crate::clock::Clock;

/// Everything that decides the shape of an answer.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) resource: &'static Resource,
    pub(super) format: Format,
    /// `includeObject` of tables: `None`, `Metadata` or `Object`.
    pub(super) include: String,
    pub(super) clock: Clock,
}

/// The metadata of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct ListMeta {
    pub(super) revision: u64,
    pub(super) continue_token: Option<String>,
    pub(super) remaining: Option<usize>,
}

impl ListMeta {
    fn to_value(&self) -> Value {
        let mut meta = json!({"resourceVersion": self.revision.to_string()});
        if let Some(token) = &self.continue_token {
            meta["continue"] = json!(token);
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = json!(remaining);
        }
        meta
    }
}

impl View {
    pub(super) fn new(resource: &'static Resource, format: Format, query: &Query, clock: Clock) -> Self {
        let include = query.get("includeObject").unwrap_or("Metadata").to_owned();
        Self {
            resource,
            format,
            include,
            clock,
        }
    }

    /// One object of a get, a write or a watch. `with_columns` is false for later events of a watch.
    pub(super) fn object(&self, object: Value, with_columns: bool) -> Value {
        let revision = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let object = events::present(self.resource, object);
        match self.format {
            Format::Object => object,
            Format::Metadata => metadata_only(&object),
            Format::Table => self.table(
                std::slice::from_ref(&object),
                &json!({"resourceVersion": revision}),
                with_columns,
            ),
        }
    }

    /// A whole list.
    pub(super) fn list(&self, items: Vec<Value>, meta: &ListMeta) -> Value {
        let items: Vec<Value> = items
            .into_iter()
            .map(|object| events::present(self.resource, object))
            .collect();
        let (api_version, kind) = (self.resource.api_version(), format!("{}List", self.resource.kind));
        match self.format {
            Format::Object => {
                let items: Vec<Value> = items.into_iter().map(without_type).collect();
                json!({"kind": kind, "apiVersion": api_version, "metadata": meta.to_value(), "items": items})
            }
            Format::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta.to_value(),
                "items": items.iter().map(metadata_only).collect::<Vec<_>>(),
            }),
            Format::Table => self.table(&items, &meta.to_value(), true),
        }
    }

    fn table(&self, objects: &[Value], meta: &Value, with_columns: bool) -> Value {
        let columns = table::columns(self.resource);
        let rows: Vec<Value> = objects
            .iter()
            .map(|object| {
                let mut row = json!({"cells": table::cells(self.resource, object, self.clock.now())});
                match self.include.as_str() {
                    "None" => {}
                    "Object" => row["object"] = object.clone(),
                    _ => row["object"] = metadata_only(object),
                }
                row
            })
            .collect();
        let definitions: Vec<Value> = if with_columns {
            columns.iter().map(table::Column::definition).collect()
        } else {
            Vec::new()
        };
        json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": definitions,
            "rows": rows,
        })
    }
}

fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// Items of a typed list do not repeat their type.
fn without_type(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}
