//! The choice itself: one pass over the published tags, in which every tag is accepted or gets the rule against it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Rejection, Selection, SelectionReason, SelectionRequest, UpdatePolicy};
use crate::domain::reference::Tag;
use crate::domain::tag::{Spelling, TagVersion};

/// Chooses the tag to run: the first of [`candidates`], with the reasons for it and against the others.
///
/// Takes time linear in the number of tags, apart from putting the rejected ones in order. Neither the choice nor the
/// explanation depends on the order of `tags`.
pub fn select<'a>(request: &SelectionRequest<'a>, tags: impl IntoIterator<Item = &'a Tag>) -> Selection {
    let Verdicts {
        accepted,
        mut rejected,
        reason,
    } = judge(request, tags);
    let selected = accepted
        .iter()
        .min_by(|a, b| newest_first(request.current, a, b))
        .map(|candidate| candidate.tag);
    rejected.extend(
        accepted
            .iter()
            .filter(|candidate| Some(candidate.tag) != selected)
            .map(|candidate| (Rejection::Superseded, candidate.tag)),
    );
    let mut by_rule = BTreeMap::<Rejection, Vec<&Tag>>::new();
    for (rejection, tag) in rejected {
        by_rule.entry(rejection).or_default().push(tag);
    }
    let rejected = by_rule.into_iter().map(|(rejection, mut tags)| {
        tags.sort();
        tags.dedup();
        (rejection, tags.into_iter().cloned().collect())
    });
    Selection {
        selected: selected.cloned(),
        reason,
        rejected: rejected.collect(),
    }
}

/// Every tag that the policy accepts as an update, newest first; the order does not depend on that of `tags`.
pub fn candidates<'a>(
    request: &SelectionRequest<'a>,
    tags: impl IntoIterator<Item = &'a Tag>,
) -> Vec<&'a Tag> {
    let accepted = judge(request, tags).accepted;
    let mut newest: Vec<&Candidate<'_>> = accepted.iter().collect();
    newest.sort_by(|a, b| newest_first(request.current, a, b));
    let mut tags: Vec<&Tag> = newest.into_iter().map(|candidate| candidate.tag).collect();
    tags.dedup();
    tags
}

/// An acceptable tag.
struct Candidate<'a> {
    tag: &'a Tag,
    tier: Tier,
    /// Only the digest policy accepts a tag without one.
    version: Option<TagVersion>,
}

/// The fate of every published tag.
struct Verdicts<'a> {
    accepted: Vec<Candidate<'a>>,
    rejected: Vec<(Rejection, &'a Tag)>,
    reason: SelectionReason,
}

fn judge<'a>(request: &SelectionRequest<'a>, tags: impl IntoIterator<Item = &'a Tag>) -> Verdicts<'a> {
    let fixed_components = match request.policy {
        UpdatePolicy::Digest => return judge_digest(request, tags),
        UpdatePolicy::Patch => 2,
        UpdatePolicy::Minor => 1,
        UpdatePolicy::Major => 0,
    };
    match TagVersion::parse(request.current) {
        Some(current) => Ladder {
            request,
            current,
            fixed_components,
        }
        .judge(tags),
        None => Verdicts {
            accepted: Vec::new(),
            rejected: tags
                .into_iter()
                .map(|tag| {
                    (
                        if tag == request.current {
                            Rejection::Current
                        } else {
                            Rejection::CurrentIsNoVersion
                        },
                        tag,
                    )
                })
                .collect(),
            reason: SelectionReason::CurrentIsNoVersion,
        },
    }
}

/// Rule 13: acts only when both digests are known and differ, and the tag stays.
fn judge_digest<'a>(request: &SelectionRequest<'a>, tags: impl IntoIterator<Item = &'a Tag>) -> Verdicts<'a> {
    let reason = match (request.current_digest, request.remote_digest) {
        (Some(current), Some(remote)) if current != remote => SelectionReason::DigestChanged,
        (Some(_), Some(_)) => SelectionReason::DigestUnchanged,
        _ => SelectionReason::DigestUnknown,
    };
    let moves = reason == SelectionReason::DigestChanged;
    let rejected = tags
        .into_iter()
        .filter_map(|tag| match (tag == request.current, moves) {
            (true, true) => None,
            (true, false) => Some((Rejection::Current, tag)),
            (false, _) => Some((Rejection::OtherTag, tag)),
        });
    Verdicts {
        rejected: rejected.collect(),
        accepted: moves
            .then_some(Candidate {
                tag: request.current,
                tier: Tier::Family,
                version: None,
            })
            .into_iter()
            .collect(),
        reason,
    }
}

/// The versions that the current one can be compared with, and how far up the policy lets it go.
struct Ladder<'r, 'a> {
    request: &'r SelectionRequest<'a>,
    current: TagVersion,
    /// How many leading components must stay as they are (rule 8).
    fixed_components: usize,
}

