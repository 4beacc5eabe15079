//! What can be set about the registry client.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use shared::domain::reference::Repository;
use shared::domain::shard::Shard;

use super::limits::Limits;
use crate::credentials::Credentials;
use crate::registries::Registries;

const MIB: usize = 1024 * 1024;

/// Settings of a [`super::RegistryClient`]. The defaults suit public registries.
#[derive(Debug, Clone)]
pub struct RegistryClientOptions {
    /// Registries (`HOST` or `HOST:PORT`) that speak plain HTTP. `localhost`, `127.0.0.0/8` and `[::1]` always do, as
    /// for container runtimes.
    pub plain_http_hosts: Vec<String>,
    /// Further hosts that may hand out tokens, by registry: a self-managed GitLab serves the tokens of
    /// `registry.example.com` on `gitlab.example.com`.
    pub token_hosts: BTreeMap<String, String>,
    /// Addresses of hosts, instead of those that the system finds.
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// What a repository is asked with where its registry does not answer everybody.
    pub credentials: Credentials,
    /// What is special about some registries. Where it says something, that counts, whatever stands elsewhere here.
    pub registries: Registries,
    /// Pace and page size by registry, instead of those in the table.
    pub limits: BTreeMap<String, Limits>,
    /// Which share of the registries' limits is this client's.
    pub shard: Shard,
    /// Requests in flight to one registry.
    pub concurrency_per_registry: usize,
    /// Requests in flight to all registries.
    pub concurrency: usize,
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// Time for one request with its whole reply, redirects included.
    pub request_timeout: Duration,
    /// How often a request is repeated after a 5xx answer or a broken connection.
    pub retries: u32,
    /// Longest wait before the first repetition; it doubles for each one after. The wait is random up to that.
    pub retry_base: Duration,
    /// For how long a registry is left alone after a 429 that could have named a time and does not.
    pub default_cool_down: Duration,
    /// For how long at least after a 429 without a body, which is all that a HEAD can get; at most half as long again, so that
    /// not all who were refused come back together.
    pub wordless_cool_down: Duration,
    /// Pages of one list of tags.
    pub max_pages: usize,
    /// Bytes of one page of tags.
    pub max_page_bytes: usize,
    /// Bytes of a whole list of tags.
    pub max_list_bytes: usize,
    /// Names in a whole list of tags.
    pub max_tags: usize,
    /// How long the server of a list of tags may take for all its pages: others wait for the room that a large one takes.
    pub max_list_time: Duration,
    /// Bytes of a manifest, an index or a config.
    pub max_manifest_bytes: usize,
    /// Bytes of a token reply, and of the part of an error reply that is read.
    pub max_small_bytes: usize,
}

impl Default for RegistryClientOptions {
    fn default() -> Self {
        Self {
            plain_http_hosts: Vec::new(),
            token_hosts: BTreeMap::new(),
            addresses: BTreeMap::new(),
            credentials: Credentials::default(),
            registries: Registries::default(),
            limits: BTreeMap::new(),
            shard: Shard::default(),
            concurrency_per_registry: 4,
            concurrency: 16,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            retries: 2,
            retry_base: Duration::from_millis(500),
            default_cool_down: Duration::from_mins(15),
            // Every limit that is known to refuse a HEAD is one by the second or by the minute.
            wordless_cool_down: Duration::from_mins(1),
            max_pages: 200,
            max_page_bytes: 8 * MIB,
            max_list_bytes: 32 * MIB,
            max_tags: 250_000,
            max_list_time: Duration::from_mins(2),
            max_manifest_bytes: MIB,
            max_small_bytes: 64 * 1024,
        }
    }
}

impl RegistryClientOptions {
    /// What is known of a registry's limits before it is asked, for all who ask on our behalf together.
    pub(super) fn limits_of(&self, registry: &str) -> Limits {
        let limits = self.limits.get(registry).copied();
        let limits = limits.unwrap_or_else(|| Limits::of(registry));
        let special = self.registries.of(registry);
        special.map_or(limits, |special| special.limits(limits))
    }

    /// Whether a repository is this client's to ask about.
    pub fn takes(&self, repository: &Repository) -> bool {
        let asked_as = self.registries.asked_as(repository);
        let asked_as = asked_as.as_deref().unwrap_or(repository);
        let limits = self.limits_of(&asked_as.registry().to_ascii_lowercase());
        self.shard.takes(asked_as, limits.pulls.is_some())
    }
}
