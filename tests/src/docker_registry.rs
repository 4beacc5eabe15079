//! Debian's `docker-registry`, a registry that others wrote: for the ignored tests and for `just bench-scan`.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;

use crate::registry::TokenSigner;

const ACCESS_LOG: &str = "access.log";

/// One on a free port of this machine; it ends when this is dropped.
#[derive(Debug)]
pub struct DockerRegistry {
    pub host: String,
    directory: tempfile::TempDir,
    _process: tokio::process::Child,
}

/// Whom it lets in.
#[derive(Debug)]
pub enum Door {
    Open,
    /// Only `ann` with the password `secret`.
    Htpasswd,
    /// Whoever brings a token for [`TOKEN_SERVICE`] by this signer; tokens are fetched from that address.
    Tokens(String, Arc<TokenSigner>),
}

/// The service that tokens for a docker-registry are good for.
pub const TOKEN_SERVICE: &str = "docker-registry.example";

/// The user `ann` with the password `secret`.
const HTPASSWD: &str = "ann:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

impl DockerRegistry {
    /// Starts one that is open to everybody.
    ///
    /// # Panics
    /// When it is not installed or does not answer.
    pub async fn open() -> Self {
        Self::behind(&Door::Open).await
    }

    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed or does not answer.
    pub async fn behind(door: &Door) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Free a moment ago: good enough for what is run by hand.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let root = directory.path().display();
        let write = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let auth = match door {
            Door::Open => String::new(),
            Door::Htpasswd => {
                let users = write("htpasswd", HTPASSWD);
                format!("auth: {{htpasswd: {{realm: registry, path: {users}}}}}\n")
            }
            Door::Tokens(realm, signer) => {
                let (issuer, bundle) = (signer.issuer(), write("bundle.pem", &signer.certificate_pem()));
                format!(
                    "auth: {{token: {{realm: '{realm}', service: {TOKEN_SERVICE}, issuer: {issuer}, rootcertbundle: {bundle}}}}}\n"
                )
            }
        };
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: \"{address}\"}}\n{auth}"
        );
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(write("config.yml", &config))
            .stdout(std::fs::File::create(directory.path().join(ACCESS_LOG)).unwrap())
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

    /// Where it keeps what it holds.
    pub fn repositories(&self) -> PathBuf {
        self.directory.path().join("docker/registry/v2/repositories")
    }

    /// Method, path and status of every request of a program with this name, by docker-registry's own access log, which
    /// it writes after it has answered.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn asked_by(&self, program: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.directory.path().join(ACCESS_LOG)).unwrap();
        let by_program = format!("\"{program}/");
        let lines = log.lines().filter(|line| line.contains(&by_program));
        let facts = lines.filter_map(|line| {
            let mut quoted = line.split('"').skip(1);
            let (request, status) = (quoted.next()?, quoted.next()?);
            let (request, _version) = request.rsplit_once(' ')?;
            Some(format!("{request} {}", status.split_whitespace().next()?))
        });
        facts.collect()
    }
}
