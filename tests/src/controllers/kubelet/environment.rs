//! The environment and arguments of a container, from values, fields, `ConfigMaps` and Secrets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A reference that leads nowhere: `CreateContainerConfigError` with this message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigProblem(pub String);

/// Finds what a pod refers to in its namespace.
pub trait Lookup {
    /// The `ConfigMap` of this name.
    fn config_map(&self, name: &str) -> Option<Value>;
    /// The Secret of this name.
    fn secret(&self, name: &str) -> Option<Value>;
}

/// The variables of a container in the pod, `envFrom` first, `$(NAME)` expanded.
pub fn resolve(
    pod: &Value,
    container: &Value,
    lookup: &dyn Lookup,
) -> Result<BTreeMap<String, String>, ConfigProblem> {
    let mut variables = BTreeMap::new();
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let prefix = source["prefix"].as_str().unwrap_or_default();
        for (kind, field) in [(Kind::ConfigMap, "configMapRef"), (Kind::Secret, "secretRef")] {
            let reference = &source[field];
            if reference.is_null() {
                continue;
            }
            let entries = entries(lookup, kind, reference)?.into_iter().flatten();
            variables.extend(entries.map(|(key, value)| (format!("{prefix}{key}"), value)));
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap_or_default();
        let source = &variable["valueFrom"];
        let value = if source.is_object() {
            from_source(pod, container, source, lookup)?
        } else {
            Some(expand(variable["value"].as_str().unwrap_or_default(), &variables))
        };
        if let Some(value) = value {
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(variables)
}

/// Replaces `$(NAME)` by the variable's value; unknown names stay, `$$` is an escaped `$`.
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        expanded.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("$$") {
            expanded.push('$');
            rest = after;
            continue;
        }
        let name = rest.strip_prefix("$(").and_then(|inner| inner.split_once(')'));
        if let Some((name, after)) = name {
            match variables.get(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&rest[..name.len() + 3]),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
    }
    expanded + rest
}

/// The two sorts of objects that hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain text.
    ConfigMap,
    /// Base64.
    Secret,
}

/// All entries of a `ConfigMap` or Secret, by key; `None` when it is absent and the reference is optional.
pub fn entries(
    lookup: &dyn Lookup,
    kind: Kind,
    reference: &Value,
) -> Result<Option<BTreeMap<String, String>>, ConfigProblem> {
    let name = reference["name"]
        .as_str()
        .or_else(|| reference["secretName"].as_str())
        .unwrap_or_default();
    let (object, word) = match kind {
        Kind::ConfigMap => (lookup.config_map(name), "configmap"),
        Kind::Secret => (lookup.secret(name), "secret"),
    };
    let Some(object) = object else {
        if reference["optional"] == true {
            return Ok(None);
        }
        return Err(ConfigProblem(format!("{word} {name:?} not found")));
    };
    let data = object["data"].as_object().into_iter().flatten();
    let decode = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        match kind {
            Kind::ConfigMap => text.to_owned(),
            Kind::Secret => String::from_utf8_lossy(&STANDARD.decode(text).unwrap_or_default()).into_owned(),
        }
    };
    Ok(Some(
        data.map(|(key, value)| (key.clone(), decode(value))).collect(),
    ))
}

fn from_source(
    pod: &Value,
    container: &Value,
    source: &Value,
    lookup: &dyn Lookup,
) -> Result<Option<String>, ConfigProblem> {
    if let Some(path) = source["fieldRef"]["fieldPath"].as_str() {
        return field(pod, path).map(Some);
    }
    if let Some(resource) = source["resourceFieldRef"]["resource"].as_str() {
        let amount = container.pointer(&format!("/resources/{}", resource.replace('.', "/")));
        return Ok(Some(amount.and_then(Value::as_str).unwrap_or("0").to_owned()));
    }
    for (kind, word, name) in [
        (Kind::ConfigMap, "ConfigMap", "configMapKeyRef"),
        (Kind::Secret, "Secret", "secretKeyRef"),
    ] {
        let reference = &source[name];
        if reference.is_null() {
            continue;
        }
        let key = reference["key"].as_str().unwrap_or_default();
        let value = entries(lookup, kind, reference)?.and_then(|mut entries| entries.remove(key));
        if value.is_none() && reference["optional"] != true {
            let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
            let object = reference["name"].as_str().unwrap_or_default();
            return Err(ConfigProblem(format!(
                "couldn't find key {key} in {word} {namespace}/{object}"
            )));
        }
        return Ok(value);
    }
    Ok(None)
}

