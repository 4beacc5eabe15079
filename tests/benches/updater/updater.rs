//! The real updater, as the Deployment runs it.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sandbox::cluster::eventually;
use tokio::process::{Child, Command};

use crate::fixture::{ACCOUNT, Fleet, NAMESPACE};
use crate::process;

const LIMIT: Duration = Duration::from_mins(2);

pub(crate) struct Updater {
    child: Child,
    /// From its start until it was ready, which is when it had seen everything.
    pub(crate) synced: Duration,
}

impl Updater {
    pub(crate) async fn start(program: &Path, fleet: &Fleet) -> Self {
        let port = free_port();
        let started = Instant::now();
        let child = Command::new(program)
            .args(["run", "--listen-address", "127.0.0.1", "--max-rollouts", "0"])
            .args(["--port", &port.to_string()])
            .env(
                "KUBECONFIG",
                fleet.cluster.kubeconfig_file(Some((NAMESPACE, ACCOUNT))),
            )
            .env("POD_NAMESPACE", NAMESPACE)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = format!("http://127.0.0.1:{port}/readyz");
        let client = reqwest::Client::new();
        eventually("the updater is ready", LIMIT, || async {
            let answer = client.get(&address).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        Self {
            child,
            synced: started.elapsed(),
        }
    }

    /// Until it leads and has looked.
    pub(crate) async fn leads(&self, fleet: &Fleet) {
        eventually("the updater leads", LIMIT, || async {
            let requests = fleet.cluster.api.requests();
            let is_claim = requests
                .iter()
                .any(|request| request.resource == "leases" && request.verb != "get" && request.code < 300);
            is_claim.then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    /// The highest resident memory so far, in megabytes.
    pub(crate) fn peak(&self) -> f64 {
        let id = self.child.id().expect("it runs");
        process::peak(id).expect("Linux says so")
    }

    pub(crate) async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// One that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
