//! The manifests of `deploy/`: what they grant, and no more; how their pods are locked in.

use std::pin::pin;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret, ServiceAccount};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::{Api, Client};
use sandbox::apiserver::ApiServerOptions;
use sandbox::cluster::{self, Cluster};
use sandbox::manifests;
use serde_json::{Value, json};

async fn installed() -> Cluster {
    let cluster = Cluster::still(ApiServerOptions::default()).await;
    cluster.apply(&manifests::install()).await;
    cluster
        .apply(&manifests::read("deploy/example/deployment.yaml"))
        .await;
    cluster
}

async fn client_of(cluster: &Cluster, account: &str) -> Client {
    cluster::client(&cluster.api.kubeconfig_for("kubefresh", account)).await
}

/// Whether the call was refused for want of permission, and not for any other reason.
fn forbidden<T>(answer: kube::Result<T>) -> bool {
    match answer {
        Ok(_) => false,
        Err(kube::Error::Api(status)) => status.code == 403,
        Err(other) => panic!("neither granted nor refused: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scanner_can_change_nothing_outside_its_namespace() {
    let cluster = installed().await;
    let client = client_of(&cluster, "kubefresh-scanner").await;
    let config_map: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "a" } })).unwrap();
    let own: Api<ConfigMap> = Api::namespaced(client.clone(), "kubefresh");
    let foreign: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    assert!(!forbidden(own.create(&PostParams::default(), &config_map).await));
    // Records that nobody asks for any more go.
    assert!(!forbidden(own.delete("a", &DeleteParams::default()).await));
    assert!(forbidden(
        own.delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
    ));
    assert!(forbidden(
        foreign.create(&PostParams::default(), &config_map).await
    ));
    assert!(forbidden(foreign.delete("a", &DeleteParams::default()).await));
    let secrets: Api<Secret> = Api::all(client);
    assert!(forbidden(secrets.list(&ListParams::default()).await));
}

/// What the client of an account that may do this and that is told, for a Secret and a ServiceAccount.
async fn reads(client: &Client, namespace: &str) -> [bool; 4] {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let everything = ListParams::default();
    [
        !forbidden(secrets.get_opt("regcred").await),
        !forbidden(accounts.get_opt("default").await),
        !forbidden(secrets.list(&everything).await),
        !forbidden(accounts.list(&everything).await),
    ]
}

