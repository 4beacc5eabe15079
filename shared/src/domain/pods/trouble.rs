//! What keeps a pod from being ready, in one line: where people look next.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus};

use crate::domain::text;

/// How much of a text of strangers is shown, in bytes.
const TEXT_LENGTH: usize = 300;

/// What keeps a pod from being ready. The more telling is the greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    rank: Rank,
    /// `pod NAME: …`.
    pub line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NotReady,
    Unschedulable,
    /// It ended, and ends again.
    Crashed,
    /// It cannot even begin: its image, its settings.
    CannotStart,
}

/// `None` for a pod that is ready, or says nothing.
pub(super) fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let containers = init.chain(status.container_statuses.iter().flatten());
    let of_pod = unschedulable(status).map(|what| (Rank::Unschedulable, what));
    let (rank, what) = containers
        .filter_map(of_container)
        .chain(of_pod)
        .max_by_key(|found| found.0)
        .or_else(|| {
            let condition = failing(status, "Ready")?;
            let message = condition.message.as_deref().unwrap_or_default();
            Some((Rank::NotReady, with("not ready", message)))
        })?;
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    Some(Trouble {
        rank,
        line: format!("pod {name}: {what}"),
    })
}

fn failing<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind && condition.status == "False")
}

fn unschedulable(status: &PodStatus) -> Option<String> {
    let condition = failing(status, "PodScheduled")?;
    let message = condition.message.as_deref().unwrap_or_default();
    Some(with("unschedulable", message))
}

fn of_container(status: &ContainerStatus) -> Option<(Rank, String)> {
    let state = status.state.as_ref()?;
    let last = status
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let (rank, what) = if let Some(waiting) = &state.waiting {
        let reason = plain(waiting.reason.as_deref().unwrap_or_default());
        match (reason.as_str(), last) {
            // So every container begins.
            ("" | "ContainerCreating" | "PodInitializing", _) => return None,
            ("CrashLoopBackOff", Some(end)) => (Rank::Crashed, format!("{reason}, {}", ended(end))),
            ("CrashLoopBackOff", None) => (Rank::Crashed, reason),
            _ => {
                let message = waiting.message.as_deref().unwrap_or_default();
                (Rank::CannotStart, with(&reason, message))
            }
        }
    } else if let Some(end) = state.terminated.as_ref().filter(|end| end.exit_code != 0) {
        (Rank::Crashed, format!("ended with {}", ended(end)))
    } else if let Some(end) = last.filter(|end| end.exit_code != 0 && !status.ready) {
        (Rank::Crashed, format!("began anew after {}", ended(end)))
    } else {
        return None;
    };
    Some((rank, format!("container {}: {what}", status.name)))
}

/// `exit code 137 (OOMKilled): last words`.
fn ended(end: &ContainerStateTerminated) -> String {
    let reason = match end.reason.as_deref() {
        None | Some("" | "Error") => String::new(),
        Some(reason) => format!(" ({})", plain(reason)),
    };
    let code = format!("exit code {}{reason}", end.exit_code);
    with(&code, end.message.as_deref().unwrap_or_default())
}

fn with(what: &str, message: &str) -> String {
    let message = plain(message);
    if message.is_empty() {
        return what.to_owned();
    }
    format!("{what}: {message}")
}

/// One line that does nothing to a screen, and no longer than people read.
fn plain(message: &str) -> String {
    let line: String = message
        .chars()
        .take(10 * TEXT_LENGTH)
        .map(|character| if text::is_plain(character) { character } else { ' ' })
        .collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    text::cut(&words.join(" "), TEXT_LENGTH)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(status: &Value) -> Option<String> {
        let pod = json!({ "metadata": { "name": "checkout-abc" }, "status": status });
        trouble(&serde_json::from_value(pod).unwrap()).map(|trouble| trouble.line)
    }

    fn container(name: &str, state: &Value, last: &Value) -> Value {
        json!({
            "name": name, "image": "x", "imageID": "", "ready": false, "restartCount": 1, "state": state, "lastState": last,
        })
    }

    #[test]
    fn the_reason_names_pod_container_and_what_it_waits_for() {
        let ended = |code: i32, reason: &str, message: &str| json!({ "terminated": { "exitCode": code, "reason": reason, "message": message } });
        let waits =
            |reason: &str, message: &str| json!({ "waiting": { "reason": reason, "message": message } });
        for (state, last, expected) in [
            (
                waits("ImagePullBackOff", "Back-off pulling image \"x\""),
                json!({}),
                "container app: ImagePullBackOff: Back-off pulling image \"x\"",
            ),
            (
                waits("CrashLoopBackOff", "back-off 10s restarting"),
                ended(1, "Error", "no\n\u{1b}[31mdatabase "),
                "container app: CrashLoopBackOff, exit code 1: no [31mdatabase",
            ),
            (
                json!({ "running": {} }),
                ended(137, "OOMKilled", ""),
                "container app: began anew after exit code 137 (OOMKilled)",
            ),
            (
                ended(2, "Error", "usage"),
                json!({}),
                "container app: ended with exit code 2: usage",
            ),
        ] {
            let found = line(&json!({ "containerStatuses": [container("app", &state, &last)] }));
            assert_eq!(found, Some(format!("pod checkout-abc: {expected}")));
        }
    }

    #[test]
    fn what_only_begins_or_is_ready_is_no_trouble_and_the_most_telling_is_told() {
        let creating = json!({ "waiting": { "reason": "ContainerCreating" } });
        assert_eq!(
            line(&json!({ "containerStatuses": [container("app", &creating, &json!({}))] })),
            None
        );
        let condition =
            |kind: &str, message: &str| json!({ "type": kind, "status": "False", "message": message });
        let unready = condition("Ready", "containers with unready status: [app]");
        assert_eq!(
            line(&json!({ "conditions": [unready] })).as_deref(),
            Some("pod checkout-abc: not ready: containers with unready status: [app]")
        );
        let unschedulable = condition("PodScheduled", "0/3 nodes are available");
        assert_eq!(
            line(&json!({ "conditions": [unready, unschedulable] })).as_deref(),
            Some("pod checkout-abc: unschedulable: 0/3 nodes are available")
        );
        let broken = json!({ "waiting": { "reason": "ErrImagePull", "message": "x".repeat(2000) } });
        let both = [
            container("side", &creating, &json!({})),
            container("app", &broken, &json!({})),
        ];
        let crashes = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let ended = json!({ "terminated": { "exitCode": 4, "message": "no schema" } });
        let waits = json!({ "waiting": { "reason": "PodInitializing" } });
        let init = json!({
            "conditions": [unready],
            "initContainerStatuses": [container("migrate", &crashes, &ended)],
            "containerStatuses": [container("app", &waits, &json!({}))],
        });
        assert_eq!(
            line(&init).as_deref(),
            Some("pod checkout-abc: container migrate: CrashLoopBackOff, exit code 4: no schema")
        );
        let found = line(&json!({ "conditions": [unready], "containerStatuses": both })).unwrap();
        assert!(
            found.starts_with("pod checkout-abc: container app: ErrImagePull: xxx"),
            "{found}"
        );
        assert!(found.len() < 400, "{}", found.len());
    }
}
