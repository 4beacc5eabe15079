//! From one record to the next: what a scan found, laid over what was known.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::choices::Choices;
use super::labels::ImageLabels;
use super::{
    Described, FORMER_PER_TAG, Findings, Former, LABEL_BYTES_PER_RECORD, PLATFORMS_PER_RECORD, REFRESH,
    ScanError, ScanRecord, TAGS_PER_RECORD, TagRecord,
};
use crate::domain::reference::{Digest, Repository, Tag};
use crate::domain::time::{is_of_the_future, whole_seconds};
use crate::domain::watched::Demand;

/// What a registry said of the tags that it was asked about by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Digest and platforms, or `None` where the registry has no such tag.
    pub digests: BTreeMap<Tag, Option<TagDigests>>,
    /// Tags that the registry does not tell the digest of: what was known of them stays.
    pub unresolved: BTreeSet<Tag>,
    /// What images say of themselves, of those that were asked.
    pub labels: BTreeMap<Tag, ImageLabels>,
    /// What they were found to be, of those whose digest nobody needs.
    pub described: BTreeMap<Tag, TagDigests>,
}

/// What one tag points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDigests {
    pub digest: Digest,
    /// `None` where the registry could not be asked for them now.
    pub platforms: Option<BTreeMap<String, Digest>>,
}

/// Whether any of these demands needs a digest.
pub fn needs_digests(demands: &BTreeSet<Demand>) -> bool {
    demands
        .iter()
        .any(|demand| demand.pinned || demand.policy.follows_digest())
}

/// Whether any of these demands needs the list of tags.
pub fn needs_list(demands: &BTreeSet<Demand>) -> bool {
    demands.iter().any(|demand| !demand.policy.follows_digest())
}

/// The record after a complete scan at `now`.
pub fn complete(
    previous: Option<&ScanRecord>,
    repository: Repository,
    choices: Choices,
    answer: &Answer,
    now: Timestamp,
) -> ScanRecord {
    let now = whole_seconds(now);
    let known = previous.and_then(|record| record.findings.as_ref());
    let resolved = |tag: &Tag| matches!(answer.digests.get(tag), Some(Some(_)));
    let mut room = Room {
        platforms: PLATFORMS_PER_RECORD,
        label_bytes: LABEL_BYTES_PER_RECORD,
    };
    let kept = choices.to_keep(resolved);
    let followed = choices.followed();
    let left_out = known.iter().flat_map(|findings| &findings.tags);
    let left_out =
        left_out.filter(|record| answer.unresolved.contains(&record.tag) && !kept.contains(&&record.tag));
    let kept = kept.iter().map(|tag| {
        let mut record = tag_record((*tag).clone(), known, answer, now);
        if followed.contains(tag)
            && let Some(before) = known.and_then(|findings| findings.tag(tag))
        {
            record.former = former(before, record.digest.as_ref());
        }
        record
    });
    let mut kept: Vec<TagRecord> = kept
        .chain(left_out.cloned())
        .take(TAGS_PER_RECORD)
        .map(|record| room.take(record))
        .collect();
    // What was comes behind all that is.
    for record in &mut kept {
        room.take_former(record);
    }
    let findings = Findings {
        scanned_at: now,
        tag_count: choices.tag_count(),
        scanned_for: choices.into_demands(),
        tags: kept,
    };
    ScanRecord {
        repository,
        findings: Some(findings),
        last_error: None,
    }
}

/// What a record still has room for.
struct Room {
    platforms: usize,
    label_bytes: usize,
}

impl Room {
    /// Leaves out of a tag's record what there is no room for.
    fn take(&mut self, mut record: TagRecord) -> TagRecord {
        self.take_platforms(&mut record.platforms);
        if let Some(described) = &mut record.described {
            self.take_platforms(&mut described.platforms);
        }
        let size = record.labels.as_ref().map_or(0, |labels| labels.size());
        match self.label_bytes.checked_sub(size) {
            Some(left) => self.label_bytes = left,
            // Asked, and nothing to say: it is not asked again.
            None => record.labels = Some(Box::default()),
        }
        record
    }

