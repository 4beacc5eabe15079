//! Registries that answer wrongly or by halves, and what a run costs a registry that answers well.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::cluster::{Cluster, eventually};
use sandbox::programs::programs;
use sandbox::registry::{Auth, BearerAuth, Fault, ImageSpec, Paging, RequestKind, Rule};
use serde_json::{Value, json};
use shared::domain::record::ScanRecord;

use super::{config_maps, deployment, installed, publish, records, scan, summary, watched};

/// What `kubefresh-scanner records --failing` shows.
async fn failing(cluster: &Cluster) -> Vec<Value> {
    let output = tokio::process::Command::new(&programs()["kubefresh-scanner"])
        .args(["records", "--failing", "--output", "json"])
        .env("KUBECONFIG", cluster.kubeconfig_file(None))
        .env("POD_NAMESPACE", "kubefresh")
        .output()
        .await
        .unwrap();
    let listing: Value = serde_json::from_slice(&output.stdout).unwrap();
    listing["records"].as_array().unwrap().clone()
}

/// As if the last scan that succeeded had been long ago.
async fn grow_old(cluster: &Cluster) {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    for record in config_maps(cluster).await {
        let long_ago = json!({ "data": { "scannedAt": "2026-01-01T00:00:00Z" } });
        let name = record.metadata.name.unwrap();
        api.patch(&name, &PatchParams::default(), &Patch::Merge(long_ago))
            .await
            .unwrap();
    }
}

async fn record_of(cluster: &Cluster, path: &str) -> ScanRecord {
    let records = records(cluster).await;
    let found = records
        .into_iter()
        .find(|record| record.repository.path() == path);
    found.unwrap_or_else(|| panic!("a record of {path}"))
}

