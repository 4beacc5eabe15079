//! The pages of the updater, for people and for programs, over real HTTP from a replica that runs under its own rights.

use std::pin::pin;

use futures::StreamExt as _;
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY};
use shared::domain::record::run::{RegistryUse, RunRecord};

use super::*;
use sandbox::apiserver::faults::{Fault, FaultRule};

/// A text that would do harm if anybody took it for more than a text.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>\u{202e}{{ 7*7 }}";

impl Updater {
    async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("http://{}{path}", self.address))
            .await
            .unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        let (status, text) = self.page(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until a page says this.
    async fn says(&self, path: &str, words: &str) -> String {
        eventually(&format!("{path} says {words:?}"), LIMIT, || async {
            let (status, text) = self.page(path).await;
            let text = text.replace("&#x2f;", "/");
            (status == 200 && text.contains(words)).then_some(text)
        })
        .await
    }
}

#[tokio::test]
async fn every_watched_container_is_on_the_page_of_every_replica_with_its_state_and_why() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    stage.offer_1_5_0().await;
    let leader = stage.leader().await;
    let follower = stage.updater(SECOND, LEASE).await;
    follower.is_ready().await;
    for replica in [&leader, &follower] {
        let text = replica.says("/", "1 waiting").await;
        for words in [
            "shop/checkout",
            "1.5.0 waits for approval",
            "approve",
            "/workload/deployment/shop/checkout",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
    let text = follower.says("/", "leads and acts; this replica stands by").await;
    assert!(text.contains(&format!("{UPDATER} leads")), "{text}");
    let text = leader
        .says("/workload/deployment/shop/checkout", "Why this choice")
        .await;
    assert!(
        text.contains("<strong>1.5.0</strong>: a newer tag is published"),
        "{text}"
    );
    let (status, text) = leader.page("/workload/deployment/shop/web").await;
    assert_eq!(status, 404);
    assert!(text.contains("No deployment shop&#x2f;web is watched"), "{text}");
    assert!(
        stage
            .writes_by(SECOND)
            .iter()
            .all(|request| request.resource == "leases"),
        "who shows a page changes nothing"
    );
    follower.stop().await;
    leader.stop().await;
}

#[tokio::test]
async fn what_strangers_write_is_text_everywhere() {
    let annotations = [
        ("kubefresh.dev/mode", HOSTILE),
        ("kubefresh.dev/last-update", "2026-11-21T03:00:00Z"),
        ("kubefresh.dev/last-change", HOSTILE),
        ("kubefresh.dev/last-result", HOSTILE),
    ];
    let stage = Stage::with_checkout(&annotations).await;
    let updater = stage.leader().await;
    for path in ["/", "/workload/deployment/shop/checkout", "/feed.atom"] {
        let text = updater.says(path, "alert(1)").await;
        assert!(
            !text.contains("<script>alert") && !text.contains("<img"),
            "{path}: {text}"
        );
        assert!(
            !text.contains('\u{202e}') && !text.contains(">49<"),
            "{path}: {text}"
        );
    }
    let query = "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&sort=%3Cb%3E";
    let (status, text) = updater.page(query).await;
    assert_eq!(status, 400);
    assert!(!text.contains("<b>"), "{text}");
    let (status, text) = updater.page(query.split("&sort").next().unwrap()).await;
    assert_eq!(status, 200);
    assert!(!text.contains("<script>alert"), "{text}");
    updater.stop().await;
}

#[tokio::test]
async fn a_browser_is_told_to_run_nothing_but_our_own_and_to_show_it_in_no_other_page() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    for path in [
        "/",
        "/nothing",
        "/assets/page.css",
        "/assets/live.js",
        "/api/v1/workloads",
    ] {
        let response = updater.get(path).await;
        let headers = response.headers().clone();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        assert!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none());
        let text = response.text().await.unwrap();
        for inline in ["<style", " style=", "<script>", " onclick=", "javascript:"] {
            assert!(!text.contains(inline), "{path} has {inline}");
        }
    }
    updater.stop().await;
}

#[tokio::test]
async fn a_replica_that_has_not_seen_everything_says_so_and_shows_nothing() {
    let stage = Stage::with_checkout(&[]).await;
    let blind = FaultRule::new(Fault::internal())
        .user(UPDATER)
        .resource("statefulsets");
    stage.cluster.api.faults().install(blind);
    let updater = stage.updater(UPDATER, LEASE).await;
    for path in [
        "/",
        "/workload/deployment/shop/checkout",
        "/api/v1/workloads",
        "/live",
    ] {
        let (status, text) = updater.page(path).await;
        assert_eq!(status, 503, "{path}: {text}");
        assert!(text.contains("Not ready yet"), "{path}: {text}");
        assert!(!text.contains("checkout:1.4.0"), "{path}: {text}");
    }
    updater.stop().await;
}

