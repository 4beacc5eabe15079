//! What demands choose among the published tags of a repository: all that a scan needs of a list, which may be very long.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::scan::TagDigests;
use super::{CANDIDATES_PER_DEMAND, DESCRIPTION_LASTS, Described, Findings, TAGS_PER_RECORD};
use crate::domain::policy::{
    Candidates, Conditions, Hold, Maturity, Offer, SelectionRequest, newest_candidates, select,
};
use crate::domain::reference::Tag;
use crate::domain::watched::{Demand, Watched};

/// How many images are asked what they say of themselves in one scan of a repository; the others have to wait for the next.
const DESCRIBED_AT_ONCE: usize = 10;

/// How many holds of a container are regarded: people write a few, and each is kept until the scan.
const MOST_HELD: usize = 100;

/// What the demands on one repository choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    of: BTreeMap<Demand, Choice>,
    /// How many tags are published; `None` when no demand needed the list.
    tag_count: Option<usize>,
    /// Tags in use that are published.
    listed: BTreeSet<Tag>,
}

/// What a container holds against tags although its policy would have them. Where it is to be written with a digest, that of what
/// it would be given all the same has to be known.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reserve {
    pub min_age: Option<SignedDuration>,
    pub held: Vec<Hold>,
}

impl Reserve {
    /// Of a container for whose sake another digest than that of the newest candidate may be needed. Not of one that holds more
    /// than anybody does: what it would be given can then wait until nothing newer is held.
    pub fn of(watched: &Watched) -> Option<Self> {
        let Watched { demand, settings, .. } = watched;
        let reserve = Self {
            min_age: settings.min_age,
            held: settings.held.to_vec(),
        };
        let needs_digests = demand.pinned && !demand.policy.follows_digest();
        let is_short = reserve.held.len() <= MOST_HELD;
        (needs_digests && is_short && reserve != Self::default()).then_some(reserve)
    }
}

/// What one demand would have kept; nothing where it follows a digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Choice {
    /// At most [`CANDIDATES_PER_DEMAND`].
    newest_first: Vec<Tag>,
    witnesses: Vec<Tag>,
}

impl Choices {
    /// `published` is every tag of the repository; `None` when no demand needs the list.
    pub fn among(demands: BTreeSet<Demand>, published: Option<&[Tag]>) -> Self {
        let all = published.unwrap_or_default();
        let in_use: HashSet<&Tag> = demands.iter().map(|demand| &demand.tag).collect();
        let listed = all.iter().filter(|tag| in_use.contains(tag)).cloned().collect();
        let choose = |demand: Demand| {
            let choice = Choice::of(&demand, all);
            (demand, choice)
        };
        Self {
            tag_count: published.map(<[Tag]>::len),
            listed,
            of: demands.into_iter().map(choose).collect(),
        }
    }

    /// The tags whose digest the demands need: the tag itself under `digest`, and the chosen one where the image is written
    /// with a digest.
    pub fn to_resolve(&self) -> BTreeSet<Tag> {
        let needed = self.of.iter().filter_map(|(demand, choice)| choice.needs(demand));
        needed.cloned().collect()
    }

    /// What a demand could be given where something is held against its tags.
    pub fn candidates(&self, demand: &Demand) -> &[Tag] {
        self.of.get(demand).map_or(&[], |choice| &choice.newest_first)
    }

    /// What a demand would be given in spite of this reserve: at `now`, and once the next tag is old enough. What the tags point
    /// at is what this scan has found so far, so that the answer does not depend on what another scan looked up.
    pub fn with_reserve(
        &self,
        (demand, reserve): &(Demand, Reserve),
        known: Option<&Findings>,
        found: &BTreeMap<Tag, Option<TagDigests>>,
        now: Timestamp,
    ) -> Vec<Tag> {
        let offer = |tag| {
            let record = known.and_then(|findings| findings.tag(tag));
            let found = found.get(tag).and_then(Option::as_ref);
            Offer {
                first_seen: Some(record.map_or(now, |record| record.first_seen)),
                digest: found.map(|found| &found.digest),
                platforms: found.and_then(|found| found.platforms.as_ref()),
                ..Offer::from(tag)
            }
        };
        // Whether a tag still is the image that is held shows when its digest was looked up.
        let is_known = |hold: &&Hold| !matches!(hold, Hold::Image(tag, _) if !found.contains_key(tag));
        let held: Vec<Hold> = reserve.held.iter().filter(is_known).cloned().collect();
        let at = |now| {
            let request = SelectionRequest {
                conditions: Conditions {
                    maturity: reserve.min_age.map(|min_age| Maturity { min_age, now }),
                    held: &held,
                    ..Conditions::default()
                },
                ..demand.request()
            };
            select(&request, self.candidates(demand).iter().map(offer))
        };
        let selection = at(now);
        let coming = selection.matures_at.and_then(|then| at(then).update().cloned());
        selection.update().cloned().into_iter().chain(coming).collect()
    }

