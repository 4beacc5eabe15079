use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, ResourceExt};
use sandbox::apiserver::faults::{Fault, FaultRule};
use serde_json::{Value, json};

use super::{admin, start};

const PATIENCE: Duration = Duration::from_secs(20);

fn config_map(name: &str, labels: &Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, wait).await.is_ok(),
        "timed out: {what}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_shows_objects_entering_and_leaving_its_selection() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    let from = server.store().revision().to_string();
    let params = WatchParams::default().labels("app=web").timeout(10);
    let mut events = api.watch(&params, &from).await.unwrap().boxed();
    let labelled = api
        .create(&PostParams::default(), &config_map("a", &json!({"app": "web"})))
        .await
        .unwrap();
    api.create(&PostParams::default(), &config_map("b", &json!({})))
        .await
        .unwrap();
    let mut unlabelled = labelled;
    unlabelled.metadata.labels = None;
    api.replace("a", &PostParams::default(), &unlabelled)
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = events.try_next().await.unwrap().unwrap();
        if let WatchEvent::Added(object) = &event {
            seen.push(format!("added {}", object.name_any()));
        } else if let WatchEvent::Deleted(object) = &event {
            seen.push(format!("deleted {}", object.name_any()));
        } else {
            panic!("{event:?}");
        }
    }
    assert_eq!(seen, ["added a", "deleted a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_forgotten_revision_ends_with_410() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    api.create(&PostParams::default(), &config_map("a", &json!({})))
        .await
        .unwrap();
    server.store().compact();
    let mut events = api.watch(&WatchParams::default(), "2").await.unwrap().boxed();
    let event = events.try_next().await.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Error(status) if status.code == 410),
        "{event:?}"
    );
}

async fn reflect(strategy: watcher::Config) {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    api.create(&PostParams::default(), &config_map("a", &json!({})))
        .await
        .unwrap();
    let cut = FaultRule::new(Fault::CutWatch(Duration::from_millis(50)))
        .verb("watch")
        .times(2);
    let cut = server.faults().install(cut);
    let (reader, writer) = reflector::store();
    let stream = watcher(api.clone(), strategy).default_backoff().reflect(writer);
    let task = tokio::spawn(stream.for_each(|_| async {}));
    until("the first list", || reader.len() == 1).await;
    until("the watch to be cut", || cut.struck() >= 1).await;
    server.store().compact();
    api.create(&PostParams::default(), &config_map("b", &json!({})))
        .await
        .unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    until("the changes", || {
        let names: Vec<String> = reader.state().iter().map(|object| object.name_any()).collect();
        names == ["b"]
    })
    .await;
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_survives_broken_watches_and_forgotten_revisions() {
    reflect(watcher::Config::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reflector_can_stream_its_first_list() {
    reflect(watcher::Config::default().streaming_lists()).await;
}
