//! What a fresh cluster already contains: system namespaces, one node, the built-in roles.

use serde_json::{Value, json};

use super::resources::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NAMESPACES, NODES, SERVICES};
use super::store::Store;
use crate::clock::rfc3339_seconds;

/// The name of the only node.
pub const NODE_NAME: &str = "sandbox-node";

/// The version the server claims to be.
pub const KUBERNETES_VERSION: &str = "v1.32.4";

pub(super) fn plant(store: &Store) {
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        store
            .create(&NAMESPACES, json!({"metadata": {"name": name}}))
            .expect("a fresh store");
    }
    store.create(&NODES, node(store)).expect("a fresh store");
    let service = json!({
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
    });
    store.create(&SERVICES, service).expect("a fresh store");
    roles(store);
}

fn node(store: &Store) -> Value {
    let now = rfc3339_seconds(store.clock().now());
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "",
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "metadata": {
            "name": NODE_NAME,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": NODE_NAME,
                "node-role.kubernetes.io/control-plane": "",
            },
        },
        "spec": {"podCIDR": "10.244.0.0/24"},
        "status": {
            "capacity": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "addresses": [
                {"type": "InternalIP", "address": "192.0.2.10"},
                {"type": "Hostname", "address": NODE_NAME},
            ],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "osImage": "Sandbox",
                "kernelVersion": "6.1.0", "containerRuntimeVersion": "containerd://2.0.0",
                "kubeletVersion": KUBERNETES_VERSION, "kubeProxyVersion": KUBERNETES_VERSION,
                "bootID": "", "machineID": "", "systemUUID": "",
            },
        },
    })
}

fn roles(store: &Store) {
    let read = ["get", "list", "watch"];
    let write = ["create", "delete", "deletecollection", "patch", "update"];
    let both = [&read[..], &write[..]].concat();
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let workloads = json!([
        "controllerrevisions",
        "daemonsets",
        "deployments",
        "deployments/scale",
        "replicasets",
        "replicasets/scale",
        "statefulsets",
        "statefulsets/scale"
    ]);
    let view = json!([
        {"apiGroups": [""], "resources": ["configmaps", "events", "namespaces", "pods", "pods/log", "pods/status", "serviceaccounts", "services"], "verbs": read},
        {"apiGroups": ["apps"], "resources": workloads, "verbs": read},
        {"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": read},
        {"apiGroups": ["networking.k8s.io", "policy"], "resources": ["networkpolicies", "poddisruptionbudgets"], "verbs": read},
    ]);
    let mut edit = view.as_array().cloned().unwrap_or_default();
    edit.extend([
        json!({"apiGroups": [""], "resources": ["configmaps", "pods", "secrets", "serviceaccounts", "services"], "verbs": both}),
        json!({"apiGroups": ["apps"], "resources": workloads, "verbs": write}),
        json!({"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": write}),
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": both}),
    ]);
    let everything = json!([
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]);
    let basic = json!([
        {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
    ]);
    let mut admin = edit.clone();
    admin.push(json!({"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]}));
    for (name, rules) in [
        ("cluster-admin", everything),
        ("admin", json!(admin)),
        ("edit", json!(edit)),
        ("view", view),
        ("system:basic-user", basic),
        (
            "system:discovery",
            json!([{"nonResourceURLs": discovery, "verbs": ["get"]}]),
        ),
        (
            "system:public-info-viewer",
            json!([{"nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"], "verbs": ["get"]}]),
        ),
    ] {
        let role = json!({"metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}, "rules": rules});
        store.create(&CLUSTER_ROLES, role).expect("a fresh store");
    }
    for (name, group) in [
        ("cluster-admin", "system:masters"),
        ("system:basic-user", "system:authenticated"),
        ("system:discovery", "system:authenticated"),
        ("system:public-info-viewer", "system:authenticated"),
    ] {
        let binding = json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "Group", "name": group}],
        });
        store
            .create(&CLUSTER_ROLE_BINDINGS, binding)
            .expect("a fresh store");
    }
}

/// The answer of `/version`.
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": KUBERNETES_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "2025-04-22T00:00:00Z", "goVersion": "go1.23.6", "compiler": "gc", "platform": "linux/amd64",
    })
}
