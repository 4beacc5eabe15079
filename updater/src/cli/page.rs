//! What can be told to the updater of its pages: where people reach them, who may sign in, and by which key links are signed.

use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use axum::http::HeaderName;
use clap::Args;
use ipnet::IpNet;
use jiff::SignedDuration;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use shared::domain::pages::Pages;
use shared::domain::signed::{KeyTooShort, SigningKey};
use shared::domain::time::duration;
use shared::io::arguments::{given, words};

use super::is_bare;

/// A link is for people who sleep and have a weekend.
const LONGEST_EXPIRY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Of the token that people sign in with, so that nobody guesses it.
const SHORTEST_TOKEN: usize = 16;

#[derive(Debug, Args)]
#[command(next_help_heading = "Pages")]
pub struct PageOptions {
    /// Where people reach the pages, such as `https://kubefresh.example.com`; the links that `link` prints begin with it.
    #[arg(long, env = "BASE_URL", value_name = "URL", global = true)]
    pub base_url: Option<String>,
    /// The key that links and sessions are signed with, in a file of 32 bytes at least. Without it there are no links, and the pages
    /// change nothing.
    #[arg(long, env = "SIGNING_KEY_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub signing_key_file: Option<PathBuf>,
    /// The token that people sign in with, in a file of 16 bytes at least.
    #[arg(long, env = "PAGE_TOKEN_FILE", value_parser = super::file, value_name = "FILE", global = true)]
    pub page_token_file: Option<PathBuf>,
    /// Addresses of proxies that say who somebody is, such as 10.42.0.7/32, separated by commas; nobody is believed without it.
    #[arg(
        long,
        env = "TRUSTED_PROXY",
        value_delimiter = ',',
        value_name = "CIDR,…",
        global = true
    )]
    pub trusted_proxy: Vec<String>,
    /// The header in which they say it.
    #[arg(
        long,
        env = "USER_HEADER",
        default_value = "X-Forwarded-User",
        value_name = "NAME",
        global = true
    )]
    pub user_header: String,
    /// How long a link to agree to an update is good, such as 12h or 3d.
    #[arg(
        long,
        env = "APPROVAL_EXPIRY",
        default_value = "72h",
        value_name = "DURATION",
        global = true
    )]
    pub approval_expiry: String,
}

/// The same, checked.
#[derive(Clone)]
pub struct PageSettings {
    /// Without a path.
    pub base_url: Option<Url>,
    pub signing_key: Option<SigningKey>,
    pub page_token: Option<SecretString>,
    pub trusted_proxies: Vec<IpNet>,
    pub user_header: HeaderName,
    pub approval_expiry: SignedDuration,
}

impl fmt::Debug for PageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageSettings")
            .field("base_url", &self.base_url.as_ref().map(Url::as_str))
            .field("trusted_proxies", &self.trusted_proxies)
            .finish_non_exhaustive()
    }
}

impl PageSettings {
    /// Where the pages are, without a slash at the end.
    pub(crate) fn base(&self) -> Option<&str> {
        let base = self.base_url.as_ref()?;
        Some(base.as_str().trim_end_matches('/'))
    }

    /// As messages lead there.
    pub fn pages(&self) -> Pages {
        Pages {
            base: self.base().map(str::to_owned),
            key: self.signing_key.clone(),
            expiry: self.approval_expiry,
        }
    }

    /// Whether an address is one of those that say who somebody is.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

/// A setting of the pages that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("BASE_URL: {0:?} is no address such as https://kubefresh.example.com, without a path")]
    BaseUrl(String),
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    #[error("SIGNING_KEY_FILE: {0}")]
    Key(#[source] KeyTooShort),
    #[error(
        "PAGE_TOKEN_FILE: it has fewer than {SHORTEST_TOKEN} bytes; `openssl rand -base64 24` makes a token"
    )]
    Token,
    #[error("TRUSTED_PROXY: {0:?} is no network such as 10.42.0.7/32 or fd00::7/128")]
    Proxy(String),
    #[error("USER_HEADER: {0:?} is no name of a header")]
    Header(String),
    #[error("APPROVAL_EXPIRY: {0}")]
    Expiry(String),
}

