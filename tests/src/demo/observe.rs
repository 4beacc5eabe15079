//! What the demo sees of the cluster, all of it through the API.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, LogParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use shared::domain::plan::{Assessment, Plan, PlanLimits, Snapshot, plan};
use shared::domain::record::ScanRecord;
use shared::domain::workload::Workload;
use shared::io::clock;
use tokio::time::Instant;
use updater::pods::PodReader;

use super::shop::NAMESPACE;

const SYSTEM: &str = "kubefresh";
/// Nothing in the demo takes as long.
const PATIENCE: Duration = Duration::from_secs(90);
const GLANCE: Duration = Duration::from_millis(50);

/// Looks again and again until there is an answer.
pub(super) async fn until<T, F: Future<Output = Result<Option<T>>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("waited {} s in vain until {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// One look at a Deployment.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) image: String,
    pub(super) desired: i32,
    pub(super) updated: i32,
    pub(super) available: i32,
    pub(super) replicas: i32,
    pub(super) in_flight: bool,
    pub(super) last_result: Option<String>,
}

impl Sight {
    pub(super) fn settled(&self) -> bool {
        self.updated == self.desired && self.available == self.desired && self.replicas == self.desired
    }
}

pub(super) async fn deployment(client: &Client, namespace: &str, name: &str) -> Result<Sight> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = api
        .get(name)
        .await
        .with_context(|| format!("unable to read Deployment {name}"))?;
    let annotation = |key: &str| found.annotations().get(key).cloned();
    let spec = found.spec.as_ref().context("a Deployment has a spec")?;
    let pod = spec.template.spec.as_ref().context("a pod template has a spec")?;
    let status = found.status.clone().unwrap_or_default();
    let seen = status.observed_generation == found.metadata.generation;
    Ok(Sight {
        image: pod.containers[0].image.clone().unwrap_or_default(),
        desired: spec.replicas.unwrap_or(1),
        updated: if seen {
            status.updated_replicas.unwrap_or(0)
        } else {
            0
        },
        available: status.available_replicas.unwrap_or(0),
        replicas: status.replicas.unwrap_or(0),
        in_flight: annotation("kubefresh.dev/in-flight").is_some(),
        last_result: annotation("kubefresh.dev/last-result"),
    })
}

/// Runs the scanner as `kubectl create job --from=cronjob/kubefresh-scanner NAME` does, and answers with its one line.
pub(super) async fn scan(client: &Client, name: &str) -> Result<String> {
    let cron_jobs: Api<CronJob> = Api::namespaced(client.clone(), SYSTEM);
    let template = cron_jobs
        .get("kubefresh-scanner")
        .await?
        .spec
        .context("a CronJob has a spec")?
        .job_template;
    let job: Job = serde_json::from_value(json!({
        "metadata": { "name": name, "annotations": { "cronjob.kubernetes.io/instantiate": "manual" } },
        "spec": template.spec,
    }))?;
    let jobs: Api<Job> = Api::namespaced(client.clone(), SYSTEM);
    jobs.create(&PostParams::default(), &job)
        .await
        .context("unable to create the Job")?;
    until("the scan is over", || async {
        let status = jobs.get(name).await?.status.unwrap_or_default();
        ensure!(status.failed.unwrap_or(0) == 0, "the scan failed");
        Ok(status.succeeded.filter(|count| *count > 0))
    })
    .await?;
    line_of(client, name).await
}

/// A scan that is over.
#[derive(Debug)]
pub(super) struct FirstScan {
    pub(super) job: String,
    /// What the updater says it asked for it for; `None` where the CronJob's schedule made it.
    pub(super) requested_because: Option<String>,
    pub(super) line: String,
}

/// The first scan that there was, when it is over.
pub(super) async fn first_scan(client: &Client) -> Result<Option<FirstScan>> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), SYSTEM);
    let jobs = jobs.list(&ListParams::default()).await?.items;
    let Some(first) = jobs.iter().min_by_key(|job| job.creation_timestamp()) else {
        return Ok(None);
    };
    let job = first.name_any();
    let status = first.status.clone().unwrap_or_default();
    ensure!(status.failed.unwrap_or(0) == 0, "the scan of Job {job} failed");
    if status.completion_time.is_none() {
        return Ok(None);
    }
    Ok(Some(FirstScan {
        requested_because: first
            .annotations()
            .get("kubefresh.dev/requested-because")
            .cloned(),
        line: line_of(client, &job).await?,
        job,
    }))
}

