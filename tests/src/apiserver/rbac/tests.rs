use super::*;
use crate::apiserver::resources::{NAMESPACES, Resource};
use crate::clock::Clock;
use serde_json::json;

fn store(objects: Vec<(&'static Resource, Value)>) -> Store {
    let store = Store::new(Clock::real());
    store
        .create(&NAMESPACES, json!({"metadata": {"name": "shop"}}))
        .unwrap();
    for (resource, object) in objects {
        store.create(resource, object).unwrap();
    }
    store
}

fn role(rules: &Value) -> (&'static Resource, Value) {
    (
        &ROLES,
        json!({"metadata": {"name": "r", "namespace": "shop"}, "rules": rules}),
    )
}

fn bound(subject: &Value) -> (&'static Resource, Value) {
    let binding = json!({
        "metadata": {"name": "b", "namespace": "shop"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [subject],
    });
    (&ROLE_BINDINGS, binding)
}

fn account() -> Value {
    json!({"kind": "ServiceAccount", "name": "scanner", "namespace": "shop"})
}

fn action<'a>(verb: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Action<'a> {
    Action::Resource {
        verb,
        group: "apps",
        resource,
        namespace,
        name,
    }
}

#[test]
fn a_rule_permits_exactly_what_it_lists() {
    let rules = json!([
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"], "resourceNames": ["web"]},
        {"apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"]},
    ]);
    let store = store(vec![role(&rules), bound(&account())]);
    let user = User::service_account("shop", "scanner");
    let cases = [
        (action("get", "deployments", "shop", "web"), true),
        (action("get", "deployments", "shop", "api"), false),
        (action("list", "deployments", "shop", ""), false),
        (action("patch", "deployments", "default", "web"), false),
        (action("patch", "deployments", "", "web"), false),
        (action("patch", "deployments/status", "shop", "web"), false),
        (action("patch", "deployments/scale", "shop", "api"), true),
    ];
    for (action, expected) in cases {
        assert_eq!(authorize(&store, &user, action).allowed, expected, "{action:?}");
    }
}

#[test]
fn groups_of_service_accounts_can_be_bound() {
    let rules = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    for (group, expected) in [
        ("system:serviceaccounts", true),
        ("system:serviceaccounts:shop", true),
        ("system:serviceaccounts:default", false),
        ("system:authenticated", true),
    ] {
        let store = store(vec![
            role(&rules),
            bound(&json!({"kind": "Group", "name": group})),
        ]);
        let user = User::service_account("shop", "scanner");
        assert_eq!(
            authorize(&store, &user, action("get", "pods", "shop", "")).allowed,
            expected,
            "{group}"
        );
    }
}

#[test]
fn a_refusal_is_worded_like_kubernetes_words_it() {
    let store = store(vec![bound(&account())]);
    let user = User::service_account("shop", "scanner");
    let wanted = action("patch", "deployments", "shop", "web");
    let decision = authorize(&store, &user, wanted);
    assert!(!decision.allowed);
    assert_eq!(
        refusal(&user, wanted, &decision.reason),
        "User \"system:serviceaccount:shop:scanner\" cannot patch resource \"deployments\" in API group \"apps\" \
         in the namespace \"shop\": RBAC: role.rbac.authorization.k8s.io \"r\" not found"
    );
}

#[test]
fn paths_are_matched_with_a_trailing_star() {
    let rule = json!({"nonResourceURLs": ["/healthz", "/apis/*"], "verbs": ["get"]});
    for (path, expected) in [
        ("/healthz", true),
        ("/healthz/etcd", false),
        ("/apis/apps/v1", true),
    ] {
        assert_eq!(
            permits(&rule, Action::Path { verb: "get", path }),
            expected,
            "{path}"
        );
    }
}