impl PageOptions {
    /// Checks them. What is set to nothing counts as not set, and so does a file that is not there: the Secret that it would come
    /// from is optional.
    pub fn settings(self) -> Result<PageSettings, PageError> {
        let Self {
            base_url,
            signing_key_file,
            page_token_file,
            trusted_proxy,
            user_header,
            approval_expiry,
        } = self;
        let key = signing_key_file.as_deref().map(read).transpose()?.flatten();
        let token = page_token_file.as_deref().map(read).transpose()?.flatten();
        let token = token.map(|token| String::from_utf8_lossy(token.trim_ascii()).into_owned());
        if token.as_ref().is_some_and(|token| token.len() < SHORTEST_TOKEN) {
            return Err(PageError::Token);
        }
        let proxy = |written: String| written.parse().map_err(|_| PageError::Proxy(written));
        let header = given(Some(user_header)).unwrap_or_else(|| "X-Forwarded-User".to_owned());
        let expiry = given(Some(approval_expiry)).unwrap_or_else(|| "72h".to_owned());
        Ok(PageSettings {
            base_url: given(base_url).map(origin).transpose()?,
            signing_key: key
                .map(|key| SigningKey::new(&key).map_err(PageError::Key))
                .transpose()?,
            page_token: token.map(SecretString::from),
            trusted_proxies: words(trusted_proxy)
                .into_iter()
                .map(proxy)
                .collect::<Result<_, _>>()?,
            user_header: header.parse().map_err(|_| PageError::Header(header))?,
            approval_expiry: duration(&expiry, LONGEST_EXPIRY).map_err(PageError::Expiry)?,
        })
    }
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, PageError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    match std::fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PageError::File {
            file: file.display().to_string(),
            reason: error.to_string(),
        }),
    }
}

/// What the pages are at the root of.
fn origin(written: String) -> Result<Url, PageError> {
    let url = Url::parse(&written)
        .ok()
        .filter(|url| is_bare(url) && matches!(url.path(), "" | "/"));
    url.ok_or(PageError::BaseUrl(written))
}

/// Whether somebody wrote this secret.
pub(crate) fn is_token(settings: &PageSettings, written: &str) -> bool {
    let (Some(key), Some(token)) = (&settings.signing_key, &settings.page_token) else {
        return false;
    };
    key.are_same(token.expose_secret(), written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> PageOptions {
        PageOptions {
            base_url: None,
            signing_key_file: None,
            page_token_file: None,
            trusted_proxy: vec![String::new()],
            user_header: String::new(),
            approval_expiry: String::new(),
        }
    }

    #[test]
    fn nobody_is_trusted_and_nothing_is_signed_unless_somebody_says_so() {
        let settings = PageOptions {
            signing_key_file: Some("/nowhere/at/all".into()),
            ..options()
        };
        let settings = settings.settings().unwrap();
        assert!(settings.signing_key.is_none() && settings.page_token.is_none());
        assert!(!settings.trusts("127.0.0.1".parse().unwrap()));
        assert_eq!(settings.user_header, "x-forwarded-user");
        assert_eq!(settings.approval_expiry, SignedDuration::from_hours(72));
        assert!(!is_token(&settings, ""));
    }

    #[test]
    fn a_proxy_is_trusted_by_its_network_however_its_address_is_written() {
        let settings = PageOptions {
            trusted_proxy: vec!["10.42.0.0/24".to_owned(), " fd00::7/128".to_owned()],
            ..options()
        };
        let settings = settings.settings().unwrap();
        for (peer, trusted) in [
            ("10.42.0.9", true),
            ("::ffff:10.42.0.9", true),
            ("10.42.1.9", false),
            ("fd00::7", true),
            ("fd00::8", false),
        ] {
            assert_eq!(settings.trusts(peer.parse().unwrap()), trusted, "{peer}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let base = |url: &str| PageOptions {
            base_url: Some(url.to_owned()),
            ..options()
        };
        for url in [
            "kubefresh",
            "ftp://a",
            "https://a.example/path",
            "https://me@a.example",
            "https://:secret@a.example",
            "https://a.example/#top",
            "https://a/?b",
        ] {
            assert_eq!(
                base(url).settings().unwrap_err(),
                PageError::BaseUrl(url.to_owned())
            );
        }
        assert!(base("https://a.example:8443").settings().is_ok());
        let proxy = PageOptions {
            trusted_proxy: vec!["everybody".to_owned()],
            ..options()
        };
        assert_eq!(
            proxy.settings().unwrap_err(),
            PageError::Proxy("everybody".to_owned())
        );
        let expiry = PageOptions {
            approval_expiry: "90d".to_owned(),
            ..options()
        };
        assert!(matches!(expiry.settings(), Err(PageError::Expiry(_))));
    }

    #[test]
    fn a_key_or_a_token_that_is_too_short_is_refused_and_neither_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "s3cr3t").unwrap();
        let key = PageOptions {
            signing_key_file: Some(file.clone()),
            ..options()
        };
        assert_eq!(key.settings().unwrap_err(), PageError::Key(KeyTooShort(6)));
        let token = PageOptions {
            page_token_file: Some(file.clone()),
            ..options()
        };
        assert_eq!(token.settings().unwrap_err(), PageError::Token);
        let secret = "0123456789abcdef0123456789abcdef";
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let both = PageOptions {
            signing_key_file: Some(file.clone()),
            page_token_file: Some(file),
            ..options()
        };
        let settings = both.settings().unwrap();
        assert!(is_token(&settings, secret) && !is_token(&settings, "0123"));
        assert!(!format!("{settings:?}").contains("0123"));
    }
}
