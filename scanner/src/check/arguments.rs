//! What `check` can be told.

use std::path::PathBuf;

use clap::Args;

use crate::explain::PolicyArguments;
use crate::reach::ReachArguments;
use shared::io::terminal::Format;

/// Shown below the options.
pub const EXAMPLES: &str = "\
Examples:
  What is newer than these images?
    kubefresh-scanner check nginx:1.25.3-alpine postgres:16.3

  And than those of manifests, or of what a chart renders?
    kubefresh-scanner check -f deploy/web.yaml -f deploy/database.yaml
    helm template . | kubefresh-scanner check -f -

  Fail a pipeline where a minor update is left undone:
    kubefresh-scanner check -f deploy/web.yaml --policy minor --exit-code

  For other programs:
    kubefresh-scanner check -f web.yaml --output json | jq '.images[] | select(.newest)'

JSON is one object in one line:
  images       image, and source: null for IMAGE, else file, document, kind,
               namespace, name and container
               current: its tag, with @digest where it is written with one
               newest: what to write instead; null: nothing newer
               level: patch, minor, major or other; null: nothing newer
               reason and explanation, as a word and as a sentence
               policy, with its options
               error: why it could not be checked, or null
               successor: family and newest of the variant that goes on where
               this one has ended, or null
  problems     file, document (null: the whole file) and reason of what could
               not be read
  passed_over  file, document, kind and name of objects without pod template";

/// What `check` is told, as it was typed.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// Images as workloads name them, such as `nginx:1.25.3-alpine`.
    #[arg(value_name = "IMAGE", required_unless_present = "files")]
    pub images: Vec<String>,
    /// Check the images of the pod templates in this file of YAML or JSON documents; `-` is standard input. May be
    /// repeated.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the answer is written: for people, or as one JSON object.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    /// End with exit code 1 if something newer is published.
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    pub policy: PolicyArguments,
    #[command(flatten)]
    pub reach: ReachArguments,
}
