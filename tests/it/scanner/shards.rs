//! Several scanners that divide the repositories among themselves, as the pods of an Indexed Job do.

use std::collections::BTreeSet;

use sandbox::cluster::Cluster;
use sandbox::registry::{Auth, User};

use super::credentials::{pull_secret, pulling};
use super::{
    deployment, installed, publish, records, said, scan, scan_with_registries, summary, watched, writes,
};

const REPOSITORIES: usize = 30;

async fn with_repositories() -> Cluster {
    let cluster = installed().await;
    let mut workloads = Vec::new();
    for number in 0..REPOSITORIES {
        let name = format!("app-{number}");
        publish(&cluster, &format!("shop/{name}"), &["1.0.0"]);
        let image = cluster.registry.reference(&format!("shop/{name}"), "1.0.0");
        workloads.push(deployment(&name, &image, &watched()));
    }
    cluster.apply(&workloads).await;
    cluster
}

/// How many of its repositories a scanner has scanned.
fn scanned(summary: &str) -> usize {
    let words = summary.split_once("scanned ").unwrap().1;
    words.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_ask_about_each_repository_once_and_the_first_clears_up_when_there_are_fewer() {
    let cluster = with_repositories().await;
    let mut shares = Vec::new();
    for shard in ["0", "1", "2"] {
        let output = scan(&cluster, &["--shards", "3", "--shard", shard]).await;
        let line = summary(&output);
        assert!(line.starts_with(&format!("shard {shard} of 3: ")), "{line}");
        shares.push(scanned(&line));
    }
    assert_eq!(shares.iter().sum::<usize>(), REPOSITORIES, "{shares:?}");
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    let asked = cluster.registry.requests();
    let paths: BTreeSet<_> = asked.iter().map(|request| &request.path).collect();
    assert_eq!((asked.len(), paths.len()), (REPOSITORIES, REPOSITORIES));
    assert_eq!(records(&cluster).await.len(), REPOSITORIES);
    let written: BTreeSet<_> = writes(&cluster)
        .into_iter()
        .filter(|name| !name.starts_with("scan-"))
        .collect();
    assert_eq!(
        written.iter().collect::<Vec<_>>(),
        ["last-run", "last-run-1", "last-run-2"]
    );

    cluster.api.clear_requests();
    assert_eq!(scanned(&summary(&scan(&cluster, &[]).await)), REPOSITORIES);
    let written = writes(&cluster);
    assert_eq!(
        written,
        ["last-run-1", "last-run-2", "last-run"],
        "two go and one is renewed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_counts_is_asked_by_the_first_shard_alone() {
    let cluster = with_repositories().await;
    let host = cluster.registry.host();
    let yaml = format!("registries: {{ '{host}': {{ pullLimit: {{ pulls: 100, windowSeconds: 3600 }} }} }}");
    for (shard, expected) in [("1", 0), ("0", REPOSITORIES)] {
        let output = scan_with_registries(&cluster, &yaml, &["--shards", "2", "--shard", shard]).await;
        assert_eq!(scanned(&summary(&output)), expected, "{}", said(&output));
        assert_eq!(cluster.registry.requests().len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_one_shard_found_to_be_wrong_is_not_shown_by_another() {
    let cluster = installed().await;
    let ann = User::new("ann", "geheim");
    cluster
        .registry
        .configure(|options| options.auth = Auth::Basic(vec![ann]));
    let mut objects = vec![pull_secret(
        "shop",
        "regcred",
        &cluster.registry.host(),
        "ann",
        "irrtum",
    )];
    for number in 0..REPOSITORIES {
        let name = format!("app-{number}");
        let image = cluster.registry.reference(&format!("shop/{name}"), "1.0.0");
        objects.push(pulling(&name, &image, &["regcred"], None));
    }
    cluster.apply(&objects).await;
    for shard in ["0", "1"] {
        let output = scan(&cluster, &["--shards", "2", "--shard", shard]).await;
        assert!(
            summary(&output).contains("failed (unauthorized)"),
            "{}",
            said(&output)
        );
        assert_eq!(cluster.registry.failed_logins(), 1, "after shard {shard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_an_indexed_job_that_knows_nothing_of_shards_says_what_is_missing() {
    let cluster = installed().await;
    let output = scan(&cluster, &["--shard", "2"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("there is no shard 2 of 1"),
        "{}",
        said(&output)
    );
}
