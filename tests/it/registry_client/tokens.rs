//! Bearer tokens, fetched anonymously.

use std::time::Duration;

use sandbox::registry::{
    Auth, BearerAuth, Fault, ImageSpec, Paging, Registry, RegistryOptions, RequestKind, Rule, TokenField,
    User,
};
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};

use super::{checkout, class_of, client, counts, list, quick, repository, tag};

async fn bearer_registry(auth: BearerAuth) -> Registry {
    let options = RegistryOptions {
        auth: Auth::Bearer(auth),
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await;
    for name in ["shop/checkout", "shop/cart"] {
        for tag in ["1", "2", "3"] {
            registry.publish(&ImageSpec::new(name, tag));
        }
    }
    registry
}

#[tokio::test]
async fn a_challenge_is_met_once_and_later_repositories_cost_a_token_and_no_challenge() {
    let registry = bearer_registry(BearerAuth::default()).await;
    let client = client();
    list(&client, &checkout(&registry)).await.unwrap();
    assert_eq!(counts(&registry), [0, 1, 2, 0, 0], "challenge, token, list");
    registry.clear_requests();
    client.head_digest(&checkout(&registry), &tag("1")).await.unwrap();
    assert_eq!(counts(&registry), [0, 0, 0, 1, 0], "the token is kept");
    registry.clear_requests();
    list(&client, &repository(&registry, "shop/cart")).await.unwrap();
    assert_eq!(counts(&registry), [0, 1, 1, 0, 0], "token, list");
    let requests = registry.requests();
    assert_eq!(
        requests[0].query,
        "service=registry.example&scope=repository%3Ashop%2Fcart%3Apull"
    );
    assert!(requests[1].authorised);
}

#[tokio::test]
async fn a_cold_start_costs_one_challenge_and_a_token_for_each_repository_however_many_are_asked_at_once() {
    let registry = bearer_registry(BearerAuth::default()).await;
    let paths: Vec<String> = (0..20).map(|number| format!("shop/app-{number}")).collect();
    for path in &paths {
        registry.publish(&ImageSpec::new(path, "1"));
    }
    let client = client();
    let scans = paths.iter().map(async |path| {
        let repository = repository(&registry, path);
        list(&client, &repository).await.unwrap();
        client.head_digest(&repository, &tag("1")).await.unwrap().unwrap();
    });
    futures::future::join_all(scans).await;
    assert_eq!(counts(&registry), [0, 20, 20 + 1, 20, 0]);
    let refused = registry
        .requests()
        .into_iter()
        .filter(|request| request.status == 401);
    assert_eq!(refused.count(), 1);
}

#[tokio::test]
async fn many_questions_at_once_about_one_repository_fetch_one_token() {
    let registry = bearer_registry(BearerAuth::default()).await;
    let (client, checkout, tag) = (client(), checkout(&registry), tag("1"));
    let heads = (0..16).map(|_| client.head_digest(&checkout, &tag));
    assert!(
        futures::future::join_all(heads)
            .await
            .into_iter()
            .all(|found| found.unwrap().is_some())
    );
    assert_eq!(registry.count(RequestKind::Token), 1);
}

#[tokio::test]
async fn every_form_of_a_token_reply_is_accepted() {
    for (field, tell_lifetime) in [
        (TokenField::Token, false),
        (TokenField::AccessToken, true),
        (TokenField::AccessToken, false),
    ] {
        let registry = bearer_registry(BearerAuth {
            field,
            tell_lifetime,
            ..BearerAuth::default()
        })
        .await;
        assert_eq!(
            list(&client(), &checkout(&registry)).await.unwrap(),
            ["1", "2", "3"]
        );
    }
}

#[tokio::test]
async fn a_token_that_is_dead_on_arrival_ends_the_question() {
    let lifetime = Duration::ZERO;
    let registry = bearer_registry(BearerAuth {
        lifetime,
        ..BearerAuth::default()
    })
    .await;
    let client = client();
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Unauthorized
    );
    assert_eq!(
        counts(&registry),
        [0, 1, 2, 0, 0],
        "the same request is not tried a third time"
    );
}

