//! A shop in a cluster where everything moves, and our programs beside it, each with the rights of its own account.

use std::path::PathBuf;
use std::process::Stdio;

use sandbox::apiserver::ApiServerOptions;
use sandbox::clock::Clock;
use sandbox::cluster::Cluster;
use sandbox::manifests;
use sandbox::network::Network;
use sandbox::programs::programs;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// What links are signed with.
pub(crate) const SIGNING_KEY: &str = "a key of the tests, and nobody else's: 0123456789";

/// The namespace `shop`, and everything of `deploy/` but what would start by itself. Time runs 20 times as fast.
pub(crate) async fn open() -> Cluster {
    let options = ApiServerOptions {
        clock: Clock::faster(20.0),
        ..ApiServerOptions::default()
    };
    open_with(options, &[]).await
}

/// The same with the scanner's CronJob, which is not due for months, in real time: our programs compare their own with that of Jobs.
pub(crate) async fn open_with_cron_job() -> Cluster {
    let mut objects = manifests::install();
    objects.retain(|object| object["kind"] == "CronJob");
    for object in &mut objects {
        object["spec"]["schedule"] = json!("0 0 1 6 *");
    }
    open_with(ApiServerOptions::default(), &objects).await
}

async fn open_with(options: ApiServerOptions, more: &[Value]) -> Cluster {
    let cluster = Cluster::moving(options).await;
    let mut objects = manifests::install();
    objects.retain(|object| object["kind"] != "Deployment" && object["kind"] != "CronJob");
    cluster.apply(&objects).await;
    cluster.apply(more).await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    cluster.apply(&[namespace]).await;
    cluster
}

/// A Deployment in the namespace `shop` of one container, `app`, that has this image.
pub(crate) fn deployment(name: &str, image: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": "shop", "annotations": annotations },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{ "name": "app", "image": image }] },
            },
        },
    })
}

/// The Deployment `checkout`, as `shop/checkout:1.4.0` of the cluster's registry.
pub(crate) fn checkout(cluster: &Cluster, annotations: &Value) -> Value {
    let image = cluster.registry.reference("shop/checkout", "1.4.0");
    deployment("checkout", &image, annotations)
}

/// A program with the rights of its own service account, which says nothing.
pub(crate) fn command(cluster: &Cluster, name: &str, arguments: &[&str]) -> Command {
    let kubeconfig: PathBuf = cluster.kubeconfig_file(Some(("kubefresh", name)));
    let mut command = Command::new(&programs()[name]);
    command
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", "kubefresh")
        // Unless the arguments say otherwise.
        .env("LEASE_DURATION", "2s")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Starts it.
pub(crate) fn start(cluster: &Cluster, name: &str, arguments: &[&str]) -> Child {
    command(cluster, name, arguments).spawn().unwrap()
}

/// An updater that listens where nobody else does.
pub(crate) fn updater(cluster: &Cluster, more: &[&str]) -> Command {
    let run = ["run", "--listen-address", "127.0.0.1", "--port", "0"];
    command(cluster, "kubefresh-updater", &[&run, more].concat())
}

pub(crate) fn start_updater(cluster: &Cluster) -> Child {
    start_updater_with(cluster, &[])
}

/// The same, with more on its command line.
pub(crate) fn start_updater_with(cluster: &Cluster, more: &[&str]) -> Child {
    updater(cluster, more).spawn().unwrap()
}

/// The same, for one that reaches the API server by this network.
pub(crate) fn start_updater_by(network: &Network, cluster: &Cluster, more: &[&str]) -> Child {
    let kubeconfig = cluster.kubeconfig_file_by(network, ("kubefresh", "kubefresh-updater"));
    let mut updater = updater(cluster, more);
    updater.env("KUBECONFIG", kubeconfig).spawn().unwrap()
}

pub(crate) async fn scan(cluster: &Cluster) {
    let status = start(cluster, "kubefresh-scanner", &["scan"])
        .wait()
        .await
        .unwrap();
    assert!(status.success(), "{status}");
}
