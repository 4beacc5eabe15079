//! What images say of themselves: asked once for what somebody could move to, and recorded.

use sandbox::cluster::Cluster;
use sandbox::registry::{Fault, ImageSpec, RequestKind, Rule};
use shared::domain::record::TagRecord;

use super::{deployment, installed, records, scan, summary, watched};

const SOURCE: (&str, &str) = ("org.opencontainers.image.source", "https://git.example/shop/web");
const VERSION: (&str, &str) = ("org.opencontainers.image.version", "1.5.0");

/// A cluster that runs `shop/web:1.4.0` where this candidate is published.
async fn with_candidate(candidate: ImageSpec) -> Cluster {
    let cluster = installed().await;
    cluster.registry.publish(&ImageSpec::new("shop/web", "1.4.0"));
    cluster.registry.publish(&candidate);
    let image = cluster.registry.reference("shop/web", "1.4.0");
    cluster.apply(&[deployment("web", &image, &watched())]).await;
    cluster
}

async fn newest(cluster: &Cluster) -> TagRecord {
    records(cluster).await[0].findings.as_ref().unwrap().tags[0].clone()
}

/// Lists, manifests by HEAD, manifests by GET, blobs; everything since the last question.
pub(super) fn asked(cluster: &Cluster) -> [usize; 4] {
    let requests = cluster.registry.requests();
    cluster.registry.clear_requests();
    let count = |kind: RequestKind, method: &str| {
        let of_kind = requests
            .iter()
            .filter(|request| request.kind == kind && request.method == method);
        of_kind.count()
    };
    let asked = [
        count(RequestKind::Tags, "GET"),
        count(RequestKind::Manifest, "HEAD"),
        count(RequestKind::Manifest, "GET"),
        count(RequestKind::Blob, "GET"),
    ];
    assert_eq!(asked.iter().sum::<usize>(), requests.len(), "{requests:?}");
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_candidate_is_asked_once_and_its_labels_are_recorded() {
    let candidate = ImageSpec::new("shop/web", "1.5.0")
        .label(SOURCE.0, SOURCE.1)
        .label(VERSION.0, VERSION.1)
        .label("maintainer", "nobody");
    let cluster = with_candidate(candidate).await;
    scan(&cluster, &[]).await;
    let labels = newest(&cluster).await.labels.unwrap();
    assert_eq!(labels.source.as_deref(), Some(SOURCE.1));
    assert_eq!(labels.version.as_deref(), Some(VERSION.1));
    assert_eq!(asked(&cluster), [1, 1, 2, 1], "index, image and its config");
    scan(&cluster, &[]).await;
    assert_eq!(asked(&cluster), [1, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_names_its_source_spares_the_question_to_its_image() {
    let cluster = with_candidate(ImageSpec::new("shop/web", "1.5.0").annotation(SOURCE.0, SOURCE.1)).await;
    scan(&cluster, &[]).await;
    assert_eq!(
        newest(&cluster).await.labels.unwrap().source.as_deref(),
        Some(SOURCE.1)
    );
    assert_eq!(asked(&cluster), [1, 1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_asked_leaves_the_scan_complete_and_is_not_asked_in_every_run() {
    let cluster = with_candidate(ImageSpec::new("shop/web", "1.5.0")).await;
    cluster
        .registry
        .fault(Rule::on(RequestKind::Blob, Fault::status(403)));
    let output = scan(&cluster, &[]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 1"),
        "{}",
        summary(&output)
    );
    asked(&cluster);
    scan(&cluster, &[]).await;
    assert_eq!(asked(&cluster), [1, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_is_asked_once_a_digest_and_what_its_image_said_before_stays() {
    let cluster = installed().await;
    let publish = |version: &str| {
        let image = ImageSpec::new("shop/web", "edge").label(VERSION.0, version);
        cluster.registry.publish(&image);
    };
    publish("1.4.0");
    let image = cluster.registry.reference("shop/web", "edge");
    cluster.apply(&[deployment("web", &image, &watched())]).await;
    let versions = async || {
        let edge = newest(&cluster).await;
        let former = edge.former.iter().map(|former| former.version.clone().unwrap());
        (edge.labels.unwrap().version, former.collect::<Vec<_>>())
    };
    for (version, former) in [
        ("1.4.0", &[][..]),
        ("1.5.0", &["1.4.0"]),
        ("1.6.0", &["1.5.0", "1.4.0"]),
    ] {
        publish(version);
        asked(&cluster);
        scan(&cluster, &[]).await;
        assert_eq!(asked(&cluster), [0, 1, 2, 1], "index, image and its config");
        let (now, before) = versions().await;
        assert_eq!(
            (now.as_deref(), before),
            (
                Some(version),
                former.iter().map(|version| (*version).to_owned()).collect()
            )
        );
        scan(&cluster, &[]).await;
        assert_eq!(asked(&cluster), [0, 1, 0, 0]);
        assert_eq!(versions().await.1.len(), former.len());
    }
}
