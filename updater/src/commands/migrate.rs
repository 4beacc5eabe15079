//! `migrate`: what the annotations of other tools are in our own words.

mod page;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use shared::domain::annotations::{Migration, Remark, migration};
use shared::domain::manifest::{self, Content, ManifestWorkload, Part};
use shared::domain::workload::WorkloadKind;
use shared::io::client;
use shared::io::manifest as files;
use shared::io::terminal::{Format, output};

use super::{CommandError, survey};
use crate::cli::Settings;

/// Shown below the options.
pub const EXAMPLES: &str = "\
Examples:
  Take over the workloads of one namespace, after a look at the commands:
    kubefresh-updater migrate shop/
    kubefresh-updater migrate shop/ | sh

  Those of manifests, or of what a chart renders:
    kubefresh-updater migrate -f deploy/web.yaml
    helm template . | kubefresh-updater migrate -f -

  For other programs:
    kubefresh-updater migrate --output json | jq '.workloads[] | select(.errors != [])'

JSON is one object in one line:
  workloads  file and document (null: of the cluster), kind, namespace, name
             dialect: whose words are followed, or null
             annotations: those that mean the same
             remarks: origin, value and reason of what cannot be carried over,
             or only otherwise
             errors: what has to be mended first
  problems   file, document (null: the whole file) and reason of what could not
             be read";

/// What is taken over.
#[derive(Debug, Clone, Args)]
pub struct MigrateOptions {
    /// Only workloads with this in NAMESPACE/NAME.
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// The workloads in this file of YAML or JSON documents instead of those of the cluster; `-` is standard input. May be
    /// repeated.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the answer is written: as commands for a shell, or as one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

/// A workload with words for another tool.
#[derive(Debug, Serialize)]
struct Entry {
    file: Option<String>,
    document: Option<usize>,
    kind: String,
    namespace: Option<String>,
    name: String,
    dialect: Option<String>,
    annotations: BTreeMap<String, String>,
    remarks: Vec<Remark>,
    errors: Vec<String>,
}

/// Something that could not be read.
#[derive(Debug, Serialize)]
struct Problem {
    file: String,
    document: Option<usize>,
    reason: String,
}

#[derive(Debug, Default, Serialize)]
struct Answer {
    workloads: Vec<Entry>,
    problems: Vec<Problem>,
}

/// Answers on standard output.
pub async fn migrate(options: MigrateOptions, settings: Settings) -> Result<(), CommandError> {
    let mut answer = if options.files.is_empty() {
        of_cluster(&settings).await?
    } else {
        of_files(&options.files, &settings)
    };
    if let Some(filter) = &options.filter {
        let name = |entry: &Entry| format!("{}/{}", entry.namespace.as_deref().unwrap_or(""), entry.name);
        answer.workloads.retain(|entry| name(entry).contains(filter));
    }
    let printed = match options.output {
        Format::Json => output::json(&answer),
        Format::Table => page::render(&answer)
            .map_err(io::Error::other)
            .and_then(|text| output::page(&text)),
    };
    printed.map_err(CommandError::Stream)?;
    match answer.problems.len() {
        0 => Ok(()),
        1 => Err(CommandError::Unread("1 part of the manifests".to_owned())),
        several => Err(CommandError::Unread(format!("{several} parts of the manifests"))),
    }
}

async fn of_cluster(settings: &Settings) -> Result<Answer, CommandError> {
    let client = client::connect(client::CALL_LIMIT).await?;
    let snapshot = survey::see(&client, settings)
        .await
        .map_err(CommandError::Cluster)?;
    let mut workloads: Vec<Entry> = Vec::new();
    for workload in &snapshot.workloads {
        let id = &workload.id;
        let layer = snapshot.namespaces.layer(&id.namespace);
        let found = layer.and_then(|layer| migration(&workload.subject(), layer));
        workloads.extend(found.map(|migration| {
            let kind: &str = id.kind.into();
            Entry::of(None, kind, Some(&id.namespace), &id.name, migration)
        }));
    }
    let place = |entry: &Entry| (entry.namespace.clone(), entry.kind.clone(), entry.name.clone());
    workloads.sort_by_cached_key(place);
    Ok(Answer {
        workloads,
        problems: Vec::new(),
    })
}

fn of_files(files: &[PathBuf], settings: &Settings) -> Answer {
    let mut answer = Answer::default();
    for file in files {
        let name = files::name(file);
        match files::read(file) {
            Ok(text) => {
                for part in manifest::parts(&text) {
                    answer.add(&name, part, settings);
                }
            }
            Err(error) => answer.problems.push(Problem {
                file: name,
                document: None,
                reason: error.to_string(),
            }),
        }
    }
    answer
}

impl Answer {
    fn add(&mut self, file: &str, part: Part, settings: &Settings) {
        let Part { document, content } = part;
        let problem = |reason: String| Problem {
            file: file.to_owned(),
            document: Some(document),
            reason,
        };
        let workload = match content {
            Content::Workload(workload) => workload,
            Content::PassedOver { .. } => return,
            Content::Problem(reason) => return self.problems.push(problem(reason)),
        };
        let namespace = workload.namespace.as_deref();
        let subject = match workload.subject() {
            Ok(subject) => subject,
            Err(reason) => {
                let reason = format!("the {} {:?}: {reason}", workload.kind, workload.name);
                return self.problems.push(problem(reason));
            }
        };
        // What its namespace says is nowhere in a manifest.
        let layer = settings
            .installation
            .layer(namespace.unwrap_or("default"), &BTreeMap::new());
        self.workloads
            .extend(migration(&subject, &layer).map(|mut migration| {
                leave_others(&workload, &mut migration);
                let place = Some((file.to_owned(), document));
                Entry::of(place, &workload.kind, namespace, &workload.name, migration)
            }));
    }
}

/// Takes back what would be said of an object that is no workload of ours.
fn leave_others(workload: &ManifestWorkload, migration: &mut Migration) {
    let ManifestWorkload { group, kind, .. } = workload;
    // Another API can have kinds of the same names, and kubectl would take such a name for ours.
    let is_in_group = |ours: &WorkloadKind| {
        let group = group.as_deref();
        group.is_none_or(|group| group == manifest::group(ours.api_version()))
    };
    let mut all = WorkloadKind::ALL.iter();
    if all.any(|ours| <&str>::from(ours) == kind && is_in_group(ours)) {
        return;
    }
    let its_group = group.as_ref().filter(|group| !group.is_empty());
    let its_group = its_group.map_or_else(String::new, |group| format!(" of {group}"));
    let kinds: Vec<&str> = WorkloadKind::ALL.iter().map(Into::into).collect();
    migration.annotations.clear();
    migration.remarks.push(Remark {
        origin: format!("kind {kind}{its_group}"),
        value: String::new(),
        reason: format!("Kubefresh updates only {}", kinds.join(", ")),
    });
}

impl Entry {
    fn of(
        place: Option<(String, usize)>,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        migration: Migration,
    ) -> Self {
        let Migration {
            dialect,
            has_ours: _,
            annotations,
            remarks,
            errors,
        } = migration;
        let (file, document) = place.unzip();
        Self {
            file,
            document,
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            dialect: dialect.map(|dialect| dialect.to_string()),
            annotations,
            remarks,
            errors: errors.iter().map(ToString::to_string).collect(),
        }
    }
}
