use super::*;
use crate::domain::plan::tests::{AUTO, LIMITS, app, now, record, snapshot, workload};

fn explained(
    annotations: &[(&str, &str)],
    records: Vec<(
        String,
        Result<Arc<crate::domain::record::ScanRecord>, crate::domain::record::config_map::RecordError>,
    )>,
) -> Vec<Explanation> {
    let all = [AUTO.as_slice(), annotations].concat();
    let snapshot = snapshot(workload(&all, &[("app", "shop.example/app:1.4.0")]), records);
    explain(&snapshot.workloads[0], &snapshot, &LIMITS, now())
}

#[test]
fn what_is_chosen_and_what_is_turned_down_is_said_with_the_rule_and_the_newest_first() {
    let tags = [
        "1.4.0",
        "1.4.1",
        "1.5.0",
        "1.6.0",
        "2.0.0",
        "1.9.0-alpine",
        "latest",
    ];
    let records = vec![record("shop.example/app", &["1.4.0 minor"], &tags)];
    let [explanation] = explained(&[], records).try_into().unwrap();
    assert_eq!(explanation.policy, "minor");
    assert_eq!(explanation.repository, "shop.example/app");
    assert_eq!(explanation.scanned_at, Some(now()));
    let choice = explanation.choice.unwrap();
    assert_eq!(choice.selected.as_ref().map(Tag::as_str), Some("1.6.0"));
    assert_eq!(choice.reason, "newer-version");
    let superseded = &choice.rejected[0];
    assert_eq!((superseded.rule, superseded.count), ("superseded", 2));
    let examples: Vec<&str> = superseded.examples.iter().map(Tag::as_str).collect();
    assert_eq!(examples, ["1.5.0", "1.4.1"]);
}

#[test]
fn where_there_is_no_record_nothing_is_chosen_and_the_reason_is_said() {
    let [explanation] = explained(&[], Vec::new()).try_into().unwrap();
    assert_eq!(explanation.choice, None);
    assert_eq!(explanation.unknown.as_deref(), Some("not scanned yet"));
    assert_eq!(explanation.scanned_at, None);
}

#[test]
fn what_cannot_be_read_or_is_not_watched_has_no_explanation() {
    assert!(explained(&[("kubefresh.dev/mode", "never")], vec![app()]).is_empty());
    assert!(explained(&[("kubefresh.dev/watch", "false")], vec![app()]).is_empty());
}
