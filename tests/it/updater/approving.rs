//! People agree to an update on a page: by a link, or signed in. The real answers of the updater over HTTP, under its own rights.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::{StreamExt as _, stream};
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE, USER_AGENT};
use reqwest::{Method, Response, redirect};
use shared::domain::signed::SigningKey;

use sandbox::apiserver::faults::{Fault, FaultRule};

use super::commands::run;
use super::*;
use crate::output::stdout;
use crate::shop::SIGNING_KEY;

pub(super) const TOKEN: &str = "the token of the tests";
pub(super) const CHECKOUT: &str = "/workload/deployment/shop/checkout";

/// Fields of a form, or headers.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// The files that a mounted Secret would be.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), SIGNING_KEY).unwrap();
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    fn options(&self) -> Vec<String> {
        let (key, token) = (self.path("key"), self.path("token"));
        ["--signing-key-file", &key, "--page-token-file", &token]
            .map(str::to_owned)
            .to_vec()
    }
}

/// A workload that waits, and an updater that shows it.
pub(super) struct Scene {
    pub(super) stage: Stage,
    secrets: Secrets,
    pub(super) updater: Updater,
}

impl Scene {
    pub(super) async fn set(more: &[&str]) -> Self {
        Self::set_with(&[("kubefresh.dev/mode", "approve")], more).await
    }

    pub(super) async fn set_with(annotations: &[(&str, &str)], more: &[&str]) -> Self {
        let stage = Stage::with_checkout(annotations).await;
        stage.offer_1_5_0().await;
        let secrets = Secrets::new();
        let options = secrets.options();
        let options: Vec<&str> = options
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        let updater = stage.leader_with(&options).await;
        let scene = Self {
            stage,
            secrets,
            updater,
        };
        eventually("it waits for approval", LIMIT, || async {
            scene.text("/").await.contains("1 waiting").then_some(())
        })
        .await;
        scene
    }

    pub(super) async fn text(&self, path: &str) -> String {
        self.updater.page(path).await.1
    }

