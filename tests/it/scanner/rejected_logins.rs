//! Logins that a registry turned away: shown once, and left alone by the runs that follow.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sandbox::cluster::Cluster;
use sandbox::registry::{Auth, User};
use serde_json::json;

use super::credentials::{left_behind, pull_secret, pulling};
use super::{installed, publish, said, scan, summary};

/// The record of rejected logins, as it is stored.
async fn rejected_logins(cluster: &Cluster) -> Option<ConfigMap> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    api.get_opt("rejected-logins").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_login_is_left_alone_by_the_next_runs_until_its_secret_has_changed() {
    let cluster = installed().await;
    let host = cluster.registry.host();
    for repository in ["shop/web", "shop/worker"] {
        publish(&cluster, repository, &["1.4.0", "1.5.0"]);
    }
    let users = vec![User::new("ann", "geheim")];
    cluster
        .registry
        .configure(|options| options.auth = Auth::Basic(users));
    let secrets = ["regcred"];
    cluster
        .apply(&[
            pull_secret("shop", "regcred", &host, "ann", "irrtum"),
            pulling(
                "web",
                &cluster.registry.reference("shop/web", "1.4.0"),
                &secrets,
                None,
            ),
            pulling(
                "worker",
                &cluster.registry.reference("shop/worker", "1.4.0"),
                &secrets,
                None,
            ),
        ])
        .await;
    let dry = scan(&cluster, &["--dry-run"]).await;
    assert!(
        summary(&dry).contains("2 failed (unauthorized)"),
        "{}",
        summary(&dry)
    );
    assert!(
        rejected_logins(&cluster).await.is_none(),
        "a dry run writes nothing"
    );
    assert_eq!(cluster.registry.failed_logins(), 1);

    let first = scan(&cluster, &["--log-level", "trace"]).await;
    assert!(
        summary(&first).contains("2 failed (unauthorized)"),
        "{}",
        summary(&first)
    );
    assert_eq!(cluster.registry.failed_logins(), 2, "both repositories, one try");
    let record = rejected_logins(&cluster).await.unwrap();
    let text = record.data.unwrap()["logins"].clone();
    assert!(text.contains("name: regcred") && text.contains(&host), "{text}");
    let told = left_behind(&cluster, &first).await;
    assert!(!format!("{told}{text}").contains("irrtum"));
    assert!(told.contains("Secret shop/regcred was rejected"), "{told}");

    cluster.api.clear_requests();
    let second = scan(&cluster, &[]).await;
    assert!(
        summary(&second).contains("0 records written"),
        "{}",
        summary(&second)
    );
    assert!(
        summary(&second).contains("2 failed (unauthorized)"),
        "{}",
        summary(&second)
    );
    assert_eq!(cluster.registry.failed_logins(), 2);
    assert_eq!(super::writes(&cluster), ["last-run"], "nothing is new");

    cluster
        .apply(&[pull_secret("shop", "regcred", &host, "ann", "geheim")])
        .await;
    let third = scan(&cluster, &[]).await;
    assert!(
        summary(&third).starts_with("scanned 2 of 2"),
        "{}",
        summary(&third)
    );
    assert_eq!(cluster.registry.failed_logins(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_login_is_tried_again_after_its_time_and_what_is_over_is_forgotten() {
    let cluster = installed().await;
    let host = cluster.registry.host();
    publish(&cluster, "shop/web", &["1.4.0", "1.5.0"]);
    cluster
        .registry
        .configure(|options| options.auth = Auth::Basic(vec![User::new("ann", "geheim")]));
    let image = cluster.registry.reference("shop/web", "1.4.0");
    cluster
        .apply(&[
            pull_secret("shop", "regcred", &host, "ann", "irrtum"),
            pulling("web", &image, &["regcred"], None),
        ])
        .await;
    summary(&scan(&cluster, &[]).await);
    let stored = rejected_logins(&cluster).await.unwrap().data.unwrap()["logins"].clone();
    let until = stored.split("until: ").nth(1).unwrap().trim().to_owned();
    let set = async |logins: String| {
        let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
        let patch = Patch::Merge(json!({ "data": { "logins": logins } }));
        api.patch("rejected-logins", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    set(stored.replace(&until, "\"2026-01-01T00:00:00Z\"")).await;
    summary(&scan(&cluster, &[]).await);
    assert_eq!(cluster.registry.failed_logins(), 2, "its time was over");
    cluster
        .registry
        .configure(|options| options.auth = Auth::Basic(vec![User::new("ann", "irrtum")]));
    set(stored.replace(&until, "\"2026-01-01T00:00:00Z\"")).await;
    let output = scan(&cluster, &[]).await;
    assert!(
        summary(&output).starts_with("scanned 1 of 1"),
        "{}",
        summary(&output)
    );
    assert_eq!(
        rejected_logins(&cluster).await.unwrap().data.unwrap()["logins"].trim(),
        "[]"
    );

    set("- [".to_owned()).await;
    let output = scan(&cluster, &[]).await;
    assert!(summary(&output).starts_with("scanned 1 of 1") && said(&output).contains("rejected-logins"));
    assert_eq!(
        rejected_logins(&cluster).await.unwrap().data.unwrap()["logins"].trim(),
        "[]"
    );
}
