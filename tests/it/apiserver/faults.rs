use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Error};
use sandbox::apiserver::faults::{Fault, FaultRule};
use serde_json::json;

use super::{admin, start};

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_leaves_the_write_behind() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    let lost = server
        .faults()
        .install(FaultRule::new(Fault::DropAfter).verb("create").nth(1));
    let never = server
        .faults()
        .install(FaultRule::new(Fault::DropBefore).verb("create").nth(2));
    for name in ["a", "b"] {
        let outcome = api.create(&PostParams::default(), &config_map(name)).await;
        assert!(!matches!(outcome, Ok(_) | Err(Error::Api(_))), "{outcome:?}");
    }
    assert_eq!((lost.struck(), never.struck()), (1, 1));
    assert!(api.get_opt("a").await.unwrap().is_some());
    assert!(api.get_opt("b").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_error_is_answered_and_written_down() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    server.faults().install(
        FaultRule::new(Fault::internal())
            .resource("configmaps")
            .verb("get")
            .times(1),
    );
    let error = api.get("a").await.unwrap_err();
    assert!(
        matches!(&error, Error::Api(status) if status.code == 500),
        "{error}"
    );
    let last = server.requests().pop().unwrap();
    assert_eq!(
        (last.verb.as_str(), last.resource.as_str(), last.code),
        ("get", "configmaps", 500)
    );
    assert_eq!(last.user, "kubernetes-admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_read_shows_the_past() {
    let server = start().await;
    let api: Api<ConfigMap> = Api::namespaced(admin(&server).await, "default");
    api.create(&PostParams::default(), &config_map("a"))
        .await
        .unwrap();
    server
        .faults()
        .install(FaultRule::new(Fault::StaleRead(1)).verb("get").times(1));
    assert!(api.get_opt("a").await.unwrap().is_none());
    assert!(api.get_opt("a").await.unwrap().is_some());
}
