//! The embedded registry, seen through plain HTTP: it has to be right before anything is tested against it.

mod images;
mod misbehaviour;
mod paging;

use std::time::Duration;

use reqwest::{Client, Response};
use sandbox::registry::{ImageSpec, Paging, Registry, RegistryOptions};
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
