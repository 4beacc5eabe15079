//! The kinds whose tables need no more than a few simple columns.

use serde_json::{Value, json};

use super::text::{at, labels, number, or_none, selector};
use super::{AGE, CREATED, Column, NAME, age};

pub(super) fn columns(kind: &str) -> Option<&'static [Column]> {
    Some(match kind {
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "ServiceAccount" => SERVICE_ACCOUNT,
        "Namespace" => NAMESPACE,
        "Node" => NODE,
        "Service" => SERVICE,
        "Lease" => LEASE,
        "Event" => EVENT,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => BINDING,
        "ControllerRevision" => CONTROLLER_REVISION,
        "NetworkPolicy" => NETWORK_POLICY,
        "PodDisruptionBudget" => DISRUPTION_BUDGET,
        _ => return None,
    })
}

fn entries(object: &Value, fields: &[&str]) -> usize {
    fields
        .iter()
        .filter_map(|field| object[*field].as_object())
        .map(serde_json::Map::len)
        .sum()
}

static CONFIG_MAP: &[Column] = &[
    NAME,
    Column::text("Data", |object, _| {
        json!(entries(object, &["data", "binaryData"]).to_string())
    }),
    AGE,
];

static SECRET: &[Column] = &[
    NAME,
    Column::text("Type", |object, _| object["type"].clone()),
    Column::text("Data", |object, _| json!(entries(object, &["data"]).to_string())),
    AGE,
];

static SERVICE_ACCOUNT: &[Column] = &[
    NAME,
    Column::text("Secrets", |object, _| {
        json!(object["secrets"].as_array().map_or(0, Vec::len).to_string())
    }),
    AGE,
];

static NAMESPACE: &[Column] = &[
    NAME,
    Column::text("Status", |object, _| at(object, "status.phase").clone()),
    AGE,
];

static NODE: &[Column] = &[
    NAME,
    Column::text("Status", |object, _| {
        let ready = at(object, "status.conditions")
            .as_array()
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        let cordoned = at(object, "spec.unschedulable") == &json!(true);
        let word = if ready { "Ready" } else { "NotReady" };
        json!(if cordoned {
            format!("{word},SchedulingDisabled")
        } else {
            word.to_owned()
        })
    }),
    Column::text("Roles", |object, _| {
        let roles: Vec<&str> = at(object, "metadata.labels")
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(label, _)| label.strip_prefix("node-role.kubernetes.io/"))
            .collect();
        json!(if roles.is_empty() {
            "<none>".to_owned()
        } else {
            roles.join(",")
        })
    }),
    AGE,
    Column::text("Version", |object, _| {
        at(object, "status.nodeInfo.kubeletVersion").clone()
    }),
    Column::wide("Internal-IP", |object, _| {
        let address = at(object, "status.addresses")
            .as_array()
            .into_iter()
            .flatten()
            .find(|address| address["type"] == "InternalIP");
        address.map_or(json!("<none>"), |address| address["address"].clone())
    }),
    Column::wide("External-IP", |_, _| json!("<none>")),
    Column::wide("OS-Image", |object, _| {
        at(object, "status.nodeInfo.osImage").clone()
    }),
    Column::wide("Kernel-Version", |object, _| {
        at(object, "status.nodeInfo.kernelVersion").clone()
    }),
    Column::wide("Container-Runtime", |object, _| {
        at(object, "status.nodeInfo.containerRuntimeVersion").clone()
    }),
];

static SERVICE: &[Column] = &[
    NAME,
    Column::text("Type", |object, _| at(object, "spec.type").clone()),
    Column::text("Cluster-IP", |object, _| or_none(object, "spec.clusterIP")),
    Column::text("External-IP", |_, _| json!("<none>")),
    Column::text("Port(s)", |object, _| {
        let ports: Vec<String> = at(object, "spec.ports")
            .as_array()
            .into_iter()
            .flatten()
            .map(|port| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP")))
            .collect();
        json!(if ports.is_empty() {
            "<none>".to_owned()
        } else {
            ports.join(",")
        })
    }),
    AGE,
    Column::wide("Selector", |object, _| json!(labels(at(object, "spec.selector")))),
];

static LEASE: &[Column] = &[
    NAME,
    Column::text("Holder", |object, _| at(object, "spec.holderIdentity").clone()),
    AGE,
];

/// An event in either shape: the names of core `v1` first, then those of `events.k8s.io/v1`.
fn either<'a>(event: &'a Value, core: &str, new: &str) -> &'a Value {
    let found = at(event, core);
    if found.is_null() { at(event, new) } else { found }
}

fn last_seen(event: &Value) -> &Value {
    [
        "series.lastObservedTime",
        "lastTimestamp",
        "deprecatedLastTimestamp",
        "eventTime",
    ]
    .into_iter()
    .map(|path| at(event, path))
    .find(|time| !time.is_null())
    .unwrap_or(&event["metadata"]["creationTimestamp"])
}

