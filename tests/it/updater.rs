//! The updater against the API server, under the rights of `deploy/`. Nothing else moves: each test plays the Deployment
//! controller itself, so it decides what the updater gets to see and when.

mod agreeing;
mod approving;
mod both_leading;
mod browser;
mod channels;
mod commands;
mod crowd;
mod dialects;
mod faults;
mod going_back;
mod held;
mod kept;
mod leading;
mod links;
mod meanwhile;
mod memory_limit;
mod migrate;
mod monitoring;
mod namespaces;
mod news;
mod notes;
mod notes_asked;
mod notes_in_trouble;
mod offers;
mod pages;
mod policies;
mod programs;
mod rolling_back;
mod scanning;
mod signing_in;
mod slowing_down;
mod summaries;
mod summaries_in_trouble;
mod telling;
mod undoing;
mod unreadable;
mod updating;
mod waiting;
mod webhooks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use sandbox::apiserver::{ApiServerOptions, RequestRecord};
use sandbox::cluster::{Cluster, client, config, eventually};
use sandbox::manifests;
use serde_json::{Value, json};
use shared::domain::record::choices::Choices;
use shared::domain::record::config_map::record_name;
use shared::domain::record::scan::{Answer, complete};
use shared::domain::reference::Tag;
use shared::io::clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use updater::app::{self, AppError};
use updater::cli::{Cli, Settings};

use crate::shop;

/// Far more than anything here takes, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(30);
/// The account of the updater, as `deploy/` makes it.
const UPDATER: &str = "kubefresh-updater";
/// A second account with the same rights, to tell two updaters apart in the log of requests.
const SECOND: &str = "second-updater";
/// What runs, and what is offered.
const OLD: &str = "registry.example/shop/checkout:1.4.0";
const NEW: &str = "registry.example/shop/checkout:1.5.0";
const NAMESPACE: &str = "kubefresh";
const LEASE: &str = "kubefresh-updater";
/// How long it lasts.
const LEASE_SECONDS: u64 = 2;
/// How long it lasts where nobody waits until it has run out: long enough for a machine that stalls.
const STEADY_LEASE: Duration = Duration::from_secs(15);

/// A cluster with Kubefresh's rights installed, a namespace for workloads, and a client with every right.
struct Stage {
    cluster: Cluster,
    client: Client,
}

