//! Authentication, counted pulls, faults on demand, and the access log.

use std::time::Duration;

use reqwest::StatusCode;
use sandbox::registry::{
    Auth, BearerAuth, Fault, ImageSpec, MediaTypes, Paging, RateLimit, Registry, RegistryOptions,
    RequestKind, Rule, User,
};
use serde_json::Value;

use super::{checkout, client, get, header, manifest, tags_of, with_tags};

#[tokio::test]
async fn a_bearer_registry_sends_anonymous_clients_for_a_token_of_the_right_scope() {
    let auth = Auth::Bearer(BearerAuth::default());
    let registry = Registry::start(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    })
    .await;
    registry.publish(&checkout("1"));
    let refused = get(&registry, "/v2/shop/checkout/tags/list").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    let expected = format!(
        "Bearer realm=\"{}/token\",service=\"registry.example\",scope=\"repository:shop/checkout:pull\"",
        registry.base_url()
    );
    assert_eq!(header(&refused, "www-authenticate"), expected);

    let token: Value = get(
        &registry,
        "/token?service=registry.example&scope=repository:shop/checkout:pull",
    )
    .await
    .json()
    .await
    .unwrap();
    let token = token["token"].as_str().unwrap();
    let ask = |repository: &str| {
        let url = format!("{}/v2/{repository}/tags/list", registry.base_url());
        client().get(url).bearer_auth(token).send()
    };
    assert_eq!(ask("shop/checkout").await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        ask("shop/other").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        registry
            .requests()
            .iter()
            .filter(|request| request.authorised)
            .count(),
        1
    );
    registry.expire_tokens();
    assert_eq!(
        ask("shop/checkout").await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_basic_registry_lets_each_user_see_only_its_own_repositories() {
    let auth = Auth::Basic(vec![
        User::new("ann", "one").only("shop/"),
        User::new("bob", "two").only("mail/"),
    ]);
    let registry = Registry::start(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    })
    .await;
    registry.publish(&checkout("1"));
    let url = format!("{}/v2/shop/checkout/tags/list", registry.base_url());
    for (name, password, status) in [("ann", "one", 200), ("bob", "two", 403), ("ann", "two", 401)] {
        let response = client()
            .get(&url)
            .basic_auth(name, Some(password))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{name}:{password}");
    }
    assert_eq!(registry.failed_logins(), 1);
}

#[tokio::test]
async fn pulls_are_counted_and_refused_as_docker_hub_does() {
    let rate_limit = RateLimit {
        limit: 1,
        remaining: 1,
        window_seconds: 21600,
        source: "192.0.2.1".into(),
    };
    let options = RegistryOptions {
        rate_limit: Some(rate_limit),
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await;
    registry.publish(&checkout("1"));
    let first = manifest(&registry, "1", MediaTypes::Oci.index()).await;
    assert_eq!(
        (first.status().as_u16(), header(&first, "ratelimit-remaining")),
        (200, "0;w=21600")
    );
    assert_eq!(
        manifest(&registry, "1", MediaTypes::Oci.index()).await.status(),
        429
    );
    let url = format!("{}/v2/shop/checkout/manifests/1", registry.base_url());
    let head = client()
        .head(url)
        .header("accept", MediaTypes::Oci.index())
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200, "a HEAD is free");
}

#[tokio::test]
async fn a_fault_befalls_only_the_requests_it_is_meant_for() {
    let registry = with_tags(Paging::default(), &["1"]).await;
    registry.publish(&ImageSpec::new("mail/relay", "1"));
    let fault = Fault::retry_after_seconds(120);
    registry.fault(
        Rule::on(RequestKind::Tags, fault)
            .repository("shop/checkout")
            .nth(2),
    );
    let mut statuses = Vec::new();
    for path in ["shop/checkout", "mail/relay", "shop/checkout", "shop/checkout"] {
        statuses.push(
            get(&registry, &format!("/v2/{path}/tags/list"))
                .await
                .status()
                .as_u16(),
        );
    }
    assert_eq!(statuses, [200, 200, 429, 200]);
}

#[tokio::test]
async fn broken_bodies_break_as_described() {
    let registry = with_tags(Paging::default(), &["1"]).await;
    let list = "/v2/shop/checkout/tags/list";
    let fault = |fault| {
        registry.clear_faults();
        registry.fault(Rule::always(fault));
    };
    fault(Fault::TruncatedBody);
    assert!(get(&registry, list).await.bytes().await.is_err());
    fault(Fault::HugeBody { bytes: 1_000_000 });
    assert!(get(&registry, list).await.bytes().await.unwrap().len() >= 1_000_000);
    fault(Fault::TagsNull);
    assert_eq!(
        get(&registry, list).await.json::<Value>().await.unwrap()["tags"],
        Value::Null
    );
    fault(Fault::NullElement);
    assert_eq!(
        get(&registry, list).await.json::<Value>().await.unwrap()["tags"][0],
        Value::Null
    );
    fault(Fault::SlowBody {
        chunk: 8,
        pause: Duration::from_millis(1),
    });
    assert_eq!(tags_of(get(&registry, list).await).await, ["1"]);
    fault(Fault::Silent);
    let url = format!("{}{list}", registry.base_url());
    let silent = client().get(url).timeout(Duration::from_millis(100)).send().await;
    assert!(silent.unwrap_err().is_timeout());
    assert_eq!(registry.requests().last().unwrap().status, 0);
}

#[tokio::test]
async fn the_access_log_says_what_was_asked_and_answered() {
    let registry = with_tags(Paging::default(), &["1"]).await;
    get(&registry, "/v2/shop/checkout/tags/list?n=7").await;
    let requests = registry.requests();
    let [request] = requests.as_slice() else {
        panic!("one request, not {requests:?}")
    };
    assert_eq!(
        (request.method.as_str(), request.status, request.authorised),
        ("GET", 200, false)
    );
    assert_eq!(
        (request.path.as_str(), request.query.as_str()),
        ("/v2/shop/checkout/tags/list", "n=7")
    );
    registry.clear_requests();
    assert_eq!(registry.requests(), []);
}