/// The first thing that a watch says, where a refusal stands too.
async fn first_of_watch(api: &Api<DynamicObject>) -> kube::Result<()> {
    let events = api.watch(&WatchParams::default().timeout(1), "0").await?;
    match pin!(events).next().await {
        Some(Ok(WatchEvent::Error(status))) => Err(kube::Error::Api(status)),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Which of these verbs an account may use on any object of these kinds.
async fn granted(client: &Client, resource: &ApiResource) -> Vec<&'static str> {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    let some: Api<DynamicObject> = if ["namespaces", "nodes"].contains(&resource.plural.as_str()) {
        all.clone()
    } else {
        Api::namespaced_with(client.clone(), "default", resource)
    };
    let object = DynamicObject::new("any", resource);
    let patch = Patch::Merge(json!({}));
    let (read, write, delete) = (
        ListParams::default(),
        PostParams::default(),
        DeleteParams::default(),
    );
    let answers = [
        ("create", forbidden(some.create(&write, &object).await)),
        ("delete", forbidden(some.delete("any", &delete).await)),
        ("get", forbidden(some.get("any").await)),
        ("list", forbidden(all.list(&read).await)),
        (
            "patch",
            forbidden(some.patch("any", &PatchParams::default(), &patch).await),
        ),
        (
            "status",
            forbidden(some.patch_status("any", &PatchParams::default(), &patch).await),
        ),
        ("watch", forbidden(first_of_watch(&all).await)),
    ];
    let allowed = answers.into_iter().filter(|(_, refused)| !refused);
    allowed.map(|(verb, _)| verb).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_every_kind_of_workload_the_scanner_may_list_and_the_updater_list_watch_and_patch() {
    let cluster = installed().await;
    let scanner = client_of(&cluster, "kubefresh-scanner").await;
    let updater = client_of(&cluster, "kubefresh-updater").await;
    for resource in [
        ApiResource::erase::<Deployment>(&()),
        ApiResource::erase::<StatefulSet>(&()),
        ApiResource::erase::<DaemonSet>(&()),
        ApiResource::erase::<CronJob>(&()),
    ] {
        assert_eq!(granted(&scanner, &resource).await, ["list"], "{}", resource.kind);
        let expected = ["list", "patch", "watch"];
        assert_eq!(granted(&updater, &resource).await, expected, "{}", resource.kind);
    }
    let jobs = ApiResource::erase::<Job>(&());
    assert!(granted(&scanner, &jobs).await.is_empty());
    assert!(granted(&updater, &jobs).await.is_empty());
    for resource in [
        ApiResource::erase::<Pod>(&()),
        ApiResource::erase::<Node>(&()),
        ApiResource::erase::<ReplicaSet>(&()),
    ] {
        assert!(granted(&scanner, &resource).await.is_empty());
        let granted = granted(&updater, &resource).await;
        assert_eq!(granted, ["list"], "{}: asked for, and not watched", resource.kind);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_updater_makes_jobs_in_its_own_namespace_and_changes_and_deletes_none() {
    let cluster = installed().await;
    let client = client_of(&cluster, "kubefresh-updater").await;
    let jobs: Api<DynamicObject> = Api::namespaced_with(client, "kubefresh", &ApiResource::erase::<Job>(&()));
    assert!(!forbidden(jobs.list(&ListParams::default()).await));
    assert!(!forbidden(first_of_watch(&jobs).await));
    let job = DynamicObject::new("any", &ApiResource::erase::<Job>(&()));
    assert!(!forbidden(jobs.create(&PostParams::default(), &job).await));
    let patch = Patch::Merge(json!({}));
    assert!(forbidden(
        jobs.patch("any", &PatchParams::default(), &patch).await
    ));
    assert!(forbidden(jobs.delete("any", &DeleteParams::default()).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_namespaces_say_is_read_by_both_and_written_by_neither() {
    let cluster = installed().await;
    let namespaces = ApiResource::erase::<Namespace>(&());
    let scanner = client_of(&cluster, "kubefresh-scanner").await;
    assert_eq!(granted(&scanner, &namespaces).await, ["list"]);
    let updater = client_of(&cluster, "kubefresh-updater").await;
    assert_eq!(granted(&updater, &namespaces).await, ["list", "watch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scanner_reads_pull_secrets_by_name_and_only_by_a_manifest_that_can_be_left_out() {
    let cluster = installed().await;
    let client = client_of(&cluster, "kubefresh-scanner").await;
    assert_eq!(reads(&client, "default").await, [true, true, false, false]);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
    let patch = Patch::Merge(json!({ "data": {} }));
    assert!(forbidden(
        secrets.patch("regcred", &PatchParams::default(), &patch).await
    ));

    let optional = manifests::read("deploy/manifests/scanner-pull-secrets-rbac.yaml");
    let without = Cluster::still(ApiServerOptions::default()).await;
    let name = |object: &Value| (object["kind"].clone(), object["metadata"]["name"].clone());
    let left_out: Vec<_> = optional.iter().map(name).collect();
    let mut rest = manifests::install();
    rest.retain(|object| !left_out.contains(&name(object)));
    assert_eq!(rest.len() + optional.len(), manifests::install().len());
    without.apply(&rest).await;
    let client = client_of(&without, "kubefresh-scanner").await;
    assert_eq!(reads(&client, "default").await, [false; 4]);
    assert_eq!(reads(&client, "kubefresh").await, [false; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_updater_can_read_no_secret_and_write_no_record() {
    let cluster = installed().await;
    let client = client_of(&cluster, "kubefresh-updater").await;
    for secrets in [
        Api::<Secret>::all(client.clone()),
        Api::namespaced(client.clone(), "kubefresh"),
    ] {
        assert!(forbidden(secrets.list(&ListParams::default()).await));
        assert!(forbidden(secrets.get("any").await));
    }
    let records: Api<ConfigMap> = Api::namespaced(client.clone(), "kubefresh");
    let patch = Patch::Merge(json!({ "data": { "a": "b" } }));
    assert!(!forbidden(records.list(&ListParams::default()).await));
    assert!(forbidden(
        records.patch("any", &PatchParams::default(), &patch).await
    ));
    let config_map: ConfigMap = serde_json::from_value(json!({ "metadata": { "name": "any" } })).unwrap();
    assert!(forbidden(
        records.create(&PostParams::default(), &config_map).await
    ));
    // But the one of its own, which is made by its name.
    for (name, refused) in [("any", true), ("kubefresh-updater-outbox", false)] {
        let applied = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
        let parameters = PatchParams::apply("kubefresh-updater");
        let answer = records.patch(name, &parameters, &Patch::Apply(&applied)).await;
        assert_eq!(forbidden(answer), refused, "{name}");
        assert_eq!(forbidden(records.get(name).await), refused, "{name}");
        assert!(forbidden(records.delete(name, &DeleteParams::default()).await));
    }
}

#[test]
fn every_rule_has_its_reason_above_it() {
    for file in [
        "scanner-rbac.yaml",
        "scanner-pull-secrets-rbac.yaml",
        "updater-rbac.yaml",
    ] {
        let path = sandbox::programs::workspace().join("deploy/manifests").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let rules: Vec<usize> = (0..lines.len())
            .filter(|line| lines[*line].starts_with("- apiGroups"))
            .collect();
        assert!(!rules.is_empty(), "{file}");
        for rule in rules {
            assert!(
                lines[rule - 1].starts_with("# "),
                "{file}:{} has no reason above it",
                rule + 1
            );
        }
    }
}

/// The pod templates of everything that runs.
fn templates() -> Vec<Value> {
    let paths = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
    let objects = manifests::install();
    let pods: Vec<Value> = objects
        .iter()
        .flat_map(|object| paths.iter().filter_map(|path| object.pointer(path).cloned()))
        .collect();
    assert_eq!(pods.len(), 2, "the CronJob's and the Deployment's");
    pods
}

#[test]
fn every_pod_is_locked_in_as_the_restricted_standard_asks_and_more() {
    for pod in templates() {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
            assert!(container["resources"]["limits"]["memory"].is_string());
            assert!(container["resources"]["requests"]["cpu"].is_string());
        }
    }
}

#[test]
fn the_schedule_lets_a_scan_end_by_itself_before_its_job_is_killed() {
    let objects = manifests::install();
    let cron_job = objects.iter().find(|object| object["kind"] == "CronJob").unwrap();
    let spec = &cron_job["spec"];
    assert_eq!(spec["schedule"], "*/15 * * * *", "README and migrate say so");
    assert_eq!(spec["concurrencyPolicy"], "Forbid");
    assert_eq!(spec["startingDeadlineSeconds"], 300);
    let environment = spec
        .pointer("/jobTemplate/spec/template/spec/containers/0/env")
        .unwrap()
        .as_array()
        .unwrap();
    let deadline = environment
        .iter()
        .find(|variable| variable["name"] == "SCAN_DEADLINE")
        .unwrap();
    let deadline: jiff::SignedDuration = deadline["value"].as_str().unwrap().parse().unwrap();
    let killed = spec
        .pointer("/jobTemplate/spec/activeDeadlineSeconds")
        .unwrap()
        .as_i64()
        .unwrap();
    assert!(deadline.as_secs() + 30 <= killed);
}

#[test]
fn an_update_of_the_updater_takes_neither_of_its_replicas_away_before_another_is_ready() {
    let spec = &object("Deployment", "kubefresh-updater")["spec"];
    assert_eq!(spec["replicas"], 2);
    // The server's own: one more at a time, and of two replicas the quarter that may be missing is rounded down to none.
    assert_eq!(spec["strategy"], Value::Null);
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
}

#[test]
fn image_names_and_versions_stand_in_one_place() {
    let kustomization = &manifests::read("deploy/manifests/kustomization.yaml")[0];
    let images = kustomization["images"].as_array().unwrap();
    let mut named: Vec<String> = images
        .iter()
        .map(|image| {
            format!(
                "{}:{}",
                image["newName"].as_str().unwrap(),
                image["newTag"].as_str().unwrap()
            )
        })
        .collect();
    let mut used: Vec<String> = templates()
        .iter()
        .map(|pod| pod["containers"][0]["image"].as_str().unwrap().to_owned())
        .collect();
    used.sort();
    named.sort();
    assert_eq!(used, named);
    assert!(
        named
            .iter()
            .all(|image| image.ends_with(env!("CARGO_PKG_VERSION"))),
        "{named:?}"
    );
}

/// The scanner looks for what the updater will want.
#[test]
fn both_programs_take_their_defaults_from_one_config_map_that_need_not_be_there() {
    let defaults = json!({ "configMapRef": { "name": "kubefresh-defaults", "optional": true } });
    // Whom to tell is the updater's alone, and may be secret.
    let receivers = json!({ "secretRef": { "name": "kubefresh-notifications", "optional": true } });
    for pod in templates() {
        let container = &pod["containers"][0];
        let mut expected = vec![defaults.clone()];
        if container["name"] == "updater" {
            expected.push(receivers.clone());
        }
        assert_eq!(container["envFrom"], json!(expected));
    }
}

/// The server drops an empty value and fills in the version of a `fieldRef`. Where the manifest says otherwise, each
/// `kubectl apply` finds a difference, and server-side apply after client-side apply a conflict.
#[test]
fn what_is_applied_is_written_as_the_server_stores_it() {
    for pod in templates() {
        for variable in pod["containers"][0]["env"].as_array().unwrap() {
            assert_ne!(variable["value"], "", "{variable}");
            if let Some(field) = variable.pointer("/valueFrom/fieldRef") {
                assert_eq!(field["apiVersion"], "v1", "{variable}");
            }
        }
    }
}

/// The object of this kind and name.
fn object(kind: &str, name: &str) -> Value {
    let mut objects = manifests::install().into_iter();
    let object = objects.find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    object.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

#[test]
fn the_pages_have_a_service_that_finds_them_and_that_nobody_outside_reaches() {
    let service = &object("Service", "kubefresh-updater")["spec"];
    let pod = &object("Deployment", "kubefresh-updater")["spec"]["template"];
    assert_eq!(service["type"], "ClusterIP");
    assert_eq!(service["selector"], pod["metadata"]["labels"]);
    let port = &service["ports"][0]["targetPort"];
    assert_eq!(*port, pod["spec"]["containers"][0]["ports"][0]["name"]);
}

#[test]
fn nobody_connects_to_the_programs_but_who_is_let_in_to_the_pages() {
    let updater = &object("NetworkPolicy", "kubefresh-updater")["spec"];
    let from = json!([{ "namespaceSelector": { "matchLabels": { "kubefresh.dev/pages": "allowed" } } }]);
    let rules = json!([{ "from": from, "ports": [{ "protocol": "TCP", "port": "http" }] }]);
    assert_eq!(updater["ingress"], rules);
    let scanner = &object("NetworkPolicy", "kubefresh-scanner")["spec"];
    assert_eq!(scanner["ingress"], Value::Null);
    let labels = |spec: &Value| spec["podSelector"]["matchLabels"].clone();
    let pods = templates_with_labels();
    for policy in [updater, scanner] {
        assert_eq!(policy["policyTypes"], json!(["Ingress"]));
        assert!(pods.contains(&labels(policy)), "{policy} is for no pod: {pods:?}");
    }
}

/// The labels of the pods of both programs.
fn templates_with_labels() -> Vec<Value> {
    let cron_job = &object("CronJob", "kubefresh-scanner")["spec"]["jobTemplate"]["spec"]["template"];
    let deployment = &object("Deployment", "kubefresh-updater")["spec"]["template"];
    [cron_job, deployment]
        .map(|pod| pod["metadata"]["labels"].clone())
        .to_vec()
}