#[tokio::test]
async fn an_open_page_is_told_that_something_changed_and_is_let_go_when_the_updater_stops() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    let updater = stage.leader().await;
    let mut news = pin!(updater.get("/live").await.bytes_stream());
    let mut next = async || {
        loop {
            let chunk = tokio::time::timeout(LIMIT, news.next())
                .await
                .expect("news in time");
            let text = chunk.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap());
            match text {
                Some(text) if !text.starts_with("event: changed") => {}
                text => return text,
            }
        }
    };
    let first = next().await.unwrap();
    stage.offer_1_5_0().await;
    let second = next().await.unwrap();
    assert_ne!(first, second);
    updater.stop().await;
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn what_programs_are_answered_is_what_the_description_says() {
    let stage = Stage::with_checkout(&[("kubefresh.dev/mode", "approve")]).await;
    stage.offer_1_5_0().await;
    stage
        .deploy("mail", OLD, &[("kubefresh.dev/mode", "never")])
        .await;
    let updater = stage.leader().await;
    updater.says("/", "1 waiting").await;
    let description = updater.json("/api/v1/openapi.json").await;
    for (template, path) in [
        ("/api/v1/workloads", "/api/v1/workloads"),
        ("/api/v1/workloads", "/api/v1/workloads?state=waiting&q=checkout"),
        (
            "/api/v1/workloads/{kind}/{namespace}/{name}",
            "/api/v1/workloads/deployment/shop/checkout",
        ),
        ("/api/v1/registries", "/api/v1/registries"),
    ] {
        let answer = updater.json(path).await;
        let pointer = "/get/responses/200/content/application~1json/schema";
        let schema = description["paths"][template].pointer(pointer).unwrap();
        fits(&description, schema, &answer, path);
    }
    let waiting = updater.json("/api/v1/workloads?state=waiting").await;
    assert_eq!(
        (&waiting["total"], &waiting["containers"][0]["target"]),
        (&json!(1), &json!(NEW))
    );
    let refusal = description["components"]["schemas"]["Refusal"].clone();
    for (path, status) in [
        ("/api/v1/workloads?state=dead", 400),
        ("/api/v1/workloads/deployment/shop/web", 404),
    ] {
        let (answered, text) = updater.page(path).await;
        assert_eq!(answered, status);
        fits(
            &description,
            &refusal,
            &serde_json::from_str(&text).unwrap(),
            path,
        );
    }
    updater.stop().await;
}

#[tokio::test]
async fn what_registries_have_left_is_on_the_first_page_where_they_say_it() {
    let stage = Stage::with_checkout(&[]).await;
    let asked = |pulls_left| RegistryUse {
        requests: BTreeMap::from([("tags".to_owned(), 3)]),
        pulls_left,
        ..RegistryUse::default()
    };
    let registries = [("docker.io", asked(Some(87))), ("quay.io", asked(None))];
    let registries = registries.map(|(name, used)| (name.to_owned(), used));
    let run = RunRecord {
        registries: registries.into(),
        ..RunRecord::default()
    };
    let run = serde_json::to_value(run.to_config_map(NAMESPACE)).unwrap();
    stage.cluster.apply(&[run]).await;
    let updater = stage.leader().await;
    let text = updater.says("/", "docker.io</a> 87 pulls left").await;
    assert!(text.contains(r#"href="/registries">docker.io"#), "{text}");
    assert!(!text.contains("quay.io"), "{text}");
    updater.stop().await;
}

/// Whether a value is as a schema says, as far as schemas of ours say anything.
fn fits(description: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = description.pointer(reference.trim_start_matches('#')).unwrap();
        return fits(description, schema, value, at);
    }
    if let Some(known) = schema["enum"].as_array() {
        assert!(known.contains(value), "{at}: {value}");
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = schema["type"].as_array().cloned();
    let kinds = kinds.unwrap_or_else(|| vec![schema["type"].clone()]);
    assert!(kinds.contains(&json!(kind)), "{at}: {value} is none of {kinds:?}");
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(description, &schema["items"], item, &format!("{at}[{index}]"));
    }
    let Some(object) = value.as_object() else {
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(
            object.contains_key(required.as_str().unwrap()),
            "{at} lacks {required}"
        );
    }
    for (key, value) in object {
        let at = format!("{at}.{key}");
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => panic!("{at} is not described"),
            (Value::Null, Value::Null) => {}
            (Value::Null, schema) | (schema, _) => fits(description, schema, value, &at),
        }
    }
}

#[tokio::test]
async fn updates_that_ended_are_in_the_feed_the_latest_first_and_each_once() {
    let stage = Stage::with_checkout(&[]).await;
    let ended = [
        ("kubefresh.dev/last-update", "2026-11-20T03:00:00Z"),
        ("kubefresh.dev/last-change", "app: a:1 -> a:2"),
        ("kubefresh.dev/last-result", "completed"),
    ];
    stage.deploy("mail", OLD, &ended).await;
    let updater = stage.leader().await;
    stage.update_to_1_5_0().await;
    let text = updater.says("/feed.atom", "shop/checkout: completed").await;
    let (checkout, mail) = (
        text.find("<title>shop/checkout").unwrap(),
        text.find("<title>shop/mail").unwrap(),
    );
    assert!(checkout < mail, "{text}");
    assert_eq!(text.matches("<entry>").count(), 2, "{text}");
    updater.stop().await;
}

#[tokio::test]
async fn where_people_reach_the_pages_is_where_the_feed_leads() {
    let ended = [
        ("kubefresh.dev/last-update", "2026-11-20T03:00:00Z"),
        ("kubefresh.dev/last-change", "app: a:1 -> a:2"),
        ("kubefresh.dev/last-result", "completed"),
    ];
    let stage = Stage::with_checkout(&ended).await;
    let updater = stage
        .leader_with(&["--base-url", "https://kubefresh.example"])
        .await;
    let text = updater.says("/feed.atom", "shop/checkout: completed").await;
    for address in ["/feed.atom", "/", "/workload/deployment/shop/checkout"] {
        let link = format!("href=\"https://kubefresh.example{address}\"");
        assert!(text.contains(&link), "{link}: {text}");
    }
    updater.stop().await;
}
