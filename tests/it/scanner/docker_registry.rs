//! The scanner before Debian's docker-registry: open, with passwords, and with a token service. docker-registry's own access
//! log says what it was asked.

use std::sync::Arc;

use sandbox::cluster::{Cluster, eventually};
use sandbox::docker_registry::{DockerRegistry, Door, TOKEN_SERVICE};
use sandbox::registry::{
    Auth, BearerAuth, ImageSpec, Registry, RegistryOptions, RequestKind, TokenSigner, User,
};

use crate::tools::{Kubectl, skopeo};

use super::credentials::{assert_keeps_secret, left_behind, pulling};
use super::{installed, records, said, scan, summary};

/// A token service for a docker-registry, and the way in. `base/` is for everybody, `shop/` for `ann`.
async fn token_service() -> (Registry, Door) {
    let signer = Arc::new(TokenSigner::generate("sandbox"));
    let auth = Auth::Bearer(BearerAuth {
        service: TOKEN_SERVICE.to_owned(),
        private: vec!["shop/".to_owned()],
        users: vec![User::new("ann", "secret")],
        signer: Some(Arc::clone(&signer)),
        ..BearerAuth::default()
    });
    let service = Registry::start(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    })
    .await;
    let realm = format!("{}/token", service.base_url());
    (service, Door::Tokens(realm, signer))
}

/// Copies an image into docker-registry, as a release pipeline would.
async fn release(cluster: &Cluster, registry: &DockerRegistry, door: &Door, repository: &str, tag: &str) {
    cluster.registry.publish(&ImageSpec::new(repository, tag));
    let from = format!("docker://{}", cluster.registry.reference(repository, tag));
    let to = format!("docker://{}/{repository}:{tag}", registry.host);
    let mut arguments = vec![
        "--insecure-policy",
        "copy",
        "--all",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
    ];
    if !matches!(door, Door::Open) {
        arguments.push("--dest-creds=ann:secret");
    }
    skopeo(&[&arguments[..], &[&from, &to]].concat()).await;
}

/// Three repositories in docker-registry.
async fn stocked(cluster: &Cluster, door: &Door) -> DockerRegistry {
    let registry = DockerRegistry::behind(door).await;
    for (repository, tag) in [
        ("shop/web", "1.4.0"),
        ("shop/web", "1.5.0"),
        ("shop/edge", "edge"),
        ("base/tool", "1.4.0"),
        ("base/tool", "1.5.0"),
    ] {
        release(cluster, &registry, door, repository, tag).await;
    }
    registry
}

/// `kubectl create secret docker-registry`
async fn pull_secret(cluster: &Cluster, registry: &DockerRegistry, name: &str, password: &str) {
    let line = format!(
        "-n shop create secret docker-registry {name} --docker-server={} --docker-username=ann --docker-password={password}",
        registry.host
    );
    Kubectl::new(cluster).run(&line).await;
}

/// Workloads of these repositories with these pull secrets.
async fn deploy(
    cluster: &Cluster,
    registry: &DockerRegistry,
    repositories: &[(&str, &str)],
    secrets: &[&str],
) {
    for (repository, tag) in repositories {
        let name = repository.replace('/', "-");
        let image = format!("{}/{repository}:{tag}", registry.host);
        cluster.apply(&[pulling(&name, &image, secrets, None)]).await;
    }
}

/// How often docker-registry was asked and answered, how often it refused, and how many tokens were asked for, once so
/// many requests are in its log.
async fn cost(
    registry: &DockerRegistry,
    service: Option<&Registry>,
    earlier: usize,
    requests: usize,
) -> [usize; 3] {
    let asked = eventually(
        "docker-registry has written its log",
        std::time::Duration::from_secs(30),
        async || {
            Some(registry.asked_by("kubefresh-scanner")).filter(|asked| asked.len() >= earlier + requests)
        },
    )
    .await;
    let asked = &asked[earlier..];
    assert!(
        asked.iter().all(|line| !line.contains(" /v2/ ")),
        "no ping: {asked:#?}"
    );
    let refused = asked.iter().filter(|line| line.ends_with(" 401")).count();
    let tokens = service.map_or(0, |service| {
        let by_scanner = service.requests().into_iter();
        by_scanner
            .filter(|request| request.kind == RequestKind::Token)
            .filter(|request| request.user_agent.starts_with("kubefresh-scanner/"))
            .count()
    });
    [asked.len() - refused, refused, tokens]
}

