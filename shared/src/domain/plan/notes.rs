//! Whose release notes a plan wants to know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Plan, Snapshot};
use crate::domain::reference::Tag;
use crate::domain::release_notes::book::{Known, Wanted};
use crate::domain::release_notes::risk::{Notes, Risk, risk};
use crate::domain::release_notes::source::{NoSource, find};
use crate::domain::watched::Watched;
use crate::domain::workload::Workload;

impl Snapshot {
    /// The notes of giving a container this tag, or why nobody knows where they would be.
    pub fn notes_of(&self, watched: &Watched, to: &Tag) -> Result<Wanted, NoSource> {
        let image = watched.image.repository();
        let labels = self
            .recorded(image, to)
            .and_then(|record| record.labels.as_deref());
        let label = labels.and_then(|labels| labels.source.as_deref());
        let found = find(&watched.settings.release_notes, label, image, &self.notes.forges)?;
        Ok(Wanted {
            image: image.clone(),
            from: watched.demand.tag.clone(),
            to: to.clone(),
            found,
        })
    }

    /// The risk of giving a container this tag, and whether more will be known of it soon.
    pub fn risk_of(&self, watched: &Watched, to: &Tag) -> (Risk, bool) {
        let (image, from) = (watched.image.repository(), &watched.demand.tag);
        let version = |tag: &Tag| {
            let labels = self.recorded(image, tag)?.labels.as_deref()?;
            labels.version.as_deref()
        };
        // Of a tag that moves only what it points at now is recorded.
        let running = version(from).filter(|_| from != to);
        let known = self.notes.of(self.notes_of(watched, to));
        let no_source;
        let (notes, are_coming) = match &known {
            Known::Record(record) => (record.notes(), false),
            Known::NotYet(_) if self.notes.fetched => {
                (Notes::Unknown("its release notes are still to be fetched"), true)
            }
            Known::NotYet(_) => (
                Notes::Unknown("release notes are not fetched here (FETCH_NOTES)"),
                false,
            ),
            Known::NoSource(why) => {
                no_source = why.to_string();
                (Notes::Unknown(&no_source), false)
            }
        };
        (risk(from, to, (running, version(to)), notes), are_coming)
    }

    /// The notes of all that a plan offers, none twice.
    pub fn notes_wanted(&self, plan: &Plan) -> BTreeSet<Wanted> {
        let workloads = self.workloads.iter();
        let by_uid: BTreeMap<&str, &Arc<Workload>> = workloads
            .map(|workload| (workload.uid.as_str(), workload))
            .collect();
        let mut wanted = BTreeSet::new();
        for assessment in &plan.assessments {
            let mut offered = assessment
                .containers
                .iter()
                .filter_map(|entry| Some((entry, entry.verdict.target()?)))
                .peekable();
            if offered.peek().is_none() {
                continue;
            }
            let Some((workload, layer)) = by_uid
                .get(assessment.uid.as_str())
                .and_then(|workload| Some((*workload, self.namespaces.layer(&workload.id.namespace)?)))
            else {
                continue;
            };
            let read = self.readings.of(workload, layer);
            let Ok(reading) = read.as_ref() else { continue };
            for (entry, target) in offered {
                let mut watched = reading.watched.iter();
                let watched = watched.find(|watched| watched.container == entry.container);
                wanted.extend(watched.and_then(|watched| self.notes_of(watched, &target.tag).ok()));
            }
        }
        wanted
    }
}
