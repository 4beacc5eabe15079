//! From where to where an update goes, as far as its notes are concerned: from tag to tag, or, of a tag that stays the same, from
//! version to version by what its images say of themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::Snapshot;
use super::seen::marker;
use crate::domain::in_flight::{ImageChange, LastImages};
use crate::domain::reference::{Digest, ImageReference, Tag};
use crate::domain::release_notes::moved::{Untold, versions};
use crate::domain::watched::Watched;
use crate::domain::workload::Workload;

/// What an update goes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stride {
    Tags {
        from: Tag,
        to: Tag,
    },
    /// Versions by the images' labels.
    Versions {
        tag: Tag,
        from: Tag,
        to: Tag,
    },
    /// The tag stays the same, and nobody knows.
    Untold {
        tag: Tag,
        why: Untold,
    },
}

impl Stride {
    /// The tag of what is offered.
    pub(super) fn tag(&self) -> &Tag {
        match self {
            Self::Tags { from: _, to } => to,
            Self::Versions { tag, .. } | Self::Untold { tag, .. } => tag,
        }
    }

    /// Where it begins and ends.
    pub(super) fn ends(&self) -> (&Tag, &Tag) {
        match self {
            Self::Tags { from, to } | Self::Versions { tag: _, from, to } => (from, to),
            Self::Untold { tag, why: _ } => (tag, tag),
        }
    }

    /// Both versions, where they are those of labels.
    pub(super) fn versions(&self) -> Option<(Tag, Tag)> {
        match self {
            Self::Versions { tag: _, from, to } => Some((from.clone(), to.clone())),
            Self::Tags { .. } | Self::Untold { .. } => None,
        }
    }
}

impl Snapshot {
    /// Of giving a container of a workload the image `to` in place of `from`; nothing where these are no two tags of its repository.
    pub(super) fn stride(
        &self,
        workload: &Workload,
        watched: &Watched,
        (from, to): (&str, &str),
    ) -> Option<Stride> {
        let of_repository = |image: &str| -> Option<ImageReference> {
            let image: ImageReference = image.parse().ok()?;
            Some(image).filter(|image| image.repository() == watched.image.repository())
        };
        let (before, after) = (of_repository(from)?, of_repository(to)?);
        let (tag_before, tag) = (before.effective_tag()?, after.effective_tag()?);
        if tag_before != tag {
            return Some(Stride::Tags {
                from: tag_before,
                to: tag,
            });
        }
        let told = self.versions(workload, watched, (from, to), (&before, &after));
        Some(match told {
            Ok((from, to)) => Stride::Versions { tag, from, to },
            Err(why) => Stride::Untold { tag, why },
        })
    }

    fn versions(
        &self,
        workload: &Workload,
        watched: &Watched,
        step: (&str, &str),
        (before, after): (&ImageReference, &ImageReference),
    ) -> Result<(Tag, Tag), Untold> {
        let ran = match before.digest() {
            Some(written) => BTreeSet::from([written.clone()]),
            None => self
                .ran(workload, watched, step)
                .ok_or(Untold::NotKnownWhatRuns)?,
        };
        let record = after
            .effective_tag()
            .and_then(|tag| self.recorded(after.repository(), &tag));
        let image = |digest: &Digest| record.and_then(|record| record.image_of(digest));
        let version = |digest: &Digest| image(digest).and_then(|(_, version)| version);
        // Where some pods run what is offered already, the others are those that go anywhere.
        let is_offered =
            |digest: &&Digest| image(digest).is_some_and(|(image, _)| Some(image) == after.digest());
        let running: BTreeSet<Option<&str>> = ran
            .iter()
            .filter(|digest| !is_offered(digest))
            .map(version)
            .collect();
        let mut running = running.into_iter();
        let (Some(running), None) = (running.next(), running.next()) else {
            return Err(Untold::NotKnownWhatRuns);
        };
        versions(running, after.digest().and_then(version))
    }

    /// What a container runs whose image does not say it, or ran before it was given another.
    fn ran(
        &self,
        workload: &Workload,
        watched: &Watched,
        (from, to): (&str, &str),
    ) -> Option<BTreeSet<Digest>> {
        if workload.image_of(&watched.container) == Some(from) {
            let in_pods = self.in_pods(workload, &watched.container).ok()?;
            return in_pods.told().cloned();
        }
        let of_step = |change: &&ImageChange| change.from == from && change.to == to;
        let change = |containers: &BTreeMap<String, ImageChange>| {
            containers.get(&watched.container).filter(of_step).cloned()
        };
        let under_way = marker(workload).and_then(|marker| change(&marker.containers));
        let last = || change(&LastImages::read(&workload.annotations).ok()??.containers);
        let ran = under_way.or_else(last)?.ran?;
        Some(BTreeSet::from([ran]))
    }
}
