//! What one run learns of a registry and is told by it, in the next one.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sandbox::registry::{
    Auth, BearerAuth, Fault, ImageSpec, OversizedPage, Paging, RateLimit, Registry, RegistryOptions,
    RequestKind, Rule, User,
};
use scanner::credentials::{Credential, Login, Origin, Source};
use scanner::registry::{ErrorClass, Limits, Pace, RegistryClient, RegistryClientOptions};
use shared::domain::budget::PullLimit;
use shared::domain::record::registry_accounts::RegistryMemory;

use super::{checkout, class_of, client_with_page_size, counts, list, quick, registry_with, repository, tag};

type Memories = BTreeMap<String, RegistryMemory>;

fn now() -> Timestamp {
    Timestamp::now()
}

/// A client of the next run.
fn after(memories: &Memories, options: RegistryClientOptions) -> RegistryClient {
    let client = RegistryClient::new(options).unwrap();
    client.recall(memories, now());
    client
}

async fn registry_that_wants(auth: Auth) -> Registry {
    let options = RegistryOptions {
        auth,
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await;
    for name in ["shop/checkout", "shop/cart"] {
        registry.publish(&ImageSpec::new(name, "1"));
    }
    registry
}

fn tokens() -> BearerAuth {
    BearerAuth {
        users: vec![User::new("ann", "secret")],
        ..BearerAuth::default()
    }
}

fn private_tokens() -> BearerAuth {
    BearerAuth {
        private: vec!["shop/".to_owned()],
        ..tokens()
    }
}

/// The login of a pull secret with the same name.
fn login(username: &str, password: &str) -> Credential {
    let login = Login::Password {
        username: username.into(),
        password: password.into(),
    };
    let origin = Origin::Secret {
        namespace: "shop".to_owned(),
        name: username.to_owned(),
        version: "1".to_owned(),
    };
    let entry = "registry.example.com".to_owned();
    Credential::new(login, Source { origin, entry })
}

/// With this login for these repositories.
fn with_login(registry: &Registry, paths: &[&str], login: Credential) -> RegistryClientOptions {
    let login = vec![Arc::new(login)];
    let of = |path: &&str| (repository(registry, path), login.clone());
    RegistryClientOptions {
        credentials: paths.iter().map(of).collect(),
        ..quick()
    }
}

fn with_ann(registry: &Registry) -> RegistryClientOptions {
    with_login(registry, &["shop/checkout", "shop/cart"], login("ann", "secret"))
}

/// What a run has learned that asked this registry with ann's credential.
async fn learned_at(registry: &Registry) -> Memories {
    let client = RegistryClient::new(with_ann(registry)).unwrap();
    list(&client, &checkout(registry)).await.unwrap();
    registry.clear_requests();
    client.memories(now())
}

#[tokio::test]
async fn a_challenge_is_met_in_one_run_and_known_in_the_next() {
    let registry = registry_that_wants(Auth::Bearer(tokens())).await;
    let memories = learned_at(&registry).await;
    let client = after(&memories, quick());
    for (name, expected) in [("shop/checkout", [0, 1, 1, 0, 0]), ("shop/cart", [0, 2, 2, 0, 0])] {
        assert_eq!(list(&client, &repository(&registry, name)).await.unwrap(), ["1"]);
        assert_eq!(counts(&registry), expected, "a token and a list each");
    }
    assert_eq!(client.memories(now()), memories, "nothing to be written");
    let a_week_later = now() + SignedDuration::from_hours(7 * 24);
    assert_eq!(client.memories(a_week_later), Memories::new(), "it is asked anew");
}

#[tokio::test]
async fn a_password_is_shown_at_once_to_a_registry_that_is_known_to_want_one() {
    let users = vec![User::new("ann", "secret")];
    let registry = registry_that_wants(Auth::Basic(users)).await;
    let client = after(&learned_at(&registry).await, with_ann(&registry));
    assert_eq!(list(&client, &checkout(&registry)).await.unwrap(), ["1"]);
    assert_eq!(counts(&registry), [0, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_repository_that_is_private_is_asked_for_in_nobodys_name_once_in_many_runs() {
    let registry = registry_that_wants(Auth::Bearer(private_tokens())).await;
    let memories = learned_at(&registry).await;
    let client = after(&memories, with_ann(&registry));
    assert_eq!(list(&client, &checkout(&registry)).await.unwrap(), ["1"]);
    assert_eq!(counts(&registry), [0, 1, 1, 0, 0], "ann's token and her list");
    assert_eq!(client.memories(now()), memories);
    let without = after(&memories, quick());
    registry.configure(|options| options.auth = Auth::Bearer(tokens()));
    assert_eq!(list(&without, &checkout(&registry)).await.unwrap(), ["1"]);
    assert_eq!(
        without.memories(now())[&registry.host()].private,
        None,
        "it is public now"
    );
}

/// Another address of the same machine, at which nothing listens or something else does.
fn moved(registry: &Registry, memories: &Memories, realm: &str) -> Memories {
    let mut moved = memories.clone();
    let memory = moved.get_mut(&registry.host()).unwrap();
    memory.challenge.as_mut().unwrap().realm = Some(realm.to_owned());
    moved
}

#[tokio::test]
async fn a_registry_that_wants_something_else_than_before_is_asked_for_it_in_the_same_run() {
    let basic = Auth::Basic(vec![User::new("ann", "secret")]);
    for before in [Auth::Bearer(private_tokens()), basic.clone()] {
        for (after_it, what) in [
            (Auth::None, "everybody"),
            (basic.clone(), "a password"),
            (Auth::Bearer(tokens()), "a token"),
            (Auth::Bearer(private_tokens()), "a token of ann's"),
        ] {
            let registry = registry_that_wants(before.clone()).await;
            let memories = learned_at(&registry).await;
            registry.configure(|options| options.auth = after_it);
            let client = after(&memories, with_ann(&registry));
            for name in ["shop/checkout", "shop/cart"] {
                let listed = list(&client, &repository(&registry, name)).await;
                assert_eq!(listed.unwrap(), ["1"], "{before:?}, now {what}");
            }
            assert_eq!(client.rejected_logins(), [], "{before:?}, now {what}");
            assert_eq!(registry.failed_logins(), 0, "{before:?}, now {what}");
        }
    }
}

#[tokio::test]
async fn a_token_service_that_has_moved_is_found_in_the_same_run_and_no_login_is_blamed() {
    let stranger = registry_that_wants(Auth::Bearer(BearerAuth::default())).await;
    for auth in [tokens(), private_tokens()] {
        let registry = registry_that_wants(Auth::Bearer(auth)).await;
        let memories = learned_at(&registry).await;
        for (realm, what) in [
            (format!("{}/gone", registry.base_url()), "not found"),
            ("http://127.0.0.1:1/token".to_owned(), "no connection"),
            (format!("{}/token", stranger.base_url()), "a stranger's tokens"),
            ("https://elsewhere.invalid/token".to_owned(), "where nobody goes"),
        ] {
            registry.expire_tokens();
            let client = after(&moved(&registry, &memories, &realm), with_ann(&registry));
            let listed = list(&client, &checkout(&registry)).await;
            assert_eq!(listed.unwrap(), ["1"], "{what}");
            assert_eq!(client.rejected_logins(), [], "{what}");
            let healed = &client.memories(now())[&registry.host()].challenge;
            let realm = healed.as_ref().unwrap().realm.clone().unwrap();
            assert_eq!(realm, format!("{}/token", registry.base_url()), "{what}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_fails_once_where_the_challenge_is_known_as_well() {
    let registry = registry_that_wants(Auth::Bearer(private_tokens())).await;
    let memories = learned_at(&registry).await;
    registry.configure(|options| {
        let users = vec![User::new("ann", "changed")];
        options.auth = Auth::Bearer(BearerAuth {
            users,
            ..private_tokens()
        });
    });
    let client = after(&memories, with_ann(&registry));
    for name in ["shop/checkout", "shop/cart"] {
        let failed = list(&client, &repository(&registry, name)).await;
        assert_eq!(class_of(failed), ErrorClass::Unauthorized);
    }
    assert_eq!(registry.failed_logins(), 1);
    assert_eq!(client.rejected_logins().len(), 1);
}

#[tokio::test]
async fn a_page_size_that_was_refused_is_not_asked_for_again() {
    let paging = Paging {
        max_size: Some(100),
        oversized: OversizedPage::Refuse(400),
        ..Paging::default()
    };
    let registry = registry_with(paging, &["1", "2"]).await;
    let first = client_with_page_size(&registry, 1000);
    list(&first, &checkout(&registry)).await.unwrap();
    assert_eq!(counts(&registry), [0, 0, 2, 0, 0]);
    for (size, requests) in [(1000, 1), (500, 2)] {
        registry.clear_requests();
        let next = client_with_page_size(&registry, size);
        next.recall(&first.memories(now()), now());
        assert_eq!(list(&next, &checkout(&registry)).await.unwrap(), ["1", "2"]);
        assert_eq!(registry.requests().len(), requests, "{size} a page");
    }
}

fn limited(registry: &Registry, limits: Limits, options: RegistryClientOptions) -> RegistryClientOptions {
    RegistryClientOptions {
        limits: [(registry.host(), limits)].into(),
        ..options
    }
}

#[tokio::test]
async fn a_burst_is_not_repeated_by_the_next_run() {
    let registry = registry_with(Paging::default(), &["1"]).await;
    let limits = Limits {
        pace: Pace {
            interval: Duration::from_hours(1),
            burst: NonZeroU32::new(3).unwrap(),
        },
        page_size: None,
        pulls: None,
    };
    let first = RegistryClient::new(limited(&registry, limits, quick())).unwrap();
    for _ in 0..2 {
        list(&first, &checkout(&registry)).await.unwrap();
    }
    let next = after(&first.memories(now()), limited(&registry, limits, quick()));
    list(&next, &checkout(&registry)).await.unwrap();
    let repository = checkout(&registry);
    let waits = tokio::time::timeout(Duration::from_millis(200), list(&next, &repository)).await;
    assert!(waits.is_err(), "the fourth request within an hour is not sent");
    assert_eq!(registry.requests().len(), 3);
}

const PULL_LIMIT: &str = "You have reached your pull rate limit: https://www.docker.com/increase-rate-limits";

#[tokio::test]
async fn who_has_used_up_his_pulls_is_left_alone_and_others_ask_on_in_this_run_and_the_next() {
    let registry = registry_that_wants(Auth::Bearer(tokens())).await;
    registry.publish(&ImageSpec::new("office/mail", "1"));
    let limits = Limits {
        pulls: Some(PullLimit::DOCKER_HUB),
        ..Limits::of(&registry.host())
    };
    let options = limited(&registry, limits, with_ann(&registry));
    let refusal = Fault::error(429, "TOOMANYREQUESTS", PULL_LIMIT);
    registry.fault(Rule::on(RequestKind::Tags, refusal).nth(2));
    let first = RegistryClient::new(options.clone()).unwrap();
    let office = repository(&registry, "office/mail");
    let failed = list(&first, &office).await;
    assert_eq!(
        class_of(failed),
        ErrorClass::RateLimited,
        "there is no login for it"
    );
    let next = after(&first.memories(now()), options);
    for client in [&first, &next] {
        registry.clear_requests();
        assert_eq!(class_of(list(client, &office).await), ErrorClass::Deferred);
        assert_eq!(registry.requests(), [], "anybody's pulls are used up");
        assert_eq!(list(client, &checkout(&registry)).await.unwrap(), ["1"]);
        assert_eq!(counts(&registry), [0, 1, 1, 0, 0], "ann's are not");
        assert_eq!(client.cool_downs(now()), BTreeMap::new());
    }
}

#[tokio::test]
async fn two_logins_have_pulls_of_their_own_unless_the_registry_says_that_they_share_them() {
    let users = vec![
        User::new("ann", "secret"),
        User::new("bob", "hidden").only("office/"),
    ];
    for (source, expected) in [(None, 14), (Some("192.0.2.1".to_owned()), 7)] {
        let auth = Auth::Basic(users.clone());
        let registry = registry_that_wants(auth).await;
        let limit = PullLimit {
            pulls: 10,
            window_seconds: 21_600,
        };
        if let Some(source) = source {
            registry.configure(|options| {
                options.rate_limit = Some(RateLimit {
                    limit: 10,
                    remaining: 10,
                    window_seconds: 21_600,
                    source,
                });
            });
        }
        let limits = Limits {
            pulls: Some(limit),
            ..Limits::of(&registry.host())
        };
        let mut pulls = 0;
        let mut memories = Memories::new();
        for (path, login) in [
            ("shop/checkout", login("ann", "secret")),
            ("office/mail", login("bob", "hidden")),
        ] {
            registry.publish(&ImageSpec::new(path, "1"));
            let options = limited(&registry, limits, with_login(&registry, &[path], login));
            let repository = repository(&registry, path);
            // Two runs of each, the second of which goes on where the first has ended.
            for most in [4, 20] {
                let client = after(&memories, options.clone());
                let digest = client.head_digest(&repository, &tag("1")).await.unwrap().unwrap();
                for _ in 0..most {
                    pulls += usize::from(client.platform_digests(&repository, &digest).await.is_ok());
                }
                memories = client.memories(now());
            }
        }
        assert_eq!(pulls, expected);
    }
}
