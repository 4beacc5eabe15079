//! Credentials on the wire: who is shown which, in which order, and how often.

use std::sync::Arc;

use jiff::Timestamp;
use sandbox::registry::{
    Auth, BearerAuth, EmptyTokens, Fault, ImageSpec, Paging, Registry, RegistryOptions, RequestKind, Rule,
    User,
};
use scanner::credentials::{Credential, Login, Origin, Source};
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};
use shared::domain::reference::Repository;

use super::{checkout, class_of, counts, list, quick, repository, tag};

async fn registry_with(auth: Auth) -> Registry {
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

fn users() -> Vec<User> {
    vec![
        User::new("ann", "secret").only("shop/").identity_token("refresh"),
        User::new("bob", "hidden").only("office/"),
    ]
}

async fn basic() -> Registry {
    registry_with(Auth::Basic(users())).await
}

/// Its token service knows the users; what is not below `office` or `shop` is public.
async fn bearer() -> Registry {
    let private = vec!["shop/".to_owned(), "office/".to_owned()];
    registry_with(Auth::Bearer(BearerAuth {
        private,
        users: users(),
        ..BearerAuth::default()
    }))
    .await
}

fn credential(login: Login) -> Credential {
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

fn ann() -> Credential {
    password("ann", "secret")
}

fn wrong() -> Credential {
    password("ann", "mistake")
}

/// A client that has these credentials for every repository named.
fn client(repositories: &[&Repository], credentials: &[Credential]) -> RegistryClient {
    let credentials: Vec<_> = credentials.iter().cloned().map(Arc::new).collect();
    let of = |repository: &&Repository| ((*repository).clone(), credentials.clone());
    RegistryClient::new(RegistryClientOptions {
        credentials: repositories.iter().map(of).collect(),
        ..quick()
    })
    .unwrap()
}

/// User names and passwords that the registry was shown, in their order.
fn shown(registry: &Registry) -> Vec<String> {
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
async fn a_wrong_password_fails_once_however_many_repositories_wait_for_it_and_the_next_one_is_tried() {
    for registry in [basic().await, bearer().await] {
        let (checkout, cart) = (checkout(&registry), repository(&registry, "shop/cart"));
        let client = client(&[&checkout, &cart], &[wrong(), ann()]);
        let (tag, repositories) = (tag("1"), [&checkout, &cart]);
        let heads = (0..16).map(|number| client.head_digest(repositories[number % 2], &tag));
        let found = futures::future::join_all(heads).await;
        assert!(found.into_iter().all(|found| found.unwrap().is_some()));
        assert_eq!(registry.failed_logins(), 1);
        let shown = shown(&registry);
        assert_eq!(shown.iter().filter(|login| *login == "ann:mistake").count(), 1);
    }
}

#[tokio::test]
async fn a_login_that_was_rejected_is_not_shown_again_in_this_run_and_the_error_names_where_it_stands() {
    for registry in [basic().await, bearer().await] {
        let (checkout, cart) = (checkout(&registry), repository(&registry, "shop/cart"));
        let client = client(&[&checkout, &cart], &[wrong()]);
        for repository in [&checkout, &cart, &checkout] {
            let error = list(&client, repository).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Unauthorized);
            assert_eq!(
                error.retry_at(),
                None,
                "the registry itself may be asked again at once"
            );
            let text = format!("{error} {error:?} {client:?}");
            assert!(
                text.contains("entry registry.example.com of Secret shop/regcred")
                    && !text.contains("mistake"),
                "{text}"
            );
        }
        assert_eq!(registry.failed_logins(), 1);
        let [(host, login, until)] = &client.rejected_logins()[..] else {
            panic!("one login was rejected");
        };
        assert_eq!((host, *login), (&registry.host(), wrong().id()));
        assert!(*until > Timestamp::now());

        let next = self::client(&[&checkout], &[wrong(), ann()]);
        next.leave_login_alone(host, *login, *until);
        list(&next, &checkout).await.unwrap();
        assert_eq!(registry.failed_logins(), 1, "nor in the next, if it is told");
    }
}

#[tokio::test]
async fn a_good_login_that_may_not_read_one_repository_still_reads_the_others() {
    for registry in [basic().await, bearer().await] {
        let (mail, cart) = (
            repository(&registry, "office/mail"),
            repository(&registry, "shop/cart"),
        );
        let client = client(&[&mail, &cart], &[ann()]);
        list(&client, &cart).await.unwrap();
        let class = class_of(list(&client, &mail).await);
        assert!(
            [ErrorClass::Unauthorized, ErrorClass::Forbidden].contains(&class),
            "{class}"
        );
        list(&client, &cart).await.unwrap();
        assert!(client.rejected_logins().is_empty() && registry.failed_logins() == 0);
    }
}

/// A token service that says 403 to everybody whom it does not grant what is asked for.
async fn forbidding(empty_tokens: EmptyTokens) -> Registry {
    registry_with(Auth::Bearer(BearerAuth {
        private: vec!["shop/".to_owned(), "office/".to_owned()],
        users: users(),
        empty_tokens,
        ..BearerAuth::default()
    }))
    .await
}

fn apps(registry: &Registry, folder: &str, number: usize) -> Vec<Repository> {
    let app = |number| repository(registry, &format!("{folder}/app-{number}"));
    (0..number).map(app).collect()
}

/// Lists them all at once, in vain.
async fn list_in_vain(client: &RegistryClient, repositories: &[Repository]) {
    let lists = repositories.iter().map(|repository| list(client, repository));
    for listed in futures::future::join_all(lists).await {
        assert!(!listed.unwrap_err().class().is_transient());
    }
}

#[tokio::test]
async fn a_login_that_a_token_service_forbids_everything_is_shown_twice_and_taken_for_wrong() {
    for number in [1, 8] {
        let registry = bearer().await;
        registry.fault(Rule::on(RequestKind::Token, Fault::status(403)));
        let repositories = apps(&registry, "shop", number);
        let client = client(&repositories.iter().collect::<Vec<_>>(), &[wrong()]);
        list_in_vain(&client, &repositories).await;
        assert_eq!(shown(&registry).len(), 2, "for a repository, and for none");
        assert_eq!(client.rejected_logins().len(), 1, "in the next run");
    }
}

#[tokio::test]
async fn a_right_login_that_may_read_nothing_of_what_is_asked_is_not_taken_for_wrong() {
    let identity = credential(Login::IdentityToken("refresh".into()));
    for login in [ann(), identity] {
        let registry = forbidding(EmptyTokens::WhoAsksForNothing).await;
        let (offices, cart) = (apps(&registry, "office", 8), repository(&registry, "shop/cart"));
        let all: Vec<_> = offices.iter().chain([&cart]).collect();
        let client = client(&all, &[login]);
        list_in_vain(&client, &offices).await;
        assert_eq!(client.rejected_logins(), []);
        list(&client, &cart).await.unwrap();
        // Each as anybody and as ann, and ann once for no repository.
        assert_eq!(registry.count(RequestKind::Token), 2 * (8 + 1) + 1);
        assert_eq!(registry.failed_logins(), 0);
    }
}

#[tokio::test]
async fn where_a_token_service_does_not_say_whether_a_login_is_right_three_refusals_are_enough() {
    for (number, expected) in [(1, 0), (2, 0), (8, 1)] {
        let registry = forbidding(EmptyTokens::Nobody).await;
        let offices = apps(&registry, "office", number);
        let client = client(&offices.iter().collect::<Vec<_>>(), &[ann()]);
        list_in_vain(&client, &offices).await;
        assert_eq!(shown(&registry).len(), number.min(3) + 1);
        assert_eq!(client.rejected_logins().len(), expected, "{number}");
    }
}

#[tokio::test]
async fn a_login_that_a_token_service_forbids_one_repository_and_grants_another_is_not_taken_for_wrong() {
    let registry = bearer().await;
    let (checkout, cart) = (checkout(&registry), repository(&registry, "shop/cart"));
    let client = client(&[&checkout, &cart], &[ann()]);
    // Anybody's and ann's.
    registry.fault(Rule::on(RequestKind::Token, Fault::status(403)).times(2));
    assert_eq!(class_of(list(&client, &cart).await), ErrorClass::Forbidden);
    list(&client, &checkout).await.unwrap();
    assert!(client.rejected_logins().is_empty());
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
async fn a_401_in_the_middle_of_a_list_ends_it_and_condemns_no_login_that_was_accepted() {
    for registry in [basic().await, bearer().await] {
        registry.configure(|options| options.paging.default_size = Some(2));
        let checkout = checkout(&registry);
        let client = client(&[&checkout], &[ann()]);
        list(&client, &checkout).await.unwrap();
        registry.clear_requests();
        let refusal = Fault::error(401, "UNAUTHORIZED", "authentication required");
        registry.fault(Rule::on(RequestKind::Tags, refusal).from(2));
        assert_eq!(class_of(list(&client, &checkout).await), ErrorClass::Unauthorized);
        assert!(client.rejected_logins().is_empty());
        registry.clear_faults();
        assert_eq!(list(&client, &checkout).await.unwrap(), ["1", "2", "3"]);
        assert_eq!(registry.failed_logins(), 0);
    }
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
