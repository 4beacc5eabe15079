mod former;
mod labels;
mod size;
mod writing;

use super::*;
use crate::domain::policy::select;
use crate::domain::record::TAGS_PER_RECORD;
use crate::domain::record::choices::Reserve;

const NOW: &str = "2026-11-21T03:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    now() + jiff::SignedDuration::from_hours(hours)
}

fn repository() -> Repository {
    "localhost:5000/shop/checkout".parse().unwrap()
}

fn demands(lines: &[&str]) -> BTreeSet<Demand> {
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

/// What a registry has.
#[derive(Clone, Default)]
struct Stock {
    published: Option<Vec<Tag>>,
    digests: BTreeMap<Tag, Option<TagDigests>>,
    labels: BTreeMap<Tag, ImageLabels>,
}

fn published(tags: &[&str]) -> Stock {
    Stock {
        published: Some(tags.iter().map(|tag| tag.parse().unwrap()).collect()),
        ..Stock::default()
    }
}

fn complete(
    previous: Option<&ScanRecord>,
    repository: Repository,
    demands: BTreeSet<Demand>,
    stock: &Stock,
    now: Timestamp,
) -> ScanRecord {
    let answer = Answer {
        digests: stock.digests.clone(),
        labels: stock.labels.clone(),
        ..Answer::default()
    };
    let choices = Choices::among(demands, stock.published.as_deref());
    super::complete(previous, repository, choices, &answer, now)
}

fn resolved(tags: &[(&str, char)]) -> BTreeMap<Tag, Option<TagDigests>> {
    let resolved = |(tag, fill): &(&str, char)| {
        let digest = format!("sha256:{}", fill.to_string().repeat(64));
        let digests = TagDigests {
            digest: digest.parse().unwrap(),
            platforms: Some(BTreeMap::new()),
        };
        (tag.parse().unwrap(), Some(digests))
    };
    tags.iter().map(resolved).collect()
}

fn names(record: &ScanRecord) -> Vec<&str> {
    record
        .findings
        .as_ref()
        .unwrap()
        .tags
        .iter()
        .map(|tag| tag.tag.as_ref())
        .collect()
}

fn error(class: &str) -> ScanError {
    ScanError {
        class: class.to_owned(),
        message: "no".to_owned(),
        since: later(9),
        retry_at: None,
    }
}

#[test]
fn a_record_keeps_what_a_demand_could_choose_and_what_is_in_use() {
    let answer = published(&["1.3.9", "1.4.0", "1.4.1", "1.5.0", "2.0.0", "latest"]);
    let record = complete(None, repository(), demands(&["1.4.0 minor"]), &answer, now());
    assert_eq!(names(&record), ["1.5.0", "1.4.1", "1.4.0"]);
    assert_eq!(record.findings.unwrap().tag_count, Some(6));
}

#[test]
fn a_tag_in_use_that_the_registry_no_longer_has_is_not_recorded() {
    let record = complete(
        None,
        repository(),
        demands(&["1.4.0 minor"]),
        &published(&["1.5.0"]),
        now(),
    );
    assert_eq!(names(&record), ["1.5.0"]);
}

#[test]
fn a_tag_whose_digest_is_not_told_leaves_out_who_needs_it_and_what_was_known_of_it_stays() {
    let wanted = demands(&["1.4.0 minor", "1.4.0 minor pinned", "edge digest"]);
    let list = published(&["1.4.0", "1.5.0", "edge"]);
    let known = Stock {
        digests: resolved(&[("edge", 'a'), ("1.5.0", 'b')]),
        ..list.clone()
    };
    let before = complete(None, repository(), wanted.clone(), &known, now());
    let mut choices = Choices::among(wanted, list.published.as_deref());
    let answer = Answer {
        digests: resolved(&[("1.5.0", 'c')]),
        unresolved: BTreeSet::from(["edge".parse().unwrap()]),
        ..Answer::default()
    };
    assert!(choices.leave_out(&answer.unresolved));
    let after = super::complete(Some(&before), repository(), choices, &answer, later(1));
    let findings = after.findings.unwrap();
    assert_eq!(
        findings.scanned_for,
        demands(&["1.4.0 minor", "1.4.0 minor pinned"])
    );
    let tag = |findings: &Findings, name: &str| findings.tag(&name.parse().unwrap()).cloned();
    assert_eq!(
        tag(&findings, "edge"),
        tag(before.findings.as_ref().unwrap(), "edge")
    );
    assert_ne!(
        tag(&findings, "1.5.0"),
        tag(before.findings.as_ref().unwrap(), "1.5.0")
    );
    let mut only = Choices::among(demands(&["edge digest"]), None);
    assert!(!only.leave_out(&answer.unresolved), "nobody is left");
}

#[test]
fn the_time_a_tag_was_first_seen_survives_every_later_scan() {
    let wanted = demands(&["1.4.0 minor"]);
    let first = complete(
        None,
        repository(),
        wanted.clone(),
        &published(&["1.4.0", "1.5.0"]),
        now(),
    );
    let answer = published(&["1.4.0", "1.5.0", "1.6.0"]);
    let second = complete(Some(&first), repository(), wanted, &answer, later(1));
    let seen: Vec<_> = second
        .findings
        .unwrap()
        .tags
        .into_iter()
        .map(|tag| (tag.tag.to_string(), tag.first_seen))
        .collect();
    assert_eq!(
        seen,
        [
            ("1.6.0".to_owned(), later(1)),
            ("1.5.0".to_owned(), now()),
            ("1.4.0".to_owned(), now())
        ]
    );
}

#[test]
fn digests_are_asked_for_moving_tags_and_for_the_choice_of_pinned_images_only() {
    let wanted = demands(&["latest digest", "1.4.0 minor", "1.4.1 patch pinned"]);
    let tags: Vec<Tag> = ["1.4.0", "1.4.1", "1.4.2", "1.5.0"]
        .map(|tag| tag.parse().unwrap())
        .into();
    let asked: Vec<String> = Choices::among(wanted.clone(), Some(&tags))
        .to_resolve()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(asked, ["1.4.2", "latest"]);
    assert!(needs_list(&wanted));
    assert!(!needs_list(&demands(&["latest digest"])));
}

#[test]
fn what_is_pinned_in_spite_of_holds_and_a_minimum_age_is_chosen_as_the_updater_will_choose_it() {
    let wanted = demands(&["1.4.0 minor pinned"]);
    let demand = wanted.first().unwrap();
    let stock = published(&["1.4.0", "1.4.1", "1.5.0", "1.6.0"]);
    let before = complete(
        None,
        repository(),
        wanted.clone(),
        &published(&["1.4.0", "1.4.1"]),
        now(),
    );
    let known = complete(Some(&before), repository(), wanted.clone(), &stock, later(2)).findings;
    let choices = Choices::among(wanted.clone(), stock.published.as_deref());
    let found = resolved(&[("1.6.0", 'a')]);
    let digest = |fill: char| format!("sha256:{}", fill.to_string().repeat(64));
    let image = |tag: &str, fill: char| format!("{tag}@{}", digest(fill));
    let chosen = |hours: Option<i64>, held: &[&str]| {
        let reserve = Reserve {
            min_age: hours.map(jiff::SignedDuration::from_hours),
            held: held.iter().map(|hold| hold.parse().unwrap()).collect(),
        };
        let chosen = choices.with_reserve(&(demand.clone(), reserve), known.as_ref(), &found, later(3));
        chosen.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    for (hours, held, expected) in [
        (None, &["1.6.0"][..], &["1.5.0"][..]),
        (None, &[&digest('a')], &["1.5.0"]),
        (None, &[&image("1.6.0", 'a')], &["1.5.0"]),
        (None, &[&image("1.6.0", 'b')], &["1.6.0"]),
        // Nobody has looked yet whether it still is this image.
        (None, &["1.6.0", &image("1.5.0", 'b')], &["1.5.0"]),
        (Some(1), &[], &["1.6.0"]),
        // The first two were seen three hours ago, the others one.
        (Some(3), &[], &["1.4.1", "1.6.0"]),
        (Some(4), &[], &["1.4.1"]),
        (Some(4), &["1.4.1"], &["1.6.0"]),
        (Some(1), &["<=1.6.0"], &[]),
    ] {
        assert_eq!(chosen(hours, held), expected, "{hours:?} {held:?}");
    }
}

#[test]
fn since_when_a_tag_points_where_it_does_is_kept_until_it_points_elsewhere_or_nobody_looked() {
    let wanted = demands(&["edge digest"]);
    let scan = |previous: Option<&ScanRecord>, fill: Option<char>, hours: i64| {
        let stock = Stock {
            digests: fill.map(|fill| resolved(&[("edge", fill)])).unwrap_or_default(),
            ..published(&["edge"])
        };
        complete(previous, repository(), wanted.clone(), &stock, later(hours))
    };
    let since = |record: &ScanRecord| record.findings.as_ref().unwrap().tags[0].digest_first_seen;
    let first = scan(None, Some('a'), 0);
    let same = scan(Some(&first), Some('a'), 1);
    let moved = scan(Some(&same), Some('b'), 2);
    let back = scan(Some(&moved), Some('a'), 3);
    let unseen = scan(Some(&back), None, 4);
    let again = scan(Some(&unseen), Some('a'), 5);
    let found = [&first, &same, &moved, &back, &unseen, &again].map(since);
    let expected = [Some(0), Some(0), Some(2), Some(3), None, Some(5)].map(|hours| hours.map(later));
    assert_eq!(found, expected);
    let mut older = first;
    older.findings.as_mut().unwrap().tags[0].digest_first_seen = None;
    assert_eq!(
        since(&scan(Some(&older), Some('a'), 7)),
        Some(later(0)),
        "a record from before this was kept says what was seen at its scan"
    );
}

#[test]
fn a_scan_for_an_older_tag_covers_the_candidate_that_was_updated_to() {
    let answer = published(&["1.4.0", "1.5.0", "2.0.0"]);
    let record = complete(None, repository(), demands(&["1.4.0 minor"]), &answer, now());
    let findings = record.findings.unwrap();
    for (line, expected) in [
        ("1.4.0 minor", true),
        ("1.5.0 minor", true),
        ("1.4.0 major", false),
        ("1.5.0 major", false),
        ("1.5.0 minor prerelease", false),
        ("1.5.0 minor pinned", false),
        ("2.0.0 minor", false),
        ("1.4.0 digest", false),
    ] {
        assert_eq!(findings.covers(&line.parse().unwrap()), expected, "{line}");
    }
}

#[test]
fn findings_cover_what_asks_no_more_than_was_looked_for() {
    let answer = published(&["edge", "1.4.0", "1.5.0"]);
    let covers = |scanned: &str, demand: &str| {
        let record = complete(None, repository(), demands(&[scanned]), &answer, now());
        record.findings.unwrap().covers(&demand.parse().unwrap())
    };
    for (scanned, demand, expected) in [
        // The first update of a tag that moves pins it; somebody may take that back.
        ("edge digest", "edge digest pinned", true),
        ("edge digest pinned", "edge digest", true),
        ("edge digest", "1.4.0 digest pinned", false),
        // A digest more than is needed does no harm, one that is missing does.
        ("1.4.0 minor pinned", "1.4.0 minor", true),
        ("1.4.0 minor pinned", "1.5.0 minor", true),
        ("1.4.0 minor", "1.4.0 minor pinned", false),
        ("1.4.0 minor", "1.5.0 minor pinned", false),
        ("1.4.0 minor pinned", "1.4.0 major", false),
    ] {
        assert_eq!(covers(scanned, demand), expected, "{scanned} for {demand}");
    }
}
