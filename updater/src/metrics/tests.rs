use shared::domain::annotations::Mode;
use shared::domain::plan::{Action, Assessment, ContainerVerdict, Pending, Verdict};

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
fn the_age_of_the_oldest_scan_is_that_at_the_moment_of_asking() {
    let metrics = Metrics::default();
    metrics.views.set_oldest_scan(Some(Timestamp::UNIX_EPOCH));
    let text = metrics.encode(true, Timestamp::from_second(90).unwrap()).unwrap();
    assert!(
        text.contains("kubefresh_oldest_complete_scan_age_seconds{} 90"),
        "{text}"
    );
}