/// What the scanner printed at the end of a Job's only pod.
async fn line_of(client: &Client, job: &str) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let list = pods
        .list(&ListParams::default().labels(&format!("job-name={job}")))
        .await?;
    let pod = list.items.first().context("the Job has a pod")?.name_any();
    let log = pods.logs(&pod, &LogParams::default()).await?;
    let line = log.lines().rev().find(|line| line.starts_with("scanned "));
    Ok(line.context("the scanner prints what came of it")?.to_owned())
}

/// How many scans there were, those of the CronJob's own schedule included; `None` while one is under way.
pub(super) async fn scans(client: &Client) -> Result<Option<usize>> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), SYSTEM);
    let jobs = jobs.list(&ListParams::default()).await?.items;
    let is_over = |job: &Job| {
        let status = job.status.as_ref();
        status.is_some_and(|status| status.completion_time.is_some())
    };
    Ok(jobs.iter().all(is_over).then_some(jobs.len()))
}

/// The records, as `kubectl get cm -l kubefresh.dev/record=scan -L …` lists them.
pub(super) async fn records(client: &Client) -> Result<Vec<ConfigMap>> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM);
    Ok(api
        .list(&ListParams::default().labels("kubefresh.dev/record=scan"))
        .await?
        .items)
}

/// The shop's workloads, as the decisions see them.
pub(super) async fn workloads(client: &Client) -> Result<Vec<Workload>> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let all = api.list(&ListParams::default()).await?.items;
    Ok(all.iter().map(Workload::of).collect::<Result<_, _>>()?)
}

/// What the updater decides about these workloads by the records, the pods and the nodes there are now: the same code, from the same
/// values.
pub(super) async fn plan_for(client: &Client, workloads: Vec<Workload>) -> Result<Plan> {
    let records = records(client).await?;
    let entry = |record: &ConfigMap| (record.name_any(), ScanRecord::parse(record).map(Arc::new));
    let mut snapshot = Snapshot {
        workloads: workloads.into_iter().map(Arc::new).collect(),
        records: records.iter().map(entry).collect(),
        ..Snapshot::default()
    };
    let limits = PlanLimits {
        max_record_age: SignedDuration::from_hours(24),
        max_rollouts: None,
        max_rollouts_per_namespace: None,
        max_unwatched: SignedDuration::from_mins(5),
        threads: 1,
    };
    let (pods, now) = (PodReader::new(client.clone()), clock::now());
    pods.plan(&mut snapshot, &limits, now, Assessment::needs_pods)
        .await;
    // The updater has acted meanwhile, which the ReplicaSets of now tell, and nobody had undone anything before.
    let uids = snapshot.workloads.iter().map(|workload| workload.uid.clone());
    snapshot.replica_sets = uids.map(|uid| (uid, Ok(Arc::default()))).collect();
    Ok(plan(&snapshot, &limits, now))
}

/// The pod that holds the lease.
pub(super) async fn leader(client: &Client) -> Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), SYSTEM);
    let Some(lease) = leases.get_opt("kubefresh-updater").await? else {
        return Ok(None);
    };
    let holder = lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), SYSTEM);
    let names = pods
        .list(&ListParams::default())
        .await?
        .items
        .into_iter()
        .map(|pod| pod.name_any());
    Ok(names.into_iter().find(|name| holder.starts_with(name.as_str())))
}

/// What was told of a service under this reason: the note, and the pod that told it.
pub(super) async fn events(client: &Client, service: &str, reason: &str) -> Result<Vec<(String, String)>> {
    let api: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    let all = api.list(&ListParams::default()).await?.items;
    let about = |event: &Event| event.regarding.as_ref().and_then(|object| object.name.clone());
    let told = all
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some(reason) && about(event).as_deref() == Some(service))
        .map(|event| {
            (
                event.note.unwrap_or_default(),
                event.reporting_instance.unwrap_or_default(),
            )
        });
    Ok(told.collect())
}

/// How many pod templates a service has had: one more for each rollout.
pub(super) async fn templates(client: &Client, service: &str) -> Result<usize> {
    let api: Api<ReplicaSet> = Api::namespaced(client.clone(), NAMESPACE);
    Ok(api
        .list(&ListParams::default().labels(&format!("app={service}")))
        .await?
        .items
        .len())
}
