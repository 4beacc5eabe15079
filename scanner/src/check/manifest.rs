//! The images of a manifest, and what is wanted of each.

use serde::Serialize;
use shared::domain::annotations::{self, Layer};
use shared::domain::manifest::{self, Content, ManifestWorkload, Part};
use shared::domain::policy::{Hold, PolicyOptions};

/// Where an image was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    pub(super) file: String,
    /// Counted from 1, without empty ones.
    pub(super) document: usize,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) container: String,
}

/// An image to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// As written: it may be no valid reference.
    pub(super) image: String,
    /// `None` where it was given on the command line.
    pub(super) source: Option<Source>,
    pub(super) wanted: Wanted,
}

/// What is wanted of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What the policy would have, without what is held.
    Policy(PolicyOptions, Vec<Hold>),
    /// The annotation `watch` says `false`.
    Nothing,
    /// Nobody knows, because the workload cannot be understood; and why.
    Unknown(String),
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) file: String,
    /// `None`: the whole file.
    pub(super) document: Option<usize>,
    pub(super) reason: String,
}

/// An object without a pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PassedOver {
    pub(super) file: String,
    pub(super) document: usize,
    pub(super) kind: String,
    pub(super) name: String,
}

/// What was found in all manifests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) targets: Vec<Target>,
    pub(super) problems: Vec<Problem>,
    pub(super) passed_over: Vec<PassedOver>,
}

impl Found {
    /// Reads a manifest. `default` is wanted of containers whose annotations do not say what is.
    pub(super) fn read(&mut self, file: &str, text: &str, default: &PolicyOptions) {
        for Part { document, content } in manifest::parts(text) {
            match content {
                Content::Workload(workload) => self.workload(file, document, &workload, default),
                Content::PassedOver { kind, name } => self.passed_over.push(PassedOver {
                    file: file.to_owned(),
                    document,
                    kind,
                    name,
                }),
                Content::Problem(reason) => self.problem(file, document, reason),
            }
        }
    }

    /// A file that could not be read at all.
    pub(super) fn unreadable(&mut self, file: &str, reason: String) {
        self.problems.push(Problem {
            file: file.to_owned(),
            document: None,
            reason,
        });
    }

    fn problem(&mut self, file: &str, document: usize, reason: String) {
        self.problems.push(Problem {
            file: file.to_owned(),
            document: Some(document),
            reason,
        });
    }

    fn workload(
        &mut self,
        file: &str,
        document: usize,
        workload: &ManifestWorkload,
        default: &PolicyOptions,
    ) {
        let settings = settings(workload);
        for container in &workload.containers {
            if container.image.is_empty() {
                let (container, ManifestWorkload { kind, name, .. }) = (&container.name, workload);
                let reason = format!("container {container:?} of the {kind} {name:?} has no image");
                self.problem(file, document, reason);
                continue;
            }
            let wanted = match &settings {
                Ok(settings) => match settings.containers.get(&container.name) {
                    Some(wanted) if !wanted.watch => Wanted::Nothing,
                    Some(wanted) if wanted.policy != PolicyOptions::default() => {
                        Wanted::Policy(wanted.policy.clone(), wanted.held.to_vec())
                    }
                    Some(wanted) => Wanted::Policy(default.clone(), wanted.held.to_vec()),
                    None => Wanted::Policy(default.clone(), Vec::new()),
                },
                Err(reason) => Wanted::Unknown(reason.clone()),
            };
            self.targets.push(Target {
                image: container.image.clone(),
                source: Some(Source {
                    file: file.to_owned(),
                    document,
                    kind: workload.kind.clone(),
                    namespace: workload.namespace.clone(),
                    name: workload.name.clone(),
                    container: container.name.clone(),
                }),
                wanted,
            });
        }
    }
}

/// What the annotations of a workload say. Whoever checks a manifest wants its images checked, so they need not opt in; but
/// they may opt out.
fn settings(workload: &ManifestWorkload) -> Result<annotations::Settings, String> {
    annotations::settings(&workload.subject()?, &Layer::opted_in()).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })
}

#[cfg(test)]
mod tests;
