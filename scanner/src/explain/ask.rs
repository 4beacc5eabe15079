//! What a registry is asked about one repository, and nothing it need not be: each thing once, however many questions there
//! are.

use std::collections::BTreeMap;

use shared::domain::reference::{Digest, Repository, Tag};

use super::question::Question;
use crate::registry::{RegistryClient, RegistryError};

/// How many newer tags may turn out to be the image that runs, or a held one, before the next is taken unseen.
const MAX_DIGESTS: usize = 8;

/// What is taken for the image that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunningDigest {
    /// The digest that the question names, if any.
    AsWritten,
    /// If it names none, the one that the current tag has now.
    OfTag,
}

/// What is known of a repository so far. A question that the registry did not answer is not put again.
#[derive(Debug)]
pub(crate) struct Inquiry<'a> {
    registry: &'a RegistryClient,
    repository: &'a Repository,
    listed: Option<Result<Vec<Tag>, RegistryError>>,
    looked_up: BTreeMap<Tag, Result<Option<Digest>, RegistryError>>,
}

impl<'a> Inquiry<'a> {
    pub(crate) fn new(registry: &'a RegistryClient, repository: &'a Repository) -> Self {
        Self {
            registry,
            repository,
            listed: None,
            looked_up: BTreeMap::new(),
        }
    }

    /// Asks what the question needs: the digest of the current tag where that is all that counts, otherwise the list, and,
    /// where it is known what runs, the digest of the tag that would be chosen: a new name for the image that runs is no
    /// update (rule 14).
    pub(crate) async fn ask(
        &mut self,
        question: &mut Question,
        running: RunningDigest,
    ) -> Result<(), RegistryError> {
        let current = question.current.clone();
        if question.policy.follows_digest() {
            if let (Some(current), None) = (&current, &question.remote_digest) {
                question.remote_digest = self.digest(current).await?;
            }
            return Ok(());
        }
        self.list().await?;
        for _ in 0..MAX_DIGESTS {
            let Some(tag) = self.unseen_choice(question) else {
                break;
            };
            match (running, &current, &question.current_digest) {
                (RunningDigest::AsWritten, _, None) => break,
                (RunningDigest::OfTag, Some(current), None) => {
                    question.current_digest = self.digest(current).await?;
                }
                (RunningDigest::AsWritten | RunningDigest::OfTag, ..) => {}
            }
            if self.digest(&tag).await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The list as far as it was asked for.
    pub(crate) fn tags(&self) -> &[Tag] {
        match &self.listed {
            Some(Ok(tags)) => tags,
            Some(Err(_)) | None => &[],
        }
    }

    /// The list, given away.
    pub(crate) fn into_tags(self) -> Vec<Tag> {
        self.listed.and_then(Result::ok).unwrap_or_default()
    }

    /// The digests that were asked for.
    pub(crate) fn digests(&self) -> BTreeMap<Tag, Digest> {
        let found = self.looked_up.iter().filter_map(|(tag, found)| {
            let digest = found.as_ref().ok()?.as_ref()?;
            Some((tag.clone(), digest.clone()))
        });
        found.collect()
    }

    /// The tag that would be chosen, unless its digest is known.
    fn unseen_choice(&self, question: &Question) -> Option<Tag> {
        let digests = self.digests();
        let selection = question.answer(self.tags(), &digests);
        let tag = selection.update().filter(|tag| !digests.contains_key(*tag))?;
        Some(tag.clone())
    }

    async fn list(&mut self) -> Result<(), RegistryError> {
        let listed = match self.listed.take() {
            Some(listed) => listed,
            None => self.registry.list_tags(self.repository).await,
        };
        self.listed
            .insert(listed)
            .as_ref()
            .map(drop)
            .map_err(Clone::clone)
    }

    async fn digest(&mut self, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        if let Some(found) = self.looked_up.get(tag) {
            return found.clone();
        }
        let found = self.registry.head_digest(self.repository, tag).await;
        self.looked_up.insert(tag.clone(), found.clone());
        found
    }
}
