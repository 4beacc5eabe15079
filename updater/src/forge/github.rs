//! GitHub and GitHub Enterprise: <https://docs.github.com/en/rest/releases/releases>.

use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use shared::domain::release_notes::Release;
use shared::domain::release_notes::source::Server;

use super::Kind;

pub(super) const KIND: Kind = Kind {
    releases,
    page_size: 50,
    read,
    changelog: |server, path| format!("{}/repos/{path}/contents/CHANGELOG.md", server.api()),
    headers,
    changelog_page: |server, path| format!("{}/{path}/blob/HEAD/CHANGELOG.md", server.address),
};

/// A release, as far as it matters. Gitea's are alike.
#[derive(Debug, Deserialize)]
struct Entry {
    tag_name: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    prerelease: bool,
    #[serde(default)]
    published_at: Option<String>,
}

fn releases(server: &Server, path: &str, page: usize) -> String {
    format!(
        "{}/repos/{path}/releases?per_page={}&page={page}",
        server.api(),
        KIND.page_size
    )
}

pub(super) fn read(body: &str) -> Result<Vec<Release>, serde_json::Error> {
    let entries: Vec<Entry> = serde_json::from_str(body)?;
    let releases = entries.into_iter().filter(|entry| !entry.draft);
    Ok(releases
        .map(|entry| Release {
            tag: entry.tag_name,
            title: entry.name.unwrap_or_default(),
            body: entry.body.unwrap_or_default(),
            url: None,
            published_at: entry.published_at.and_then(|at| at.parse::<Timestamp>().ok()),
            prerelease: entry.prerelease,
        })
        .collect())
}

fn headers(raw: bool) -> HeaderMap {
    let accept = if raw {
        "application/vnd.github.raw+json"
    } else {
        "application/vnd.github+json"
    };
    HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static(accept)),
        (
            HeaderName::from_static("x-github-api-version"),
            HeaderValue::from_static("2022-11-28"),
        ),
    ])
}
