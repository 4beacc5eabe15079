//! Registries that are slow, broken, or want to be left alone.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sandbox::registry::{Fault, ImageSpec, RateLimit, Registry, RegistryOptions, RequestKind, Rule};
use scanner::registry::{ErrorClass, Limits, Pace, RegistryClient, RegistryClientOptions, ReportedPulls};

use super::{checkout, class_of, client, counts, list, open_registry, quick, repository, tag};

#[tokio::test]
async fn a_429_is_not_repeated_and_the_registry_is_left_alone_for_the_rest_of_the_run() {
    let in_two_minutes = Timestamp::now() + SignedDuration::from_mins(2);
    for fault in [
        Fault::retry_after_seconds(120),
        Fault::retry_after_date(in_two_minutes),
        Fault::retry_after_text("2m0s"),
    ] {
        let registry = open_registry(&["1"]).await;
        registry.fault(Rule::always(fault).times(1));
        let client = client();
        let error = list(&client, &checkout(&registry)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::RateLimited);
        let wait = error.retry_at().unwrap().duration_since(Timestamp::now());
        assert!((100..=120).contains(&wait.as_secs()), "{wait:?}");

        let later = client
            .head_digest(&checkout(&registry), &tag("1"))
            .await
            .unwrap_err();
        assert_eq!(later.class(), ErrorClass::Deferred);
        assert_eq!(later.retry_at(), error.retry_at());
        assert_eq!(registry.requests().len(), 1, "nothing is asked after a 429");
        assert_eq!(
            client.cool_downs(Timestamp::now())[&registry.host()],
            error.retry_at().unwrap()
        );
    }
}

#[tokio::test]
async fn a_429_that_names_no_time_or_a_very_short_one_still_ends_the_run_for_that_registry_alone() {
    let other = open_registry(&["1"]).await;
    for fault in [
        Fault::too_many_requests(),
        Fault::status(429),
        Fault::retry_after_text("985.86µs"),
    ] {
        let registry = open_registry(&["1"]).await;
        registry.fault(Rule::always(fault).times(1));
        let client = client();
        assert_eq!(
            class_of(list(&client, &checkout(&registry)).await),
            ErrorClass::RateLimited
        );
        assert_eq!(
            class_of(list(&client, &checkout(&registry)).await),
            ErrorClass::Deferred
        );
        assert_eq!(list(&client, &checkout(&other)).await.unwrap(), ["1"]);
    }
}

#[tokio::test]
async fn a_429_that_cannot_say_more_costs_a_minute_or_so_and_one_that_keeps_silent_a_quarter_of_an_hour() {
    let wordless = Fault::Answer {
        status: 429,
        headers: Vec::new(),
        body: String::new(),
    };
    for (fault, asks_by_head, expected) in [
        (Fault::too_many_requests(), true, 59..=90),
        (wordless, false, 59..=90),
        (Fault::too_many_requests(), false, 899..=901),
        (Fault::retry_after_seconds(7), true, 6..=8),
    ] {
        let registry = open_registry(&["1"]).await;
        registry.fault(Rule::always(fault.clone()));
        let (client, checkout) = (client(), checkout(&registry));
        let error = if asks_by_head {
            client.head_digest(&checkout, &tag("1")).await.unwrap_err()
        } else {
            list(&client, &checkout).await.unwrap_err()
        };
        let wait = error.retry_at().unwrap().duration_since(Timestamp::now());
        assert!(expected.contains(&wait.as_secs()), "{fault:?}: {wait:?}");
        assert_eq!(class_of(list(&client, &checkout).await), ErrorClass::Deferred);
        assert_eq!(registry.requests().len(), 1, "nothing more in this run");
    }
}

#[tokio::test]
async fn a_registry_that_goes_on_refusing_without_a_word_is_asked_once_a_run_and_ever_more_seldom() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(Fault::status(429)));
    let (name, mut memories) = (registry.host(), BTreeMap::new());
    for run in 0..4 {
        let client = client();
        client.recall(&memories, Timestamp::now());
        let refused = client.head_digest(&checkout(&registry), &tag("1")).await;
        assert_eq!(class_of(refused), ErrorClass::RateLimited);
        memories = client.memories(Timestamp::now());
        let cool_down = memories.get_mut(&name).unwrap().cool_down.as_mut().unwrap();
        let wait = cool_down.until.duration_since(Timestamp::now()).as_secs();
        let shortest = 60 << run;
        assert!(
            (shortest - 1..=shortest * 3 / 2 + 1).contains(&wait),
            "{run}: {wait}"
        );
        // Its time has come.
        cool_down.until = Timestamp::now() - SignedDuration::from_secs(1);
    }
    assert_eq!(registry.requests().len(), 4);
}

