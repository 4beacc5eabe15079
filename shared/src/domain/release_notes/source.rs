//! Where the notes of an image are: what its workload says, what the image says of itself, or a guess by its name.
//!
//! Labels and annotations are written by people who may not make our updater ask any host they like: a host is asked only
//! where it is a forge that everybody knows, or where the settings of the installation name it ([`Forges`]).

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::super::reference::Repository;

/// The longest path of a repository, and the longest template, in bytes.
const LONGEST: usize = 256;
/// How many groups GitLab nests at most.
const MOST_SEGMENTS: usize = 21;
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

    fn at(&self, host: &str) -> Option<&Server> {
        self.servers
            .iter()
            .find(|server| server.host().eq_ignore_ascii_case(host))
    }

    /// The server whose registry this is: its own host, or one that is called after it.
    fn of_registry(&self, registry: &str) -> Option<&Server> {
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

/// Where notes may be found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NotesSource {
    /// The releases of a repository, or its changelog.
    Repository { server: Server, path: String },
    /// A page a tag. It is read only where its server may be asked; a link to it is shown in any case.
    Template { url: UrlTemplate, may_be_read: bool },
}

impl NotesSource {
    /// Where people read about one tag of a repository, or of a template.
    pub fn page(&self, tag: &str) -> String {
        match self {
            Self::Template { url, .. } => url.page(tag),
            Self::Repository { server, path } => {
                let (address, tag) = (&server.address, encoded(tag));
                match server.forge {
                    Forge::GitHub | Forge::Gitea | Forge::Page => {
                        format!("{address}/{path}/releases/tag/{tag}")
                    }
                    Forge::GitLab => format!("{address}/{path}/-/releases/{tag}"),
                }
            }
        }
    }

    /// Where people begin to read.
    pub fn home(&self) -> String {
        match self {
            Self::Template { url, .. } => url.address().to_owned(),
            Self::Repository { server, path } => format!("{}/{path}", server.address),
        }
    }

    /// What tells it from all others.
    pub(super) fn page_of_nothing(&self) -> String {
        self.page("")
    }

    /// The kind of the server that it is asked of.
    pub fn forge(&self) -> Forge {
        match self {
            Self::Repository { server, .. } => server.forge,
            Self::Template { .. } => Forge::Page,
        }
    }

    /// The host of the server that it is asked of: `github.com`, `git.example.com:3000`.
    pub fn host(&self) -> String {
        match self {
            Self::Repository { server, .. } => server.host().to_owned(),
            Self::Template { url, .. } => {
                let host = url.address().split_once("://").map(|(_, host)| host);
                host.unwrap_or_default().to_owned()
            }
        }
    }

    /// Of which nothing can be asked.
    pub(super) fn nowhere() -> Self {
        Self::Template {
            url: UrlTemplate(String::new()),
            may_be_read: false,
        }
    }

    /// What every link that is taken out of the notes begins with; others are not shown as links.
    pub fn own(&self) -> String {
        format!("{}/", self.home())
    }
}

impl fmt::Display for NotesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { server, path } => write!(f, "{}/{path}", server.host()),
            Self::Template { url, .. } => f.write_str(&url.0),
        }
    }
}

/// By what a source was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    #[strum(to_string = "the setting release-notes")]
    Setting,
    #[strum(to_string = "the image's label org.opencontainers.image.source")]
    Label,
    #[strum(to_string = "a guess by the image's name")]
    ImageName,
}

/// Where to look, in this order, until there is a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Found {
    pub by: FoundBy,
    /// Never empty; several only where it is a guess.
    pub sources: Vec<NotesSource>,
}

/// Why nobody can look anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    #[error(
        "release-notes names {host}, which is no forge that is known here; name it in FORGES, such as gitea:https://{host}"
    )]
    UnknownForge { host: String },
    #[error(
        "the image says that its source is at {host}, which is no forge that is known here; name it in FORGES, such as gitea:https://{host}"
    )]
    UnknownLabel { host: String },
    #[error(
        "the image does not say where its source is, and its name does not tell; say kubefresh.dev/release-notes=github.com/OWNER/NAME"
    )]
    Nothing,
}

/// Where the notes of an image are, by the setting, by the label of its source, or by its name.
pub fn find(
    setting: &NotesSetting,
    label: Option<&str>,
    image: &Repository,
    forges: &Forges,
) -> Result<Found, NoSource> {
    match setting {
        NotesSetting::Repository { host, path } => {
            let server = forges
                .at(host)
                .ok_or_else(|| NoSource::UnknownForge { host: host.clone() })?;
            let source =
                repository(server, path).ok_or_else(|| NoSource::UnknownForge { host: host.clone() })?;
            return Ok(Found {
                by: FoundBy::Setting,
                sources: vec![source],
            });
        }
        NotesSetting::Template(url) => {
            let servers = forges.servers.iter();
            let may_be_read = servers
                .filter(|server| server.forge == Forge::Page)
                .any(|server| server.address.eq_ignore_ascii_case(url.address()));
            let source = NotesSource::Template {
                url: url.clone(),
                may_be_read,
            };
            return Ok(Found {
                by: FoundBy::Setting,
                sources: vec![source],
            });
        }
        NotesSetting::Auto => {}
    }
    let labelled = label.and_then(located);
    if let Some((host, path)) = &labelled
        && let Some(server) = forges.at(host)
        && let Some(source) = repository(server, path)
    {
        return Ok(Found {
            by: FoundBy::Label,
            sources: vec![source],
        });
    }
    let guesses = guesses(image, forges);
    if !guesses.is_empty() {
        return Ok(Found {
            by: FoundBy::ImageName,
            sources: guesses,
        });
    }
    Err(labelled.map_or(NoSource::Nothing, |(host, _)| NoSource::UnknownLabel { host }))
}

/// GitLab's images stand up to two levels beneath their project; elsewhere the first two words are the repository.
fn guesses(image: &Repository, forges: &Forges) -> Vec<NotesSource> {
    let Some(server) = forges.of_registry(image.registry()) else {
        return Vec::new();
    };
    if server.forge != Forge::GitLab {
        return repository(server, image.path()).into_iter().collect();
    }
    let segments: Vec<&str> = image.path().split('/').collect();
    let lengths = (2..=segments.len()).rev().take(3);
    lengths
        .filter_map(|length| repository(server, &segments[..length].join("/")))
        .collect()
}

/// The repository that a path of the server leads to, which may lead further.
fn repository(server: &Server, path: &str) -> Option<NotesSource> {
    let path = path.split("/-/").next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let length = match server.forge {
        Forge::GitHub | Forge::Gitea => 2,
        Forge::GitLab => segments.len().max(2),
        Forge::Page => return None,
    };
    let segments = segments.get(..length)?;
    let mut path = segments.join("/");
    if let Some(stripped) = path.strip_suffix(".git") {
        path.truncate(stripped.len());
    }
    let is_segment = |segment: &str| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_name)
    };
    let is_path = path.len() <= LONGEST && segments.len() <= MOST_SEGMENTS && path.split('/').all(is_segment);
    is_path.then(|| NotesSource::Repository {
        server: server.clone(),
        path,
    })
}

/// Host and path of an address as people write it: `https://`, `git@HOST:PATH`, or neither.
fn located(written: &str) -> Option<(String, String)> {
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

/// A tag as a part of an address.
pub fn encoded(tag: &str) -> String {
    let mut encoded = String::with_capacity(tag.len());
    for byte in tag.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text never fails.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