    /// The same, for somebody with these headers.
    pub(super) async fn text_for(&self, path: &str, headers: &[(&'static str, &str)]) -> String {
        let mut request = reqwest::Client::new().get(format!("http://{}{path}", self.updater.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().text().await.unwrap()
    }

    /// The link that the command prints, without its host.
    pub(super) async fn link(&self) -> String {
        self.link_good_for("72h").await
    }

    pub(super) async fn link_good_for(&self, expiry: &str) -> String {
        self.link_with(expiry, &[]).await
    }

    /// With more options.
    pub(super) async fn link_with(&self, expiry: &str, more: &[&str]) -> String {
        let key = self.secrets.path("key");
        let base = [
            "--base-url",
            "https://kubefresh.example",
            "--signing-key-file",
            &key,
            "--approval-expiry",
            expiry,
        ];
        let words = [&["link", "shop/checkout"][..], &base, more].concat();
        let output = run(&self.stage, &words).await;
        let printed = stdout(&output);
        let link = printed.trim().strip_prefix("https://kubefresh.example").unwrap();
        link.to_owned()
    }

    pub(super) async fn token(&self) -> String {
        token_of(&self.link().await)
    }

    pub(super) async fn send(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&'static str, &str)],
    ) -> Response {
        let client = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .build()
            .unwrap();
        let body: Vec<String> = fields
            .iter()
            .map(|(key, value)| {
                let value = reqwest::Url::parse_with_params("http://a", [("v", value)]).unwrap();
                format!("{key}={}", value.query().unwrap().strip_prefix("v=").unwrap())
            })
            .collect();
        let mut request = client
            .post(format!("http://{}{path}", self.updater.address))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    pub(super) async fn answer(&self, token: &str, decision: &str) -> (u16, String) {
        let fields = [("token", token), ("decision", decision)];
        let response = self.send("/approve", &fields, &[]).await;
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The cookie of somebody who signed in.
    pub(super) async fn sign_in(&self, name: &str) -> String {
        let response = self
            .send("/sign-in", &[("name", name), ("token", TOKEN)], &[])
            .await;
        assert_eq!(response.status(), 303);
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }

    /// Waits for the Event that says who decided.
    pub(super) async fn is_told(&self, reason: &str, words: &str) {
        eventually(&format!("{reason}: {words}"), LIMIT, || async {
            let events = self.stage.events("checkout").await;
            let mut told = events
                .iter()
                .filter(|event| event.reason.as_deref() == Some(reason));
            told.any(|event| event.note.as_ref().is_some_and(|note| note.contains(words)))
                .then_some(())
        })
        .await;
    }

    /// What the form that undoes says of the last update, once the page shows that.
    pub(super) async fn last_update(&self, headers: &[(&'static str, &str)]) -> String {
        eventually("the page offers to undo", LIMIT, || async {
            let text = self.text_for(CHECKOUT, headers).await;
            let (form, _) = text.split_once("value=\"undo\"")?;
            let (_, value) = form.rsplit_once("name=\"offer\" value=\"")?;
            Some(value.split('"').next()?.to_owned())
        })
        .await
    }

    /// What a hidden field of the page of the workload says to somebody with these headers.
    pub(super) async fn field(&self, name: &str, headers: &[(&'static str, &str)]) -> Option<String> {
        let text = self.text_for(CHECKOUT, headers).await;
        let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split('"').next()?.to_owned())
    }

    fn writes(&self) -> Vec<RequestRecord> {
        let mut writes = self.stage.writes_by(UPDATER);
        writes.retain(|request| request.resource != "leases");
        writes
    }

    pub(super) async fn approved(&self) -> Option<String> {
        self.stage.annotation("checkout", "approved").await
    }
}

pub(super) fn token_of(link: &str) -> String {
    link.strip_prefix("/approve?token=").unwrap().to_owned()
}

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
async fn what_was_decided_is_told_also_when_whoever_decided_hangs_up() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let carol = [("x-forwarded-user", "carol")];
    let (form, offer) = (
        scene.field("form", &carol).await.unwrap(),
        scene.field("offer", &carol).await.unwrap(),
    );
    let slow = FaultRule::new(Fault::DelayAnswer(Duration::from_secs(2)));
    let slow = slow.user(UPDATER).verb("patch").resource("deployments").times(1);
    scene.stage.cluster.api.faults().install(slow);
    let fields = [
        ("form", form.as_str()),
        ("offer", &offer),
        ("container", "app"),
        ("decision", "not-now"),
    ];
    let send = scene.send(CHECKOUT, &fields, &carol);
    let written = eventually("it is written", LIMIT, || async {
        scene.stage.annotation("checkout", "decided-by").await
    });
    tokio::select! {
        _ = send => panic!("the answer was to be held back"),
        kept = written => assert!(kept.contains(r#""by":"carol","container":"app","decision":"not-now","knownBy":"proxy""#), "{kept}"),
    }
    scene
        .is_told("UpdatePostponed", "by carol (named by the proxy)")
        .await;
    scene.updater.stop().await;
}

#[tokio::test]
async fn only_the_update_that_was_shown_is_undone_and_who_asked_is_kept() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let carol = [("x-forwarded-user", "carol")];
    scene
        .stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    scene.stage.update_to_1_5_0().await;
    let form = scene.field("form", &carol).await.unwrap();
    let shown = scene.last_update(&carol).await;
    let undo = |shown| [("form", form.as_str()), ("offer", shown), ("decision", "undo")];
    let before = scene.stage.patches("checkout").len();
    for wrong in ["", "another"] {
        let status = scene.send(CHECKOUT, &undo(wrong), &carol).await.status();
        assert!([400, 409].contains(&status.as_u16()), "{wrong:?}: {status}");
    }
    assert_eq!(scene.stage.patches("checkout").len(), before);
    assert_eq!(scene.send(CHECKOUT, &undo(&shown), &carol).await.status(), 303);
    scene.stage.image_becomes("checkout", OLD).await;
    let kept = scene.stage.annotation("checkout", "decided-by").await.unwrap();
    assert!(kept.contains(r#""by":"carol","decision":"undo""#), "{kept}");
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

#[tokio::test]
async fn who_is_signed_in_decides_under_their_own_name_and_only_by_a_form_of_ours() {
    let scene = Scene::set(&[]).await;
    assert_eq!(scene.field("form", &[]).await, None, "nobody is signed in");
    let wrong = scene
        .send("/sign-in", &[("name", "alice"), ("token", "guess")], &[])
        .await;
    assert_eq!(wrong.status(), 403);
    let alice = scene.sign_in("alice").await;
    let cookie = [(COOKIE.as_str(), alice.as_str())];
    let form = scene.field("form", &cookie).await.unwrap();
    let offer = scene.field("offer", &cookie).await.unwrap();
    let fields = |form, offer| {
        [
            ("form", form),
            ("offer", offer),
            ("container", "app"),
            ("decision", "approve"),
        ]
    };
    let bob = scene.sign_in("bob").await;
    let of_bob = scene
        .field("form", &[(COOKIE.as_str(), bob.as_str())])
        .await
        .unwrap();
    let forged = format!("{alice}x");
    let before = scene.writes().len();
    let evil = (ORIGIN.as_str(), "https://evil.example");
    let (good, stale) = (fields(&form, &offer), fields(&form, "other"));
    let (none, bobs) = (fields("", &offer), fields(&of_bob, &offer));
    let tries: [(Pairs<'_>, Pairs<'_>, u16); 7] = [
        (&good, &[], 403),
        (&good, &[(COOKIE.as_str(), &forged)], 403),
        (&none, &cookie, 403),
        (&bobs, &cookie, 403),
        (&good, &[cookie[0], evil], 403),
        (&good, &[cookie[0], ("sec-fetch-site", "cross-site")], 403),
        (&stale, &cookie, 409),
    ];
    for (fields, headers, expected) in tries {
        let headers: Vec<(&'static str, &str)> = headers
            .iter()
            .map(|(name, value)| (leaked(name), *value))
            .collect();
        assert_eq!(scene.send(CHECKOUT, fields, &headers).await.status(), expected);
    }
    assert_eq!(scene.writes().len(), before);
    let done = scene.send(CHECKOUT, &good, &cookie).await;
    assert_eq!(done.status(), 303);
    assert!(
        done.headers()[LOCATION]
            .to_str()
            .unwrap()
            .ends_with("?done=approve")
    );
    scene.stage.image_becomes("checkout", NEW).await;
    let by = scene.stage.annotation("checkout", "approved-by").await.unwrap();
    assert!(by.contains(r#""by":"alice""#), "{by}");
    scene.updater.stop().await;
}

/// A header's name for as long as the test lives.
fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

#[tokio::test]
async fn a_proxy_names_people_only_where_it_is_trusted() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let named = [("x-forwarded-user", "carol")];
    let form = scene.field("form", &named).await.unwrap();
    let fields = [("form", form.as_str()), ("decision", "check-now")];
    assert_eq!(scene.send(CHECKOUT, &fields, &named).await.status(), 303);
    let twice = [("x-forwarded-user", "carol"), ("x-forwarded-user", "mallory")];
    assert_eq!(scene.send(CHECKOUT, &fields, &twice).await.status(), 403);
    scene.updater.stop().await;

    let scene = Scene::set(&[]).await;
    assert_eq!(scene.field("form", &named).await, None);
    assert_eq!(scene.send(CHECKOUT, &fields, &named).await.status(), 403);
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_session_is_kept_from_connections_that_anybody_may_read_where_people_come_by_https() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let fields = [("name", "alice"), ("token", TOKEN)];
    for (proto, secure) in [("https", true), ("http", false)] {
        let response = scene
            .send("/sign-in", &fields, &[("x-forwarded-proto", proto)])
            .await;
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("; Secure"), secure, "{proto}: {cookie}");
    }
    scene.updater.stop().await;
}
