//! The stored form of a record: a ConfigMap that people read with kubectl.
//!
//! Schema 1. One key a fact, lists as YAML. A record of a schema we do not know is an error, never half understood.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Findings, ScanError, ScanRecord, TagRecord};
use crate::domain::hash::short_hash;
use crate::domain::reference::{Repository, Tag};
use crate::domain::tag::TagVersion;
use crate::domain::watched::Demand;

/// The schema that this version writes, and the only one it reads.
pub const SCHEMA: &str = "1";

/// Marks a ConfigMap as one of ours; its value says which kind of record it is.
pub const RECORD_LABEL: &str = "kubefresh.dev/record";
pub const RECORD_KIND: &str = "scan";
pub const REGISTRY_LABEL: &str = "kubefresh.dev/registry";
pub const NEWEST_LABEL: &str = "kubefresh.dev/newest";
pub const STATE_LABEL: &str = "kubefresh.dev/state";

/// Label values end here: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>.
const LABEL_LENGTH: usize = 63;
/// Of the readable part of a name; the hash makes it unique.
const SLUG_LENGTH: usize = 40;

/// A ConfigMap that is no record of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("record {name} lacks {key:?}; delete the ConfigMap, the next scan writes it anew")]
    Missing { name: String, key: &'static str },
    #[error(
        "record {name}: {key} {value:?} cannot be read: {reason}; delete the ConfigMap, the next scan writes it anew"
    )]
    Invalid {
        name: String,
        key: &'static str,
        value: String,
        reason: String,
    },
    #[error(
        "record {name} has schema {found:?} and this version reads {SCHEMA:?}; run one version of both programs"
    )]
    Schema { name: String, found: String },
    #[error("record {name} speaks of {found} and its name belongs to {expected}; delete the ConfigMap")]
    OtherRepository {
        name: String,
        found: Repository,
        expected: Repository,
    },
}

/// The name of a repository's record: legible, and unique by the first 16 hex digits of the name's SHA-256. With 8, whoever
/// may write a workload could find, within minutes, a name that takes another repository's record.
pub fn record_name(repository: &Repository) -> String {
    let text = repository.to_string();
    let mut slug = String::new();
    for character in text.chars().take(SLUG_LENGTH) {
        let character = character.to_ascii_lowercase();
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    format!("scan-{}-{}", slug.trim_matches('-'), short_hash(&text, 16))
}

/// Whether the last attempts succeeded, as the state label says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum RecordState {
    /// The last scan was complete.
    Complete,
    /// The last attempt failed; the findings are older.
    Failing,
    /// There was no complete scan yet.
    Unknown,
}

impl ScanRecord {
    pub fn state(&self) -> RecordState {
        match (&self.findings, &self.last_error) {
            (None, _) => RecordState::Unknown,
            (Some(_), Some(_)) => RecordState::Failing,
            (Some(_), None) => RecordState::Complete,
        }
    }

    /// The newest tag that any demand could move to, or else one that is in use.
    pub fn newest(&self) -> Option<Tag> {
        let findings = self.findings.as_ref()?;
        let chosen = findings
            .scanned_for
            .iter()
            .filter_map(|demand| findings.candidates(demand).into_iter().next());
        let in_use = || findings.scanned_for.iter().map(|demand| &demand.tag);
        chosen.reduce(newer).or_else(|| in_use().reduce(newer)).cloned()
    }

