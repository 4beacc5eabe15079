//! What happens to every object on its way into the store: system fields, defaults, validation.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::resources::{NODES, Resource};
use super::{decode, defaults, validation};
use crate::clock::Clock;

/// Which part of an object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status (of kinds that have one).
    Main,
    /// The status only.
    Status,
}

/// Metadata that belongs to the server; what a client sends is ignored.
const SYSTEM_FIELDS: &[&str] = &[
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
];

/// Makes a new object ready to be stored.
pub(super) fn prepare_create(resource: &Resource, object: &mut Value, clock: Clock) -> Result<(), ApiError> {
    object["apiVersion"] = json!(resource.api_version());
    object["kind"] = json!(resource.kind);
    let metadata = metadata_of(object)?;
    for field in SYSTEM_FIELDS {
        metadata.remove(*field);
    }
    if !resource.namespaced {
        metadata.remove("namespace");
    }
    generate_name(metadata);
    metadata.insert("uid".to_owned(), json!(new_uid()));
    metadata.insert("creationTimestamp".to_owned(), json!(clock.now_rfc3339()));
    if resource.has_generation {
        metadata.insert("generation".to_owned(), json!(1));
    }
    // A node reports itself together with its status; every other kind starts without one.
    if resource.has_status && *resource != NODES {
        put_or_remove(object, "status", Value::Null);
    }
    decode::prune(resource, object)?;
    defaults::apply(resource, object);
    defaults::initial_status(resource, object);
    validation::on_create(resource, object)
}

/// Puts back what the writer may not change, and counts the generation.
pub(super) fn prepare_update(
    resource: &Resource,
    old: &Value,
    new: &mut Value,
    part: Part,
) -> Result<(), ApiError> {
    new["apiVersion"] = old["apiVersion"].clone();
    new["kind"] = old["kind"].clone();
    if part == Part::Status {
        let status = new["status"].take();
        let managed_fields = new["metadata"]["managedFields"].take();
        new.clone_from(old);
        put_or_remove(new, "status", status);
        put_or_remove(&mut new["metadata"], "managedFields", managed_fields);
        decode::prune(resource, new)?;
        return Ok(());
    }
    if resource.has_status {
        put_or_remove(new, "status", old["status"].clone());
    }
    metadata_of(new)?;
    for field in SYSTEM_FIELDS.iter().chain(&["name", "namespace"]) {
        put_or_remove(&mut new["metadata"], field, old["metadata"][*field].clone());
    }
    decode::prune(resource, new)?;
    defaults::apply(resource, new);
    validation::on_update(resource, old, new)?;
    if resource.has_generation && specification(old) != specification(new) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(1);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    Ok(())
}

/// Whether a write would change nothing. The times in `managedFields` do not count.
pub(super) fn same(old: &Value, new: &Value) -> bool {
    without_times(old) == without_times(new)
}

fn without_times(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(entries) = object
        .pointer_mut("/metadata/managedFields")
        .and_then(Value::as_array_mut)
    {
        for entry in entries {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
    }
    object
}

fn specification(object: &Value) -> Vec<(&String, &Value)> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, _)| !matches!(field.as_str(), "metadata" | "status" | "apiVersion" | "kind"))
        .collect()
}

fn put_or_remove(object: &mut Value, field: &str, value: Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
}

fn metadata_of(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    object
        .as_object_mut()
        .ok_or_else(|| ApiError::bad_request("the object must be a JSON object"))?
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| ApiError::bad_request("metadata must be an object"))
}

fn generate_name(metadata: &mut Map<String, Value>) {
    let has_name = metadata
        .get("name")
        .and_then(Value::as_str)
        .is_some_and(|name| !name.is_empty());
    let prefix = metadata
        .get("generateName")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !has_name && !prefix.is_empty() {
        let name = format!("{prefix}{}", random_suffix());
        metadata.insert("name".to_owned(), json!(name));
    }
}

/// Five characters of the alphabet Kubernetes uses for generated names (no vowels, no look-alikes).
pub fn random_suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rest = random_u64();
    let mut suffix = String::with_capacity(5);
    for _ in 0..5 {
        let index = usize::try_from(rest % ALPHABET.len() as u64).expect("an index into 27 letters");
        suffix.push(char::from(ALPHABET[index]));
        rest /= ALPHABET.len() as u64;
    }
    suffix
}

/// A random UUID of version 4.
pub fn new_uid() -> String {
    let (high, low) = (random_u64(), random_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// Unpredictable enough for names in a sandbox: std's per-process random hash keys over a counter.
pub(super) fn random_u64() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one(COUNTER.fetch_add(1, Ordering::Relaxed))
}
