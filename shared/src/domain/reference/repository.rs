//! A repository: a registry and a path in it, with Docker's short forms spelled out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ReferenceError;

const DOCKER_HUB: &str = "docker.io";
/// What Docker Hub was called when it was "the Docker Index"; still met in credentials and old manifests.
const DOCKER_HUB_LEGACY: &str = "index.docker.io";
/// Where Docker Hub keeps the images that are written without a namespace.
const OFFICIAL_NAMESPACE: &str = "library";
/// The only host that needs neither a dot nor a port to be taken for one.
const LOCALHOST: &str = "localhost";
/// The most characters a path may have, namespace included.
const MAX_PATH_LENGTH: usize = 255;
/// The longest name that the DNS knows, and a port.
const MAX_HOST_LENGTH: usize = 253 + 6;

/// A repository after normalisation: `nginx` is `docker.io/library/nginx`.
///
/// The host is kept in the case it was written in. Prints as `registry/path`, and parses from that and from the short
/// forms.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Repository {
    registry: String,
    path: String,
}

impl Repository {
    /// The registry's host, with its port if one is written: `docker.io`, `registry.example.com:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path in the registry: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(written: &str) -> Result<Self, ReferenceError> {
        let reference: super::ImageReference = written.parse()?;
        if reference.tag().is_some() || reference.digest().is_some() {
            return Err(ReferenceError::NotARepository {
                name: written.to_owned(),
            });
        }
        Ok(reference.repository)
    }
}

impl TryFrom<String> for Repository {
    type Error = ReferenceError;

    fn try_from(written: String) -> Result<Self, ReferenceError> {
        written.parse()
    }
}

impl From<Repository> for String {
    fn from(repository: Repository) -> Self {
        repository.to_string()
    }
}

/// Spells out the short forms of a name (no tag, no digest) and checks both halves against the grammar.
pub(super) fn normalise(name: &str) -> Result<Repository, ReferenceError> {
    if name.is_empty() {
        return Err(ReferenceError::Empty);
    }
    let (registry, path) = match name.split_once('/') {
        Some((DOCKER_HUB_LEGACY, path)) => (DOCKER_HUB, path),
        Some((first, path)) if is_registry(first) => (first, path),
        _ => (DOCKER_HUB, name),
    };
    if !is_valid_host_and_port(registry) {
        return Err(ReferenceError::Host {
            host: registry.to_owned(),
        });
    }
    check_path(path)?;
    let path = if registry == DOCKER_HUB && !path.contains('/') {
        format!("{OFFICIAL_NAMESPACE}/{path}")
    } else {
        path.to_owned()
    };
    if path.len() > MAX_PATH_LENGTH {
        return Err(ReferenceError::PathTooLong {
            length: path.len(),
            path,
        });
    }
    Ok(Repository {
        registry: registry.to_owned(),
        path,
    })
}

/// Whether the part before the first slash names a host rather than a namespace on Docker Hub. A namespace is always
/// lower-case, so an upper-case letter makes a host.
fn is_registry(first: &str) -> bool {
    first == LOCALHOST || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

fn is_valid_host_and_port(host_and_port: &str) -> bool {
    let (host_is_valid, port) = if let Some(rest) = host_and_port.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        (is_valid_ipv6(address), port)
    } else {
        let (host, port) = host_and_port.split_at(host_and_port.find(':').unwrap_or(host_and_port.len()));
        (host.split('.').all(is_valid_host_label), port)
    };
    let port_is_valid = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    host_is_valid && port_is_valid && host_and_port.len() <= MAX_HOST_LENGTH
}

/// Zone identifiers (`%eth0`) and embedded IPv4 addresses are not part of the grammar.
fn is_valid_ipv6(address: &str) -> bool {
    !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
}

fn is_valid_host_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ReferenceError::UppercasePath {
            path: path.to_owned(),
        });
    }
    match path
        .split('/')
        .find(|component| !is_valid_path_component(component))
    {
        Some(component) => Err(ReferenceError::PathComponent {
            path: path.to_owned(),
            component: component.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_valid_path_component(component: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    if !component.starts_with(is_alphanumeric) || !component.ends_with(is_alphanumeric) {
        return false;
    }
    component
        .split(is_alphanumeric)
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}