    /// Leaves out the demands that need the digest of one of these tags, because the registry does not tell it. `false`: no
    /// demand is left.
    pub fn leave_out(&mut self, unresolved: &BTreeSet<Tag>) -> bool {
        let is_answered = |tag: Option<&Tag>| tag.is_none_or(|tag| !unresolved.contains(tag));
        self.of.retain(|demand, choice| is_answered(choice.needs(demand)));
        !self.of.is_empty()
    }

    /// The tags that demands follow or could move to now, and whose images were not asked yet what they say of themselves, or
    /// not for so long that they may be others by now. `found` is what this scan has found them to point at.
    pub fn to_describe(
        &self,
        known: Option<&Findings>,
        found: &BTreeMap<Tag, Option<TagDigests>>,
        now: Timestamp,
    ) -> BTreeSet<Tag> {
        let is_described = |tag: &Tag| {
            let record = known.and_then(|findings| findings.tag(tag));
            let lasts = |described: &Described| now.duration_since(described.at) < DESCRIPTION_LASTS;
            let found = found.get(tag).and_then(Option::as_ref);
            record.is_some_and(|record| {
                record.labels.is_some()
                    && record.described.as_deref().is_none_or(lasts)
                    && !found.is_some_and(|found| record.pointed_elsewhere(&found.digest))
            })
        };
        let offered = self.of.iter().filter_map(|(demand, choice)| {
            if demand.policy.follows_digest() {
                return Some(&demand.tag);
            }
            choice
                .newest_first
                .first()
                .filter(|newest| **newest != demand.tag)
        });
        let offered = offered.filter(|tag| !is_described(tag));
        let mut to_describe: BTreeSet<Tag> = offered.cloned().collect();
        while to_describe.len() > DESCRIBED_AT_ONCE {
            to_describe.pop_first();
        }
        to_describe
    }

    /// The tags whose digest somebody follows.
    pub(super) fn followed(&self) -> BTreeSet<&Tag> {
        let demands = self.of.keys();
        let followed = demands.filter(|demand| demand.policy.follows_digest());
        followed.map(|demand| &demand.tag).collect()
    }

    pub(super) fn tag_count(&self) -> Option<usize> {
        self.tag_count
    }

    pub(super) fn into_demands(self) -> BTreeSet<Demand> {
        self.of.into_keys().collect()
    }

    /// Tags in use first, so that no number of candidates can push them out, then for each demand what decides its choice, then
    /// its second newest candidate, and so on: many demands, or those of one workload, cannot leave another without its choice.
    /// `resolved` are tags that are known to exist whether they are listed or not.
    pub(super) fn to_keep(&self, resolved: impl Fn(&Tag) -> bool) -> Vec<&Tag> {
        let in_use = self
            .of
            .keys()
            .map(|demand| &demand.tag)
            .filter(|tag| self.listed.contains(*tag) || resolved(tag));
        let by_rank = (0..CANDIDATES_PER_DEMAND)
            .flat_map(|rank| self.of.values().flat_map(move |choice| choice.of_rank(rank)));
        let mut kept: BTreeSet<&Tag> = in_use.take(TAGS_PER_RECORD).collect();
        for tag in by_rank {
            if kept.len() >= TAGS_PER_RECORD {
                break;
            }
            kept.insert(tag);
        }
        // In the order in which a reader looks for them.
        let newest_first = self.of.values().flat_map(|choice| &choice.newest_first);
        let witnesses = self.of.values().flat_map(|choice| &choice.witnesses);
        let mut written = BTreeSet::new();
        newest_first
            .chain(self.of.keys().map(|demand| &demand.tag))
            .chain(witnesses)
            .filter(|tag| kept.contains(tag) && written.insert(*tag))
            .collect()
    }
}

impl Choice {
    fn of(demand: &Demand, published: &[Tag]) -> Self {
        if demand.policy.follows_digest() {
            return Self::default();
        }
        let Candidates {
            newest_first,
            witnesses,
        } = newest_candidates(&demand.request(), published, CANDIDATES_PER_DEMAND);
        Self {
            newest_first: newest_first.into_iter().cloned().collect(),
            witnesses: witnesses.into_iter().cloned().collect(),
        }
    }

    /// The tag whose digest the demand cannot do without.
    fn needs<'a>(&'a self, demand: &'a Demand) -> Option<&'a Tag> {
        if demand.policy.follows_digest() {
            Some(&demand.tag)
        } else {
            self.newest_first.first().filter(|_| demand.pinned)
        }
    }

    /// The candidate of this rank; with the first of them everything else that bears on the choice.
    fn of_rank(&self, rank: usize) -> impl Iterator<Item = &Tag> {
        let witnesses = self.witnesses.iter().filter(move |_| rank == 0);
        self.newest_first.get(rank).into_iter().chain(witnesses)
    }
}
