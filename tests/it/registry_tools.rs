//! The embedded registry held against tools and a registry that others wrote.
//!
//! Ignored unless asked for, because they need Debian's `skopeo` and `docker-registry` on the path:
//! `cargo test -p tests --test it registry_tools -- --ignored`.

use std::collections::BTreeMap;

use sandbox::docker_registry::DockerRegistry;
use sandbox::registry::{ImageSpec, Registry, push};
use scanner::registry::{RegistryClient, RegistryClientOptions};

use crate::tools::skopeo;

#[tokio::test]
#[ignore = "needs skopeo; run by just e2e"]
async fn skopeo_copies_every_kind_of_image_out_of_and_into_the_embedded_registry() {
    let (from, to) = (Registry::open().await, Registry::open().await);
    for (number, spec) in [
        ImageSpec::new("shop/checkout", "1"),
        ImageSpec::new("shop/checkout", "1").docker(),
    ]
    .iter()
    .enumerate()
    {
        let published = from.publish(spec);
        let tag = format!("copy-{number}");
        let source = format!("docker://{}", from.reference("shop/checkout", "1"));
        let target = format!("docker://{}", to.reference("mirror/checkout", &tag));
        skopeo(&[
            "--insecure-policy",
            "copy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &source,
            &target,
        ])
        .await;
        assert_eq!(
            to.digest("mirror/checkout", &tag),
            Some(published.digest),
            "the digest survives the copy"
        );
        let listed = skopeo(&[
            "list-tags",
            "--tls-verify=false",
            &target.replace(&format!(":{tag}"), ""),
        ])
        .await;
        assert!(listed.contains(&tag), "{listed}");
    }
}

#[tokio::test]
#[ignore = "needs skopeo; run by just e2e"]
async fn skopeo_inspects_the_labels_of_the_platform() {
    let registry = Registry::open().await;
    registry.publish(&ImageSpec::new("shop/checkout", "1").label("example.com/team", "shop"));
    let reference = format!("docker://{}", registry.reference("shop/checkout", "1"));
    let inspected = skopeo(&["inspect", "--tls-verify=false", "--override-os=linux", &reference]).await;
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Labels"]["example.com/team"], "shop");
}

#[tokio::test]
#[ignore = "needs docker-registry; run by just e2e"]
async fn the_scanners_client_reads_from_debians_docker_registry_what_was_pushed_to_it() {
    let registry = DockerRegistry::open().await;
    let client = RegistryClient::new(RegistryClientOptions::default()).unwrap();
    let repository = format!("{}/shop/checkout", registry.host).parse().unwrap();
    let specs = [
        ImageSpec::new("shop/checkout", "1").attestation(),
        ImageSpec::new("shop/checkout", "2").docker(),
        ImageSpec::new("shop/checkout", "3")
            .single("linux/arm64")
            .label("example.com/team", "shop"),
    ];
    for spec in &specs {
        let pushed = push(&format!("http://{}", registry.host), spec).await.unwrap();
        let tag = spec.tag().parse().unwrap();
        let digest = client.head_digest(&repository, &tag).await.unwrap().unwrap();
        assert_eq!(digest.as_str(), pushed.digest);
        let found = client.platform_digests(&repository, &digest).await.unwrap();
        let platforms: BTreeMap<_, _> = found
            .digests
            .iter()
            .map(|(name, digest)| (name.clone(), digest.to_string()))
            .collect();
        assert_eq!(platforms, pushed.platforms);
        assert_eq!(found.labels.contains_key("example.com/team"), spec.tag() == "3");
    }
    let mut tags = client.list_tags(&repository).await.unwrap();
    tags.sort();
    assert_eq!(
        tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    assert_eq!(
        client
            .head_digest(&repository, &"4".parse().unwrap())
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        client.requests(),
        3 + 4 + 1 + 1,
        "digests, manifests with one config, the list, the missing tag"
    );
}
