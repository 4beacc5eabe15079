//! Strategic merge patch: a merge patch that knows which lists are merged by key, with the `$patch`, `$retainKeys`,
//! `$setElementOrder/…` and `$deleteFromPrimitiveList/…` directives.

use serde_json::{Map, Value};

use super::schema::{Schema, Shape};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// Why a strategic merge patch was refused. The target may be half patched then: work on a copy.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StrategicPatchError {
    /// A list item lacks the field that identifies it.
    #[error("unable to merge the list {field:?}: an item does not contain its merge key {key:?}")]
    MissingMergeKey {
        /// The list.
        field: String,
        /// Its merge key.
        key: &'static str,
    },
    /// A directive has a value nobody defined.
    #[error("unable to apply the patch: {directive:?} cannot have the value {value}")]
    BadDirective {
        /// The directive's name.
        directive: String,
        /// What was found.
        value: String,
    },
    /// `$retainKeys` must name every key that the patch sets beside it.
    #[error("unable to apply the patch: {RETAIN_KEYS:?} does not contain {key:?}, which the patch sets")]
    RetainKeysIncomplete {
        /// The key that is missing.
        key: String,
    },
}

/// Merges `patch` into `target`, an object of the type `schema`.
pub fn apply(target: &mut Value, patch: &Value, schema: Schema) -> Result<(), StrategicPatchError> {
    let Value::Object(changes) = patch else {
        return Err(bad_directive("patch", patch));
    };
    merge_object(target, changes, schema)
}

fn bad_directive(directive: &str, value: &Value) -> StrategicPatchError {
    StrategicPatchError::BadDirective {
        directive: directive.to_owned(),
        value: value.to_string(),
    }
}

fn merge_object(
    target: &mut Value,
    changes: &Map<String, Value>,
    schema: Schema,
) -> Result<(), StrategicPatchError> {
    match changes.get(DIRECTIVE).map(|value| (value, value.as_str())) {
        Some((_, Some("replace"))) => {
            *target = without_directives(&Value::Object(changes.clone()));
            return Ok(());
        }
        Some((_, Some("delete"))) => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        None | Some((_, Some("merge"))) => {}
        Some((value, _)) => return Err(bad_directive(DIRECTIVE, value)),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return Ok(());
    };
    retain_keys(fields, changes)?;
    delete_from_lists(fields, changes)?;
    for (name, change) in changes.iter().filter(|(name, _)| !name.starts_with('$')) {
        merge_field(fields, name, change, schema.field(name))?;
    }
    order_lists(fields, changes, schema)
}

