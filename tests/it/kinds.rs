//! Workloads of every kind, all the way: the real scanner, the real updater, and controllers that move the pods.

mod edited;
mod failing;
mod meanwhile;
mod moving_tags;
mod other_images;
mod reverting;
mod rolling_back;
mod undoing;
mod unwatched;
mod updating;
mod watch_cluster;

use std::sync::Arc;
use std::time::Duration;

use sandbox::apiserver::faults::{Fault, FaultRule, InstalledFault};
use sandbox::apiserver::resources::{EVENTS, PODS, Resource};
use sandbox::apiserver::store::Store;
use sandbox::cluster::{Cluster, eventually};
use sandbox::registry::ImageSpec;
use serde_json::{Value, json};
use tokio::process::Child;

use crate::shop::{self, scan, start_updater};

/// Longer than a namespace rests whose pods once took long to list.
const LIMIT: Duration = Duration::from_mins(2);

/// A shop in which `shop/db` is published as 1.4.0.
struct Stage {
    cluster: Cluster,
    store: Store,
}

impl Stage {
    async fn set() -> Self {
        let cluster = shop::open().await;
        let store = cluster.api.store();
        let stage = Self { cluster, store };
        stage.publish("shop/db", "1.4.0", &[]);
        stage
    }

    /// Publishes an image with labels for the simulated container.
    fn publish(&self, repository: &str, tag: &str, labels: &[(&str, &str)]) {
        let spec = labels
            .iter()
            .fold(ImageSpec::new(repository, tag), |spec, (key, value)| {
                spec.label(&format!("sandbox.kubefresh.dev/{key}"), value)
            });
        self.cluster.registry.publish(&spec);
    }

    fn image(&self, repository: &str, tag: &str) -> String {
        self.cluster.registry.reference(repository, tag)
    }

    /// Applies a workload `db` that is watched in mode `auto`: this kind, this `spec` without its template, and
    /// `shop/db:1.4.0`.
    async fn run(&self, kind: &str, mut spec: Value) {
        let container = json!({ "name": "db", "image": self.image("shop/db", "1.4.0") });
        spec["selector"] = json!({ "matchLabels": { "app": "db" } });
        spec["template"] = json!({
            "metadata": { "labels": { "app": "db" } },
            "spec": { "containers": [container] },
        });
        self.apply("apps/v1", kind, &spec).await;
    }

    async fn apply(&self, api_version: &str, kind: &str, spec: &Value) {
        let object = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": "db",
                "namespace": "shop",
                "annotations": { "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto" },
            },
            "spec": spec,
        });
        self.cluster.apply(&[object]).await;
    }

    fn annotate(&self, resource: &'static Resource, key: &str, value: &str) {
        let annotate = |object: &mut Value| {
            object["metadata"]["annotations"][key] = json!(value);
            Ok(())
        };
        self.store.update(resource, "shop", "db", annotate).unwrap();
    }

    /// Publishes `shop/db:1.5.0` with these labels, scans, and starts an updater.
    async fn offer(&self, labels: &[(&str, &str)]) -> Child {
        self.publish("shop/db", "1.5.0", labels);
        scan(&self.cluster).await;
        start_updater(&self.cluster)
    }

    /// Answers every list of these that the updater asks for with this.
    fn fail_to_list(&self, resource: &str, fault: Fault) -> Arc<InstalledFault> {
        let listing = FaultRule::new(fault)
            .verb("list")
            .resource(resource)
            .user(":kubefresh-updater");
        self.cluster.api.faults().install(listing)
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        eventually(what, LIMIT, || async { is_so().then_some(()) }).await;
    }

    /// Waits until `db` is there and as wanted.
    async fn wait(&self, resource: &'static Resource, what: &str, is_so: impl Fn(&Value) -> bool) {
        self.until(what, || self.get(resource).is_some_and(|object| is_so(&object)))
            .await;
    }

    fn get(&self, resource: &'static Resource) -> Option<Arc<Value>> {
        self.store.get(resource, "shop", "db")
    }

    /// Waits until the update of `db` has a result, and returns it.
    async fn result(&self, resource: &'static Resource) -> String {
        eventually("the update has a result", LIMIT, || async {
            let object = self.get(resource)?;
            assert_ne!(object["metadata"]["annotations"], Value::Null);
            annotation(&object, "last-result")
        })
        .await
    }

    /// The tags that the pods of `db` run, by the pods' names.
    fn tags(&self) -> Vec<String> {
        let pods = self.store.list(&PODS, Some("shop"));
        let tag = |pod: &Arc<Value>| {
            let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
            image.rsplit(':').next().unwrap().to_owned()
        };
        pods.iter().map(tag).collect()
    }

    /// Reasons of the updater's Events, in order, each with the kind of workload that it is about.
    fn told(&self) -> Vec<(String, String)> {
        let mut events = self.store.list(&EVENTS, Some("shop"));
        events.retain(|event| event["reportingComponent"] == "kubefresh.dev/updater");
        events.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        events
            .iter()
            .map(|event| (text(&event["reason"]), text(&event["involvedObject"]["kind"])))
            .collect()
    }

    /// What the updater's last Event says.
    fn last_note(&self) -> String {
        let mut events = self.store.list(&EVENTS, Some("shop"));
        events.retain(|event| event["reportingComponent"] == "kubefresh.dev/updater");
        let last = events.iter().max_by_key(|event| event["eventTime"].as_str());
        last.unwrap()["message"].as_str().unwrap().to_owned()
    }

    /// How often our updater asked for these.
    fn asked_for(&self, resource: &str) -> usize {
        let mut requests = self.cluster.api.requests();
        requests
            .retain(|request| request.resource == resource && request.user.ends_with(":kubefresh-updater"));
        requests.len()
    }

    /// How often the `spec` of `db` was set.
    fn generation(&self, resource: &'static Resource) -> i64 {
        let object = self.get(resource).unwrap();
        object["metadata"]["generation"].as_i64().unwrap()
    }
}

fn annotation(object: &Value, key: &str) -> Option<String> {
    let value = &object["metadata"]["annotations"][format!("kubefresh.dev/{key}")];
    value.as_str().map(str::to_owned)
}

/// Whether a StatefulSet has this many pods, all of its newest revision, and all ready.
fn has_settled(set: &Value, replicas: i64) -> bool {
    let status = &set["status"];
    status["updatedReplicas"] == replicas
        && status["readyReplicas"] == replicas
        && status["currentRevision"] == status["updateRevision"]
}

fn told_of(kind: &str, reasons: &[&str]) -> Vec<(String, String)> {
    reasons
        .iter()
        .map(|reason| ((*reason).to_owned(), kind.to_owned()))
        .collect()
}
