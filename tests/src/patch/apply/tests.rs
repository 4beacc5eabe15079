use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ApplyError, ApplyOptions, apply};
use crate::patch::managed_fields::track_update;

fn options(manager: &str, force: bool) -> ApplyOptions<'_> {
    ApplyOptions {
        manager,
        force,
        subresource: "",
        now: Timestamp::UNIX_EPOCH,
    }
}

fn deployment(spec: &Value) -> Value {
    json!({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"shop","namespace":"default"},"spec":spec})
}

fn web(image: &str) -> Value {
    deployment(&json!({"template":{"spec":{"containers":[{"name":"web","image":image}]}}}))
}

fn owner_names(object: &Value) -> Vec<&str> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["manager"].as_str().unwrap())
        .collect()
}

#[test]
fn applying_a_missing_object_creates_it_with_its_owner() {
    let created = apply(None, &web("web:1"), &options("alice", false)).unwrap();
    let entry = &created["metadata"]["managedFields"][0];
    assert_eq!(entry["operation"], "Apply");
    assert_eq!(
        entry["fieldsV1"],
        json!({"f:spec":{"f:template":{"f:spec":{"f:containers":{
            r#"k:{"name":"web"}"#:{".":{},"f:name":{},"f:image":{}}}}}}})
    );
}

#[test]
fn a_second_manager_conflicts_on_another_value_and_wins_by_force() {
    let live = apply(None, &web("web:1"), &options("alice", false)).unwrap();
    let error = apply(Some(&live), &web("web:2"), &options("bob", false)).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"Apply failed with 1 conflict: conflict with "alice": .spec.template.spec.containers[name="web"].image"#
    );
    let forced = apply(Some(&live), &web("web:2"), &options("bob", true)).unwrap();
    assert_eq!(
        forced["spec"]["template"]["spec"]["containers"][0]["image"],
        "web:2"
    );
    assert_eq!(owner_names(&forced), ["alice", "bob"]);
    let error = apply(Some(&forced), &web("web:3"), &options("alice", false)).unwrap_err();
    assert!(error.to_string().contains(r#"conflict with "bob""#), "{error}");
}

#[test]
fn the_same_value_is_shared_and_survives_until_nobody_applies_it() {
    let replicas = deployment(&json!({"replicas":3}));
    let nothing = deployment(&json!({}));
    let live = apply(None, &replicas, &options("alice", false)).unwrap();
    let live = apply(Some(&live), &replicas, &options("bob", false)).unwrap();
    let live = apply(Some(&live), &nothing, &options("alice", false)).unwrap();
    assert_eq!(live["spec"]["replicas"], 3);
    let live = apply(Some(&live), &nothing, &options("bob", false)).unwrap();
    assert!(live["spec"].get("replicas").is_none(), "{live}");
}

#[test]
fn a_field_an_updater_owns_conflicts_and_names_its_version() {
    let mut live = deployment(&json!({"replicas":3,"paused":true}));
    track_update(
        &Value::Null,
        &mut live,
        "kubectl-edit",
        "Update",
        "",
        "apps/v1",
        Timestamp::UNIX_EPOCH,
    );
    let applied = deployment(&json!({"replicas":4,"paused":false}));
    let error = apply(Some(&live), &applied, &options("alice", false)).unwrap_err();
    let expected = "Apply failed with 2 conflicts: conflicts with \"kubectl-edit\" using apps/v1:\n- .spec.paused\n- .spec.replicas";
    assert_eq!(error.to_string(), expected);
    let ApplyError::Conflicts(conflicts) = error else {
        panic!("{error}")
    };
    assert_eq!(conflicts[0].field, ".spec.paused");
}

#[test]
fn untracked_objects_belong_to_before_first_apply() {
    let error = apply(Some(&web("web:1")), &web("web:2"), &options("alice", false)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(r#"conflict with "before-first-apply" using apps/v1"#),
        "{error}"
    );
}

#[test]
fn what_a_manager_no_longer_applies_is_removed_and_the_rest_stays() {
    let before = deployment(
        &json!({"template":{"metadata":{"annotations":{"a":"1","b":"2"}},"spec":{"containers":[
        {"name":"web","image":"web:1","args":["x"]},{"name":"log","image":"log:1"}]}}}),
    );
    let mut live = apply(None, &before, &options("alice", false)).unwrap();
    live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/log".into();
    live["spec"]["progressDeadlineSeconds"] = 600.into();
    let after = deployment(
        &json!({"template":{"metadata":{"annotations":{"b":"2"}},"spec":{"containers":[
        {"name":"web","image":"web:1"}]}}}),
    );
    let live = apply(Some(&live), &after, &options("alice", false)).unwrap();
    let expected = json!({"progressDeadlineSeconds":600,"template":{"metadata":{"annotations":{"b":"2"}},"spec":{
        "containers":[{"name":"web","image":"web:1","terminationMessagePath":"/dev/log"}]}}});
    assert_eq!(live["spec"], expected);
}

#[test]
fn the_last_annotation_takes_the_empty_map_along() {
    let mut annotated = web("web:1");
    annotated["metadata"]["annotations"] = json!({"a":"1"});
    let live = apply(None, &annotated, &options("alice", false)).unwrap();
    let live = apply(Some(&live), &web("web:1"), &options("alice", false)).unwrap();
    assert!(live["metadata"].get("annotations").is_none(), "{live}");
}

#[test]
fn an_item_another_manager_has_fields_in_is_kept() {
    let live = apply(None, &web("web:1"), &options("alice", false)).unwrap();
    let variable = deployment(&json!({"template":{"spec":{"containers":[
        {"name":"web","env":[{"name":"A","value":"1"}]}]}}}));
    let live = apply(Some(&live), &variable, &options("bob", false)).unwrap();
    let nothing = deployment(&json!({}));
    let live = apply(Some(&live), &nothing, &options("alice", false)).unwrap();
    let containers = &live["spec"]["template"]["spec"]["containers"];
    assert_eq!(
        containers,
        &json!([{"name":"web","env":[{"name":"A","value":"1"}]}])
    );
}

#[test]
fn applying_the_same_twice_changes_nothing_at_all() {
    let live = apply(None, &web("web:1"), &options("alice", false)).unwrap();
    let later = ApplyOptions {
        now: Timestamp::from_second(60).unwrap(),
        ..options("alice", false)
    };
    assert_eq!(apply(Some(&live), &web("web:1"), &later).unwrap(), live);
}

#[test]
fn an_item_without_its_key_and_foreign_managed_fields_are_refused() {
    let nameless = deployment(&json!({"template":{"spec":{"containers":[{"image":"x"}]}}}));
    let error = apply(None, &nameless, &options("alice", false)).unwrap_err();
    assert_eq!(
        error,
        ApplyError::MissingKey {
            field: ".spec.template.spec.containers".into(),
            key: "name"
        }
    );
    let mut tracked = web("web:1");
    tracked["metadata"]["managedFields"] = json!([]);
    assert_eq!(
        apply(None, &tracked, &options("alice", false)).unwrap_err(),
        ApplyError::ManagedFields
    );
}
