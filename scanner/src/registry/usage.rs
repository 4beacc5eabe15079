//! What a run has asked of a registry.

use std::collections::BTreeMap;

/// Requests sent to one registry, by kind, repetitions included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Pages of tags.
    pub list: u64,
    /// Digests by HEAD.
    pub head: u64,
    /// Manifests and indexes by GET, which Docker Hub counts as pulls.
    pub manifest: u64,
    /// Config blobs.
    pub config: u64,
    /// Tokens.
    pub token: u64,
    /// Requests for the challenge alone, where a repository has credentials and nobody was asked for one.
    pub ping: u64,
    /// Repetitions after a 5xx answer or a broken connection; contained in the numbers above.
    pub retries: u64,
    /// Names in lists that cannot be tags.
    pub invalid_tags: u64,
    /// What the registry last said about its pull limit.
    pub pull_limit: Option<ReportedPulls>,
}

impl Usage {
    /// Requests by what they are for, without those that were not sent.
    pub fn by_kind(&self) -> BTreeMap<String, u64> {
        let kinds = [
            ("list", self.list),
            ("head", self.head),
            ("manifest", self.manifest),
            ("config", self.config),
            ("token", self.token),
            ("ping", self.ping),
        ];
        let sent = kinds.into_iter().filter(|(_, requests)| *requests > 0);
        sent.map(|(kind, requests)| (kind.to_owned(), requests)).collect()
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.by_kind().values().sum()
    }
}

/// `ratelimit-limit` and `ratelimit-remaining`, as Docker Hub sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedPulls {
    /// Pulls in a window.
    pub limit: u32,
    /// Pulls left.
    pub remaining: u32,
    /// Length of the window in seconds.
    pub window_seconds: u32,
}

/// The longest window that is believed, in seconds: a week. What is spent in it is remembered as long.
const LONGEST_WINDOW: u32 = 7 * 24 * 3600;

impl ReportedPulls {
    /// Reads `100;w=21600` and `20;w=21600`.
    pub(super) fn parse(limit: &str, remaining: &str) -> Option<Self> {
        let (limit, window_seconds) = limit.split_once(";w=")?;
        let remaining = remaining.split(';').next()?;
        let window_seconds = window_seconds.trim().parse().ok()?;
        (window_seconds <= LONGEST_WINDOW).then_some(Self {
            limit: limit.trim().parse().ok()?,
            remaining: remaining.trim().parse().ok()?,
            window_seconds,
        })
    }
}

/// What a manifest is fetched for, which is counted as a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Updates are decided by it.
    Decision,
    /// People want to know: not worth the last of what a registry grants.
    Description,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    List,
    Head,
    Manifest(Purpose),
    Config,
    Token,
    Ping,
}

impl Usage {
    pub(super) fn count(&mut self, kind: RequestKind) {
        let counter = match kind {
            RequestKind::List => &mut self.list,
            RequestKind::Head => &mut self.head,
            RequestKind::Manifest(_) => &mut self.manifest,
            RequestKind::Config => &mut self.config,
            RequestKind::Token => &mut self.token,
            RequestKind::Ping => &mut self.ping,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hubs_headers_are_read_and_others_ignored() {
        let expected = ReportedPulls {
            limit: 100,
            remaining: 20,
            window_seconds: 21_600,
        };
        assert_eq!(ReportedPulls::parse("100;w=21600", "20;w=21600"), Some(expected));
        assert_eq!(ReportedPulls::parse("100", "20"), None);
        assert_eq!(ReportedPulls::parse("many;w=1", "few;w=1"), None);
        assert_eq!(ReportedPulls::parse("100;w=4294967295", "20;w=4294967295"), None);
    }
}
