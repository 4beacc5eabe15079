//! `registries.yaml`: what is special about some registries.
//!
//! ```yaml
//! registries:
//!   registry.example.com:5000:
//!     plainHttp: true
//!   registry.internal:
//!     caFile: /etc/kubefresh/ca/internal.pem
//!     tokenHost: gitlab.internal
//!   docker.io:
//!     proxy: http://proxy.internal:3128
//!     requestsPerSecond: 2
//!     pullLimit: { pulls: 200, windowSeconds: 21600 }
//!   quay.io:
//!     mirror: harbor.internal/quay
//! ```
//!
//! A setting that cannot be obeyed stops the scan before anything is asked: a registry that was meant to be asked through a
//! proxy must not be asked without one.

mod mirror;
mod settings;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::domain::reference::{ReferenceError, Repository};

pub use self::mirror::Mirror;
use self::settings::Authorities;
pub use self::settings::RegistrySettings;

/// The largest file that is read, in bytes: a ConfigMap may not have more.
const MAX_FILE_SIZE: u64 = 1 << 20;

/// What is special about each registry, by its name in image references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries(BTreeMap<String, RegistrySettings>);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    registries: BTreeMap<String, RegistrySettings>,
}

/// Why the settings cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesError {
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{}: registry {registry:?}: {reason}", path.display())]
    Registry {
        path: PathBuf,
        registry: String,
        reason: String,
    },
}

