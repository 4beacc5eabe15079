//! The embedded registry, seen through plain HTTP: it has to be right before anything is tested against it.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use sandbox::registry::{
    Auth, BearerAuth, Fault, ImageSpec, MediaTypes, OversizedPage, PageStyle, Paging, RateLimit, Registry,
    RegistryOptions, RequestKind, Rule, TagOrder, User, digest_of, push,
};
use serde_json::Value;

fn client() -> Client {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let redirects = reqwest::redirect::Policy::none();
    Client::builder()
        .timeout(Duration::from_secs(5))
        .redirect(redirects)
        .build()
        .unwrap()
}

async fn get(registry: &Registry, path: &str) -> Response {
    client()
        .get(format!("{}{path}", registry.base_url()))
        .send()
        .await
        .unwrap()
}

async fn manifest(registry: &Registry, reference: &str, accept: &str) -> Response {
    let url = format!("{}/v2/shop/checkout/manifests/{reference}", registry.base_url());
    client().get(url).header("accept", accept).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default()
}

fn checkout(tag: &str) -> ImageSpec {
    ImageSpec::new("shop/checkout", tag)
}

async fn with_tags(paging: Paging, tags: &[&str]) -> Registry {
    let registry = Registry::start(RegistryOptions {
        paging,
        ..RegistryOptions::default()
    })
    .await;
    for tag in tags {
        registry.publish(&checkout(tag));
    }
    registry
}

