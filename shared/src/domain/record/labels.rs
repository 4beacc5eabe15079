//! What an image says of itself, by the labels of the OCI:
//! <https://specs.opencontainers.org/image-spec/annotations/#pre-defined-annotation-keys>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::text::is_plain;

const PREFIX: &str = "org.opencontainers.image.";

/// The longest text that is kept, in bytes: addresses, commits and times are shorter.
const MAX_LENGTH: usize = 256;

/// Text from whoever built the image: a hint for people, and no ground for a decision. All of it may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageLabels {
    /// Where its source code is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The commit it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The version of what is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

impl ImageLabels {
    /// Out of all labels of an image. What is too long, or cannot be printed as it stands, is left out.
    pub fn of(labels: &BTreeMap<String, String>) -> Self {
        let label = |name: &str| {
            let text = labels.get(&format!("{PREFIX}{name}"))?;
            let is_plain = !text.is_empty() && text.len() <= MAX_LENGTH && text.chars().all(is_plain);
            is_plain.then(|| text.clone())
        };
        Self {
            source: label("source"),
            revision: label("revision"),
            version: label("version"),
            created: label("created"),
        }
    }

    /// How much room it takes in a record, in bytes.
    pub(super) fn size(&self) -> usize {
        let Self {
            source,
            revision,
            version,
            created,
        } = self;
        let texts = [source, revision, version, created].into_iter().flatten();
        // Each stands in a line of its own, under a name and quoted.
        20 + texts.map(|text| text.len() + 20).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[(&str, &str)]) -> ImageLabels {
        let named = |(name, text): &(&str, &str)| (format!("{PREFIX}{name}"), (*text).to_owned());
        ImageLabels::of(&labels.iter().map(named).collect())
    }

    #[test]
    fn the_four_labels_are_kept_and_others_are_not() {
        let labels = of(&[
            ("source", "https://github.com/example/shop"),
            ("revision", "8fd2a11"),
            ("version", "1.4.0"),
            ("created", "2026-11-21T03:00:00Z"),
            ("licenses", "MIT"),
        ]);
        assert_eq!(labels.source.as_deref(), Some("https://github.com/example/shop"));
        assert_eq!(labels.created.as_deref(), Some("2026-11-21T03:00:00Z"));
        let written = serde_json::to_string(&labels).unwrap();
        assert!(!written.contains("MIT"), "{written}");
        assert!(written.len() <= labels.size());
    }

    #[test]
    fn text_that_is_too_long_or_not_plain_is_left_out() {
        let long = "x".repeat(MAX_LENGTH + 1);
        for text in [
            "",
            "\u{1b}[31mred",
            "two\nlines",
            "two\u{2028}lines",
            "a\u{202e}b",
            &long,
        ] {
            assert_eq!(of(&[("source", text)]), ImageLabels::default(), "{text:?}");
        }
    }
}
