//! What registries that mean harm can make the scanner take.

use sandbox::cluster::Cluster;
use sandbox::programs::programs;
use sandbox::registry::{Fault, Rule};
use serde_json::{Value, json};

use super::{deployment, installed, publish, records, summary, watched};

/// Less than the Job may take; the program itself is not counted.
const KIBIBYTES: usize = 200 << 10;

/// The tags of a list, as long as tags can be, of which the policy `minor` accepts every one.
fn longest(number: usize) -> String {
    let version = format!("1.{number}.0-");
    format!("{version}{}", "a".repeat(128 - version.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_lists_of_many_repositories_at_once_fit_into_the_memory_of_the_job() {
    let cluster = installed().await;
    let tags: Vec<String> = (100_000..160_000).map(longest).collect();
    let body = json!({ "tags": tags }).to_string();
    assert!(body.len() > 7 << 20, "nearly all that is read of a page");
    let mut deployments: Vec<Value> = Vec::new();
    for number in 0..6 {
        let name = format!("huge-{number}");
        publish(&cluster, &name, &[&tags[0]]);
        let image = cluster.registry.reference(&name, &tags[0]);
        deployments.push(deployment(&name, &image, &watched()));
    }
    cluster.apply(&deployments).await;
    let line = scan_of_list(&cluster, body).await;
    assert!(line.starts_with("scanned 6 of 6 repositories"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_compares_far_more_than_tags_have_fits_into_the_memory_of_the_job() {
    let cluster = installed().await;
    let tags: Vec<String> = (0..250_000).map(|number| format!("1.{number:0>26}")).collect();
    let body = json!({ "tags": tags }).to_string();
    assert!(body.len() > 7 << 20, "nearly all that is read of a page");
    publish(&cluster, "huge", &[&tags[0]]);
    let mut annotations = watched();
    annotations["kubefresh.dev/policy"] = json!("glob:*");
    annotations["kubefresh.dev/tag-order"] = json!("alphabetical");
    annotations["kubefresh.dev/tag-pattern"] = json!("^(.*)$");
    annotations["kubefresh.dev/tag-extract"] = json!(format!("{}{}", "x".repeat(460), "${1}".repeat(8)));
    let image = cluster.registry.reference("huge", &tags[0]);
    cluster.apply(&[deployment("huge", &image, &annotations)]).await;
    let line = scan_of_list(&cluster, body).await;
    assert!(line.starts_with("scanned 1 of 1 repositories"), "{line}");
    assert_eq!(
        records(&cluster).await[0].newest().unwrap().as_str(),
        tags[249_999]
    );
}

/// What a scan says that gets this list for each repository, in the memory of the Job.
async fn scan_of_list(cluster: &Cluster, list: String) -> String {
    cluster.registry.fault(Rule::always(Fault::Answer {
        status: 200,
        headers: Vec::new(),
        body: list,
    }));
    let kubeconfig = cluster.kubeconfig_file(Some(("kubefresh", "kubefresh-scanner")));
    let output = tokio::process::Command::new("sh")
        .args(["-c", "ulimit -d \"$0\" && exec \"$@\""])
        .arg(KIBIBYTES.to_string())
        .arg(&programs()["kubefresh-scanner"])
        .arg("scan")
        .env("KUBECONFIG", kubeconfig)
        .env("POD_NAMESPACE", "kubefresh")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    summary(&output)
}
