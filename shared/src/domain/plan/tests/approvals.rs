//! What somebody agreed to, and what they are asked.

use super::*;
use crate::domain::decision::{Decider, Decision, KnownBy};
use crate::domain::steer::{Exactness, Word, approve};

#[test]
fn an_approval_counts_for_the_tag_or_digest_it_names_and_for_no_other() {
    let edge = format!("shop.example/edge:edge@{}", digest('a'));
    let (good, bad) = (digest('b').to_string(), digest('d').to_string());
    for (image, approved, expected) in [
        ("shop.example/app:1.4.0", "1.5.0", true),
        ("shop.example/app:1.4.0", "1.4.9", false),
        (edge.as_str(), good.as_str(), true),
        (edge.as_str(), bad.as_str(), false),
        // Else agreeing once would agree to every later digest of the tag.
        (edge.as_str(), "edge", false),
    ] {
        let annotations = [
            ("kubefresh.dev/mode", "approve"),
            ("kubefresh.dev/approved", approved),
        ];
        let verdict = verdict(&annotations, image);
        assert_eq!(
            matches!(verdict, Verdict::Update(_)),
            expected,
            "{image} {approved}: {verdict}"
        );
    }
}

#[test]
fn what_was_taken_back_is_not_given_again_without_approval_nor_anything_older() {
    for (given, approved, expected) in [
        ("app:1.5.0", None, "held"),
        ("app:1.5.0", Some("1.5.0"), "update"),
        ("app:1.5.0", Some("1.4.9"), "awaiting-approval"),
        ("app:1.4.0", None, "update"),
        // Anything up to there, also where the policy would not go so far; and nothing beyond.
        ("app:1.6.0", None, "held"),
        ("app:2.0.0", None, "held"),
        ("app:2.0.0", Some("1.5.0"), "update"),
        ("app:1.4.9", None, "update"),
        ("app:1.6.0-alpine", None, "held"),
        // A foreign image and what carries no version say nothing of it.
        ("other:1.6.0", None, "update"),
        ("app:edge", None, "update"),
    ] {
        for (container, expected) in [("app", expected), ("other", "update")] {
            let last = format!("{container}: shop.example/app:1.3.0 -> shop.example/{given}");
            let mut annotations = AUTO.to_vec();
            annotations.push(("kubefresh.dev/last-change", last.as_str()));
            annotations.extend(approved.map(|tag| ("kubefresh.dev/approved", tag)));
            let snapshot = snapshot(
                workload(&annotations, &[("app", "shop.example/app:1.4.0")]),
                vec![app()],
            );
            let found = assessment(&snapshot, now()).unwrap();
            let verdict: &str = (&found.containers[0].verdict).into();
            assert_eq!(verdict, expected, "{last} {approved:?}: {:?}", found.containers);
        }
    }
}

#[test]
fn a_word_that_waits_for_another_has_its_time_and_one_looks_again_when_that_is_over() {
    let annotations = [
        ("kubefresh.dev/watch", "true"),
        ("kubefresh.dev/mode", "approve"),
        ("kubefresh.dev/approvers", "2"),
        ("kubefresh.dev/approval-deadline", "24h"),
    ];
    let mut asked = workload(&annotations, &[("app", "shop.example/app:1.4.0")]);
    let first = assessment(&snapshot(asked.clone(), vec![app()]), now()).unwrap();
    let alice = Decider {
        name: "alice".to_owned(),
        known_by: KnownBy::Proxy,
    };
    let word = Word {
        decision: Decision::Approve,
        by: &alice,
        link_until: None,
    };
    let agreed = approve(&first, None, Exactness::Digest, &alice).unwrap();
    let agreed = agreed.signed(&asked, word, now()).unwrap().annotations;
    let agreed = agreed.into_iter().filter_map(|(key, value)| Some((key, value?)));
    asked.annotations.extend(agreed);
    let tomorrow = "2026-11-22T03:00:00Z";
    let image = "shop.example/app:1.5.0 waits for approval, ";
    for (hours, expected, next_look) in [
        (
            0,
            format!("1 of 2 approvals (alice), good until {tomorrow}"),
            Some(tomorrow),
        ),
        (
            24,
            format!(
                "0 of 2 approvals; the word of alice, given at {}, counts no more",
                now()
            ),
            None,
        ),
    ] {
        // Findings of a day ago would be too old.
        let limits = PlanLimits {
            max_record_age: SignedDuration::from_hours(48),
            ..LIMITS
        };
        let snapshot = snapshot(asked.clone(), vec![app()]);
        let plan = plan(&snapshot, &limits, now() + SignedDuration::from_hours(hours));
        let verdict = plan.assessments[0].containers[0].verdict.to_string();
        assert_eq!(verdict, format!("{image}{expected}"));
        let looks = plan.next_look.map(|time| time.to_string());
        assert_eq!(looks.as_deref(), next_look, "after {hours} hours");
        let Pending::Write(pending) = &plan.assessments[0].pending else {
            panic!("nothing is written")
        };
        assert!(pending.contains(&expected), "{pending}");
    }
}

#[test]
fn an_approval_is_left_for_the_container_that_waits_for_it() {
    let annotations = [
        ("kubefresh.dev/watch", "true"),
        ("app.kubefresh.dev/mode", "auto"),
        ("kubefresh.dev/approved", "2.0.0"),
    ];
    let images = [
        ("app", "shop.example/app:1.4.0"),
        ("side", "shop/not-scanned-yet:1.0.0"),
    ];
    let found = assessment(&snapshot(workload(&annotations, &images), vec![app()]), now());
    let Some(Action::Start(update)) = found.map(|found| found.action) else {
        panic!("the container in mode auto is not updated");
    };
    assert_eq!(update.spent, BTreeMap::new());
}

#[test]
fn the_approval_that_is_asked_for_is_one_that_counts() {
    let edge = format!("shop.example/edge:edge@{}", digest('a'));
    for image in ["shop.example/app:1.4.0", edge.as_str()] {
        let Verdict::AwaitingApproval(target) = verdict(&[("kubefresh.dev/mode", "approve")], image) else {
            panic!("{image} does not ask");
        };
        let asked = approval("app", true, image, &target);
        let (key, value) = asked.split_once('=').unwrap();
        assert!(matches!(
            verdict(&[("kubefresh.dev/mode", "approve"), (key, value)], image),
            Verdict::Update(_)
        ));
        let asked = approval("app", false, image, &target);
        let (key, value) = asked.split_once('=').unwrap();
        assert!(matches!(
            verdict(&[("kubefresh.dev/mode", "approve"), (key, value)], image),
            Verdict::Update(_)
        ));
    }
}
