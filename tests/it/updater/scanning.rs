//! Scans that do not wait for the schedule: Jobs of the scanner's CronJob. The test plays the controllers, so it decides how
//! each scan ends.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::rbac::v1::Role;
use kube::ResourceExt as _;
use kube::api::PostParams;
use sandbox::apiserver::faults::{Fault, FaultRule};
use shared::domain::record::run::RunRecord;

use super::*;

const CRON_JOB: &str = "kubefresh-scanner";
/// Far longer than a look takes.
const A_WHILE: Duration = Duration::from_secs(2);

impl Stage {
    /// The scanner's CronJob, which is not due for months.
    async fn with_scanner() -> Self {
        let stage = Self::set().await;
        let mut objects = manifests::install();
        objects.retain(|object| object["kind"] == "CronJob");
        for object in &mut objects {
            object["spec"]["schedule"] = json!("0 0 1 6 *");
        }
        stage.cluster.apply(&objects).await;
        stage
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// All Jobs, once there is one.
    async fn requested(&self) -> Vec<Job> {
        eventually("there is a Job", LIMIT, || async {
            let jobs = self.jobs().list(&ListParams::default()).await.unwrap().items;
            (!jobs.is_empty()).then_some(jobs)
        })
        .await
    }

    async fn finish_scans(&self) {
        let end = json!({ "status": { "conditions": [{ "type": "Complete", "status": "True" }] } });
        for job in self.requested().await {
            self.jobs()
                .patch_status(&job.name_any(), &PatchParams::default(), &Patch::Merge(&end))
                .await
                .unwrap();
        }
    }

    /// The codes that the requests for a Job were answered with.
    fn asked(&self) -> Vec<u16> {
        let requests = self.cluster.api.requests().into_iter();
        requests
            .filter(|request| request.verb == "create" && request.resource == "jobs")
            .map(|request| request.code)
            .collect()
    }
}

fn because(job: &Job) -> &str {
    &job.annotations()["kubefresh.dev/requested-because"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_workload_is_scanned_for_once_whatever_comes_of_it() {
    let stage = Stage::with_scanner().await;
    let leader = stage.leader().await;
    tokio::time::sleep(A_WHILE).await;
    assert!(stage.asked().is_empty(), "nothing waits for a scan");
    stage.deploy("checkout", OLD, &[]).await;
    let jobs = stage.requested().await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(because(&jobs[0]), "new-workload");
    assert_eq!(jobs[0].owner_references()[0].name, CRON_JOB);
    leader
        .shows("kubefresh_scans_requested_total{reason=\"new-workload\"} 1")
        .await;
    stage.finish_scans().await;
    tokio::time::sleep(A_WHILE).await;
    leader.stop().await;
    // It brought no answer, and whoever leads next knows that it was asked for.
    let next = stage.leader().await;
    tokio::time::sleep(A_WHILE).await;
    next.stop().await;
    assert_eq!(stage.asked(), [201]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_updaters_that_both_lead_request_one_scan() {
    let stage = Stage::with_scanner().await;
    let first = stage.leader().await;
    let second = stage.updater(SECOND, "another-lease").await;
    second.leads().await;
    // Each decides before it can see what the other one did.
    let slow = FaultRule::new(Fault::Delay(Duration::from_secs(3)))
        .verb("create")
        .resource("jobs");
    stage.cluster.api.faults().install(slow);
    stage.deploy("checkout", OLD, &[]).await;
    eventually("both have asked", LIMIT, || async {
        (stage.asked().len() == 2).then_some(())
    })
    .await;
    assert_eq!(stage.requested().await.len(), 1);
    let mut asked = stage.asked();
    asked.sort_unstable();
    assert_eq!(asked, [201, 409]);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updater_killed_while_it_requests_a_scan_has_requested_it_once() {
    for fault in [Fault::Delay(LIMIT), Fault::DelayAnswer(LIMIT)] {
        let stage = Stage::with_scanner().await;
        let leader = stage.leader().await;
        let rule = FaultRule::new(fault).verb("create").resource("jobs");
        let fault = stage.cluster.api.faults().install(rule);
        stage.deploy("checkout", OLD, &[]).await;
        eventually("it asks", LIMIT, || async { (fault.struck() > 0).then_some(()) }).await;
        leader.kill().await;
        stage.cluster.api.faults().clear();
        let next = stage.leader().await;
        assert_eq!(stage.requested().await.len(), 1);
        tokio::time::sleep(A_WHILE).await;
        next.stop().await;
        assert_eq!(stage.requested().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_on_boot_scans_once_however_often_the_updater_starts_within_minutes() {
    let stage = Stage::with_scanner().await;
    let leader = stage.leader_with(&["--run-on-boot"]).await;
    assert_eq!(because(&stage.requested().await[0]), "start");
    leader.kill().await;
    stage.finish_scans().await;
    for _ in 0..2 {
        let again = stage.leader_with(&["--run-on-boot"]).await;
        tokio::time::sleep(A_WHILE).await;
        again.kill().await;
    }
    assert_eq!(stage.asked(), [201]);
}

/// Of a workload that is annotated so, asked for by this annotation.
async fn check_now_stays_until_it_is_done(annotations: Value, key: &str) {
    let stage = Stage::with_scanner().await;
    stage
        .deploy_as("checkout", OLD, json!({ "annotations": annotations }))
        .await;
    stage
        .scanned("registry.example/shop/checkout", &["1.4.0 minor"], &["1.4.0"])
        .await;
    let leader = stage.leader().await;
    tokio::time::sleep(A_WHILE).await;
    assert!(stage.asked().is_empty());
    stage.annotate("checkout", key, "").await;
    assert_eq!(because(&stage.requested().await[0]), "check-now");
    stage.finish_scans().await;
    tokio::time::sleep(A_WHILE).await;
    let asks = async || stage.deployment("checkout").await.annotations().contains_key(key);
    assert!(asks().await);
    let run = RunRecord {
        started_at: clock::now() + Duration::from_secs(1),
        ..RunRecord::default()
    };
    let config_map = serde_json::to_value(run.to_config_map(NAMESPACE)).unwrap();
    stage.cluster.apply(&[config_map]).await;
    eventually("check-now is gone", LIMIT, || async {
        (!asks().await).then_some(())
    })
    .await;
    leader.stop().await;
    assert_eq!(stage.asked(), [201]);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_now_stays_until_a_scan_that_began_after_it_has_ended() {
    let ours = json!({ "kubefresh.dev/watch": "true" });
    check_now_stays_until_it_is_done(ours, "kubefresh.dev/check-now").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_now_in_the_words_of_watch_cluster_makes_one_job_and_goes_once_it_has_answered() {
    let its =
        json!({ "watch-cluster.io/enabled": "true", "watch-cluster.io/strategy": "version-lock-major" });
    check_now_stays_until_it_is_done(its, "watch-cluster.io/check-now").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_jobs_all_else_goes_on() {
    let stage = Stage::with_scanner().await;
    let roles: Api<Role> = Api::namespaced(stage.client.clone(), NAMESPACE);
    let mut role = roles.get(UPDATER).await.unwrap();
    let granted = role.rules.as_mut().unwrap();
    granted.retain(|rule| rule.api_groups.as_deref() != Some(&["batch".to_owned()]));
    roles
        .replace(UPDATER, &PostParams::default(), &role)
        .await
        .unwrap();
    stage.deploy("checkout", OLD, &[]).await;
    stage.roll_out("checkout").await;
    let leader = stage.leader().await;
    stage.offer_1_5_0().await;
    stage.image_becomes("checkout", NEW).await;
    leader.stop().await;
    assert!(stage.asked().is_empty());
}
