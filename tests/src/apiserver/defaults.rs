//! The values Kubernetes fills in when a manifest leaves them out. kubectl and the controllers count on them.

use serde_json::{Value, json};

use super::resources::Resource;

/// Completes `object` in place; what is already set stays.
pub(super) fn apply(resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Deployment" => deployment(object),
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "ReplicaSet" => {
            fill(object, "/spec", &json!({"replicas": 1}));
            pod_template(object, "/spec/template");
        }
        "Job" => job(object, "/spec"),
        "CronJob" => cron_job(object),
        "Pod" => {
            // First, because `serviceAccount` follows from it.
            fill(
                object,
                "/spec",
                &json!({"enableServiceLinks": true, "serviceAccountName": "default"}),
            );
            pod_spec(object, "/spec");
        }
        "Service" => service(object),
        "Secret" => secret(object),
        "Namespace" => namespace(object),
        "NetworkPolicy" => fill(object, "/spec", &json!({"policyTypes": ["Ingress"]})),
        "Role" | "ClusterRole" => fill(object, "", &json!({"rules": []})),
        "RoleBinding" | "ClusterRoleBinding" => binding(object),
        _ => {}
    }
}

/// Fills in the status a new object starts with.
pub(super) fn initial_status(resource: &Resource, object: &mut Value) {
    let status = match resource.kind {
        "Pod" => json!({"phase": "Pending", "qosClass": "BestEffort"}),
        "Namespace" => json!({"phase": "Active"}),
        "Service" => json!({"loadBalancer": {}}),
        _ if resource.has_status => json!({}),
        _ => return,
    };
    fill(object, "", &json!({"status": status}));
}

/// Adds the fields of `defaults` that are missing (or null) in the object at `pointer`, level by level.
fn fill(object: &mut Value, pointer: &str, defaults: &Value) {
    let (Some(target), Some(defaults)) = (object.pointer_mut(pointer), defaults.as_object()) else {
        return;
    };
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (field, default) in defaults {
        let slot = target.entry(field.clone()).or_insert(Value::Null);
        if slot.is_null() {
            *slot = default.clone();
        }
    }
}

fn each<'a>(object: &'a mut Value, pointer: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    object
        .pointer_mut(pointer)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
}

fn deployment(object: &mut Value) {
    fill(
        object,
        "/spec",
        &json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "strategy": {}}),
    );
    fill(object, "/spec/strategy", &json!({"type": "RollingUpdate"}));
    if object.pointer("/spec/strategy/type") == Some(&json!("RollingUpdate")) {
        fill(object, "/spec/strategy", &json!({"rollingUpdate": {}}));
        fill(
            object,
            "/spec/strategy/rollingUpdate",
            &json!({"maxSurge": "25%", "maxUnavailable": "25%"}),
        );
    }
    pod_template(object, "/spec/template");
}

fn stateful_set(object: &mut Value) {
    fill(
        object,
        "/spec",
        &json!({
            "replicas": 1,
            "revisionHistoryLimit": 10,
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {},
            "serviceName": "",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        }),
    );
    fill(object, "/spec/updateStrategy", &json!({"type": "RollingUpdate"}));
    if object.pointer("/spec/updateStrategy/type") == Some(&json!("RollingUpdate")) {
        fill(object, "/spec/updateStrategy", &json!({"rollingUpdate": {}}));
        fill(
            object,
            "/spec/updateStrategy/rollingUpdate",
            &json!({"partition": 0}),
        );
    }
    pod_template(object, "/spec/template");
}

fn daemon_set(object: &mut Value) {
    fill(
        object,
        "/spec",
        &json!({"revisionHistoryLimit": 10, "updateStrategy": {}}),
    );
    fill(object, "/spec/updateStrategy", &json!({"type": "RollingUpdate"}));
    if object.pointer("/spec/updateStrategy/type") == Some(&json!("RollingUpdate")) {
        fill(object, "/spec/updateStrategy", &json!({"rollingUpdate": {}}));
        fill(
            object,
            "/spec/updateStrategy/rollingUpdate",
            &json!({"maxSurge": 0, "maxUnavailable": 1}),
        );
    }
    pod_template(object, "/spec/template");
}

fn job(object: &mut Value, spec: &str) {
    let work_queue = object
        .pointer(&format!("{spec}/parallelism"))
        .is_some_and(|count| !count.is_null());
    if !work_queue {
        fill(object, spec, &json!({"completions": 1}));
    }
    fill(
        object,
        spec,
        &json!({
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": false,
            "manualSelector": false,
            "podReplacementPolicy": "TerminatingOrFailed",
        }),
    );
    job_selector(object);
    pod_template(object, &format!("{spec}/template"));
}

