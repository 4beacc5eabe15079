//! What one repository is asked, and nothing it need not be: its list if a demand chooses among versions, one HEAD for
//! each digest that is needed, one manifest for each digest that was not known before, and once what a new candidate's image says
//! of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use shared::domain::record::choices::{Choices, Reserve};
use shared::domain::record::labels::ImageLabels;
use shared::domain::record::scan::{self, Answer, TagDigests};
use shared::domain::record::{Findings, ScanRecord};
use shared::domain::reference::{Digest, Repository, Tag};
use shared::domain::watched::Demand;

use crate::inventory::Request;
use crate::registry::{DigestMap, ErrorClass, Expected, Platforms, RegistryClient, RegistryError};

/// How long a repository may take to say what its images say of themselves.
const DESCRIBING: Duration = Duration::from_secs(10);

/// How many tags of a repository may meet with trouble at the registry before the others are not asked for.
const TROUBLED_TAGS: usize = 3;

/// For how many tags of a repository a digest is looked up besides those of the newest: each may cost a request in every run.
const RESERVED_TAGS: usize = 20;

/// What a repository has answered.
pub(crate) struct Asked {
    /// Of the demands that can be answered.
    pub(crate) choices: Choices,
    pub(crate) answer: Answer,
    /// Why the others cannot, or only in part.
    pub(crate) unanswered: Option<RegistryError>,
}

/// Asks until every demand can be answered. A failure that is about the repository ends it, as half a list is none; one that is
/// about a single tag leaves out those who need that tag: others do not have to suffer from an image that cannot be read.
pub(crate) async fn ask(
    registry: &RegistryClient,
    repository: &Repository,
    request: Request,
    previous: Option<&ScanRecord>,
    now: Timestamp,
) -> Result<Asked, RegistryError> {
    let Request {
        demands, reserves, ..
    } = request;
    let known = previous.and_then(|record| record.findings.as_ref());
    let (mut choices, sent_along) = if scan::needs_list(&demands) {
        let expected = Expected {
            tags: known.and_then(|findings| findings.tag_count).unwrap_or(0),
            choices: demands.len(),
            with_digests: scan::needs_digests(&demands),
        };
        let reserved: BTreeSet<Demand> = reserves.iter().map(|(demand, _)| demand.clone()).collect();
        let choose = move |list: Vec<Tag>, digests: &DigestMap| {
            let choices = Choices::among(demands, Some(&list));
            let mut needed = choices.to_resolve();
            needed.extend(
                reserved
                    .iter()
                    .flat_map(|demand| choices.candidates(demand))
                    .cloned(),
            );
            let digest = |tag: Tag| digests.get(&tag).cloned().map(|digest| (tag, digest));
            let sent_along = needed.into_iter().filter_map(digest).collect();
            (choices, sent_along)
        };
        registry.read_tags(repository, expected, choose).await?
    } else {
        (Choices::among(demands, None), BTreeMap::new())
    };
    let question = Question {
        registry,
        repository,
        known,
        sent_along,
    };
    let mut answer = Answer::default();
    let unanswered = question.resolve_all(choices.to_resolve(), &mut answer).await?;
    if let Some(error) = &unanswered
        && !choices.leave_out(&answer.unresolved)
    {
        return Err(error.clone());
    }
    let unreserved = question
        .resolve_reserves(&choices, &reserves, now, &mut answer)
        .await;
    let describe = async {
        for tag in choices.to_describe(question.known, &answer.digests, now) {
            if question.describe(tag, &mut answer).await.is_break() {
                return;
            }
        }
    };
    // What is known by then is enough: this decides nothing, and the findings wait for it.
    let _ = tokio::time::timeout(DESCRIBING, describe).await;
    Ok(Asked {
        choices,
        answer,
        unanswered: unanswered.or(unreserved),
    })
}

/// One repository, and what is known of it.
struct Question<'a> {
    registry: &'a RegistryClient,
    repository: &'a Repository,
    known: Option<&'a Findings>,
    /// Digests that came with the list.
    sent_along: BTreeMap<Tag, Digest>,
}