    /// The stored form.
    pub fn to_config_map(&self, namespace: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                name: Some(record_name(&self.repository)),
                namespace: Some(namespace.to_owned()),
                labels: Some(self.labels()),
                ..ObjectMeta::default()
            },
            data: Some(self.data()),
            ..ConfigMap::default()
        }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let state: &str = self.state().into();
        let mut labels = BTreeMap::from([
            (RECORD_LABEL.to_owned(), RECORD_KIND.to_owned()),
            (REGISTRY_LABEL.to_owned(), label_value(self.repository.registry())),
            (STATE_LABEL.to_owned(), state.to_owned()),
        ]);
        if let Some(newest) = self.newest() {
            labels.insert(NEWEST_LABEL.to_owned(), label_value(newest.as_ref()));
        }
        labels
    }

    fn data(&self) -> BTreeMap<String, String> {
        let Self {
            repository,
            findings,
            last_error,
        } = self;
        let mut data = BTreeMap::from([
            ("schema".to_owned(), SCHEMA.to_owned()),
            ("repository".to_owned(), repository.to_string()),
            ("complete".to_owned(), findings.is_some().to_string()),
        ]);
        if let Some(Findings {
            scanned_at,
            tag_count,
            scanned_for,
            tags,
        }) = findings
        {
            data.insert("scannedAt".to_owned(), scanned_at.to_string());
            if let Some(count) = tag_count {
                data.insert("tagCount".to_owned(), count.to_string());
            }
            data.insert("scannedFor".to_owned(), lines(scanned_for));
            data.insert("tags".to_owned(), yaml(tags));
        }
        if let Some(error) = last_error {
            data.insert("lastError".to_owned(), yaml(error));
        }
        data
    }

    /// Reads the stored form of the record of `expected`.
    pub fn from_config_map(config_map: &ConfigMap, expected: &Repository) -> Result<Self, RecordError> {
        let record = Self::parse(config_map)?;
        if record.repository == *expected {
            return Ok(record);
        }
        let name = config_map.metadata.name.clone().unwrap_or_default();
        Err(RecordError::OtherRepository {
            name,
            found: record.repository,
            expected: expected.clone(),
        })
    }

    /// Reads the stored form, whichever repository it speaks of.
    pub fn parse(config_map: &ConfigMap) -> Result<Self, RecordError> {
        let reader = Reader::new(config_map);
        let schema = reader.required("schema")?;
        if schema != SCHEMA {
            return Err(RecordError::Schema {
                name: reader.name,
                found: schema.to_owned(),
            });
        }
        let repository = reader.parsed("repository")?;
        let complete: bool = reader.parsed("complete")?;
        let findings = if complete { Some(reader.findings()?) } else { None };
        let last_error = match reader.optional("lastError") {
            Some(_) => Some(reader.yaml::<ScanError>("lastError")?),
            None => None,
        };
        Ok(Self {
            repository,
            findings,
            last_error,
        })
    }
}

/// Reads keys and says of each failure where it happened.
struct Reader<'a> {
    name: String,
    data: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Reader<'a> {
    fn new(config_map: &'a ConfigMap) -> Self {
        Self {
            name: config_map.metadata.name.clone().unwrap_or_default(),
            data: config_map.data.as_ref(),
        }
    }

    fn optional(&self, key: &'static str) -> Option<&'a str> {
        self.data.and_then(|data| data.get(key)).map(String::as_str)
    }

    fn required(&self, key: &'static str) -> Result<&'a str, RecordError> {
        self.optional(key).ok_or_else(|| RecordError::Missing {
            name: self.name.clone(),
            key,
        })
    }

    fn invalid(&self, key: &'static str, value: &str, reason: &impl ToString) -> RecordError {
        // A record may be large: the beginning is enough to find the place.
        let value = value.chars().take(80).collect();
        RecordError::Invalid {
            name: self.name.clone(),
            key,
            value,
            reason: reason.to_string(),
        }
    }

    fn parsed<T: FromStr<Err: ToString>>(&self, key: &'static str) -> Result<T, RecordError> {
        let value = self.required(key)?;
        value
            .parse()
            .map_err(|error: T::Err| self.invalid(key, value, &error))
    }

    fn yaml<T: DeserializeOwned>(&self, key: &'static str) -> Result<T, RecordError> {
        let value = self.required(key)?;
        serde_saphyr::from_str(value).map_err(|error| self.invalid(key, value, &error))
    }

    fn findings(&self) -> Result<Findings, RecordError> {
        let scanned_at: Timestamp = self.parsed("scannedAt")?;
        let tag_count = match self.optional("tagCount") {
            Some(_) => Some(self.parsed("tagCount")?),
            None => None,
        };
        let lines = self.required("scannedFor")?;
        // A line that another version wrote is as good as not there: nobody decides by what was not scanned for.
        let scanned_for = lines.lines().flat_map(Demand::from_str).collect();
        let mut tags: Vec<TagRecord> = self.yaml("tags")?;
        tags.shrink_to_fit();
        Ok(Findings {
            scanned_at,
            tag_count,
            scanned_for,
            tags,
        })
    }
}

fn lines(demands: &BTreeSet<Demand>) -> String {
    demands
        .iter()
        .fold(String::new(), |lines, demand| lines + &demand.to_string() + "\n")
}

/// The newer of two tags; the first where they cannot be compared.
fn newer<'a>(one: &'a Tag, other: &'a Tag) -> &'a Tag {
    let order = TagVersion::parse(other)
        .zip(TagVersion::parse(one))
        .and_then(|(other, one)| other.compare(&one));
    if order == Some(Ordering::Greater) {
        other
    } else {
        one
    }
}

/// Our own types hold nothing that YAML cannot say; should that ever fail, the reader names the key.
pub(super) fn yaml<T: Serialize>(value: &T) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).unwrap_or_default()
}

/// A text as near to it as a label value may come: other characters become `_`, too long a text is cut.
pub fn label_value(text: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let value: String = text
        .chars()
        .take(LABEL_LENGTH)
        .map(|character| if allowed(character) { character } else { '_' })
        .collect();
    value
        .trim_matches(|character: char| !character.is_ascii_alphanumeric())
        .to_owned()
}

#[cfg(test)]
mod tests;
