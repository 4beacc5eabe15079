//! A shop in a cluster where everything moves, and our programs beside it, each with the rights of its own account.

use std::path::PathBuf;
use std::process::Stdio;

use sandbox::apiserver::ApiServerOptions;
use sandbox::clock::Clock;
use sandbox::cluster::Cluster;
use sandbox::manifests;
use sandbox::programs::programs;
use serde_json::json;
use tokio::process::{Child, Command};

/// The namespace `shop`, and everything of `deploy/` but what would start by itself. Time runs 20 times as fast.
pub(crate) async fn open() -> Cluster {
    let options = ApiServerOptions {
        clock: Clock::faster(20.0),
        ..ApiServerOptions::default()
    };
    let cluster = Cluster::moving(options).await;
    let mut objects = manifests::install();
    objects.retain(|object| object["kind"] != "Deployment" && object["kind"] != "CronJob");
    cluster.apply(&objects).await;
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
    cluster.apply(&[namespace]).await;
    cluster
}

/// Starts a program with the rights of its own service account.
pub(crate) fn start(cluster: &Cluster, name: &str, arguments: &[&str]) -> Child {
    let kubeconfig: PathBuf = cluster.kubeconfig_file(Some(("kubefresh", name)));
    Command::new(&programs()[name])
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", "kubefresh")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) fn start_updater(cluster: &Cluster) -> Child {
    let listen = ["--listen-address", "127.0.0.1", "--port", "0"];
    start(
        cluster,
        "kubefresh-updater",
        &[&["run", "--lease-duration", "2s"], &listen[..]].concat(),
    )
}

pub(crate) async fn scan(cluster: &Cluster) {
    let status = start(cluster, "kubefresh-scanner", &["scan"])
        .wait()
        .await
        .unwrap();
    assert!(status.success(), "{status}");
}
