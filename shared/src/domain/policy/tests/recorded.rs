//! `vectors/tags.jsonl`, as far as the policies exist.

use serde::Deserialize;

use super::super::*;
use crate::domain::reference::Digest;

#[derive(Deserialize)]
struct Example {
    id: String,
    policy: RecordedPolicy,
    current: Option<Tag>,
    tags: Vec<Tag>,
    expect: Option<Tag>,
    /// Where the tools disagree, every answer that can be defended.
    #[serde(default)]
    accept: Vec<Option<Tag>>,
    current_digest: Option<String>,
    remote_digest: Option<String>,
}

#[derive(Deserialize)]
struct RecordedPolicy {
    kind: String,
    level: Option<String>,
    #[serde(default)]
    prerelease: bool,
    /// Patterns and loose suffixes are not policies yet.
    pattern: Option<String>,
    suffix: Option<String>,
}

impl RecordedPolicy {
    fn known(&self) -> Option<UpdatePolicy> {
        match self.kind.as_str() {
            _ if self.pattern.is_some() || self.suffix.is_some() => None,
            "semver" => Some(self.level.as_deref().unwrap().parse().unwrap()),
            "digest" => Some(UpdatePolicy::Digest),
            _ => None,
        }
    }
}

fn answer(example: &Example, policy: &UpdatePolicy) -> Selection {
    // The recorded digests are shortened; only whether they are equal matters.
    let digest = |short: &String| -> Digest { format!("sha256:{:0<64}", &short[7..]).parse().unwrap() };
    let current_digest = example.current_digest.as_ref().map(digest);
    let remote_digest = example.remote_digest.as_ref().map(digest);
    let request = SelectionRequest {
        current: example.current.as_ref().unwrap(),
        policy,
        prerelease: example.policy.prerelease,
        current_digest: current_digest.as_ref(),
        remote_digest: remote_digest.as_ref(),
    };
    select(&request, &example.tags)
}

#[test]
fn every_recorded_choice_under_a_known_policy_comes_out_as_recorded() {
    let mut failures = Vec::new();
    let mut tried = 0;
    for line in include_str!("../../../../vectors/tags.jsonl").lines() {
        let example: Example = serde_json::from_str(line).unwrap();
        let Some(policy) = example.policy.known() else {
            continue;
        };
        tried += 1;
        let found = answer(&example, &policy);
        let is_right = found.selected == example.expect || example.accept.contains(&found.selected);
        if !is_right {
            failures.push(format!(
                "{}: {policy} from {:?} chose {:?} ({}) instead of {:?}",
                example.id, example.current, found.selected, found.reason, example.expect
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tried >= 50, "only {tried} examples were tried");
}