#[tokio::test]
async fn a_token_that_expires_between_two_pages_is_replaced_and_the_list_is_whole() {
    let registry = bearer_registry(BearerAuth::default()).await;
    registry.configure(|options| {
        options.paging = Paging {
            default_size: Some(2),
            ..Paging::default()
        }
    });
    // The first request meets the challenge, the second is the first page, the third the second page.
    registry.fault(Rule::on(RequestKind::Tags, Fault::ExpireTokens).nth(3));
    assert_eq!(
        list(&client(), &checkout(&registry)).await.unwrap(),
        ["1", "2", "3"]
    );
    assert_eq!(counts(&registry), [0, 2, 4, 0, 0]);
}

#[tokio::test]
async fn a_token_service_that_fails_is_reported_as_it_failed_and_nothing_is_asked_without_a_token() {
    for (fault, expected, tokens) in [
        (Fault::too_many_requests(), ErrorClass::RateLimited, 1),
        (Fault::status(500), ErrorClass::Unavailable, 3),
        (Fault::status(401), ErrorClass::Unauthorized, 1),
        (Fault::status(403), ErrorClass::Forbidden, 1),
        (Fault::TokenWithNewline, ErrorClass::Protocol, 1),
        (Fault::status(200), ErrorClass::Protocol, 1),
        (Fault::HugeBody { bytes: 10_000_000 }, ErrorClass::TooLarge, 1),
    ] {
        let registry = bearer_registry(BearerAuth::default()).await;
        registry.fault(Rule::on(RequestKind::Token, fault));
        let error = list(&client(), &checkout(&registry)).await.unwrap_err();
        assert_eq!(error.class(), expected, "{error}");
        assert_eq!(counts(&registry), [0, tokens, 1, 0, 0], "{expected}");
    }
}

#[tokio::test]
async fn a_429_of_the_token_service_puts_the_registry_into_cool_down() {
    let registry = bearer_registry(BearerAuth::default()).await;
    registry.fault(Rule::on(RequestKind::Token, Fault::retry_after_seconds(60)));
    let client = client();
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::RateLimited
    );
    let other = repository(&registry, "shop/cart");
    assert_eq!(class_of(list(&client, &other).await), ErrorClass::Deferred);
    assert_eq!(registry.requests().len(), 2);
}

#[tokio::test]
async fn no_token_is_fetched_from_a_host_that_is_not_known_to_serve_the_registry() {
    let other = bearer_registry(BearerAuth::default()).await;
    let host = other.base_url().replace("127.0.0.1", "localhost");
    let realm = Some(format!("{host}/token"));
    let registry = bearer_registry(BearerAuth {
        realm,
        ..BearerAuth::default()
    })
    .await;
    assert_eq!(
        class_of(list(&client(), &checkout(&registry)).await),
        ErrorClass::Untrusted
    );
    assert_eq!(other.requests(), []);

    let token_hosts = [(registry.host(), "localhost".to_owned())].into();
    let client = RegistryClient::new(RegistryClientOptions {
        token_hosts,
        ..quick()
    })
    .unwrap();
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Unauthorized,
        "the other registry's token opens nothing here"
    );
    assert_eq!(
        other.count(RequestKind::Token),
        1,
        "a host that the settings name is asked"
    );
}

#[tokio::test]
async fn a_registry_that_wants_a_password_is_asked_once() {
    let auth = Auth::Basic(vec![User::new("ann", "secret")]);
    let registry = Registry::start(RegistryOptions {
        auth,
        ..RegistryOptions::default()
    })
    .await;
    let error = list(&client(), &checkout(&registry)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthorized);
    assert!(error.to_string().contains("without a credential"), "{error}");
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_private_repository_behind_a_token_service_is_unauthorized() {
    let registry = bearer_registry(BearerAuth {
        anonymous_pull: false,
        ..BearerAuth::default()
    })
    .await;
    assert_eq!(
        class_of(list(&client(), &checkout(&registry)).await),
        ErrorClass::Unauthorized
    );
}
