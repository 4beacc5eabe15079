//! Registries that send us elsewhere.

use sandbox::registry::{Auth, BearerAuth, Fault, Registry, RegistryOptions, RequestKind, Rule};
use scanner::registry::ErrorClass;

use super::{checkout, class_of, client, client_with_page_size, counts, list, open_registry, tag};

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
async fn a_registry_that_redirects_for_ever_is_left_after_three_redirects() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(to("/v2/shop/checkout/manifests/1")));
    let found = client().head_digest(&checkout(&registry), &tag("1")).await;
    assert_eq!(class_of(found), ErrorClass::Untrusted);
    assert_eq!(registry.requests().len(), 4);
}