/// A field of the pod by its downward API path.
fn field(pod: &Value, path: &str) -> Result<String, ConfigProblem> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        return Ok(text(&pod["metadata"][map.trim_start_matches("metadata.")][key]));
    }
    let known = [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.podIP",
        "status.hostIP",
    ];
    if !known.contains(&path) {
        return Err(ConfigProblem(format!("unsupported fieldPath: {path}")));
    }
    Ok(pod
        .pointer(&format!("/{}", path.replace('.', "/")))
        .map(text)
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::{Lookup, expand, resolve};

    struct Objects;

    impl Lookup for Objects {
        fn config_map(&self, name: &str) -> Option<Value> {
            (name == "settings").then(|| json!({"data":{"mode":"auto","level":"info"}}))
        }

        fn secret(&self, name: &str) -> Option<Value> {
            (name == "keys").then(|| json!({"data":{"token":"c2VjcmV0"}}))
        }
    }

    fn pod() -> Value {
        json!({"metadata":{"name":"web-1","namespace":"shop","uid":"7","labels":{"app":"web"}},
            "spec":{"nodeName":"node","serviceAccountName":"robot"},"status":{"podIP":"127.1.0.9"}})
    }

    fn variables(container: &Value) -> Result<BTreeMap<String, String>, String> {
        resolve(&pod(), container, &Objects).map_err(|problem| problem.to_string())
    }

    #[test]
    fn every_source_of_a_value_is_read() {
        let from = |source: Value| json!({"name":"X","valueFrom":source});
        let field = |path: &str| from(json!({"fieldRef":{"fieldPath":path}}));
        let cases = [
            (json!({"name":"X","value":"plain"}), "plain"),
            (field("metadata.name"), "web-1"),
            (field("metadata.namespace"), "shop"),
            (field("metadata.uid"), "7"),
            (field("metadata.labels['app']"), "web"),
            (field("spec.nodeName"), "node"),
            (field("spec.serviceAccountName"), "robot"),
            (field("status.podIP"), "127.1.0.9"),
            (
                from(json!({"configMapKeyRef":{"name":"settings","key":"mode"}})),
                "auto",
            ),
            (
                from(json!({"secretKeyRef":{"name":"keys","key":"token"}})),
                "secret",
            ),
        ];
        for (variable, expected) in cases {
            let found = variables(&json!({ "env": [variable] })).unwrap();
            assert_eq!(found["X"], expected, "{variable}");
        }
    }

    #[test]
    fn whole_objects_come_in_with_their_prefix() {
        let container = json!({"envFrom":[{"configMapRef":{"name":"settings"}},
            {"prefix":"KEY_","secretRef":{"name":"keys"}}],"env":[{"name":"level","value":"debug"}]});
        let found = variables(&container).unwrap();
        let expected = [("KEY_token", "secret"), ("level", "debug"), ("mode", "auto")];
        assert_eq!(
            found
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn what_is_missing_is_named_unless_it_is_optional() {
        let cases = [
            (
                json!({"configMapKeyRef":{"name":"nope","key":"a"}}),
                r#"configmap "nope" not found"#,
            ),
            (
                json!({"configMapKeyRef":{"name":"settings","key":"a"}}),
                "couldn't find key a in ConfigMap shop/settings",
            ),
            (
                json!({"secretKeyRef":{"name":"keys","key":"a"}}),
                "couldn't find key a in Secret shop/keys",
            ),
        ];
        for (source, expected) in cases {
            let container = json!({"env":[{"name":"X","valueFrom":source}]});
            assert_eq!(variables(&container).unwrap_err(), expected);
        }
        let optional = json!({"env":[{"name":"X","valueFrom":
            {"configMapKeyRef":{"name":"nope","key":"a","optional":true}}}]});
        assert!(variables(&optional).unwrap().is_empty());
    }

    #[test]
    fn references_to_variables_are_expanded_as_kubernetes_does() {
        let known = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        let cases = [
            ("$(A)-$(A)", "1-1"),
            ("$(B)", "$(B)"),
            ("$$(A)", "$(A)"),
            ("$A costs 5$", "$A costs 5$"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, &known), expected, "{text}");
        }
    }
}
