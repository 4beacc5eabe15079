//! Whether a pod is ready, and since when.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

/// That a pod is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ready {
    /// Nothing where it had to begin anew: what crashes again and again is ready in between.
    pub(super) since: Option<Timestamp>,
}

/// `None` for one that is not ready.
pub(super) fn readiness(pod: &Pod) -> Option<Ready> {
    let status = pod.status.as_ref()?;
    let mut conditions = status.conditions.iter().flatten();
    let ready = conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True")?;
    let mut containers = status.container_statuses.iter().flatten();
    let is_steady = containers.all(|container| container.restart_count == 0);
    let since = ready.last_transition_time.as_ref().map(|time| time.0);
    Some(Ready {
        since: since.filter(|_| is_steady),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_ready_since_it_became_so_unless_it_is_not_or_had_to_begin_anew() {
        let at = "2026-11-21T03:00:00Z";
        for (ready, restarts, expected) in [
            ("True", 0, Some(Some(at))),
            ("False", 0, None),
            ("True", 1, Some(None)),
        ] {
            let app = json!({ "name": "app", "image": "x", "imageID": "", "ready": true, "restartCount": restarts });
            let conditions = [
                json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-21T02:00:00Z" }),
                json!({ "type": "Ready", "status": ready, "lastTransitionTime": at }),
            ];
            let pod = json!({ "status": { "conditions": conditions, "containerStatuses": [app] } });
            let expected = expected.map(|since| Ready {
                since: since.map(|at| at.parse().unwrap()),
            });
            assert_eq!(readiness(&serde_json::from_value(pod).unwrap()), expected);
        }
        assert_eq!(readiness(&Pod::default()), None);
    }
}
