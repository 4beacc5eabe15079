//! Credentials on the wire: who is shown which, in which order, and how often.

use std::sync::Arc;

use sandbox::registry::{
    Auth, BearerAuth, Fault, ImageSpec, Paging, Registry, RegistryOptions, RequestKind, Rule, User,
};
use scanner::credentials::{Credential, Login, Origin, Source};
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};
use shared::domain::reference::Repository;

use super::{checkout, class_of, counts, list, quick, repository, tag};

pub(super) async fn registry_with(auth: Auth) -> Registry {
    let options = RegistryOptions {
        auth,
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await;
    for name in ["shop/checkout", "shop/cart", "office/mail"] {
        for tag in ["1", "2", "3"] {
            registry.publish(&ImageSpec::new(name, tag));
        }
    }
    registry
}

pub(super) fn users() -> Vec<User> {
    vec![
        User::new("ann", "secret").only("shop/").identity_token("refresh"),
        User::new("bob", "hidden").only("office/"),
    ]
}

pub(super) async fn basic() -> Registry {
    registry_with(Auth::Basic(users())).await
}

/// Its token service knows the users; what is not below `office` or `shop` is public.
pub(super) async fn bearer() -> Registry {
    let private = vec!["shop/".to_owned(), "office/".to_owned()];
    registry_with(Auth::Bearer(BearerAuth {
        private,
        users: users(),
        ..BearerAuth::default()
    }))
    .await
}

pub(super) fn credential(login: Login) -> Credential {
    let origin = Origin::Secret {
        namespace: "shop".to_owned(),
        name: "regcred".to_owned(),
        version: "1".to_owned(),
    };
    let entry = "registry.example.com".to_owned();
    Credential::new(login, Source { origin, entry })
}

fn password(username: &str, password: &str) -> Credential {
    credential(Login::Password {
        username: username.into(),
        password: password.into(),
    })
}

pub(super) fn ann() -> Credential {
    password("ann", "secret")
}

pub(super) fn wrong() -> Credential {
    password("ann", "mistake")
}

/// A client that has these credentials for every repository named.
pub(super) fn client(repositories: &[&Repository], credentials: &[Credential]) -> RegistryClient {
    let credentials: Vec<_> = credentials.iter().cloned().map(Arc::new).collect();
    let of = |repository: &&Repository| ((*repository).clone(), credentials.clone());
    RegistryClient::new(RegistryClientOptions {
        credentials: repositories.iter().map(of).collect(),
        ..quick()
    })
    .unwrap()
}

/// User names and passwords that the registry was shown, in their order.
pub(super) fn shown(registry: &Registry) -> Vec<String> {
    use base64::Engine as _;
    let requests = registry.requests();
    let basic = requests
        .iter()
        .filter_map(|request| request.credential.as_deref()?.strip_prefix("Basic "));
    basic
        .map(|encoded| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
            String::from_utf8(decoded).unwrap()
        })
        .collect()
}

#[tokio::test]
async fn what_everybody_may_read_is_asked_without_any_credential() {
    for auth in [Auth::None, Auth::Bearer(BearerAuth::default())] {
        let registry = registry_with(auth).await;
        let checkout = checkout(&registry);
        let client = client(&[&checkout], &[ann()]);
        list(&client, &checkout).await.unwrap();
        client.head_digest(&checkout, &tag("1")).await.unwrap();
        assert_eq!(
            client.head_digest(&checkout, &tag("missing")).await.unwrap(),
            None
        );
        assert_eq!(shown(&registry), Vec::<String>::new());
        assert_eq!(registry.count(RequestKind::Ping), 0);
    }
}

#[tokio::test]
async fn a_private_repository_is_read_with_the_credential_that_fits_it() {
    for registry in [basic().await, bearer().await] {
        let checkout = checkout(&registry);
        for credentials in [vec![ann()], vec![password("bob", "hidden"), ann()]] {
            let client = client(&[&checkout], &credentials);
            assert_eq!(list(&client, &checkout).await.unwrap(), ["1", "2", "3"]);
            registry.clear_requests();
            let digest = client.head_digest(&checkout, &tag("1")).await.unwrap().unwrap();
            client.platform_digests(&checkout, &digest).await.unwrap();
            assert_eq!(
                client.head_digest(&checkout, &tag("missing")).await.unwrap(),
                None
            );
            assert_eq!(
                counts(&registry),
                [0, 0, 0, 3, 0],
                "whoever was answered asks the rest, with the token at hand"
            );
            assert!(registry.requests().iter().all(|request| request.authorised));
            assert_eq!(registry.failed_logins(), 0);
        }
    }
}

