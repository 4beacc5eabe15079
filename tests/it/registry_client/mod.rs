//! The scanner's registry client against the embedded registry, request by request.

mod credentials;
mod faults;
mod hostile;
mod http2;
mod lists;
mod manifests;
mod memory;
mod raw;
mod redirects;
mod rejections;
mod tokens;

use std::num::NonZeroU32;
use std::time::Duration;

use sandbox::registry::{ImageSpec, Paging, Registry, RegistryOptions, RequestKind, TlsFront};
use scanner::registries::Registries;
use scanner::registry::{ErrorClass, Limits, Pace, RegistryClient, RegistryClientOptions, RegistryError};
use shared::domain::reference::{Repository, Tag};

/// Options that let a test with a broken registry end soon.
fn quick() -> RegistryClientOptions {
    RegistryClientOptions {
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
        retry_base: Duration::from_millis(1),
        ..RegistryClientOptions::default()
    }
}

fn client() -> RegistryClient {
    RegistryClient::new(quick()).unwrap()
}

/// A client that asks this registry for pages of `n` tags.
fn client_with_page_size(registry: &Registry, n: u32) -> RegistryClient {
    let pace = Pace {
        interval: Duration::from_micros(1),
        burst: NonZeroU32::MAX,
    };
    let limits = [(
        registry.host(),
        Limits {
            pace,
            page_size: Some(n),
            pulls: None,
        },
    )]
    .into();
    RegistryClient::new(RegistryClientOptions { limits, ..quick() }).unwrap()
}

/// A client that reaches a TLS front under this address and trusts its authority.
fn trusting(host: &str, front: &TlsFront, options: RegistryClientOptions) -> RegistryClient {
    let folder = tempfile::tempdir().unwrap();
    let (ca, settings) = (
        folder.path().join("ca.pem"),
        folder.path().join("registries.yaml"),
    );
    std::fs::write(&ca, front.ca_pem()).unwrap();
    let yaml = format!("registries: {{ '{host}': {{ caFile: '{}' }} }}", ca.display());
    std::fs::write(&settings, yaml).unwrap();
    let registries = Registries::read(&settings).unwrap();
    RegistryClient::new(RegistryClientOptions {
        registries,
        ..options
    })
    .unwrap()
}

fn repository(registry: &Registry, path: &str) -> Repository {
    format!("{}/{path}", registry.host()).parse().unwrap()
}

fn checkout(registry: &Registry) -> Repository {
    repository(registry, "shop/checkout")
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

/// A registry with `shop/checkout` at these tags.
async fn registry_with(paging: Paging, tags: &[&str]) -> Registry {
    let registry = Registry::start(RegistryOptions {
        paging,
        ..RegistryOptions::default()
    })
    .await;
    for tag in tags {
        registry.publish(&ImageSpec::new("shop/checkout", tag));
    }
    registry
}

async fn open_registry(tags: &[&str]) -> Registry {
    registry_with(Paging::default(), tags).await
}

async fn list(client: &RegistryClient, repository: &Repository) -> Result<Vec<String>, RegistryError> {
    let tags = client.list_tags(repository).await?;
    Ok(tags.iter().map(ToString::to_string).collect())
}

fn class_of<T: std::fmt::Debug>(result: Result<T, RegistryError>) -> ErrorClass {
    result.unwrap_err().class()
}

/// What the registry was asked: pings, tokens, lists, manifests, blobs.
fn counts(registry: &Registry) -> [usize; 5] {
    use RequestKind::{Blob, Manifest, Ping, Tags, Token};
    [Ping, Token, Tags, Manifest, Blob].map(|kind| registry.count(kind))
}
