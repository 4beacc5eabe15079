//! The same for a scan that somebody asks for: it is made once, and what it finds is rolled out.

use std::sync::Arc;

use sandbox::apiserver::resources::{DEPLOYMENTS, JOBS};
use sandbox::apiserver::store::ChangeKind;
use sandbox::registry::ImageSpec;
use serde_json::{Value, json};

use super::*;
use crate::shop;

/// A shop whose workload was scanned once and is not due for months, but for the `check-now` that it carries now. There is something new.
async fn with_check_now() -> Cluster {
    let cluster = shop::open_with_cron_job().await;
    let annotations = json!({
        "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto", "kubefresh.dev/schedule": "0 0 1 6 *",
    });
    cluster
        .registry
        .publish(&ImageSpec::new("shop/checkout", "1.4.0"));
    cluster.apply(&[shop::checkout(&cluster, &annotations)]).await;
    scan(&cluster).await;
    cluster
        .registry
        .publish(&ImageSpec::new("shop/checkout", "1.5.0"));
    let ask = |object: &mut Value| {
        object["metadata"]["annotations"]["kubefresh.dev/check-now"] = json!("true");
        Ok(())
    };
    cluster
        .api
        .store()
        .update(&DEPLOYMENTS, "shop", "checkout", ask)
        .unwrap();
    cluster
}

/// Whether it was scanned, and what that found has been rolled out.
fn is_done(cluster: &Cluster) -> bool {
    let checkout: Arc<Value> = cluster.api.store().get(&DEPLOYMENTS, "shop", "checkout").unwrap();
    let annotations = &checkout["metadata"]["annotations"];
    let image = checkout["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    annotations["kubefresh.dev/check-now"].is_null()
        && annotations["kubefresh.dev/last-result"] == "completed"
        && image.is_some_and(|image| image.ends_with(":1.5.0"))
}

/// Why each Job was made that there ever was.
fn requested(cluster: &Cluster) -> Vec<String> {
    let changes = cluster.api.store().changes_since(1).unwrap();
    let made = changes
        .iter()
        .filter(|change| change.resource == &JOBS && change.kind == ChangeKind::Added);
    made.map(|change| {
        let because = &change.object["metadata"]["annotations"]["kubefresh.dev/requested-because"];
        because.as_str().unwrap_or_default().to_owned()
    })
    .collect()
}

async fn kill_updater_after_write(nth: u64) -> bool {
    let cluster = with_check_now().await;
    let rule = FaultRule::new(Moment::AfterIt.fault()).user(":kubefresh-updater");
    let fault = cluster.api.faults().install(rule.writes().nth(nth));
    let mut updater = start_updater_with(&cluster, &[]);
    let reached = eventually("the write is reached or all is done", LIMIT, || {
        // In this order, as what is struck may be what ends it.
        let done = is_done(&cluster);
        let reached = fault.struck() > 0;
        ready((reached || done).then_some(reached))
    })
    .await;
    updater.kill().await.unwrap();
    cluster.api.faults().clear();
    let _again = start_updater_with(&cluster, &[]);
    let what = format!("the updater killed after write {nth} has had it scanned and updated it");
    eventually(&what, LIMIT, || ready(is_done(&cluster).then_some(()))).await;
    assert_eq!(requested(&cluster), ["check-now"], "{what}");
    reached
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_somebody_asks_for_is_made_once_however_often_the_updater_is_killed() {
    let killed = kill_points(kill_updater_after_write).await;
    assert!(
        killed >= 5,
        "only {killed} writes: a Job, two patches of an update, one of the request, and Events are more"
    );
}
