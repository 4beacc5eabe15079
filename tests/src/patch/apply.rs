//! Server-side apply: merges what a manager applies into the live object, removes what it no longer applies, and
//! refuses to change what others own unless it is forced.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::compare::{applied_fields, compare, key_element, parts};
use super::field_set::FieldSet;
use super::managed_fields::{Entry, disown, entry_time, read, without_unowned, write};
use super::schema::{Schema, Shape};

/// Who applies, and how.
#[derive(Clone, Debug)]
pub struct ApplyOptions<'a> {
    /// Name of the field manager; Kubernetes requires one.
    pub manager: &'a str,
    /// Take over fields that others own.
    pub force: bool,
    /// `status`, `scale` or empty.
    pub subresource: &'a str,
    /// Time to record.
    pub now: Timestamp,
}

/// A field that somebody else owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `conflict with "NAME" using apps/v1`, the message of the cause.
    pub message: String,
    /// `.spec.replicas`, the field of the cause.
    pub field: String,
}

/// Why an apply was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ApplyError {
    /// Fields belong to others: 409, with one cause of reason `FieldManagerConflict` each.
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// An applied configuration must not carry managedFields.
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    /// A list item lacks a key: 422.
    #[error("unable to apply {field}: an item of an associative list does not contain its key {key:?}")]
    MissingKey {
        /// The list's name.
        field: String,
        /// The missing key.
        key: &'static str,
    },
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.message, only.field);
    }
    let mut text = format!("Apply failed with {} conflicts:", conflicts.len());
    let mut current = "";
    for conflict in conflicts {
        if conflict.message != current {
            current = &conflict.message;
            let plural = current.replacen("conflict with", "conflicts with", 1);
            let separator = if text.ends_with("conflicts:") { " " } else { "\n" };
            text = format!("{text}{separator}{plural}:");
        }
        text = format!("{text}\n- {}", conflict.field);
    }
    text
}

/// Applies `applied` to `live`, or creates the object when there is none. The result carries the new managedFields
/// and everything of `live` that nobody removed; the server's own fields (uid, resourceVersion) stay those of `live`.
pub fn apply(live: Option<&Value>, applied: &Value, options: &ApplyOptions<'_>) -> Result<Value, ApplyError> {
    let schema = Schema::of(applied);
    if applied
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(ApplyError::ManagedFields);
    }
    check_keys("", Shape::Granular(schema), applied)?;
    let mut entry = Entry {
        manager: options.manager.to_owned(),
        operation: "Apply".to_owned(),
        subresource: options.subresource.to_owned(),
        api_version: applied
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        time: entry_time(options.now),
        fields: owned_fields(schema, applied),
    };
    let Some(live) = live else {
        let mut created = without_nulls(applied);
        write(&mut created, vec![entry]);
        return Ok(created);
    };
    let (own, mut others): (Vec<Entry>, Vec<Entry>) = entries_of(live, schema, options)
        .into_iter()
        .partition(|candidate| candidate.is_same_manager(&entry));
    let mut merged = merge(Shape::Granular(schema), live, applied);
    if let Some(previous) = own.first() {
        let mut kept = entry.fields.clone();
        for other in &others {
            kept.extend(&other.fields);
        }
        prune(Shape::Granular(schema), &mut merged, &previous.fields, &kept);
        if previous.fields == entry.fields {
            entry.time.clone_from(&previous.time);
        }
    }
    let comparison = compare(schema, &without_unowned(live), &without_unowned(&merged));
    let conflicts = conflicts_with(&others, &comparison.changed);
    if !conflicts.is_empty() && !options.force {
        return Err(ApplyError::Conflicts(conflicts));
    }
    for other in &mut others {
        disown(&mut other.fields, &comparison.changed);
        other.fields.remove(&comparison.removed);
    }
    others.push(entry);
    write(&mut merged, others);
    Ok(merged)
}

fn owned_fields(schema: Schema, applied: &Value) -> FieldSet {
    let mut applied = without_unowned(applied);
    if let Some(fields) = applied.as_object_mut() {
        // What is left of metadata without name and namespace is often nothing.
        fields.retain(|name, field| {
            name != "metadata" || field.as_object().is_some_and(|left| !left.is_empty())
        });
    }
    applied_fields(Shape::Granular(schema), &applied)
}

/// The live object's entries. Fields of an object that was never tracked belong to `before-first-apply`.
fn entries_of(live: &Value, schema: Schema, options: &ApplyOptions<'_>) -> Vec<Entry> {
    let entries = read(live);
    if !entries.is_empty() {
        return entries;
    }
    vec![Entry {
        manager: "before-first-apply".to_owned(),
        operation: "Update".to_owned(),
        subresource: String::new(),
        api_version: live
            .get("apiVersion")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        time: entry_time(options.now),
        fields: compare(schema, &Value::Null, &without_unowned(live)).changed,
    }]
}