impl Stage {
    async fn set() -> Self {
        let cluster = Cluster::still(ApiServerOptions::default()).await;
        let no_pods = |object: &Value| !["Deployment", "CronJob"].contains(&object["kind"].as_str().unwrap());
        let rights: Vec<Value> = manifests::install().into_iter().filter(no_pods).collect();
        cluster.apply(&rights).await;
        cluster.apply(&second_account()).await;
        cluster
            .apply(&[json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } })])
            .await;
        let client = cluster.client().await;
        Self { cluster, client }
    }

    /// A stage with a watched deployment `checkout` at 1.4.0 that has rolled out, and no record yet.
    async fn with_checkout(annotations: &[(&str, &str)]) -> Self {
        let stage = Self::set().await;
        stage
            .deploy("checkout", "registry.example/shop/checkout:1.4.0", annotations)
            .await;
        stage.roll_out("checkout").await;
        stage
    }

    /// Creates a deployment that is watched in mode `auto`, with more annotations.
    async fn deploy(&self, name: &str, image: &str, annotations: &[(&str, &str)]) {
        let mut all = BTreeMap::from([("kubefresh.dev/watch", "true"), ("kubefresh.dev/mode", "auto")]);
        all.extend(annotations.iter().copied());
        let mut deployment = shop::deployment(name, image, &json!(all));
        deployment["spec"]["replicas"] = json!(2);
        self.cluster.apply(&[deployment]).await;
    }

    /// Stores the record that a scan of `repository` would have written just now.
    async fn scanned(&self, repository: &str, demands: &[&str], tags: &[&str]) {
        let published: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let demands = demands.iter().map(|line| line.parse().unwrap()).collect();
        let choices = Choices::among(demands, Some(&published));
        let repository = repository.parse().unwrap();
        let record = complete(None, repository, choices, &Answer::default(), clock::now());
        let config_map = serde_json::to_value(record.to_config_map(NAMESPACE)).unwrap();
        self.cluster.apply(&[config_map]).await;
    }

    /// Stores a record by which `checkout` goes from 1.4.0 to 1.5.0.
    async fn offer_1_5_0(&self) {
        self.scanned(
            "registry.example/shop/checkout",
            &["1.4.0 minor"],
            &["1.4.0", "1.5.0"],
        )
        .await;
    }

    /// The same, and somebody's hand slipped in it.
    async fn offer_1_5_0_in_a_record_that_is_broken(&self) {
        self.offer_1_5_0().await;
        let records: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let name = record_name(&"registry.example/shop/checkout".parse().unwrap());
        let patch = Patch::Merge(json!({ "data": { "tags": "- [" } }));
        records
            .patch(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), "shop")
    }

    async fn deployment(&self, name: &str) -> Deployment {
        self.deployments().get(name).await.unwrap()
    }

    async fn image(&self, name: &str) -> String {
        let spec = self.deployment(name).await.spec.unwrap();
        spec.template.spec.unwrap().containers[0].image.clone().unwrap()
    }

    async fn annotation(&self, name: &str, key: &str) -> Option<String> {
        let annotations = self.deployment(name).await.metadata.annotations;
        annotations
            .unwrap_or_default()
            .remove(&format!("kubefresh.dev/{key}"))
    }

    /// Sets the image by hand, as `kubectl set image` does.
    async fn set_image(&self, name: &str, image: &str) {
        let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } } });
        let patch = Patch::Strategic(patch);
        self.deployments()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Sets an annotation by hand.
    async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
        self.deployments()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// What the Deployment controller does when all goes well.
    async fn roll_out(&self, name: &str) {
        self.set_status(name, 2, &json!([])).await;
    }

    /// What it does when the new pods never become available.
    async fn give_up(&self, name: &str) {
        let condition = json!([{
            "type": "Progressing",
            "status": "False",
            "reason": "ProgressDeadlineExceeded",
            "message": format!("ReplicaSet \"{name}-1\" has timed out progressing."),
        }]);
        self.set_status(name, 0, &condition).await;
    }

    async fn set_status(&self, name: &str, available: i32, conditions: &Value) {
        let generation = self.deployment(name).await.metadata.generation;
        let status = json!({ "status": {
            "observedGeneration": generation,
            "replicas": 2,
            "updatedReplicas": 2,
            "readyReplicas": available,
            "availableReplicas": available,
            "unavailableReplicas": 2 - available,
            "conditions": conditions,
        } });
        self.deployments()
            .patch_status(name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
    }

    /// Waits for an image, which is how an update begins.
    async fn image_becomes(&self, name: &str, image: &str) {
        let what = format!("{name} has the image {image}");
        eventually(&what, LIMIT, || async {
            (self.image(name).await == image).then_some(())
        })
        .await;
    }

    /// Waits for the result, which is how an update ends, and returns it.
    async fn result(&self, name: &str) -> String {
        let what = format!("the update of {name} has a result");
        eventually(&what, LIMIT, || async {
            self.annotation(name, "last-result").await
        })
        .await
    }

    /// Waits until `checkout` has this result.
    async fn result_becomes(&self, result: &str) {
        eventually(&format!("the result is {result:?}"), LIMIT, || async {
            let found = self.annotation("checkout", "last-result").await;
            (found.as_deref() == Some(result)).then_some(())
        })
        .await;
    }

    /// Waits until `checkout` holds this.
    async fn is_held(&self, hold: &str) {
        eventually(&format!("{hold} is held"), LIMIT, || async {
            let found = self.annotation("checkout", "hold").await;
            (found.as_deref() == Some(hold)).then_some(())
        })
        .await;
    }

    /// Updates `checkout`, and plays the controller for it.
    async fn update_to_1_5_0(&self) {
        self.offer_1_5_0().await;
        self.image_becomes("checkout", NEW).await;
        self.roll_out("checkout").await;
        self.result_becomes("completed").await;
    }

    /// Reasons of the Events on a workload, in order.
    async fn told(&self, name: &str) -> Vec<String> {
        let events = self.events(name).await;
        events.into_iter().filter_map(|event| event.reason).collect()
    }

    async fn events(&self, name: &str) -> Vec<Event> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), "shop");
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| {
            event
                .regarding
                .as_ref()
                .is_some_and(|about| about.name.as_deref() == Some(name))
        });
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        events
    }

    /// Patches of a deployment itself (not of its status) by our accounts, with the code of the answer.
    fn patches(&self, name: &str) -> Vec<RequestRecord> {
        let mut requests = self.cluster.api.requests();
        requests.retain(|request| {
            request.verb == "patch"
                && request.resource == "deployments"
                && request.subresource.is_empty()
                && request.name == name
                && request.user.starts_with("system:serviceaccount:")
        });
        requests
    }

    /// What this account did that changes something.
    fn writes_by(&self, account: &str) -> Vec<RequestRecord> {
        let mut requests = self.cluster.api.requests();
        requests.retain(|request| {
            request.user.ends_with(&format!(":{account}"))
                && !["get", "list", "watch"].contains(&request.verb.as_str())
        });
        requests
    }

    async fn lease_holder(&self, lease: &str) -> String {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        let lease = api.get_opt(lease).await.unwrap();
        let holder = lease
            .and_then(|lease| lease.spec)
            .and_then(|spec| spec.holder_identity);
        holder.unwrap_or_default()
    }

    /// As the program makes it.
    async fn client_of(&self, account: &str) -> Client {
        let config = config(&self.cluster.api.kubeconfig_for(NAMESPACE, account)).await;
        updater::client::obedient(config).unwrap()
    }

    /// Starts an updater of this account in this process.
    async fn updater(&self, account: &str, lease: &str) -> Updater {
        let client = self.client_of(account).await;
        Updater::start(client, account, lease).await
    }

    /// Starts the usual one and waits until it leads.
    async fn leader(&self) -> Updater {
        self.leader_with(&[]).await
    }

    /// The same, with more on its command line, and for ends that wait so long for what cannot be told.
    async fn impatient_leader(&self, options: &[&str], patience: Duration) -> Updater {
        self.leader_that(options, |settings| settings.patience = patience)
            .await
    }

    /// The same, with settings that no command line has.
    async fn leader_that(&self, options: &[&str], differs: impl FnOnce(&mut Settings)) -> Updater {
        let client = self.client_of(UPDATER).await;
        let mut settings = settings(UPDATER, LEASE, options);
        differs(&mut settings);
        let updater = Updater::run(client, settings).await;
        updater.leads().await;
        updater
    }

    /// The same, with more on its command line.
    async fn leader_with(&self, options: &[&str]) -> Updater {
        self.leader_that(options, |_| {}).await
    }

    /// The same, for one that is to lead to its end however slow the machine is. Were it killed, the next one would have to wait.
    async fn steady_leader(&self, options: &[&str]) -> Updater {
        self.leader_that(options, |settings| settings.lease_duration = STEADY_LEASE)
            .await
    }
}

