use super::*;
use crate::apiserver::resources::{CONFIG_MAPS, DEPLOYMENTS, STATEFUL_SETS};

fn deployment() -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]},
            },
        },
    })
}

fn message(resource: &Resource, object: &Value) -> String {
    on_create(resource, object).unwrap_err().message
}

#[test]
fn missing_fields_are_named_one_by_one() {
    let mut object = deployment();
    object["spec"]["template"]["spec"]["containers"] = json!([{"name": "web"}]);
    assert_eq!(
        message(&DEPLOYMENTS, &object),
        "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value"
    );
}

#[test]
fn a_selector_must_match_its_own_template() {
    let mut object = deployment();
    object["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    assert!(message(&DEPLOYMENTS, &object).ends_with("`selector` does not match template `labels`"));
}

#[test]
fn the_selector_of_a_deployment_is_immutable() {
    let (old, mut new) = (deployment(), deployment());
    for path in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        *new.pointer_mut(path).unwrap() = json!({"app": "other"});
    }
    let error = on_update(&DEPLOYMENTS, &old, &new).unwrap_err();
    assert_eq!(error.code, 422);
    assert!(error.message.ends_with("field is immutable"), "{}", error.message);
}

#[test]
fn a_stateful_set_keeps_its_service_name() {
    let (old, mut new) = (deployment(), deployment());
    new["spec"]["serviceName"] = json!("other");
    let error = on_update(&STATEFUL_SETS, &old, &new).unwrap_err();
    assert!(
        error
            .message
            .contains("spec: Forbidden: updates to statefulset spec"),
        "{}",
        error.message
    );
}

#[test]
fn a_config_map_of_more_than_a_mebibyte_is_refused() {
    let mut object =
        json!({"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "x".repeat(MAX_DATA)}});
    assert_eq!(on_create(&CONFIG_MAPS, &object), Ok(()));
    object["data"]["l"] = json!("x");
    assert!(message(&CONFIG_MAPS, &object).contains("may not be more than 1048576 bytes"));
}

#[test]
fn annotations_beyond_their_limit_are_refused() {
    let object = json!({"metadata": {"name": "a", "annotations": {"k": "x".repeat(MAX_ANNOTATIONS)}}});
    assert!(message(&CONFIG_MAPS, &object).contains("metadata.annotations: Too long"));
}
