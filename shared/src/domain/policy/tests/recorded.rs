//! `vectors/tags.jsonl`: every recorded choice.

use serde::Deserialize;

use super::*;
use crate::domain::reference::Digest;

#[derive(Deserialize)]
struct Example {
    id: String,
    policy: RecordedPolicy,
    current: Option<Listed>,
    /// A current tag that must not change the answer, where none is given.
    current_hint: Option<Listed>,
    tags: Vec<Listed>,
    expect: Option<String>,
    /// Where the tools disagree, every answer that can be defended.
    #[serde(default)]
    accept: Vec<Option<String>>,
    #[serde(default)]
    invalid_policy: bool,
    current_digest: Option<String>,
    remote_digest: Option<String>,
}

/// Some lists hold names that no registry would publish, such as negative numbers.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Listed(Tag);

impl TryFrom<String> for Listed {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Tag::as_listed(&name).map(Self).ok_or(name)
    }
}

#[derive(Deserialize)]
struct RecordedPolicy {
    kind: String,
    level: Option<String>,
    range: Option<String>,
    pattern: Option<String>,
    extract: Option<String>,
    order: Option<String>,
    suffix: Option<String>,
    #[serde(default)]
    prerelease: bool,
}

impl RecordedPolicy {
    /// In our own words.
    fn options(&self) -> PolicyOptions {
        let order = |by: &str| Some(format!("{by}:{}", self.order.as_deref().unwrap_or("asc")));
        let pattern = self.pattern.clone();
        let mut options = PolicyOptions {
            tag_pattern: pattern.clone(),
            tag_extract: self.extract.clone(),
            prerelease: self.prerelease,
            any_suffix: self.suffix.as_deref() == Some("any"),
            ..PolicyOptions::default()
        };
        options.policy = Some(match self.kind.as_str() {
            "semver" => self.level.clone().unwrap(),
            "digest" => "digest".to_owned(),
            "semver-range" => format!("range:{}", self.range.as_deref().unwrap()),
            "glob" => {
                options.tag_pattern = None;
                format!("glob:{}", pattern.unwrap())
            }
            "regex-alpha" => {
                options.tag_order = order("alphabetical");
                format!("regex:{}", pattern.unwrap())
            }
            "regex-numeric" => {
                options.tag_order = order("numeric");
                format!("regex:{}", pattern.unwrap())
            }
            other => panic!("the kind {other} is not known"),
        });
        options
    }
}

/// What is wrong with our answer, if anything is.
fn fault(example: &Example, current: Option<&Tag>) -> Option<String> {
    let options = example.policy.options();
    let policy = match UpdatePolicy::new(options) {
        Ok(_) if example.invalid_policy => return Some("a broken policy was accepted".to_owned()),
        Ok(policy) => policy,
        Err(_) if example.invalid_policy => return None,
        Err(error) => return Some(error.to_string()),
    };
    // The recorded digests are shortened; only whether they are equal matters.
    let digest = |short: &String| -> Digest { format!("sha256:{:0<64}", &short[7..]).parse().unwrap() };
    let current_digest = example.current_digest.as_ref().map(digest);
    let remote_digest = example.remote_digest.as_ref().map(digest);
    let request = SelectionRequest {
        current,
        current_digest: current_digest.as_ref(),
        remote_digest: remote_digest.as_ref(),
        ..SelectionRequest::without_current(&policy)
    };
    let found = select(&request, example.tags.iter().map(|listed| &listed.0));
    let selected = found.selected.map(ToString::to_string);
    let is_right = selected == example.expect || example.accept.contains(&selected);
    (!is_right).then(|| {
        format!(
            "{policy} from {current:?} chose {selected:?} ({}) instead of {:?}",
            found.reason, example.expect
        )
    })
}

fn faults(recorded: &str) -> (usize, Vec<String>) {
    let mut faults = Vec::new();
    let mut tried = 0;
    for line in recorded.lines() {
        let example: Example = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let name = |listed: &Option<Listed>| listed.as_ref().map(|listed| listed.0.clone());
        let currents = [name(&example.current), name(&example.current_hint)];
        let given = if currents[1].is_some() {
            &currents[..]
        } else {
            &currents[..1]
        };
        for current in given {
            let current = current.as_ref();
            tried += 1;
            faults.extend(fault(&example, current).map(|fault| format!("{}: {fault}", example.id)));
        }
    }
    (tried, faults)
}

#[test]
fn every_recorded_choice_comes_out_as_recorded() {
    let (tried, faults) = faults(include_str!("../../../../vectors/tags.jsonl"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried >= 83, "only {tried} examples were tried");
}
