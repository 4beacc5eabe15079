use serde_json::{Value, json};

use super::{StrategicPatchError, apply};
use crate::patch::schema::Schema;

fn pod(spec: &Value) -> Value {
    json!({"apiVersion":"v1","kind":"Pod","spec":spec})
}

/// Patches the spec of a Pod and returns the new spec.
fn patched(spec: &Value, patch: &Value) -> Value {
    let mut target = pod(spec);
    apply(&mut target, &json!({ "spec": patch }), Schema::Pod).unwrap();
    target["spec"].take()
}

#[test]
fn one_image_patched_by_container_name_keeps_the_sidecar() {
    let template = |web: &str| {
        json!({"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":2,"template":{
        "metadata":{"labels":{"app":"shop"}},
        "spec":{"containers":[
            {"name":"sidecar","image":"proxy:1","ports":[{"containerPort":8080}]},
            {"name":"web","image":web,"env":[{"name":"A","value":"1"}]},
        ]}}}})
    };
    let mut target = template("web:1");
    let patch = json!({"spec":{"template":{"spec":{
        "$setElementOrder/containers":[{"name":"sidecar"},{"name":"web"}],
        "containers":[{"name":"web","image":"web:2"}]}}}});
    apply(&mut target, &patch, Schema::of(&template(""))).unwrap();
    assert_eq!(target, template("web:2"));
}

#[test]
fn annotation_keys_are_merged_and_removed_by_null() {
    let mut target = json!({"metadata":{"annotations":{"keep":"1","drop":"2"}}});
    let patch = json!({"metadata":{"annotations":{"drop":null,"new":"3","absent":null}}});
    apply(&mut target, &patch, Schema::Object).unwrap();
    assert_eq!(target, json!({"metadata":{"annotations":{"keep":"1","new":"3"}}}));
}

#[test]
fn annotations_that_did_not_exist_are_created_without_nulls() {
    let mut target = json!({"metadata":{"name":"a"}});
    let patch = json!({"metadata":{"annotations":{"new":"3","absent":null}}});
    apply(&mut target, &patch, Schema::Object).unwrap();
    assert_eq!(target, json!({"metadata":{"name":"a","annotations":{"new":"3"}}}));
}

#[test]
fn every_keyed_list_of_a_pod_merges_by_its_own_key() {
    let cases = [
        ("containers", "name", json!("a"), json!("b")),
        ("initContainers", "name", json!("a"), json!("b")),
        ("ephemeralContainers", "name", json!("a"), json!("b")),
        ("volumes", "name", json!("a"), json!("b")),
        ("imagePullSecrets", "name", json!("a"), json!("b")),
        ("hostAliases", "ip", json!("127.0.0.1"), json!("127.0.0.2")),
        (
            "topologySpreadConstraints",
            "topologyKey",
            json!("zone"),
            json!("host"),
        ),
    ];
    for (list, key, first, second) in cases {
        let spec = json!({list: [{key: first, "x": 1}, {key: second, "x": 2}]});
        let result = patched(&spec, &json!({list: [{key: second, "y": 3}]}));
        assert_eq!(
            result,
            json!({list: [{key: first, "x": 1}, {key: second, "x": 2, "y": 3}]}),
            "{list}"
        );
    }
}

#[test]
fn every_keyed_list_of_a_container_merges_by_its_own_key() {
    let cases = [
        ("env", "name", json!("A"), json!("B")),
        ("ports", "containerPort", json!(80), json!(81)),
        ("volumeMounts", "mountPath", json!("/a"), json!("/b")),
        ("volumeDevices", "devicePath", json!("/a"), json!("/b")),
    ];
    for (list, key, first, second) in cases {
        let container = json!({"name":"c", list: [{key: first, "x": 1}]});
        let change = json!({"name":"c", list: [{key: second, "x": 2}, {key: first, "x": null}]});
        let result = patched(
            &json!({"containers":[container]}),
            &json!({"containers":[change]}),
        );
        let expected = json!({"name":"c", list: [{key: first}, {key: second, "x": 2}]});
        assert_eq!(result, json!({"containers":[expected]}), "{list}");
    }
}

#[test]
fn service_ports_merge_by_port_and_the_secrets_of_a_service_account_by_name() {
    let mut service = json!({"spec":{"ports":[{"port":80,"targetPort":8080},{"port":443}]}});
    apply(
        &mut service,
        &json!({"spec":{"ports":[{"port":80,"name":"http"}]}}),
        Schema::Service,
    )
    .unwrap();
    let expected = json!({"spec":{"ports":[{"port":80,"targetPort":8080,"name":"http"},{"port":443}]}});
    assert_eq!(service, expected);

    let mut account = json!({"secrets":[{"name":"a"}]});
    apply(
        &mut account,
        &json!({"secrets":[{"name":"b"}]}),
        Schema::ServiceAccount,
    )
    .unwrap();
    assert_eq!(account, json!({"secrets":[{"name":"a"},{"name":"b"}]}));
}

#[test]
fn conditions_merge_by_type_and_owners_by_uid() {
    let mut target = json!({"metadata":{"ownerReferences":[{"uid":"1","name":"a"}]},
        "status":{"conditions":[{"type":"Ready","status":"False"}]}});
    let patch = json!({"metadata":{"ownerReferences":[{"uid":"1","controller":true}]},
        "status":{"conditions":[{"type":"Ready","status":"True"},{"type":"New","status":"True"}]}});
    apply(&mut target, &patch, Schema::Object).unwrap();
    let expected = json!({"metadata":{"ownerReferences":[{"uid":"1","name":"a","controller":true}]},
        "status":{"conditions":[{"type":"Ready","status":"True"},{"type":"New","status":"True"}]}});
    assert_eq!(target, expected);
}

