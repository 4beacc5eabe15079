mod approvals;
mod gates;
mod kept;
mod moved;
mod pinning;
mod platforms;
mod readings;
mod remembered;
mod require_approval;
mod rollback;
mod rollouts;
mod running;
mod same_image;
mod taken_back;
mod undo;

use super::*;
use crate::domain::annotations::{IN_FLIGHT, LAST_UPDATE, Namespaces};
use crate::domain::in_flight::LastImages;
use crate::domain::nodes::PlatformSelector;
use crate::domain::ownership::Ownership;
use crate::domain::record::ScanRecord;
use crate::domain::record::choices::Choices;
use crate::domain::record::config_map::{RecordError, record_name};
use crate::domain::record::scan::{Answer, TagDigests, complete};
use crate::domain::reference::{Digest, Tag};
use crate::domain::rollout::{RolloutFacts, Waiting, deployment};
use crate::domain::time::SKEW;
use crate::domain::workload::{Container, WorkloadId, WorkloadKind};

mod defaults;

pub(in crate::domain) const LIMITS: PlanLimits = PlanLimits {
    max_record_age: SignedDuration::from_hours(24),
    max_rollouts: None,
    max_rollouts_per_namespace: None,
    max_unwatched: SignedDuration::from_mins(5),
    threads: 1,
};

pub(in crate::domain) fn now() -> Timestamp {
    "2026-11-21T03:00:00Z".parse().unwrap()
}

fn digest(fill: char) -> Digest {
    format!("sha256:{}", fill.to_string().repeat(64)).parse().unwrap()
}

pub(in crate::domain) fn workload(annotations: &[(&str, &str)], images: &[(&str, &str)]) -> Workload {
    let container = |(name, image): &(&str, &str)| Container {
        name: (*name).to_owned(),
        image: (*image).to_owned(),
        init: *name == "migrate",
        ownership: Ownership::default(),
    };
    Workload {
        id: WorkloadId {
            kind: WorkloadKind::Deployment,
            namespace: "shop".to_owned(),
            name: "checkout".to_owned(),
        },
        uid: "1234".to_owned(),
        resource_version: "41".to_owned(),
        labels: BTreeMap::new(),
        annotations: annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        containers: images.iter().map(container).collect(),
        paused: false,
        deleted_at: None,
        selector: Some("app=checkout".to_owned()),
        platforms: PlatformSelector::default(),
        rollout: RolloutFacts::Deployment(deployment::Facts {
            generation: 2,
            observed_generation: 1,
            desired: 1,
            replicas: 1,
            updated: 1,
            available: 1,
            deadline_exceeded: None,
            deadline_exceeded_at: None,
            revision: None,
            clock: None,
        }),
        min_ready: SignedDuration::ZERO,
    }
}

pub(in crate::domain) const AUTO: [(&str, &str); 2] =
    [("kubefresh.dev/watch", "true"), ("kubefresh.dev/mode", "auto")];

/// A record of `repository` as a scan on behalf of `demands` writes it. `edge` points at b…, everything else at c….
pub(in crate::domain) fn record(
    repository: &str,
    demands: &[&str],
    tags: &[&str],
) -> (String, Result<Arc<ScanRecord>, RecordError>) {
    let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
    let resolve = |tag: &Tag| {
        let fill = if tag.as_ref() == "edge" { 'b' } else { 'c' };
        (
            tag.clone(),
            Some(TagDigests {
                digest: digest(fill),
                platforms: Some(BTreeMap::new()),
            }),
        )
    };
    let repository: crate::domain::reference::Repository = repository.parse().unwrap();
    let demands = demands.iter().map(|line| line.parse().unwrap()).collect();
    let choices = Choices::among(demands, Some(&tags));
    let answer = Answer {
        digests: choices.to_resolve().iter().map(resolve).collect(),
        ..Answer::default()
    };
    (
        record_name(&repository),
        Ok(Arc::new(complete(None, repository, choices, &answer, now()))),
    )
}

pub(in crate::domain) fn snapshot(
    workload: Workload,
    records: Vec<(String, Result<Arc<ScanRecord>, RecordError>)>,
) -> Snapshot {
    Snapshot {
        replica_sets: asked([&workload]),
        workloads: vec![Arc::new(workload)],
        records: records.into_iter().collect(),
        ..Snapshot::default()
    }
}

/// That the `ReplicaSets` of these know of nothing.
fn asked<'a>(workloads: impl IntoIterator<Item = &'a Workload>) -> BTreeMap<String, ReplicaSetsRead> {
    let nothing = |workload: &Workload| (workload.uid.clone(), Ok(Arc::default()));
    workloads.into_iter().map(nothing).collect()
}

