//! The choice against the recorded examples, the rules and itself.

mod properties;
mod recorded;
mod rules;

use super::*;

/// Several tags at once, separated by spaces.
fn tags(written: &str) -> Vec<Tag> {
    written.split_whitespace().map(tag).collect()
}

fn tag(written: &str) -> Tag {
    written.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn request<'a>(current: &'a Tag, policy: &'a UpdatePolicy) -> SelectionRequest<'a> {
    SelectionRequest {
        current,
        policy,
        prerelease: false,
        current_digest: None,
        remote_digest: None,
    }
}
