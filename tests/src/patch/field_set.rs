//! A set of field paths, and its `fieldsV1` form in managedFields.
//!
//! A path element is kept as `fieldsV1` writes it: `f:NAME` for a field, `k:{…}` for an item of a list by its keys,
//! `v:VALUE` for an item of a set. The tree is its own index: every operation walks two trees side by side.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Field paths as a tree. The root stands for the object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// The path that ends here is in the set.
    pub member: bool,
    /// Longer paths, by their next element.
    pub children: BTreeMap<String, Self>,
}

impl FieldSet {
    /// The set of exactly one path, the root.
    pub fn leaf() -> Self {
        Self {
            member: true,
            children: BTreeMap::new(),
        }
    }

    /// True when no path is in the set.
    pub fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// The subtree under `element`, made when it is not there.
    pub fn child(&mut self, element: &str) -> &mut Self {
        self.children.entry(element.to_owned()).or_default()
    }

    /// Adds every path of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.member |= other.member;
        for (element, theirs) in &other.children {
            self.child(element).extend(theirs);
        }
    }

    /// Takes out every path of `other` and, where such a path ends, all that lies below it.
    pub fn remove(&mut self, other: &Self) {
        for (element, theirs) in &other.children {
            if theirs.member && theirs.children.is_empty() {
                self.children.remove(element);
            } else if let Some(ours) = self.children.get_mut(element) {
                ours.member &= !theirs.member;
                ours.remove(theirs);
            }
        }
        self.children.retain(|_, child| !child.is_empty());
    }

    /// The paths that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = |(element, ours): (&String, &Self)| {
            let common = ours.intersection(other.children.get(element)?);
            (!common.is_empty()).then(|| (element.clone(), common))
        };
        Self {
            member: self.member && other.member,
            children: self.children.iter().filter_map(both).collect(),
        }
    }

    /// Reads the `fieldsV1` form. What is not understood is left out.
    pub fn from_fields_v1(fields: &Value) -> Self {
        let mut set = Self::default();
        let Some(entries) = fields.as_object() else {
            return set;
        };
        for (element, below) in entries {
            if element == "." {
                set.member = true;
                continue;
            }
            let child = set.child(element);
            *child = Self::from_fields_v1(below);
            child.member |= child.children.is_empty();
        }
        set
    }

    /// Writes the `fieldsV1` form.
    pub fn to_fields_v1(&self) -> Value {
        let mut entries = Map::new();
        if self.member && !self.children.is_empty() {
            entries.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (element, child) in self.children.iter().filter(|(_, child)| !child.is_empty()) {
            entries.insert(element.clone(), child.to_fields_v1());
        }
        Value::Object(entries)
    }

    /// The paths in the form error messages use: `.spec.template.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_paths("", &mut found);
        found
    }

    fn collect_paths(&self, prefix: &str, found: &mut Vec<String>) {
        if self.member {
            found.push(prefix.to_owned());
        }
        for (element, child) in &self.children {
            child.collect_paths(&format!("{prefix}{}", readable(element)), found);
        }
    }
}

fn readable(element: &str) -> String {
    if let Some(name) = element.strip_prefix("f:") {
        return format!(".{name}");
    }
    if let Some(keys) = element
        .strip_prefix("k:")
        .and_then(|keys| serde_json::from_str::<Value>(keys).ok())
    {
        let pairs = keys.as_object().into_iter().flatten();
        let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
        return format!("[{}]", pairs.join(","));
    }
    format!("[={}]", element.strip_prefix("v:").unwrap_or(element))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FieldSet;

    #[test]
    fn fields_v1_survives_reading_and_writing() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:containers": {r#"k:{"name":"web"}"#: {".": {}, "f:image": {}}}, "f:finalizers": {"v:\"a\"": {}}},
        });
        assert_eq!(FieldSet::from_fields_v1(&fields).to_fields_v1(), fields);
    }

    #[test]
    fn paths_read_as_kubectl_prints_them() {
        let fields = json!({"f:spec": {
            "f:containers": {r#"k:{"name":"web"}"#: {"f:image": {}}},
            "f:ports": {r#"k:{"port":80,"protocol":"TCP"}"#: {}},
            "f:set": {"v:\"a\"": {}},
        }});
        let expected = [
            r#".spec.containers[name="web"].image"#,
            r#".spec.ports[port=80,protocol="TCP"]"#,
            r#".spec.set[="a"]"#,
        ];
        assert_eq!(FieldSet::from_fields_v1(&fields).paths(), expected);
    }

    #[test]
    fn removing_a_path_takes_what_lies_below_it_along() {
        let mut set = FieldSet::from_fields_v1(&json!({"f:a": {".": {}, "f:x": {}}, "f:b": {"f:y": {}}}));
        set.remove(&FieldSet::from_fields_v1(&json!({"f:a": {}})));
        assert_eq!(set.to_fields_v1(), json!({"f:b": {"f:y": {}}}));
        set.remove(&FieldSet::from_fields_v1(&json!({"f:b": {"f:y": {}}})));
        assert!(set.is_empty());
    }

    #[test]
    fn the_intersection_holds_only_common_members() {
        let left = FieldSet::from_fields_v1(&json!({"f:a": {"f:x": {}, "f:y": {}}, "f:b": {}}));
        let right = FieldSet::from_fields_v1(&json!({"f:a": {".": {}, "f:y": {}}}));
        assert_eq!(
            left.intersection(&right).to_fields_v1(),
            json!({"f:a": {"f:y": {}}})
        );
    }
}