const ALL: [(&str, &str); 3] = [
    ("shop/web", "1.4.0"),
    ("shop/edge", "edge"),
    ("base/tool", "1.4.0"),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl, skopeo and docker-registry; run by just e2e"]
async fn debians_docker_registry_is_scanned_through_every_door_at_its_exact_price() {
    let (service, tokens) = token_service().await;
    for (door, refused, tokens) in [
        (Door::Open, 0, [0, 0]),
        (Door::Htpasswd, 1, [0, 0]),
        // Once the challenge; then each repository is asked for in nobody's name, and the two that turn out to be private in
        // ann's, which the next run knows.
        (tokens, 1 + 2, [3 + 2, 3]),
    ] {
        let cluster = installed().await;
        let registry = stocked(&cluster, &door).await;
        pull_secret(&cluster, &registry, "regcred", "secret").await;
        deploy(&cluster, &registry, &ALL, &["regcred"]).await;
        let mut earlier = 0;
        // Two lists and a digest. Only once: what the registry wants, the digests of the two new candidates, and of all
        // three images the index, the manifest and the config.
        for (answered, refused, tokens) in [(3 + 2 + 3 * 3, refused, tokens[0]), (3, 0, tokens[1])] {
            service.clear_requests();
            let output = scan(&cluster, &["--log-level", "trace"]).await;
            assert!(
                summary(&output).starts_with("scanned 3 of 3"),
                "{}",
                summary(&output)
            );
            assert_keeps_secret(&left_behind(&cluster, &output).await, &["ann:secret"]);
            let cost = cost(&registry, Some(&service), earlier, answered + refused).await;
            assert_eq!(cost, [answered, refused, tokens]);
            earlier += answered + refused;
        }
        let newest: Vec<String> = records(&cluster)
            .await
            .iter()
            .map(|record| record.newest().unwrap().to_string())
            .collect();
        assert_eq!(newest, ["1.5.0", "edge", "1.5.0"]);
    }
    assert_eq!(service.failed_logins(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs kubectl, skopeo and docker-registry; run by just e2e"]
async fn a_wrong_password_is_shown_once_to_docker_registry_or_its_token_service_and_the_record_says_whose_it_is()
 {
    let (service, tokens) = token_service().await;
    for door in [Door::Htpasswd, tokens] {
        let cluster = installed().await;
        let registry = stocked(&cluster, &door).await;
        pull_secret(&cluster, &registry, "mistaken", "irrtum").await;
        deploy(&cluster, &registry, &ALL[..2], &["mistaken"]).await;
        service.clear_requests();
        for run in 1..=2 {
            let output = scan(&cluster, &["--log-level", "trace"]).await;
            assert!(
                summary(&output).contains("2 failed (unauthorized)"),
                "{}",
                summary(&output)
            );
            assert_eq!(said(&output).contains("a login was rejected"), run == 1);
            assert_keeps_secret(&left_behind(&cluster, &output).await, &["irrtum"]);
        }
        if matches!(door, Door::Tokens(..)) {
            assert_eq!(service.failed_logins(), 1);
        } else {
            // In each run nobody's question, for each repository; and once ann's.
            assert_eq!(cost(&registry, None, 0, 5).await, [0, 5, 0]);
        }
        for record in records(&cluster).await {
            let error = record.last_error.unwrap();
            assert_eq!(error.class, "unauthorized");
            let told = format!("entry {} of Secret shop/mistaken was rejected", registry.host);
            assert!(error.message.contains(&told), "{}", error.message);
        }

        pull_secret(&cluster, &registry, "regcred", "secret").await;
        deploy(&cluster, &registry, &ALL[..2], &["mistaken", "regcred"]).await;
        let output = scan(&cluster, &[]).await;
        assert!(
            summary(&output).starts_with("scanned 2 of 2"),
            "{}",
            summary(&output)
        );
        assert!(service.failed_logins() <= 1);
    }
}
