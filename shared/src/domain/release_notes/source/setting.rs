//! What settings say of notes: which servers may be asked, and where those of a workload are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::encoded;

/// The longest path of a repository, and the longest template, in bytes.
pub(super) const LONGEST: usize = 256;
/// What stands for the tag in a template.
const TAG: &str = "{tag}";

/// The kind of a server that has repositories and their releases. Forgejo is told the same way as Gitea.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Forge {
    #[strum(to_string = "github")]
    #[serde(rename = "github")]
    GitHub,
    #[strum(to_string = "gitlab")]
    #[serde(rename = "gitlab")]
    GitLab,
    Gitea,
    /// No forge: a server whose pages are read by a template.
    Page,
}

/// A server that may be asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Server {
    pub forge: Forge,
    /// `https://github.com`, `http://127.0.0.1:3000`: no path and no slash at its end.
    pub address: String,
}

impl Server {
    fn known(forge: Forge, host: &str) -> Self {
        Self {
            forge,
            address: format!("https://{host}"),
        }
    }

    /// `git.example.com:3000`.
    pub fn host(&self) -> &str {
        self.address
            .split_once("://")
            .map_or(self.address.as_str(), |(_, host)| host)
    }

    /// Where its programs are asked: `https://api.github.com`, `https://HOST/api/v3`.
    pub fn api(&self) -> String {
        let address = &self.address;
        match self.forge {
            Forge::GitHub if address == "https://github.com" => "https://api.github.com".to_owned(),
            Forge::GitHub => format!("{address}/api/v3"),
            Forge::GitLab => format!("{address}/api/v4"),
            Forge::Gitea => format!("{address}/api/v1"),
            Forge::Page => address.clone(),
        }
    }
}

impl FromStr for Server {
    type Err = String;

    /// Reads `KIND:ADDRESS`, such as `gitea:https://git.example.com`.
    fn from_str(written: &str) -> Result<Self, String> {
        let kinds = <Forge as strum::VariantNames>::VARIANTS.join(", ");
        let wrong = || {
            format!(
                "{written:?} is not of the form KIND:ADDRESS, such as gitea:https://git.example.com; kinds are {kinds}"
            )
        };
        let (kind, address) = written.split_once(':').ok_or_else(wrong)?;
        let forge: Forge = kind.parse().map_err(|_| wrong())?;
        let address = address.trim_end_matches('/').to_ascii_lowercase();
        let host = address
            .strip_prefix("https://")
            .or_else(|| address.strip_prefix("http://"));
        if !host.is_some_and(is_host) {
            return Err(format!(
                "{written:?}: its address must be https://HOST or http://HOST, without a path"
            ));
        }
        Ok(Self { forge, address })
    }
}

/// The servers that may be asked; those that everybody knows are always among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forges {
    servers: Vec<Server>,
}

impl Default for Forges {
    fn default() -> Self {
        Self::new([])
    }
}

impl Forges {
    /// Those that everybody knows and these; of two at one host the one that is given here counts.
    pub fn new(given: impl IntoIterator<Item = Server>) -> Self {
        let known = [
            Server::known(Forge::GitHub, "github.com"),
            Server::known(Forge::GitLab, "gitlab.com"),
            Server::known(Forge::Gitea, "codeberg.org"),
            Server::known(Forge::Gitea, "gitea.com"),
        ];
        Self {
            servers: given.into_iter().chain(known).collect(),
        }
    }

    /// Reads a list that is separated by commas or spaces.
    ///
    /// # Errors
    /// The first entry that is wrong, in words for people.
    pub fn parse(written: &str) -> Result<Self, String> {
        let entries = written.split([',', ' ', '\n']).filter(|entry| !entry.is_empty());
        let servers: Result<Vec<Server>, String> = entries.map(Server::from_str).collect();
        servers.map(Self::new)
    }

    /// The first of a kind: its token is for this one.
    pub fn first(&self, forge: Forge) -> Option<&Server> {
        self.servers.iter().find(|server| server.forge == forge)
    }

    pub(super) fn at(&self, host: &str) -> Option<&Server> {
        self.servers
            .iter()
            .find(|server| server.host().eq_ignore_ascii_case(host))
    }

    /// Whether pages of this address may be read.
    pub(super) fn may_read(&self, url: &UrlTemplate) -> bool {
        let servers = self.servers.iter();
        servers
            .filter(|server| server.forge == Forge::Page)
            .any(|server| server.address.eq_ignore_ascii_case(url.address()))
    }

    /// The server whose registry this is: its own host, or one that is called after it.
    pub(super) fn of_registry(&self, registry: &str) -> Option<&Server> {
        let prefixes = ["", "registry.", "containers.", "docker."];
        if registry == "ghcr.io" {
            return self.at("github.com");
        }
        self.servers.iter().find(|server| {
            let host = server.host();
            server.forge != Forge::Page
                && prefixes
                    .iter()
                    .any(|prefix| registry.strip_prefix(prefix) == Some(host))
        })
    }
}

