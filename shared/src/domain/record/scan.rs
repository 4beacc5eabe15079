//! From one record to the next: what a scan found, laid over what was known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    CANDIDATES_PER_DEMAND, Findings, PLATFORMS_PER_RECORD, REFRESH, ScanError, ScanRecord, TAGS_PER_RECORD,
    TagRecord,
};
use crate::domain::policy::{Candidates, candidates};
use crate::domain::reference::{Digest, Repository, Tag};
use crate::domain::time::whole_seconds;
use crate::domain::watched::Demand;

/// What a registry said of one repository, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Every published tag; `None` when no demand needed the list.
    pub published: Option<Vec<Tag>>,
    /// What was asked by name: digest and platforms, or `None` where the registry has no such tag.
    pub digests: BTreeMap<Tag, Option<TagDigests>>,
}

/// What one tag points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDigests {
    pub digest: Digest,
    /// `None` where the registry could not be asked for them now.
    pub platforms: Option<BTreeMap<String, Digest>>,
}

/// The tags whose digest a scan for these demands needs, once the list is known: the tag itself under `digest`, and the
/// chosen one where the image is written with a digest.
pub fn tags_to_resolve(demands: &BTreeSet<Demand>, published: &[Tag]) -> BTreeSet<Tag> {
    let mut tags = BTreeSet::new();
    for demand in demands {
        if demand.policy.follows_digest() {
            tags.insert(demand.tag.clone());
        } else if demand.pinned {
            tags.extend(
                candidates(&demand.request(), published)
                    .newest_first
                    .into_iter()
                    .next()
                    .cloned(),
            );
        }
    }
    tags
}

/// Whether any of these demands needs the list of tags.
pub fn needs_list(demands: &BTreeSet<Demand>) -> bool {
    demands.iter().any(|demand| !demand.policy.follows_digest())
}

/// The record after a complete scan at `now`.
pub fn complete(
    previous: Option<&ScanRecord>,
    repository: Repository,
    demands: BTreeSet<Demand>,
    answer: &Answer,
    now: Timestamp,
) -> ScanRecord {
    let now = whole_seconds(now);
    let known = previous.and_then(|record| record.findings.as_ref());
    let mut room = PLATFORMS_PER_RECORD;
    let kept = tags_to_keep(&demands, answer)
        .into_iter()
        .map(|tag| {
            let mut record = tag_record(tag, known, answer, now);
            match room.checked_sub(record.platforms.len()) {
                Some(left) => room = left,
                None => record.platforms.clear(),
            }
            record
        })
        .collect();
    let findings = Findings {
        scanned_at: now,
        tag_count: answer.published.as_ref().map(Vec::len),
        scanned_for: demands,
        tags: kept,
    };
    ScanRecord {
        repository,
        findings: Some(findings),
        last_error: None,
    }
}

/// Tags in use first, so that no number of candidates can push them out, then for each demand what decides its choice, then
/// its second newest candidate, and so on: many demands, or those of one workload, cannot leave another without its choice.
fn tags_to_keep(demands: &BTreeSet<Demand>, answer: &Answer) -> Vec<Tag> {
    let published = answer.published.as_deref().unwrap_or_default();
    let set: BTreeSet<&Tag> = published.iter().collect();
    let exists = |tag: &Tag| set.contains(tag) || matches!(answer.digests.get(tag), Some(Some(_)));
    let wanted: Vec<Wanted<'_>> = demands
        .iter()
        .filter(|demand| !demand.policy.follows_digest())
        .map(|demand| Wanted::of(demand, published))
        .collect();
    let in_use: BTreeSet<&Tag> = demands
        .iter()
        .map(|demand| &demand.tag)
        .filter(|tag| exists(tag))
        .take(TAGS_PER_RECORD)
        .collect();
    let by_rank = (0..CANDIDATES_PER_DEMAND)
        .flat_map(|rank| wanted.iter().map(move |wanted| wanted.of_rank(rank)))
        .flatten();
    let mut kept = in_use;
    for tag in by_rank {
        if kept.len() >= TAGS_PER_RECORD {
            break;
        }
        kept.insert(tag);
    }
    // In the order in which a reader looks for them.
    let newest_first = wanted
        .iter()
        .flat_map(|wanted| wanted.newest_first.iter().copied());
    let witnesses = wanted.iter().flat_map(|wanted| wanted.witnesses.iter().copied());
    let mut written = BTreeSet::new();
    newest_first
        .chain(demands.iter().map(|demand| &demand.tag))
        .chain(witnesses)
        .filter(|tag| kept.contains(tag) && written.insert(*tag))
        .cloned()
        .collect()
}

/// What one demand would have kept.
struct Wanted<'a> {
    /// At most [`CANDIDATES_PER_DEMAND`].
    newest_first: Vec<&'a Tag>,
    witnesses: Vec<&'a Tag>,
}

impl<'a> Wanted<'a> {
    fn of(demand: &'a Demand, published: &'a [Tag]) -> Self {
        let Candidates {
            mut newest_first,
            witnesses,
        } = candidates(&demand.request(), published);
        newest_first.truncate(CANDIDATES_PER_DEMAND);
        Self {
            newest_first,
            witnesses,
        }
    }

    /// The candidate of this rank; with the first of them everything else that bears on the choice.
    fn of_rank(&self, rank: usize) -> Vec<&'a Tag> {
        let witnesses = self.witnesses.iter().filter(|_| rank == 0);
        self.newest_first
            .get(rank)
            .into_iter()
            .chain(witnesses)
            .copied()
            .collect()
    }
}

fn tag_record(tag: Tag, known: Option<&Findings>, answer: &Answer, now: Timestamp) -> TagRecord {
    let before = known.and_then(|findings| findings.tag(&tag));
    let resolved = answer.digests.get(&tag).and_then(Option::as_ref);
    TagRecord {
        first_seen: before.map_or(now, |record| record.first_seen),
        digest: resolved.map(|resolved| resolved.digest.clone()),
        platforms: resolved
            .and_then(|resolved| resolved.platforms.clone())
            .unwrap_or_default(),
        platforms_pending: resolved.is_some_and(|resolved| resolved.platforms.is_none()),
        tag,
    }
}

/// The record after an attempt that failed: the findings stay, the error says since when it fails this way.
pub fn failed(previous: Option<&ScanRecord>, repository: Repository, error: ScanError) -> ScanRecord {
    let before = previous.and_then(|record| record.last_error.as_ref());
    let since = before
        .filter(|before| before.class == error.class)
        .map_or(error.since, |before| before.since);
    ScanRecord {
        repository,
        findings: previous.and_then(|record| record.findings.clone()),
        last_error: Some(ScanError { since, ..error }),
    }
}

/// Whether `next` is worth a write: something changed, or the time of the scan has grown old.
pub fn worth_writing(previous: Option<&ScanRecord>, next: &ScanRecord) -> bool {
    let Some(previous) = previous else { return true };
    let (Some(before), Some(after)) = (&previous.findings, &next.findings) else {
        return previous != next;
    };
    let same_but_time = Findings {
        scanned_at: before.scanned_at,
        ..after.clone()
    } == *before;
    previous.last_error != next.last_error
        || !same_but_time
        || after.scanned_at.duration_since(before.scanned_at) >= REFRESH
}

#[cfg(test)]
mod tests;
