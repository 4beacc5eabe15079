//! The tools of others that the ignored tests drive: skopeo, docker-registry, kubectl. A missing one fails the test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

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

/// Debian's `docker-registry` on a free port; it ends when this is dropped.
pub(crate) struct DockerRegistry {
    pub(crate) host: String,
    _directory: tempfile::TempDir,
    _process: tokio::process::Child,
}

/// Starts one that is open to everybody.
pub(crate) async fn docker_registry() -> DockerRegistry {
    start_docker_registry(None).await
}

/// The user of [`private_docker_registry`], with the password `secret`.
const HTPASSWD: &str = "ann:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

/// Starts one that lets in only `ann` with the password `secret`.
pub(crate) async fn private_docker_registry() -> DockerRegistry {
    start_docker_registry(Some(HTPASSWD)).await
}

async fn start_docker_registry(htpasswd: Option<&str>) -> DockerRegistry {
    let directory = tempfile::tempdir().unwrap();
    // Free a moment ago: good enough for a test that is run by hand.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let root = directory.path().display();
    let config = directory.path().join("config.yml");
    let auth = htpasswd.map(|users| {
        let path = directory.path().join("htpasswd");
        std::fs::write(&path, users).unwrap();
        format!(
            "auth: {{htpasswd: {{realm: registry, path: {}}}}}\n",
            path.display()
        )
    });
    let auth = auth.unwrap_or_default();
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: \"{address}\"}}\n{auth}"
    );
    std::fs::write(&config, text).unwrap();
    let process = Command::new("docker-registry")
        .arg("serve")
        .arg(&config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("docker-registry is installed");
    let answering = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answering)
        .await
        .expect("docker-registry answers");
    DockerRegistry {
        host: address.to_string(),
        _directory: directory,
        _process: process,
    }
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