pub(in crate::domain) fn app() -> (String, Result<Arc<ScanRecord>, RecordError>) {
    record("shop.example/app", &["1.4.0 minor"], &["1.4.0", "1.5.0", "2.0.0"])
}

fn assessment(snapshot: &Snapshot, at: Timestamp) -> Option<Assessment> {
    plan(snapshot, &LIMITS, at).assessments.pop()
}

fn verdict(annotations: &[(&str, &str)], image: &str) -> Verdict {
    let edge = record(
        "shop.example/edge",
        &["edge digest", "edge digest pinned"],
        &["edge"],
    );
    let pinned = record(
        "shop.example/pinned",
        &["1.4.0 minor pinned"],
        &["1.4.0", "1.5.0"],
    );
    let all = [AUTO.as_slice(), annotations].concat();
    let snapshot = snapshot(workload(&all, &[("app", image)]), vec![app(), edge, pinned]);
    assessment(&snapshot, now()).unwrap().containers.remove(0).verdict
}

fn target_image(verdict: &Verdict) -> Option<&str> {
    verdict.target().map(|target| target.image.as_str())
}

#[test]
fn a_newer_version_is_written_in_the_spelling_of_the_old_one() {
    let pinned_old = format!("shop.example/pinned:1.4.0@{}", digest('a'));
    let pinned_new = format!("shop.example/pinned:1.5.0@{}", digest('c'));
    let edge_old = format!("shop.example/edge:edge@{}", digest('a'));
    let edge_new = format!("shop.example/edge:edge@{}", digest('b'));
    for (old, new) in [
        ("shop.example/app:1.4.0", "shop.example/app:1.5.0"),
        (pinned_old.as_str(), pinned_new.as_str()),
        (edge_old.as_str(), edge_new.as_str()),
    ] {
        let verdict = verdict(&[], old);
        assert!(matches!(verdict, Verdict::Update(_)), "{old}: {verdict:?}");
        assert_eq!(target_image(&verdict), Some(new));
    }
}

#[test]
fn nothing_is_done_without_a_reason_to() {
    let current = format!("shop.example/edge:edge@{}", digest('b'));
    for (annotations, image, expected) in [
        (&[][..], "shop.example/app:1.5.0", "up-to-date"),
        (&[], current.as_str(), "up-to-date"),
        (&[], "shop.example/edge:edge", "running-unknown"),
        (
            &[("kubefresh.dev/mode", "off")],
            "shop.example/app:1.4.0",
            "mode-off",
        ),
        (
            &[("kubefresh.dev/mode", "notify")],
            "shop.example/app:1.4.0",
            "notify",
        ),
        (
            &[("kubefresh.dev/mode", "approve")],
            "shop.example/app:1.4.0",
            "awaiting-approval",
        ),
        (&[], "shop.example/unknown:1.4.0", "no-record"),
        (&[], "shop.example/app:1.3.0", "not-scanned-for"),
        (
            &[("kubefresh.dev/policy", "major")],
            "shop.example/app:1.4.0",
            "not-scanned-for",
        ),
    ] {
        let verdict = verdict(annotations, image);
        let name: &str = (&verdict).into();
        assert_eq!(name, expected, "{annotations:?} {image}: {verdict}");
    }
}

#[test]
fn several_containers_go_in_one_update_and_init_containers_are_told_apart() {
    let images = [
        ("migrate", "shop.example/app:1.4.0"),
        ("app", "shop.example/app:1.4.0"),
        ("new", "shop.example/app:1.5.0"),
    ];
    let annotations = [AUTO.as_slice(), &[("app.kubefresh.dev/approved", "1.5.0")]].concat();
    let action = assessment(&snapshot(workload(&annotations, &images), vec![app()]), now())
        .unwrap()
        .action;
    let Action::Start(update) = action else {
        panic!("{action:?}")
    };
    assert_eq!(
        update.in_flight.containers.keys().collect::<Vec<_>>(),
        ["app", "migrate"]
    );
    assert_eq!(update.init_containers, BTreeSet::from(["migrate".to_owned()]));
    assert_eq!(
        update.spent,
        BTreeMap::from([("app.kubefresh.dev/approved".to_owned(), None)])
    );
}

