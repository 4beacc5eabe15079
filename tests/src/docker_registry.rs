//! Debian's `docker-registry`, a registry that others wrote: for the ignored tests and for `just bench-scan`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// One on a free port of this machine; it ends when this is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    pub host: String,
    directory: tempfile::TempDir,
    _process: tokio::process::Child,
}

impl DockerRegistry {
    /// Starts one that is open to everybody.
    ///
    /// # Panics
    /// When it is not installed or does not answer.
    pub async fn open() -> Self {
        Self::start(None).await
    }

    /// Starts one that lets in only those named in an htpasswd file with this content.
    ///
    /// # Panics
    /// When it is not installed or does not answer.
    pub async fn private(htpasswd: &str) -> Self {
        Self::start(Some(htpasswd)).await
    }

    /// Where it keeps what it holds.
    pub fn repositories(&self) -> PathBuf {
        self.root().join("docker/registry/v2/repositories")
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    async fn start(htpasswd: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Free a moment ago: good enough for what is run by hand.
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
        Self {
            host: address.to_string(),
            directory,
            _process: process,
        }
    }
}
