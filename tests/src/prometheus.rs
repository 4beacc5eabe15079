//! A real Prometheus that asks one program for its metrics: for the ignored tests.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

/// One on a free port of this machine; it ends when this is dropped.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _directory: tempfile::TempDir,
    _process: tokio::process::Child,
}

impl Prometheus {
    /// Starts one that asks `target` each second, and as often evaluates the rules of this file.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn asking(target: SocketAddr, rules: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Free a moment ago: good enough for what is run by hand.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = directory.path().join("prometheus.yml");
        std::fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs: [{{job_name: kubefresh, \
                 static_configs: [{{targets: ['{target}']}}]}}]\n",
                rules.display()
            ),
        )
        .unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("prometheus is installed");
        Self {
            address,
            _directory: directory,
            _process: process,
        }
    }

    /// The data that it answers with; `None` while it starts, or where it does not like the question.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = reqwest::Url::parse_with_params(&format!("http://{}/api/v1/{path}", self.address), query);
        let answer = reqwest::get(url.unwrap()).await.ok()?;
        let mut answer: Value = answer.json().await.ok()?;
        (answer["status"] == "success").then(|| answer["data"].take())
    }
}
