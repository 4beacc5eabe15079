//! The scan record: what the scanner found out about one repository, and all the updater may decide by.
//!
//! Findings are those of the last *complete* scan. An attempt that failed leaves them as they were and adds its error,
//! so half a list can never pass for a shorter one. `config_map` gives the stored form, `scan` makes one record from another.

pub mod choices;
pub mod config_map;
pub mod labels;
pub mod outbox;
pub mod registry_accounts;
pub mod rejected_logins;
pub mod release_notes;
pub mod run;
pub mod scan;
mod single;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use self::labels::ImageLabels;
use super::policy::{Offer, SelectionRequest, candidates};
use super::reference::{Digest, Repository, Tag};
use super::tag::TagVersion;
use super::watched::Demand;

/// How many candidates a record keeps for one demand, newest first. Enough for any minimum age to find a mature one,
/// and few enough that a record stays legible.
pub const CANDIDATES_PER_DEMAND: usize = 50;

/// How many tags a record holds at most, whatever is asked of it: a full record stays under 400 KiB, and a ConfigMap may
/// have 1 MiB.
pub const TAGS_PER_RECORD: usize = 1000;

/// How many platforms a record names at most, all tags together; tags beyond that are kept without theirs. It is for the
/// registry to say how many an image has.
pub const PLATFORMS_PER_RECORD: usize = 2000;

/// How many bytes the labels of its images may take in a record, and what its tags pointed at before, all tags together; tags
/// beyond that are kept without theirs.
pub const LABEL_BYTES_PER_RECORD: usize = 64 << 10;

/// How many of the images that a tag pointed at before a record keeps, newest first: what runs is one of the last few.
pub const FORMER_PER_TAG: usize = 5;

/// How old the stored time of a scan may grow before it is renewed although nothing else changed.
pub const REFRESH: SignedDuration = SignedDuration::from_hours(1);

/// How long a record is kept that nobody asks for any more: a workload that comes back finds the times at which its tags
/// were seen first.
pub const KEPT_OUT_OF_USE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is known of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRecord {
    pub repository: Repository,
    /// Of the last complete scan; `None` until there was one.
    pub findings: Option<Findings>,
    /// Of the last attempt, if it failed.
    pub last_error: Option<ScanError>,
}

/// What a complete scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    pub scanned_at: Timestamp,
    /// How many tags the repository publishes; `None` when nobody asked for its list.
    pub tag_count: Option<usize>,
    pub scanned_for: BTreeSet<Demand>,
    /// Tags in use and their candidates, newest first within a demand.
    pub tags: Vec<TagRecord>,
}

/// How long what a candidate was found to be is believed, where its digest is not looked up in each scan.
pub const DESCRIPTION_LASTS: SignedDuration = SignedDuration::from_hours(6);

/// What a candidate was found to be when its image was asked what it says of itself. It may point elsewhere by now, so that
/// nothing is written by this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Described {
    pub at: Timestamp,
    pub digest: Digest,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, Digest>,
}

/// What a tag that is followed by its digest pointed at before: whoever still runs it can be told what has come since, where its image
/// said its version, and has it to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Former {
    pub digest: Digest,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A pod may name its image by the manifest of its platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, Digest>,
}

impl Former {
    /// How much room it takes in a record without its platforms, in bytes.
    fn size(&self) -> usize {
        let texts = [self.digest.as_str(), self.version.as_deref().unwrap_or_default()];
        // Each stands in a line of its own, under a name and quoted.
        20 + texts.map(|text| text.len() + 20).iter().sum::<usize>()
    }
}

/// What is known of one tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TagRecord {
    pub tag: Tag,
    /// When our own scanner saw it first, which no publisher can set.
    pub first_seen: Timestamp,
    /// What the tag points at: an index for several platforms, or a single manifest. Known where somebody needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// When our own scanner saw first that it points there, without a scan in between that saw it elsewhere or did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_first_seen: Option<Timestamp>,
    /// The manifest of each platform, as `os/architecture[/variant]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, Digest>,
    /// To learn the platforms would have cost a pull that the registry's limit did not have left; a later scan asks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platforms_pending: bool,
    /// What its image says of itself; known where a demand could move to the tag, and `None` before it was asked.
    /// Boxed, because few of the many tags of a record have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Box<ImageLabels>>,
    /// Of a candidate whose digest nobody needs, what it was found to be when its image was asked. Boxed for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Box<Described>>,
    /// Where a demand follows its digest, what it pointed at before, newest first; at most [`FORMER_PER_TAG`].
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub former: Box<[Former]>,
}

impl TagRecord {
    /// What it points at and the manifests of its platforms, or did when somebody looked last.
    pub fn last_known(&self) -> Option<(&Digest, &BTreeMap<String, Digest>)> {
        let now = self.digest.as_ref().map(|digest| (digest, &self.platforms));
        let described = || {
            let described = self.described.as_deref()?;
            Some((&described.digest, &described.platforms))
        };
        now.or_else(described)
    }

    /// The index of which this is a platform's manifest, or this itself, if that is what the tag points at, or did when somebody looked
    /// last.
    pub fn index_of(&self, digest: &Digest) -> Option<&Digest> {
        let (index, platforms) = self.last_known()?;
        is_of(digest, index, platforms).then_some(index)
    }

    /// The same of what the tag pointed at before.
    pub fn former_index_of(&self, digest: &Digest) -> Option<&Digest> {
        let mut former = self.former.iter();
        let former = former.find(|former| is_of(digest, &former.digest, &former.platforms))?;
        Some(&former.digest)
    }

    /// Whether the tag is known to point at something else than this image.
    pub fn has_left(&self, digest: &Digest) -> bool {
        self.last_known().is_some() && !self.platforms_pending && self.index_of(digest).is_none()
    }

