//! The containers of a workload that are watched: what runs, what is wanted, and what has to be asked of a registry.
//!
//! Scanner and updater both read a workload through here, so that one never looks for what the other does not want.

use std::fmt;
use std::str::FromStr;

use super::annotations::{self, AnnotationError, ContainerSettings};
use super::policy::{UpdatePolicy, default_policy};
use super::reference::{ImageReference, ReferenceError, Tag};
use super::workload::Workload;

/// What a container asks of its repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Demand {
    pub tag: Tag,
    pub policy: UpdatePolicy,
    pub prerelease: bool,
    /// The image is written with its digest, so an update needs the new tag's digest too.
    pub pinned: bool,
}

impl fmt::Display for Demand {
    /// `1.4.0 minor`, with `prerelease` and `pinned` after it where they are wanted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tag, self.policy)?;
        if self.prerelease {
            f.write_str(" prerelease")?;
        }
        if self.pinned {
            f.write_str(" pinned")?;
        }
        Ok(())
    }
}

/// A line that is no demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} is not of the form TAG POLICY [prerelease] [pinned]: {reason}")]
pub struct DemandError {
    pub line: String,
    pub reason: String,
}

impl FromStr for Demand {
    type Err = DemandError;

    fn from_str(line: &str) -> Result<Self, DemandError> {
        let fail = |reason: String| DemandError {
            line: line.to_owned(),
            reason,
        };
        let mut words = line.split(' ');
        let tag = words
            .next()
            .unwrap_or_default()
            .parse::<Tag>()
            .map_err(|error| fail(error.to_string()))?;
        let policy = words.next().unwrap_or_default();
        let policy = policy
            .parse::<UpdatePolicy>()
            .map_err(|error| fail(error.to_string()))?;
        let mut demand = Self {
            tag,
            policy,
            prerelease: false,
            pinned: false,
        };
        for word in words {
            match word {
                "prerelease" => demand.prerelease = true,
                "pinned" => demand.pinned = true,
                other => return Err(fail(format!("{other:?} is not known"))),
            }
        }
        Ok(demand)
    }
}

/// A watched container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub container: String,
    pub init: bool,
    pub image: ImageReference,
    pub settings: ContainerSettings,
    pub demand: Demand,
}

/// What is wrong with a workload that wants to be watched; it stops this workload and no other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    #[error("container {container}: image {image:?} is not valid: {source}")]
    Image {
        container: String,
        image: String,
        source: ReferenceError,
    },
    #[error(
        "container {container}: image {image:?} names a digest and no tag, so there is nothing to follow; write it as NAME:TAG@DIGEST"
    )]
    NoTag { container: String, image: String },
}

/// A workload's settings and its watched containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub settings: annotations::Settings,
    /// Empty when the workload did not opt in.
    pub watched: Vec<Watched>,
}

/// Reads a workload; all problems at once.
pub fn read(workload: &Workload) -> Result<Reading, Vec<Problem>> {
    let names = workload
        .containers
        .iter()
        .map(|container| container.name.as_str());
    let settings = annotations::settings(&workload.annotations, names)
        .map_err(|errors| errors.into_iter().map(Problem::from).collect::<Vec<_>>())?;
    let mut watched = Vec::new();
    let mut problems = Vec::new();
    for container in &workload.containers {
        let Some(wanted) = settings
            .containers
            .get(&container.name)
            .filter(|wanted| wanted.watch)
        else {
            continue;
        };
        match watch(&container.name, container.init, &container.image, wanted) {
            Ok(found) => watched.push(found),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Reading { settings, watched })
    } else {
        Err(problems)
    }
}

fn watch(container: &str, init: bool, image: &str, settings: &ContainerSettings) -> Result<Watched, Problem> {
    let reference = ImageReference::from_str(image).map_err(|source| Problem::Image {
        container: container.to_owned(),
        image: image.to_owned(),
        source,
    })?;
    let Some(tag) = reference.effective_tag() else {
        return Err(Problem::NoTag {
            container: container.to_owned(),
            image: image.to_owned(),
        });
    };
    let policy = settings.policy.clone().unwrap_or_else(|| default_policy(&tag));
    let demand = Demand {
        tag,
        policy,
        prerelease: settings.prerelease,
        pinned: reference.digest().is_some(),
    };
    Ok(Watched {
        container: container.to_owned(),
        init,
        image: reference,
        settings: settings.clone(),
        demand,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_survives_its_line() {
        for line in [
            "1.4.0 minor",
            "latest digest pinned",
            "2.0.0-rc.1 major prerelease pinned",
        ] {
            assert_eq!(line.parse::<Demand>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn a_line_that_is_no_demand_is_refused() {
        for line in [
            "",
            "1.4.0",
            "1.4.0 newest",
            "1.4.0 minor loudly",
            "not/a/tag minor",
        ] {
            assert!(line.parse::<Demand>().is_err(), "{line:?}");
        }
    }
}
