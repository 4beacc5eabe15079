//! The lasting properties of an embedded registry: how it pages, sorts, authenticates and counts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::jwt::TokenSigner;

/// What kind of registry to be.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Address to listen on; port 0 takes any free port.
    pub bind: SocketAddr,
    /// How `tags/list` is cut into pages.
    pub paging: Paging,
    /// In which order `tags/list` answers.
    pub tag_order: TagOrder,
    /// Who may do what.
    pub auth: Auth,
    /// Docker Hub's pull counting, when set.
    pub rate_limit: Option<RateLimit>,
    /// Whether manifests carry an `ETag` and answer `If-None-Match` with 304.
    pub etag: bool,
    /// Whether `tags/list` also says which tags each digest has, as Artifact Registry does.
    pub digest_map: bool,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            paging: Paging::default(),
            tag_order: TagOrder::default(),
            auth: Auth::default(),
            rate_limit: None,
            etag: true,
            digest_map: false,
        }
    }
}

/// How `tags/list` is cut into pages.
#[derive(Debug, Clone, Default)]
pub struct Paging {
    /// How the next page is announced.
    pub style: PageStyle,
    /// Page size when the client names none; `None` answers with everything.
    pub default_size: Option<usize>,
    /// Largest page size granted.
    pub max_size: Option<usize>,
    /// What happens when `n` is larger than `max_size`.
    pub oversized: OversizedPage,
}

/// How the next page of tags is announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PageStyle {
    /// `n` and `last` are ignored and everything is on one page, as in distribution 2.8.
    None,
    /// `Link: </v2/…?last=…&n=…>; rel="next"`, as in distribution 3 and zot.
    #[default]
    Relative,
    /// The same with scheme and host, as Quay answers.
    Absolute,
    /// Absolute, without angle brackets and without quotes.
    Bare,
    /// `?next_page=…`, a cursor that only the registry understands, as in ECR.
    Cursor,
    /// Every page announces itself as the next.
    Looping,
    /// The next page is on another host, for example `http://other.example`.
    CrossHost(String),
}

/// What a registry does with an `n` above its maximum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OversizedPage {
    /// Answer with its own maximum.
    #[default]
    Clamp,
    /// Refuse with this status (400 in distribution 3.1.0, 405 in ECR).
    Refuse(u16),
}

/// In which order `tags/list` answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TagOrder {
    /// Bytewise ascending.
    #[default]
    Sorted,
    /// Oldest first, as GHCR answers.
    Insertion,
    /// Neither sorted nor by age, as distribution 2.8 on a file system; stable between requests.
    Shuffled,
}

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub enum Auth {
    /// Anyone may read and write.
    #[default]
    None,
    /// Every request needs one of these users.
    Basic(Vec<User>),
    /// A token from this registry's `/token` is needed.
    Bearer(BearerAuth),
}

/// A user and what it may touch.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub password: String,
    /// Repositories whose name starts with one of these; empty means all.
    pub prefixes: Vec<String>,
    /// A refresh token that stands for the user at the token service.
    pub identity_token: Option<String>,
}

impl User {
    /// A user who may touch every repository.
    pub fn new(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: password.to_owned(),
            prefixes: Vec::new(),
            identity_token: None,
        }
    }

    /// Lets the user in by this refresh token as well, at a token service.
    #[must_use]
    pub fn identity_token(mut self, token: &str) -> Self {
        self.identity_token = Some(token.to_owned());
        self
    }

    /// Confines the user to repositories whose name starts with `prefix` (or with an earlier one).
    #[must_use]
    pub fn only(mut self, prefix: &str) -> Self {
        self.prefixes.push(prefix.to_owned());
        self
    }

    pub(super) fn may_touch(&self, repository: &str) -> bool {
        self.prefixes.is_empty()
            || self
                .prefixes
                .iter()
                .any(|prefix| repository.starts_with(prefix.as_str()))
    }
}

/// Who is given a token that is for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EmptyTokens {
    /// Who asks for nothing, and who is granted none of what he asks for.
    #[default]
    Everybody,
    /// Who asks for nothing; who is granted nothing gets a 403.
    WhoAsksForNothing,
    /// Nobody: who asks for nothing gets a 400.
    Nobody,
}

/// The token protocol of the distribution project.
#[derive(Debug, Clone)]
pub struct BearerAuth {
    /// Value of `service` in the challenge.
    pub service: String,
    /// Realm to announce instead of this registry's own `/token`.
    pub realm: Option<String>,
    /// Whether a token for pulling is given to clients without credentials.
    pub anonymous_pull: bool,
    /// Repositories whose name starts with one of these are for users all the same.
    pub private: Vec<String>,
    /// Who is given a token that is for nothing.
    pub empty_tokens: EmptyTokens,
    /// Users who may pull and push.
    pub users: Vec<User>,
    /// How long a token is valid.
    pub lifetime: Duration,
    /// Whether the reply says so in `expires_in`.
    pub tell_lifetime: bool,
    /// Under which name the reply holds the token.
    pub field: TokenField,
    /// Who signs the tokens, where another registry is to believe them; this one believes only its own otherwise.
    pub signer: Option<Arc<TokenSigner>>,
}

impl BearerAuth {
    pub(super) fn is_public(&self, repository: &str) -> bool {
        let is_private = self
            .private
            .iter()
            .any(|prefix| repository.starts_with(prefix.as_str()));
        self.anonymous_pull && !is_private
    }
}

impl Default for BearerAuth {
    fn default() -> Self {
        Self {
            service: "registry.example".to_owned(),
            realm: None,
            anonymous_pull: true,
            private: Vec::new(),
            empty_tokens: EmptyTokens::default(),
            users: Vec::new(),
            lifetime: Duration::from_mins(5),
            tell_lifetime: true,
            field: TokenField::Token,
            signer: None,
        }
    }
}

/// Under which name a token reply holds the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenField {
    /// `token`
    Token,
    /// `access_token`, as ACR answers.
    AccessToken,
}

/// Docker Hub's way of counting pulls: a GET of a manifest costs one, a HEAD costs nothing.
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// Pulls allowed in a window.
    pub limit: u32,
    /// Pulls left now.
    pub remaining: u32,
    /// Length of the window in seconds.
    pub window_seconds: u32,
    /// Value of `docker-ratelimit-source`.
    pub source: String,
}

impl RateLimit {
    /// The headers as Docker Hub writes them.
    pub(super) fn headers(&self) -> [(&'static str, String); 3] {
        [
            (
                "ratelimit-limit",
                format!("{};w={}", self.limit, self.window_seconds),
            ),
            (
                "ratelimit-remaining",
                format!("{};w={}", self.remaining, self.window_seconds),
            ),
            ("docker-ratelimit-source", self.source.clone()),
        ]
    }
}
