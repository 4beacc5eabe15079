//! `kubefresh.dev/pin`: digests are looked up for those who want them written, and for nobody else.

use sandbox::registry::ImageSpec;
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
