//! Logins that are turned away: which are wrong, and which only may not read what was asked for.

use jiff::Timestamp;
use sandbox::registry::{Auth, BearerAuth, EmptyTokens, Fault, Registry, RequestKind, Rule};
use scanner::credentials::Login;
use scanner::registry::{ErrorClass, RegistryClient};
use shared::domain::reference::Repository;

use super::credentials::{ann, basic, bearer, client, credential, registry_with, shown, users, wrong};
use super::{checkout, class_of, list, repository, tag};

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