/// How good an acceptable tag is. A lower tier is the answer only for want of any tag in a higher one.
///
/// Acceptability and tier are properties of the one tag. So the answer stays the same when tags are forgotten that were
/// no candidates, which the scan records rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// The current family.
    Family,
    /// The current family; a prerelease of another version, under the marker that the current tag has.
    SameLine,
    /// The current family but for the `v` before its numbers (rule 1).
    OtherSpelling,
}

impl Tier {
    /// Why a tag of this tier is not chosen when there is a better one.
    fn rejection(self) -> Rejection {
        match self {
            Self::Family => Rejection::Superseded,
            Self::SameLine => Rejection::Prerelease,
            Self::OtherSpelling => Rejection::OtherPrefix,
        }
    }
}

impl Ladder<'_, '_> {
    fn judge<'t>(&self, tags: impl IntoIterator<Item = &'t Tag>) -> Verdicts<'t> {
        let mut accepted = Vec::new();
        let mut rejected = Vec::new();
        for tag in tags {
            match self.judge_one(tag) {
                Ok((tier, version)) => accepted.push(Candidate {
                    tag,
                    tier,
                    version: Some(version),
                }),
                Err(rejection) => rejected.push((rejection, tag)),
            }
        }
        let best = accepted.iter().map(|candidate| candidate.tier).min();
        accepted.retain(|candidate| {
            let is_best = Some(candidate.tier) == best;
            if !is_best {
                rejected.push((candidate.tier.rejection(), candidate.tag));
            }
            is_best
        });
        let reason = match best {
            Some(Tier::Family | Tier::SameLine) => SelectionReason::NewerVersion,
            Some(Tier::OtherSpelling) => SelectionReason::NewerVersionOtherSpelling,
            None => SelectionReason::NoNewerVersion,
        };
        Verdicts {
            accepted,
            rejected,
            reason,
        }
    }

    fn judge_one(&self, tag: &Tag) -> Result<(Tier, TagVersion), Rejection> {
        if tag == self.request.current {
            return Err(Rejection::Current);
        }
        // Rules 6, 1, 2, 3 and 7.
        let (version, spelling) = TagVersion::parse_on(tag, self.current.family())?;
        // Rule 9.
        if version.compare_across_families(&self.current) != Ordering::Greater {
            return Err(Rejection::NotNewer);
        }
        // Rule 8. A component that does not exist cannot move, so a short version may be fixed entirely.
        if !self.shares_components(&version, self.fixed_components) {
            return Err(Rejection::OutsideLevel);
        }
        // Rule 10.
        let is_wanted =
            !version.is_prerelease() || self.request.prerelease || self.is_of_current_prerelease(&version);
        match (is_wanted, spelling) {
            (true, Spelling::Same) => Ok((Tier::Family, version)),
            (true, Spelling::OtherV) => Ok((Tier::OtherSpelling, version)),
            (false, Spelling::Same) if self.is_on_current_line(&version) => Ok((Tier::SameLine, version)),
            (false, _) => Err(Rejection::Prerelease),
        }
    }

    fn shares_components(&self, version: &TagVersion, count: usize) -> bool {
        version
            .numbers()
            .iter()
            .zip(self.current.numbers())
            .take(count)
            .all(|(ours, theirs)| ours == theirs)
    }

    /// A later prerelease of the very version that the current tag is a prerelease of.
    fn is_of_current_prerelease(&self, version: &TagVersion) -> bool {
        self.current.is_prerelease() && version.numbers() == self.current.numbers()
    }

    /// A publisher who writes `1.2.2-alpha` and then `1.2.3-alpha`, with no counters, runs a line of that name. It is
    /// followed between patches only: further on, an equal marker is a coincidence.
    fn is_on_current_line(&self, version: &TagVersion) -> bool {
        self.current.is_prerelease()
            && version.stages() == self.current.stages()
            && version.stages().iter().all(|stage| stage.counter().is_empty())
            && self.shares_components(version, 2)
    }
}

/// The newer version first. Of equal versions the one that is spelled like the current tag, then the shorter, then the
/// alphabetically first.
fn newest_first(current: &Tag, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
    let by_version = match (&a.version, &b.version) {
        (Some(a), Some(b)) => b.compare_across_families(a),
        _ => Ordering::Equal,
    };
    by_version
        .then_with(|| is_spelled_like(b.tag, current).cmp(&is_spelled_like(a.tag, current)))
        .then_with(|| a.tag.as_str().len().cmp(&b.tag.as_str().len()))
        .then_with(|| a.tag.cmp(b.tag))
}

/// Whether two tags differ in nothing but their numbers.
fn is_spelled_like(a: &Tag, b: &Tag) -> bool {
    fn text(tag: &Tag) -> impl Iterator<Item = &str> {
        tag.as_str()
            .split(|c: char| c.is_ascii_digit())
            .filter(|text| !text.is_empty())
    }
    text(a).eq(text(b))
}
