//! Jobs and `CronJobs`, with real processes.

use std::path::PathBuf;

use sandbox::apiserver::resources::{CRON_JOBS, JOBS, PODS};
use serde_json::{Value, json};

use super::{Cluster, condition};

async fn start() -> Cluster {
    let programs = [
        ("true", PathBuf::from("/bin/true")),
        ("false", "/bin/false".into()),
        ("sh", "/bin/sh".into()),
    ];
    Cluster::with_programs(60.0, &programs).await
}

fn job_spec(image: &str, args: &[&str]) -> Value {
    json!({"backoffLimit": 1, "template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "main", "image": image, "args": args}]}}})
}

fn job(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

#[tokio::test]
async fn a_job_is_complete_when_its_process_ends_well() {
    let cluster = start().await;
    cluster.create(&JOBS, job("good", &job_spec("tools/sh", &["-c", "echo hello"])));
    let done = cluster
        .wait("it is complete", &JOBS, "good", |job| {
            condition(job, "Complete")["status"] == "True"
        })
        .await;
    assert_eq!(done["status"]["succeeded"], 1);
    assert!(done["status"]["completionTime"].is_string());
    let pod = &cluster.pods()[0];
    assert_eq!(pod["status"]["phase"], "Succeeded");
    assert_eq!(
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"],
        "Completed"
    );
    let name = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(
        cluster
            .controllers
            .logs()
            .read("default", name, "main", false)
            .unwrap(),
        ["hello"]
    );
}

#[tokio::test]
async fn a_job_fails_after_its_back_off_limit() {
    let cluster = start().await;
    cluster.create(&JOBS, job("bad", &job_spec("tools/false", &[])));
    let failed = cluster
        .wait("it has failed", &JOBS, "bad", |job| {
            condition(job, "Failed")["status"] == "True"
        })
        .await;
    assert_eq!(condition(&failed, "Failed")["reason"], "BackoffLimitExceeded");
    assert_eq!(failed["status"]["failed"], 2);
}

#[tokio::test]
async fn a_job_past_its_deadline_is_stopped() {
    let cluster = start().await;
    let mut spec = job_spec("tools/sh", &["-c", "sleep 600"]);
    spec["activeDeadlineSeconds"] = json!(20);
    cluster.create(&JOBS, job("slow", &spec));
    let failed = cluster
        .wait("it has failed", &JOBS, "slow", |job| {
            condition(job, "Failed")["status"] == "True"
        })
        .await;
    assert_eq!(condition(&failed, "Failed")["reason"], "DeadlineExceeded");
    cluster
        .until("its process is gone", || cluster.pods().is_empty().then_some(()))
        .await;
}

#[tokio::test]
async fn an_indexed_job_gives_every_pod_its_index_and_goes_after_its_time() {
    let cluster = start().await;
    let mut spec = job_spec("tools/sh", &["-c", "echo index-$JOB_COMPLETION_INDEX"]);
    spec["completionMode"] = json!("Indexed");
    spec["completions"] = json!(3);
    spec["parallelism"] = json!(2);
    spec["ttlSecondsAfterFinished"] = json!(60);
    cluster.create(&JOBS, job("parts", &spec));
    let done = cluster
        .wait("it is complete", &JOBS, "parts", |job| {
            condition(job, "Complete")["status"] == "True"
        })
        .await;
    assert_eq!(done["status"]["completedIndexes"], "0-2");
    let mut lines: Vec<String> = cluster
        .pod_names()
        .iter()
        .flat_map(|name| {
            cluster
                .controllers
                .logs()
                .read("default", name, "main", false)
                .unwrap()
        })
        .collect();
    lines.sort();
    assert_eq!(lines, ["index-0", "index-1", "index-2"]);
    cluster
        .until("it has removed itself", || {
            cluster.get(&JOBS, "parts").is_none().then_some(())
        })
        .await;
    cluster
        .until("its pods are gone", || {
            cluster.store.list(&PODS, None).is_empty().then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_cron_job_starts_a_job_each_minute_and_keeps_a_short_history() {
    let cluster = start().await;
    let cron_job = json!({"metadata": {"name": "scan", "namespace": "default"}, "spec": {
        "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 2,
        "jobTemplate": {"spec": job_spec("tools/true", &[])}}});
    cluster.create(&CRON_JOBS, cron_job);
    let mut changes = cluster.store.subscribe();
    let mut made = 0;
    while made < 4 {
        let change = changes.recv().await.unwrap();
        let is_new = change.kind == sandbox::apiserver::store::ChangeKind::Added;
        made += i32::from(is_new && *change.resource == JOBS);
    }
    let scan = cluster
        .wait("the fourth is done", &CRON_JOBS, "scan", |scan| {
            scan["status"]["lastSuccessfulTime"].is_string() && scan["status"]["active"].is_null()
        })
        .await;
    assert!(
        scan["status"]["lastScheduleTime"]
            .as_str()
            .unwrap()
            .ends_with(":00Z")
    );
    cluster
        .until("two are kept", || {
            (cluster.store.list(&JOBS, None).len() == 2).then_some(())
        })
        .await;
    for job in cluster.store.list(&JOBS, None) {
        assert!(
            job["metadata"]["name"].as_str().unwrap().starts_with("scan-"),
            "{job}"
        );
        assert_eq!(job["metadata"]["ownerReferences"][0]["kind"], "CronJob");
    }
}

#[tokio::test]
async fn a_cron_job_that_forbids_concurrency_waits_for_the_running_job() {
    let cluster = start().await;
    let cron_job = json!({"metadata": {"name": "scan", "namespace": "default"}, "spec": {
        "schedule": "* * * * *", "concurrencyPolicy": "Forbid",
        "jobTemplate": {"spec": job_spec("tools/sh", &["-c", "sleep 600"])}}});
    cluster.create(&CRON_JOBS, cron_job);
    cluster
        .until("the next one is refused", || {
            cluster.events("JobAlreadyActive").pop()
        })
        .await;
    assert_eq!(cluster.store.list(&JOBS, None).len(), 1);
}

/// As the CronJob controller of Kubernetes does: it knows the Jobs that it made itself.
#[tokio::test]
async fn a_job_that_somebody_made_of_a_cron_job_is_told_of_and_neither_active_nor_in_the_way() {
    let cluster = start().await;
    let cron_job = json!({"metadata": {"name": "scan", "namespace": "default"}, "spec": {
        "schedule": "* * * * *", "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 0,
        "jobTemplate": {"spec": job_spec("tools/true", &[])}}});
    cluster.create(&CRON_JOBS, cron_job);
    let uid = cluster.get(&CRON_JOBS, "scan").unwrap()["metadata"]["uid"].clone();
    let mut made = job("scan-by-hand", &job_spec("tools/sh", &["-c", "sleep 600"]));
    made["metadata"]["annotations"] = json!({"cronjob.kubernetes.io/instantiate": "manual"});
    made["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": "scan", "uid": uid, "controller": true}]);
    cluster.create(&JOBS, made);
    let told = cluster
        .until("it is told of", || cluster.events("UnexpectedJob").pop())
        .await;
    assert!(told.contains("scan-by-hand"), "{told}");
    let scan = cluster
        .wait("a scheduled one is done", &CRON_JOBS, "scan", |scan| {
            scan["status"]["lastSuccessfulTime"].is_string() && scan["status"]["active"].is_null()
        })
        .await;
    assert!(scan["status"]["lastScheduleTime"].is_string());
    assert!(cluster.get(&JOBS, "scan-by-hand").is_some());
}
