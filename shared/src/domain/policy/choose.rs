//! The choice itself: one pass over the published tags, in which every tag is accepted or gets the rule against it.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::hold::HoldUnderPolicy;
use super::key::Key;
use super::offer::Offer;
use super::ranking::{Candidate, Ranking};
use super::ruler::{Ruler, Tier};
use super::selection::{Rejection, Rejections, Selection, SelectionReason, SelectionRequest, Successor};
use super::successor::successor;
use crate::domain::reference::Tag;

/// Chooses the tag to run: the first of [`candidates`] that meets the conditions, with the reasons for it and against
/// the others.
///
/// Takes time linear in the number of tags, apart from putting the rejected ones in order. Neither the choice nor the
/// explanation depends on the order of `offers`.
pub fn select<'a, O: Into<Offer<'a>>>(
    request: &SelectionRequest<'a>,
    offers: impl IntoIterator<Item = O>,
) -> Selection<'a> {
    let mut verdicts = Verdicts::of(request, offers, usize::MAX);
    let refusals = verdicts.apply_conditions(request);
    let newest = verdicts.newest();
    let selected = newest.map(|newest| newest.offer.tag);
    let matures_at = verdicts.next_to_mature(&refusals, newest);
    let successor = verdicts.successor(newest);
    let reason = match selected {
        Some(_) => verdicts.reason,
        // Where anything was allowed, all of it was refused.
        None => refusals
            .iter()
            .min_by(|a, b| verdicts.newest_first(&a.candidate, &b.candidate))
            .map_or(verdicts.reason, |newest| newest.rule.reason()),
    };
    let pinned = request.current.filter(|_| reason == SelectionReason::Pinned);
    let selected = selected.or(pinned);
    let superseded = verdicts
        .accepted
        .iter()
        .map(|candidate| (Rejection::Superseded, candidate.offer.tag));
    let refused = refusals
        .iter()
        .map(|refusal| (refusal.rule.rejection(), refusal.candidate.offer.tag));
    let mut rejected = verdicts.rejected;
    rejected.extend(superseded.chain(refused));
    rejected.retain(|(_, tag)| Some(*tag) != selected);
    Selection {
        selected,
        reason,
        rejected: Rejections::new(rejected),
        successor,
        matures_at,
    }
}

/// What a record must keep of a repository for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// Every tag that the policy accepts as an update, newest first, whether or not it meets the conditions.
    pub newest_first: Vec<&'a Tag>,
    /// Tags that are no updates and bear on the choice all the same: that by which it can be seen that the current family
    /// has ended (rule 15), and one of the current family where only the other spelling of `v` is newer (rule 1).
    pub witnesses: Vec<&'a Tag>,
}

/// Every tag that could be chosen now or later. Does not depend on the order of `tags`, nor on tags that are no
/// candidates: from the candidates alone [`select`] chooses as from all.
pub fn candidates<'a>(
    request: &SelectionRequest<'a>,
    tags: impl IntoIterator<Item = &'a Tag>,
) -> Candidates<'a> {
    newest_candidates(request, tags, usize::MAX)
}

/// As [`candidates`], without any but so many of the newest. What is compared of a tag may be ten times as long as the tag,
/// and is not kept of the others, so that neither a list nor a policy can make this take much memory.
pub fn newest_candidates<'a>(
    request: &SelectionRequest<'a>,
    tags: impl IntoIterator<Item = &'a Tag>,
    most: usize,
) -> Candidates<'a> {
    let mut verdicts = Verdicts::of(request, tags, most);
    let newest = verdicts.newest();
    let successor = verdicts.successor(newest).map(|successor| successor.newest);
    let witnesses = successor
        .into_iter()
        .chain(verdicts.own_spelling.as_ref().map(|own| own.witness))
        .collect();
    verdicts.keep_best(most);
    Candidates {
        newest_first: verdicts
            .accepted
            .iter()
            .map(|candidate| candidate.offer.tag)
            .collect(),
        witnesses,
    }
}

/// An acceptable tag that a condition refuses.
struct Refusal<'a> {
    candidate: Candidate<'a>,
    rule: Refused,
}

/// The condition that refuses a tag.
#[derive(Clone, Copy, PartialEq)]
enum Refused {
    SameDigest,
    Held,
    PlatformMissing,
    /// Until then, where it is known when our scanner saw the tag first.
    TooYoung(Option<Timestamp>),
}

impl Refused {
    fn rejection(self) -> Rejection {
        match self {
            Self::SameDigest => Rejection::SameDigest,
            Self::Held => Rejection::Held,
            Self::PlatformMissing => Rejection::PlatformMissing,
            Self::TooYoung(_) => Rejection::TooYoung,
        }
    }

    fn reason(self) -> SelectionReason {
        match self {
            Self::SameDigest => SelectionReason::SameDigest,
            Self::Held => SelectionReason::Held,
            Self::PlatformMissing => SelectionReason::PlatformMissing,
            Self::TooYoung(_) => SelectionReason::TooYoung,
        }
    }
}

