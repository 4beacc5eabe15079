use std::fmt;

use shared::domain::annotations::Mode;
use shared::domain::overview::{LastUpdate, State};
use shared::domain::workload::{WorkloadId, WorkloadKind};

use super::*;

/// A page as it is without colours.
pub(super) fn page(text: Result<String, fmt::Error>) -> String {
    anstream::adapter::strip_str(&text.unwrap()).to_string()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn line(name: &str, image: &str, state: State) -> Line {
    Line {
        workload: WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        },
        container: Some("app".to_owned()),
        image: Some(image.to_owned()),
        target: None,
        newest: None,
        mode: Some(Mode::Auto),
        state,
        since: None,
        why: "because".to_owned(),
        last: None,
    }
}

/// Four containers of five: one waits, one moves from digest to digest, one has failed, and one workload is stopped.
pub(super) fn view() -> View {
    let digest = |fill: char| format!("shop.example/edge:edge@sha256:{}", fill.to_string().repeat(64));
    let lines = vec![
        Line {
            target: Some("shop.example/checkout:1.5.0".to_owned()),
            mode: Some(Mode::Approve),
            since: Some(time("2026-11-19T09:00:00Z")),
            why: "shop.example/checkout:1.5.0 waits for approval".to_owned(),
            ..line("checkout", "shop.example/checkout:1.4.0", State::Waiting)
        },
        Line {
            target: Some(digest('b')),
            why: "update to the new digest".to_owned(),
            ..line("edge", &digest('a'), State::Starting)
        },
        Line {
            last: Some(LastUpdate {
                at: time("2026-11-21T07:00:00Z"),
                change: "app: shop.example/mail:1 -> shop.example/mail:2".to_owned(),
                result: "failed: 0 of 1 pods available".to_owned(),
            }),
            why: "failed: 0 of 1 pods available".to_owned(),
            newest: "2".parse().ok(),
            ..line("mail", "shop.example/mail:2", State::Failed)
        },
        Line {
            container: None,
            image: None,
            mode: None,
            why: "annotation kubefresh.dev/mode: \"never\" is not valid".to_owned(),
            ..line("web", "", State::Stopped)
        },
        Line {
            newest: "1".parse().ok(),
            ..line("up", "shop.example/up:1", State::UpToDate)
        },
    ];
    View {
        lines,
        watched: 6,
        now: time("2026-11-21T10:00:00Z"),
    }
}

#[test]
fn the_states_are_counted_the_worst_first() {
    assert_eq!(
        view().summary(),
        "5 of 6 containers watched: 1 stopped, 1 failed, 1 starting, 1 waiting, 1 up to date"
    );
    let nothing = View {
        lines: Vec::new(),
        watched: 0,
        now: time("2026-11-21T10:00:00Z"),
    };
    assert_eq!(nothing.summary(), "0 containers watched");
}

#[test]
fn json_has_every_field_of_every_container() {
    let view = view();
    let answer = serde_json::to_value(json::Answer::of(&view)).unwrap();
    let first = &answer["containers"][0];
    let mut keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    keys.sort();
    let expected = [
        "container",
        "image",
        "last",
        "mode",
        "newest",
        "since",
        "state",
        "target",
        "why",
        "workload",
    ];
    assert_eq!(keys, expected);
    assert_eq!(answer["containers"][3]["container"], serde_json::Value::Null);
    assert_eq!(
        answer["containers"][2]["last"]["result"],
        "failed: 0 of 1 pods available"
    );
    assert_eq!(answer["containers"][4]["state"], "up-to-date");
    let containers = answer["containers"].as_array().unwrap();
    let newest: Vec<&serde_json::Value> = containers.iter().map(|entry| &entry["newest"]).collect();
    let digest = format!("edge@sha256:{}", "b".repeat(64));
    assert_eq!(
        serde_json::json!(newest),
        serde_json::json!(["1.5.0", digest, "2", null, "1"])
    );
}
