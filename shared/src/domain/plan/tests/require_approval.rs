//! Updates whose risk needs somebody's word although the mode is `auto`.

use jiff::SignedDuration;

use super::*;
use crate::domain::release_notes::Release;
use crate::domain::release_notes::book::{Answer, NotesBook, NotesRecord, PATIENCE, Records, Wanted};
use crate::domain::release_notes::range::Range;

const OLD: &str = "shop.example/app:1.4.0";
const REQUIRE: &str = "kubefresh.dev/require-approval";
const NOTES: (&str, &str) = ("kubefresh.dev/release-notes", "github.com/example/shop");

/// The verdict on `app` at 1.4.0 in mode `auto`, and the plan.
fn told(annotations: &[(&str, &str)], notes: Option<&str>, fetched: bool) -> (String, Plan) {
    let all = [AUTO.as_slice(), &[NOTES], annotations].concat();
    let mut snapshot = snapshot(workload(&all, &[("app", OLD)]), vec![app()]);
    snapshot.notes.fetched = fetched;
    if let Some(body) = notes {
        let plan = plan(&snapshot, &LIMITS, now());
        let wanted = snapshot.notes_wanted(&plan).pop_first().unwrap();
        let release = Release {
            tag: "v1.5.0".to_owned(),
            body: body.to_owned(),
            ..Release::default()
        };
        let range = Range {
            releases: vec![release],
            left_out: 0,
            has_target: true,
            has_start: true,
        };
        let answer = match body {
            "missing" => Answer::Missing {
                source: wanted.found.sources[0].clone(),
                reason: "no releases".to_owned(),
            },
            _ => Answer::Notes {
                source: wanted.found.sources[0].clone(),
                range,
                etag: None,
                cut: None,
            },
        };
        let record = NotesRecord::answered(&wanted, None, answer, now());
        snapshot.notes.records = records(&wanted, record);
    }
    let mut plan = plan(&snapshot, &LIMITS, now());
    let verdict = plan.assessments[0].containers.remove(0).verdict;
    (verdict.to_string(), plan)
}

fn records(wanted: &Wanted, record: NotesRecord) -> Vec<Arc<Records>> {
    vec![Arc::new(Records::from([(wanted.key(), Arc::new(record))]))]
}

/// Whoever waits for notes that nobody can have is asked in the end.
#[test]
fn an_update_waits_for_its_notes_as_long_as_they_may_be_had_soon_and_no_longer() {
    let minutes = SignedDuration::from_mins;
    let begun = now();
    let failed = |not_before: Option<Timestamp>| Answer::Failed {
        why: "no answer".to_owned(),
        not_before,
    };
    let waits = "waits for its release notes, which decide whether it needs approval";
    let asks = |why: &str| format!("waits for approval (nobody knows whether it is breaking: {why})");
    let late =
        "its release notes could not be had within a quarter of an hour; the log of the updater says why";
    for (attempt, later, expected) in [
        (None, minutes(0), waits.to_owned()),
        (None, PATIENCE - minutes(1), waits.to_owned()),
        (None, PATIENCE, asks(late)),
        (None, minutes(60), asks(late)),
        // One that fails for a moment is no reason to ask anybody.
        (Some(failed(None)), minutes(1), waits.to_owned()),
        (
            Some(failed(Some(begun + minutes(10)))),
            minutes(1),
            waits.to_owned(),
        ),
        (
            Some(failed(Some(begun + minutes(60)))),
            minutes(1),
            asks("no answer"),
        ),
        (Some(failed(None)), PATIENCE, asks("no answer")),
    ] {
        let mut snapshot = snapshot(
            workload(
                &[AUTO.as_slice(), &[NOTES, (REQUIRE, "breaking")]].concat(),
                &[("app", OLD)],
            ),
            vec![app()],
        );
        snapshot.notes.fetched = true;
        let first = plan(&snapshot, &LIMITS, begun);
        let wanted = snapshot.notes_wanted(&first);
        assert_eq!(snapshot.notes.want(&wanted, begun), Some(begun));
        if let Some(answer) = attempt.clone() {
            let wanted = wanted.first().unwrap();
            let record = NotesRecord::answered(wanted, None, answer, begun);
            snapshot.notes.records = records(wanted, record);
        }
        let mut plan = plan(&snapshot, &LIMITS, begun + later);
        let is_waiting = expected == waits;
        let verdict = plan.assessments[0].containers.remove(0).verdict;
        assert_eq!(
            verdict.to_string(),
            format!("shop.example/app:1.5.0 {expected}"),
            "{attempt:?} {later}"
        );
        let looked_at_then = plan.next_look.is_some_and(|next| next <= begun + PATIENCE);
        assert_eq!(looked_at_then, is_waiting, "{attempt:?} {later}");
        assert!(verdict.approvable().is_some(), "{attempt:?} {later}");
    }
}

