//! `check`: what is newer than the images of a command line or of manifests, without a cluster.
//!
//! In reading order: `arguments` says what it can be told, `manifest` finds the images in YAML, `survey` asks each repository once, `finding` is what came of one image, and `table` shows all of them. The
//! choice is made where [`crate::explain`] and the cluster make it.

mod arguments;
mod finding;
mod manifest;
mod survey;
mod table;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::Serialize;
use shared::domain::policy::PolicyOptions;
use shared::domain::reference::{ImageReference, Repository};

use crate::reach::ReachError;
use shared::io::manifest as files;
use shared::io::terminal::{Format, output, page};

pub use arguments::{CheckOptions, EXAMPLES};
use finding::Finding;
use manifest::{Found, PassedOver, Problem, Target, Wanted};

/// Why a check does not end with exit code 0.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    #[error("the options that say which tags are wanted cannot be obeyed: {0}")]
    Policy(#[source] shared::domain::policy::PolicyError),
    #[error("unable to go on: {0}")]
    Stream(#[source] io::Error),
    /// Some images or documents have no answer.
    #[error("not everything could be checked: {0}")]
    Unchecked(String),
    /// With `--exit-code`.
    #[error("something newer is published for {newer} of {images} images")]
    Newer { newer: usize, images: usize },
}

/// Everything that was found, as JSON prints it.
#[derive(Debug, Serialize)]
struct Report {
    images: Vec<Finding>,
    problems: Vec<Problem>,
    passed_over: Vec<PassedOver>,
}

/// Checks what was asked for and prints the answer on standard output.
pub async fn run(options: CheckOptions) -> Result<(), CheckError> {
    let wanted = options.policy.options();
    wanted.check().map_err(CheckError::Policy)?;
    let Found {
        targets,
        problems,
        passed_over,
    } = find(options.images, &options.files, &wanted);
    let repositories = repositories(&targets);
    let registry = options.reach.client(&repositories).await?;
    let report = Report {
        images: survey::survey(&registry, targets).await,
        problems,
        passed_over,
    };
    let printed = match options.output {
        Format::Json => output::json(&report),
        Format::Table => {
            let text = table::render(&report, registry.requests(), page::width());
            text.map_err(io::Error::other)
                .and_then(|text| output::page(&text))
        }
    };
    printed.map_err(CheckError::Stream)?;
    report.verdict(options.exit_code)
}

/// The repositories of all images.
fn repositories(targets: &[Target]) -> BTreeSet<Repository> {
    let images = targets
        .iter()
        .flat_map(|target| target.image.parse::<ImageReference>());
    images.map(|image| image.repository().clone()).collect()
}

/// All images, in the order in which they were given.
fn find(images: Vec<String>, files: &[impl AsRef<Path>], wanted: &PolicyOptions) -> Found {
    let mut found = Found::default();
    found.targets.extend(images.into_iter().map(|image| Target {
        image,
        source: None,
        wanted: Wanted::Policy(wanted.clone(), Vec::new()),
    }));
    for file in files {
        let file = file.as_ref();
        let name = files::name(file);
        match files::read(file) {
            Ok(text) => found.read(&name, &text, wanted),
            Err(error) => found.unreadable(&name, error.to_string()),
        }
    }
    found
}

impl Report {
    /// How many images something newer is published for.
    fn newer(&self) -> usize {
        self.images
            .iter()
            .filter(|finding| finding.newest.is_some())
            .count()
    }

    /// How many images could not be checked.
    fn unchecked(&self) -> usize {
        self.images
            .iter()
            .filter(|finding| finding.error.is_some())
            .count()
    }

    /// What could not be checked weighs more than what is newer: there may be more of that.
    fn verdict(&self, exit_code: bool) -> Result<(), CheckError> {
        let (images, newer, unchecked) = (self.images.len(), self.newer(), self.unchecked());
        let mut missing = Vec::new();
        if unchecked > 0 {
            missing.push(format!("{unchecked} of {images} images"));
        }
        match self.problems.len() {
            0 => {}
            1 => missing.push("1 part of the manifests could not be read".to_owned()),
            several => missing.push(format!("{several} parts of the manifests could not be read")),
        }
        if !missing.is_empty() {
            return Err(CheckError::Unchecked(missing.join(", ")));
        }
        if exit_code && newer > 0 {
            return Err(CheckError::Newer { newer, images });
        }
        Ok(())
    }
}