/// A job selects its pods by its own UID unless the manifest insists on choosing.
fn job_selector(object: &mut Value) {
    if object.pointer("/spec/manualSelector") == Some(&json!(true)) {
        return;
    }
    let (uid, name) = (
        object["metadata"]["uid"].clone(),
        object["metadata"]["name"].clone(),
    );
    if uid.is_null() {
        return;
    }
    fill(
        object,
        "/spec",
        &json!({"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}}),
    );
    fill(object, "/spec/template", &json!({"metadata": {}}));
    fill(object, "/spec/template/metadata", &json!({"labels": {}}));
    let labels = json!({
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    });
    fill(object, "/spec/template/metadata/labels", &labels);
}

fn cron_job(object: &mut Value) {
    fill(
        object,
        "/spec",
        &json!({
            "concurrencyPolicy": "Allow",
            "suspend": false,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        }),
    );
    // A job template keeps what its author wrote: the job's own defaults arrive with the job.
    pod_template(object, "/spec/jobTemplate/spec/template");
}

fn pod_template(object: &mut Value, template: &str) {
    pod_spec(object, &format!("{template}/spec"));
}

fn pod_spec(object: &mut Value, spec: &str) {
    fill(
        object,
        spec,
        &json!({
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        }),
    );
    let Some(spec) = object.pointer_mut(spec).filter(|spec| spec.is_object()) else {
        return;
    };
    let account = spec["serviceAccountName"].clone();
    if account.is_string() {
        fill(spec, "", &json!({"serviceAccount": account}));
    }
    for list in ["/initContainers", "/containers"] {
        each(spec, list).for_each(container);
    }
    for volume in each(spec, "/volumes") {
        for source in ["/configMap", "/secret", "/projected"] {
            fill(volume, source, &json!({"defaultMode": 420}));
        }
    }
}

fn container(container: &mut Value) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let pull_policy = if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    fill(
        container,
        "",
        &json!({
            "imagePullPolicy": pull_policy,
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }),
    );
    for port in each(container, "/ports") {
        fill(port, "", &json!({"protocol": "TCP"}));
    }
    for variable in each(container, "/env") {
        fill(variable, "/valueFrom/fieldRef", &json!({"apiVersion": "v1"}));
    }
    for probe in ["/livenessProbe", "/readinessProbe", "/startupProbe"] {
        let defaults =
            json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
        fill(container, probe, &defaults);
        fill(
            container,
            &format!("{probe}/httpGet"),
            &json!({"path": "/", "scheme": "HTTP"}),
        );
    }
}

/// Whether kubelet would pull the image every time: neither tag nor digest, or the tag `latest`.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn service(object: &mut Value) {
    let defaults =
        json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"});
    fill(object, "/spec", &defaults);
    for port in each(object, "/spec/ports") {
        let target = port["port"].clone();
        fill(port, "", &json!({"protocol": "TCP", "targetPort": target}));
    }
    if object.pointer("/spec/type") == Some(&json!("ExternalName")) {
        return;
    }
    // An address of the usual service range, stable for one service.
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let byte = |at: usize| u8::from_str_radix(uid.get(at..at + 2).unwrap_or("1"), 16).unwrap_or(1);
    fill(
        object,
        "/spec",
        &json!({"clusterIP": format!("10.96.{}.{}", byte(0), byte(2))}),
    );
    let address = object["spec"]["clusterIP"].clone();
    let family = json!({"clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"});
    fill(object, "/spec", &family);
}

fn secret(object: &mut Value) {
    use base64::Engine as _;
    fill(object, "", &json!({"type": "Opaque"}));
    let Some(plain) = object
        .as_object_mut()
        .and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    for (key, value) in plain.as_object().into_iter().flatten() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        object["data"][key.as_str()] = json!(encoded);
    }
}

fn namespace(object: &mut Value) {
    fill(object, "", &json!({"spec": {}}));
    fill(object, "/spec", &json!({"finalizers": ["kubernetes"]}));
    let name = object["metadata"]["name"].clone();
    fill(object, "/metadata", &json!({"labels": {}}));
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
}

fn binding(object: &mut Value) {
    fill(
        object,
        "/roleRef",
        &json!({"apiGroup": "rbac.authorization.k8s.io"}),
    );
    for subject in each(object, "/subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            fill(subject, "", &json!({"apiGroup": "rbac.authorization.k8s.io"}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::{DEPLOYMENTS, PODS, SECRETS};

    #[test]
    fn a_deployment_gets_the_rollout_defaults() {
        let mut object = json!({"spec": {"template": {"spec": {"containers": [{"image": "a:1"}]}}}});
        apply(&DEPLOYMENTS, &mut object);
        assert_eq!(object["spec"]["replicas"], 1);
        assert_eq!(object["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
        assert_eq!(object["spec"]["template"]["spec"]["restartPolicy"], "Always");
    }

    #[test]
    fn a_recreate_strategy_gets_no_rolling_update() {
        let mut object = json!({"spec": {"strategy": {"type": "Recreate"}}});
        apply(&DEPLOYMENTS, &mut object);
        assert_eq!(object["spec"]["strategy"], json!({"type": "Recreate"}));
    }

    #[test]
    fn only_moving_images_are_always_pulled() {
        let cases = [
            ("nginx", "Always"),
            ("localhost:5000/nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
        ];
        for (image, policy) in cases {
            let mut object = json!({"spec": {"containers": [{"image": image}]}});
            apply(&PODS, &mut object);
            assert_eq!(
                object["spec"]["containers"][0]["imagePullPolicy"], policy,
                "{image}"
            );
        }
    }

    #[test]
    fn defaulting_twice_changes_nothing_more() {
        let mut once = json!({"spec": {"template": {"spec": {"containers": [{"image": "a:1"}]}}}});
        apply(&DEPLOYMENTS, &mut once);
        let mut twice = once.clone();
        apply(&DEPLOYMENTS, &mut twice);
        assert_eq!(once, twice);
    }

    #[test]
    fn defaulting_a_pod_twice_changes_nothing_more() {
        let mut once = json!({"spec": {"containers": [{"image": "a:1"}]}});
        apply(&PODS, &mut once);
        let mut twice = once.clone();
        apply(&PODS, &mut twice);
        assert_eq!(once, twice);
    }

    #[test]
    fn plain_text_of_a_secret_is_encoded() {
        let mut object = json!({"stringData": {"a": "b"}});
        apply(&SECRETS, &mut object);
        assert_eq!(object, json!({"type": "Opaque", "data": {"a": "Yg=="}}));
    }
}
