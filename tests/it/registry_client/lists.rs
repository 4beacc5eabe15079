//! Lists of tags: paging, order, flaws.

use sandbox::registry::{
    Fault, ImageSpec, OversizedPage, PageStyle, Paging, Registry, RequestKind, Rule, TagOrder,
};
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};

use super::{
    checkout, class_of, client, client_with_page_size, counts, list, open_registry, quick, registry_with,
    repository,
};

#[tokio::test]
async fn a_list_on_one_page_costs_one_request_without_a_page_size() {
    let registry = open_registry(&["1.3.9", "1.4.0"]).await;
    assert_eq!(
        list(&client(), &checkout(&registry)).await.unwrap(),
        ["1.3.9", "1.4.0"]
    );
    let requests = registry.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].query.as_str()),
        ("GET", "")
    );
    assert_eq!(
        requests[0].user_agent,
        format!("kubefresh-scanner/{}", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn fifty_repositories_cost_fifty_requests_however_many_are_asked_at_once() {
    let registry = Registry::open().await;
    for number in 0..50 {
        registry.publish(&ImageSpec::new(&format!("shop/app-{number}"), "1"));
    }
    let client = client();
    let repositories: Vec<_> = (0..50)
        .map(|number| repository(&registry, &format!("shop/app-{number}")))
        .collect();
    let lists = futures::future::join_all(repositories.iter().map(|repository| list(&client, repository)));
    assert!(lists.await.into_iter().all(|tags| tags.unwrap() == ["1"]));
    assert_eq!(counts(&registry), [0, 0, 50, 0, 0]);
    assert_eq!(client.requests(), 50);
}

#[tokio::test]
async fn a_list_of_many_commits_is_asked_for_once() {
    let registry = open_registry(&["1.0.0"]).await;
    let commits = (0..16_000).map(|number| format!("{number:040x}"));
    registry.tag_many("shop/checkout", "1.0.0", commits);
    assert_eq!(list(&client(), &checkout(&registry)).await.unwrap().len(), 16_001);
    assert_eq!(counts(&registry), [0, 0, 1, 0, 0]);
}

#[tokio::test]
async fn every_style_of_paging_is_followed_to_the_end_with_one_request_a_page() {
    for style in [
        PageStyle::Relative,
        PageStyle::Absolute,
        PageStyle::Bare,
        PageStyle::Cursor,
    ] {
        for order in [TagOrder::Sorted, TagOrder::Insertion, TagOrder::Shuffled] {
            let registry = registry_with(
                Paging {
                    style: style.clone(),
                    ..Paging::default()
                },
                &["5", "3", "1", "2", "4"],
            )
            .await;
            registry.configure(|options| options.tag_order = order);
            let client = client_with_page_size(&registry, 2);
            let mut tags = list(&client, &checkout(&registry)).await.unwrap();
            tags.sort();
            assert_eq!(tags, ["1", "2", "3", "4", "5"], "{style:?} {order:?}");
            assert_eq!(counts(&registry), [0, 0, 3, 0, 0], "{style:?} {order:?}");
        }
    }
}

#[tokio::test]
async fn pages_are_followed_where_the_registry_cuts_them_unasked_or_smaller_than_asked() {
    let tags = ["1", "2", "3", "4", "5"];
    let unasked = registry_with(
        Paging {
            default_size: Some(2),
            ..Paging::default()
        },
        &tags,
    )
    .await;
    assert_eq!(list(&client(), &checkout(&unasked)).await.unwrap(), tags);
    let clamped = registry_with(
        Paging {
            max_size: Some(2),
            ..Paging::default()
        },
        &tags,
    )
    .await;
    let client = client_with_page_size(&clamped, 1000);
    assert_eq!(list(&client, &checkout(&clamped)).await.unwrap(), tags);
}

#[tokio::test]
async fn a_registry_that_refuses_the_page_size_is_asked_once_without_and_that_is_remembered() {
    for status in [400, 405, 413] {
        let oversized = OversizedPage::Refuse(status);
        let registry = registry_with(
            Paging {
                max_size: Some(2),
                oversized,
                ..Paging::default()
            },
            &["1", "2", "3"],
        )
        .await;
        let client = client_with_page_size(&registry, 1000);
        for _ in 0..2 {
            assert_eq!(
                list(&client, &checkout(&registry)).await.unwrap(),
                ["1", "2", "3"],
                "{status}"
            );
        }
        let queries: Vec<_> = registry
            .requests()
            .into_iter()
            .map(|request| request.query)
            .collect();
        assert_eq!(queries, ["n=1000", "", ""], "{status}");
    }
}

#[tokio::test]
async fn a_registry_that_ignores_paging_is_read_whole_with_ten_thousand_tags() {
    let registry = registry_with(
        Paging {
            style: PageStyle::None,
            ..Paging::default()
        },
        &["0"],
    )
    .await;
    registry.tag_many("shop/checkout", "0", (1..10_000).map(|number| number.to_string()));
    assert_eq!(list(&client(), &checkout(&registry)).await.unwrap().len(), 10_000);
    assert_eq!(counts(&registry), [0, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_list_that_leads_in_a_circle_is_an_error_after_the_first_turn() {
    let registry = registry_with(
        Paging {
            style: PageStyle::Looping,
            ..Paging::default()
        },
        &["1", "2", "3"],
    )
    .await;
    let client = client_with_page_size(&registry, 2);
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Protocol
    );
    assert!(registry.count(RequestKind::Tags) <= 2);
}

#[tokio::test]
async fn a_next_page_on_another_host_is_not_asked_for() {
    let other = Registry::open().await;
    let elsewhere = other.base_url().replace("127.0.0.1", "localhost");
    let style = PageStyle::CrossHost(elsewhere);
    let registry = registry_with(
        Paging {
            style,
            ..Paging::default()
        },
        &["1", "2", "3"],
    )
    .await;
    let client = client_with_page_size(&registry, 2);
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Untrusted
    );
    assert_eq!(other.requests(), []);
}

#[tokio::test]
async fn a_list_with_too_many_pages_or_bytes_is_an_error() {
    let tags = ["1", "2", "3", "4", "5"];
    let paging = Paging {
        default_size: Some(1),
        ..Paging::default()
    };
    let registry = registry_with(paging, &tags).await;
    let few_pages = RegistryClient::new(RegistryClientOptions {
        max_pages: 3,
        ..quick()
    })
    .unwrap();
    assert_eq!(
        class_of(list(&few_pages, &checkout(&registry)).await),
        ErrorClass::TooLarge
    );
    assert_eq!(registry.count(RequestKind::Tags), 3);
    let few_bytes = RegistryClient::new(RegistryClientOptions {
        max_list_bytes: 100,
        ..quick()
    })
    .unwrap();
    assert_eq!(
        class_of(list(&few_bytes, &checkout(&registry)).await),
        ErrorClass::TooLarge
    );
}

#[tokio::test]
async fn null_and_names_that_cannot_be_tags_are_passed_over_and_counted() {
    let registry = open_registry(&["1", "2"]).await;
    let client = client();
    for (fault, expected) in [
        (Fault::TagsNull, vec![]),
        (Fault::NullElement, vec!["1", "2"]),
        (Fault::InvalidTag, vec!["1", "2"]),
    ] {
        registry.clear_faults();
        registry.fault(Rule::always(fault));
        assert_eq!(list(&client, &checkout(&registry)).await.unwrap(), expected);
    }
    assert_eq!(client.usage()[&registry.host()].invalid_tags, 1);
}

#[tokio::test]
async fn what_is_no_list_of_tags_is_an_error() {
    let registry = open_registry(&["1"]).await;
    for body in ["", "{}", "<html>please sign in</html>"] {
        let fault = Fault::Answer {
            status: 200,
            headers: Vec::new(),
            body: body.to_owned(),
        };
        registry.clear_faults();
        registry.fault(Rule::always(fault));
        assert_eq!(
            class_of(list(&client(), &checkout(&registry)).await),
            ErrorClass::Protocol,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_not_found() {
    let registry = open_registry(&["1"]).await;
    let error = list(&client(), &repository(&registry, "shop/nothing"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert!(error.to_string().contains("NAME_UNKNOWN"), "{error}");
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn half_a_list_is_an_error_whatever_the_second_page_says() {
    let cases = [
        (Fault::status(404), ErrorClass::Protocol),
        (Fault::status(403), ErrorClass::Protocol),
        (Fault::status(204), ErrorClass::Protocol),
        (Fault::status(304), ErrorClass::Protocol),
        (Fault::status(401), ErrorClass::Unauthorized),
        (Fault::status(500), ErrorClass::Unavailable),
        (Fault::TruncatedBody, ErrorClass::Connection),
        (Fault::too_many_requests(), ErrorClass::RateLimited),
    ];
    for (fault, expected) in cases {
        let registry = registry_with(
            Paging {
                default_size: Some(2),
                ..Paging::default()
            },
            &["1", "2", "3"],
        )
        .await;
        registry.fault(Rule::on(RequestKind::Tags, fault).from(2));
        assert_eq!(class_of(list(&client(), &checkout(&registry)).await), expected);
    }
}
