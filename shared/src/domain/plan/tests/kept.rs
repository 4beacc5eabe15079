//! What somebody else keeps is left to them, unless we are told to write it all the same.

use super::*;
use crate::domain::annotations::{Installation, PENDING};
use crate::domain::notice::{NoticeReason, notices};
use crate::domain::ownership::{Evidence, Keeper, Source};

const OLD: &str = "shop.example/app:1.4.0";
const NEW: &str = "shop.example/app:1.5.0";
const ADVICE: &str = "Argo CD (application shop) keeps this image, by the annotation argocd.argoproj.io/tracking-id: change it in \
                      Git, or say kubefresh.dev/write-back=cluster";

fn argo_cd() -> Keeper {
    Keeper {
        source: Source::ArgoCd {
            application: Some("shop".to_owned()),
        },
        evidence: Evidence::Annotation("argocd.argoproj.io/tracking-id"),
    }
}

fn helm() -> Keeper {
    Keeper {
        source: Source::Helm {
            release: "shop".to_owned(),
            applied: false,
        },
        evidence: Evidence::Annotation("meta.helm.sh/release-name"),
    }
}

/// A workload in mode `auto` whose container `app` somebody keeps.
fn kept(keeper: Keeper, annotations: &[(&str, &str)], images: &[(&str, &str)]) -> Workload {
    let mut workload = workload(&[AUTO.as_slice(), annotations].concat(), images);
    workload.containers[0].ownership.keeper = Some(Arc::new(keeper));
    workload
}

/// What becomes of `app` at 1.4.0 which Argo CD keeps, in mode `auto` unless the annotations say another.
fn assessed(annotations: &[(&str, &str)]) -> Assessment {
    let workload = kept(argo_cd(), annotations, &[("app", OLD)]);
    assessment(&snapshot(workload, vec![app()]), now()).unwrap()
}

fn notes(assessment: &Assessment) -> Vec<String> {
    notices(assessment)
        .into_iter()
        .map(|notice| notice.note)
        .collect()
}

#[test]
fn what_argo_cd_keeps_waits_says_why_and_is_written_when_we_are_told_to() {
    let waiting = assessed(&[]);
    let verdict = &waiting.containers[0].verdict;
    assert_eq!(verdict.waits_for(), Some("kept"));
    assert_eq!(verdict.to_string(), format!("{NEW} waits; {ADVICE}"));
    assert_eq!(
        waiting.pending,
        Pending::Write(format!("app: {NEW} waits; {ADVICE}"))
    );
    assert_eq!(
        notes(&waiting),
        [format!("container app: {OLD} can be updated to {NEW}; {ADVICE}")]
    );
    assert_eq!(notices(&waiting)[0].reason, NoticeReason::UpdateAvailable);
    for key in ["kubefresh.dev/write-back", "app.kubefresh.dev/write-back"] {
        let told = assessed(&[(key, "cluster")]);
        assert!(
            matches!(told.action, Action::Start(_)),
            "{key}: {:?}",
            told.action
        );
    }
}

#[test]
fn a_namespace_or_the_installation_may_tell_us_for_all() {
    let workload = kept(argo_cd(), &[], &[("app", OLD)]);
    let mut snapshot = snapshot(workload, vec![app()]);
    let installation = Installation::read([("KUBEFRESH_WRITE_BACK", "cluster")], [], false).unwrap();
    snapshot.namespaces = Namespaces::Unread(Arc::new(installation));
    let told = assessment(&snapshot, now()).unwrap();
    assert!(matches!(told.action, Action::Start(_)), "{:?}", told.action);
}

#[test]
fn who_is_only_told_of_an_update_hears_where_to_change_it() {
    let expected = format!("container app: {OLD} can be updated to {NEW}; {ADVICE}");
    for mode in ["notify", "approve"] {
        let told = assessed(&[("kubefresh.dev/mode", mode)]);
        assert_eq!(notes(&told), [expected.as_str()], "{mode}");
        assert!(told.containers[0].verdict.approvable().is_none(), "{mode}");
    }
    let approved = [
        ("kubefresh.dev/mode", "approve"),
        ("kubefresh.dev/approved", "1.5.0"),
    ];
    let waiting = assessed(&approved);
    assert_eq!(waiting.containers[0].verdict.waits_for(), Some("kept"));
    // Once they may, people are asked to agree.
    let asked = assessed(&[
        ("kubefresh.dev/mode", "approve"),
        ("kubefresh.dev/write-back", "cluster"),
    ]);
    assert!(asked.containers[0].verdict.approvable().is_some());
    let note = notes(&asked).remove(0);
    assert!(note.contains("to agree: kubectl annotate"), "{note}");
    let names = |assessment: &Assessment| notices(assessment)[0].event_name();
    assert_ne!(names(&asked), names(&waiting));
    // To wait for nothing but them is the same news in every mode.
    assert_eq!(names(&waiting), names(&assessed(&[])));
}

#[test]
fn a_container_that_nobody_keeps_is_updated_beside_one_that_somebody_does() {
    let images = [("app", OLD), ("proxy", OLD)];
    let both = kept(argo_cd(), &[], &images);
    let Action::Start(update) = assessment(&snapshot(both, vec![app()]), now()).unwrap().action else {
        panic!("not started")
    };
    let updated: Vec<&String> = update.in_flight.containers.keys().collect();
    assert_eq!(updated, ["proxy"]);
}

#[test]
fn what_helm_installed_is_written_and_its_start_tells_what_the_next_upgrade_does() {
    let before = kept(helm(), &[], &[("app", OLD)]);
    let Action::Start(update) = assessment(&snapshot(before, vec![app()]), now()).unwrap().action else {
        panic!("not started")
    };
    assert_eq!(update.in_flight.summary(), format!("app: {OLD} -> {NEW}"));
    let marker = update.in_flight.to_annotation();
    let after = kept(helm(), &[(IN_FLIGHT, &marker)], &[("app", NEW)]);
    let following = assessment(&snapshot(after, vec![app()]), now()).unwrap();
    assert_eq!(
        notes(&following),
        [format!(
            "app: {OLD} -> {NEW}; the next helm upgrade of the release shop brings its own value back"
        )]
    );
}

#[test]
fn what_waits_for_a_window_too_waits_for_whoever_keeps_it_alone() {
    let frozen = assessed(&[("kubefresh.dev/freeze", "@daily 1d")]);
    assert_eq!(frozen.containers[0].verdict.waits_for(), Some("kept"));
    let mut paused = kept(argo_cd(), &[], &[("app", OLD)]);
    paused.paused = true;
    let paused = assessment(&snapshot(paused, vec![app()]), now()).unwrap();
    assert_eq!(paused.containers[0].verdict.waits_for(), Some("kept"));
}

#[test]
fn what_waits_is_no_longer_said_once_it_was_changed_in_git() {
    let done = kept(argo_cd(), &[(PENDING, "app waits")], &[("app", NEW)]);
    let records = vec![record("shop.example/app", &["1.5.0 minor"], &["1.4.0", "1.5.0"])];
    let done = assessment(&snapshot(done, records), now()).unwrap();
    assert_eq!(done.pending, Pending::Remove);
}