#[test]
fn what_the_notes_say_decides_and_what_they_might_say_needs_approval_too() {
    let new = "shop.example/app:1.5.0";
    let breaking = (REQUIRE, "breaking");
    for (annotation, notes, expected) in [
        (breaking, Some("- fix: a"), "update to {}"),
        (
            breaking,
            Some("BREAKING: the port"),
            "{} waits for approval (breaking: the notes say \"BREAKING: the port\")",
        ),
        (
            breaking,
            Some("missing"),
            "{} waits for approval (nobody knows whether it is breaking: no releases)",
        ),
        (
            breaking,
            None,
            "{} waits for its release notes, which decide whether it needs approval",
        ),
        ((REQUIRE, "major, prerelease"), None, "update to {}"),
        (
            (REQUIRE, "security"),
            Some("- fix CVE-2026-1"),
            "{} waits for approval (security: the notes say \"fix CVE-2026-1\")",
        ),
        ((REQUIRE, "none"), Some("BREAKING: the port"), "update to {}"),
    ] {
        assert_eq!(
            told(&[annotation], notes, true).0,
            expected.replace("{}", new),
            "{annotation:?} {notes:?}"
        );
    }
    let nobody = told(&[breaking], None, false).0;
    assert_eq!(
        nobody,
        format!(
            "{new} waits for approval (nobody knows whether it is breaking: release notes are not fetched here (FETCH_NOTES))"
        )
    );
    let nowhere = told(&[breaking, ("kubefresh.dev/release-notes", "auto")], None, true).0;
    assert!(nowhere.contains("waits for approval (nobody knows whether it is breaking: the image does not say where its source is"), "{nowhere}");
}

#[test]
fn somebody_s_word_is_enough_whatever_the_notes_say_and_is_used_up() {
    for notes in [Some("BREAKING: the port"), Some("missing"), None] {
        let said = [(REQUIRE, "breaking"), ("kubefresh.dev/approved", "1.5.0")];
        let (verdict, plan) = told(&said, notes, true);
        assert_eq!(verdict, "update to shop.example/app:1.5.0", "{notes:?}");
        let Action::Start(update) = &plan.assessments[0].action else {
            panic!("{notes:?}")
        };
        assert!(update.spent.contains_key("kubefresh.dev/approved"));
    }
    let other = [(REQUIRE, "breaking"), ("kubefresh.dev/approved", "1.4.1")];
    assert!(
        told(&other, Some("BREAKING: the port"), true)
            .0
            .contains("waits for approval")
    );
}

#[test]
fn who_decides_by_hand_is_asked_as_ever() {
    let approve = [(REQUIRE, "breaking"), ("kubefresh.dev/mode", "approve")];
    assert_eq!(
        told(&approve, None, true).0,
        "shop.example/app:1.5.0 waits for approval"
    );
    let notes = NotesBook::default();
    assert!(!notes.fetched && notes.records.is_empty());
}
