//! A cluster with many watched workloads, each with a repository and a record of its own.

use std::time::Duration;

use jiff::Timestamp;
use sandbox::apiserver::resources::{
    CONFIG_MAPS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, Resource, STATEFUL_SETS,
};
use sandbox::apiserver::{ApiServerOptions, RequestRecord};
use sandbox::cluster::{Cluster, eventually};
use sandbox::manifests;
use serde_json::{Value, json};
use shared::domain::record::ScanRecord;
use shared::domain::record::choices::Choices;
use shared::domain::record::scan::{Answer, complete};
use shared::domain::reference::Tag;

pub(crate) const NAMESPACE: &str = "kubefresh";
pub(crate) const ACCOUNT: &str = "kubefresh-updater";

/// How long a patch may be waited for before the measurement is given up.
const LIMIT: Duration = Duration::from_secs(30);

/// One in so many workloads is a Deployment, StatefulSet, DaemonSet, CronJob.
const KINDS: [&Resource; 4] = [&DEPLOYMENTS, &STATEFUL_SETS, &DAEMON_SETS, &CRON_JOBS];

/// The cluster.
pub(crate) struct Fleet {
    pub(crate) cluster: Cluster,
}

impl Fleet {
    pub(crate) async fn new(workloads: usize) -> Self {
        let cluster = Cluster::still(ApiServerOptions::default()).await;
        let no_pods = |object: &Value| !["Deployment", "CronJob"].contains(&object["kind"].as_str().unwrap());
        let rights: Vec<Value> = manifests::install().into_iter().filter(no_pods).collect();
        cluster.apply(&rights).await;
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
        cluster.apply(&[namespace]).await;
        let store = cluster.api.store();
        for number in 0..workloads {
            store.create(kind(number), workload(number)).unwrap();
            let record = record(number, &["1.4.0"], None).to_config_map(NAMESPACE);
            store
                .create(&CONFIG_MAPS, serde_json::to_value(record).unwrap())
                .unwrap();
        }
        Self { cluster }
    }

    /// A record gets a newer tag. Answers with the time until the patch of its workload arrived.
    pub(crate) async fn offer(&self, number: usize) -> Duration {
        let record = record(number, &["1.4.0", "1.5.0"], None).to_config_map(NAMESPACE);
        let name = record.metadata.name.clone().unwrap();
        let next = serde_json::to_value(record).unwrap();
        let store = self.cluster.api.store();
        let written = Timestamp::now();
        store
            .update(&CONFIG_MAPS, NAMESPACE, &name, |object| {
                object["data"] = next["data"].clone();
                object["metadata"]["labels"] = next["metadata"]["labels"].clone();
                Ok(())
            })
            .unwrap();
        let name = name_of(number);
        let arrived = eventually("the workload is patched", LIMIT, || async {
            let requests = self.cluster.api.requests();
            let patch = requests
                .iter()
                .find(|request| request.verb == "patch" && request.name == name && request.code == 200);
            patch.map(|request| request.at)
        })
        .await;
        Duration::try_from(arrived.duration_since(written)).unwrap_or_default()
    }

    /// What the updater asked but for what it has to.
    pub(crate) fn requests_besides_watches_and_lease(&self) -> Vec<RequestRecord> {
        let mut requests = self.cluster.api.requests();
        requests.retain(|request| request.verb != "watch" && request.resource != "leases");
        requests
    }
}

/// Of each kind the same number.
pub(crate) fn kind(number: usize) -> &'static Resource {
    KINDS[number % KINDS.len()]
}

pub(crate) fn name_of(number: usize) -> String {
    format!("workload-{number:05}")
}

/// About what people write and `kubectl apply` leaves, which keeps a copy of it in an annotation.
pub(crate) fn workload(number: usize) -> Value {
    let (resource, name) = (kind(number), name_of(number));
    let variables: Vec<Value> = (0..10)
        .map(|number| json!({ "name": format!("SETTING_{number}"), "value": "a value of some length" }))
        .collect();
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": {
            "restartPolicy": if resource.kind == "CronJob" { "Never" } else { "Always" },
            "containers": [{
                "name": "app",
                "image": format!("registry.example/shop/app-{number}:1.4.0"),
                "env": variables,
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
            }],
        },
    });
    let spec = if resource.kind == "CronJob" {
        json!({ "schedule": "0 3 * * *", "jobTemplate": { "spec": { "template": template } } })
    } else {
        json!({ "selector": { "matchLabels": { "app": name } }, "template": template })
    };
    json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": "shop",
            "annotations": {
                "kubefresh.dev/watch": "true",
                "kubefresh.dev/mode": "auto",
                "kubectl.kubernetes.io/last-applied-configuration": spec.to_string(),
            },
        },
        "spec": spec,
    })
}

/// What a scan for that workload finds.
pub(crate) fn record(number: usize, tags: &[&str], previous: Option<&ScanRecord>) -> ScanRecord {
    let published: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    let demands = ["1.4.0 minor"].iter().map(|line| line.parse().unwrap()).collect();
    let choices = Choices::among(demands, Some(&published));
    let repository = format!("registry.example/shop/app-{number}").parse().unwrap();
    complete(
        previous,
        repository,
        choices,
        &Answer::default(),
        Timestamp::now(),
    )
}