/// The current family is published, and only in the other spelling is there anything newer.
struct OwnSpelling<'a> {
    /// A tag of the current family.
    witness: &'a Tag,
    /// Where the other spelling has gone to.
    other: Successor<'a>,
}

impl<'a> OwnSpelling<'a> {
    fn new(ranking: &Ranking<'_>, witness: &'a Tag, others: &[Candidate<'a>]) -> Option<Self> {
        let newest = others.iter().min_by(|a, b| ranking.newest_first(a, b))?;
        let Key::Version(version) = &newest.key else {
            return None;
        };
        let other = Successor {
            family: version.family().clone(),
            newest: newest.offer.tag,
        };
        Some(Self { witness, other })
    }
}

/// The fate of every published tag.
struct Verdicts<'a> {
    /// `None` where nothing can be compared.
    ranking: Option<Ranking<'a>>,
    accepted: Vec<Candidate<'a>>,
    rejected: Vec<(Rejection, &'a Tag)>,
    own_spelling: Option<OwnSpelling<'a>>,
    reason: SelectionReason,
}

impl<'a> Verdicts<'a> {
    /// With `most` of the best at least, of those that are accepted.
    fn of<O: Into<Offer<'a>>>(
        request: &SelectionRequest<'a>,
        offers: impl IntoIterator<Item = O>,
        most: usize,
    ) -> Self {
        let offers = offers.into_iter().map(Into::into);
        if request.policy.follows_digest() {
            return Self::of_digest(request, offers);
        }
        match Ruler::new(request) {
            Ok(ruler) => Self::measured(request, ruler, offers, most),
            Err(unmeasurable) => {
                let rejected = offers.map(|offer| match offer.tag {
                    tag if Some(tag) == request.current => (Rejection::Current, tag),
                    tag => (unmeasurable.rejection, tag),
                });
                Self {
                    ranking: None,
                    accepted: Vec::new(),
                    rejected: rejected.collect(),
                    own_spelling: None,
                    reason: unmeasurable.reason,
                }
            }
        }
    }

    /// Rule 13: acts only when both digests are known and differ, and the tag stays.
    fn of_digest(request: &SelectionRequest<'a>, offers: impl Iterator<Item = Offer<'a>>) -> Self {
        let reason = match (request.current, request.current_digest, request.remote_digest) {
            (None, ..) => SelectionReason::NoCurrent,
            (_, None, Some(_)) if request.runs_nowhere => SelectionReason::NothingRuns,
            (_, Some(current), Some(remote)) if current != remote => SelectionReason::DigestChanged,
            (_, Some(_), Some(_)) => SelectionReason::DigestUnchanged,
            _ => SelectionReason::DigestUnknown,
        };
        let moving = request.current.filter(|_| {
            matches!(
                reason,
                SelectionReason::DigestChanged | SelectionReason::NothingRuns
            )
        });
        let mut known = None;
        let rejected = offers.filter_map(|offer| match offer.tag {
            tag if Some(tag) == moving => {
                known = Some(offer);
                None
            }
            tag if Some(tag) == request.current => Some((Rejection::Current, tag)),
            tag => Some((Rejection::OtherTag, tag)),
        });
        let rejected = rejected.collect();
        // The tag may be old; what is new is where it points.
        let offer = moving.map(|tag| Offer {
            digest: request.remote_digest,
            first_seen: known.and_then(|known| known.digest_first_seen),
            platforms: known.and_then(|known| known.platforms),
            ..tag.into()
        });
        let accepted = offer.map(|offer| Candidate::new(offer, Tier::Family, Key::Nothing));
        Self {
            ranking: None,
            accepted: accepted.into_iter().collect(),
            rejected,
            own_spelling: None,
            reason,
        }
    }

    fn measured(
        request: &SelectionRequest<'a>,
        ruler: Ruler<'a>,
        offers: impl Iterator<Item = Offer<'a>>,
        most: usize,
    ) -> Self {
        let ranking = Ranking::new(request, ruler);
        let ruler = &ranking.ruler;
        // Mostly one is newer, and the room of several costs more than to choose it.
        let mut accepted = Vec::with_capacity(1);
        let mut rejected = Vec::new();
        let mut is_current_published = false;
        for offer in offers {
            if Some(offer.tag) == request.current {
                is_current_published = true;
                rejected.push((Rejection::Current, offer.tag));
                continue;
            }
            match ruler.measure(offer.tag) {
                Ok((tier, key)) => accepted.push(Candidate::new(offer, tier, key)),
                Err(rejection) => rejected.push((rejection, offer.tag)),
            }
            if accepted.len() >= most.saturating_mul(2) {
                ranking.keep_best(&mut accepted, most);
            }
        }
        let mut best = accepted.iter().map(|candidate| candidate.tier).min();
        let mut own_spelling = None;
        if best == Some(Tier::OtherSpelling) {
            let others = rejected.iter().map(|(_, tag)| *tag);
            own_spelling = others
                .filter(|tag| ruler.is_of_current_family(tag))
                .max()
                .and_then(|witness| OwnSpelling::new(&ranking, witness, &accepted));
            best = best.filter(|_| own_spelling.is_none());
        }
        accepted.retain(|candidate| {
            let is_best = Some(candidate.tier) == best;
            if !is_best {
                rejected.push((candidate.tier.rejection(), candidate.offer.tag));
            }
            is_best
        });
        let reason = match best {
            Some(_) if request.current.is_none() => SelectionReason::NewestAllowed,
            Some(Tier::Family | Tier::SameLine) => SelectionReason::NewerVersion,
            Some(Tier::OtherSpelling) => SelectionReason::NewerVersionOtherSpelling,
            None if is_current_published && ruler.pins_current() => SelectionReason::Pinned,
            None => SelectionReason::NoNewerVersion,
        };
        Self {
            ranking: Some(ranking),
            accepted,
            rejected,
            own_spelling,
            reason,
        }
    }

