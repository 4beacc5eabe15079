//! `metadata.managedFields`: who set which field. Reading, writing, and keeping it up for ordinary writes;
//! [`super::apply`] does the same for server-side apply.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::compare::compare;
use super::field_set::FieldSet;
use super::schema::Schema;

/// One entry of managedFields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the field manager.
    pub manager: String,
    /// `Apply` or `Update`.
    pub operation: String,
    /// `status`, `scale` or empty.
    pub subresource: String,
    /// The version the manager wrote.
    pub api_version: String,
    /// When its set of fields last changed, RFC 3339.
    pub time: String,
    /// What it owns.
    pub fields: FieldSet,
}

impl Entry {
    /// True when both entries stand for the same manager doing the same thing.
    pub fn is_same_manager(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == "Apply" || self.api_version == other.api_version)
    }

    fn from_value(value: &Value) -> Option<Self> {
        let text = |field: &str| {
            value
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Some(Self {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            api_version: text("apiVersion"),
            time: text("time"),
            fields: FieldSet::from_fields_v1(value.get("fieldsV1")?),
        })
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_fields_v1(),
        });
        if !self.subresource.is_empty() {
            value["subresource"] = Value::from(self.subresource.as_str());
        }
        value
    }
}

/// The time as managedFields writes it: whole seconds.
pub fn entry_time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The entries of an object; none when it was never tracked.
pub fn read(object: &Value) -> Vec<Entry> {
    let entries = object
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter_map(Entry::from_value)
        .collect()
}

/// Stores the entries in the object, without the empty ones: appliers first, then by age.
pub fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|left, right| {
        let rank = |entry: &Entry| {
            (
                entry.operation != "Apply",
                entry.time.clone(),
                entry.manager.clone(),
            )
        };
        rank(left).cmp(&rank(right))
    });
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert(
            "managedFields".to_owned(),
            entries.iter().map(Entry::to_value).collect(),
        );
    }
}

/// A copy without the fields nobody owns because the server sets them or the address names them.
pub fn without_unowned(object: &Value) -> Value {
    let mut copy = object.clone();
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    if let Some(metadata) = copy.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in UNOWNED_METADATA {
            metadata.remove(field);
        }
    }
    copy
}