fn merge_field(
    fields: &mut Map<String, Value>,
    name: &str,
    change: &Value,
    shape: Shape,
) -> Result<(), StrategicPatchError> {
    if change.is_null() {
        fields.remove(name);
        return Ok(());
    }
    match change {
        Value::Object(changes) => {
            let inner = match shape {
                Shape::Granular(schema) => schema,
                Shape::Atomic | Shape::Keyed { .. } | Shape::Set => Schema::Untyped,
            };
            // A whole object marked for deletion takes its field along.
            if changes.get(DIRECTIVE).and_then(Value::as_str) == Some("delete") {
                fields.remove(name);
                return Ok(());
            }
            merge_object(fields.entry(name).or_insert(Value::Null), changes, inner)
        }
        Value::Array(items) => {
            let current = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            match (shape, current.as_array_mut()) {
                (Shape::Keyed { keys, item }, Some(list)) => {
                    merge_list(list, items, name, keys[0], item.unwrap_or(Schema::Untyped))
                }
                (Shape::Set, Some(list)) => {
                    for item in items {
                        if !list.contains(item) {
                            list.push(item.clone());
                        }
                    }
                    Ok(())
                }
                (Shape::Granular(_) | Shape::Atomic, _) | (_, None) => {
                    *current = without_directives(change);
                    Ok(())
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            fields.insert(name.to_owned(), change.clone());
            Ok(())
        }
    }
}

fn merge_list(
    list: &mut Vec<Value>,
    items: &[Value],
    field: &str,
    key: &'static str,
    schema: Schema,
) -> Result<(), StrategicPatchError> {
    let directive = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str).map(str::to_owned);
    if items
        .iter()
        .any(|item| directive(item).as_deref() == Some("replace") && item.get(key).is_none())
    {
        // A bare {"$patch": "replace"} item replaces the whole list by the others.
        let kept = items.iter().filter(|item| item.get(DIRECTIVE).is_none());
        *list = kept.map(without_directives).collect();
        return Ok(());
    }
    for item in items {
        let Some(identity) = item.get(key) else {
            return Err(StrategicPatchError::MissingMergeKey {
                field: field.to_owned(),
                key,
            });
        };
        let position = list
            .iter()
            .position(|candidate| candidate.get(key) == Some(identity));
        match (directive(item).as_deref(), position) {
            (Some("delete"), _) => list.retain(|candidate| candidate.get(key) != Some(identity)),
            (Some("replace"), Some(index)) => list[index] = without_directives(item),
            (_, Some(index)) => {
                if let Value::Object(changes) = item {
                    merge_object(&mut list[index], changes, schema)?;
                }
            }
            (_, None) => list.push(without_directives(item)),
        }
    }
    Ok(())
}

/// What a patch leaves where nothing was before: its values without directives and nulls.
fn without_directives(patch: &Value) -> Value {
    match patch {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(name, value)| !name.starts_with('$') && !value.is_null())
                .map(|(name, value)| (name.clone(), without_directives(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(
            items
                .iter()
                .filter(|item| item.get(DIRECTIVE).and_then(Value::as_str) != Some("delete"))
                .map(without_directives)
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => patch.clone(),
    }
}

fn retain_keys(
    fields: &mut Map<String, Value>,
    changes: &Map<String, Value>,
) -> Result<(), StrategicPatchError> {
    let Some(value) = changes.get(RETAIN_KEYS) else {
        return Ok(());
    };
    let Value::Array(retained) = value else {
        return Err(bad_directive(RETAIN_KEYS, value));
    };
    let is_retained = |name: &str| retained.iter().any(|key| key.as_str() == Some(name));
    for (name, change) in changes {
        if !name.starts_with('$') && !change.is_null() && !is_retained(name) {
            return Err(StrategicPatchError::RetainKeysIncomplete { key: name.clone() });
        }
    }
    fields.retain(|name, _| is_retained(name));
    Ok(())
}

fn delete_from_lists(
    fields: &mut Map<String, Value>,
    changes: &Map<String, Value>,
) -> Result<(), StrategicPatchError> {
    for (directive, value) in changes {
        let Some(name) = directive.strip_prefix(DELETE_FROM_LIST) else {
            continue;
        };
        let Value::Array(doomed) = value else {
            return Err(bad_directive(directive, value));
        };
        if let Some(Value::Array(list)) = fields.get_mut(name) {
            list.retain(|item| !doomed.contains(item));
        }
    }
    Ok(())
}

fn order_lists(
    fields: &mut Map<String, Value>,
    changes: &Map<String, Value>,
    schema: Schema,
) -> Result<(), StrategicPatchError> {
    for (directive, value) in changes {
        let Some(name) = directive.strip_prefix(ELEMENT_ORDER) else {
            continue;
        };
        let Value::Array(order) = value else {
            return Err(bad_directive(directive, value));
        };
        let Some(Value::Array(list)) = fields.get_mut(name) else {
            continue;
        };
        match schema.field(name) {
            Shape::Keyed { keys, .. } => set_order(list, order, Some(keys[0])),
            Shape::Set | Shape::Atomic | Shape::Granular(_) => set_order(list, order, None),
        }
    }
    Ok(())
}

/// Puts the items that `order` names into that order. Items it does not know keep their place before the first named
/// item that stood behind them.
fn set_order(list: &mut Vec<Value>, order: &[Value], merge_key: Option<&str>) {
    let key = |item: &Value| match merge_key {
        Some(name) => item.get(name).cloned(),
        None => Some(item.clone()),
    };
    let rank = |item: &Value| order.iter().position(|named| key(named) == key(item));
    let place = |item: &Value, all: &[Value]| all.iter().position(|other| key(other) == key(item));
    let before = list.clone();
    let (mut named, others): (Vec<Value>, Vec<Value>) = list.drain(..).partition(|item| rank(item).is_some());
    named.sort_by_key(|item| rank(item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(first), Some(second)) = (named.peek(), others.peek()) {
        let named_is_earlier = place(first, &before) < place(second, &before);
        list.extend(if named_is_earlier {
            named.next()
        } else {
            others.next()
        });
    }
    list.extend(named);
    list.extend(others);
}

#[cfg(test)]
mod tests;
