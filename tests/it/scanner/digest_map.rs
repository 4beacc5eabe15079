//! Registries that send the digests along with the list: what stands there is not asked for.

use sandbox::cluster::Cluster;
use sandbox::registry::{ImageSpec, RequestKind};
use shared::domain::reference::Digest;

use super::{deployment, installed, records, scan, watched};

/// The digest that the record has for a tag.
async fn recorded(cluster: &Cluster, tag: &str) -> Option<Digest> {
    let findings = records(cluster).await[0].findings.clone().unwrap();
    findings.tag(&tag.parse().unwrap()).unwrap().digest.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_that_come_with_a_list_are_not_asked_for_and_are_those_that_would_have_been_answered() {
    let cluster = installed().await;
    cluster.registry.configure(|options| options.digest_map = true);
    for tag in ["1.4.0", "1.5.0", "edge"] {
        cluster.registry.publish(&ImageSpec::new("shop/web", tag));
    }
    let running = cluster.registry.digest("shop/web", "1.4.0").unwrap();
    let pinned = format!("{}@{running}", cluster.registry.reference("shop/web", "1.4.0"));
    let moving = cluster.registry.reference("shop/web", "edge");
    cluster
        .apply(&[
            deployment("pinned", &pinned, &watched()),
            deployment("moving", &moving, &watched()),
        ])
        .await;
    for run in ["first", "second"] {
        scan(&cluster, &[]).await;
        let heads = cluster.registry.requests();
        let heads = heads.iter().filter(|request| request.method == "HEAD").count();
        assert_eq!(heads, 0, "{run}");
        for tag in ["1.5.0", "edge"] {
            let expected = cluster.registry.digest("shop/web", tag).unwrap();
            assert_eq!(recorded(&cluster, tag).await.unwrap().to_string(), expected);
        }
        cluster
            .registry
            .publish(&ImageSpec::new("shop/web", "edge").revision("2"));
    }
    assert_eq!(cluster.registry.count(RequestKind::Tags), 2);
}