/// What the setting `release-notes` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NotesSetting {
    /// What the image says of itself, and otherwise a guess by its name.
    #[default]
    Auto,
    /// `HOST/PATH` of a repository.
    Repository {
        host: String,
        path: String,
    },
    Template(UrlTemplate),
}

impl FromStr for NotesSetting {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let written = written.trim();
        if written == "auto" {
            return Ok(Self::Auto);
        }
        if written.contains('{') {
            return UrlTemplate::parse(written).map(Self::Template);
        }
        let (host, path) = located(written).ok_or(
            "it must be a repository such as github.com/OWNER/NAME, an address such as https://example.com/notes/{tag}, or auto",
        )?;
        Ok(Self::Repository { host, path })
    }
}

/// An address of one page a tag: `https://example.com/notes/{tag}.md`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlTemplate(String);

impl UrlTemplate {
    fn parse(written: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "an address with {TAG} must be https://HOST/PATH, with {TAG} once, behind the host, and no other braces"
            )
        };
        let (scheme, rest) = written.split_once("://").ok_or_else(error)?;
        let (host, path) = rest.split_once('/').ok_or_else(error)?;
        let printable = rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\\\"'<>`^|".contains(&byte));
        let braces = path.replacen(TAG, "", 1).contains(['{', '}']);
        let is_valid = matches!(scheme, "https" | "http") && is_host(host) && path.contains(TAG) && !braces;
        if !is_valid || !printable || written.len() > LONGEST {
            return Err(error());
        }
        Ok(Self(written.to_owned()))
    }

    /// Of no page.
    pub(super) fn nowhere() -> Self {
        Self(String::new())
    }

    /// `https://example.com`.
    pub fn address(&self) -> &str {
        let host = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0[host..].find('/').map_or(self.0.len(), |at| host + at);
        &self.0[..end]
    }

    /// The page of a tag.
    pub fn page(&self, tag: &str) -> String {
        self.0.replacen(TAG, &encoded(tag), 1)
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UrlTemplate {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        Self::parse(&written)
    }
}

impl From<UrlTemplate> for String {
    fn from(template: UrlTemplate) -> Self {
        template.0
    }
}

/// Host and path of an address as people write it: `https://`, `git@HOST:PATH`, or neither.
pub(super) fn located(written: &str) -> Option<(String, String)> {
    let written = written.trim();
    if written.len() > 2 * LONGEST || !written.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let written = written.split(['#', '?']).next().unwrap_or_default();
    let rest = match written.split_once("://") {
        Some(("https" | "http" | "git" | "ssh" | "git+https" | "git+ssh", rest)) => rest.to_owned(),
        Some(_) => return None,
        None => match written.split_once('@') {
            // What scp understands.
            Some((_, rest)) => rest.replacen(':', "/", 1),
            None => written.to_owned(),
        },
    };
    let rest = rest.strip_prefix("git@").unwrap_or(&rest);
    let (host, path) = rest.split_once('/')?;
    let path = path.trim_matches('/');
    let segments = path.split('/').filter(|segment| !segment.is_empty()).count();
    (is_host(host) && segments >= 2).then(|| (host.to_ascii_lowercase(), path.to_owned()))
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let port_is_valid = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_local = name == "localhost" || port.is_some();
    (name.contains('.') || is_local) && name.len() <= 253 && name.split('.').all(is_label) && port_is_valid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_names_nothing_is_refused_in_words() {
        for setting in [
            "",
            "github.com",
            "github.com/owner",
            "ftp://github.com/o/r",
            "https://{tag}/x",
            "https://e.com/{tag}/{tag}",
            "https://e.com/{version}",
            "javascript:{tag}",
            "two words/x",
        ] {
            let error = setting.parse::<NotesSetting>().unwrap_err();
            assert!(error.contains("must be"), "{setting}: {error}");
        }
    }

    #[test]
    fn each_kind_of_forge_has_its_addresses() {
        for (server, api) in [
            ("github:https://github.com", "https://api.github.com"),
            (
                "github:https://ghe.example.com/",
                "https://ghe.example.com/api/v3",
            ),
            ("gitlab:https://gitlab.com", "https://gitlab.com/api/v4"),
            ("gitea:http://git.example:3000", "http://git.example:3000/api/v1"),
        ] {
            assert_eq!(server.parse::<Server>().unwrap().api(), api);
        }
        for wrong in [
            "git.example",
            "svn:https://svn.example",
            "gitea:git.example",
            "gitea:https://git.example/path",
            "gitea:https://user@git.example",
            "gitea:https://",
        ] {
            assert!(Forges::parse(wrong).is_err(), "{wrong}");
        }
    }
}
