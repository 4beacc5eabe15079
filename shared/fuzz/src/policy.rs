//! Policies: whatever is written is refused or obeyed, and a choice depends on nothing but what it should.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use shared::domain::policy::{
    Conditions, Hold, Maturity, Offer, Selection, SelectionReason, SelectionRequest, candidates, select,
};
use shared::domain::reference::{Digest, Tag};
use shared::domain::watched::Demand;

/// How many tags are chosen among. Every one of them is judged many times over.
const MAX_TAGS: usize = 40;

/// The input is a demand as records store it, such as `1.4.0 minor exclude="*-debug"`, and under it the published tags,
/// one a line: `TAG [DIGEST [HOURS [held]]]`. A hexadecimal digit stands for the whole digest; where digests count, `a` is
/// the one that runs, and what was first seen until hour 10 is old enough.
pub fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let demand: Demand = match lines.next().unwrap_or_default().parse() {
        Ok(demand) => demand,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let line = demand.to_string();
    assert_eq!(line.parse().as_ref(), Ok(&demand), "{line} is the same demand");

    let published: Vec<Published> = lines.filter_map(Published::read).take(MAX_TAGS).collect();
    let tags: Vec<&Tag> = published.iter().map(|published| &published.tag).collect();
    for current in [Some(&demand.tag), None] {
        let request = SelectionRequest {
            current,
            ..SelectionRequest::without_current(&demand.policy)
        };
        is_one_of_those_published(&request, &tags);
        depends_on_no_order(&request, &tags);
        depends_on_candidates_alone(&request, &tags);
        holds_under_conditions(&request, &published);
    }
    leads_to_an_end(&demand, &tags);
}

/// The answer is a published tag and never the current one, and of every other tag it is said once why not.
fn is_one_of_those_published(request: &SelectionRequest<'_>, tags: &[&Tag]) {
    let selection = select(request, tags.iter().copied());
    let accepted = candidates(request, tags.iter().copied()).newest_first;
    assert_eq!(
        accepted.first().copied(),
        selection.update(),
        "the first candidate is the answer"
    );
    for candidate in &accepted {
        assert!(tags.contains(candidate), "{candidate} is published");
        assert_ne!(Some(*candidate), request.current);
    }
    let distinct: BTreeSet<&Tag> = accepted.iter().copied().collect();
    assert_eq!(distinct.len(), accepted.len(), "no candidate comes twice");
    if selection.reason == SelectionReason::Pinned {
        assert_eq!(selection.selected, request.current);
    }
    is_explained(&selection, tags);
}

fn is_explained(selection: &Selection<'_>, tags: &[&Tag]) {
    let mut explained: Vec<&Tag> = selection.rejected.by_rule().into_values().flatten().collect();
    explained.extend(selection.selected);
    explained.sort_unstable();
    let published: BTreeSet<&Tag> = tags.iter().copied().collect();
    assert!(explained.iter().eq(&published), "{explained:?} is {published:?}");
    assert!(!selection.reason.to_string().is_empty());
}

fn depends_on_no_order(request: &SelectionRequest<'_>, tags: &[&Tag]) {
    let (front, back) = tags.split_at(tags.len() / 2);
    let turned: Vec<&Tag> = back.iter().chain(front).copied().collect();
    let reversed: Vec<&Tag> = tags.iter().rev().copied().collect();
    for other in [turned, reversed] {
        assert_eq!(
            select(request, other.iter().copied()),
            select(request, tags.iter().copied())
        );
        assert_eq!(
            candidates(request, other),
            candidates(request, tags.iter().copied())
        );
    }
}

/// A record keeps these and the tag in use, and forgets the others.
fn depends_on_candidates_alone(request: &SelectionRequest<'_>, tags: &[&Tag]) {
    let whole = candidates(request, tags.iter().copied());
    let mut kept = whole.newest_first.clone();
    kept.extend(&whole.witnesses);
    kept.extend(tags.iter().filter(|tag| Some(**tag) == request.current));
    assert_eq!(candidates(request, kept.iter().copied()), whole);
    let (all, few) = (select(request, tags.iter().copied()), select(request, kept));
    assert_eq!((all.update(), all.successor), (few.update(), few.successor));
}

/// What is held, too young or running already is never the answer; what is left of the candidates is.
fn holds_under_conditions(request: &SelectionRequest<'_>, published: &[Published]) {
    let held: Vec<Hold> = published
        .iter()
        .filter(|published| published.is_held)
        .map(|published| Hold::Tag(published.tag.clone()))
        .collect();
    let running = digest("a");
    let remote = digest("b");
    let request = SelectionRequest {
        current_digest: running.as_ref(),
        remote_digest: remote.as_ref(),
        conditions: Conditions {
            maturity: Some(Maturity {
                min_age: SignedDuration::from_hours(10),
                now: Timestamp::UNIX_EPOCH + SignedDuration::from_hours(20),
            }),
            held: &held,
            node_platforms: &[],
        },
        ..*request
    };
    let selection = select(&request, published.iter().map(Published::offer));
    let reversed = select(&request, published.iter().rev().map(Published::offer));
    assert_eq!(selection.update(), reversed.update());
    assert_eq!(
        (selection.reason, selection.matures_at),
        (reversed.reason, reversed.matures_at)
    );
    let Some(update) = selection.update() else {
        return;
    };
    if request.policy.follows_digest() {
        assert_eq!(Some(update), request.current);
        return;
    }
    let of_update = || published.iter().filter(|published| published.tag == *update);
    assert!(
        of_update().all(|published| !published.is_held),
        "{update} is not held"
    );
    assert!(
        of_update().any(|published| published.digest != running),
        "{update} does not run yet"
    );
    assert!(
        of_update().any(|published| published.hours.is_some_and(|hours| hours <= 10)),
        "{update} is old enough"
    );
}

/// Whoever follows the answers comes to an end, and never back.
fn leads_to_an_end(demand: &Demand, tags: &[&Tag]) {
    let mut way = vec![&demand.tag];
    let next = |from| select(&SelectionRequest::new(from, &demand.policy), tags.iter().copied()).update();
    while let Some(tag) = way.last().and_then(|from| next(from)) {
        assert!(!way.contains(&tag), "{tag} comes again after {way:?}");
        way.push(tag);
    }
}

/// A published tag, with what is known of it.
struct Published {
    tag: Tag,
    digest: Option<Digest>,
    /// When it was seen first: so many hours after the beginning of time.
    hours: Option<u8>,
    is_held: bool,
}

impl Published {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let tag = words.next()?.parse().ok()?;
        let digest = words.next().and_then(digest);
        let hours = words.next().and_then(|hours| hours.parse().ok());
        let is_held = words.next() == Some("held");
        Some(Self {
            tag,
            digest,
            hours,
            is_held,
        })
    }

    fn offer(&self) -> Offer<'_> {
        let since = |hours: u8| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours.into());
        Offer {
            digest: self.digest.as_ref(),
            first_seen: self.hours.map(since),
            ..Offer::from(&self.tag)
        }
    }
}

/// The digest that a letter stands for.
fn digest(letter: &str) -> Option<Digest> {
    format!("sha256:{}", letter.repeat(64)).parse().ok()
}
