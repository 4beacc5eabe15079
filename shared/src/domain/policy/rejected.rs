//! What a choice turned down, in the order in which people look for it. Nothing is decided here.

use std::collections::BTreeMap;

use super::choose::candidates;
use super::families::newest_first;
use super::rules::UpdatePolicy;
use super::selection::{Rejection, Selection, SelectionRequest};
use crate::domain::reference::Tag;

/// What one rule rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected<'a> {
    pub rule: Rejection,
    pub count: usize,
    /// All of them, the newest first; none of the current tag, which needs no example.
    pub newest_first: Vec<&'a Tag>,
}

/// By rule; the later the rule, the closer its tags came to being chosen, and the earlier it stands here.
pub fn rejected<'a>(
    selection: &Selection<'a>,
    current: Option<&Tag>,
    policy: &UpdatePolicy,
    published: &[&'a Tag],
) -> Vec<Rejected<'a>> {
    let rules = selection.rejected.by_rule().into_iter().rev();
    let rejected = rules.map(|(rule, tags)| Rejected {
        rule,
        count: tags.len(),
        newest_first: if rule == Rejection::Current {
            Vec::new()
        } else if rule == Rejection::Superseded {
            // In the order of the policy, which may be another than that of versions.
            in_order_of_policy(&tags, current, policy, published)
        } else {
            newest_first(&tags)
        },
    });
    rejected.collect()
}

fn in_order_of_policy<'a>(
    tags: &[&'a Tag],
    current: Option<&Tag>,
    policy: &UpdatePolicy,
    published: &[&'a Tag],
) -> Vec<&'a Tag> {
    let request = SelectionRequest {
        current,
        ..SelectionRequest::without_current(policy)
    };
    let places: BTreeMap<&Tag, usize> = candidates(&request, published.iter().copied())
        .newest_first
        .into_iter()
        .enumerate()
        .map(|(place, tag)| (tag, place))
        .collect();
    let mut tags = tags.to_vec();
    tags.sort_by_key(|tag| places.get(tag));
    tags
}
