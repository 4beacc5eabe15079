//! GitLab: <https://docs.gitlab.com/api/releases/>. A project is named by its path as one part of the address.

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use shared::domain::release_notes::Release;
use shared::domain::release_notes::source::{Server, encoded};

use super::Kind;

pub(super) const KIND: Kind = Kind {
    releases,
    page_size: 50,
    read,
    changelog: |server, path| {
        format!(
            "{}/projects/{}/repository/files/CHANGELOG.md/raw?ref=HEAD",
            server.api(),
            encoded(path)
        )
    },
    headers: |_| HeaderMap::new(),
    changelog_page: |server, path| format!("{}/{path}/-/blob/HEAD/CHANGELOG.md", server.address),
};

/// A release, as far as it matters.
#[derive(Debug, Deserialize)]
struct Published {
    tag_name: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    /// Its day is still to come.
    #[serde(default)]
    upcoming_release: bool,
    #[serde(default)]
    released_at: Option<String>,
}

fn releases(server: &Server, path: &str, page: usize) -> String {
    format!(
        "{}/projects/{}/releases?per_page={}&page={page}",
        server.api(),
        encoded(path),
        KIND.page_size
    )
}

fn read(body: &str) -> Result<Vec<Release>, serde_json::Error> {
    let published: Vec<Published> = serde_json::from_str(body)?;
    let releases = published.into_iter().map(|published| Release {
        tag: published.tag_name,
        title: published.name.unwrap_or_default(),
        body: published.description.unwrap_or_default(),
        url: None,
        published_at: published.released_at.and_then(|at| at.parse::<Timestamp>().ok()),
        prerelease: published.upcoming_release,
    });
    Ok(releases.collect())
}
