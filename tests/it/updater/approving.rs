//! An update that waits for people, who decide on a page: by a link, or signed in. The real answers of the updater over HTTP, under
//! its own rights.

use std::path::PathBuf;

use reqwest::header::SET_COOKIE;
use reqwest::{Response, redirect};

use super::commands::run;
use super::*;
use crate::output::stdout;
use crate::shop::SIGNING_KEY;

pub(super) const TOKEN: &str = "the token of the tests";
pub(super) const CHECKOUT: &str = "/workload/deployment/shop/checkout";

/// The files that a mounted Secret would be.
pub(super) struct Secrets(tempfile::TempDir);

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

    pub(super) fn options(&self) -> Vec<String> {
        let (key, token) = (self.path("key"), self.path("token"));
        ["--signing-key-file", &key, "--page-token-file", &token]
            .map(str::to_owned)
            .to_vec()
    }
}

/// A workload that waits, and an updater that shows it.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) secrets: Secrets,
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

    pub(super) fn writes(&self) -> Vec<RequestRecord> {
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