    /// Whether it was found to point at another digest than this one, so that nothing else that was found of its image counts.
    fn pointed_elsewhere(&self, digest: &Digest) -> bool {
        self.digest.as_ref().is_some_and(|before| before != digest)
    }

    /// The image of this digest, which may be that of one platform, if the tag points at it or did: its digest, and the version
    /// that it says it is.
    pub fn image_of(&self, digest: &Digest) -> Option<(&Digest, Option<&str>)> {
        let version = self
            .labels
            .as_deref()
            .and_then(|labels| labels.version.as_deref());
        let now = self
            .digest
            .as_ref()
            .map(|index| (index, &self.platforms, version));
        let former = self
            .former
            .iter()
            .map(|former| (&former.digest, &former.platforms, former.version.as_deref()));
        let is_it = |index: &Digest, platforms: &BTreeMap<String, Digest>| {
            index == digest || platforms.values().any(|image| image == digest)
        };
        let mut images = now.into_iter().chain(former);
        let found = images.find(|(index, platforms, _)| is_it(index, platforms));
        found.map(|(index, _, version)| (index, version))
    }

    /// The manifests of its platforms, if they are known.
    pub fn known_platforms(&self) -> Option<&BTreeMap<String, Digest>> {
        let (_, platforms) = self.last_known()?;
        Some(platforms).filter(|platforms| !platforms.is_empty())
    }
}

/// Whether this is an image or its manifest for one of these platforms.
fn is_of(digest: &Digest, index: &Digest, platforms: &BTreeMap<String, Digest>) -> bool {
    digest == index || platforms.values().any(|image| image == digest)
}

impl<'a> From<&'a TagRecord> for Offer<'a> {
    fn from(record: &'a TagRecord) -> Self {
        Self {
            tag: &record.tag,
            first_seen: Some(record.first_seen),
            digest: record.digest.as_ref(),
            digest_first_seen: record.digest_first_seen,
            last_digest: record.last_known().map(|(digest, _)| digest),
            platforms: record.known_platforms(),
        }
    }
}

/// Why the last attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanError {
    /// A word for machines, such as `rate-limited` or `timeout`.
    pub class: String,
    /// A sentence for people.
    pub message: String,
    /// When it began to fail this way.
    pub since: Timestamp,
    /// Before this the registry is not to be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Timestamp>,
}

impl ScanRecord {
    /// Whether nothing has been heard of the repository for so long that a record which nobody asks for can go.
    pub fn is_out_of_use(&self, now: Timestamp) -> bool {
        let scanned = self.findings.as_ref().map(|findings| findings.scanned_at);
        let failed = self.last_error.as_ref().map(|error| error.since);
        let last = scanned.into_iter().chain(failed).max();
        last.is_none_or(|last| now.duration_since(last) >= KEPT_OUT_OF_USE)
    }
}

impl Findings {
    /// The record of a tag.
    pub fn tag(&self, tag: &Tag) -> Option<&TagRecord> {
        self.tags.iter().find(|record| record.tag == *tag)
    }

    /// The tags, as they are offered to a policy. What a version before this one wrote does not say since when a digest is
    /// known; it was at this scan.
    pub fn offers(&self) -> impl Iterator<Item = Offer<'_>> {
        self.tags.iter().map(|record| {
            let offer = Offer::from(record);
            let by_this_scan = offer.digest.map(|_| self.scanned_at);
            Offer {
                digest_first_seen: offer.digest_first_seen.or(by_this_scan),
                ..offer
            }
        })
    }

    /// Whether the scan looked for what `demand` asks. It also did if it looked for more, and, for a release, if it looked on
    /// behalf of an older tag of the same policy and kept this one: then everything newer was kept with it.
    pub fn covers(&self, demand: &Demand) -> bool {
        if self.scanned_for.contains(demand) {
            return true;
        }
        let may_stand_in = may_stand_in(demand) && self.tag(&demand.tag).is_some();
        self.scanned_for.iter().any(|scanned| {
            scanned.policy == demand.policy
                && scanned.has_digests_for(demand)
                && (scanned.tag == demand.tag || (may_stand_in && scanned.chose(demand, self)))
        })
    }

    /// The tags that the policy of `demand` accepts, newest first.
    pub fn candidates<'a>(&'a self, demand: &'a Demand) -> Vec<&'a Tag> {
        candidates(&demand.request(), self.tags.iter().map(|record| &record.tag)).newest_first
    }
}

/// Whether what was kept for an older tag of the same policy may do for this one: not for a prerelease, from which the
/// others of its version can be reached.
fn may_stand_in(demand: &Demand) -> bool {
    let is_prerelease = || TagVersion::parse(&demand.tag).is_some_and(|version| version.is_prerelease());
    !demand.policy.follows_digest() && !is_prerelease()
}

impl Demand {
    /// As a question to the policy.
    pub fn request(&self) -> SelectionRequest<'_> {
        SelectionRequest::new(&self.tag, &self.policy)
    }

    /// Whether what is kept for us has the digests that `other` needs. Under the policy `digest` there is one, however the image
    /// is written: the first update of a tag that moves writes it, and asks nothing new by that.
    fn has_digests_for(&self, other: &Demand) -> bool {
        self.pinned || !other.pinned || self.policy.follows_digest()
    }

    /// Whether the tag of `other` was a candidate of ours. What is none by itself is none among others, which spares
    /// most questions the whole list.
    fn chose(&self, other: &Demand, findings: &Findings) -> bool {
        !candidates(&self.request(), [&other.tag]).newest_first.is_empty()
            && findings.candidates(self).contains(&&other.tag)
    }
}