/// `shop/web`, of which versions are wanted, on pages of two tags; and `shop/edge`, whose tag moves.
async fn shop() -> Cluster {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0", "1.6.0"]);
    publish(&cluster, "shop/edge", &["edge"]);
    cluster.registry.configure(|options| {
        options.paging = Paging {
            default_size: Some(2),
            ..Paging::default()
        }
    });
    for (name, tag) in [("web", "1.4.0"), ("edge", "edge")] {
        let image = cluster.registry.reference(&format!("shop/{name}"), tag);
        cluster.apply(&[deployment(name, &image, &watched())]).await;
    }
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_and_a_wrong_one_leave_the_findings_and_show_the_error_and_the_age() {
    use RequestKind::{Manifest, Tags};
    let cluster = shop().await;
    summary(&scan(&cluster, &[]).await);
    let digest_header = |digest: &str| Fault::status(200).with_header("docker-content-digest", digest);
    // So short that one of the next runs may ask again.
    let wait_a_moment = || Fault::retry_after_seconds(0);
    let second_page = |fault| Rule::on(Tags, fault).repository("shop/web").from(2);
    let first_page = |fault| Rule::on(Tags, fault).repository("shop/web");
    let head = |fault| {
        Rule::on(Manifest, fault)
            .method(Method::HEAD)
            .repository("shop/edge")
    };
    for (rule, path, class) in [
        (second_page(Fault::status(404)), "shop/web", "protocol"),
        (second_page(Fault::status(401)), "shop/web", "unauthorized"),
        (second_page(Fault::status(503)), "shop/web", "unavailable"),
        (second_page(Fault::TruncatedBody), "shop/web", "connection"),
        (second_page(wait_a_moment()), "shop/web", "rate-limited"),
        (
            first_page(Fault::HugeBody { bytes: 600 << 20 }),
            "shop/web",
            "too-large",
        ),
        (
            first_page(Fault::error(404, "NAME_UNKNOWN", "gone")),
            "shop/web",
            "not-found",
        ),
        (head(Fault::MissingDigestHeader), "shop/edge", "protocol"),
        (head(digest_header("sha256:short")), "shop/edge", "protocol"),
        (head(Fault::status(405)), "shop/edge", "rejected"),
        (head(wait_a_moment()), "shop/edge", "rate-limited"),
    ] {
        grow_old(&cluster).await;
        let before = record_of(&cluster, path).await;
        cluster.registry.fault(rule);
        let said = summary(&scan(&cluster, &[]).await);
        assert!(
            said.contains(&format!("1 failed ({class})")),
            "{path} {class}: {said}"
        );
        let after = record_of(&cluster, path).await;
        assert_eq!(after.findings, before.findings, "{path} {class}");
        assert_eq!(after.last_error.unwrap().class, class);
        let [shown] = &failing(&cluster).await[..] else {
            panic!("one repository is failing, with {class}");
        };
        assert_eq!(
            (&shown["state"], &shown["error"]["class"]),
            (&json!("failing"), &json!(class))
        );
        assert!(shown["age_seconds"].as_i64().unwrap() > 24 * 3600, "{shown}");

        cluster.registry.clear_faults();
        eventually("it is well again", Duration::from_secs(30), async || {
            summary(&scan(&cluster, &[]).await);
            failing(&cluster).await.is_empty().then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_content_does_not_have_its_digest_is_not_recorded() {
    let cluster = shop().await;
    summary(&scan(&cluster, &[]).await);
    let before = record_of(&cluster, "shop/edge").await;
    cluster
        .registry
        .publish(&ImageSpec::new("shop/edge", "edge").label("build", "2"));
    cluster
        .registry
        .fault(Rule::on(RequestKind::Manifest, Fault::AlteredBody).method(Method::GET));
    let said = summary(&scan(&cluster, &[]).await);
    assert!(said.contains("1 failed (protocol)"), "{said}");
    assert_eq!(record_of(&cluster, "shop/edge").await.findings, before.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_whose_digest_cannot_be_had_is_told_and_does_not_keep_others_from_their_updates() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0", "edge"]);
    for (name, tag) in [("web", "1.4.0"), ("edge", "edge")] {
        let image = cluster.registry.reference("shop/web", tag);
        cluster.apply(&[deployment(name, &image, &watched())]).await;
    }
    for fault in [Fault::MissingDigestHeader, Fault::status(500)] {
        cluster
            .registry
            .fault(Rule::on(RequestKind::Manifest, fault).repository("shop/web"));
        let said = summary(&scan(&cluster, &[]).await);
        assert!(said.contains("1 failed ("), "{said}");
        let ScanRecord {
            findings, last_error, ..
        } = record_of(&cluster, "shop/web").await;
        let findings = findings.expect("the list was answered");
        assert_eq!(findings.scanned_for, ["1.4.0 minor".parse().unwrap()].into());
        assert!(findings.tag(&"1.5.0".parse().unwrap()).is_some());
        let message = last_error.unwrap().message;
        assert!(message.contains("look up the digest of tag edge"), "{message}");
        cluster.registry.clear_faults();
    }
    summary(&scan(&cluster, &[]).await);
    let record = record_of(&cluster, "shop/web").await;
    assert_eq!(record.findings.unwrap().scanned_for.len(), 2);
    assert_eq!(record.last_error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_config_is_missing_is_followed_by_its_digest_without_its_platforms() {
    let cluster = shop().await;
    cluster
        .registry
        .publish(&ImageSpec::new("shop/edge", "edge").single("linux/amd64"));
    cluster
        .registry
        .fault(Rule::on(RequestKind::Blob, Fault::status(404)).repository("shop/edge"));
    summary(&scan(&cluster, &[]).await);
    let record = record_of(&cluster, "shop/edge").await;
    assert_eq!(record.last_error, None);
    let findings = record.findings.unwrap();
    let edge = findings.tag(&"edge".parse().unwrap()).unwrap();
    assert!(edge.digest.is_some() && edge.platforms.is_empty() && !edge.platforms_pending);
    cluster.registry.clear_requests();
    summary(&scan(&cluster, &[]).await);
    let asked = asked(&cluster);
    let of_edge: Vec<_> = asked
        .iter()
        .filter(|asked| asked.contains("/shop/edge/"))
        .collect();
    assert_eq!(of_edge, ["HEAD /v2/shop/edge/manifests/edge?"]);
}

/// Method, path and query of every request that was not refused.
fn asked(cluster: &Cluster) -> Vec<String> {
    let requests = cluster.registry.requests().into_iter();
    requests
        .filter(|request| request.status != 401)
        .map(|request| format!("{} {}?{}", request.method, request.path, request.query))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_each_thing_once_however_many_workloads_want_it_and_adds_a_token_for_each_repository() {
    for (auth, refused, tokens) in [(Auth::None, 0, 0), (Auth::Bearer(BearerAuth::default()), 1, 3)] {
        let cluster = installed().await;
        publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
        publish(&cluster, "shop/api", &["2.0.0"]);
        publish(&cluster, "shop/edge", &["edge"]);
        cluster.registry.configure(|options| options.auth = auth);
        for (number, (name, tag)) in (0..30).zip(
            [("web", "1.4.0"), ("api", "2.0.0"), ("edge", "edge")]
                .iter()
                .cycle(),
        ) {
            let image = cluster.registry.reference(&format!("shop/{name}"), tag);
            cluster
                .apply(&[deployment(&format!("{name}-{number}"), &image, &watched())])
                .await;
        }
        for run in 1..=2 {
            cluster.registry.clear_requests();
            let said = summary(&scan(&cluster, &[]).await);
            assert!(
                said.starts_with("scanned 3 of 3 repositories for 30 workloads"),
                "{said}"
            );
            let all = asked(&cluster);
            let each: BTreeSet<&String> = all.iter().collect();
            assert_eq!(each.len(), all.len(), "nothing is asked twice: {all:#?}");
            let requests = cluster.registry.requests();
            let count = |kind, method: &str| {
                let of_kind = requests.iter().filter(|request| request.kind == kind);
                of_kind
                    .filter(|request| request.method == method && request.status != 401)
                    .count()
            };
            let counted = [
                count(RequestKind::Ping, "GET"),
                count(RequestKind::Token, "GET"),
                count(RequestKind::Tags, "GET"),
                count(RequestKind::Manifest, "HEAD"),
                count(RequestKind::Manifest, "GET"),
                count(RequestKind::Blob, "GET"),
            ];
            // Two lists and a digest. Only once: the digest of the new candidate, and of both images the index, the
            // manifest and the config.
            let once = if run == 1 { [1, 2 * 2, 2] } else { [0; 3] };
            let expected = [0, tokens, 2, 1 + once[0], once[1], once[2]];
            assert_eq!(counted, expected, "run {run}");
            // What the registry wants is known to the second run.
            let refused = if run == 1 { refused } else { 0 };
            assert_eq!(
                requests.len(),
                counted.iter().sum::<usize>() + refused,
                "run {run}"
            );
        }
    }
}
