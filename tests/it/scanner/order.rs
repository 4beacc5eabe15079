//! Which repositories are asked when the time does not suffice for all.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use sandbox::cluster::{Cluster, eventually};
use sandbox::programs::programs;
use sandbox::registry::{Fault, RequestKind, Rule};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{deployment, installed, publish, records, said, scan, scan_with_registries, summary, watched};

/// A deployment in another namespace than `shop`.
fn deployment_in(namespace: &str, name: &str, image: &str) -> Value {
    let mut deployment = deployment(name, image, &watched());
    deployment["metadata"]["namespace"] = json!(namespace);
    deployment
}

fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// Registries that take every connection and say nothing, as long as the listeners live.
async fn silent_registries(number: usize) -> Vec<TcpListener> {
    let mut listeners = Vec::new();
    for _ in 0..number {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    listeners
}

async fn use_silent_registries(cluster: &Cluster, listeners: &[TcpListener]) {
    cluster.apply(&[namespace("greedy")]).await;
    for (number, listener) in listeners.iter().enumerate() {
        let image = format!("{}/any/thing:1.0.0", listener.local_addr().unwrap());
        let greedy = deployment_in("greedy", &format!("greedy-{number}"), &image);
        cluster.apply(&[greedy]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_short_every_namespace_gets_its_turn_and_the_next_run_goes_on_where_this_one_ended()
{
    let cluster = installed().await;
    let mut workloads = vec![namespace("office")];
    for number in 0..100 {
        let name = format!("z{number}");
        publish(&cluster, &format!("shop/{name}"), &["1.0.0"]);
        let image = cluster.registry.reference(&format!("shop/{name}"), "1.0.0");
        workloads.push(deployment(&name, &image, &watched()));
    }
    publish(&cluster, "office/mail", &["1.0.0"]);
    let mail = cluster.registry.reference("office/mail", "1.0.0");
    workloads.push(deployment_in("office", "mail", &mail));
    cluster.apply(&workloads).await;
    let yaml = format!(
        "registries: {{ '{}': {{ requestsPerSecond: 10, burst: 1 }} }}",
        cluster.registry.host()
    );
    // Enough for a third of them, so that two runs do not come to the end of the hundred.
    let in_three_seconds = || scan_with_registries(&cluster, &yaml, &["--deadline", "3s"]);

    let first = in_three_seconds().await;
    assert!(
        summary(&first).contains("deferred (time was up)"),
        "{}",
        said(&first)
    );
    let asked = || -> Vec<String> {
        let requests = cluster.registry.requests();
        requests.into_iter().map(|request| request.path).collect()
    };
    assert!(asked().contains(&"/v2/office/mail/tags/list".to_owned()));
    let in_first = asked().len();
    in_three_seconds().await;
    let asked = asked();
    assert!(asked.len() > in_first, "the second run asked nothing");
    let of_the_many: Vec<_> = asked
        .iter()
        .filter(|path| path.starts_with("/v2/shop/"))
        .collect();
    assert_eq!(
        of_the_many.iter().collect::<BTreeSet<_>>().len(),
        of_the_many.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_many_registries_that_say_nothing_takes_no_turn_from_the_others() {
    let cluster = installed().await;
    let silent = silent_registries(40).await;
    use_silent_registries(&cluster, &silent).await;
    for number in 0..60 {
        let repository = format!("shop/z{number}");
        publish(&cluster, &repository, &["1.0.0"]);
        let image = cluster.registry.reference(&repository, "1.0.0");
        let workload = deployment(&format!("z{number}"), &image, &watched());
        cluster.apply(&[workload]).await;
    }
    let said = summary(&scan(&cluster, &["--deadline", "4s"]).await);
    assert!(said.starts_with("scanned 60 of 100 repositories"), "{said}");
    // Recorded while there was time, so that the next run asks them beside the others.
    let failed: Vec<_> = records(&cluster)
        .await
        .into_iter()
        .filter_map(|record| record.last_error)
        .collect();
    assert!(failed.len() >= 12, "{said}");
    assert!(failed[0].message.contains("within 3s"), "{}", failed[0].message);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_says_of_its_limits_is_written_down_before_the_end_of_the_run() {
    let cluster = installed().await;
    publish(&cluster, "shop/web", &["1.0.0"]);
    let image = cluster.registry.reference("shop/web", "1.0.0");
    cluster.apply(&[deployment("web", &image, &watched())]).await;
    cluster
        .registry
        .fault(Rule::on(RequestKind::Tags, Fault::retry_after_seconds(7200)));
    let silent = silent_registries(1).await;
    use_silent_registries(&cluster, &silent).await;
    let mut scanner = tokio::process::Command::new(&programs()["kubefresh-scanner"])
        .arg("scan")
        .env(
            "KUBECONFIG",
            cluster.kubeconfig_file(Some(("kubefresh", "kubefresh-scanner"))),
        )
        .env("POD_NAMESPACE", "kubefresh")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let api: Api<ConfigMap> = Api::namespaced(cluster.client().await, "kubefresh");
    eventually("it is written down", Duration::from_secs(10), async || {
        let stored = api.get_opt("registry-accounts").await.unwrap()?;
        let text = serde_json::to_string(&stored.data).unwrap();
        text.contains(&cluster.registry.host()).then_some(())
    })
    .await;
    assert_eq!(scanner.try_wait().unwrap(), None, "it still waits for the other");
    scanner.kill().await.unwrap();
    cluster.registry.clear_faults();
    cluster.registry.clear_requests();
    let next = summary(&scan(&cluster, &["--deadline", "1s"]).await);
    assert!(next.contains("registry left alone"), "{next}");
    assert!(cluster.registry.requests().is_empty());
}
