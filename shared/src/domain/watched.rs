//! The containers of a workload that are watched: what runs, what is wanted, and what has to be asked of a registry.
//!
//! Scanner and updater both read a workload through here, so that one never looks for what the other does not want.

use std::fmt;
use std::mem;
use std::str::FromStr;
use std::sync::Arc;

use super::annotations::{self, AnnotationError, ContainerSettings, Layer, Mode, Pin};
use super::policy::{self, PolicyError, PolicyOptions, UpdatePolicy};
use super::record::config_map::record_name;
use super::reference::{ImageReference, ReferenceError, Tag};
use super::schedule::Schedule;
use super::workload::Workload;

/// What a container asks of its repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Demand {
    pub tag: Tag,
    pub policy: UpdatePolicy,
    /// An update is to be written with its digest, so the new tag's digest is needed too.
    pub pinned: bool,
}

impl fmt::Display for Demand {
    /// `1.4.0 minor`, with the policy's other options and `pinned` after it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tag, self.policy)?;
        if self.pinned {
            write!(f, " {PINNED}")?;
        }
        Ok(())
    }
}

/// The word for an image that is to be written with its digest.
const PINNED: &str = "pinned";

/// A line that is no demand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line:?} is not of the form TAG POLICY [OPTION…] [pinned]: {reason}")]
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
        let mut words = policy::words(line);
        let tag = words
            .next()
            .unwrap_or_default()
            .parse::<Tag>()
            .map_err(|error| fail(error.to_string()))?;
        let named = words.next().and_then(policy::unquoted);
        let mut options = PolicyOptions {
            policy: Some(named.ok_or_else(|| fail("the policy is missing".to_owned()))?),
            ..PolicyOptions::default()
        };
        let mut pinned = false;
        for word in words {
            if word == PINNED {
                pinned = true;
            } else {
                policy::read_option(&mut options, word)
                    .ok_or_else(|| fail(format!("{word:?} is not known")))?;
            }
        }
        Ok(Self {
            tag,
            policy: UpdatePolicy::stored(options),
            pinned,
        })
    }
}

/// A watched container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub container: String,
    pub init: bool,
    pub image: ImageReference,
    /// The name of the ConfigMap in which its repository is recorded.
    pub record: String,
    pub settings: ContainerSettings,
    pub demand: Demand,
    /// When its repository is to be asked; `None`: whenever the scanner runs.
    pub schedule: Option<Arc<Schedule>>,
}

impl Watched {
    /// How the next update will be written, where that is not how the image is written now. It is not worth a rollout of its
    /// own, as the same image would run.
    pub fn repinned(&self) -> Option<Pin> {
        let is_pinned = self.image.digest().is_some();
        match self.settings.pin {
            Some(Pin::Digest) if !is_pinned => Some(Pin::Digest),
            Some(Pin::Tag) if is_pinned && !self.demand.policy.follows_digest() => Some(Pin::Tag),
            Some(Pin::Tag | Pin::Digest) | None => None,
        }
    }
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
    #[error("container {container}: {source}")]
    Policy { container: String, source: PolicyError },
    #[error(
        "container {container}: kubefresh.dev/pin is \"tag\", and under the policy digest nothing but the digest is new, which nodes need not pull where it is not written; set {container}.kubefresh.dev/pin to \"digest\", or another policy"
    )]
    PinnedTagMoves { container: String },
}

/// A container that cannot be followed, although many were opted in and it with them. Nobody asked for this one, so it
/// stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    pub container: String,
    /// As written.
    pub image: String,
    pub mode: Mode,
    pub problem: Problem,
}

/// A workload's settings and its watched containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Those of the workload as a whole. Those of its containers are with the containers.
    pub settings: annotations::Settings,
    /// Empty when nobody opted the workload in.
    pub watched: Vec<Watched>,
    pub passed_over: Vec<PassedOver>,
}

impl Reading {
    /// The watched container of this name.
    pub(super) fn container(&self, name: &str) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.container == name)
    }
}

/// Reads a workload, over what lies beneath its own annotations; all problems at once.
pub fn read(workload: &Workload, layer: &Layer) -> Result<Reading, Vec<Problem>> {
    let mut settings = annotations::settings(&workload.subject(), layer)
        .map_err(|errors| errors.into_iter().map(Problem::from).collect::<Vec<_>>())?;
    // Taken whole: an empty map keeps room for several.
    let mut containers = mem::take(&mut settings.containers);
    let (mut watched, mut passed_over) = (Vec::new(), Vec::new());
    let mut problems = Vec::new();
    for container in &workload.containers {
        let Some(wanted) = containers.remove(&container.name).filter(|wanted| wanted.watch) else {
            continue;
        };
        let (by_default, mode) = (wanted.by_default.watch, wanted.mode);
        match watch(&container.name, container.init, &container.image, wanted) {
            Ok(found) => watched.push(Watched {
                schedule: settings.schedule.clone(),
                ..found
            }),
            // Said for this workload itself, so that somebody waits for what it says.
            Err(problem @ Problem::PinnedTagMoves { .. }) => problems.push(problem),
            Err(problem) if by_default => passed_over.push(PassedOver {
                container: container.name.clone(),
                image: container.image.clone(),
                mode,
                problem,
            }),
            Err(problem) => problems.push(problem),
        }
    }
    watched.shrink_to_fit();
    if problems.is_empty() {
        Ok(Reading {
            settings,
            watched,
            passed_over,
        })
    } else {
        Err(problems)
    }
}

fn watch(container: &str, init: bool, image: &str, settings: ContainerSettings) -> Result<Watched, Problem> {
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
    let policy = if settings.by_default.policy {
        UpdatePolicy::for_one_of_many(&settings.policy, &tag)
    } else {
        UpdatePolicy::for_tag(&settings.policy, &tag)
    };
    let policy = policy.map_err(|source| Problem::Policy {
        container: container.to_owned(),
        source,
    })?;
    let is_written_with_digest = reference.digest().is_some();
    let pinned = match settings.pin {
        // Said for many, it does not mean those tags that cannot be followed otherwise.
        Some(Pin::Tag) if policy.follows_digest() && !settings.by_default.pin => {
            return Err(Problem::PinnedTagMoves {
                container: container.to_owned(),
            });
        }
        Some(pin) if !policy.follows_digest() => pin == Pin::Digest,
        Some(Pin::Tag | Pin::Digest) | None => is_written_with_digest,
    };
    let demand = Demand { tag, policy, pinned };
    Ok(Watched {
        container: container.to_owned(),
        init,
        record: record_name(reference.repository()),
        image: reference,
        settings,
        demand,
        schedule: None,
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
            r#"8.4.0 "range:>=8.4 <10" exclude="*-debug" exclude="*\"\\ " follow-variants"#,
            r#"main-abc1234-1627123456 major tag-pattern="^main-[a-f0-9]{7}-(?P<ts>\\d+)$" tag-extract="$ts" tag-order="numeric:asc" pinned"#,
            r#"1.0 regex:^1[.]\d+$ include="1.*" any-suffix"#.replace("regex:^1[.]\\d+$", "\"regex:^1[.]\\\\d+$\"").as_str(),
        ] {
            assert_eq!(line.parse::<Demand>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn a_line_that_is_no_demand_is_refused() {
        for line in [
            "",
            "1.4.0",
            "1.4.0 minor loudly",
            "not/a/tag minor",
            "1.4.0 minor  pinned",
            "1.4.0 \"range:^1",
        ] {
            assert!(line.parse::<Demand>().is_err(), "{line:?}");
        }
    }
}