#[tokio::test]
async fn a_cool_down_of_an_earlier_run_is_kept_until_its_end() {
    let registry = open_registry(&["1"]).await;
    let (now, minute) = (Timestamp::now(), SignedDuration::from_mins(1));
    let client = client();
    client.cool_down(&registry.host(), now - minute);
    assert_eq!(list(&client, &checkout(&registry)).await.unwrap(), ["1"]);
    client.cool_down(&registry.host(), now + minute);
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Deferred
    );
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_5xx_is_repeated_twice_at_most() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(Fault::status(502)).times(2));
    let client = client();
    assert_eq!(list(&client, &checkout(&registry)).await.unwrap(), ["1"]);
    assert_eq!(registry.requests().len(), 3);
    assert_eq!(client.usage()[&registry.host()].retries, 2);

    registry.clear_requests();
    registry.fault(Rule::always(Fault::status(503)));
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::Unavailable
    );
    assert_eq!(registry.requests().len(), 3);
}

#[tokio::test]
async fn a_storm_of_5xx_is_not_answered_by_a_storm_of_repetitions() {
    let registry = Registry::open().await;
    registry.fault(Rule::always(Fault::status(503)));
    let client = client();
    let repositories: Vec<_> = (0..100)
        .map(|number| repository(&registry, &format!("shop/app-{number}")))
        .collect();
    let lists = futures::future::join_all(repositories.iter().map(|repository| list(&client, repository)));
    for tags in lists.await {
        assert_eq!(class_of(tags), ErrorClass::Unavailable);
    }
    let requests = registry.requests().len();
    assert!((100..=125).contains(&requests), "{requests}");
}

#[tokio::test]
async fn a_503_that_names_a_time_is_not_repeated() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(Fault::status(503).with_header("retry-after", "60")));
    let error = list(&client(), &checkout(&registry)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(error.retry_at().is_some());
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn a_broken_connection_is_repeated_and_then_reported() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(Fault::TruncatedBody).times(1));
    assert_eq!(list(&client(), &checkout(&registry)).await.unwrap(), ["1"]);
    assert_eq!(registry.requests().len(), 2);

    let gone = checkout(&registry);
    drop(registry);
    let error = list(&client(), &gone).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Connection, "{error}");
}

