//! What one repository is asked, and nothing it need not be: its list if a demand chooses among versions, one HEAD for
//! each digest that is needed, and one manifest for each digest that was not known before.

use std::collections::{BTreeMap, BTreeSet};

use shared::domain::record::ScanRecord;
use shared::domain::record::scan::{self, Answer, TagDigests};
use shared::domain::reference::{Digest, Repository, Tag};
use shared::domain::watched::Demand;

use crate::registry::{ErrorClass, RegistryClient, RegistryError};

/// Asks until every demand can be answered; the first failure ends it, as half an answer is none.
pub(crate) async fn ask(
    registry: &RegistryClient,
    repository: &Repository,
    demands: &BTreeSet<Demand>,
    previous: Option<&ScanRecord>,
) -> Result<Answer, RegistryError> {
    let published = if scan::needs_list(demands) {
        Some(registry.list_tags(repository).await?)
    } else {
        None
    };
    let mut digests = BTreeMap::new();
    let choose = || scan::tags_to_resolve(demands, published.as_deref().unwrap_or_default());
    for tag in tokio::task::block_in_place(choose) {
        let found = match registry.head_digest(repository, &tag).await? {
            Some(digest) => Some(resolve(registry, repository, &tag, digest, previous).await?),
            None => None,
        };
        digests.insert(tag, found);
    }
    Ok(Answer { published, digests })
}

/// A digest never changes its meaning, so what is recorded of it need not be asked again.
async fn resolve(
    registry: &RegistryClient,
    repository: &Repository,
    tag: &Tag,
    digest: Digest,
    previous: Option<&ScanRecord>,
) -> Result<TagDigests, RegistryError> {
    let known = previous
        .and_then(|record| record.findings.as_ref())
        .and_then(|findings| findings.tag(tag))
        .filter(|record| record.digest.as_ref() == Some(&digest) && !record.platforms_pending);
    let platforms = match known {
        Some(record) => Some(record.platforms.clone()),
        None => match registry.platform_digests(repository, &digest).await {
            Ok(platforms) => Some(platforms.digests),
            // The digest is what updates are decided by; the platforms are learned when a pull is left.
            Err(error) if error.class() == ErrorClass::OverBudget => {
                tracing::info!(%repository, %tag, %error, "the platforms are left to a later run");
                None
            }
            Err(error) => return Err(error),
        },
    };
    Ok(TagDigests { digest, platforms })
}
