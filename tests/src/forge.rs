//! Forges over real HTTP: releases by pages, a changelog, conditional requests and limits, as GitHub Enterprise, GitLab and Gitea
//! answer them, each under its own path. Every request is written down.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::{self, Known, Server};

/// A repository.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// Tags and texts, newest first.
    pub releases: Vec<(String, String)>,
    pub changelog: Option<String>,
}

impl Repository {
    /// With these releases.
    pub fn with(releases: &[(&str, &str)]) -> Self {
        let owned = releases
            .iter()
            .map(|(tag, body)| ((*tag).to_owned(), (*body).to_owned()));
        Self {
            releases: owned.collect(),
            changelog: None,
        }
    }
}

/// What it does instead of answering.
#[derive(Debug, Clone, Default)]
pub enum Mood {
    #[default]
    Answers,
    /// This status, with these headers and this body.
    Says(u16, Vec<(&'static str, String)>, String),
    Hangs,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// With the query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Of the answer.
    pub status: u16,
}

/// A running forge. Dropping it closes the port.
#[derive(Debug)]
pub struct Forge(Server<Inner>);

#[derive(Debug, Default)]
struct Inner {
    repositories: BTreeMap<String, Repository>,
    mood: Mood,
    /// Requests that are left, and when there are more, in seconds since 1970.
    allowance: Option<(u32, i64)>,
    asked: Vec<Asked>,
}

impl Forge {
    /// Starts one that has nothing.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> Self {
        Self(Server::start("forge", Inner::default(), answer).await)
    }

    /// As a setting names its repositories: `127.0.0.1:1234`.
    pub fn host(&self) -> String {
        self.0.address.to_string()
    }

    /// As FORGES names it.
    pub fn named(&self, kind: &str) -> String {
        format!("{kind}:http://{}", self.0.address)
    }

    /// Has this repository from now on.
    pub fn has(&self, path: &str, repository: Repository) {
        self.0.lock().repositories.insert(path.to_owned(), repository);
    }

    pub fn becomes(&self, mood: Mood) {
        self.0.lock().mood = mood;
    }

    /// So many requests are allowed until then, in seconds since 1970.
    pub fn allows(&self, requests: u32, until: i64) {
        self.0.lock().allowance = Some((requests, until));
    }

    /// Everything that was asked, in its order.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.lock().asked.clone()
    }
}

async fn answer(State(known): State<Known<Inner>>, target: Uri, headers: HeaderMap) -> Response {
    let mut asked = Asked {
        target: target.to_string(),
        headers: server::written(&headers),
        status: 0,
    };
    let response = {
        let mut inner = known.lock().unwrap();
        let response = inner.answer(&target, &asked.headers);
        asked.status = response.as_ref().map_or(0, |response| response.status().as_u16());
        inner.asked.push(asked);
        response
    };
    match response {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

impl Inner {
    /// Nothing where it hangs.
    fn answer(&mut self, target: &Uri, headers: &BTreeMap<String, String>) -> Option<Response> {
        match &self.mood {
            Mood::Answers => {}
            Mood::Hangs => return None,
            Mood::Says(status, headers, body) => return Some(server::answer(*status, headers, body.clone())),
        }
        let mut limits = Vec::new();
        if let Some((left, until)) = &mut self.allowance {
            if *left == 0 {
                let headers = vec![
                    ("x-ratelimit-remaining", "0".to_owned()),
                    ("x-ratelimit-reset", until.to_string()),
                ];
                return Some(server::answer(
                    403,
                    &headers,
                    json!({ "message": "API rate limit exceeded" }).to_string(),
                ));
            }
            *left -= 1;
            limits = vec![
                ("x-ratelimit-remaining", left.to_string()),
                ("x-ratelimit-reset", until.to_string()),
            ];
        }
        let path = target.path();
        let found = self.repositories.iter().find_map(|(name, repository)| {
            let escaped = name.replace('/', "%2F");
            let github = path
                .strip_prefix("/api/v3/repos/")
                .or_else(|| path.strip_prefix("/api/v1/repos/"));
            let rest = github.and_then(|rest| rest.strip_prefix(name.as_str()));
            let gitlab = || {
                path.strip_prefix("/api/v4/projects/")?
                    .strip_prefix(escaped.as_str())
            };
            Some((repository.clone(), rest.or_else(gitlab)?.to_owned()))
        });
        let Some((repository, rest)) = found else {
            return Some(server::answer(
                404,
                &limits,
                json!({ "message": "Not Found" }).to_string(),
            ));
        };
        Some(match rest.as_str() {
            "/releases" => listed(
                &repository,
                target,
                headers,
                &mut limits,
                path.starts_with("/api/v4"),
            ),
            "/contents/CHANGELOG.md" | "/raw/CHANGELOG.md" | "/repository/files/CHANGELOG.md/raw" => {
                match repository.changelog {
                    Some(changelog) => server::answer(200, &limits, changelog),
                    None => server::answer(404, &limits, String::new()),
                }
            }
            _ => server::answer(404, &limits, String::new()),
        })
    }
}

fn listed(
    repository: &Repository,
    target: &Uri,
    headers: &BTreeMap<String, String>,
    limits: &mut Vec<(&'static str, String)>,
    as_gitlab: bool,
) -> Response {
    let query = |name: &str, default: usize| {
        let pairs = target.query().unwrap_or_default().split('&');
        let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values
            .next()
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    };
    let size = query("per_page", query("limit", 30)).min(100);
    let skipped = (query("page", 1) - 1) * size;
    let page: Vec<Value> = repository.releases.iter().skip(skipped).take(size).map(|(tag, body)| {
        if as_gitlab {
            json!({ "tag_name": tag, "name": tag, "description": body, "released_at": "2026-11-01T00:00:00.000Z" })
        } else {
            json!({ "tag_name": tag, "name": null, "body": body, "draft": false, "prerelease": false, "published_at": "2026-11-01T00:00:00Z" })
        }
    }).collect();
    let body = json!(page).to_string();
    let hash = Sha256::digest(body.as_bytes());
    let etag = format!("W/\"{:x}{:x}{:x}\"", hash[0], hash[1], hash[2]);
    if headers.get("if-none-match") == Some(&etag) {
        return server::answer(304, limits, String::new());
    }
    limits.push(("etag", etag));
    if skipped + size < repository.releases.len() {
        limits.push((
            "link",
            "<http://elsewhere.example/?page=2>; rel=\"next\"".to_owned(),
        ));
    }
    server::answer(200, limits, body)
}
