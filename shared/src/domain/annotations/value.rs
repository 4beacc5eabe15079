//! The values that settings have.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::str::FromStr;

use jiff::SignedDuration;

use super::settings::MOST_ROLLOUT_TIMEOUT;
use crate::domain::policy::{Hold, shortened};
use crate::domain::reference::{Digest, ReferenceError, Tag};
use crate::domain::release_notes::risk::RiskFlag;
use crate::domain::time::duration;
use crate::domain::window::Windows;

/// Words of an annotation that holds: each is compared with each tag, at each look.
pub const MOST_HOLDS: usize = 500;
/// Globs of a list, which the policy bounds more closely.
const MOST_GLOBS: usize = 100;
/// More than that never come together, and as many words are kept.
const MOST_APPROVERS: u32 = 20;

/// What happens when a newer image is found.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Mode {
    /// Apply it.
    Auto,
    /// Tell, and apply it once the tag stands in the `approved` annotation.
    #[default]
    Approve,
    /// Tell, and leave it to people.
    Notify,
    /// Neither tell nor apply.
    Off,
}

impl Mode {
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let modes = <Self as strum::VariantNames>::VARIANTS.join(", ");
        value.parse().map_err(|_| format!("it must be one of {modes}"))
    }
}

/// How a new image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Pin {
    /// `NAME:TAG`.
    Tag,
    /// `NAME:TAG@DIGEST`.
    Digest,
}

impl Pin {
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        let pins = <Self as strum::VariantNames>::VARIANTS.join(", ");
        value.parse().map_err(|_| format!("it must be one of {pins}"))
    }
}

/// Where an update is written, where somebody says so. Another executor of the same decisions is another variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteBack {
    /// Into the live object, whoever else keeps its image.
    Cluster,
}

impl WriteBack {
    pub(super) fn parse(value: &str) -> Result<Self, String> {
        match value {
            "cluster" => Ok(Self::Cluster),
            "git" => Err(
                "Kubefresh does not write to Git yet; until it does, mode \"notify\" tells what to change there, and \"cluster\" \
                 changes the live object"
                    .to_owned(),
            ),
            _ => Err("it must be \"cluster\"".to_owned()),
        }
    }
}

/// What a person agreed to: a tag, or under the policy `digest` the new digest of the same tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    Tag(Tag),
    Digest(Digest),
}

impl FromStr for Approved {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        // A tag holds no colon and a digest always does.
        if value.contains(':') {
            value
                .parse()
                .map(Self::Digest)
                .map_err(|error: ReferenceError| error.to_string())
        } else {
            value
                .parse()
                .map(Self::Tag)
                .map_err(|error: ReferenceError| error.to_string())
        }
    }
}

pub(super) fn parse_switch(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be \"true\" or \"false\"".to_owned()),
    }
}

/// The same of a variable or a flag, as people and other programs write them: in any case of letters.
pub fn parse_variable_switch(value: &str) -> Result<bool, String> {
    parse_switch(&value.to_ascii_lowercase())
}

/// Whether any suffix will do.
pub(super) fn parse_suffix(value: &str) -> Result<bool, String> {
    match value {
        "any" => Ok(true),
        "same" => Ok(false),
        _ => Err("it must be \"same\" or \"any\"".to_owned()),
    }
}

/// Separated by spaces, which no tag contains.
pub(super) fn parse_globs(value: &str) -> Result<Vec<String>, String> {
    let globs: Vec<String> = value
        .split_whitespace()
        .take(MOST_GLOBS + 1)
        .map(str::to_owned)
        .collect();
    if globs.len() > MOST_GLOBS {
        return Err(format!("it has more than {MOST_GLOBS} globs"));
    }
    if globs.is_empty() {
        return Err("it must be one or more globs, separated by spaces".to_owned());
    }
    Ok(globs)
}

/// Separated by spaces, which neither a tag nor a digest contains.
pub(super) fn parse_holds(value: &str) -> Result<Vec<Hold>, String> {
    let parse = |word: &str| {
        let hold = word.parse::<Hold>();
        hold.map_err(|error| {
            format!(
                "{:?} is no TAG, DIGEST, TAG@DIGEST or <=TAG: {error}",
                shortened(word)
            )
        })
    };
    let count = value.split_whitespace().count();
    if count > MOST_HOLDS {
        return Err(format!(
            "it has {count} words, and may have {MOST_HOLDS}; one <=TAG holds all that is older, too"
        ));
    }
    value.split_whitespace().map(parse).collect()
}

/// Risks, separated by commas or spaces, or `none`, which overrides a default.
pub(super) fn parse_risks(value: &str) -> Result<BTreeSet<RiskFlag>, String> {
    let known = <RiskFlag as strum::VariantNames>::VARIANTS.join(", ");
    let words = value.split([',', ' ']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    if words == ["none"] {
        return Ok(BTreeSet::new());
    }
    let error = || format!("it must be one or more of {known}, separated by commas, or none");
    if words.is_empty() {
        return Err(error());
    }
    words
        .into_iter()
        .map(|word| word.parse().map_err(|_| error()))
        .collect()
}

/// How many people, at most as many as can be asked.
pub(super) fn parse_approvers(value: &str) -> Result<NonZeroU32, String> {
    let people = value.parse().ok();
    people
        .filter(|people: &NonZeroU32| people.get() <= MOST_APPROVERS)
        .ok_or_else(|| format!("it must be a number of people, from 1 to {MOST_APPROVERS}"))
}

/// At most a year; `never` overrides a default.
pub(super) fn parse_approval_deadline(value: &str) -> Result<Option<SignedDuration>, String> {
    if value == "never" {
        return Ok(None);
    }
    duration(value, SignedDuration::from_hours(366 * 24)).map(Some)
}

/// What the last update gave: one of it, exactly.
pub(in crate::domain) fn parse_undo(value: &str) -> Result<Hold, String> {
    let named = value.parse::<Hold>().map_err(|error| error.to_string());
    match named {
        Ok(Hold::UpTo(_)) => {
            Err("it must be TAG, DIGEST or TAG@DIGEST, as the last update gave it".to_owned())
        }
        named @ (Ok(Hold::Tag(_) | Hold::Digest(_) | Hold::Image(..)) | Err(_)) => named,
    }
}

/// At most a day, so that a typo cannot park a rollout for ever.
pub(super) fn parse_rollout_timeout(value: &str) -> Result<SignedDuration, String> {
    duration(value, MOST_ROLLOUT_TIMEOUT)
}

/// At most a year, for the same reason. `0` overrides a default.
pub(super) fn parse_min_age(value: &str) -> Result<Option<SignedDuration>, String> {
    if matches!(value, "0" | "0s") {
        return Ok(None);
    }
    duration(value, SignedDuration::from_hours(366 * 24)).map(Some)
}

/// Windows, or the `word` that stands for none and so overrides a default.
pub(super) fn parse_windows(value: &str, word: &str) -> Result<Option<Windows>, String> {
    if value == word {
        return Ok(None);
    }
    Windows::parse(value).map(Some)
}
