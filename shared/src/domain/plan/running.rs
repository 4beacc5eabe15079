//! Which digest of a container runs now, and on which platforms, where the decision depends on it, or why nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Snapshot;
use super::verdict::Verdict;
use crate::domain::nodes::{Nodes, NodesUnread};
use crate::domain::pods::{Pods, Running as InPods};
use crate::domain::policy::{candidates, suits};
use crate::domain::record::{Findings, TagRecord};
use crate::domain::reference::Digest;
use crate::domain::watched::Watched;
use crate::domain::workload::Workload;

/// Why it is not known what runs, or where.
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
    /// Nobody has asked yet on which platforms the nodes run.
    NodesNotAsked,
    /// They could not be read. Only what there is to update to makes it matter.
    NodesUnreadable(String),
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
            Self::NodesNotAsked => f.write_str("nobody has asked yet on which platforms the nodes run"),
            Self::NodesUnreadable(problem) => {
                write!(f, "it is not known on which platforms the nodes run: {problem}")
            }
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
    /// What an update would leave, where the image as it is written does not say it, as far as anybody asked.
    pub(super) exact: Option<Digest>,
    /// The platforms on which an update has to run and not all that is offered does, as `os/architecture`.
    pub(super) platforms: Vec<String>,
}

impl Snapshot {
    /// What the pods of a workload say that they run of a container, as far as anybody asked.
    pub(super) fn in_pods(&self, workload: &Workload, container: &str) -> Result<&InPods, RunningUnknown> {
        match self.pods.get(&workload.uid) {
            None => Err(RunningUnknown::NotAsked),
            Some(Err(problem)) => Err(RunningUnknown::Unreadable(problem.clone())),
            Some(Ok(pods)) => pods.running(container).ok_or(RunningUnknown::NotStarted),
        }
    }
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
            digest: written.and_then(|written| known_as(findings, &BTreeSet::from([written.clone()]))),
            ..Running::default()
        });
    }
    let tag = &watched.demand.tag;
    let Some((record, remote)) = findings
        .tag(tag)
        .and_then(|record| Some((record, record.digest.as_ref()?)))
    else {
        return Err(Verdict::DigestNotRecorded {
            tag: tag.clone(),
            is_newer: false,
        });
    };
    if let Some(written) = written {
        return Ok(Running {
            digest: Some(record.index_of(written).unwrap_or(written).clone()),
            ..Running::default()
        });
    }
    if workload.rollout.wants_no_pods() {
        return Ok(Running {
            nowhere: true,
            ..Running::default()
        });
    }
    let in_pods = snapshot.in_pods(workload, &watched.container);
    let running = in_pods.and_then(|in_pods| followed(in_pods, record, remote));
    running.map_err(Verdict::RunningUnknown)
}

/// The same with what only matters once there is something to update to: whether that is what runs already, under another name
/// (rule 14), and the platforms on which it has to run. Pods and nodes are asked for it where the record says enough of what is
/// offered to hold it against them, and pods not for the sake of platforms that all of it is published for.
pub(super) fn with_surroundings(
    mut running: Running,
    workload: &Workload,
    watched: &Watched,
    findings: &Findings,
    snapshot: &Snapshot,
) -> Result<Running, Verdict> {
    let demand = &watched.demand;
    let compares_tags = !demand.policy.follows_digest();
    let offered = offered(watched, findings);
    let name_matters = compares_tags && watched.image.digest().is_none() && !offered.is_empty();
    let current = findings.tag(&demand.tag).filter(|_| compares_tags);
    let nodes = nodes(&offered, snapshot)?;
    let lacking = nodes.map(|nodes| lacking(workload, &offered, current, nodes));
    let lacking = lacking.unwrap_or_default();
    let pods = match snapshot.pods.get(&workload.uid) {
        _ if workload.rollout.wants_no_pods() => None,
        _ if !name_matters && lacking.iter().all(|(_, needed)| needed.is_some()) => None,
        None => return Err(Verdict::RunningUnknown(RunningUnknown::NotAsked)),
        // The way on is open then: a rollout that was not worth it does no harm, and one that cannot run does not get far.
        Some(Err(_)) => None,
        Some(Ok(pods)) => Some(pods.as_ref()),
    };
    if compares_tags && watched.image.digest().is_none() && !workload.rollout.wants_no_pods() {
        let in_pods = snapshot.in_pods(workload, &watched.container).ok();
        running.exact = in_pods.and_then(|in_pods| known_as(findings, in_pods.told()?));
    }
    if name_matters {
        let next = || {
            current?
                .digest
                .clone()
                .filter(|_| workload.rollout.wants_no_pods())
        };
        running.digest = running.exact.clone().or_else(next);
    }
    let runs_on = |platform: &str| {
        let mut on = pods.into_iter().flat_map(Pods::nodes);
        on.any(|node| nodes.and_then(|nodes| nodes.platform_of(node)) == Some(platform))
    };
    let needed = lacking
        .into_iter()
        .filter(|(platform, needed)| needed.unwrap_or_else(|| runs_on(platform)));
    running.platforms = needed.map(|(platform, _)| platform.to_owned()).collect();
    Ok(running)
}

