//! How a new image is written: with its digest or without.

use super::*;
use crate::domain::annotations::Installation;

const PINNED: (&str, &str) = ("kubefresh.dev/pin", "digest");
const BARE: (&str, &str) = ("kubefresh.dev/pin", "tag");

/// The same image with a digest.
fn at(image: &str, fill: char) -> String {
    format!("{image}@{}", digest(fill))
}

/// What is decided for an image where these annotations and variables are given.
fn decided(annotations: &[(&str, &str)], variables: &[(&str, &str)], image: &str) -> Assessment {
    let all = [AUTO.as_slice(), annotations].concat();
    let installation = Installation::read(variables.iter().copied(), [], false).unwrap();
    let demands = [
        "1.4.0 minor",
        "1.4.0 minor pinned",
        "1.5.0 minor",
        "1.5.0 minor pinned",
    ];
    let app = record("shop.example/app", &demands, &["1.4.0", "1.5.0"]);
    let edge = record(
        "shop.example/edge",
        &["edge digest", "edge digest pinned"],
        &["edge"],
    );
    let snapshot = Snapshot {
        namespaces: Namespaces::Unread(Arc::new(installation)),
        // They say nothing.
        pods: BTreeMap::from([("1234".to_owned(), Ok(Arc::default()))]),
        ..snapshot(workload(&all, &[("app", image)]), vec![app, edge])
    };
    assessment(&snapshot, now()).unwrap()
}

#[test]
fn a_new_version_is_written_with_or_without_its_digest_as_it_was_asked_for() {
    let (bare, pinned) = ("shop.example/app:1.4.0", at("shop.example/app:1.4.0", 'a'));
    let (new_bare, new_pinned) = ("shop.example/app:1.5.0", at("shop.example/app:1.5.0", 'c'));
    let by_default = [("KUBEFRESH_PIN", "digest")];
    for (annotations, variables, image, expected) in [
        (&[][..], &[][..], bare, new_bare),
        (&[], &[], &pinned, &new_pinned),
        (&[PINNED], &[], bare, &new_pinned),
        (&[PINNED], &[], &pinned, &new_pinned),
        (&[BARE], &[], bare, new_bare),
        (&[BARE], &[], &pinned, new_bare),
        (&[], &by_default, bare, &new_pinned),
        (&[BARE], &by_default, &pinned, new_bare),
    ] {
        let verdict = decided(annotations, variables, image)
            .containers
            .remove(0)
            .verdict;
        assert_eq!(
            target_image(&verdict),
            Some(expected),
            "{annotations:?} {variables:?} {image}: {verdict}"
        );
    }
}

#[test]
fn an_image_that_is_up_to_date_is_not_rolled_out_for_its_spelling_which_is_said() {
    let (bare, pinned) = ("shop.example/app:1.5.0", at("shop.example/app:1.5.0", 'c'));
    for (annotation, image, expected) in [
        (PINNED, bare, "; the next update will write its digest, too"),
        (PINNED, &pinned, ""),
        (
            BARE,
            &pinned,
            "; the next update will be written without a digest",
        ),
        (BARE, bare, ""),
    ] {
        let assessment = decided(&[annotation], &[], image);
        assert!(matches!(assessment.action, Action::Nothing));
        let said = assessment.containers[0].verdict.to_string();
        let expected = format!("up to date: nothing newer is published that the policy allows{expected}");
        assert_eq!(said, expected, "{annotation:?} {image}");
    }
}

#[test]
fn a_digest_that_is_wanted_and_not_known_is_waited_for() {
    let mut app = record("shop.example/app", &["1.4.0 minor pinned"], &["1.4.0", "1.5.0"]);
    let mut findings = app.1.unwrap().as_ref().clone();
    for tag in &mut findings.findings.as_mut().unwrap().tags {
        tag.digest = None;
    }
    app.1 = Ok(Arc::new(findings));
    let all = [AUTO.as_slice(), &[PINNED]].concat();
    let snapshot = snapshot(workload(&all, &[("app", "shop.example/app:1.4.0")]), vec![app]);
    let mut found = assessment(&snapshot, now()).unwrap();
    let said = "the digest of 1.5.0 is not recorded yet";
    let verdict = found.containers.remove(0).verdict;
    assert_eq!(verdict.to_string(), said);
    assert_eq!(verdict.waits_for(), Some("digest-not-recorded"));
    assert_eq!(found.pending, Pending::Write(format!("app: {said}")));
}

#[test]
fn where_it_is_not_known_what_a_moving_tag_points_at_no_update_waits() {
    let mut edge = record("shop.example/edge", &["edge digest"], &["edge"]);
    let mut findings = edge.1.unwrap().as_ref().clone();
    findings.findings.as_mut().unwrap().tags[0].digest = None;
    edge.1 = Ok(Arc::new(findings));
    let subject = workload(&AUTO, &[("app", "shop.example/edge:edge")]);
    let mut found = assessment(&snapshot(subject, vec![edge]), now()).unwrap();
    let verdict = found.containers.remove(0).verdict;
    assert_eq!(verdict.to_string(), "the digest of edge is not recorded yet");
    assert_eq!(verdict.waits_for(), None);
    assert_eq!(found.pending, Pending::Unchanged);
}

#[test]
fn a_tag_that_moves_cannot_be_followed_without_its_digest_and_a_default_does_not_mean_it() {
    let old = at("shop.example/edge:edge", 'a');
    let Action::Stop(problems) = decided(&[BARE], &[], &old).action else {
        panic!("nobody would pull what is new")
    };
    let said = problems[0].to_string();
    assert!(
        said.contains("container app: kubefresh.dev/pin is \"tag\""),
        "{said}"
    );
    let own = ("app.kubefresh.dev/pin", "digest");
    for (annotations, variables) in [
        (&[][..], &[("KUBEFRESH_PIN", "tag")][..]),
        (&[BARE, own], &[]),
        (&[PINNED], &[]),
    ] {
        let verdict = decided(annotations, variables, &old).containers.remove(0).verdict;
        let expected = at("shop.example/edge:edge", 'b');
        assert_eq!(
            target_image(&verdict),
            Some(expected.as_str()),
            "{annotations:?}: {verdict}"
        );
    }
    let watched_by_default = [("KUBEFRESH_WATCH", "true")];
    let installation = Installation::read(watched_by_default, [], false).unwrap();
    let snapshot = Snapshot {
        namespaces: Namespaces::Unread(Arc::new(installation)),
        ..snapshot(workload(&[BARE], &[("app", &old)]), Vec::new())
    };
    let action = assessment(&snapshot, now()).unwrap().action;
    assert!(
        matches!(action, Action::Stop(_)),
        "somebody said it of this workload"
    );
}

#[test]
fn a_version_policy_that_was_named_for_many_leaves_moving_tags_to_their_digest() {
    let old = at("shop.example/edge:edge", 'a');
    let told = |annotations: &[(&str, &str)], policy: &str| {
        let mut decided = decided(annotations, &[("KUBEFRESH_POLICY", policy)], &old);
        decided.containers.remove(0).verdict.to_string()
    };
    let followed = format!("update to {}", at("shop.example/edge:edge", 'b'));
    for policy in ["patch", "minor", "major", "range:^1", "digest"] {
        assert_eq!(told(&[], policy), followed, "{policy}");
    }
    // Said of this workload, or of names and not of versions, it is meant as it stands.
    let literal = "the next scan will look for this tag and policy";
    assert_eq!(told(&[("kubefresh.dev/policy", "minor")], "minor"), literal);
    assert_eq!(told(&[], "glob:*"), literal);
}
