//! Digests by HEAD, and what manifests say about platforms.

use std::collections::BTreeMap;

use sandbox::registry::{Fault, ImageSpec, Published, Registry, RequestKind, Rule};
use scanner::registry::{ErrorClass, Platforms, RegistryError};
use shared::domain::reference::Digest;

use super::{checkout, class_of, client, counts, open_registry, repository, tag};

const SOME: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn digest_header(status: u16, digest: &str) -> Fault {
    Fault::status(status).with_header("docker-content-digest", digest)
}

fn spec() -> ImageSpec {
    ImageSpec::new("shop/checkout", "1")
}

async fn platforms(registry: &Registry, digest: &str) -> Result<Platforms, RegistryError> {
    client()
        .platform_digests(&checkout(registry), &digest.parse().unwrap())
        .await
}

fn parsed(published: &Published) -> BTreeMap<String, Digest> {
    published
        .platforms
        .iter()
        .map(|(name, digest)| (name.clone(), digest.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_digest_costs_one_head_and_is_that_of_the_index_whatever_its_type() {
    for spec in [
        spec(),
        spec().docker(),
        spec().single("linux/amd64"),
        spec().docker().single("linux/amd64"),
    ] {
        let registry = Registry::open().await;
        let published = registry.publish(&spec);
        let digest = client()
            .head_digest(&checkout(&registry), &tag("1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(digest.as_str(), published.digest);
        let requests = registry.requests();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method, "HEAD");
    }
}

#[tokio::test]
async fn a_tag_that_is_not_there_is_none_and_so_is_one_in_a_repository_that_is_not_there() {
    let registry = open_registry(&["1"]).await;
    let client = client();
    assert_eq!(
        client.head_digest(&checkout(&registry), &tag("2")).await.unwrap(),
        None
    );
    assert_eq!(
        client
            .head_digest(&repository(&registry, "shop/nothing"), &tag("1"))
            .await
            .unwrap(),
        None
    );
    assert_eq!(registry.requests().len(), 2);
}

#[tokio::test]
async fn a_head_that_fails_is_never_tried_as_a_get() {
    for (fault, expected) in [
        (Fault::MissingDigestHeader, ErrorClass::Protocol),
        (Fault::status(405), ErrorClass::Rejected),
        (Fault::status(403), ErrorClass::Forbidden),
        (Fault::too_many_requests(), ErrorClass::RateLimited),
        (digest_header(200, "sha256:short"), ErrorClass::Protocol),
        (
            digest_header(200, &format!("sha256:{}", "F".repeat(64))),
            ErrorClass::Protocol,
        ),
        (
            digest_header(200, &format!("md5:{}", "0".repeat(32))),
            ErrorClass::Protocol,
        ),
        (
            digest_header(200, &format!("{SOME},{SOME}")),
            ErrorClass::Protocol,
        ),
        (
            digest_header(200, &format!("{SOME}{}", "0".repeat(4000))),
            ErrorClass::Protocol,
        ),
        (digest_header(304, SOME), ErrorClass::Protocol),
        (digest_header(410, SOME), ErrorClass::Rejected),
    ] {
        let registry = open_registry(&["1"]).await;
        registry.fault(Rule::always(fault));
        let found = client().head_digest(&checkout(&registry), &tag("1")).await;
        assert_eq!(class_of(found), expected);
        let requests = registry.requests();
        assert_eq!(requests.len(), 1, "{expected}");
        assert_eq!(requests[0].method, "HEAD");
    }
}

#[tokio::test]
async fn an_index_names_the_digest_of_every_platform_in_one_request() {
    for spec in [spec(), spec().docker()] {
        let spec = spec
            .platforms(&["linux/amd64", "linux/arm64", "linux/arm/v7"])
            .attestation();
        let registry = Registry::open().await;
        let published = registry.publish(&spec.annotation("org.opencontainers.image.version", "1"));
        let found = platforms(&registry, &published.digest).await.unwrap();
        assert!(found.is_index);
        assert_eq!(
            found.digests,
            parsed(&published),
            "the attestation is no platform"
        );
        assert_eq!(found.labels["org.opencontainers.image.version"], "1");
        assert_eq!(counts(&registry), [0, 0, 0, 1, 0]);
    }
}

#[tokio::test]
async fn a_single_manifest_takes_its_platform_and_labels_from_its_config() {
    for spec in [spec(), spec().docker()] {
        let registry = Registry::open().await;
        let published = registry.publish(&spec.single("linux/arm/v7").label("example.com/team", "shop"));
        let found = platforms(&registry, &published.digest).await.unwrap();
        assert!(!found.is_index);
        assert_eq!(found.digests, parsed(&published));
        assert_eq!(found.labels["example.com/team"], "shop");
        assert_eq!(counts(&registry), [0, 0, 0, 1, 1]);
    }
}

#[tokio::test]
async fn the_digest_of_a_platform_leads_to_the_labels_of_its_image() {
    let registry = Registry::open().await;
    let published = registry.publish(&spec().label("org.opencontainers.image.revision", "abc"));
    let found = platforms(&registry, &published.platforms["linux/arm64"])
        .await
        .unwrap();
    assert_eq!(found.labels["org.opencontainers.image.revision"], "abc");
    assert_eq!(found.digests.into_keys().collect::<Vec<_>>(), ["linux/arm64"]);
}

#[tokio::test]
async fn content_that_does_not_have_its_digest_is_not_believed() {
    for kind in [RequestKind::Manifest, RequestKind::Blob] {
        let registry = Registry::open().await;
        let published = registry.publish(&spec().single("linux/amd64"));
        registry.fault(Rule::on(kind, Fault::AlteredBody));
        let found = platforms(&registry, &published.digest).await;
        assert_eq!(class_of(found), ErrorClass::Protocol, "{kind:?}");
    }
}

#[tokio::test]
async fn the_header_is_not_believed_over_the_content() {
    let registry = Registry::open().await;
    let published = registry.publish(&spec());
    for fault in [Fault::WrongDigestHeader, Fault::MissingDigestHeader] {
        registry.clear_faults();
        registry.fault(Rule::always(fault));
        assert_eq!(
            platforms(&registry, &published.digest).await.unwrap().digests,
            parsed(&published)
        );
    }
}

#[tokio::test]
async fn a_manifest_that_is_gone_is_not_found() {
    let registry = open_registry(&["1"]).await;
    let absent = sandbox::registry::digest_of(b"never published");
    assert_eq!(
        class_of(platforms(&registry, &absent).await),
        ErrorClass::NotFound
    );
}