/// Same rights as the updater's own account, and any lease.
fn second_account() -> Vec<Value> {
    let subject = json!([{ "kind": "ServiceAccount", "name": SECOND, "namespace": NAMESPACE }]);
    let role = |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
    let in_namespace = |kind: &str, name: &str, rest: Value| {
        let mut object = rest;
        object["kind"] = json!(kind);
        object["metadata"] = json!({ "name": name, "namespace": NAMESPACE });
        object
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    let leases = json!([{
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "patch"],
    }]);
    vec![
        in_namespace("ServiceAccount", SECOND, json!({ "apiVersion": "v1" })),
        in_namespace(
            "Role",
            "any-lease",
            json!({ "apiVersion": rbac, "rules": leases }),
        ),
        in_namespace(
            "RoleBinding",
            "second-lease",
            json!({ "apiVersion": rbac, "roleRef": role("Role", "any-lease"), "subjects": subject }),
        ),
        in_namespace(
            "RoleBinding",
            "second-records",
            json!({ "apiVersion": rbac, "roleRef": role("Role", "kubefresh-updater"), "subjects": subject }),
        ),
        json!({
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": { "name": "second-workloads" },
            "roleRef": role("ClusterRole", "kubefresh-updater"),
            "subjects": subject,
        }),
    ]
}

/// What an updater is told on its command line.
fn settings(pod: &str, lease: &str, more: &[&str]) -> Settings {
    let words = [
        "kubefresh-updater",
        "--namespace",
        NAMESPACE,
        "--pod-name",
        pod,
        "--lease-name",
        lease,
    ];
    let lasts = format!("--lease-duration={LEASE_SECONDS}s");
    let words = words
        .iter()
        .copied()
        .chain([lasts.as_str()])
        .chain(more.iter().copied());
    Cli::try_parse_from(words).unwrap().run.settings().unwrap()
}

/// An updater in this process.
struct Updater {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AppError>>,
}

impl Updater {
    async fn start(client: Client, pod: &str, lease: &str) -> Self {
        Self::start_with(client, pod, lease, &[]).await
    }

    /// Starts one that is told more.
    async fn start_with(client: Client, pod: &str, lease: &str, more: &[&str]) -> Self {
        Self::run(client, settings(pod, lease, more)).await
    }

    async fn run(client: Client, settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(app::run(settings, client, listener, stop.clone()));
        Self { address, stop, task }
    }

    /// A page, with its status.
    async fn page(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.address))
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until the metrics have this line.
    async fn shows(&self, line: &str) {
        eventually(&format!("the metrics show {line}"), LIMIT, || async {
            let (_, text) = self.page("/metrics").await;
            text.lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    async fn leads(&self) {
        self.shows("kubefresh_leader 1").await;
    }

    async fn is_ready(&self) {
        eventually("the updater is ready", LIMIT, || async {
            (self.page("/readyz").await.0 == 200).then_some(())
        })
        .await;
    }

    /// Ends it as a signal does.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Ends it as a power cut does: nothing is said to anybody.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
