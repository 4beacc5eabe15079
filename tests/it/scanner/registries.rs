//! `registries.yaml`: registries that are reached in another way than the others.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::cluster::Cluster;
use sandbox::registry::{Auth, RequestKind, User};

use super::credentials::{pull_secret, pulling};
use super::{deployment, installed, publish, records, said, scan, scan_with_registries, summary, watched};

async fn one_image(image: &str) -> Cluster {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    cluster.apply(&[deployment("web", image, &watched())]).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_private_authority_is_asked_over_tls_once_that_is_trusted() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    let front = cluster.registry.with_tls().await;
    let image = format!("{}/shop/web:1.4.0", front.host());
    cluster.apply(&[deployment("web", &image, &watched())]).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    };
    let ca = write("ca.pem", front.ca_pem());
    let other = write("other.pem", cluster.registry.with_tls().await.ca_pem());
    for (authority, expected) in [(&other, "1 failed (tls)"), (&ca, "scanned 1 of 1")] {
        let yaml = format!(
            "registries:\n  {}:\n    caFile: {}\n",
            front.host(),
            authority.display()
        );
        let output = scan_with_registries(&cluster, &yaml, &[]).await;
        assert!(summary(&output).contains(expected), "{}", summary(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_behind_a_proxy_is_asked_through_it() {
    let cluster = one_image("registry.invalid:5000/shop/web:1.4.0").await;
    let proxy = cluster.registry.base_url();
    let yaml = format!("registries:\n  registry.invalid:5000: {{ plainHttp: true, proxy: '{proxy}' }}\n");
    let output = scan_with_registries(&cluster, &yaml, &[]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 1"),
        "{}",
        said(&output)
    );
    assert_eq!(cluster.registry.count(RequestKind::Tags), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_is_asked_in_the_place_of_its_registry_and_gets_only_its_own_credentials() {
    let cluster = installed().await;
    publish(&cluster, "cache/shop/web", &["1.4.0", "1.5.0"]);
    let host = cluster.registry.host();
    cluster
        .registry
        .configure(|options| options.auth = Auth::Basic(vec![User::new("cache", "geheim-1")]));
    let image = "registry.invalid/shop/web:1.4.0";
    cluster
        .apply(&[
            pull_secret("shop", "upstream", "registry.invalid", "upstream", "geheim-2"),
            pull_secret("shop", "cache", &host, "cache", "geheim-1"),
            pulling("web", image, &["upstream", "cache"], None),
        ])
        .await;
    let yaml = format!("registries:\n  registry.invalid: {{ mirror: {host}/cache }}\n");
    let output = scan_with_registries(&cluster, &yaml, &[]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 1"),
        "{}",
        said(&output)
    );
    let record = &records(&cluster).await[0];
    assert_eq!(record.repository.to_string(), "registry.invalid/shop/web");
    assert_eq!(record.newest().unwrap().to_string(), "1.5.0");
    let asked = cluster.registry.requests();
    let shown: BTreeSet<_> = asked
        .iter()
        .filter_map(|request| request.credential.clone())
        .collect();
    let own = format!("Basic {}", STANDARD.encode("cache:geheim-1"));
    assert_eq!(shown, BTreeSet::from([own]));
    assert!(asked.iter().all(|request| !request.path.contains("v2/shop")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_does_not_answer_is_named_in_the_error() {
    let cluster = one_image("registry.invalid/shop/web:1.4.0").await;
    let yaml = format!(
        "registries:\n  registry.invalid: {{ mirror: {}/cache }}\n",
        cluster.registry.host()
    );
    let output = scan_with_registries(&cluster, &yaml, &[]).await;
    assert!(
        summary(&output).contains("1 failed (not-found)"),
        "{}",
        said(&output)
    );
    let error = records(&cluster).await[0].last_error.clone().unwrap().message;
    assert!(
        error.contains("registry.invalid/shop/web at its mirror"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_obeyed_stop_the_scan_before_anything_is_asked() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0"]);
    let image = cluster.registry.reference("shop/web", "1.4.0");
    cluster.apply(&[deployment("web", &image, &watched())]).await;
    for (yaml, says) in [
        ("registries: { example.com: { plainHtpp: true } }", "plainHtpp"),
        (
            "registries: { example.com: { caFile: /nowhere.pem } }",
            "/nowhere.pem",
        ),
    ] {
        let output = scan_with_registries(&cluster, yaml, &[]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(says), "{}", said(&output));
    }
    assert_eq!(cluster.registry.requests().len(), 0);
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not-there.yaml");
    let output = scan(&cluster, &["--registries", missing.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", said(&output));
    let output = scan(&cluster, &["--registries", "/nowhere/registries.yaml"]).await;
    assert_eq!(output.status.code(), Some(2), "not even the volume is there");
}