#[test]
fn an_old_unreadable_foreign_or_failing_record_is_no_grounds_for_an_update() {
    let subject = || workload(&AUTO, &[("app", "shop.example/app:1.4.0")]);
    let (name, good) = app();
    let good = good.unwrap();
    let never = ScanRecord {
        findings: None,
        ..ScanRecord::clone(&good)
    };
    let foreign = ScanRecord {
        repository: "shop.example/other".parse().unwrap(),
        ..ScanRecord::clone(&good)
    };
    let unreadable = RecordError::Missing {
        name: name.clone(),
        key: "tags",
    };
    let late = now() + SignedDuration::from_hours(25);
    let early = now() - SignedDuration::from_hours(1);
    for (record, at, expected) in [
        (Ok(good.clone()), now(), "update"),
        (Ok(good.clone()), late, "record-stale"),
        // By a clock that was ahead: it would stay fresh for as long as that.
        (Ok(good.clone()), early, "record-stale"),
        (Ok(good.clone()), now() - SKEW, "update"),
        (Ok(Arc::new(never)), now(), "never-scanned"),
        (Ok(Arc::new(foreign)), now(), "record-unreadable"),
        (Err(unreadable), now(), "record-unreadable"),
    ] {
        let snapshot = snapshot(subject(), vec![(name.clone(), record)]);
        let verdict = assessment(&snapshot, at).unwrap().containers.remove(0).verdict;
        assert_eq!(<&str>::from(&verdict), expected, "{verdict}");
    }
}

#[test]
fn the_end_of_a_variant_is_told_with_the_tag_that_goes_on() {
    let subject = workload(&AUTO, &[("app", "shop.example/db:16.3-alpine3.19")]);
    let published = ["16.3-alpine3.19", "16.9-alpine3.22", "16.9-bookworm"];
    let record = record("shop.example/db", &["16.3-alpine3.19 minor"], &published);
    let verdict = assessment(&snapshot(subject, vec![record]), now())
        .unwrap()
        .containers
        .remove(0)
        .verdict;
    let said = verdict.to_string();
    assert!(
        said.starts_with("up to date") && said.ends_with("16.9-alpine3.22 goes on"),
        "{said}"
    );
}

#[test]
fn a_record_is_as_old_as_its_schedule_lets_it_become() {
    let weekly = [AUTO.as_slice(), &[("kubefresh.dev/schedule", "0 3 * * 6")]].concat();
    let subject = || workload(&weekly, &[("app", "shop.example/app:1.4.0")]);
    // Recorded on a Saturday at three.
    for (hours, expected) in [
        (0, "update"),
        (167, "update"),
        (168, "update"),
        (191, "update"),
        (193, "record-stale"),
    ] {
        let snapshot = snapshot(subject(), vec![app()]);
        let at = now() + SignedDuration::from_hours(hours);
        let verdict = assessment(&snapshot, at).unwrap().containers.remove(0).verdict;
        assert_eq!(<&str>::from(&verdict), expected, "{hours} hours later: {verdict}");
    }
}

#[test]
fn bad_settings_stop_their_workload_and_no_other() {
    let bad = workload(
        &[("kubefresh.dev/watch", "yes")],
        &[("app", "shop.example/app:1.4.0")],
    );
    let unparsable = workload(&AUTO, &[("app", "Not An Image")]);
    let only_digest = workload(&AUTO, &[("app", &format!("shop.example/app@{}", digest('a')))]);
    let good = workload(&AUTO, &[("app", "shop.example/app:1.4.0")]);
    let snapshot = Snapshot {
        replica_sets: asked([&good]),
        workloads: [bad, unparsable, only_digest, good].map(Arc::new).to_vec(),
        records: [app()].into_iter().collect(),
        ..Snapshot::default()
    };
    let plan = plan(&snapshot, &LIMITS, now());
    let actions: Vec<bool> = plan
        .assessments
        .iter()
        .map(|assessment| matches!(assessment.action, Action::Stop(_)))
        .collect();
    assert_eq!(actions, [true, true, true, false]);
    assert!(matches!(plan.assessments[3].action, Action::Start(_)));
}

#[test]
fn a_workload_that_did_not_opt_in_or_is_being_deleted_is_left_out() {
    let idle = workload(&[], &[("app", "shop.example/app:1.4.0")]);
    let mut going = workload(&AUTO, &[("app", "shop.example/app:1.4.0")]);
    going.deleted_at = Some(now());
    let snapshot = Snapshot {
        workloads: [idle, going].map(Arc::new).to_vec(),
        records: [app()].into_iter().collect(),
        ..Snapshot::default()
    };
    assert!(plan(&snapshot, &LIMITS, now()).assessments.is_empty());
}

