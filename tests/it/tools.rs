//! The tools of others that the ignored tests drive: skopeo and kubectl. A missing one fails the test.

use std::path::PathBuf;
use std::process::Stdio;

use sandbox::cluster::Cluster;
use sandbox::programs::workspace;
use tokio::process::Command;

/// Runs skopeo and answers with what it printed.
pub(crate) async fn skopeo(arguments: &[&str]) -> String {
    let output = Command::new("skopeo")
        .args(arguments)
        .output()
        .await
        .expect("skopeo is installed");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "skopeo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// kubectl with the administrator's rights, in the root of the repository.
pub(crate) struct Kubectl {
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self {
            kubeconfig: cluster.kubeconfig_file(None),
        }
    }

    /// Runs it and answers with what it printed.
    pub(crate) async fn run(&self, line: &str) -> String {
        self.arguments(&line.split_whitespace().collect::<Vec<_>>()).await
    }

    /// The same for arguments with spaces in them.
    pub(crate) async fn arguments(&self, arguments: &[&str]) -> String {
        let output = Command::new("kubectl")
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .current_dir(workspace())
            .stdin(Stdio::null())
            .output()
            .await
            .expect("kubectl is installed");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}
