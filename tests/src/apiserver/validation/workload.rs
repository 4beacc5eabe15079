//! Rules of pods and of everything that carries a pod template.

use serde_json::{Value, json};

use crate::apiserver::error::Cause;
use crate::apiserver::names;
use crate::apiserver::resources::Resource;

pub(super) fn check(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    match resource.kind {
        "Pod" => pod_spec(object, "/spec", &["Always", "OnFailure", "Never"], causes),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => {
            not_negative(object, "/spec/replicas", causes);
            selector(object, causes);
            template(object, "/spec/template", &["Always"], causes);
        }
        "Job" => {
            for field in ["/spec/parallelism", "/spec/completions", "/spec/backoffLimit"] {
                not_negative(object, field, causes);
            }
            template(object, "/spec/template", &["OnFailure", "Never"], causes);
        }
        "CronJob" => {
            if object
                .pointer("/spec/schedule")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
            {
                causes.push(Cause::required("spec.schedule", ""));
            }
            template(
                object,
                "/spec/jobTemplate/spec/template",
                &["OnFailure", "Never"],
                causes,
            );
        }
        _ => {}
    }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn not_negative(object: &Value, pointer: &str, causes: &mut Vec<Cause>) {
    if let Some(value) = object
        .pointer(pointer)
        .filter(|value| value.as_i64().is_some_and(|count| count < 0))
    {
        causes.push(Cause::invalid(
            dotted(pointer),
            value,
            "must be greater than or equal to 0",
        ));
    }
}

fn selector(object: &Value, causes: &mut Vec<Cause>) {
    let selector = object.pointer("/spec/selector").unwrap_or(&Value::Null);
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
        return;
    }
    let labels = object
        .pointer("/spec/template/metadata/labels")
        .unwrap_or(&Value::Null);
    let wanted = selector["matchLabels"].as_object();
    let chosen = selector["matchExpressions"].as_array();
    if wanted.is_none_or(serde_json::Map::is_empty) && chosen.is_none_or(Vec::is_empty) {
        let detail = "empty selector is invalid for deployment";
        causes.push(Cause::invalid("spec.selector", selector, detail));
    } else if wanted
        .into_iter()
        .flatten()
        .any(|(key, value)| &labels[key.as_str()] != value)
    {
        let detail = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, detail));
    }
}

fn template(object: &Value, template: &str, restart_policies: &[&str], causes: &mut Vec<Cause>) {
    let labels = object
        .pointer(&format!("{template}/metadata/labels"))
        .unwrap_or(&Value::Null);
    super::labels(labels, &format!("{}.metadata.labels", dotted(template)), causes);
    pod_spec(object, &format!("{template}/spec"), restart_policies, causes);
}

fn pod_spec(object: &Value, spec: &str, restart_policies: &[&str], causes: &mut Vec<Cause>) {
    let field = dotted(spec);
    let spec = object.pointer(spec).unwrap_or(&Value::Null);
    let policy = &spec["restartPolicy"];
    if policy
        .as_str()
        .is_some_and(|policy| !restart_policies.contains(&policy))
    {
        causes.push(Cause::unsupported(
            format!("{field}.restartPolicy"),
            policy,
            restart_policies,
        ));
    }
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        causes.push(Cause::required(format!("{field}.containers"), ""));
    }
    let mut seen = Vec::new();
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let field = format!("{field}.{list}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            if seen.contains(&name) {
                let message = format!("Duplicate value: {}", json!(name));
                let field = format!("{field}.name");
                causes.push(Cause {
                    reason: "FieldValueDuplicate",
                    field,
                    message,
                });
            }
            seen.push(name);
            self::container(container, &field, causes);
        }
    }
}

fn container(container: &Value, field: &str, causes: &mut Vec<Cause>) {
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        causes.push(Cause::required(format!("{field}.name"), ""));
    } else if let Some(complaint) = names::label(name) {
        causes.push(Cause::invalid(format!("{field}.name"), &json!(name), &complaint));
    }
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        causes.push(Cause::required(format!("{field}.image"), ""));
    } else if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(format!("{field}.image"), &json!(image), detail));
    }
    let policy = &container["imagePullPolicy"];
    if policy
        .as_str()
        .is_some_and(|policy| !matches!(policy, "Always" | "IfNotPresent" | "Never"))
    {
        let supported = ["Always", "IfNotPresent", "Never"];
        causes.push(Cause::unsupported(
            format!("{field}.imagePullPolicy"),
            policy,
            &supported,
        ));
    }
}
