//! The way from images to findings: each repository is asked once, several at a time.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use shared::domain::reference::{Digest, ImageReference, ReferenceError, Repository};

use super::finding::{Finding, Subject};
use super::manifest::{Target, Wanted};
use crate::explain::ask::{Inquiry, RunningDigest};
use crate::explain::question::Written;
use crate::registry::RegistryClient;

/// How many repositories are in work at once; the registry client's own limits are per registry and lower.
const REPOSITORIES_AT_ONCE: usize = 32;

const NO_TAG: &str =
    "it names a digest and no tag, so there is nothing to follow; write it as NAME:TAG@DIGEST";

/// Checks all images; the findings are in their order.
pub(super) async fn survey(registry: &RegistryClient, targets: Vec<Target>) -> Vec<Finding> {
    let mut findings = BTreeMap::new();
    let mut repositories = BTreeMap::<Repository, Vec<(usize, Subject)>>::new();
    for (place, target) in targets.into_iter().enumerate() {
        match subject(target) {
            Ok(subject) => repositories
                .entry(subject.image.repository().clone())
                .or_default()
                .push((place, subject)),
            Err(finding) => {
                findings.insert(place, *finding);
            }
        }
    }
    let progress = progress(repositories.len() as u64);
    let asked = futures::stream::iter(repositories).map(|(repository, subjects)| {
        let progress = &progress;
        async move {
            progress.set_message(repository.to_string());
            let found = ask(registry, &repository, subjects).await;
            progress.inc(1);
            found
        }
    });
    let mut asked = std::pin::pin!(asked.buffer_unordered(REPOSITORIES_AT_ONCE));
    while let Some(found) = asked.next().await {
        findings.extend(found);
    }
    progress.finish_and_clear();
    findings.into_values().collect()
}

/// Drawn in a terminal only, and gone before the answer is printed.
fn progress(repositories: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(repositories), ProgressDrawTarget::stderr());
    match ProgressStyle::with_template("{bar:30} {pos}/{len} repositories  {wide_msg:.dim}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What can be asked about an image; or what there is to say without asking.
fn subject(target: Target) -> Result<Subject, Box<Finding>> {
    let image: ImageReference = match target.image.parse() {
        Ok(image) => image,
        Err(error) => {
            let error: ReferenceError = error;
            return Err(Box::new(Finding::invalid(
                target,
                None,
                "invalid-input",
                error.to_string(),
            )));
        }
    };
    let refused = |target: Target, reason: &str, error: String| {
        Err(Box::new(Finding::invalid(target, Some(&image), reason, error)))
    };
    let (options, held) = match &target.wanted {
        Wanted::Policy(options, held) => (options.clone(), held.iter().map(ToString::to_string).collect()),
        Wanted::Nothing => return Err(Box::new(Finding::not_watched(target, Some(&image)))),
        Wanted::Unknown(reason) => {
            let reason = reason.clone();
            return refused(target, "invalid-annotations", reason);
        }
    };
    let Some(tag) = image.effective_tag() else {
        return refused(target, "invalid-input", NO_TAG.to_owned());
    };
    let written = Written {
        current: Some(tag.to_string()),
        options,
        current_digest: image.digest().map(Digest::to_string),
        held,
        ..Written::default()
    };
    match written.check() {
        Ok(question) => Ok(Subject {
            target,
            image,
            question,
        }),
        Err(invalid) => refused(target, invalid.name(), invalid.to_string()),
    }
}

/// Asks a repository what all its images need.
async fn ask(
    registry: &RegistryClient,
    repository: &Repository,
    subjects: Vec<(usize, Subject)>,
) -> Vec<(usize, Finding)> {
    let mut inquiry = Inquiry::new(registry, repository);
    let mut findings = Vec::new();
    for (place, mut subject) in subjects {
        let answered = if subject.needs_an_answer() {
            inquiry.ask(&mut subject.question, RunningDigest::AsWritten).await
        } else {
            Ok(())
        };
        let finding = match answered {
            Ok(()) => Finding::answered(subject, inquiry.tags(), &inquiry.digests()),
            Err(error) => Finding::unanswered(subject, &error),
        };
        findings.push((place, finding));
    }
    findings
}