#[test]
fn what_is_held_is_passed_over_and_the_verdict_says_what_lifts_it() {
    let edge = format!("shop.example/edge:edge@{}", digest('a'));
    let (new, other) = (digest('b').to_string(), digest('d').to_string());
    let up_to = "1.5.0 is held by the annotation kubefresh.dev/hold; removing that lifts it";
    for (image, key, held, expected) in [
        ("shop.example/app:1.4.0", "kubefresh.dev/hold", "1.5.0", up_to),
        (
            "shop.example/app:1.4.0",
            "kubefresh.dev/hold",
            "1.3.0 <=1.5.0",
            up_to,
        ),
        (
            "shop.example/app:1.4.0",
            "app.kubefresh.dev/hold",
            "1.5.0",
            "1.5.0 is held by the annotation app.kubefresh.dev/hold; removing that lifts it",
        ),
        (
            "shop.example/app:1.4.0",
            "kubefresh.dev/hold",
            "1.4.9",
            "update to shop.example/app:1.5.0",
        ),
        (
            edge.as_str(),
            "kubefresh.dev/hold",
            new.as_str(),
            "edge is held by the annotation kubefresh.dev/hold; removing that lifts it",
        ),
        (
            edge.as_str(),
            "kubefresh.dev/hold",
            other.as_str(),
            &format!("update to shop.example/edge:edge@{new}"),
        ),
    ] {
        assert_eq!(verdict(&[(key, held)], image).to_string(), expected, "{held}");
    }
}

#[test]
fn a_paused_rollout_is_not_touched() {
    let mut paused = workload(&AUTO, &[("app", "shop.example/app:1.4.0")]);
    paused.paused = true;
    let assessment = assessment(&snapshot(paused, vec![app()]), now()).unwrap();
    let verdict = &assessment.containers[0].verdict;
    let gate = Gate::Paused;
    assert!(
        matches!(verdict, Verdict::Waiting { gate: found, until: None, .. } if *found == gate),
        "{verdict:?}"
    );
    assert!(matches!(assessment.action, Action::Nothing));
}

#[test]
fn an_update_under_way_is_followed_even_when_the_settings_were_broken_meanwhile() {
    let change = ImageChange {
        from: "shop.example/app:1.3.0".to_owned(),
        to: "shop.example/app:1.4.0".to_owned(),
        digest: None,
        ran: None,
    };
    let marker = InFlight::new(
        BTreeMap::from([("app".to_owned(), change)]),
        now(),
        SignedDuration::from_mins(10),
    );
    let value = marker.to_annotation();
    let moving = workload(
        &[("kubefresh.dev/watch", "maybe"), (IN_FLIGHT, value.as_str())],
        &[("app", "shop.example/app:1.4.0")],
    );
    let plan = plan(&snapshot(moving, vec![app()]), &LIMITS, now());
    // Somebody else began it, whose clock may be a minute behind.
    let ends = marker.deadline + SignedDuration::from_mins(1);
    assert_eq!(plan.next_look, Some(ends));
    let Action::Follow {
        in_flight, status, ..
    } = &plan.assessments[0].action
    else {
        panic!("not followed")
    };
    assert_eq!(**in_flight, marker);
    assert!(matches!(
        status,
        RolloutStatus::InProgress(Waiting::Controller { .. })
    ));
}

#[test]
fn an_update_begins_not_before_the_last_one_ended_by_whatever_clock() {
    let annotations = [AUTO.as_slice(), &[(LAST_UPDATE, "2026-11-21T03:00:59Z")]].concat();
    let workload = workload(&annotations, &[("app", "shop.example/app:1.4.0")]);
    let action = assessment(&snapshot(workload, vec![app()]), now())
        .unwrap()
        .action;
    let Action::Start(update) = action else {
        panic!("{action:?}")
    };
    assert_eq!(update.in_flight.started.to_string(), "2026-11-21T03:00:59Z");
}

#[test]
fn a_marker_that_cannot_be_read_stops_the_workload() {
    let annotations = [AUTO.as_slice(), &[(IN_FLIGHT, "{}")]].concat();
    let edited = workload(&annotations, &[("app", "shop.example/app:1.4.0")]);
    let action = assessment(&snapshot(edited, vec![app()]), now()).unwrap().action;
    assert!(matches!(action, Action::StopForMarker(_)), "{action:?}");
}

proptest::proptest! {
    #[test]
    fn what_is_suggested_to_be_typed_holds_nothing_that_a_shell_would_act_on(
        tag in "\\PC{1,20}|[A-Za-z0-9_.;$`(){}|&<>'\" -]{1,20}",
        digest in "\\PC{1,20}|sha256:[0-9a-f]{64}",
    ) {
        let (Ok(tag), digest) = (tag.parse(), digest.parse().ok()) else { return Ok(()) };
        let target = Target { tag, digest, image: String::new(), superseded_at: None, ran: None, kept_by: None, terms: None };
        for current in ["shop/web:1.0.0".to_owned(), format!("shop/web:{}", target.tag)] {
            let typed = approval("web", false, &current, &target);
            let harmless = |c: char| c.is_ascii_alphanumeric() || "._:/=-".contains(c);
            proptest::prop_assert!(typed.chars().all(harmless), "{}", typed);
        }
    }
}
