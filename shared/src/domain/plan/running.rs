//! Which digest of a container runs now, where the decision depends on it, or why nobody knows.

use std::fmt;

use super::verdict::Verdict;
use super::{PodsRead, Snapshot};
use crate::domain::record::{Findings, TagRecord};
use crate::domain::reference::Digest;
use crate::domain::watched::Watched;
use crate::domain::workload::Workload;

/// Why it is not known what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunningUnknown {
    /// Nobody has asked its pods yet.
    NotAsked,
    /// They could not be read.
    Unreadable(String),
    /// Pods are wanted, and none has started the container with its image as it is written.
    NotStarted,
    /// A container runtime names the image by what no registry knows.
    Untold,
    /// It is not what the tag points at, and may be what that points at for one platform.
    PlatformsPending,
}

impl fmt::Display for RunningUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("nobody has asked its pods yet which digest they run"),
            Self::Unreadable(problem) => write!(f, "it is not known which digest runs: {problem}"),
            Self::NotStarted => {
                f.write_str("it is not known which digest runs: no pod has started it with the image as it is written")
            }
            Self::Untold => f.write_str(
                "it is not known which digest runs: the container runtime does not tell; write the image once with its digest, as NAME:TAG@DIGEST",
            ),
            Self::PlatformsPending => f.write_str(
                "it is not known whether the digest that runs is that of one platform; a later scan will tell",
            ),
        }
    }
}

/// What a container runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Running {
    /// As the record would name it: the digest of a platform counts as that of the index.
    pub(super) digest: Option<Digest>,
    /// Nothing runs, and nothing is meant to.
    pub(super) nowhere: bool,
    /// What could be gone back to, where the image as it is written does not say it.
    pub(super) exact: Option<Digest>,
}

/// What runs of a container. Only the policy `digest` has to ask the pods, and only for an image without a digest.
pub(super) fn running(
    workload: &Workload,
    watched: &Watched,
    findings: &Findings,
    snapshot: &Snapshot,
) -> Result<Running, Verdict> {
    let written = watched.image.digest();
    if !watched.demand.policy.follows_digest() {
        return Ok(Running {
            digest: written.cloned(),
            ..Running::default()
        });
    }
    let tag = &watched.demand.tag;
    let Some((record, remote)) = findings
        .tag(tag)
        .and_then(|record| Some((record, record.digest.as_ref()?)))
    else {
        return Err(Verdict::DigestNotRecorded { tag: tag.clone() });
    };
    if let Some(written) = written {
        return Ok(Running {
            digest: Some(as_recorded(written, record, remote).clone()),
            ..Running::default()
        });
    }
    if workload.rollout.wants_no_pods() {
        return Ok(Running {
            nowhere: true,
            ..Running::default()
        });
    }
    in_pods(watched, record, remote, snapshot.pods.get(&workload.uid)).map_err(Verdict::RunningUnknown)
}

/// Behind if any pod is behind.
fn in_pods(
    watched: &Watched,
    record: &TagRecord,
    remote: &Digest,
    pods: Option<&PodsRead>,
) -> Result<Running, RunningUnknown> {
    let pods = match pods {
        None => return Err(RunningUnknown::NotAsked),
        Some(Err(problem)) => return Err(RunningUnknown::Unreadable(problem.clone())),
        Some(Ok(pods)) => pods,
    };
    let running = pods
        .running(&watched.container)
        .ok_or(RunningUnknown::NotStarted)?;
    let mut digests = running.digests.iter();
    let behind = digests.find(|digest| as_recorded(digest, record, remote) != remote);
    match behind {
        Some(_) if record.platforms_pending => Err(RunningUnknown::PlatformsPending),
        None if running.untold => Err(RunningUnknown::Untold),
        behind => Ok(Running {
            digest: Some(behind.unwrap_or(remote).clone()),
            nowhere: false,
            exact: running.only().cloned(),
        }),
    }
}

/// A container runtime may name the image by its index or by the manifest of its own platform.
fn as_recorded<'a>(digest: &'a Digest, record: &TagRecord, remote: &'a Digest) -> &'a Digest {
    let is_of_a_platform = record.platforms.values().any(|platform| platform == digest);
    if is_of_a_platform { remote } else { digest }
}