    /// Leaves out of what a tag pointed at before what there is no room for.
    fn take_former(&mut self, record: &mut TagRecord) {
        let former = std::mem::take(&mut record.former);
        let kept = former.into_iter().map_while(|mut former| {
            self.label_bytes = self.label_bytes.checked_sub(former.size())?;
            self.take_platforms(&mut former.platforms);
            Some(former)
        });
        record.former = kept.collect();
    }

    fn take_platforms(&mut self, platforms: &mut BTreeMap<String, Digest>) {
        match self.platforms.checked_sub(platforms.len()) {
            Some(left) => self.platforms = left,
            None => platforms.clear(),
        }
    }
}

/// What a tag that points at this digest now pointed at before.
fn former(before: &TagRecord, now: Option<&Digest>) -> Box<[Former]> {
    let moved = now.is_some_and(|now| before.pointed_elsewhere(now));
    let left = || {
        Some(Former {
            digest: before.digest.clone()?,
            version: before.labels.as_deref().and_then(|labels| labels.version.clone()),
            platforms: before.platforms.clone(),
        })
    };
    let left = moved.then(left).flatten();
    let earlier = before.former.iter().cloned();
    let earlier = earlier.filter(|former| Some(&former.digest) != now);
    left.into_iter().chain(earlier).take(FORMER_PER_TAG).collect()
}

fn tag_record(tag: Tag, known: Option<&Findings>, answer: &Answer, now: Timestamp) -> TagRecord {
    let before = known.and_then(|findings| findings.tag(&tag));
    let resolved = answer.digests.get(&tag).and_then(Option::as_ref);
    let points_elsewhere =
        |record: &TagRecord| resolved.is_some_and(|resolved| record.pointed_elsewhere(&resolved.digest));
    let digest_first_seen = resolved.map(|resolved| {
        let same = before.filter(|record| record.digest.as_ref() == Some(&resolved.digest));
        let since = |record: &TagRecord| record.digest_first_seen.or(Some(known?.scanned_at));
        // A clock that was ahead is put right by the next one that is not.
        same.and_then(since).map_or(now, |since| since.min(now))
    });
    let labels_before = before.filter(|record| !points_elsewhere(record));
    let labels_before = labels_before.and_then(|record| record.labels.as_deref());
    let described = answer.described.get(&tag).map(|found| {
        Box::new(Described {
            at: now,
            digest: found.digest.clone(),
            platforms: found.platforms.clone().unwrap_or_default(),
        })
    });
    let described = described.or_else(|| before?.described.clone());
    TagRecord {
        // What is looked up in each scan is known better.
        described: described.filter(|_| resolved.is_none()),
        labels: answer.labels.get(&tag).or(labels_before).cloned().map(Box::new),
        first_seen: before.map_or(now, |record| record.first_seen.min(now)),
        digest: resolved.map(|resolved| resolved.digest.clone()),
        digest_first_seen,
        platforms: resolved
            .and_then(|resolved| resolved.platforms.clone())
            .unwrap_or_default(),
        platforms_pending: resolved.is_some_and(|resolved| resolved.platforms.is_none()),
        former: Box::default(),
        tag,
    }
}

/// The record after an attempt that failed: the findings stay.
pub fn failed(previous: Option<&ScanRecord>, repository: Repository, error: ScanError) -> ScanRecord {
    let findings = previous.and_then(|record| record.findings.clone());
    let next = ScanRecord {
        repository,
        findings,
        last_error: None,
    };
    with_error(previous, next, error)
}

/// With an error that says since when it fails this way.
pub fn with_error(previous: Option<&ScanRecord>, next: ScanRecord, error: ScanError) -> ScanRecord {
    let before = previous.and_then(|record| record.last_error.as_ref());
    let since = before
        .filter(|before| before.class == error.class)
        .map_or(error.since, |before| before.since);
    ScanRecord {
        last_error: Some(ScanError { since, ..error }),
        ..next
    }
}

/// Whether `next` is worth a write: something changed, or the time of the scan has grown old, or is one that has yet to come.
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
        || is_of_the_future(before.scanned_at, after.scanned_at)
}

#[cfg(test)]
mod tests;
