//! What `explain` can be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use shared::domain::policy::PolicyOptions;
use shared::io::terminal::Format;

use super::question::Written;
use crate::reach::ReachArguments;

/// Shown below the options.
pub const EXAMPLES: &str = "\
Examples:
  What would the next minor update of nginx be?
    kubefresh-scanner explain nginx:1.25.3-alpine --policy minor

  The same without asking anybody, from a list of tags:
    skopeo list-tags docker://nginx | kubefresh-scanner explain nginx:1.25.3-alpine --tags -

  Only some of the newer versions:
    kubefresh-scanner explain postgres:16.3 --policy 'range:>=16 <18' --exclude '*beta*'

  Tags with a commit and a time, compared by the time:
    kubefresh-scanner explain registry.example.com/web:main-4f9a1c2-1718000000 \
      --tag-pattern '^main-[a-f0-9]{7}-(?P<ts>[0-9]+)$' --tag-extract '$ts' --tag-order numeric

  Has the tag moved to another image?
    kubefresh-scanner explain nginx:latest@sha256:… --policy digest

  Every rejected tag with its rule, for other programs:
    kubefresh-scanner explain nginx:1.25.3-alpine --output json | jq .rejected";

/// What `explain` is told, as it was typed.
#[derive(Debug, Args)]
pub struct ExplainOptions {
    /// The image as a workload names it, such as `nginx:1.25.3-alpine`. With `--tags` it may be left out: then it is asked
    /// which tag a pattern or a range would start with.
    #[arg(
        value_name = "IMAGE",
        required_unless_present_any = ["tags", "batch", "references"],
        conflicts_with_all = ["batch", "references"]
    )]
    pub image: Option<String>,
    /// Read the published tags from this file and ask nobody; `-` is standard input. One tag a line, a JSON array, or what
    /// a registry or skopeo answers to a question for tags.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["batch", "references"])]
    pub tags: Option<PathBuf>,
    /// How the answer is written: for people, or as one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    #[command(flatten)]
    pub policy: PolicyArguments,
    #[command(flatten)]
    pub known: KnownArguments,
    #[command(flatten)]
    pub reach: ReachArguments,
    /// Answer one JSON object a line from standard input with one a line:
    /// `{"id", "current", "policy", "tags": […]}`, with every option above by its name with `_`.
    #[arg(
        long,
        help_heading = "Many at once",
        conflicts_with_all = ["references", "PolicyArguments", "KnownArguments"]
    )]
    pub batch: bool,
    /// Read image references, `{"id", "input"}` a line, and answer with their parts.
    #[arg(
        long,
        help_heading = "Many at once",
        conflicts_with_all = ["PolicyArguments", "KnownArguments"]
    )]
    pub references: bool,
}

/// Which tags are wanted: the annotations of a workload, as flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which tags are wanted")]
pub struct PolicyArguments {
    /// How far the tag may move: `patch`, `minor`, `major`, `digest` (the same tag with another digest), `range:RANGE`,
    /// `glob:GLOB` or `regex:REGEX`. By default `minor` where the current tag carries a version and `digest` where it does
    /// not; any newer tag where a pattern or an order is given.
    #[arg(long)]
    pub policy: Option<String>,
    /// Only tags that match this regular expression (RE2 syntax; anchor it with `^` and `$`). Its groups serve
    /// `--tag-extract`.
    #[arg(long, value_name = "REGEX")]
    pub tag_pattern: Option<String>,
    /// What is compared instead of the whole tag, made of the pattern's groups: `$1`, `$ts`, `${year}${week}`.
    #[arg(long, value_name = "TEMPLATE")]
    pub tag_extract: Option<String>,
    /// How it is compared: `semver`, `numeric` or `alphabetical`, the greatest being the newest unless `:desc` follows.
    #[arg(long, value_name = "ORDER")]
    pub tag_order: Option<String>,
    /// Prereleases too.
    #[arg(long)]
    pub prerelease: bool,
    /// Only tags that match this glob; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// No tags that match this glob; may be repeated.
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Follow a variant to later releases of its distribution: from `-alpine3.19` to `-alpine3.22`.
    #[arg(long)]
    pub follow_variants: bool,
    /// Whether the suffix must stay (`exact`), or counts as in Semantic Versioning (`any`), where `1.2.0-x` comes before
    /// `1.2.0`.
    #[arg(long, value_name = "WHICH", default_value = "exact")]
    pub suffix: Suffix,
}

/// Which suffixes a tag may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Suffix {
    Exact,
    Any,
}

/// What is known beside the tags.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is known")]
pub struct KnownArguments {
    /// The digest that runs; by default that of IMAGE, if it has one.
    #[arg(long, value_name = "DIGEST")]
    pub current_digest: Option<String>,
    /// The digest that the current tag has in the registry, for the policy `digest`; by default the registry is asked.
    #[arg(long, value_name = "DIGEST")]
    pub remote_digest: Option<String>,
    /// What is never to be offered: TAG, DIGEST, TAG@DIGEST, or <=TAG with all that is older; may be repeated.
    #[arg(long, value_name = "HOLD")]
    pub hold: Vec<String>,
}

impl ExplainOptions {
    /// The question about one tag, not checked yet.
    pub(super) fn written(&self, current: Option<String>, image_digest: Option<String>) -> Written {
        let KnownArguments {
            current_digest,
            remote_digest,
            hold,
        } = &self.known;
        Written {
            current,
            options: self.policy.options(),
            current_digest: current_digest.clone().or(image_digest),
            remote_digest: remote_digest.clone(),
            held: hold.clone(),
        }
    }
}

impl PolicyArguments {
    /// As they were given.
    pub(crate) fn options(&self) -> PolicyOptions {
        let Self {
            policy,
            tag_pattern,
            tag_extract,
            tag_order,
            prerelease,
            include,
            exclude,
            follow_variants,
            suffix,
        } = self;
        PolicyOptions {
            policy: policy.clone(),
            tag_pattern: tag_pattern.clone(),
            tag_extract: tag_extract.clone(),
            tag_order: tag_order.clone(),
            prerelease: *prerelease,
            include: include.clone(),
            exclude: exclude.clone(),
            follow_variants: *follow_variants,
            any_suffix: *suffix == Suffix::Any,
        }
    }
}