async fn tags_of(response: Response) -> Vec<String> {
    let list: Value = response.json().await.unwrap();
    list["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag.as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_published_image_is_served_with_true_digests_down_to_its_layers() {
    let registry = Registry::open().await;
    let spec = checkout("1.4.0").label("org.opencontainers.image.source", "https://git.example.com/shop");
    let published = registry.publish(&spec);

    let index = manifest(&registry, "1.4.0", MediaTypes::Oci.index()).await;
    assert_eq!(header(&index, "docker-content-digest"), published.digest);
    assert_eq!(header(&index, "etag"), format!("\"{}\"", published.digest));
    let bytes = index.bytes().await.unwrap();
    assert_eq!(digest_of(&bytes), published.digest);
    let index: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        index["manifests"][1]["digest"],
        published.platforms["linux/arm64"].as_str()
    );

    let child = manifest(
        &registry,
        &published.platforms["linux/arm64"],
        MediaTypes::Oci.manifest(),
    )
    .await;
    let child: Value = child.json().await.unwrap();
    for part in [&child["config"], &child["layers"][0]] {
        let digest = part["digest"].as_str().unwrap();
        let blob = get(&registry, &format!("/v2/shop/checkout/blobs/{digest}"))
            .await
            .bytes()
            .await
            .unwrap();
        assert_eq!(digest_of(&blob), digest);
        assert_eq!(part["size"], blob.len());
    }
    let config = child["config"]["digest"].as_str().unwrap();
    let config: Value = get(&registry, &format!("/v2/shop/checkout/blobs/{config}"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(config["architecture"], "arm64");
    let labels = &config["config"]["Labels"];
    assert_eq!(
        labels["org.opencontainers.image.source"],
        "https://git.example.com/shop"
    );
}

#[tokio::test]
async fn pushing_over_http_gives_the_same_digests_as_publishing_from_code() {
    for spec in [
        checkout("1.4.0"),
        checkout("1.4.0").docker().attestation(),
        checkout("1").single("linux/amd64"),
    ] {
        let pushed_to = Registry::open().await;
        let pushed = push(&pushed_to.base_url(), &spec).await.unwrap();
        assert_eq!(pushed, Registry::open().await.publish(&spec));
        assert_eq!(pushed_to.digest("shop/checkout", spec.tag()), Some(pushed.digest));
    }
}

#[tokio::test]
async fn a_second_push_uploads_no_blob_again() {
    let registry = Registry::open().await;
    push(&registry.base_url(), &checkout("1.4.0")).await.unwrap();
    registry.clear_requests();
    push(&registry.base_url(), &checkout("1.4.0")).await.unwrap();
    assert_eq!(registry.count(RequestKind::Upload), 0);
    assert_eq!(
        registry.count(RequestKind::Blob),
        4,
        "one HEAD for each of two layers and two configs"
    );
}

#[tokio::test]
async fn a_blob_can_be_uploaded_in_chunks_or_at_once_and_must_have_its_digest() {
    let registry = Registry::open().await;
    let client = client();
    let start = format!("{}/v2/shop/checkout/blobs/uploads/", registry.base_url());
    let digest = digest_of(b"hello world");

    let started = client.post(&start).send().await.unwrap();
    assert_eq!(started.status(), StatusCode::ACCEPTED);
    let location = format!("{}{}", registry.base_url(), header(&started, "location"));
    for chunk in ["hello ", "wor"] {
        let patched = client.patch(&location).body(chunk).send().await.unwrap();
        assert_eq!(patched.status(), StatusCode::ACCEPTED);
    }
    let done = client
        .put(format!("{location}?digest={digest}"))
        .body("ld")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let blob = get(&registry, &format!("/v2/shop/checkout/blobs/{digest}")).await;
    assert_eq!(blob.text().await.unwrap(), "hello world");

    let whole = digest_of(b"whole");
    let done = client
        .post(format!("{start}?digest={whole}"))
        .body("whole")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), StatusCode::CREATED);
    let wrong = client
        .post(format!("{start}?digest={whole}"))
        .body("other")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_index_that_the_client_does_not_accept_is_not_found() {
    let registry = Registry::open().await;
    registry.publish(&checkout("1.4.0"));
    for accept in [MediaTypes::Oci.manifest(), MediaTypes::Docker.index(), "*/*"] {
        let response = manifest(&registry, "1.4.0", accept).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "accepting {accept}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["errors"][0]["code"], "MANIFEST_UNKNOWN");
    }
}

#[tokio::test]
async fn a_docker_list_is_answered_with_the_amd64_child_when_only_that_is_accepted() {
    let registry = Registry::open().await;
    let published = registry.publish(&checkout("1.4.0").docker());
    let response = manifest(&registry, "1.4.0", MediaTypes::Docker.manifest()).await;
    assert_eq!(
        header(&response, "docker-content-digest"),
        published.platforms["linux/amd64"]
    );
}

#[tokio::test]
async fn a_known_etag_is_answered_with_not_modified() {
    let registry = Registry::open().await;
    let published = registry.publish(&checkout("1.4.0"));
    let url = format!("{}/v2/shop/checkout/manifests/1.4.0", registry.base_url());
    let request = client().head(url).header("accept", MediaTypes::Oci.index());
    let request = request.header("if-none-match", format!("\"{}\"", published.digest));
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn unknown_names_are_refused_with_the_specified_errors() {
    let registry = Registry::open().await;
    registry.publish(&checkout("1.4.0"));
    for (path, code) in [
        ("/v2/shop/nothing/tags/list", "NAME_UNKNOWN"),
        ("/v2/shop/nothing/manifests/1", "NAME_UNKNOWN"),
        ("/v2/shop/checkout/manifests/9", "MANIFEST_UNKNOWN"),
        ("/v2/shop/checkout/blobs/sha256:00", "BLOB_UNKNOWN"),
    ] {
        let response = get(&registry, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["errors"][0]["code"], code, "{path}");
    }
}

#[tokio::test]
async fn another_revision_moves_the_tag_and_keeps_the_old_manifest() {
    let registry = Registry::open().await;
    let old = registry.publish(&checkout("latest"));
    let new = registry.publish(&checkout("latest").revision("2"));
    assert_ne!(old.digest, new.digest);
    assert_eq!(
        registry.digest("shop/checkout", "latest"),
        Some(new.digest.clone())
    );
    assert_eq!(
        manifest(&registry, &old.digest, MediaTypes::Oci.index())
            .await
            .status(),
        StatusCode::OK
    );
    assert_eq!(registry.retag("shop/checkout", &old.digest, "latest"), old.digest);
    assert_eq!(registry.digest("shop/checkout", "latest"), Some(old.digest));
}

#[tokio::test]
async fn a_deleted_tag_is_gone_from_the_list_and_by_name() {
    let registry = with_tags(Paging::default(), &["1", "2"]).await;
    assert!(registry.delete_tag("shop/checkout", "1"));
    assert!(!registry.delete_tag("shop/checkout", "1"));
    assert_eq!(
        tags_of(get(&registry, "/v2/shop/checkout/tags/list").await).await,
        ["2"]
    );
    let gone = manifest(&registry, "1", MediaTypes::Oci.index()).await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

/// Follows `Link` as a trusting client would, at most five times.
async fn follow(registry: &Registry, first: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = first.to_owned();
    for _ in 0..5 {
        let response = get(registry, &path).await;
        let link = header(&response, "link").to_owned();
        pages.push(tags_of(response).await);
        let Some((target, _)) = link.split_once(';') else {
            break;
        };
        let target = target.trim_matches(['<', '>']);
        target
            .trim_start_matches(&registry.base_url())
            .clone_into(&mut path);
    }
    pages
}

#[tokio::test]
async fn every_page_style_leads_through_all_tags_exactly_once() {
    for style in [
        PageStyle::Relative,
        PageStyle::Absolute,
        PageStyle::Bare,
        PageStyle::Cursor,
    ] {
        for order in [TagOrder::Sorted, TagOrder::Insertion, TagOrder::Shuffled] {
            let registry = with_tags(
                Paging {
                    style: style.clone(),
                    ..Paging::default()
                },
                &["5", "3", "1", "2", "4"],
            )
            .await;
            registry.configure(|options| options.tag_order = order);
            let pages = follow(&registry, "/v2/shop/checkout/tags/list?n=2").await;
            let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
            assert_eq!(sizes, [2, 2, 1], "{style:?} {order:?}");
            let mut tags = pages.concat();
            tags.sort();
            assert_eq!(tags, ["1", "2", "3", "4", "5"], "{style:?} {order:?}");
        }
    }
}

#[tokio::test]
async fn a_looping_registry_never_ends_and_an_old_one_ignores_the_page_size() {
    let looping = Paging {
        style: PageStyle::Looping,
        ..Paging::default()
    };
    let registry = with_tags(looping, &["1", "2", "3"]).await;
    assert_eq!(
        follow(&registry, "/v2/shop/checkout/tags/list?n=2").await.len(),
        5
    );

    let registry = with_tags(
        Paging {
            style: PageStyle::None,
            ..Paging::default()
        },
        &["1", "2", "3"],
    )
    .await;
    let pages = follow(&registry, "/v2/shop/checkout/tags/list?n=2&last=1").await;
    assert_eq!(pages, [["1", "2", "3"]]);
}

#[tokio::test]
async fn an_oversized_page_is_clamped_or_refused() {
    let paging = Paging {
        max_size: Some(2),
        ..Paging::default()
    };
    let registry = with_tags(paging, &["1", "2", "3"]).await;
    assert_eq!(
        follow(&registry, "/v2/shop/checkout/tags/list?n=1000").await,
        [vec!["1", "2"], vec!["3"]]
    );
    registry.configure(|options| options.paging.oversized = OversizedPage::Refuse(405));
    assert_eq!(
        get(&registry, "/v2/shop/checkout/tags/list?n=1000")
            .await
            .status(),
        405
    );
}

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
    for (name, password, status) in [("ann", "one", 200), ("bob", "two", 401), ("ann", "two", 401)] {
        let response = client()
            .get(&url)
            .basic_auth(name, Some(password))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), status, "{name}:{password}");
    }
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
