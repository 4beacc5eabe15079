//! Which repositories are asked when the time does not suffice for all.

use std::collections::BTreeSet;

use serde_json::json;

use super::{deployment, installed, publish, said, scan_with_registries, summary, watched};

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_short_every_namespace_gets_its_turn_and_the_next_run_goes_on_where_this_one_ended()
{
    let cluster = installed().await;
    let mut workloads =
        vec![json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "office" } })];
    for number in 0..100 {
        let name = format!("z{number}");
        publish(&cluster, &format!("shop/{name}"), &["1.0.0"]);
        let image = cluster.registry.reference(&format!("shop/{name}"), "1.0.0");
        workloads.push(deployment(&name, &image, &watched()));
    }
    publish(&cluster, "office/mail", &["1.0.0"]);
    let mut mail = deployment(
        "mail",
        &cluster.registry.reference("office/mail", "1.0.0"),
        &watched(),
    );
    mail["metadata"]["namespace"] = json!("office");
    workloads.push(mail);
    cluster.apply(&workloads).await;
    let yaml = format!(
        "registries: {{ '{}': {{ requestsPerSecond: 20, burst: 1 }} }}",
        cluster.registry.host()
    );
    let in_a_second = || scan_with_registries(&cluster, &yaml, &["--deadline", "1s"]);

    let first = in_a_second().await;
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
    in_a_second().await;
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
