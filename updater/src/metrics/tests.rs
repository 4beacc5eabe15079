use shared::domain::annotations::Mode;
use shared::domain::plan::{Action, Assessment, ContainerVerdict, Gate, Pending, Target, Verdict};

use super::*;
use crate::fixture::checkout;

fn plan() -> Plan {
    let entry = ContainerVerdict {
        container: "app".to_owned(),
        image: "shop/checkout:1.4.0".to_owned(),
        mode: Mode::Auto,
        verdict: Verdict::NoRecord,
    };
    let assessment = Assessment {
        workload: checkout("shop"),
        containers: vec![entry],
        action: Action::Nothing,
        pending: Pending::Unchanged,
        prospect: None,
        refused: Vec::new(),
    };
    Plan {
        assessments: vec![assessment],
        next_look: None,
        channels: [].into(),
    }
}

#[test]
fn every_metric_has_our_prefix_and_an_end_marker_closes_the_text() {
    let metrics = Metrics::default();
    metrics.patched(PatchResult::Conflict);
    metrics.noticed("ImageUpdated", NoticeResult::AlreadyTold);
    metrics.updated(WorkloadKind::CronJob, UpdateResult::Completed);
    metrics.watch_failed("deployments");
    metrics.sends_on(Channel::Webhook);
    metrics.message(Channel::Webhook, MessageResult::GivenUp);
    metrics.messages_waiting(2, 1);
    metrics.fetches_notes();
    metrics.asked_for_notes(Forge::GitHub, NotesResult::Partial);
    metrics.notes_requests_left(Forge::GitLab, 7);
    metrics.notes_unanswered_since(Some(Timestamp::UNIX_EPOCH - jiff::SignedDuration::from_secs(60)));
    metrics.looked(&Snapshot::default(), &plan());
    let text = metrics.encode(true, Timestamp::UNIX_EPOCH).unwrap();
    for line in [
        "kubefresh_leader 1",
        "kubefresh_patches_total{result=\"conflict\"} 1",
        "kubefresh_notices_total{reason=\"ImageUpdated\",result=\"already-told\"} 1",
        "kubefresh_updates_total{kind=\"CronJob\",result=\"completed\"} 1",
        "kubefresh_watch_failures_total{resource=\"deployments\"} 1",
        "kubefresh_messages_total{channel=\"webhook\",result=\"given-up\"} 1",
        "kubefresh_messages_total{channel=\"webhook\",result=\"sent\"} 0",
        "kubefresh_messages_waiting{} 2",
        "kubefresh_messages_overdue{} 1",
        "kubefresh_release_notes_total{forge=\"github\",result=\"partial\"} 1",
        "kubefresh_release_notes_total{forge=\"page\",result=\"found\"} 0",
        "kubefresh_release_notes_requests_left{forge=\"gitlab\"} 7",
        "kubefresh_release_notes_oldest_unanswered_age_seconds{} 60",
        "kubefresh_workloads{kind=\"Deployment\",state=\"settled\"} 1",
        "kubefresh_containers{verdict=\"no-record\"} 1",
        "kubefresh_records{state=\"readable\"} 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is missing in\n{text}"
        );
    }
    let names = text.lines().filter(|line| !line.starts_with('#'));
    assert!(
        names.into_iter().all(|line| line.starts_with("kubefresh_")),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_former_leader_forgets_what_it_saw_and_keeps_what_it_did() {
    let metrics = Metrics::default();
    metrics.looked(&Snapshot::default(), &plan());
    metrics.patched(PatchResult::Sent);
    metrics.forget();
    let text = metrics.encode(false, Timestamp::UNIX_EPOCH).unwrap();
    assert!(!text.contains("kubefresh_containers{"), "{text}");
    assert!(
        text.contains("kubefresh_patches_total{result=\"sent\"} 1"),
        "{text}"
    );
    assert!(text.contains("kubefresh_leader 0"), "{text}");
}

#[test]
fn of_what_waits_for_the_same_the_first_time_is_shown_and_none_where_no_clock_decides() {
    let waiting = |gate: Gate, seconds: Option<i64>| {
        let mut plan = plan();
        let target = Target {
            tag: "1.5.0".parse().unwrap(),
            digest: None,
            image: "shop/checkout:1.5.0".to_owned(),
            superseded_at: None,
            ran: None,
            kept_by: None,
            terms: None,
        };
        let until = seconds.map(|seconds| Timestamp::from_second(seconds).unwrap());
        plan.assessments[0].containers[0].verdict = Verdict::Waiting {
            target: Box::new(target),
            gate,
            until,
        };
        plan.assessments.remove(0)
    };
    let assessments = vec![
        waiting(Gate::Window, Some(90)),
        waiting(Gate::Window, Some(60)),
        // It never opens again.
        waiting(Gate::Window, None),
        waiting(Gate::MinAgeAndWindow, Some(30)),
        waiting(Gate::Paused, None),
    ];
    let plan = Plan {
        assessments,
        ..plan()
    };
    let shown = |metrics: &Metrics| {
        let text = metrics.encode(true, Timestamp::UNIX_EPOCH).unwrap();
        let lines = text.lines().map(str::to_owned);
        let mut lines: Vec<String> = lines
            .filter(|line| line.starts_with("kubefresh_updates_waiting_until"))
            .collect();
        lines.sort();
        lines
    };
    let metrics = Metrics::default();
    metrics.looked(&Snapshot::default(), &plan);
    let until = "kubefresh_updates_waiting_until_timestamp_seconds";
    let expected = [
        format!("{until}{{reason=\"min-age\"}} 30"),
        format!("{until}{{reason=\"window\"}} 60"),
    ];
    assert_eq!(shown(&metrics), expected);
    metrics.looked(&Snapshot::default(), &super::tests::plan());
    assert!(shown(&metrics).is_empty());
}

#[test]
fn the_age_of_the_oldest_scan_is_that_at_the_moment_of_asking() {
    let metrics = Metrics::default();
    metrics.views.set_oldest_scan(Some(Timestamp::UNIX_EPOCH));
    let text = metrics.encode(true, Timestamp::from_second(90).unwrap()).unwrap();
    assert!(
        text.contains("kubefresh_oldest_complete_scan_age_seconds{} 90"),
        "{text}"
    );
}
