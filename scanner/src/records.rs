//! `records`: the scan records of the cluster as a table, for people.

mod table;

use std::io;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use shared::domain::record::{ScanError, ScanRecord};
use shared::io::arguments::{self, NamespaceError};
use shared::io::client::{self, ClientError};
use shared::io::clock;
use shared::io::record_store::RecordStore;

use shared::io::terminal::Format;
use shared::io::terminal::{output, page};

/// Shown below the options.
pub const EXAMPLES: &str = "\
Examples:
  All records, and those of one project:
    kubefresh-scanner records
    kubefresh-scanner records ghcr.io/example/

  Which registries do not answer?
    kubefresh-scanner records --failing

  For other programs:
    kubefresh-scanner records --output json | jq -r '.records[] | select(.error) | .repository'

JSON is one object in one line:
  records     repository, record (its ConfigMap), newest
              state: complete, failing or unknown
              tags: how many are published; null: nobody asked for the list
              scanned_at and age_seconds, of the findings
              error: null, or class, message, since and retryAt
  unreadable  record and reason of each ConfigMap that this version cannot read";

/// What `records` is told, as it was typed.
#[derive(Debug, Args)]
pub struct RecordsOptions {
    /// Only repositories with this in their name.
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    /// Only those whose last scan failed.
    #[arg(long)]
    pub failing: bool,
    /// How the answer is written: for people, or as one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    /// Where the records are kept; the namespace of the client configuration when not given.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    #[error("--namespace: {0}")]
    Namespace(#[source] NamespaceError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0}")]
    Cluster(String),
    #[error("unable to go on: {0}")]
    Stream(#[source] io::Error),
}

/// What is printed of one record. As JSON, every field is there.
#[derive(Debug, Serialize)]
struct Line {
    repository: String,
    record: String,
    newest: Option<String>,
    state: String,
    tags: Option<usize>,
    scanned_at: Option<Timestamp>,
    age_seconds: Option<i64>,
    error: Option<ScanError>,
}

/// A ConfigMap with the label of a record that is none.
#[derive(Debug, Serialize)]
struct Unreadable {
    record: String,
    reason: String,
}

/// Everything that was found, as JSON prints it.
#[derive(Debug, Default, Serialize)]
struct Listing {
    records: Vec<Line>,
    unreadable: Vec<Unreadable>,
}

/// Reads the records and prints those that were asked for on standard output.
pub async fn run(options: RecordsOptions) -> Result<(), RecordsError> {
    let namespace = arguments::given(options.namespace.clone())
        .map(arguments::namespace)
        .transpose()
        .map_err(RecordsError::Namespace)?;
    let kubernetes = client::connect(client::CALL_LIMIT).await?;
    let namespace = namespace.unwrap_or_else(|| kubernetes.default_namespace().to_owned());
    let stored = RecordStore::new(kubernetes, &namespace)
        .list()
        .await
        .map_err(|error| RecordsError::Cluster(client::explain("listing the scan records", &error)))?;
    let now = clock::now();
    let mut listing = Listing::default();
    for config_map in &stored {
        let record = config_map.metadata.name.clone().unwrap_or_default();
        match ScanRecord::parse(config_map) {
            Ok(read) => listing.records.push(Line::of(record, read, now)),
            Err(error) => listing.unreadable.push(Unreadable {
                record,
                reason: error.to_string(),
            }),
        }
    }
    listing
        .records
        .sort_by(|one, other| one.repository.cmp(&other.repository));
    listing.records.retain(|line| is_wanted(line, &options));
    let printed = match options.output {
        Format::Json => output::json(&listing),
        Format::Table => {
            let view = table::View {
                listing: &listing,
                namespace: &namespace,
                stored: stored.len(),
                now,
            };
            let text = table::render(&view, page::width());
            text.map_err(io::Error::other)
                .and_then(|text| output::page(&text))
        }
    };
    printed.map_err(RecordsError::Stream)
}

fn is_wanted(line: &Line, options: &RecordsOptions) -> bool {
    let is_named = options
        .filter
        .as_ref()
        .is_none_or(|filter| line.repository.contains(filter.as_str()));
    is_named && (!options.failing || line.error.is_some())
}

impl Line {
    fn of(name: String, record: ScanRecord, now: Timestamp) -> Self {
        let findings = record.findings.as_ref();
        Self {
            repository: record.repository.to_string(),
            record: name,
            newest: record.newest().map(|tag| tag.to_string()),
            state: record.state().to_string(),
            tags: findings.and_then(|findings| findings.tag_count),
            scanned_at: findings.map(|findings| findings.scanned_at),
            age_seconds: findings.map(|findings| now.duration_since(findings.scanned_at).as_secs()),
            error: record.last_error,
        }
    }
}
