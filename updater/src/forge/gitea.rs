//! Gitea and Forgejo, such as codeberg.org. Their releases look like GitHub's; how many a page has is for the server to say.

use reqwest::header::HeaderMap;

use super::{Kind, github};

pub(super) const KIND: Kind = Kind {
    releases: |server, path, page| {
        format!(
            "{}/repos/{path}/releases?draft=false&limit=50&page={page}",
            server.api()
        )
    },
    page_size: 1,
    read: github::read,
    changelog: |server, path| format!("{}/repos/{path}/raw/CHANGELOG.md", server.api()),
    headers: |_| HeaderMap::new(),
    changelog_page: |server, path| format!("{}/{path}/src/CHANGELOG.md", server.address),
};