impl Registries {
    /// Reads the file that a ConfigMap brings; where nobody has made it, there is nothing special.
    pub fn read_mounted(path: &Path) -> Result<Self, RegistriesError> {
        let is_missing = std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        // The volume is there all the same.
        if is_missing && path.parent().is_some_and(Path::is_dir) {
            return Ok(Self::default());
        }
        Self::read(path)
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, RegistriesError> {
        let file = |reason: String| RegistriesError::File {
            path: path.to_owned(),
            reason,
        };
        let size = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) => return Err(file(error.to_string())),
        };
        if size > MAX_FILE_SIZE {
            return Err(file(format!("it has {size} bytes, and may have {MAX_FILE_SIZE}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| file(error.to_string()))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, RegistriesError> {
        let document: Option<Document> =
            serde_saphyr::from_str(text).map_err(|error| RegistriesError::File {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        let given = document.map(|document| document.registries).unwrap_or_default();
        let mut registries = BTreeMap::new();
        for (registry, mut settings) in given {
            let wrong = |reason| RegistriesError::Registry {
                path: path.to_owned(),
                registry: registry.clone(),
                reason,
            };
            let name = canonical(&registry).map_err(wrong)?;
            settings.check().map_err(wrong)?;
            settings.authorities = settings
                .ca_file
                .as_deref()
                .map(Authorities::read)
                .transpose()
                .map_err(wrong)?;
            if registries.insert(name.clone(), settings).is_some() {
                return Err(wrong(format!("{name} stands here twice")));
            }
        }
        let registries = Self(registries);
        for (registry, settings) in registries.iter() {
            registries
                .check_mirror(settings)
                .map_err(|reason| RegistriesError::Registry {
                    path: path.to_owned(),
                    registry: registry.to_owned(),
                    reason,
                })?;
        }
        Ok(registries)
    }

    /// One step only: what stands in for another is no mirror of something else, itself least of all.
    fn check_mirror(&self, settings: &RegistrySettings) -> Result<(), String> {
        let Some(mirror) = &settings.mirror else {
            return Ok(());
        };
        let next = self
            .of(mirror.registry())
            .and_then(|settings| settings.mirror.as_ref());
        match next {
            Some(_) => Err(format!(
                "mirror: {} has a mirror itself; name that one here",
                mirror.registry()
            )),
            None => Ok(()),
        }
    }

    /// Where a repository is asked for: under its own name, or under that which its registry's mirror has for it.
    ///
    /// # Errors
    /// When the mirror's name and the repository's are too long together.
    pub fn asked_as<'r>(&self, repository: &'r Repository) -> Result<Cow<'r, Repository>, ReferenceError> {
        let settings = self.of(&repository.registry().to_ascii_lowercase());
        match settings.and_then(|settings| settings.mirror.as_ref()) {
            Some(mirror) => mirror.name_of(repository).map(Cow::Owned),
            None => Ok(Cow::Borrowed(repository)),
        }
    }

    /// What is special about a registry, by its name in image references.
    pub fn of(&self, registry: &str) -> Option<&RegistrySettings> {
        self.0.get(registry)
    }

    /// Every registry that something is special about.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RegistrySettings)> {
        self.0
            .iter()
            .map(|(registry, settings)| (registry.as_str(), settings))
    }
}

/// A registry's name as repositories have it: in lower case, and Docker Hub under one of its names.
fn canonical(registry: &str) -> Result<String, String> {
    let lower = registry.to_ascii_lowercase();
    let read = format!("{lower}/probe/probe").parse::<Repository>();
    match read {
        Ok(repository) if repository.path() == "probe/probe" => Ok(repository.registry().to_owned()),
        Ok(_) | Err(_) => {
            Err("it is no registry; write HOST or HOST:PORT, without a scheme or path".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Registries, String> {
        Registries::parse(Path::new("registries.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn each_registry_has_its_settings_under_the_name_that_references_use() {
        let registries = parse(
            "registries:\n  Registry.Example.com:5000: { plainHttp: true, concurrency: 2 }\n  docker.io:\n    proxy: http://proxy.internal:3128\n    pullLimit: { pulls: 200, windowSeconds: 21600 }\n",
        )
        .unwrap();
        assert!(registries.of("registry.example.com:5000").unwrap().plain_http);
        let hub = registries.of("docker.io").unwrap();
        assert_eq!(hub.proxy.as_ref().unwrap().port(), Some(3128));
        assert_eq!(hub.pull_limit.unwrap().pulls, 200);
        assert_eq!(registries.of("ghcr.io"), None);
        for nothing in ["", "# nothing yet\n", "registries: {}\n"] {
            assert_eq!(parse(nothing), Ok(Registries::default()), "{nothing:?}");
        }
    }

    #[test]
    fn a_mirror_stands_in_for_its_registry_and_for_no_other() {
        let registries = parse(
            "registries:\n  docker.io: { mirror: harbor.internal/hub }\n  harbor.internal: { concurrency: 2 }\n",
        )
        .unwrap();
        for (repository, asked_as) in [
            ("nginx", "harbor.internal/hub/library/nginx"),
            ("quay.io/o/r", "quay.io/o/r"),
            ("harbor.internal/o/r", "harbor.internal/o/r"),
        ] {
            let repository = repository.parse().unwrap();
            assert_eq!(registries.asked_as(&repository).unwrap().to_string(), asked_as);
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing_only_where_a_config_map_may_bring_it() {
        let folder = std::env::temp_dir();
        let missing = folder.join("kubefresh-no-such-registries.yaml");
        assert_eq!(Registries::read_mounted(&missing).unwrap(), Registries::default());
        for path in [missing.as_path(), Path::new("no-such-registries.yaml")] {
            assert!(Registries::read(path).is_err(), "{path:?}");
        }
        assert!(Registries::read_mounted(Path::new("/nowhere/registries.yaml")).is_err());
    }

    #[test]
    fn what_cannot_be_obeyed_is_named_with_file_and_registry() {
        for (text, says) in [
            ("registries: [a]", "registries.yaml"),
            ("registry: {}", "registry"),
            ("registries: { example.com: { plainHtpp: true } }", "plainHtpp"),
            (
                "registries: { example.com: { requestsPerSecond: 0 } }",
                "registries.yaml",
            ),
            ("registries: { 'https://example.com': {} }", "without a scheme"),
            ("registries: { 'example.com/team': {} }", "without a scheme"),
            ("registries: { '': {} }", "no registry"),
            ("registries: { example.com: { proxy: 'ftp://p' } }", "proxy"),
            (
                "registries: { example.com: { proxy: 'http://me:hunter2@p' } }",
                "credentials",
            ),
            (
                "registries: { example.com: { plainHttp: true, caFile: /ca.pem } }",
                "contradict",
            ),
            (
                "registries: { example.com: { tokenHost: 'https://t' } }",
                "tokenHost",
            ),
            (
                "registries: { example.com: { pullLimit: { pulls: 0, windowSeconds: 9 } } }",
                "pullLimit",
            ),
            ("registries: { example.com: {}, EXAMPLE.com: {} }", "twice"),
            (
                "registries: { example.com: { mirror: 'https://m.example' } }",
                "no scheme",
            ),
            (
                "registries: { example.com: { mirror: m.example, plainHttp: true } }",
                "under the mirror's own name",
            ),
            (
                "registries: { example.com: { mirror: Example.com/a } }",
                "has a mirror itself",
            ),
            (
                "registries: { example.com: { mirror: m.example }, m.example: { mirror: n.example } }",
                "has a mirror itself",
            ),
            ("{", "registries.yaml"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
