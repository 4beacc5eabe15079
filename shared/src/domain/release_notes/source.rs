//! Where the notes of an image are: what its workload says, what the image says of itself, or a guess by its name.
//!
//! Labels and annotations are written by people who may not make our updater ask any host they like: a host is asked only
//! where it is a forge that everybody knows, or where the settings of the installation name it ([`Forges`]).

mod setting;

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::super::reference::Repository;
use super::moved::Untold;
pub use setting::{Forge, Forges, NotesSetting, Server, UrlTemplate};
use setting::{LONGEST, located};

/// How many groups GitLab nests at most.
const MOST_SEGMENTS: usize = 21;

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
            url: UrlTemplate::nowhere(),
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
            Self::Template { url, .. } => write!(f, "{url}"),
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
    #[error(transparent)]
    Untold(#[from] Untold),
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
            let source = NotesSource::Template {
                url: url.clone(),
                may_be_read: forges.may_read(url),
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