fn conflicts_with(others: &[Entry], changed: &FieldSet) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for other in others {
        let mut message = format!("conflict with {:?}", other.manager);
        if !other.subresource.is_empty() {
            message = format!("{message} with subresource {:?}", other.subresource);
        }
        if other.operation == "Update" {
            message = format!("{message} using {}", other.api_version);
        }
        let fields = other.fields.intersection(changed).paths();
        conflicts.extend(fields.into_iter().map(|field| Conflict {
            message: message.clone(),
            field,
        }));
    }
    conflicts
}

fn check_keys(field: &str, shape: Shape, value: &Value) -> Result<(), ApplyError> {
    if let (Shape::Keyed { keys, .. }, Value::Array(items)) = (shape, value) {
        for item in items {
            if let Some(&key) = keys.iter().find(|key| key_element(&[key], item).is_none()) {
                return Err(ApplyError::MissingKey {
                    field: field.to_owned(),
                    key,
                });
            }
        }
    }
    for (element, inner, part) in parts(shape, value).into_iter().flatten() {
        check_keys(
            &format!("{field}.{}", element.trim_start_matches("f:")),
            inner,
            part,
        )?;
    }
    Ok(())
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let set = fields.iter().filter(|(_, field)| !field.is_null());
            Value::Object(
                set.map(|(name, field)| (name.clone(), without_nulls(field)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn merge(shape: Shape, live: &Value, applied: &Value) -> Value {
    match (shape, live, applied) {
        (Shape::Granular(schema), Value::Object(current), Value::Object(changes)) => {
            let mut fields = current.clone();
            for (name, change) in changes {
                let before = current.get(name).unwrap_or(&Value::Null);
                if change.is_null() {
                    fields.remove(name);
                } else {
                    fields.insert(name.clone(), merge(schema.field(name), before, change));
                }
            }
            Value::Object(fields)
        }
        (Shape::Keyed { keys, item }, Value::Array(current), Value::Array(changes)) => {
            let mut items = current.clone();
            let inner = item.map_or(Shape::Atomic, Shape::Granular);
            for change in changes {
                let identity = key_element(keys, change);
                match items
                    .iter_mut()
                    .find(|candidate| key_element(keys, candidate) == identity)
                {
                    Some(existing) => *existing = merge(inner, existing, change),
                    None => items.push(without_nulls(change)),
                }
            }
            Value::Array(items)
        }
        (Shape::Set, Value::Array(current), Value::Array(changes)) => {
            let added = changes.iter().filter(|item| !current.contains(item));
            Value::Array(current.iter().chain(added).cloned().collect())
        }
        (Shape::Granular(_) | Shape::Atomic | Shape::Keyed { .. } | Shape::Set, ..) => without_nulls(applied),
    }
}

/// Removes what was `owned` by the last apply and is in `kept` neither as a path nor as the beginning of one.
fn prune(shape: Shape, value: &mut Value, owned: &FieldSet, kept: &FieldSet) {
    let Some(current) = parts(shape, value) else {
        return;
    };
    let elements: Vec<(String, Shape)> = current
        .into_iter()
        .map(|(element, inner, _)| (element, inner))
        .collect();
    let nobody = FieldSet::default();
    let mut index = 0;
    for (element, inner) in elements {
        let owned_below = owned.children.get(&element);
        let kept_below = kept.children.get(&element);
        let gone = owned_below.is_some_and(|below| below.member) && kept_below.is_none_or(FieldSet::is_empty);
        if let (Some(fields), Some(name)) = (value.as_object_mut(), element.strip_prefix("f:")) {
            prune_field(fields, name, inner, gone, owned_below, kept_below);
            continue;
        }
        let Some(items) = value.as_array_mut() else { return };
        if gone {
            items.remove(index);
            continue;
        }
        if let Some(below) = owned_below {
            prune(inner, &mut items[index], below, kept_below.unwrap_or(&nobody));
        }
        index += 1;
    }
}

fn prune_field(
    fields: &mut Map<String, Value>,
    name: &str,
    inner: Shape,
    gone: bool,
    owned: Option<&FieldSet>,
    kept: Option<&FieldSet>,
) {
    if gone {
        fields.remove(name);
        return;
    }
    let (Some(field), Some(owned)) = (fields.get_mut(name), owned) else {
        return;
    };
    prune(inner, field, owned, kept.unwrap_or(&FieldSet::default()));
    let is_empty =
        field.as_object().is_some_and(Map::is_empty) || field.as_array().is_some_and(Vec::is_empty);
    if is_empty && kept.is_none_or(FieldSet::is_empty) {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests;