/// The nodes, where it matters what they are; `None` where it does not, or is for nobody to know.
fn nodes<'a>(offered: &[&TagRecord], snapshot: &'a Snapshot) -> Result<Option<&'a Nodes>, Verdict> {
    if !offered.iter().any(|record| record.known_platforms().is_some()) {
        return Ok(None);
    }
    let unknown = match &snapshot.nodes {
        Some(Ok(nodes)) => return Ok(Some(nodes.as_ref())),
        Some(Err(NodesUnread::NotAllowed)) => return Ok(None),
        Some(Err(NodesUnread::Unreadable(problem))) => RunningUnknown::NodesUnreadable(problem.clone()),
        None => RunningUnknown::NodesNotAsked,
    };
    Err(Verdict::RunningUnknown(unknown))
}

/// The platforms of nodes that a pod may be on, and for which something that is offered is not published, each with whether an
/// update has to run there. `None` where that depends on whether its pods are there now: those nodes may be kept for others.
fn lacking<'a>(
    workload: &Workload,
    offered: &[&TagRecord],
    current: Option<&TagRecord>,
    nodes: &'a Nodes,
) -> Vec<(&'a str, Option<bool>)> {
    let is_for = |published: &BTreeMap<String, Digest>, node: &str| {
        let mut published = published.keys();
        published.any(|image| suits(image, node))
    };
    let published = || offered.iter().filter_map(|record| record.known_platforms());
    let is_lacking = |platform: &str| published().any(|published| !is_for(published, platform));
    let now = current.and_then(TagRecord::known_platforms);
    let by_others = workload.platforms.is_by_others();
    let needed = |platform: &str, is_open: bool| match now {
        Some(now) if !is_for(now, platform) => Some(false),
        Some(_) if is_open && !by_others => Some(true),
        Some(_) | None => None,
    };
    let platforms = nodes.platforms();
    platforms
        .filter(|(platform, _)| workload.platforms.selects(platform) && is_lacking(platform))
        .map(|(platform, is_open)| (platform, needed(platform, is_open)))
        .collect()
}

/// What is recorded of the tags that a container could be given, of those whose image was ever asked.
fn offered<'a>(watched: &'a Watched, findings: &'a Findings) -> Vec<&'a TagRecord> {
    let demand = &watched.demand;
    if demand.policy.follows_digest() {
        let record = findings.tag(&demand.tag).into_iter();
        return record.filter(|record| record.last_known().is_some()).collect();
    }
    // Of many tags these are few, and many workloads are looked at.
    let known = findings
        .tags
        .iter()
        .filter(|record| record.last_known().is_some());
    let known: Vec<&TagRecord> = known.collect();
    if known.is_empty() {
        return known;
    }
    let accepted = candidates(&demand.request(), known.iter().map(|record| &record.tag)).newest_first;
    known
        .into_iter()
        .filter(|record| accepted.contains(&&record.tag))
        .collect()
}

/// The digest by which the record knows the image of all these, of which some may be of one platform: what its tags point at goes before
/// what they pointed at. `None` where they are several.
fn known_as(findings: &Findings, digests: &BTreeSet<Digest>) -> Option<Digest> {
    let first = digests.first()?;
    let found = |index_of: fn(&TagRecord, &Digest) -> Option<Digest>| {
        findings.tags.iter().find_map(|record| {
            let index = index_of(record, first)?;
            let mut rest = digests.iter();
            rest.all(|digest| index_of(record, digest).as_ref() == Some(&index))
                .then_some(index)
        })
    };
    let only = || Some(first.clone()).filter(|_| digests.len() == 1);
    found(|record, digest| record.index_of(digest).cloned())
        .or_else(|| found(|record, digest| record.former_index_of(digest).cloned()))
        .or_else(only)
}

/// Behind if any pod is behind. A container runtime may name the image by its index or by the manifest of its own platform.
fn followed(in_pods: &InPods, record: &TagRecord, remote: &Digest) -> Result<Running, RunningUnknown> {
    let digests = in_pods.digests.iter();
    let behind: BTreeSet<&Digest> = digests
        .filter(|digest| record.index_of(digest).is_none())
        .map(|digest| record.former_index_of(digest).unwrap_or(digest))
        .collect();
    // A pod that was made anew runs what the tag points at by now, and that is no way back.
    let exact = match behind.len() {
        0 => in_pods.only(),
        _ if in_pods.untold => None,
        1 => behind.first().copied(),
        // The tag has pointed at each; one that nobody ever saw it point at is not known to be older or newer.
        _ => {
            let mut former = record.former.iter().map(|former| &former.digest);
            former.find(|digest| behind.contains(digest))
        }
    };
    match behind.first() {
        Some(_) if record.platforms_pending => Err(RunningUnknown::PlatformsPending),
        None if in_pods.untold => Err(RunningUnknown::Untold),
        left => Ok(Running {
            digest: Some(left.copied().unwrap_or(remote).clone()),
            exact: exact.cloned(),
            ..Running::default()
        }),
    }
}
