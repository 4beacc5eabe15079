//! A cluster and what its workloads use, in numbers.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use sandbox::apiserver::ApiServerOptions;
use sandbox::cluster::Cluster;
use sandbox::docker_registry::DockerRegistry;
use sandbox::manifests;
use sandbox::registry::{ImageSpec, push};
use serde_json::{Value, json};

use crate::CONCURRENCY;

/// The same as the scanner's own, so that the registry does the same for both.
pub(crate) const ACCEPT_LIST: &str = "application/json";
const ACCEPT_MANIFEST: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// One repository in so many follows a digest; the others choose among versions.
const DIGEST_EVERY: usize = 5;

/// How the lists of tags are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TagLists {
    /// Each repository has a folder with so many tags.
    Own(usize),
    /// All repositories show the same folder with so many tags.
    Shared(usize),
}

/// A cluster with one Deployment for each repository of `NAME/…` in a registry.
pub(crate) struct Shop {
    pub(crate) cluster: Cluster,
    pub(crate) host: String,
    pub(crate) repositories: Vec<String>,
    pub(crate) registries_file: PathBuf,
    pub(crate) requests_file: PathBuf,
    _files: tempfile::TempDir,
}

impl Shop {
    /// Writes the registry's files, and applies a Deployment for each repository.
    pub(crate) async fn open(registry: &DockerRegistry, name: &str, count: usize, lists: TagLists) -> Self {
        let pattern = format!("{name}/pattern");
        push(
            &format!("http://{}", registry.host),
            &ImageSpec::new(&pattern, "1.4.0"),
        )
        .await
        .unwrap();
        let pattern = registry.repositories().join(pattern);
        let (TagLists::Own(tags) | TagLists::Shared(tags)) = lists;
        let shared_tags = pattern.with_file_name("pattern-tags");
        write_tags(&pattern, &shared_tags, tags);
        let repositories: Vec<String> = (0..count)
            .map(|number| format!("{name}/app-{number:04}"))
            .collect();
        for repository in &repositories {
            let target = registry.repositories().join(repository);
            for part in ["_layers", "_manifests/revisions"] {
                copy(&pattern.join(part), &target.join(part));
            }
            let target = target.join("_manifests/tags");
            match lists {
                TagLists::Own(_) => copy(&shared_tags, &target),
                TagLists::Shared(_) => symlink(&shared_tags, target).unwrap(),
            }
        }
        let files = tempfile::tempdir().unwrap();
        let shop = Self {
            cluster: Cluster::still(ApiServerOptions::default()).await,
            host: registry.host.clone(),
            repositories,
            registries_file: files.path().join("registries.yaml"),
            requests_file: files.path().join("requests"),
            _files: files,
        };
        shop.write_settings();
        shop.cluster.apply(&manifests::install()).await;
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
        shop.cluster.apply(&[namespace]).await;
        let deployments: Vec<Value> = (0..shop.repositories.len())
            .map(|number| shop.deployment(number))
            .collect();
        shop.cluster.apply(&deployments).await;
        shop
    }

    /// Whether its workload follows a digest.
    pub(crate) fn follows_digest(number: usize) -> bool {
        number % DIGEST_EVERY == DIGEST_EVERY - 1
    }

    /// The settings of the scanner for its registry, and the requests of a later scan for wrk.
    fn write_settings(&self) {
        let settings = format!(
            "registries:\n  \"{}\": {{concurrency: {CONCURRENCY}, requestsPerSecond: 100000, burst: 100000}}\n",
            self.host
        );
        std::fs::write(&self.registries_file, settings).unwrap();
        let mut requests = String::new();
        for (number, repository) in self.repositories.iter().enumerate() {
            if Self::follows_digest(number) {
                writeln!(requests, "/v2/{repository}/manifests/1.4.0 {ACCEPT_MANIFEST}").unwrap();
            } else {
                writeln!(requests, "/v2/{repository}/tags/list {ACCEPT_LIST}").unwrap();
            }
        }
        std::fs::write(&self.requests_file, requests).unwrap();
    }

    /// About what people write: a pod with variables, a probe and resources.
    fn deployment(&self, number: usize) -> Value {
        let repository = &self.repositories[number];
        let name = repository.replace('/', "-");
        let policy = if Self::follows_digest(number) {
            "digest"
        } else {
            "minor"
        };
        let variables: Vec<Value> = (0..10)
            .map(|number| json!({ "name": format!("SETTING_{number}"), "value": "a value of some length" }))
            .collect();
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "annotations": { "kubefresh.dev/watch": "true", "kubefresh.dev/policy": policy },
            },
            "spec": {
                "selector": { "matchLabels": { "app": name } },
                "template": {
                    "metadata": { "labels": { "app": name } },
                    "spec": { "containers": [{
                        "name": "app",
                        "image": format!("{}/{repository}:1.4.0", self.host),
                        "env": variables,
                        "ports": [{ "name": "http", "containerPort": 8080 }],
                        "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" } },
                        "resources": {
                            "requests": { "cpu": "100m", "memory": "128Mi" },
                            "limits": { "memory": "256Mi" },
                        },
                    }] },
                },
            },
        })
    }
}

/// A folder with so many tags of the pattern's image.
fn write_tags(pattern: &Path, folder: &Path, count: usize) {
    let image = pattern.join("_manifests/tags/1.4.0");
    for number in 0..count {
        copy(&image, &folder.join(format!("1.{}.{}", number / 20, number % 20)));
    }
    copy(&image, &folder.join("1.4.0"));
}

/// A folder with everything in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
