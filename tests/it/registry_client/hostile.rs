//! Registries that mean harm: what they send must cost little, and none of it may fill records and logs.

use std::time::{Duration, Instant};

use sandbox::registry::{Fault, Paging, Rule};
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};

use super::{checkout, class_of, client, list, open_registry, quick, registry_with};

/// Far more than any explanation needs, and nothing to a ConfigMap.
const LONGEST_MESSAGE: usize = 4096;

fn answer(body: String) -> Fault {
    Fault::Answer {
        status: 200,
        headers: Vec::new(),
        body,
    }
}

#[tokio::test]
async fn megabytes_in_the_place_of_a_list_do_not_reach_the_message() {
    let registry = open_registry(&["1"]).await;
    let text = "\u{202e}x".repeat(1024 * 1024);
    for body in [
        format!("{{\"tags\":\"{text}\"}}"),
        format!("\"{text}\""),
        format!("{{\"tags\":[{{\"{text}\":1}}]}}"),
    ] {
        registry.clear_faults();
        registry.fault(Rule::always(answer(body)));
        let error = list(&client(), &checkout(&registry)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Protocol);
        let message = error.to_string();
        assert!(message.len() < LONGEST_MESSAGE, "{} bytes", message.len());
        assert!(!message.contains('\u{202e}'), "{message}");
    }
}

#[tokio::test]
async fn a_long_address_to_go_to_does_not_reach_the_message() {
    let registry = open_registry(&["1"]).await;
    let location = format!("https://10.0.0.1/{}", "x".repeat(30_000));
    registry.fault(Rule::always(Fault::Redirect {
        status: 307,
        location,
    }));
    let error = list(&client(), &checkout(&registry)).await.unwrap_err();
    let message = error.to_string();
    assert!(message.len() < LONGEST_MESSAGE, "{} bytes", message.len());
}

#[tokio::test]
async fn a_list_with_more_names_than_any_repository_has_is_an_error() {
    let registry = open_registry(&["1", "2", "3"]).await;
    let with_limit = |max_tags| RegistryClient::new(RegistryClientOptions { max_tags, ..quick() }).unwrap();
    assert_eq!(
        class_of(list(&with_limit(2), &checkout(&registry)).await),
        ErrorClass::TooLarge
    );
    assert_eq!(list(&with_limit(3), &checkout(&registry)).await.unwrap().len(), 3);
}

#[tokio::test]
async fn to_wait_until_other_large_lists_are_read_is_not_to_wait_for_the_server() {
    let registry = open_registry(&["1"]).await;
    // More than a list may have that waits for no other.
    let tags: Vec<String> = (0..40_000)
        .map(|number| format!("1.{number}.0-{}", "a".repeat(20)))
        .collect();
    registry.tag_many("shop/checkout", "1", &tags);
    registry.fault(Rule::always(Fault::SlowBody {
        chunk: 200_000,
        pause: Duration::from_millis(300),
    }));
    let request_timeout = Duration::from_secs(7);
    let options = RegistryClientOptions {
        request_timeout,
        ..quick()
    };
    let client = RegistryClient::new(options).unwrap();
    let repository = checkout(&registry);
    let begun = Instant::now();
    let lists = futures::future::join_all((0..8).map(|_| list(&client, &repository))).await;
    for list in lists {
        assert_eq!(list.unwrap().len(), 40_001);
    }
    assert!(begun.elapsed() > request_timeout, "nobody waited for others");
}

#[tokio::test]
async fn a_server_may_not_take_for_ever_by_many_pages() {
    let registry = registry_with(Paging::default(), &["1", "2", "3", "4"]).await;
    let options = RegistryClientOptions {
        max_list_time: Duration::ZERO,
        ..quick()
    };
    let client = RegistryClient::new(options).unwrap();
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Timeout
    );
}
