//! A place that is asked instead of a registry: a pull-through cache, or a copy inside the network.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use shared::domain::reference::{ReferenceError, Repository};

/// Stands for the repository in the name that is read to learn what comes before it.
const PROBE: &str = "probe/probe";

/// `harbor.internal/docker-hub`: a registry, and what stands there before the paths of the mirrored one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    registry: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl Mirror {
    /// The registry that is asked, by its name in image references.
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// What a repository of the mirrored registry is called here.
    pub(super) fn name_of(&self, repository: &Repository) -> Result<Repository, ReferenceError> {
        format!("{}/{}{}", self.registry, self.prefix, repository.path()).parse()
    }
}

impl FromStr for Mirror {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "{written:?} is no mirror; write HOST or HOST:PORT, with a path or without, and no scheme"
            )
        };
        let written_registry = written.split('/').next().unwrap_or_default();
        let probe: Repository = format!("{written}/{PROBE}").parse().map_err(|_| refused())?;
        if !probe.registry().eq_ignore_ascii_case(written_registry) {
            // Without a dot or port it would be a namespace of Docker Hub.
            return Err(refused());
        }
        let prefix = probe.path().strip_suffix(PROBE).ok_or_else(refused)?;
        Ok(Self {
            registry: probe.registry().to_ascii_lowercase(),
            prefix: prefix.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for Mirror {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        written.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_keeps_its_path_behind_that_of_the_mirror() {
        for (mirror, repository, name) in [
            ("harbor.internal", "nginx", "harbor.internal/library/nginx"),
            (
                "harbor.internal/hub",
                "nginx",
                "harbor.internal/hub/library/nginx",
            ),
            (
                "Harbor.internal:5000/a/b",
                "ghcr.io/o/r",
                "harbor.internal:5000/a/b/o/r",
            ),
            ("localhost:5000", "quay.io/o/r", "localhost:5000/o/r"),
        ] {
            let mirror: Mirror = mirror.parse().unwrap();
            let found = mirror.name_of(&repository.parse().unwrap()).unwrap();
            assert_eq!(found.to_string(), name);
        }
    }

    #[test]
    fn what_is_no_place_in_a_registry_is_refused() {
        for written in [
            "",
            "hub",
            "https://harbor.internal",
            "harbor.internal/",
            "harbor.internal/Hub",
            "harbor.internal/hub:1",
            "harbor.internal?ns=docker.io",
            "me:secret@harbor.internal",
        ] {
            assert!(written.parse::<Mirror>().is_err(), "{written}");
        }
    }

    #[test]
    fn a_name_that_would_be_too_long_is_an_error() {
        let mirror: Mirror = format!("harbor.internal/{}", "a".repeat(100)).parse().unwrap();
        let repository = format!("docker.io/{}/b", "c".repeat(200)).parse().unwrap();
        assert!(mirror.name_of(&repository).is_err());
    }
}