#[tokio::test]
async fn a_credential_costs_one_request_at_a_basic_registry_and_two_tokens_at_most_at_others() {
    for (registry, first, second) in [
        (basic().await, [0, 0, 2, 0, 0], [0, 0, 1, 0, 0]),
        // Challenge, token for anybody, refusal, token for ann, list; then the same without the challenge.
        (bearer().await, [0, 2, 3, 0, 0], [0, 2, 2, 0, 0]),
    ] {
        let (checkout, cart) = (checkout(&registry), repository(&registry, "shop/cart"));
        let client = client(&[&checkout, &cart], &[ann()]);
        list(&client, &checkout).await.unwrap();
        assert_eq!(counts(&registry), first);
        registry.clear_requests();
        list(&client, &cart).await.unwrap();
        assert_eq!(counts(&registry), second);
    }
}

#[tokio::test]
async fn many_questions_at_once_fetch_one_token_with_a_credential() {
    let registry = bearer().await;
    let checkout = checkout(&registry);
    let (client, tag) = (client(&[&checkout], &[ann()]), tag("1"));
    let heads = (0..16).map(|_| client.head_digest(&checkout, &tag));
    let found = futures::future::join_all(heads).await;
    assert!(found.into_iter().all(|found| found.unwrap().is_some()));
    assert_eq!(shown(&registry), ["ann:secret"]);
    assert_eq!(
        registry.count(RequestKind::Token),
        2,
        "one for anybody, one for ann"
    );
}

#[tokio::test]
async fn a_token_of_a_login_that_expires_between_two_pages_is_replaced_and_the_list_is_whole() {
    let registry = bearer().await;
    registry.configure(|options| {
        options.paging = Paging {
            default_size: Some(2),
            ..Paging::default()
        }
    });
    let checkout = checkout(&registry);
    let client = client(&[&checkout], &[ann()]);
    // Challenge, refusal, first page, second page.
    registry.fault(Rule::on(RequestKind::Tags, Fault::ExpireTokens).nth(4));
    assert_eq!(list(&client, &checkout).await.unwrap(), ["1", "2", "3"]);
    assert_eq!(shown(&registry), ["ann:secret", "ann:secret"]);
}

#[tokio::test]
async fn an_identity_token_goes_to_the_token_service_in_the_body_of_a_post() {
    let registry = bearer().await;
    let (checkout, cart) = (checkout(&registry), repository(&registry, "shop/cart"));
    let identity = |token: &str| credential(Login::IdentityToken(token.into()));
    let client = client(&[&checkout, &cart], &[identity("stale"), identity("refresh")]);
    for repository in [&checkout, &cart] {
        assert_eq!(list(&client, repository).await.unwrap(), ["1", "2", "3"]);
    }
    assert_eq!(registry.failed_logins(), 1);
    let requests = registry.requests();
    let posts: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "POST")
        .collect();
    assert_eq!(posts.len(), 3);
    assert!(
        posts
            .iter()
            .all(|post| post.query.is_empty() && post.credential.is_none())
    );
}

#[tokio::test]
async fn a_registry_token_is_shown_to_the_registry_as_it_is() {
    let registry = bearer().await;
    let checkout = checkout(&registry);
    let url = format!(
        "{}/token?scope=repository:shop/checkout:pull",
        registry.base_url()
    );
    let reply = reqwest::Client::new().get(url).basic_auth("ann", Some("secret"));
    let reply: serde_json::Value = reply.send().await.unwrap().json().await.unwrap();
    let token = |token: &str| credential(Login::RegistryToken(token.into()));
    let good = reply["token"].as_str().unwrap();
    let client = client(&[&checkout], &[token("stale"), token(good)]);
    assert_eq!(list(&client, &checkout).await.unwrap(), ["1", "2", "3"]);
    assert_eq!(client.rejected_logins().len(), 1);
}