#[test]
fn lists_without_a_key_are_replaced_whole() {
    let spec = json!({"tolerations":[{"key":"a"}],"containers":[{"name":"c","args":["1","2"]}]});
    let result = patched(
        &spec,
        &json!({"tolerations":[{"key":"b"}],"containers":[{"name":"c","args":["3"]}]}),
    );
    assert_eq!(
        result,
        json!({"tolerations":[{"key":"b"}],"containers":[{"name":"c","args":["3"]}]})
    );
}

#[test]
fn finalizers_are_a_set_and_shrink_by_their_directive() {
    let mut target = json!({"metadata":{"finalizers":["a","b"]}});
    let patch = json!({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c","b"],
        "$setElementOrder/finalizers":["c","b"]}});
    apply(&mut target, &patch, Schema::Object).unwrap();
    assert_eq!(target, json!({"metadata":{"finalizers":["c","b"]}}));
}

#[test]
fn directives_delete_and_replace_items_lists_and_objects() {
    let two =
        json!({"containers":[{"name":"a","image":"1","tty":true},{"name":"b"}],"securityContext":{"x":1}});
    let only_b = json!({"containers":[{"name":"b"}],"securityContext":{"x":1}});
    let cases = [
        (
            json!({"containers":[{"name":"a","$patch":"delete"}]}),
            only_b.clone(),
        ),
        (json!({"containers":[{"$patch":"replace"},{"name":"b"}]}), only_b),
        (
            json!({"containers":[{"name":"a","image":"2","$patch":"replace"}]}),
            json!({"containers":[{"name":"a","image":"2"},{"name":"b"}],"securityContext":{"x":1}}),
        ),
        (
            json!({"containers":[{"name":"a","image":"2","$patch":"merge"}]}),
            json!({"containers":[{"name":"a","image":"2","tty":true},{"name":"b"}],"securityContext":{"x":1}}),
        ),
        (
            json!({"securityContext":{"$patch":"replace","y":2},"containers":[{"name":"a","$patch":"delete"}]}),
            json!({"containers":[{"name":"b"}],"securityContext":{"y":2}}),
        ),
        (
            json!({"securityContext":{"$patch":"delete"},"containers":[{"name":"a","$patch":"delete"}]}),
            json!({"containers":[{"name":"b"}]}),
        ),
    ];
    for (patch, expected) in cases {
        assert_eq!(patched(&two, &patch), expected, "{patch}");
    }
}

#[test]
fn retained_keys_drop_the_other_sort_of_volume() {
    let spec = json!({"volumes":[{"name":"v","emptyDir":{}}]});
    let patch = json!({"volumes":[{"name":"v","$retainKeys":["name","configMap"],"configMap":{"name":"c"}}]});
    assert_eq!(
        patched(&spec, &patch),
        json!({"volumes":[{"name":"v","configMap":{"name":"c"}}]})
    );

    let incomplete = json!({"spec":{"volumes":[{"name":"v","$retainKeys":["name"],"configMap":{}}]}});
    let error = apply(&mut pod(&spec), &incomplete, Schema::Pod).unwrap_err();
    assert_eq!(
        error,
        StrategicPatchError::RetainKeysIncomplete {
            key: "configMap".into()
        }
    );
}

#[test]
fn the_element_order_sorts_named_items_and_leaves_the_servers_own_where_they_were() {
    let names = |list: &[&str]| list.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    let cases: [(&[&str], &[&str], &[&str]); 3] = [
        (&["a", "b", "c"], &["c", "b", "a"], &["c", "b", "a"]),
        (&["injected", "a", "b"], &["b", "a"], &["injected", "b", "a"]),
        (&["a", "injected", "b"], &["a", "b"], &["a", "injected", "b"]),
    ];
    for (before, order, expected) in cases {
        let result = patched(
            &json!({"containers": names(before)}),
            &json!({"$setElementOrder/containers": names(order), "containers": []}),
        );
        assert_eq!(
            result,
            json!({"containers": names(expected)}),
            "{before:?} in order {order:?}"
        );
    }
}

#[test]
fn an_item_without_its_merge_key_is_refused() {
    let error = apply(
        &mut pod(&json!({"containers":[{"name":"a"}]})),
        &json!({"spec":{"containers":[{"image":"x"}]}}),
        Schema::Pod,
    )
    .unwrap_err();
    assert_eq!(
        error,
        StrategicPatchError::MissingMergeKey {
            field: "containers".into(),
            key: "name"
        }
    );
}

#[test]
fn an_unknown_directive_is_refused() {
    let error = apply(
        &mut pod(&json!({})),
        &json!({"spec":{"$patch":"shuffle"}}),
        Schema::Pod,
    )
    .unwrap_err();
    assert!(
        matches!(error, StrategicPatchError::BadDirective { .. }),
        "{error}"
    );
}

#[test]
fn custom_kinds_have_no_merge_keys() {
    let schema = Schema::for_kind("shop.example/v1", "Basket");
    let mut target = json!({"spec":{"containers":[{"name":"a"}]}});
    apply(
        &mut target,
        &json!({"spec":{"containers":[{"name":"b"}]}}),
        schema,
    )
    .unwrap();
    assert_eq!(target, json!({"spec":{"containers":[{"name":"b"}]}}));
}
