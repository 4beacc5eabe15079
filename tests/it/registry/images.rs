//! Publishing, pushing and reading images.

use reqwest::StatusCode;
use sandbox::registry::{MediaTypes, Paging, Registry, RequestKind, digest_of, push};
use serde_json::Value;

use super::{checkout, client, get, header, manifest, tags_of, with_tags};

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
