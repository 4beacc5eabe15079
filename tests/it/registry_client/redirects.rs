//! Registries that send us elsewhere.

use sandbox::registry::{
    Auth, BearerAuth, Fault, PageStyle, Paging, Registry, RegistryOptions, RequestKind, Rule,
};
use scanner::registries::Registries;
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};

use super::{
    checkout, class_of, client, client_with_page_size, counts, list, open_registry, quick, tag, trusting,
};

fn to(location: &str) -> Fault {
    Fault::Redirect {
        status: 307,
        location: location.to_owned(),
    }
}

#[tokio::test]
async fn a_redirect_that_loses_the_page_size_is_followed_and_links_lead_on_from_where_it_ended() {
    let regional = open_registry(&["1", "2", "3"]).await;
    regional.configure(|options| options.paging.default_size = Some(2));
    let registry = Registry::open().await;
    registry.fault(Rule::always(to(&format!(
        "{}/v2/shop/checkout/tags/list",
        regional.base_url()
    ))));
    let client = client_with_page_size(&registry, 1000);
    assert_eq!(
        list(&client, &checkout(&registry)).await.unwrap(),
        ["1", "2", "3"]
    );
    assert_eq!(
        counts(&registry),
        [0, 0, 1, 0, 0],
        "the second page is asked for where the first came from"
    );
    assert_eq!(counts(&regional), [0, 0, 2, 0, 0]);
}

#[tokio::test]
async fn a_token_is_not_carried_along_to_another_host() {
    let elsewhere = open_registry(&["1"]).await;
    let auth = Auth::Bearer(BearerAuth::default());
    let registry = Registry::start(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    })
    .await;
    let target = format!("{}/v2/shop/checkout/tags/list", elsewhere.base_url());
    registry.fault(Rule::on(RequestKind::Tags, to(&target)).nth(2));
    assert_eq!(list(&client(), &checkout(&registry)).await.unwrap(), ["1"]);
    assert_eq!(registry.count(RequestKind::Token), 1);
    assert_eq!(elsewhere.requests()[0].credential, None);
}

#[tokio::test]
async fn redirects_to_forbidden_places_are_not_followed() {
    for location in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "file:///etc/passwd",
        "ftp://files.example.com/",
    ] {
        let registry = open_registry(&["1"]).await;
        registry.fault(Rule::always(to(location)));
        let error = list(&client(), &checkout(&registry)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Untrusted, "{location}: {error}");
        assert_eq!(registry.requests().len(), 1, "{location}");
    }
}

#[tokio::test]
async fn a_head_stays_a_head_however_it_is_redirected() {
    for status in [301, 302, 303, 307, 308] {
        let (elsewhere, registry) = (open_registry(&["1"]).await, Registry::open().await);
        let location = format!("{}/v2/shop/checkout/manifests/1", elsewhere.base_url());
        registry.fault(Rule::always(Fault::Redirect { status, location }));
        let found = client().head_digest(&checkout(&registry), &tag("1")).await;
        assert!(found.unwrap().is_some(), "{status}");
        assert_eq!(elsewhere.requests()[0].method, "HEAD", "{status}");
    }
}

#[tokio::test]
async fn a_registry_with_a_public_name_does_not_lead_to_private_addresses() {
    for location in [
        "http://10.0.0.1/",
        "http://192.168.0.1/",
        "http://172.16.0.1:8080/",
        "http://localhost/",
        "http://registry.localhost./",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0.0.0.0/",
        "http://[::1]/",
        "http://[::]/",
        "http://[fd00::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://100.64.0.1/",
    ] {
        let registry = open_registry(&["1"]).await;
        registry.fault(Rule::always(to(location)));
        let settings = tempfile::NamedTempFile::new().unwrap();
        let proxy = registry.base_url();
        let yaml = format!("registries: {{ registry.invalid: {{ plainHttp: true, proxy: '{proxy}' }} }}");
        std::fs::write(settings.path(), yaml).unwrap();
        let client = RegistryClient::new(RegistryClientOptions {
            registries: Registries::read(settings.path()).unwrap(),
            ..quick()
        })
        .unwrap();
        let repository = "registry.invalid/shop/checkout".parse().unwrap();
        let error = list(&client, &repository).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Untrusted, "{location}: {error}");
        assert_eq!(registry.requests().len(), 1, "{location}");
    }
}

/// A client that finds these hosts at these addresses, over plain HTTP.
fn finding(hosts: &[(&str, &[&str])]) -> RegistryClient {
    let addresses = hosts.iter().map(|(host, addresses)| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        ((*host).to_owned(), addresses.collect())
    });
    RegistryClient::new(RegistryClientOptions {
        plain_http_hosts: hosts.iter().map(|(host, _)| (*host).to_owned()).collect(),
        addresses: addresses.collect(),
        ..quick()
    })
    .unwrap()
}

