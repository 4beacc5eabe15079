//! What registries allow, and how they want to be asked, outlives the process: two runs of the program.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;
use sandbox::cluster::Cluster;
use sandbox::registry::{Auth, BearerAuth, Fault, RequestKind, Rule};

use super::{
    config_maps, deployment, installed, publish, records, scan, scan_with_registries, summary, watched,
    writes,
};

/// A cluster that watches so many repositories.
async fn watching(repositories: usize) -> Cluster {
    let cluster = installed().await;
    let mut deployments = Vec::new();
    for number in 0..repositories {
        let repository = format!("shop/app-{number}");
        publish(&cluster, &repository, &["1.4.0"]);
        let image = cluster.registry.reference(&repository, "1.4.0");
        deployments.push(deployment(&format!("app-{number}"), &image, &watched()));
    }
    cluster.apply(&deployments).await;
    cluster
}

async fn delete_record(cluster: &Cluster, name: &str) {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

/// How many of a kind the registry was asked, and how many of all it turned away.
fn asked(cluster: &Cluster) -> [usize; 5] {
    use RequestKind::{Manifest, Ping, Tags, Token};
    let [ping, token, tags, manifest] =
        [Ping, Token, Tags, Manifest].map(|kind| cluster.registry.count(kind));
    let requests = cluster.registry.requests();
    let refused = requests.iter().filter(|request| request.status >= 400).count();
    [ping, token, tags, manifest, refused]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_at_a_token_registry_costs_a_token_and_an_answer_for_each_question() {
    let cluster = watching(3).await;
    cluster
        .registry
        .configure(|options| options.auth = Auth::Bearer(BearerAuth::default()));
    summary(&scan(&cluster, &[]).await);
    assert_eq!(
        asked(&cluster),
        [0, 3, 4, 0, 1],
        "one request in vain, for all three"
    );
    for _ in 0..2 {
        cluster.registry.clear_requests();
        cluster.api.clear_requests();
        summary(&scan(&cluster, &[]).await);
        assert_eq!(asked(&cluster), [0, 3, 3, 0, 0]);
        assert_eq!(writes(&cluster), ["last-run"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_to_wait_is_left_alone_whichever_record_is_lost() {
    for lost in ["the scan record", "registry-accounts"] {
        let cluster = watching(1).await;
        cluster
            .registry
            .fault(Rule::always(Fault::retry_after_seconds(3600)));
        let output = summary(&scan(&cluster, &[]).await);
        assert!(output.contains("1 failed (rate-limited)"), "{output}");
        let scan_record = config_maps(&cluster).await.remove(0).metadata.name.unwrap();
        let name = if lost == "registry-accounts" {
            lost
        } else {
            &scan_record
        };
        delete_record(&cluster, name).await;

        cluster.registry.clear_faults();
        cluster.registry.clear_requests();
        for _ in 0..2 {
            let output = summary(&scan(&cluster, &[]).await);
            assert!(output.contains("1 deferred"), "without {lost}: {output}");
            assert_eq!(cluster.registry.requests(), [], "without {lost}");
        }
        // Without either nobody knows.
        for record in records(&cluster).await {
            let name = shared::domain::record::config_map::record_name(&record.repository);
            delete_record(&cluster, &name).await;
        }
        delete_record(&cluster, "registry-accounts").await;
        let output = summary(&scan(&cluster, &[]).await);
        assert!(output.starts_with("scanned 1 of 1"), "{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_in_a_row_keep_the_pace_of_the_registry_together() {
    let cluster = watching(40).await;
    let yaml = format!(
        "registries:\n  {}: {{ requestsPerSecond: 1, burst: 40 }}\n",
        cluster.registry.host()
    );
    for _ in 0..2 {
        let output = scan_with_registries(&cluster, &yaml, &["--deadline", "1s"]).await;
        assert!(output.status.success());
    }
    let requests = cluster.registry.requests();
    let (first, last) = (requests.first().unwrap().at, requests.last().unwrap().at);
    let most = 40 + 1 + last.duration_since(first).as_secs();
    assert!(
        i64::try_from(requests.len()).unwrap() <= most,
        "{} requests, and {most} at most",
        requests.len()
    );
}
