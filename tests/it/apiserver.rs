//! The embedded API server, driven by unchanged kube-rs programs.

mod client;
mod faults;
mod leases_and_events;
mod watching;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sandbox::apiserver::{ApiServer, ApiServerOptions};

async fn start() -> ApiServer {
    ApiServer::start(ApiServerOptions::default()).await
}

async fn client_of(kubeconfig: &str) -> Client {
    // Only the first installation can succeed, and it is as good as any other.
    rustls::crypto::ring::default_provider().install_default().ok();
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

async fn admin(server: &ApiServer) -> Client {
    client_of(&server.admin_kubeconfig()).await
}
