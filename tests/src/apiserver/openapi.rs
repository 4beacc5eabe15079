//! `OpenAPI` v3, as much as kubectl needs: which kinds exist and that validation and dry runs happen here.
//!
//! The schemas name the top-level fields only; kubectl then falls back to its built-in types for merging.

use serde_json::{Map, Value, json};

use super::discovery::{groups, members};
use super::resources::Resource;
use super::respond::{self, Answer};

/// The answer for an `OpenAPI` path; `None` for other paths (also for the v2 document).
pub(super) fn answer(path: &str) -> Option<Answer> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["openapi", "v3"] => Some(respond::ok(&index())),
        ["openapi", "v3", "api", "v1"] => document("", "v1"),
        ["openapi", "v3", "apis", group, version] => document(group, version),
        _ => None,
    }
}

fn index() -> Value {
    let mut paths = Map::new();
    let entry = |path: &str| json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=SANDBOX")});
    paths.insert("api/v1".to_owned(), entry("api/v1"));
    for group in groups() {
        let path = format!("apis/{group}/v1");
        paths.insert(path.clone(), entry(&path));
    }
    json!({"paths": paths})
}

fn document(group: &str, version: &str) -> Option<Answer> {
    let members = members(group, version);
    if members.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in members {
        let root = if group.is_empty() {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{group}/{version}")
        };
        let place = if resource.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let collection = format!("{root}{place}/{}", resource.plural);
        paths.insert(collection.clone(), json!({"post": operation(resource, "post")}));
        if !resource.create_only {
            let one = json!({
                "get": operation(resource, "get"),
                "put": operation(resource, "put"),
                "patch": operation(resource, "patch"),
                "delete": operation(resource, "delete"),
            });
            paths.insert(format!("{collection}/{{name}}"), one);
        }
        schemas.insert(schema_name(resource), schema(resource));
    }
    Some(respond::ok(&json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": super::KUBERNETES_VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    })))
}

fn kind(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn schema_name(resource: &Resource) -> String {
    let group = resource
        .group
        .split('.')
        .next()
        .filter(|group| !group.is_empty())
        .unwrap_or("core");
    format!("io.k8s.api.{group}.{}.{}", resource.version, resource.kind)
}

fn operation(resource: &Resource, action: &str) -> Value {
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation", "force"]
        .into_iter()
        .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}))
        .collect();
    let content = json!({"application/json": {"schema": {
        "$ref": format!("#/components/schemas/{}", schema_name(resource)),
    }}});
    json!({
        "operationId": format!("{action}{}", resource.kind),
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind(resource),
    })
}

fn schema(resource: &Resource) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let object = |description: &str| json!({"type": "object", "description": description});
    let mut properties = json!({
        "apiVersion": text("The versioned schema of this representation of an object."),
        "kind": text("The REST resource this object represents."),
        "metadata": object("Standard object's metadata."),
    });
    match resource.kind {
        "ConfigMap" => properties["data"] = object("The configuration data."),
        "Secret" => properties["data"] = object("The secret data, base64 encoded."),
        "Role" | "ClusterRole" => {
            properties["rules"] =
                json!({"type": "array", "items": {"type": "object"}, "description": "The rules."});
        }
        _ => properties["spec"] = object("The desired state."),
    }
    if resource.has_status {
        properties["status"] = object("The observed state.");
    }
    json!({
        "type": "object",
        "description": format!("{} of the sandbox.", resource.kind),
        "properties": properties,
        "x-kubernetes-group-version-kind": [kind(resource)],
    })
}
