//! One object that is not as its type has it, which the API server keeps all the same, hides no other.

use sandbox::apiserver::resources::DEPLOYMENTS;

use super::*;

impl Stage {
    /// Gives a deployment a time of which there is none for us: the last hours of that year.
    fn spoil(&self, name: &str) {
        self.cluster
            .api
            .store()
            .spoil(&DEPLOYMENTS, "shop", name, |deployment| {
                deployment["spec"]["template"]["metadata"]["creationTimestamp"] =
                    json!("9999-12-31T00:00:00Z");
            });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_cannot_be_read_hides_no_other_whether_it_was_there_before_or_becomes_so() {
    let stage = Stage::with_checkout(&[]).await;
    for name in ["spoilt", "passing"] {
        stage.deploy(name, OLD, &[("kubefresh.dev/mode", "notify")]).await;
    }
    stage.spoil("spoilt");
    let updater = stage.leader().await;
    let shows = async |name: &str| updater.page("/").await.1.contains(name);
    eventually("what can be read is shown", LIMIT, || async {
        (shows("checkout").await && shows("passing").await).then_some(())
    })
    .await;
    assert!(!shows("spoilt").await);
    stage.spoil("passing");
    eventually("what cannot be read any more is gone", LIMIT, || async {
        (!shows("passing").await).then_some(())
    })
    .await;
    stage.update_to_1_5_0().await;
    assert!(shows("checkout").await);
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_brings_what_cannot_be_read_goes_on() {
    let stage = Stage::with_checkout(&[]).await;
    stage.deploy("passing", OLD, &[]).await;
    let updater = stage.leader().await;
    stage.spoil("passing");
    stage.update_to_1_5_0().await;
    updater.stop().await;
}