const UNOWNED_METADATA: [&str; 9] = [
    "clusterName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Records an ordinary write in `new`: `manager` gets what differs from `old` (`Value::Null` when the object is new),
/// everybody else loses it. `operation` is `Update` for everything but server-side apply.
///
/// The entries of `old` are the starting point; what the caller sent as managedFields is ignored, except that an
/// empty list resets the record, as in Kubernetes.
pub fn track_update(
    old: &Value,
    new: &mut Value,
    manager: &str,
    operation: &str,
    subresource: &str,
    api_version: &str,
    now: Timestamp,
) {
    let resets = new
        .pointer("/metadata/managedFields")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    let before = if old.is_null() {
        Value::Object(Map::new())
    } else {
        without_unowned(old)
    };
    let comparison = compare(Schema::of(new), &before, &without_unowned(new));
    let mut entries = if resets { Vec::new() } else { read(old) };
    let writer = Entry {
        manager: manager.to_owned(),
        operation: operation.to_owned(),
        subresource: subresource.to_owned(),
        api_version: api_version.to_owned(),
        time: entry_time(now),
        fields: comparison.changed.clone(),
    };
    for entry in &mut entries {
        entry.fields.remove(&comparison.removed);
        if !entry.is_same_manager(&writer) {
            disown(&mut entry.fields, &comparison.changed);
        }
    }
    if !writer.fields.is_empty() {
        match entries.iter_mut().find(|entry| entry.is_same_manager(&writer)) {
            Some(own) => {
                own.fields.extend(&writer.fields);
                own.time = writer.time;
            }
            None => entries.push(writer),
        }
    }
    write(new, entries);
}

/// Takes the members of `taken` out of `fields`, but nothing that lies below them and was not taken itself.
pub fn disown(fields: &mut FieldSet, taken: &FieldSet) {
    for (element, theirs) in &taken.children {
        if let Some(ours) = fields.children.get_mut(element) {
            ours.member &= !theirs.member;
            disown(ours, theirs);
        }
    }
    fields.children.retain(|_, child| !child.is_empty());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Timestamp, track_update};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn deployment(image: &str) -> Value {
        json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"shop","uid":"1","labels":{"app":"shop"}},
            "spec":{"replicas":1,"strategy":{"rollingUpdate":{"maxSurge":1}},
                "template":{"spec":{"containers":[{"name":"web","image":image}]}}}})
    }

    #[test]
    fn creating_an_object_gives_the_writer_every_field() {
        let mut created = deployment("web:1");
        track_update(
            &Value::Null,
            &mut created,
            "kubectl-create",
            "Update",
            "",
            "apps/v1",
            at(0),
        );
        let expected = json!([{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "apps/v1",
            "time": "2027-01-15T08:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {"f:replicas": {}, "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}},
                    "f:template": {"f:spec": {"f:containers": {".": {},
                        r#"k:{"name":"web"}"#: {".": {}, "f:image": {}, "f:name": {}}}}}},
            },
        }]);
        assert_eq!(created["metadata"]["managedFields"], expected);
    }

    #[test]
    fn another_writer_takes_only_the_field_it_changed() {
        let mut old = deployment("web:1");
        track_update(&Value::Null, &mut old, "first", "Update", "", "apps/v1", at(0));
        let mut new = old.clone();
        new["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2".into();
        track_update(&old, &mut new, "second", "Update", "", "apps/v1", at(60));
        let image = r#"/fieldsV1/f:spec/f:template/f:spec/f:containers/k:{"name":"web"}/f:image"#;
        let entries = new["metadata"]["managedFields"].as_array().unwrap();
        let owners: Vec<_> = entries
            .iter()
            .map(|entry| entry.pointer(image).is_some())
            .collect();
        assert_eq!(
            entries.iter().map(|entry| &entry["manager"]).collect::<Vec<_>>(),
            ["first", "second"]
        );
        assert_eq!(owners, [false, true]);
        assert!(entries[0].pointer("/fieldsV1/f:spec/f:replicas").is_some());
    }

    #[test]
    fn an_unchanged_object_keeps_its_record_and_its_time() {
        let mut old = deployment("web:1");
        track_update(&Value::Null, &mut old, "first", "Update", "", "apps/v1", at(0));
        let mut new = old.clone();
        track_update(&old, &mut new, "first", "Update", "", "apps/v1", at(60));
        assert_eq!(new, old);
    }

    #[test]
    fn status_writes_are_kept_apart_and_removed_fields_belong_to_nobody() {
        let mut old = deployment("web:1");
        track_update(&Value::Null, &mut old, "first", "Update", "", "apps/v1", at(0));
        let mut new = old.clone();
        new["status"] = json!({"replicas":1});
        new["metadata"].as_object_mut().unwrap().remove("labels");
        track_update(&old, &mut new, "first", "Update", "status", "apps/v1", at(60));
        let entries = new["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries[1]["subresource"], "status");
        assert_eq!(entries[1]["fieldsV1"], json!({"f:status":{"f:replicas":{}}}));
        assert!(entries[0]["fieldsV1"].get("f:metadata").is_none());
    }

    #[test]
    fn an_empty_list_resets_the_record() {
        let mut old = deployment("web:1");
        track_update(&Value::Null, &mut old, "first", "Update", "", "apps/v1", at(0));
        let mut new = old.clone();
        new["metadata"]["managedFields"] = json!([]);
        track_update(&old, &mut new, "second", "Update", "", "apps/v1", at(60));
        assert!(new["metadata"].get("managedFields").is_none());
    }
}
