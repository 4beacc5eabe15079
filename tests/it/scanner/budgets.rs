//! Pulls that a registry counts: the scanner leaves the nodes theirs, over all its runs.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use sandbox::cluster::Cluster;
use sandbox::registry::{RateLimit, RequestKind};

use super::{deployment, installed, publish, records, scan, summary, watched};

/// How many GETs of manifests were asked, which is what is counted.
fn pulls(cluster: &Cluster) -> usize {
    let requests = cluster.registry.requests();
    let is_pull = |kind: RequestKind, method: &str| kind == RequestKind::Manifest && method == "GET";
    requests
        .iter()
        .filter(|request| is_pull(request.kind, request.method.as_str()))
        .count()
}

/// How many tags are recorded with their digest, and of how many of these the platforms are not known yet.
async fn digests(cluster: &Cluster) -> (usize, usize) {
    let records = records(cluster).await;
    let tags = records
        .iter()
        .filter_map(|record| record.findings.as_ref())
        .flat_map(|findings| &findings.tags);
    let known: Vec<_> = tags.filter(|tag| tag.digest.is_some()).collect();
    let pending = known.iter().filter(|tag| tag.platforms_pending).count();
    (known.len(), pending)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_keep_their_pulls_and_what_was_not_affordable_is_learned_later() {
    let cluster = installed().await;
    let limit = |remaining| RateLimit {
        limit: 10,
        remaining,
        window_seconds: 21_600,
        source: "192.0.2.1".to_owned(),
    };
    for name in ["a", "b", "c", "d", "e"] {
        let repository = format!("shop/{name}");
        publish(&cluster, &repository, &["edge"]);
        let image = cluster.registry.reference(&repository, "edge");
        cluster.apply(&[deployment(name, &image, &watched())]).await;
    }
    // Five of ten are left, and three of ten belong to the nodes.
    cluster
        .registry
        .configure(|options| options.rate_limit = Some(limit(5)));
    let said = summary(&scan(&cluster, &[]).await);
    assert!(said.starts_with("scanned 5 of 5"), "{said}");
    assert_eq!(pulls(&cluster), 2);
    assert_eq!(digests(&cluster).await, (5, 3));

    // A new process has nothing left either, although the registry's word is the same as before its pulls.
    summary(&scan(&cluster, &[]).await);
    assert_eq!(pulls(&cluster), 2);
    let budgets: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    let stored = budgets.get("registry-accounts").await.unwrap().data.unwrap();
    assert!(stored["registries"].contains("spent"), "{stored:?}");

    // The window has moved on for the others; ours has five of seven left: three for the platforms, and, as long as more than half
    // of the seven is left, some for what images say of themselves.
    cluster
        .registry
        .configure(|options| options.rate_limit = Some(limit(10)));
    summary(&scan(&cluster, &[]).await);
    let spent = pulls(&cluster);
    assert!((5..=7).contains(&spent), "{spent}");
    assert_eq!(digests(&cluster).await, (5, 0));
    summary(&scan(&cluster, &[]).await);
    assert_eq!(pulls(&cluster), spent, "a digest is asked for its platforms once");
}