#[tokio::test]
async fn a_token_service_on_a_strange_host_is_shown_nothing() {
    let strange = bearer().await;
    let realm = format!("{}/token", strange.base_url().replace("127.0.0.1", "localhost"));
    let registry = bearer().await;
    registry.configure(|options| {
        if let Auth::Bearer(bearer) = &mut options.auth {
            bearer.realm = Some(realm);
        }
    });
    let checkout = checkout(&registry);
    for login in [ann(), credential(Login::IdentityToken("refresh".into()))] {
        let client = client(&[&checkout], &[login]);
        for _ in 0..2 {
            assert_eq!(class_of(list(&client, &checkout).await), ErrorClass::Untrusted);
        }
    }
    assert_eq!(strange.requests(), []);
    assert_eq!(shown(&registry), Vec::<String>::new());
}

#[tokio::test]
async fn a_login_is_never_redirected() {
    for login in [ann(), credential(Login::IdentityToken("refresh".into()))] {
        let (elsewhere, registry) = (bearer().await, bearer().await);
        let checkout = checkout(&registry);
        let location = format!("{}/token", elsewhere.base_url());
        // The first token is for anybody.
        let fault = Fault::Redirect {
            status: 307,
            location,
        };
        registry.fault(Rule::on(RequestKind::Token, fault).from(2));
        let client = client(&[&checkout], &[login]);
        assert_eq!(class_of(list(&client, &checkout).await), ErrorClass::Untrusted);
        assert_eq!(elsewhere.requests(), []);
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_carries_no_password_and_its_refusal_condemns_nobody() {
    let (elsewhere, registry) = (basic().await, basic().await);
    let checkout = checkout(&registry);
    let location = format!("{}/v2/shop/checkout/tags/list", elsewhere.base_url());
    let fault = Fault::Redirect {
        status: 307,
        location,
    };
    registry.fault(Rule::on(RequestKind::Tags, fault).nth(2));
    let client = client(&[&checkout], &[ann()]);
    assert_eq!(class_of(list(&client, &checkout).await), ErrorClass::Unauthorized);
    assert_eq!(elsewhere.requests().len(), 1);
    assert_eq!(elsewhere.requests()[0].credential, None);
    assert!(client.rejected_logins().is_empty());
    list(&client, &checkout).await.unwrap();
}

#[tokio::test]
async fn what_a_registry_hides_as_not_found_is_asked_for_with_a_credential() {
    let registry = bearer().await;
    let checkout = checkout(&registry);
    let hidden = Fault::error(404, "NAME_UNKNOWN", "repository name not known to registry");
    registry.fault(Rule::on(RequestKind::Tags, hidden).nth(1));
    let client = client(&[&checkout], &[ann()]);
    assert_eq!(list(&client, &checkout).await.unwrap(), ["1", "2", "3"]);
    assert_eq!(
        counts(&registry),
        [1, 1, 2, 0, 0],
        "the challenge is asked for alone, once"
    );
}

#[tokio::test]
async fn not_found_is_an_answer_only_if_nobody_was_turned_away_who_might_have_seen_more() {
    let missing = tag("missing");
    for (credentials, expected) in [
        (vec![ann()], Ok(None)),
        (
            vec![ann(), password("bob", "hidden")],
            Err(ErrorClass::Unauthorized),
        ),
        (vec![wrong(), ann()], Err(ErrorClass::Unauthorized)),
    ] {
        let registry = bearer().await;
        let checkout = checkout(&registry);
        let client = client(&[&checkout], &credentials);
        let found = client.head_digest(&checkout, &missing).await;
        assert_eq!(found.map_err(|error| error.class()), expected, "{credentials:?}");
    }
}

#[tokio::test]
async fn a_registry_that_wants_to_be_left_alone_is_not_asked_again_in_another_name() {
    let registry = bearer().await;
    registry.fault(Rule::on(RequestKind::Tags, Fault::too_many_requests()).nth(2));
    let checkout = checkout(&registry);
    let client = client(&[&checkout], &[ann()]);
    assert_eq!(class_of(list(&client, &checkout).await), ErrorClass::RateLimited);
    assert_eq!(shown(&registry), Vec::<String>::new());
}