fn first_seen(event: &Value) -> &Value {
    let first = either(event, "firstTimestamp", "deprecatedFirstTimestamp");
    if first.is_null() {
        at(event, "eventTime")
    } else {
        first
    }
}

static EVENT: &[Column] = &[
    Column::text("Last Seen", |event, now| json!(age::since(last_seen(event), now))),
    Column::text("Type", |event, _| event["type"].clone()),
    Column::text("Reason", |event, _| event["reason"].clone()),
    Column::text("Object", |event, _| {
        let about = either(event, "involvedObject", "regarding");
        let kind = about["kind"].as_str().unwrap_or_default().to_lowercase();
        json!(format!("{kind}/{}", about["name"].as_str().unwrap_or_default()))
    }),
    Column::wide("Subobject", |event, _| {
        either(event, "involvedObject.fieldPath", "regarding.fieldPath").clone()
    }),
    Column::wide("Source", |event, _| {
        let source = either(event, "source.component", "deprecatedSource.component");
        if source.as_str().is_some_and(|source| !source.is_empty()) {
            return source.clone();
        }
        let controller = either(event, "reportingComponent", "reportingController")
            .as_str()
            .unwrap_or_default();
        let instance = at(event, "reportingInstance").as_str().unwrap_or_default();
        json!(if instance.is_empty() {
            controller.to_owned()
        } else {
            format!("{controller}, {instance}")
        })
    }),
    Column::text("Message", |event, _| {
        json!(
            either(event, "message", "note")
                .as_str()
                .unwrap_or_default()
                .trim()
        )
    }),
    Column::wide("First Seen", |event, now| {
        json!(age::since(first_seen(event), now))
    }),
    Column::wide("Count", |event, _| {
        let counted = [
            at(event, "series.count"),
            either(event, "count", "deprecatedCount"),
        ];
        json!(
            counted
                .into_iter()
                .find_map(Value::as_i64)
                .unwrap_or(1)
                .to_string()
        )
    }),
    Column::wide("Name", |event, _| event["metadata"]["name"].clone()),
];

static ROLE: &[Column] = &[NAME, CREATED];

fn subjects(binding: &Value, kind: &str) -> String {
    let words: Vec<String> = binding["subjects"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|subject| subject["kind"] == kind)
        .map(|subject| match subject["namespace"].as_str() {
            Some(namespace) => format!("{namespace}/{}", subject["name"].as_str().unwrap_or_default()),
            None => subject["name"].as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    words.join(", ")
}

static BINDING: &[Column] = &[
    NAME,
    Column::text("Role", |object, _| {
        let role = &object["roleRef"];
        json!(format!(
            "{}/{}",
            role["kind"].as_str().unwrap_or_default(),
            role["name"].as_str().unwrap_or_default()
        ))
    }),
    AGE,
    Column::wide("Users", |object, _| json!(subjects(object, "User"))),
    Column::wide("Groups", |object, _| json!(subjects(object, "Group"))),
    Column::wide("ServiceAccounts", |object, _| {
        json!(subjects(object, "ServiceAccount"))
    }),
];

static CONTROLLER_REVISION: &[Column] = &[
    NAME,
    Column::text("Controller", |object, _| {
        let owner = at(object, "metadata.ownerReferences")
            .as_array()
            .and_then(|owners| owners.first());
        owner.map_or(json!("<none>"), |owner| {
            let kind = owner["kind"].as_str().unwrap_or_default().to_lowercase();
            let group = owner["apiVersion"]
                .as_str()
                .and_then(|version| version.split_once('/'));
            let group = group.map(|(group, _)| format!(".{group}")).unwrap_or_default();
            json!(format!(
                "{kind}{group}/{}",
                owner["name"].as_str().unwrap_or_default()
            ))
        })
    }),
    Column::text("Revision", |object, _| object["revision"].clone()),
    AGE,
];

static NETWORK_POLICY: &[Column] = &[
    NAME,
    Column::text("Pod-Selector", |object, _| {
        json!(selector(at(object, "spec.podSelector")))
    }),
    AGE,
];

fn limit(object: &Value, path: &str) -> Value {
    let limit = at(object, path);
    if limit.is_null() {
        return json!("N/A");
    }
    json!(limit.as_str().map_or_else(|| limit.to_string(), str::to_owned))
}

static DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    Column::text("Min Available", |object, _| limit(object, "spec.minAvailable")),
    Column::text("Max Unavailable", |object, _| {
        limit(object, "spec.maxUnavailable")
    }),
    Column::number("Allowed Disruptions", |object, _| {
        json!(number(object, "status.disruptionsAllowed"))
    }),
    AGE,
];
