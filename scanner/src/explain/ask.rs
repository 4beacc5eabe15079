//! What the registry is asked for one question, and nothing it need not be.

use std::collections::BTreeMap;

use shared::domain::reference::{Digest, Repository, Tag};

use super::question::Question;
use super::tag_list::TagList;
use crate::registry::{RegistryClient, RegistryError};

/// How many newer tags may turn out to be the image that runs, or a held one, before the next is taken unseen.
const MAX_DIGESTS: usize = 8;

/// What is published, as far as it was asked.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) list: TagList,
    pub(super) digests: BTreeMap<Tag, Digest>,
}

/// Asks for the digest of the current tag where that is all that counts, otherwise for the list, and for the digests of the
/// current tag and the one that would be chosen: a new name for the image that runs is no update (rule 14).
pub(super) async fn ask(
    registry: &RegistryClient,
    repository: &Repository,
    question: &mut Question,
) -> Result<Published, RegistryError> {
    let mut published = Published::default();
    if question.policy.follows_digest() {
        if let (Some(current), None) = (&question.current, &question.remote_digest) {
            question.remote_digest = registry.head_digest(repository, current).await?;
        }
        return Ok(published);
    }
    published.list.tags = registry.list_tags(repository).await?;
    for _ in 0..MAX_DIGESTS {
        let selection = question.answer(&published.list.tags, &published.digests);
        let unseen = |tag: &&Tag| !published.digests.contains_key(*tag);
        let Some(tag) = selection.update().filter(unseen).cloned() else {
            break;
        };
        if let (Some(current), None) = (&question.current, &question.current_digest) {
            question.current_digest = registry.head_digest(repository, current).await?;
        }
        let Some(digest) = registry.head_digest(repository, &tag).await? else {
            break;
        };
        published.digests.insert(tag, digest);
    }
    Ok(published)
}
