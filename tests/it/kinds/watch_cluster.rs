//! What was annotated for watch-cluster, all the way, and the status that it promises.

use sandbox::apiserver::resources::{DEPLOYMENTS, PODS};
use serde_json::{Value, json};

use super::Stage;
use crate::shop::{self, scan};

impl Stage {
    /// Runs `shop/db` with this tag until its pods are ready, watched by watch-cluster's words alone.
    async fn run_under(&self, strategy: &str, tag: &str) {
        let mut deployment = shop::deployment(
            "db",
            &self.image("shop/db", tag),
            &json!({ "watch-cluster.io/enabled": "true", "watch-cluster.io/strategy": strategy }),
        );
        deployment["spec"]["replicas"] = json!(2);
        self.cluster.apply(&[deployment]).await;
        self.wait(&DEPLOYMENTS, "db runs", |set| set["status"]["readyReplicas"] == 2)
            .await;
    }

    /// The digest that each of its pods runs.
    fn run_digests(&self) -> Vec<String> {
        let pods = self.store.list(&PODS, Some("shop"));
        let running = pods.iter().filter_map(|pod| {
            let image_id = pod.pointer("/status/containerStatuses/0/imageID")?.as_str()?;
            Some(image_id.rsplit_once('@')?.1.to_owned())
        });
        running.collect()
    }

    fn digest(&self, tag: &str) -> String {
        self.cluster.registry.digest("shop/db", tag).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_version_or_by_digest_watch_cluster_is_followed_and_told_what_ran_before_and_after_and_when_by_local_time()
 {
    for (strategy, before, after) in [("latest", "edge", "edge"), ("version", "1.4.0", "1.5.0")] {
        let stage = Stage::set().await;
        stage.publish("shop/db", "edge", &[]);
        stage.run_under(strategy, before).await;
        scan(&stage.cluster).await;
        let ran = stage.digest(before);
        assert_eq!(stage.run_digests(), [ran.as_str(); 2]);
        let mut updater = shop::updater(&stage.cluster, &[]);
        let _updater = updater.env("TZ", "Asia/Seoul").spawn().unwrap();
        stage.publish("shop/db", after, &[("ready-after", "2s")]);
        scan(&stage.cluster).await;
        assert_eq!(stage.result(&DEPLOYMENTS).await, "completed");
        let deployment = stage.get(&DEPLOYMENTS).unwrap();
        let status = |name: &str| {
            let value = &deployment["metadata"]["annotations"][format!("watch-cluster.io/last-update{name}")];
            value.as_str().unwrap_or_default().to_owned()
        };
        let runs = stage.digest(after);
        assert_ne!(ran, runs);
        assert_eq!(
            (status("-from-digest"), status("-to-digest")),
            (ran, runs),
            "{strategy}"
        );
        let image = deployment.pointer("/spec/template/spec/containers/0/image");
        assert_eq!(image.and_then(Value::as_str), Some(status("-image").as_str()));
        let time = status("");
        assert!(time.ends_with("+09:00"), "{time}");
        let ours = super::annotation(&deployment, "last-update").unwrap();
        let at = |time: &str| time.parse::<jiff::Timestamp>().unwrap();
        assert_eq!(at(&time), at(&ours));
    }
}
