//! `kubefresh.dev/pin`: digests are looked up for those who want them written, and for nobody else.

use axum::http::Method;
use sandbox::registry::{Fault, ImageSpec, RequestKind, Rule};
use serde_json::json;

use super::labels::asked;
use super::{deployment, installed, records, scan, watched};

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_of_the_choice_is_looked_up_in_every_run_as_long_as_it_is_to_be_written() {
    let cluster = installed().await;
    cluster.registry.publish(&ImageSpec::new("shop/web", "1.4.0"));
    cluster.registry.publish(&ImageSpec::new("shop/web", "1.5.0"));
    let image = cluster.registry.reference("shop/web", "1.4.0");
    let mut annotations = watched();
    for (pin, heads) in [(None, 0), (Some("digest"), 1), (Some("tag"), 0)] {
        if let Some(pin) = pin {
            annotations["kubefresh.dev/pin"] = json!(pin);
        }
        cluster.apply(&[deployment("web", &image, &annotations)]).await;
        scan(&cluster, &[]).await;
        let recorded = records(&cluster).await[0].findings.clone().unwrap().tags[0]
            .digest
            .clone();
        let expected = cluster.registry.digest("shop/web", "1.5.0").filter(|_| heads > 0);
        assert_eq!(recorded.map(|digest| digest.to_string()), expected, "{pin:?}");
        asked(&cluster);
        scan(&cluster, &[]).await;
        assert_eq!(asked(&cluster), [1, heads, 0, 0], "{pin:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_newest_is_held_the_digest_of_what_is_given_instead_is_looked_up_too() {
    let cluster = installed().await;
    let tags = ["1.4.0", "1.4.1", "1.4.2", "1.5.0"];
    for tag in tags {
        cluster.registry.publish(&ImageSpec::new("shop/web", tag));
    }
    let digest = |tag: &str| cluster.registry.digest("shop/web", tag).unwrap();
    let image = cluster.registry.reference("shop/web", "1.4.0");
    let mut annotations = watched();
    annotations["kubefresh.dev/pin"] = json!("digest");
    let held = digest("1.4.2");
    for (hold, looked_up) in [
        ("1.5.0".to_owned(), &["1.4.2", "1.5.0"][..]),
        // That it is what is held shows when it was looked up.
        (format!("1.5.0 {held}"), &["1.4.1", "1.4.2", "1.5.0"]),
        (format!("<=1.5.0 {held}"), &["1.5.0"]),
    ] {
        annotations["kubefresh.dev/hold"] = json!(hold);
        cluster.apply(&[deployment("web", &image, &annotations)]).await;
        scan(&cluster, &[]).await;
        let record = records(&cluster).await.remove(0);
        let findings = record.findings.clone().unwrap();
        let recorded = |tag: &&str| {
            let digest = findings.tag(&tag.parse().unwrap())?.digest.as_ref()?;
            Some(digest.to_string())
        };
        for tag in tags {
            let expected = looked_up.contains(&tag).then(|| digest(tag));
            assert_eq!(recorded(&tag), expected, "{hold}: {tag}");
        }
        asked(&cluster);
        scan(&cluster, &[]).await;
        assert_eq!(asked(&cluster), [1, looked_up.len(), 0, 0], "{hold}");
        assert_eq!(records(&cluster).await, [record], "{hold}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_what_is_given_instead_is_an_error_beside_the_findings() {
    let cluster = installed().await;
    for tag in ["1.4.0", "1.4.2", "1.5.0"] {
        cluster.registry.publish(&ImageSpec::new("shop/web", tag));
    }
    let mut annotations = watched();
    annotations["kubefresh.dev/pin"] = json!("digest");
    annotations["kubefresh.dev/hold"] = json!("1.5.0");
    let image = cluster.registry.reference("shop/web", "1.4.0");
    cluster.apply(&[deployment("web", &image, &annotations)]).await;
    // About the repository, as it seems.
    let refusal = Rule::on(RequestKind::Manifest, Fault::status(403)).method(Method::HEAD);
    cluster.registry.fault(refusal.from(2));
    scan(&cluster, &[]).await;
    let record = records(&cluster).await.remove(0);
    assert_eq!(record.last_error.unwrap().class, "forbidden");
    let findings = record.findings.expect("what was found counts");
    let digest = |tag: &str| {
        findings
            .tag(&tag.parse().unwrap())
            .and_then(|record| record.digest.clone())
    };
    let newest = digest("1.5.0").map(|digest| digest.to_string());
    assert_eq!(newest, cluster.registry.digest("shop/web", "1.5.0"));
    assert_eq!(digest("1.4.2"), None);
}
