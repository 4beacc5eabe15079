//! What this server serves: `/api`, `/apis` and below, as plain lists and in the aggregated form.

use http::StatusCode;
use serde_json::{Value, json};

use super::resources::{ALL, Resource};
use super::respond::{self, Answer};
use super::subresource;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The answer for a discovery path; `None` for other paths.
pub(super) fn answer(path: &str, accept: &str) -> Option<Answer> {
    let aggregated = accept
        .replace(' ', "")
        .contains("g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let found = match parts.as_slice() {
        ["api"] if aggregated => return Some(aggregated_list(&[""])),
        ["apis"] if aggregated => return Some(aggregated_list(&groups())),
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ["apis"] => {
            let groups: Vec<Value> = groups().into_iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        ["api", "v1"] => resource_list("", "v1")?,
        ["apis", name] if groups().contains(name) => {
            let mut group = group(name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
        ["apis", group, version] => resource_list(group, version)?,
        _ => return None,
    };
    Some(respond::ok(&found))
}

/// The groups beside the core group, in the order of the table.
pub(super) fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Vec::new();
    for resource in ALL {
        if !resource.group.is_empty() && !groups.contains(&resource.group) {
            groups.push(resource.group);
        }
    }
    groups
}

/// The resources of one group and version.
pub(super) fn members(group: &str, version: &str) -> Vec<&'static Resource> {
    ALL.iter()
        .copied()
        .filter(|resource| resource.group == group && resource.version == version)
        .collect()
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resource_list(group: &str, version: &str) -> Option<Value> {
    let members = members(group, version);
    let first = members.first()?;
    let mut resources = Vec::new();
    for resource in &members {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs(),
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        for (name, kind, group, version, verbs) in subresource::of(resource) {
            resources.push(json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "group": group,
                "version": version,
                "kind": kind,
                "verbs": verbs,
            }));
        }
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": first.api_version(),
        "resources": resources,
    }))
}

fn aggregated_list(groups: &[&str]) -> Answer {
    let items: Vec<Value> = groups
        .iter()
        .map(|group| {
            let resources: Vec<Value> = members(group, "v1")
                .into_iter()
                .map(aggregated_resource)
                .collect();
            json!({
                "metadata": {"name": group, "creationTimestamp": null},
                "versions": [{"version": "v1", "freshness": "Current", "resources": resources}],
            })
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    });
    respond::with_type(StatusCode::OK, AGGREGATED, list.to_string())
}

fn aggregated_resource(resource: &Resource) -> Value {
    let subresources: Vec<Value> = subresource::of(resource)
        .into_iter()
        .map(|(name, kind, group, version, verbs)| {
            json!({
                "subresource": name,
                "responseKind": {"group": group, "version": version, "kind": kind},
                "verbs": verbs,
            })
        })
        .collect();
    json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "shortNames": resource.short_names,
        "categories": resource.categories,
        "verbs": resource.verbs(),
        "subresources": subresources,
    })
}