    fn newest(&self) -> Option<&Candidate<'a>> {
        self.accepted.iter().min_by(|a, b| self.newest_first(a, b))
    }

    fn newest_first(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        match &self.ranking {
            Some(ranking) => ranking.newest_first(a, b),
            None => Ordering::Equal,
        }
    }

    fn keep_best(&mut self, most: usize) {
        if let Some(ranking) = &self.ranking {
            ranking.keep_best(&mut self.accepted, most);
        }
    }

    /// Moves out the candidates that a condition refuses.
    fn apply_conditions(&mut self, request: &SelectionRequest<'a>) -> Vec<Refusal<'a>> {
        let conditions = request.conditions;
        let asks_nothing = request.current_digest.is_none()
            && conditions.held.is_empty()
            && conditions.node_platforms.is_empty()
            && conditions.maturity.is_none();
        if asks_nothing {
            return Vec::new();
        }
        let compare = |a: &Candidate<'_>, b: &Candidate<'_>| match &self.ranking {
            Some(ranking) => ranking.ruler.compare(&a.key, &b.key),
            None => Ordering::Equal,
        };
        let runs_now = |candidate: &Candidate<'_>| {
            let offer = &candidate.offer;
            request.current_digest.is_some() && offer.digest.or(offer.last_digest) == request.current_digest
        };
        // The newest name of what runs: nothing up to there is an update (rule 14).
        let running = self
            .accepted
            .iter()
            .filter(|candidate| runs_now(candidate))
            .max_by(|a, b| compare(a, b));
        let held = conditions.held.iter().map(|hold| hold.under(request));
        let held: Vec<HoldUnderPolicy<'_>> = held.collect();
        let rules: Vec<Option<Refused>> = self
            .accepted
            .iter()
            .map(|candidate| match running {
                Some(running) if compare(candidate, running).is_le() => Some(Refused::SameDigest),
                _ => candidate.refused(request, &held),
            })
            .collect();
        let (mut kept, mut refusals) = (Vec::new(), Vec::new());
        for (candidate, rule) in std::mem::take(&mut self.accepted).into_iter().zip(rules) {
            match rule {
                Some(rule) => refusals.push(Refusal { candidate, rule }),
                None => kept.push(candidate),
            }
        }
        self.accepted = kept;
        refusals
    }

    fn next_to_mature(&self, refusals: &[Refusal<'a>], chosen: Option<&Candidate<'a>>) -> Option<Timestamp> {
        let waiting = refusals.iter().filter_map(|refusal| match refusal.rule {
            Refused::TooYoung(until) => Some((&refusal.candidate, until?)),
            Refused::SameDigest | Refused::Held | Refused::PlatformMissing => None,
        });
        waiting
            .filter(|(candidate, _)| chosen.is_none_or(|chosen| self.newest_first(candidate, chosen).is_lt()))
            .map(|(_, until)| until)
            .min()
    }

    fn successor(&self, chosen: Option<&Candidate<'a>>) -> Option<Successor<'a>> {
        let chosen = chosen.and_then(|chosen| match &chosen.key {
            Key::Version(version) => Some(version),
            Key::Nothing | Key::Loose(_) | Key::Number(_) | Key::Text(_) | Key::Natural(_) => None,
        });
        let other_spelling = || Some(self.own_spelling.as_ref()?.other.clone());
        successor(&self.ranking.as_ref()?.ruler, chosen, &self.rejected).or_else(other_spelling)
    }
}

impl Candidate<'_> {
    /// The first condition against it, apart from what runs already.
    fn refused(&self, request: &SelectionRequest<'_>, held: &[HoldUnderPolicy<'_>]) -> Option<Refused> {
        let conditions = request.conditions;
        if held.iter().any(|hold| hold.applies_to(&self.offer)) {
            return Some(Refused::Held);
        }
        if !conditions
            .node_platforms
            .iter()
            .all(|node| self.offer.runs_on(node))
        {
            return Some(Refused::PlatformMissing);
        }
        let maturity = conditions.maturity?;
        // Of a tag that nobody remembers seeing it is not known how old it is.
        let matures_at = self
            .offer
            .first_seen
            .and_then(|seen| seen.checked_add(maturity.min_age).ok());
        let is_mature = matures_at.is_some_and(|matures_at| matures_at <= maturity.now);
        (!is_mature).then_some(Refused::TooYoung(matures_at))
    }
}
