//! Every kind of policy, all the way: the real scanner reads the annotation and asks a registry, the updater decides by its
//! record alone.

use sandbox::programs::programs;
use sandbox::registry::ImageSpec;

use super::*;

impl Stage {
    /// Publishes the tags and deploys the one that stands first.
    async fn run_first(&self, name: &str, tags: &str, annotations: &[(&str, &str)]) {
        let repository = format!("shop/{name}");
        for tag in tags.split(' ') {
            self.cluster.registry.publish(&ImageSpec::new(&repository, tag));
        }
        let first = tags.split(' ').next().unwrap();
        let image = self.cluster.registry.reference(&repository, first);
        self.deploy(name, &image, annotations).await;
        self.roll_out(name).await;
    }

    pub(super) async fn scan(&self) -> String {
        let kubeconfig = self
            .cluster
            .kubeconfig_file(Some((NAMESPACE, "kubefresh-scanner")));
        let output = tokio::process::Command::new(&programs()["kubefresh-scanner"])
            .arg("scan")
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", NAMESPACE)
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

const STAMP: &str = "^main-[a-f0-9]{7}-(?P<ts>[0-9]+)$";

/// Name, published tags of which the first one runs, annotations, and the tag that is to run in the end.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_takes_its_workload_to_the_tag_it_means() {
    let stage = Stage::set().await;
    let cases: [Case; 7] = [
        (
            "range",
            "8.4.0 8.4.11 9.7.2 9.7.2-oracle 26.7.0",
            &[("kubefresh.dev/policy", "range:>=8.4 <10")],
            "9.7.2",
        ),
        (
            "stamp",
            "main-abc1234-1627123456 main-fff0000-1700000000 main-0001111-99 latest",
            &[
                ("kubefresh.dev/tag-pattern", STAMP),
                ("kubefresh.dev/tag-extract", "$ts"),
                ("kubefresh.dev/tag-order", "numeric:asc"),
            ],
            "main-fff0000-1700000000",
        ),
        (
            "glob",
            "build-9 build-10 build-11-debug dev-12",
            &[("kubefresh.dev/policy", "glob:build-*")],
            "build-10",
        ),
        (
            "regex",
            "2024.10.1 2024.11.0 2025.1.0",
            &[("kubefresh.dev/policy", r"regex:^2024\.1\d\.")],
            "2024.11.0",
        ),
        (
            "exclude",
            "1.0.0 1.1.0 1.2.0 1.3.0",
            &[("kubefresh.dev/exclude", "1.3.* 1.2.0")],
            "1.1.0",
        ),
        (
            "variant",
            "16.3-alpine3.19 16.9-alpine3.22 17.0-alpine3.22",
            &[("app.kubefresh.dev/follow-variants", "true")],
            "16.9-alpine3.22",
        ),
        (
            "spelling",
            "v1.2.0 v1.3.0 1.4.0",
            &[("kubefresh.dev/policy", "minor")],
            "v1.3.0",
        ),
    ];
    for (name, tags, annotations, _) in cases {
        stage.run_first(name, tags, annotations).await;
    }
    let said = stage.scan().await;
    assert!(
        said.contains("scanned 7 of 7 repositories for 7 workloads: 7 records written"),
        "{said}"
    );
    let updater = stage.leader().await;
    for (name, _, _, expected) in cases {
        let image = stage
            .cluster
            .registry
            .reference(&format!("shop/{name}"), expected);
        stage.image_becomes(name, &image).await;
        stage.roll_out(name).await;
        assert_eq!(stage.result(name).await, "completed", "{name}");
    }
    // From there none leads any further, by the same records or by new ones.
    stage.scan().await;
    updater
        .shows("kubefresh_containers{verdict=\"up-to-date\"} 7")
        .await;
    for (name, ..) in cases {
        assert_eq!(
            stage.told(name).await,
            ["UpdateStarted", "ImageUpdated"],
            "{name}"
        );
    }
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_be_obeyed_stops_its_workload_with_a_warning_and_no_other() {
    let stage = Stage::set().await;
    stage
        .run_first(
            "broken",
            "1.0.0 1.1.0",
            &[("kubefresh.dev/policy", "range:latest")],
        )
        .await;
    stage.run_first("sound", "1.0.0 1.1.0", &[]).await;
    let said = stage.scan().await;
    assert!(said.contains("1 of 1 repositories for 1 workload"), "{said}");
    let updater = stage.leader().await;
    stage
        .image_becomes("sound", &stage.cluster.registry.reference("shop/sound", "1.1.0"))
        .await;
    let warning = eventually("the warning is told", LIMIT, || async {
        stage.events("broken").await.into_iter().next()
    })
    .await;
    assert_eq!(warning.reason.as_deref(), Some("InvalidSettings"));
    let note = warning.note.unwrap();
    assert!(
        note.contains("kubefresh.dev/policy") && note.contains("range:latest") && note.contains("^1.2"),
        "{note}"
    );
    assert!(stage.image("broken").await.ends_with(":1.0.0"));
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_of_the_last_scan_is_told_as_metrics() {
    let stage = Stage::set().await;
    stage.run_first("sound", "1.0.0", &[]).await;
    let updater = stage.leader().await;
    stage.scan().await;
    let registry = stage.cluster.registry.host();
    for line in [
        "kubefresh_last_scan_repositories{outcome=\"complete\"} 1".to_owned(),
        format!("kubefresh_last_scan_requests{{registry=\"{registry}\",kind=\"list\"}} 1"),
    ] {
        updater.shows(&line).await;
    }
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_pinned_is_written_with_the_digest_that_the_scanner_found() {
    let stage = Stage::set().await;
    let pinned = [("kubefresh.dev/pin", "digest")];
    stage.run_first("pinned", "1.4.0 1.5.0", &pinned).await;
    stage.scan().await;
    let _updater = stage.leader().await;
    let registry = &stage.cluster.registry;
    let digest = registry.digest("shop/pinned", "1.5.0").unwrap();
    let image = format!("{}@{digest}", registry.reference("shop/pinned", "1.5.0"));
    stage.image_becomes("pinned", &image).await;
    stage.roll_out("pinned").await;
    assert_eq!(stage.result("pinned").await, "completed");
}