/// The port behind which a registry really is.
fn port(registry: &Registry) -> u16 {
    registry.host().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_name_that_stands_for_a_private_address_is_no_way_around_that_rule() {
    const PUBLIC: &[&str] = &["127.0.0.1", "192.0.2.1"];
    const PRIVATE: &[&str] = &["127.0.0.1"];
    const LINK_LOCAL: &[&str] = &["169.254.169.254"];
    for (origin, target, is_reached) in [
        (PUBLIC, PRIVATE, false),
        (PUBLIC, PUBLIC, false),
        (PUBLIC, LINK_LOCAL, false),
        (PRIVATE, PRIVATE, true),
        (PRIVATE, LINK_LOCAL, false),
    ] {
        let elsewhere = open_registry(&["1", "2", "3"]).await;
        elsewhere.configure(|options| options.paging.default_size = Some(2));
        let registry = open_registry(&["1"]).await;
        let path = "v2/shop/checkout/tags/list";
        let location = format!("http://files.example.net:{}/{path}", port(&elsewhere));
        registry.fault(Rule::always(to(&location)));
        let client = finding(&[("registry.example.com", origin), ("files.example.net", target)]);
        let name = format!("registry.example.com:{}/shop/checkout", port(&registry));
        let listed = list(&client, &name.parse().unwrap()).await;
        if is_reached {
            assert_eq!(listed.unwrap(), ["1", "2", "3"], "{origin:?} to {target:?}");
            assert_eq!(elsewhere.requests().len(), 2, "both pages");
        } else {
            let error = listed.unwrap_err();
            assert_eq!(
                error.class(),
                ErrorClass::Untrusted,
                "{origin:?} to {target:?}: {error}"
            );
            assert!(error.to_string().contains("files.example.net"), "{error}");
            assert_eq!(elsewhere.requests(), []);
        }
        assert_eq!(
            registry.requests().len(),
            1,
            "a way to nowhere is not tried again"
        );
    }
}

#[tokio::test]
async fn a_registry_in_public_does_not_lead_to_a_private_one_that_is_asked_in_the_same_run() {
    let (internal, registry) = (open_registry(&["1"]).await, open_registry(&["1"]).await);
    let client = finding(&[
        ("registry.example.com", &["127.0.0.1", "192.0.2.1"]),
        ("registry.internal", &["127.0.0.1"]),
    ]);
    let own = format!("registry.internal:{}/shop/checkout", port(&internal));
    assert_eq!(list(&client, &own.parse().unwrap()).await.unwrap(), ["1"]);
    let location = format!(
        "http://registry.internal:{}/v2/shop/checkout/tags/list",
        port(&internal)
    );
    registry.fault(Rule::always(to(&location)));
    let name = format!("registry.example.com:{}/shop/checkout", port(&registry));
    let listed = list(&client, &name.parse().unwrap()).await;
    assert_eq!(class_of(listed), ErrorClass::Untrusted);
    assert_eq!(internal.requests().len(), 1, "over the open connection neither");
}

#[tokio::test]
async fn a_registry_with_tls_does_not_lead_to_plain_http_and_its_links_are_read_as_its_own() {
    let registry = open_registry(&["1", "2", "3"]).await;
    registry.configure(|options| {
        options.paging = Paging {
            style: PageStyle::Absolute,
            default_size: Some(1),
            ..Paging::default()
        }
    });
    let front = registry.with_tls().await;
    let client = trusting(&front.host(), &front, quick());
    let repository = format!("{}/shop/checkout", front.host()).parse().unwrap();
    assert_eq!(list(&client, &repository).await.unwrap(), ["1", "2", "3"]);
    assert_eq!(
        front.carried().iter().sum::<usize>(),
        3,
        "although the links say http and the port behind the front"
    );

    let plain = format!("{}/v2/shop/checkout/tags/list", registry.base_url());
    registry.fault(Rule::always(to(&plain)));
    registry.clear_requests();
    assert_eq!(class_of(list(&client, &repository).await), ErrorClass::Untrusted);
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_registry_that_redirects_for_ever_is_left_after_three_redirects() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(to("/v2/shop/checkout/manifests/1")));
    let found = client().head_digest(&checkout(&registry), &tag("1")).await;
    assert_eq!(class_of(found), ErrorClass::Untrusted);
    assert_eq!(registry.requests().len(), 4);
}