impl Question<'_> {
    /// What these tags point at. Answers with what was wrong with the first that cannot be resolved, if it is wrong with that tag.
    async fn resolve_all(
        &self,
        tags: BTreeSet<Tag>,
        answer: &mut Answer,
    ) -> Result<Option<RegistryError>, RegistryError> {
        let mut first = None;
        let mut troubled = 0;
        for tag in tags {
            let Err(error) = self.resolve(tag.clone(), answer).await else {
                continue;
            };
            troubled += usize::from(error.class() == ErrorClass::Unavailable);
            if !error.class().may_be_about_a_tag() || troubled >= TROUBLED_TAGS {
                return Err(error);
            }
            tracing::warn!(repository = %self.repository, %tag, %error, "whoever needs this tag is not answered");
            answer.unresolved.insert(tag);
            first.get_or_insert(error);
        }
        Ok(first)
    }

    /// What the tags point at that are given in spite of what is held against newer ones. What is found of one may refuse it, too,
    /// so that the next is looked at, until there are enough. One that cannot be resolved is missed by nobody but who needs it.
    /// Answers with what keeps the rest from being looked at: all else that was found counts.
    async fn resolve_reserves(
        &self,
        choices: &Choices,
        reserves: &[(Demand, Reserve)],
        now: Timestamp,
        answer: &mut Answer,
    ) -> Option<RegistryError> {
        let mut room = RESERVED_TAGS;
        while room > 0 {
            let mut wanted = BTreeSet::new();
            let given = reserves
                .iter()
                .flat_map(|reserve| choices.with_reserve(reserve, self.known, &answer.digests, now));
            for tag in given {
                let is_asked = answer.digests.contains_key(&tag) || answer.unresolved.contains(&tag);
                if !is_asked && wanted.len() < room {
                    wanted.insert(tag);
                }
            }
            if wanted.is_empty() {
                break;
            }
            room -= wanted.len();
            if let Err(error) = self.resolve_all(wanted, answer).await {
                tracing::warn!(repository = %self.repository, %error, "what is given in spite of what is held is not known");
                return Some(error);
            }
        }
        None
    }

    /// What a tag points at. A digest never changes its meaning, so what is recorded of it need not be asked again.
    async fn resolve(&self, tag: Tag, answer: &mut Answer) -> Result<(), RegistryError> {
        let found = match self.sent_along.get(&tag) {
            Some(digest) => Some(digest.clone()),
            None => self.registry.head_digest(self.repository, &tag).await?,
        };
        let Some(digest) = found else {
            answer.digests.insert(tag, None);
            return Ok(());
        };
        let known = self.known.and_then(|findings| findings.tag(&tag));
        let known = known.filter(|record| record.digest.as_ref() == Some(&digest));
        let platforms = match known {
            Some(record) if !record.platforms_pending => Some(record.platforms.clone()),
            _ => match self.registry.platform_digests(self.repository, &digest).await {
                Ok(platforms) => {
                    let said = said_by(&platforms).map(|labels| (tag.clone(), labels));
                    answer.labels.extend(said);
                    Some(platforms.digests)
                }
                // The digest is what updates are decided by; the platforms are learned when a pull is left.
                Err(error) if error.class() == ErrorClass::OverBudget => {
                    tracing::info!(repository = %self.repository, %tag, %error, "the platforms are left to a later run");
                    None
                }
                Err(error) => return Err(error),
            },
        };
        answer.digests.insert(tag, Some(TagDigests { digest, platforms }));
        Ok(())
    }

    /// What the image of a tag says of itself. That decides nothing, so it is no failure of the scan if it cannot be learned,
    /// and it is not worth the last of what a registry grants.
    /// `Break`: nothing more can be learned now.
    async fn describe(&self, tag: Tag, answer: &mut Answer) -> ControlFlow<()> {
        if answer.labels.contains_key(&tag) {
            return ControlFlow::Continue(());
        }
        let described = self
            .known
            .and_then(|findings| findings.tag(&tag)?.described.as_deref());
        if described.is_none() && !self.registry.has_pulls_to_spare(self.repository) {
            return ControlFlow::Break(());
        }
        let digest = match answer.digests.get(&tag) {
            // Its index is known, and has not said enough.
            Some(resolved) => Ok(resolved.as_ref().map(|resolved| {
                let image = resolved.platforms.as_ref().and_then(first_of);
                image.unwrap_or(&resolved.digest).clone()
            })),
            None => self.registry.head_digest(self.repository, &tag).await,
        };
        if let (Some(described), Ok(Some(digest))) = (described, &digest)
            && described.digest == *digest
        {
            let found = TagDigests {
                digest: digest.clone(),
                platforms: Some(described.platforms.clone()),
            };
            answer.described.insert(tag, found);
            return ControlFlow::Continue(());
        }
        let mut described_now = None;
        let found = match digest {
            Ok(Some(_)) if !self.registry.has_pulls_to_spare(self.repository) => {
                return ControlFlow::Break(());
            }
            Ok(Some(digest)) => {
                let found = self.registry.describe(self.repository, &digest).await;
                if let Ok(platforms) = &found
                    && !answer.digests.contains_key(&tag)
                {
                    let platforms = Some(platforms.digests.clone());
                    described_now = Some(TagDigests { digest, platforms });
                }
                found
            }
            Ok(None) => return ControlFlow::Continue(()),
            Err(error) => Err(error),
        };
        let labels = match found {
            Ok(platforms) => self.labels(&platforms).await,
            Err(error) => nothing_said(&error),
        };
        match labels {
            // Both or neither: what is described is not asked for its labels again.
            Some(labels) => {
                answer
                    .described
                    .extend(described_now.map(|found| (tag.clone(), found)));
                answer.labels.insert(tag, labels);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }

    /// Where an index does not say where the source is, its first image is asked. `None`: not to be learned now.
    async fn labels(&self, platforms: &Platforms) -> Option<ImageLabels> {
        if let Some(labels) = said_by(platforms) {
            return Some(labels);
        }
        let Some(first) = first_of(&platforms.digests) else {
            return Some(ImageLabels::of(&platforms.labels));
        };
        match self.registry.describe(self.repository, first).await {
            Ok(image) => Some(ImageLabels::of(&image.labels)),
            Err(error) => nothing_said(&error),
        }
    }
}

/// What a manifest says of the image; `None` where an index leaves it to its images.
fn said_by(platforms: &Platforms) -> Option<ImageLabels> {
    let labels = ImageLabels::of(&platforms.labels);
    let is_enough = !platforms.is_index || labels.source.is_some();
    is_enough.then_some(labels)
}

/// The image that speaks for all of an index.
fn first_of(platforms: &BTreeMap<String, Digest>) -> Option<&Digest> {
    platforms.get("linux/amd64").or_else(|| platforms.values().next())
}

/// What a registry will not say now either is not asked for in every run.
fn nothing_said(error: &RegistryError) -> Option<ImageLabels> {
    tracing::debug!(%error, "what an image says of itself is not known");
    (!error.class().is_transient()).then(ImageLabels::default)
}
