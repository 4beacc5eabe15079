//! Pulling: digests, credentials, policies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::apiserver::resources::{PODS, SECRETS, SERVICE_ACCOUNTS};
use sandbox::registry::{Auth, BearerAuth, RequestKind, User};
use serde_json::{Value, json};

use super::{Cluster, waiting_reason};

fn pod(name: &str, image: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "default"}, "spec": {
        "containers": [{"name": "main", "image": image}]}})
}

fn is_running(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running"
}

#[tokio::test]
async fn a_private_image_needs_a_pull_secret_of_the_pod_or_of_its_service_account() {
    let bearer = BearerAuth {
        anonymous_pull: false,
        users: vec![User::new("robot", "secret")],
        ..BearerAuth::default()
    };
    for auth in [
        Auth::Basic(vec![User::new("robot", "secret")]),
        Auth::Bearer(bearer),
    ] {
        let cluster = Cluster::start(20.0).await;
        let image = cluster.image("1", &[]);
        cluster.registry.configure(|options| options.auth = auth);
        cluster.create(&PODS, pod("stranger", &image));
        let denied = |pod: &Value| waiting_reason(pod) == "ImagePullBackOff";
        let stranger = cluster.wait("it is denied", &PODS, "stranger", denied).await;
        let waiting = &stranger["status"]["containerStatuses"][0]["state"]["waiting"];
        assert!(
            waiting["message"]
                .as_str()
                .unwrap()
                .contains("authorization failed"),
            "{waiting}"
        );

        let login = json!({"auths": {cluster.registry.host(): {"auth": STANDARD.encode("robot:secret")}}});
        cluster.create(
            &SECRETS,
            json!({"metadata": {"name": "login", "namespace": "default"}, "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": STANDARD.encode(login.to_string())}}),
        );
        let mut own = pod("own", &image);
        own["spec"]["imagePullSecrets"] = json!([{"name": "login"}]);
        cluster.create(&PODS, own);
        cluster.wait("it runs", &PODS, "own", is_running).await;
        cluster.create(
            &SERVICE_ACCOUNTS,
            json!({"metadata": {"name": "shop", "namespace": "default"}, "imagePullSecrets": [{"name": "login"}]}),
        );
        let mut inherited = pod("inherited", &image);
        inherited["spec"]["serviceAccountName"] = json!("shop");
        cluster.create(&PODS, inherited);
        cluster.wait("it runs too", &PODS, "inherited", is_running).await;
    }
}

#[tokio::test]
async fn a_present_image_is_pulled_again_only_when_the_policy_says_so() {
    let cluster = Cluster::start(20.0).await;
    let image = cluster.image("1", &[]);
    cluster.create(&PODS, pod("first", &image));
    cluster.wait("it runs", &PODS, "first", is_running).await;
    let old = cluster.registry.digest("shop/web", "1").unwrap();
    cluster.image("1", &[("ready-after", "3s")]);
    let new = cluster.registry.digest("shop/web", "1").unwrap();
    cluster.registry.clear_requests();
    cluster.create(&PODS, pod("second", &image));
    let mut third = pod("third", &image);
    third["spec"]["containers"][0]["imagePullPolicy"] = json!("Always");
    let digest = |pod: &Value| {
        let id = pod["status"]["containerStatuses"][0]["imageID"]
            .as_str()
            .unwrap()
            .to_owned();
        id.split_once('@').unwrap().1.to_owned()
    };
    let second = cluster.wait("it runs", &PODS, "second", is_running).await;
    assert_eq!(
        (digest(&second), cluster.registry.count(RequestKind::Manifest)),
        (old, 0)
    );
    cluster.create(&PODS, third);
    let third = cluster.wait("it runs", &PODS, "third", is_running).await;
    assert_eq!(digest(&third), new);
}

#[tokio::test]
async fn an_image_pinned_by_digest_keeps_that_digest() {
    let cluster = Cluster::start(20.0).await;
    cluster.image("1", &[]);
    let digest = cluster.registry.digest("shop/web", "1").unwrap();
    cluster.image("1", &[("ready-after", "3s")]);
    let pinned = format!("{}/shop/web:1@{digest}", cluster.registry.host());
    cluster.create(&PODS, pod("pinned", &pinned));
    let pod = cluster.wait("it runs", &PODS, "pinned", is_running).await;
    let expected = format!("{}/shop/web@{digest}", cluster.registry.host());
    assert_eq!(pod["status"]["containerStatuses"][0]["imageID"], expected);
}
