//! The choice against the recorded examples, the rules and itself.

mod conditions;
mod patterns;
mod properties;
mod ranges;
mod recorded;
mod rules;

use super::*;
use crate::domain::reference::Tag;
use crate::domain::tag::TagVersion;

/// Several tags at once, separated by spaces.
fn tags(written: &str) -> Vec<Tag> {
    written.split_whitespace().map(tag).collect()
}

fn tag(written: &str) -> Tag {
    written.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn policy(options: PolicyOptions) -> UpdatePolicy {
    UpdatePolicy::new(options).unwrap_or_else(|error| panic!("{error}"))
}

fn error(options: PolicyOptions) -> PolicyError {
    let shown = format!("{options:?}");
    match UpdatePolicy::new(options) {
        Ok(_) => panic!("{shown} is accepted"),
        Err(error) => error,
    }
}

fn level(written: &str) -> UpdatePolicy {
    policy(PolicyOptions::of(written))
}
