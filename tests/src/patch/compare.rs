//! Walks values along their schema: which paths an object has, and what differs between two versions of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::field_set::FieldSet;
use super::schema::{Schema, Shape, key_default};

/// What an object or list holds, each part under its path element.
pub type Parts<'a> = Vec<(String, Shape, &'a Value)>;

/// The parts of a value, or `None` when it is one value to server-side apply: a scalar, an atomic object or list.
pub fn parts(shape: Shape, value: &Value) -> Option<Parts<'_>> {
    match (shape, value) {
        (Shape::Granular(schema), Value::Object(fields)) => Some(
            fields
                .iter()
                .map(|(name, field)| (format!("f:{name}"), schema.field(name), field))
                .collect(),
        ),
        (Shape::Keyed { keys, item }, Value::Array(items)) => items
            .iter()
            .map(|value| {
                Some((
                    key_element(keys, value)?,
                    item.map_or(Shape::Atomic, Shape::Granular),
                    value,
                ))
            })
            .collect(),
        (Shape::Set, Value::Array(items)) => Some(
            items
                .iter()
                .map(|item| (format!("v:{item}"), Shape::Atomic, item))
                .collect(),
        ),
        (Shape::Granular(_) | Shape::Atomic | Shape::Keyed { .. } | Shape::Set, _) => None,
    }
}

/// `k:{…}` of a list item; `None` when it lacks a key without default.
pub fn key_element(keys: &[&str], item: &Value) -> Option<String> {
    let mut identity = Map::new();
    for key in keys {
        identity.insert(
            (*key).to_owned(),
            item.get(key).cloned().or_else(|| key_default(key))?,
        );
    }
    Some(format!("k:{}", Value::Object(identity)))
}

/// The paths that somebody who applies `value` owns: its leaves, and every item of a list or map beside its content.
pub fn applied_fields(shape: Shape, value: &Value) -> FieldSet {
    let Some(parts) = parts(shape, value) else {
        return FieldSet::leaf();
    };
    let mut set = FieldSet::default();
    for (element, inner, part) in parts {
        let mut child = applied_fields(inner, part);
        child.member |= !element.starts_with("f:") || part.as_object().is_some_and(Map::is_empty);
        if !child.is_empty() {
            set.children.insert(element, child);
        }
    }
    set
}

/// The difference between two versions of an object.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Paths that are new or have another value.
    pub changed: FieldSet,
    /// Paths that are no longer there.
    pub removed: FieldSet,
}

/// Compares two versions of an object of the type `schema`.
pub fn compare(schema: Schema, old: &Value, new: &Value) -> Comparison {
    let empty = Value::Object(Map::new());
    let or_empty = |value| if Value::is_null(value) { &empty } else { value };
    let mut comparison = Comparison::default();
    let Comparison { changed, removed } = &mut comparison;
    difference(
        Shape::Granular(schema),
        or_empty(old),
        or_empty(new),
        changed,
        removed,
    );
    comparison
}

fn difference(shape: Shape, old: &Value, new: &Value, changed: &mut FieldSet, removed: &mut FieldSet) {
    if old == new {
        return;
    }
    let (Some(before), Some(after)) = (parts(shape, old), parts(shape, new)) else {
        *changed = FieldSet::leaf();
        return;
    };
    for (element, inner, value) in &after {
        match before.iter().find(|(candidate, ..)| candidate == element) {
            Some((.., previous)) => {
                let (mut more, mut fewer) = (FieldSet::default(), FieldSet::default());
                difference(*inner, previous, value, &mut more, &mut fewer);
                for (side, found) in [(&mut *changed, more), (&mut *removed, fewer)] {
                    if !found.is_empty() {
                        side.children.insert(element.clone(), found);
                    }
                }
            }
            None => {
                changed
                    .children
                    .insert(element.clone(), added_fields(element, *inner, value));
            }
        }
    }
    let kept: BTreeSet<&String> = after.iter().map(|(element, ..)| element).collect();
    for (element, ..) in before.iter().filter(|(element, ..)| !kept.contains(element)) {
        removed.children.insert(element.clone(), FieldSet::leaf());
    }
}

/// Structs that are always there in a typed object: adding one is adding its fields.
const STRUCTS: [&str; 8] = [
    "f:metadata",
    "f:spec",
    "f:status",
    "f:template",
    "f:jobTemplate",
    "f:strategy",
    "f:updateStrategy",
    "f:valueFrom",
];

fn added_fields(element: &str, shape: Shape, value: &Value) -> FieldSet {
    let Some(parts) = parts(shape, value) else {
        return FieldSet::leaf();
    };
    let mut set = FieldSet {
        member: !STRUCTS.contains(&element),
        ..FieldSet::default()
    };
    for (below, inner, part) in parts {
        set.children
            .insert(below.clone(), added_fields(&below, inner, part));
    }
    set
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Schema, Shape, applied_fields, compare};

    #[test]
    fn an_applied_pod_owns_its_leaves_and_its_list_items() {
        let pod = json!({"metadata":{"labels":{"app":"shop"}},"spec":{"nodeSelector":{"a":"b"},"containers":[
            {"name":"web","image":"web:1","args":["a","b"],"ports":[{"containerPort":80}],"securityContext":{}}]}});
        let expected = json!({
            "f:metadata": {"f:labels": {"f:app": {}}},
            "f:spec": {"f:nodeSelector": {}, "f:containers": {r#"k:{"name":"web"}"#: {".": {}, "f:name": {},
                "f:image": {}, "f:args": {}, "f:securityContext": {},
                "f:ports": {r#"k:{"containerPort":80,"protocol":"TCP"}"#: {".": {}, "f:containerPort": {}}}}}},
        });
        assert_eq!(
            applied_fields(Shape::Granular(Schema::Pod), &pod).to_fields_v1(),
            expected
        );
    }

    #[test]
    fn a_comparison_names_changed_new_and_removed_paths() {
        let old = json!({"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"containers":[
            {"name":"web","image":"web:1"},{"name":"old","image":"x"}]}});
        let new = json!({"metadata":{"labels":{"a":"1"},"annotations":{"n":"1"}},"spec":{"containers":[
            {"name":"web","image":"web:2"}]}});
        let comparison = compare(Schema::Pod, &old, &new);
        let changed = json!({
            "f:metadata": {"f:annotations": {".": {}, "f:n": {}}},
            "f:spec": {"f:containers": {r#"k:{"name":"web"}"#: {"f:image": {}}}},
        });
        let removed = json!({
            "f:metadata": {"f:labels": {"f:b": {}}},
            "f:spec": {"f:containers": {r#"k:{"name":"old"}"#: {}}},
        });
        assert_eq!(comparison.changed.to_fields_v1(), changed);
        assert_eq!(comparison.removed.to_fields_v1(), removed);
    }

    #[test]
    fn an_item_without_its_key_makes_the_list_one_value() {
        let list = json!({"spec":{"containers":[{"image":"x"}]}});
        let fields = applied_fields(Shape::Granular(Schema::Pod), &list).to_fields_v1();
        assert_eq!(fields, json!({"f:spec": {"f:containers": {}}}));
    }
}
