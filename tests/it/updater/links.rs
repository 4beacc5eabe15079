//! The link of a message: whoever has it decides by it, once, for as long as it is good, and nobody does by looking.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{StreamExt as _, stream};
use reqwest::Method;
use reqwest::header::USER_AGENT;
use shared::domain::signed::SigningKey;

use super::approving::*;
use super::*;
use crate::shop::SIGNING_KEY;

#[tokio::test]
async fn who_has_the_link_reads_what_it_is_for_and_deploys_it_once() {
    let scene = Scene::set(&[]).await;
    let link = scene.link().await;
    let (status, page) = scene.updater.page(&link).await;
    assert_eq!(status, 200);
    for words in [
        "shop/checkout to 1.5.0?",
        "checkout:1.4.0",
        "Deploy",
        "Skip this version",
        "Not now",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let token = token_of(&link);
    let (status, page) = scene.answer(&token, "approve").await;
    assert!(status == 200 && page.contains("Approved"), "{page}");
    assert!(page.contains("Follow it on the page of the workload"), "{page}");
    scene.stage.image_becomes("checkout", NEW).await;
    let by = scene.stage.annotation("checkout", "approved-by").await.unwrap();
    assert!(by.contains("whoever has the link") && by.contains(NEW), "{by}");
    let events = scene.stage.events("checkout").await;
    let told = events
        .iter()
        .find(|event| event.reason.as_deref() == Some("UpdateApproved"));
    let note = told.and_then(|event| event.note.clone()).unwrap();
    assert!(
        note.starts_with("by whoever has the link: container app: ") && note.ends_with(" is approved"),
        "{note}"
    );

    let before = scene.stage.patches("checkout").len();
    let (status, page) = scene.answer(&token, "approve").await;
    assert!(
        status == 409 && page.contains("This link was used before"),
        "{status} {page}"
    );
    let (status, page) = scene.updater.page(&link).await;
    assert!(
        status == 409 && page.contains("by whoever has the link: container app"),
        "{status} {page}"
    );
    assert_eq!(scene.stage.patches("checkout").len(), before);
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_version_that_is_skipped_by_a_link_is_held_and_the_link_is_good_for_nothing_more() {
    let scene = Scene::set(&[]).await;
    let (token, other) = (scene.token().await, token_of(&scene.link_good_for("71h").await));
    let (status, page) = scene.answer(&token, "hold").await;
    assert!(status == 200 && page.contains("Skipped"), "{page}");
    scene.stage.is_held("1.5.0").await;
    let kept = scene.stage.annotation("checkout", "decided-by").await.unwrap();
    assert!(
        kept.contains(r#""decision":"hold""#) && kept.contains("1.5.0 is skipped"),
        "{kept}"
    );
    for decision in ["approve", "hold", "not-now"] {
        let (status, page) = scene.answer(&token, decision).await;
        assert!(status == 409 && page.contains("used before"), "{status} {page}");
    }
    assert_eq!(
        scene.answer(&other, "approve").await.0,
        410,
        "it is no longer offered"
    );
    assert_eq!(scene.approved().await, None);
    scene.updater.stop().await;
}

#[tokio::test]
async fn not_now_is_written_down_and_uses_the_link_up_and_no_other() {
    let scene = Scene::set(&[]).await;
    let (link, other) = (scene.link().await, scene.link_good_for("71h").await);
    let (status, page) = scene.answer(&token_of(&link), "not-now").await;
    assert!(status == 200 && page.contains("this link is used up"), "{page}");
    let kept = scene.stage.annotation("checkout", "decided-by").await.unwrap();
    assert!(
        kept.contains(r#""decision":"not-now""#) && kept.contains(r#""knownBy":"link""#),
        "{kept}"
    );
    scene
        .is_told("UpdatePostponed", "by whoever has the link: container app: ")
        .await;
    let (status, page) = scene.answer(&token_of(&link), "approve").await;
    assert!(status == 409 && page.contains("used before"), "{status} {page}");
    assert_eq!(scene.updater.page(&link).await.0, 409);
    assert_eq!(scene.approved().await, None);
    assert_eq!(scene.answer(&token_of(&other), "approve").await.0, 200);
    scene.stage.image_becomes("checkout", NEW).await;
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_replica_that_follows_takes_an_approval_and_the_one_that_leads_acts_on_it() {
    let scene = Scene::set(&[]).await;
    let token = scene.token().await;
    let client = client(&scene.stage.cluster.api.kubeconfig_for(NAMESPACE, SECOND)).await;
    let options = scene.secrets.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let follower = Updater::start_with(client, SECOND, LEASE, &options).await;
    follower.is_ready().await;
    let scene = Scene {
        updater: follower,
        ..scene
    };
    let (status, page) = scene.answer(&token, "approve").await;
    assert_eq!(status, 200, "{page}");
    scene.stage.image_becomes("checkout", NEW).await;
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_thousand_previews_of_a_link_change_nothing() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let link = scene.link().await;
    let upgrade = link.replace("/approve?", "/api/upgrade/shop/checkout?");
    let previewed = [upgrade.as_str(), &link, "/", &link, CHECKOUT, &link];
    let bots = [
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "TelegramBot (like TwitterBot)",
        "facebookexternalhit/1.1",
        "SkypeUriPreview Preview/0.5",
    ];
    let before = scene.writes().len();
    let client = reqwest::Client::new();
    stream::iter(0..1000)
        .for_each_concurrent(8, |number| {
            let (client, path) = (&client, previewed[number / 2 % previewed.len()]);
            let method = if number % 2 == 0 {
                Method::GET
            } else {
                Method::HEAD
            };
            let address = format!("http://{}{path}", scene.updater.address);
            async move {
                let request = client
                    .request(method, address)
                    .header(USER_AGENT, bots[number % bots.len()])
                    .header("x-forwarded-for", format!("203.0.113.{}", number % 50));
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
        })
        .await;
    assert_eq!(scene.writes().len(), before, "{:?}", scene.writes());
    assert_eq!(scene.approved().await, None);
    assert_eq!(scene.stage.image("checkout").await, OLD);
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_link_that_is_forged_or_expired_or_for_something_else_says_so_and_changes_nothing() {
    let scene = Scene::set(&[]).await;
    let token = scene.token().await;
    let key = SigningKey::new(SIGNING_KEY.as_bytes()).unwrap();
    let words = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let genuine: Value = serde_json::from_slice(&words).unwrap();
    let changed = |field: &str, value: Value| {
        let mut link = genuine.clone();
        link[field] = value;
        key.sign("approval link", &link.to_string())
    };
    let mut elsewhere = genuine["workload"].clone();
    elsewhere["name"] = json!("web");
    let other_key = SigningKey::new(&[66; 40]).unwrap();
    let cases = [
        (String::new(), 403, "no link of ours"),
        (format!("{token}x"), 403, "no link of ours"),
        (
            other_key.sign("approval link", &genuine.to_string()),
            403,
            "no link of ours",
        ),
        (key.sign("session", &genuine.to_string()), 403, "no link of ours"),
        (
            changed("expires", json!("2026-01-01T00:00:00Z")),
            410,
            "has expired",
        ),
        (changed("offer", json!("another")), 410, "no longer offered"),
        (changed("container", json!("side")), 410, "no longer offered"),
        (changed("workload", elsewhere), 404, "is watched"),
    ];
    let before = scene.writes().len();
    for (token, expected, words) in cases {
        let shown = scene.updater.page(&format!("/approve?token={token}")).await;
        let answered = scene.answer(&token, "approve").await;
        for (status, page) in [shown, answered] {
            assert!(
                status == expected && page.contains(words),
                "{words}: {status} {page}"
            );
        }
    }
    for path in [
        format!("/api/upgrade/shop/web?token={token}"),
        format!("/api/upgrade/shop/checkout?token={token}&version=1.6.0"),
    ] {
        assert!(scene.updater.page(&path).await.0 >= 400, "{path}");
    }
    for version in ["1.5.0", "v1.5.0"] {
        let path = format!("/api/upgrade/shop/checkout?token={token}&version={version}");
        assert_eq!(scene.updater.page(&path).await.0, 200, "{version}");
    }
    let foreign = [("origin", "https://evil.example")];
    let response = scene
        .send(
            "/approve",
            &[("token", &token), ("decision", "approve")],
            &foreign,
        )
        .await;
    assert_eq!(response.status(), 403);
    assert_eq!(scene.writes().len(), before);
    scene.updater.stop().await;
}
