use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Error};
use serde_json::{Value, json};

use super::{admin, client_of, start};

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    parse(json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"key": "one"}}))
}

fn deployment(name: &str) -> Deployment {
    parse(json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [
                    {"name": "web", "image": "example.com/web:1"},
                    {"name": "sidecar", "image": "example.com/sidecar:1"},
                ]},
            },
        },
    }))
}

/// The code of the server's answer; 0 when there was none.
fn code(error: &Error) -> u16 {
    if let Error::Api(status) = error {
        status.code
    } else {
        0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_created_read_changed_and_deleted() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    let created = api
        .create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    let again = api
        .create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap_err();
    assert_eq!(code(&again), 409);
    let mut changed = created.clone();
    changed
        .data
        .as_mut()
        .unwrap()
        .insert("key".to_owned(), "two".to_owned());
    api.replace("a", &PostParams::default(), &changed).await.unwrap();
    let stale = api
        .replace("a", &PostParams::default(), &created)
        .await
        .unwrap_err();
    assert_eq!(code(&stale), 409);
    assert_eq!(api.get("a").await.unwrap().data.unwrap()["key"], "two");
    api.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_answers_and_changes_nothing() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    let rehearsal = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    api.create(&rehearsal, &config_map("a")).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
    api.create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patched = api
        .patch("a", &params, &Patch::Merge(json!({"data": {"key": "two"}})))
        .await
        .unwrap();
    assert_eq!(patched.data.unwrap()["key"], "two");
    api.delete(
        "a",
        &DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(api.get("a").await.unwrap().data.unwrap()["key"], "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_consistently_and_expire() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    for name in ["a", "b", "c"] {
        api.create(&PostParams::default(), &config_map(name))
            .await
            .unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    let token = first.metadata.continue_.unwrap();
    api.delete("c", &DeleteParams::default()).await.unwrap();
    let rest = api
        .list(&ListParams::default().limit(2).continue_token(&token))
        .await
        .unwrap();
    assert_eq!(
        rest.items[0].metadata.name.as_deref(),
        Some("c"),
        "as it was when the list began"
    );
    server.store().compact();
    let expired = api
        .list(&ListParams::default().continue_token(&token))
        .await
        .unwrap_err();
    assert_eq!(code(&expired), 410);
    let selected = api
        .list(&ListParams::default().labels("app in (a,z)"))
        .await
        .unwrap();
    assert_eq!(selected.items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_patch_changes_one_container_only() {
    let server = start().await;
    let api: Api<Deployment> = Api::namespaced(admin(&server).await, "default");
    api.create(&PostParams::default(), &deployment("web"))
        .await
        .unwrap();
    let container = |image: &str| json!({"name": "web", "image": image});
    let spec = |image: &str| json!({"spec": {"template": {"spec": {"containers": [container(image)]}}}});
    let images = |object: &Deployment| -> Vec<String> {
        let pod = object.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        pod.containers
            .iter()
            .map(|container| container.image.clone().unwrap())
            .collect()
    };
    let strategic = Patch::Strategic(spec("example.com/web:2"));
    let patched = api
        .patch("web", &PatchParams::default(), &strategic)
        .await
        .unwrap();
    assert_eq!(images(&patched), ["example.com/web:2", "example.com/sidecar:1"]);
    assert_eq!(patched.metadata.generation, Some(2));
    let path = "/spec/template/spec/containers/0/image";
    let operations = |expected: &str| {
        Patch::<Deployment>::Json(parse(json!([
            {"op": "test", "path": path, "value": expected},
            {"op": "replace", "path": path, "value": "example.com/web:3"},
        ])))
    };
    let refused = api
        .patch("web", &PatchParams::default(), &operations("other"))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), 422);
    let patched = api
        .patch("web", &PatchParams::default(), &operations("example.com/web:2"))
        .await
        .unwrap();
    assert_eq!(images(&patched), ["example.com/web:3", "example.com/sidecar:1"]);
    let mut stale = spec("example.com/web:4");
    stale["metadata"] = json!({"resourceVersion": "1"});
    let refused = api
        .patch("web", &PatchParams::default(), &Patch::Strategic(stale))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_a_field_of_somebody_else_is_a_conflict_until_forced() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    let applied = |value: &str| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"key": value},
        }))
    };
    api.patch("a", &PatchParams::apply("one"), &applied("1"))
        .await
        .unwrap();
    let refused = api
        .patch("a", &PatchParams::apply("two"), &applied("2"))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), 409);
    let Error::Api(status) = &refused else {
        panic!("{refused}")
    };
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice())
        .unwrap_or_default();
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    let forced = api
        .patch("a", &PatchParams::apply("two").force(), &applied("2"))
        .await
        .unwrap();
    assert_eq!(forced.data.unwrap()["key"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_scale_are_written_through_their_sub_resources() {
    let server = start().await;
    let api: Api<Deployment> = Api::namespaced(admin(&server).await, "default");
    api.create(&PostParams::default(), &deployment("web"))
        .await
        .unwrap();
    let both = json!({"spec": {"replicas": 4}, "status": {"replicas": 2}});
    let patched = api
        .patch("web", &PatchParams::default(), &Patch::Merge(&both))
        .await
        .unwrap();
    assert_eq!(patched.status.unwrap().replicas, None);
    let patched = api
        .patch_status("web", &PatchParams::default(), &Patch::Merge(&both))
        .await
        .unwrap();
    assert_eq!(patched.status.unwrap().replicas, Some(2));
    let scale = json!({"spec": {"replicas": 7}});
    let scaled = api
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(&scale))
        .await
        .unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(7));
    assert_eq!(api.get("web").await.unwrap().spec.unwrap().replicas, Some(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_recorded_under_the_name_of_their_manager() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    let params = PostParams {
        field_manager: Some("scanner".to_owned()),
        ..PostParams::default()
    };
    let created = api.create(&params, &config_map("a")).await.unwrap();
    let entries = created.metadata.managed_fields.unwrap();
    assert_eq!(entries[0].manager.as_deref(), Some("scanner"));
    assert_eq!(entries[0].operation.as_deref(), Some("Update"));
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_enforced_with_the_words_of_kubernetes() {
    let server = start().await;
    let client = client_of(&server.kubeconfig_for("default", "default")).await;
    let api: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let patch = Patch::Merge(json!({}));
    let refused = api.patch("x", &PatchParams::default(), &patch).await.unwrap_err();
    let Error::Api(status) = &refused else {
        panic!("{refused}")
    };
    assert_eq!(
        status.message,
        "deployments.apps \"x\" is forbidden: User \"system:serviceaccount:default:default\" cannot patch resource \
         \"deployments\" in API group \"apps\" in the namespace \"default\""
    );
    let review: SelfSubjectAccessReview = parse(json!({"spec": {"resourceAttributes": {
        "verb": "get", "resource": "pods", "namespace": "default",
    }}}));
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client);
    let answered = reviews.create(&PostParams::default(), &review).await.unwrap();
    assert!(!answered.status.unwrap().allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_deleted_by_its_labels() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    for name in ["a", "b"] {
        api.create(&PostParams::default(), &config_map(name))
            .await
            .unwrap();
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default().labels("app=a"))
        .await
        .unwrap();
    let left = api.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(
        left.iter()
            .map(|map| map.metadata.name.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["b"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_bound_to_another_uid_is_refused() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    api.create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    let bound = DeleteParams::default().preconditions(kube::api::Preconditions {
        uid: Some("other".to_owned()),
        resource_version: None,
    });
    assert_eq!(code(&api.delete("a", &bound).await.unwrap_err()), 409);
    assert!(api.get_opt("a").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_unauthorized() {
    let server = start().await;
    let token = server.token("default", "default");
    let kubeconfig = server.admin_kubeconfig().replace(&server.admin_token(), &token);
    let api: Api<ConfigMap> = Api::namespaced(client_of(&kubeconfig).await, "default");
    assert_eq!(code(&api.get("a").await.unwrap_err()), 403);
    server.revoke(&token);
    assert_eq!(code(&api.get("a").await.unwrap_err()), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_objects_are_refused_with_their_causes() {
    let server = start().await;
    let api: Api<Deployment> = Api::namespaced(admin(&server).await, "default");
    let mut object = deployment("web");
    object
        .spec
        .as_mut()
        .unwrap()
        .template
        .spec
        .as_mut()
        .unwrap()
        .containers[0]
        .image = None;
    let refused = api.create(&PostParams::default(), &object).await.unwrap_err();
    let Error::Api(status) = &refused else {
        panic!("{refused}")
    };
    assert_eq!(status.code, 422);
    assert_eq!(
        status.message,
        "Deployment.apps \"web\" is invalid: spec.template.spec.containers[0].image: Required value"
    );
}
