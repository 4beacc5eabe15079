//! The whole way of a scan on demand: the real programs, and Jobs that really run.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use sandbox::cluster::eventually;
use sandbox::registry::ImageSpec;
use serde_json::json;

use crate::shop::{self, start_updater};

const LIMIT: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn check_now_leads_to_one_scan_and_its_update_and_is_gone() {
    let cluster = shop::open_with_cron_job().await;
    cluster
        .registry
        .publish(&ImageSpec::new("shop/checkout", "1.4.0"));
    // Not due for months either, but for check-now.
    let annotations = json!({
        "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "auto", "kubefresh.dev/schedule": "0 0 1 6 *",
    });
    cluster.apply(&[shop::checkout(&cluster, &annotations)]).await;
    // It is scanned for once before, so that it is not new.
    shop::scan(&cluster).await;
    cluster
        .registry
        .publish(&ImageSpec::new("shop/checkout", "1.5.0"));
    let _updater = start_updater(&cluster);
    let command = ["check-now", "shop/checkout"];
    let mut command = shop::start(&cluster, "kubefresh-updater", &command);
    assert!(command.wait().await.unwrap().success());

    let client = cluster.client().await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "shop");
    let checkout = eventually("checkout is updated and check-now is gone", LIMIT, || async {
        let checkout = deployments.get("checkout").await.unwrap();
        let annotations = checkout.annotations();
        let is_done = !annotations.contains_key("kubefresh.dev/check-now")
            && annotations
                .get("kubefresh.dev/last-result")
                .is_some_and(|result| result == "completed");
        is_done.then_some(checkout)
    })
    .await;
    let image = &checkout.spec.unwrap().template.spec.unwrap().containers[0].image;
    assert!(image.as_ref().unwrap().ends_with(":1.5.0"), "{image:?}");
    let jobs: Api<Job> = Api::namespaced(client, "kubefresh");
    let jobs = jobs.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    assert_eq!(
        jobs[0].annotations()["kubefresh.dev/requested-because"],
        "check-now"
    );
}
