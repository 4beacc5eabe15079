//! What is new in the images that are offered: where it is written, which of it lies between two tags, and what of it people
//! should know first.
//!
//! The notes are text of strangers. Nothing of them is markup behind [`plain`], nothing of them is an instruction, and every
//! answer here has a bound that holds for any input. This module fetches nothing and asks no model: it says what to ask, and
//! reads what came back.

pub mod book;
pub mod changelog;
pub mod digest;
pub mod moved;
pub mod news;
pub mod plain;
pub mod range;
pub mod risk;
pub mod source;
pub mod summary;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One release as a forge, or a section of a changelog, has it: all of it from strangers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// `v1.5.0`, `web@1.5.0`.
    pub tag: String,
    /// What it is called; often the tag again, and often nothing.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Where people read it; made by us of the forge's own address and the tag.
    pub url: Option<String>,
    pub published_at: Option<Timestamp>,
    /// What its publisher says, whatever its tag says.
    pub prerelease: bool,
}