#[tokio::test]
async fn a_registry_that_never_answers_or_only_drips_runs_into_the_timeout_once() {
    let request_timeout = Duration::from_millis(500);
    let options = RegistryClientOptions {
        request_timeout,
        ..quick()
    };
    let client = RegistryClient::new(options).unwrap();
    for fault in [
        Fault::Silent,
        Fault::SlowBody {
            chunk: 1,
            pause: Duration::from_millis(50),
        },
    ] {
        let registry = open_registry(&["1", "2", "3"]).await;
        registry.fault(Rule::always(fault));
        assert_eq!(
            class_of(list(&client, &checkout(&registry)).await),
            ErrorClass::Timeout
        );
        assert_eq!(registry.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_huge_body_is_refused_as_soon_as_it_exceeds_the_limit() {
    let registry = open_registry(&["1"]).await;
    registry.fault(Rule::always(Fault::HugeBody {
        bytes: 600 * 1024 * 1024,
    }));
    let options = RegistryClientOptions {
        max_page_bytes: 2 * 1024 * 1024,
        ..quick()
    };
    let client = RegistryClient::new(options).unwrap();
    assert_eq!(
        class_of(list(&client, &checkout(&registry)).await),
        ErrorClass::TooLarge
    );
    assert_eq!(
        registry.requests().len(),
        2,
        "once more in a room for large lists"
    );
}

#[tokio::test]
async fn at_most_four_requests_are_in_flight_to_one_registry() {
    let registry = Registry::open().await;
    registry.fault(Rule::always(Fault::Silent));
    let request_timeout = Duration::from_secs(2);
    let client = RegistryClient::new(RegistryClientOptions {
        request_timeout,
        ..quick()
    })
    .unwrap();
    let repositories: Vec<_> = (0..6)
        .map(|number| repository(&registry, &format!("shop/app-{number}")))
        .collect();
    futures::future::join_all(repositories.iter().map(|repository| list(&client, repository))).await;
    let arrivals: Vec<_> = registry
        .requests()
        .into_iter()
        .map(|request| request.at)
        .collect();
    assert_eq!(arrivals.len(), 6);
    // The first is asked alone, so that it is the sixth that waits for one of four.
    for five in arrivals.windows(5) {
        let gap = five[4].duration_since(five[0]);
        assert!(
            gap >= SignedDuration::from_secs(1),
            "the fifth waited for one of the four to end: {gap:?}"
        );
    }
}

#[tokio::test]
async fn requests_keep_the_pace_of_their_registry() {
    let registry = open_registry(&["1"]).await;
    let pace = Pace {
        interval: Duration::from_millis(300),
        burst: NonZeroU32::MIN,
    };
    let limits = [(
        registry.host(),
        Limits {
            pace,
            page_size: None,
            pulls: None,
        },
    )]
    .into();
    let client = RegistryClient::new(RegistryClientOptions { limits, ..quick() }).unwrap();
    let repository = checkout(&registry);
    let lists = futures::future::join_all((0..4).map(|_| list(&client, &repository))).await;
    assert!(lists.into_iter().all(|tags| tags.is_ok()));
    let arrivals: Vec<_> = registry
        .requests()
        .into_iter()
        .map(|request| request.at)
        .collect();
    let gap = arrivals[3].duration_since(arrivals[0]);
    assert!(
        gap >= SignedDuration::from_millis(650),
        "three intervals passed, which two could not make up for: {gap:?}"
    );
}

#[tokio::test]
async fn questions_that_wait_while_a_429_arrives_are_not_asked_any_more() {
    let registry = Registry::open().await;
    registry.fault(Rule::always(Fault::retry_after_seconds(60)));
    let client = client();
    let repositories: Vec<_> = (0..20)
        .map(|number| repository(&registry, &format!("shop/app-{number}")))
        .collect();
    let lists =
        futures::future::join_all(repositories.iter().map(|repository| list(&client, repository))).await;
    let asked = registry.requests().len();
    assert!(asked <= 4, "only those that were under way: {asked}");
    let deferred = lists
        .into_iter()
        .filter(|tags| tags.as_ref().unwrap_err().class() == ErrorClass::Deferred);
    assert_eq!(deferred.count(), 20 - asked);
}

#[tokio::test]
async fn the_pull_limit_is_noted_from_answers_that_cost_no_pull() {
    let rate_limit = RateLimit {
        limit: 100,
        remaining: 20,
        window_seconds: 21_600,
        source: "192.0.2.1".into(),
    };
    let options = RegistryOptions {
        rate_limit: Some(rate_limit),
        ..RegistryOptions::default()
    };
    let registry = Registry::start(options).await;
    registry.publish(&ImageSpec::new("shop/checkout", "1"));
    let client = client();
    client.head_digest(&checkout(&registry), &tag("1")).await.unwrap();
    let noted = client.usage()[&registry.host()].pull_limit;
    assert_eq!(
        noted,
        Some(ReportedPulls {
            limit: 100,
            remaining: 20,
            window_seconds: 21_600
        })
    );
    assert_eq!(counts(&registry), [0, 0, 0, 1, 0]);
}

#[tokio::test]
async fn a_registry_that_names_no_pull_limit_or_none_that_can_be_read_has_none() {
    let registry = open_registry(&["1"]).await;
    let client = client();
    let head = async || client.head_digest(&checkout(&registry), &tag("1")).await;
    head().await.unwrap();
    for limit in ["", "many", "100", "100;w=", "-1;w=21600", "99999999999;w=21600"] {
        let headers = Fault::status(404)
            .with_header("ratelimit-limit", limit)
            .with_header("ratelimit-remaining", limit);
        registry.fault(Rule::always(headers).times(1));
        head().await.unwrap();
    }
    assert_eq!(client.usage()[&registry.host()].pull_limit, None);
    assert!(client.memories(Timestamp::now()).is_empty());
}

#[tokio::test]
async fn requests_are_counted_by_kind() {
    let registry = open_registry(&["1"]).await;
    let client = client();
    let checkout = checkout(&registry);
    list(&client, &checkout).await.unwrap();
    let digest = client.head_digest(&checkout, &tag("1")).await.unwrap().unwrap();
    let platforms = client.platform_digests(&checkout, &digest).await.unwrap();
    client
        .platform_digests(&checkout, &platforms.digests["linux/arm64"])
        .await
        .unwrap();
    let usage = &client.usage()[&registry.host()];
    assert_eq!(
        (usage.list, usage.head, usage.manifest, usage.config, usage.token),
        (1, 1, 2, 1, 0)
    );
    assert_eq!(usage.total(), u64::try_from(registry.requests().len()).unwrap());
    assert_eq!(registry.count(RequestKind::Ping), 0);
}
