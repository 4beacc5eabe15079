//! Whose release notes a plan wants to know, and what is known of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::readings::Read;
use super::stride::Stride;
use super::{Action, Assessment, Plan, Snapshot, Target};
use crate::domain::in_flight::ImageChange;
use crate::domain::reference::Tag;
use crate::domain::release_notes::book::{Known, Wanted};
use crate::domain::release_notes::news::News;
use crate::domain::release_notes::risk::{Notes, Risk, risk};
use crate::domain::release_notes::source::{Forge, NoSource, NotesSource, find};
use crate::domain::watched::Watched;
use crate::domain::workload::Workload;

impl Snapshot {
    /// The notes of what an update of a container goes through, or why nobody knows where they would be.
    fn notes_of(&self, watched: &Watched, stride: &Stride) -> Result<Wanted, NoSource> {
        let image = watched.image.repository();
        let labels = self
            .recorded(image, stride.tag())
            .and_then(|record| record.labels.as_deref());
        let label = labels.and_then(|labels| labels.source.as_deref());
        let found = find(&watched.settings.release_notes, label, image, &self.notes.forges)?;
        // A page of the tag may tell all the same what is new, and releases cannot.
        let is_page = |source: &NotesSource| source.forge() == Forge::Page;
        if let Stride::Untold { tag: _, why } = stride
            && !found.sources.iter().any(is_page)
        {
            return Err(why.clone().into());
        }
        let (from, to) = stride.ends();
        Ok(Wanted {
            image: image.clone(),
            from: from.clone(),
            to: to.clone(),
            found,
        })
    }

    /// The risk of updating a container to this, and until when more of it may be known soon, if it may.
    pub(super) fn risk_of(
        &self,
        workload: &Workload,
        watched: &Watched,
        target: &Target,
        now: Timestamp,
    ) -> (Risk, Option<Timestamp>) {
        let stride = self.stride(workload, watched, (&watched.image.text(), &target.image));
        let stride = stride.unwrap_or_else(|| Stride::Tags {
            from: watched.demand.tag.clone(),
            to: target.tag.clone(),
        });
        let known = self.notes.of(self.notes_of(watched, &stride));
        let expected_until = self.notes.expected_until(&known, now);
        let risk = self.risk_between(watched, &stride, &known, expected_until.is_some());
        (risk, expected_until)
    }

    fn risk_between(&self, watched: &Watched, stride: &Stride, known: &Known, is_expected: bool) -> Risk {
        let image = watched.image.repository();
        let version = |tag: &Tag| {
            let labels = self.recorded(image, tag)?.labels.as_deref()?;
            labels.version.as_deref()
        };
        let labels = match stride {
            Stride::Tags { from, to } => (version(from).filter(|_| from != to), version(to)),
            // They are what it goes through.
            Stride::Versions { .. } => (None, None),
            Stride::Untold { tag, why: _ } => (None, version(tag)),
        };
        let no_source;
        let notes = match known {
            Known::Record(record) => record.notes(),
            Known::NotYet(_) if !self.notes.fetched => {
                Notes::Unknown("release notes are not fetched here (FETCH_NOTES)")
            }
            Known::NotYet(_) if is_expected => Notes::Unknown("its release notes are still to be fetched"),
            Known::NotYet(_) => Notes::Unknown(
                "its release notes could not be had within a quarter of an hour; the log of the updater says why",
            ),
            Known::NoSource(why) => {
                no_source = why.to_string();
                Notes::Unknown(&no_source)
            }
        };
        let (from, to) = stride.ends();
        risk(from, to, labels, notes)
    }

    /// What there is to know of giving a container of a workload the image `to` in place of `from`; nothing where it is not
    /// watched, or these are no two tags of one repository.
    pub fn news(&self, workload: &Arc<Workload>, container: &str, from: &str, to: &str) -> Option<News> {
        let read = self.read(workload)?;
        let watched = read.as_ref().as_ref().ok()?.container(container)?;
        let stride = self.stride(workload, watched, (from, to))?;
        let known = self.notes.of(self.notes_of(watched, &stride));
        // Whoever gives up to wait says so; here it is no more than not known.
        let risk = self.risk_between(watched, &stride, &known, true);
        let (_, to) = stride.ends();
        Some(News {
            versions: stride.versions(),
            ..News::new(&known, self.notes.fetched, to, risk)
        })
    }

    fn read(&self, workload: &Arc<Workload>) -> Option<Read> {
        let layer = self.namespaces.layer(&workload.id.namespace)?;
        Some(self.readings.of(workload, layer))
    }

    /// The notes of all that a plan offers or does, none twice.
    pub fn notes_wanted(&self, plan: &Plan) -> BTreeSet<Wanted> {
        let mut wanted = BTreeSet::new();
        for assessment in &plan.assessments {
            let mut steps = steps(assessment).peekable();
            if steps.peek().is_none() {
                continue;
            }
            let workload = &assessment.workload;
            let Some(read) = self.read(workload) else { continue };
            let Ok(reading) = read.as_ref() else { continue };
            wanted.extend(steps.filter_map(|(container, from, to)| {
                let watched = reading.container(container)?;
                let stride = self.stride(workload, watched, (from, to))?;
                self.notes_of(watched, &stride).ok()
            }));
        }
        wanted
    }
}

/// What is offered to containers, and what they are given now: each with the image before and after.
fn steps(assessment: &Assessment) -> impl Iterator<Item = (&str, &str, &str)> {
    let offered = assessment.containers.iter().filter_map(|entry| {
        let target = entry.verdict.target()?;
        Some((
            entry.container.as_str(),
            entry.image.as_str(),
            target.image.as_str(),
        ))
    });
    let given = match &assessment.action {
        // What undoes an update brings nothing that is new.
        Action::Follow { in_flight, .. } if in_flight.rollback.is_none() => Some(&in_flight.containers),
        Action::Follow { .. }
        | Action::Nothing
        | Action::Stop(_)
        | Action::StopForMarker(_)
        | Action::Start(_)
        | Action::RollBack { .. }
        | Action::Undo { .. }
        | Action::TakenBack(_) => None,
    };
    let given = given.into_iter().flatten();
    let given = given
        .map(|(container, ImageChange { from, to, .. })| (container.as_str(), from.as_str(), to.as_str()));
    offered.chain(given)
}
