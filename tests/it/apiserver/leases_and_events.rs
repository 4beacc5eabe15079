use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::api::{ListParams, PostParams};
use kube::runtime::events::{Event as NewEvent, EventType, Recorder, Reporter};
use kube::{Api, Resource};
use kube_leader_election::{LeaseLock, LeaseLockParams, LeaseLockResult};
use serde_json::json;

use super::{admin, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_has_one_holder_and_can_be_handed_over() {
    let server = start().await;
    let client = admin(&server).await;
    let candidate = |name: &str| {
        let params = LeaseLockParams {
            holder_id: name.to_owned(),
            lease_name: "updater".to_owned(),
            lease_ttl: Duration::from_secs(15),
        };
        LeaseLock::new(client.clone(), "default", params)
    };
    let (first, second) = (candidate("first"), candidate("second"));
    assert!(matches!(
        first.try_acquire_or_renew().await.unwrap(),
        LeaseLockResult::Acquired(_)
    ));
    assert!(matches!(
        second.try_acquire_or_renew().await.unwrap(),
        LeaseLockResult::NotAcquired(_)
    ));
    assert!(matches!(
        first.try_acquire_or_renew().await.unwrap(),
        LeaseLockResult::Acquired(_)
    ));
    first.step_down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_the_recorder_is_read_through_the_core_api() {
    let server = start().await;
    let client = admin(&server).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let map = maps.create(&PostParams::default(), &map).await.unwrap();
    let reporter = Reporter {
        controller: "kubefresh.dev/updater".to_owned(),
        instance: Some("pod-1".to_owned()),
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let event = NewEvent {
        type_: EventType::Warning,
        reason: "Refused".to_owned(),
        note: Some("policy: unknown value".to_owned()),
        action: "Read".to_owned(),
        secondary: None,
    };
    for _ in 0..2 {
        recorder.publish(&event, &map.object_ref(&())).await.unwrap();
    }
    let events: Api<Event> = Api::namespaced(client, "default");
    let about = ListParams::default().fields("involvedObject.name=a,type=Warning");
    let found = events.list(&about).await.unwrap().items;
    assert_eq!(found.len(), 1, "the repetition is a series");
    assert_eq!(found[0].message.as_deref(), Some("policy: unknown value"));
    assert_eq!(
        found[0].reporting_component.as_deref(),
        Some("kubefresh.dev/updater")
    );
    assert_eq!(found[0].series.as_ref().and_then(|series| series.count), Some(2));
}
