//! Metadata as the tools leave them, with `managedFields` as a 1.34 API server keeps them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const TRACKED: &str = "shop:apps/Deployment:shop/checkout";

fn metadata(rest: &Value) -> ObjectMeta {
    let mut all = json!({ "name": "checkout", "namespace": "shop" });
    all.as_object_mut()
        .unwrap()
        .extend(rest.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// What `manager` has of the container `app`.
fn entry(manager: &str, operation: &str, time: &str, fields: &[&str]) -> Value {
    let mut app = json!({ ".": {} });
    for field in fields {
        app[format!("f:{field}")] = json!({});
    }
    json!({
        "manager": manager,
        "operation": operation,
        "apiVersion": "apps/v1",
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": { "f:labels": { "f:app": {} } },
            "f:spec": { "f:replicas": {}, "f:template": { "f:spec": { "f:containers": { r#"k:{"name":"app"}"#: app } } } },
        },
    })
}

const AT_THREE: &str = "2026-11-21T03:00:00Z";
const AT_FOUR: &str = "2026-11-21T04:00:00Z";

/// An entry of somebody who set the image as part of the whole.
fn whole(manager: &str, operation: &str) -> Value {
    entry(manager, operation, AT_THREE, &["image", "name", "ports"])
}

/// An entry of somebody who lost the image to `kubectl set image`.
fn rest(manager: &str, operation: &str) -> [Value; 2] {
    [
        entry(manager, operation, AT_THREE, &["name", "ports"]),
        entry("kubectl-set", "Update", AT_FOUR, &["image"]),
    ]
}

fn ownership(kind: WorkloadKind, metadata: &ObjectMeta) -> Ownership {
    Ownership::of(kind, metadata, [("app", false)]).remove(0)
}

/// Who keeps the image of `app`, as it is told, or nothing.
fn keeper(rest: &Value) -> String {
    let ownership = ownership(WorkloadKind::Deployment, &metadata(rest));
    ownership.keeper.map_or_else(String::new, |keeper| {
        format!("{}, by {}", keeper.source, keeper.evidence)
    })
}

#[test]
fn argo_cd_is_known_by_the_image_it_manages_and_by_marks_that_are_its_own() {
    let instance = json!({ "app.kubernetes.io/instance": "shop" });
    for (said, expected) in [
        (json!({}), ""),
        (
            json!({ "managedFields": [whole("argocd-controller", "Apply")] }),
            "Argo CD, by the field manager argocd-controller",
        ),
        (
            json!({ "labels": instance, "managedFields": [whole("argocd-application-controller", "Update")] }),
            "Argo CD (application shop), by the field manager argocd-application-controller",
        ),
        (
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": TRACKED } }),
            "Argo CD (application shop), by the annotation argocd.argoproj.io/tracking-id",
        ),
        (
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": "team_shop:apps/Deployment:shop/checkout" } }),
            "Argo CD (application team/shop), by the annotation argocd.argoproj.io/tracking-id",
        ),
        (
            json!({ "labels": { "argocd.argoproj.io/instance": "shop" } }),
            "Argo CD (application shop), by the label argocd.argoproj.io/instance",
        ),
        // Every chart writes that label, and a manager that has lost the image may be gone; both together are Argo CD.
        (json!({ "labels": instance }), ""),
        (
            json!({ "labels": instance, "managedFields": [whole("kubectl", "Apply")] }),
            "",
        ),
        (
            json!({ "managedFields": rest("argocd-controller", "Update") }),
            "",
        ),
        (
            json!({ "labels": instance, "managedFields": rest("argocd-controller", "Update") }),
            "Argo CD (application shop), by the field manager argocd-controller",
        ),
        // Copied from another object, which Argo CD takes no notice of either.
        (
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/cart" } }),
            "",
        ),
        (
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": "shop" } }),
            "",
        ),
        (
            json!({ "annotations": { "argocd.argoproj.io/tracking-id": "" } }),
            "",
        ),
    ] {
        assert_eq!(keeper(&said), expected, "{said}");
    }
}

#[test]
fn flux_is_known_by_its_labels_and_keeps_nothing_that_it_was_told_to_leave() {
    let labels = json!({
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    });
    let with = |key: &str, value: &str| {
        json!({
            "labels": labels,
            "annotations": { format!("kustomize.toolkit.fluxcd.io/{key}"): value },
            "managedFields": [whole("kustomize-controller", "Apply")],
        })
    };
    let by_manager = "Flux (Kustomization flux-system/apps), by the field manager kustomize-controller";
    let by_label = "Flux (Kustomization flux-system/apps), by the label kustomize.toolkit.fluxcd.io/name";
    let release = json!({
        "helm.toolkit.fluxcd.io/name": "shop",
        "helm.toolkit.fluxcd.io/namespace": "shop",
        "app.kubernetes.io/managed-by": "Helm",
    });
    let of_release = |more: &Value| {
        let mut annotations = json!({ "meta.helm.sh/release-name": "shop" });
        annotations
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "labels": release, "annotations": annotations, "managedFields": [whole("helm-controller", "Update")] })
    };
    for (said, expected) in [
        (json!({ "labels": labels }), by_label),
        (with("ssa", "Override"), by_manager),
        (with("ssa", "Merge"), by_manager),
        (with("ssa", "IfNotPresent"), ""),
        (with("ssa", "ignore"), ""),
        (with("reconcile", "Disabled"), ""),
        (with("reconcile", "enabled"), by_manager),
        (
            json!({ "labels": labels, "managedFields": rest("kustomize-controller", "Apply") }),
            by_label,
        ),
        (
            of_release(&json!({})),
            "Flux (HelmRelease shop/shop), by the field manager helm-controller",
        ),
        (
            of_release(&json!({ "helm.toolkit.fluxcd.io/driftDetection": "disabled" })),
            "Helm (release shop), by the annotation meta.helm.sh/release-name",
        ),
    ] {
        assert_eq!(keeper(&said), expected, "{said}");
    }
}

#[test]
fn a_container_that_the_tool_does_not_apply_is_kept_by_nobody() {
    let apps = json!({ "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux" });
    let object =
        metadata(&json!({ "labels": apps, "managedFields": [whole("kustomize-controller", "Apply")] }));
    let containers = [("app", true), ("app", false), ("proxy", false)];
    let ownerships = Ownership::of(WorkloadKind::Deployment, &object, containers);
    let kept: Vec<bool> = ownerships.iter().map(|found| found.keeper.is_some()).collect();
    assert_eq!(kept, [false, true, false]);
    // What was only updated says nothing of what was not.
    let object =
        metadata(&json!({ "labels": apps, "managedFields": [whole("kustomize-controller", "Update")] }));
    let ownerships = Ownership::of(WorkloadKind::Deployment, &object, containers);
    assert!(ownerships.iter().all(|found| found.keeper.is_some()));
}

#[test]
fn the_object_that_controls_it_keeps_it_before_any_mark_that_it_may_have_copied() {
    let owner = |controller: bool| json!([{ "apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "name": "k8s", "uid": "1", "controller": controller }]);
    let marked = json!({ "argocd.argoproj.io/instance": "monitoring" });
    for (said, expected) in [
        (json!({ "ownerReferences": owner(false) }), ""),
        (
            json!({ "ownerReferences": owner(true), "labels": marked }),
            "the Prometheus k8s, by its owner reference",
        ),
        (
            json!({ "ownerReferences": owner(true), "managedFields": [whole("argocd-controller", "Apply")] }),
            "Argo CD, by the field manager argocd-controller",
        ),
    ] {
        assert_eq!(keeper(&said), expected, "{said}");
    }
}

#[test]
fn a_release_of_helm_is_changed_and_it_is_said_what_its_next_upgrade_does() {
    let labels = json!({ "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "shop" });
    let annotations =
        json!({ "meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop" });
    for (operation, expected) in [
        (
            "Update",
            "the next helm upgrade of the release shop brings its own value back",
        ),
        (
            "Apply",
            "the next helm upgrade of the release shop stops at this field, or with --force-conflicts brings its own value back",
        ),
    ] {
        let said = json!({ "labels": labels, "annotations": annotations, "managedFields": [whole("helm", operation)] });
        let keeper = ownership(WorkloadKind::Deployment, &metadata(&said))
            .keeper
            .unwrap();
        assert!(!keeper.takes_back());
        assert_eq!(keeper.prospect(), expected);
    }
    // Argo CD renders charts as well, and they carry that label then.
    assert_eq!(keeper(&json!({ "labels": labels })), "");
}

#[test]
fn the_fields_of_a_cron_job_lie_deeper_and_those_of_a_status_do_not_count() {
    let mut entry = whole("argocd-controller", "Apply");
    let object = |entry: &Value| metadata(&json!({ "managedFields": [entry] }));
    assert_eq!(
        ownership(WorkloadKind::CronJob, &object(&entry)),
        Ownership::default()
    );
    entry["fieldsV1"]["f:spec"] =
        json!({ "f:jobTemplate": { "f:spec": entry["fieldsV1"]["f:spec"].take() } });
    assert!(ownership(WorkloadKind::CronJob, &object(&entry)).keeper.is_some());
    assert_eq!(
        ownership(WorkloadKind::Deployment, &object(&entry)),
        Ownership::default()
    );
    entry["subresource"] = json!("status");
    assert_eq!(
        ownership(WorkloadKind::CronJob, &object(&entry)),
        Ownership::default()
    );
}

#[test]
fn the_last_of_those_who_agree_on_an_image_has_set_it() {
    let writer = |entries: &Value| {
        let object = metadata(&json!({ "managedFields": entries }));
        let writer = ownership(WorkloadKind::Deployment, &object).writer;
        writer.map(|writer| writer.to_string())
    };
    assert_eq!(writer(&json!([])), None);
    assert_eq!(
        writer(&json!(rest("argocd-controller", "Apply"))),
        Some(format!("kubectl-set, {AT_FOUR}"))
    );
    let both = [
        entry("ours", "Apply", AT_FOUR, &["image"]),
        entry("theirs", "Apply", AT_THREE, &["image"]),
    ];
    assert_eq!(writer(&json!(both)), Some(format!("ours, {AT_FOUR}")));
    let mut timeless = entry("kubectl", "Update", AT_THREE, &["image"]);
    timeless.as_object_mut().unwrap().remove("time");
    assert_eq!(writer(&json!([timeless])), Some("kubectl".to_owned()));
}

#[test]
fn the_containers_of_a_workload_share_what_is_known_of_their_keeper() {
    let object = metadata(&json!({ "labels": { "argocd.argoproj.io/instance": "shop" } }));
    let found = Ownership::of(
        WorkloadKind::Deployment,
        &object,
        [("app", false), ("proxy", false)],
    );
    let [Some(app), Some(proxy)] = [&found[0].keeper, &found[1].keeper] else {
        panic!("{found:?}")
    };
    assert!(Arc::ptr_eq(app, proxy));
}

fn managers() -> impl Strategy<Value = &'static str> {
    let known = [
        "argocd-controller",
        "kustomize-controller",
        "helm-controller",
        "helm",
    ];
    let others = [
        "kubectl",
        "kubectl-set",
        "kube-controller-manager",
        FIELD_MANAGER,
        "",
    ];
    proptest::sample::select([known.as_slice(), others.as_slice()].concat())
}

fn entries() -> impl Strategy<Value = Vec<Value>> {
    let fields = proptest::sample::subsequence(vec!["image", "name", "ports"], 0..=3);
    let operation = proptest::sample::select(vec!["Apply", "Update"]);
    let time = proptest::sample::select(vec![AT_THREE, AT_FOUR]);
    let one = (managers(), operation, time, fields)
        .prop_map(|(manager, operation, time, fields)| entry(manager, operation, time, &fields));
    proptest::collection::vec(one, 0..5)
}

proptest! {
    #[test]
    fn a_manager_of_the_image_that_reconciles_is_its_keeper_whatever_else_is_written_there(
        mut entries in entries(),
        manager in proptest::sample::select(vec!["argocd-controller", "kustomize-controller", "helm-controller"]),
        instance in "[a-z]{0,5}",
    ) {
        entries.push(whole(manager, "Apply"));
        let labels = json!({ "app.kubernetes.io/instance": instance, "app.kubernetes.io/managed-by": "Helm" });
        let found = ownership(WorkloadKind::Deployment, &metadata(&json!({ "labels": labels, "managedFields": entries })));
        let keeper = found.keeper.unwrap();
        prop_assert!(keeper.takes_back());
        prop_assert!(matches!(keeper.evidence, Evidence::FieldManager(_)));
    }

    #[test]
    fn without_a_mark_nobody_keeps_an_image_that_people_and_other_controllers_manage(entries in entries()) {
        let manages = |entry: &Value| {
            let image = r#"/fieldsV1/f:spec/f:template/f:spec/f:containers/k:{"name":"app"}/f:image"#;
            entry.pointer(image).is_some() && entry["manager"].as_str().unwrap().ends_with("-controller")
        };
        let found = ownership(WorkloadKind::Deployment, &metadata(&json!({ "managedFields": entries })));
        prop_assert_eq!(found.keeper.is_some(), entries.iter().any(manages));
    }

    #[test]
    fn no_fields_and_no_mark_of_strangers_are_too_strange(text in "\\PC{0,30}", fields in "\\PC{0,10}") {
        let said = json!({
            "annotations": { "argocd.argoproj.io/tracking-id": text, "meta.helm.sh/release-name": text },
            "labels": { "kustomize.toolkit.fluxcd.io/name": text },
            "managedFields": [{ "manager": text, "fieldsV1": { fields: text, "f:spec": [text], "": 1 } }, {}],
        });
        let found = ownership(WorkloadKind::Deployment, &metadata(&said));
        prop_assert_eq!(found.keeper.is_some(), !text.is_empty());
    }
}
