//! What a record keeps of very much, and that it fits into a ConfigMap.

use super::*;

#[test]
fn a_hundred_thousand_tags_leave_a_record_that_fits_into_a_config_map() {
    let tags: Vec<Tag> = (0..100_000)
        .map(|patch| format!("1.0.{patch}").parse().unwrap())
        .collect();
    let wanted: BTreeSet<Demand> = (0..4)
        .map(|patch| format!("1.0.{} major", patch * 20_000).parse().unwrap())
        .collect();
    let answer = Stock {
        published: Some(tags),
        ..Stock::default()
    };
    let record = complete(None, repository(), wanted, &answer, now());
    let findings = record.findings.as_ref().unwrap();
    assert_eq!(findings.tag_count, Some(100_000));
    for demand in &findings.scanned_for {
        assert!(findings.tag(&demand.tag).is_some(), "{demand} lost its own tag");
        assert_eq!(findings.candidates(demand).first().unwrap().as_ref(), "1.0.99999");
    }
    let size: usize = record
        .to_config_map("kubefresh")
        .data
        .unwrap()
        .values()
        .map(String::len)
        .sum();
    assert!(size < 200_000, "{size} bytes");
}

#[test]
fn a_full_record_with_every_digest_stays_under_half_a_mebibyte() {
    let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
    let platforms: BTreeMap<String, Digest> = ["linux/amd64", "linux/arm64/v8"]
        .map(|platform| (platform.to_owned(), digest.clone()))
        .into();
    let resolved = TagDigests {
        digest,
        platforms: Some(platforms),
    };
    let tags: Vec<Tag> = (0..TAGS_PER_RECORD)
        .map(|tag| format!("{tag}-edge-x").parse().unwrap())
        .collect();
    let wanted = tags
        .iter()
        .map(|tag| format!("{tag} digest").parse().unwrap())
        .collect();
    let digests = tags
        .into_iter()
        .map(|tag| (tag, Some(resolved.clone())))
        .collect();
    let record = complete(
        None,
        repository(),
        wanted,
        &Stock {
            digests,
            ..Stock::default()
        },
        now(),
    );
    let size: usize = record
        .to_config_map("kubefresh")
        .data
        .unwrap()
        .values()
        .map(String::len)
        .sum();
    assert!(size < 512 * 1024, "{size} bytes");
}

#[test]
fn many_demands_for_the_same_tags_leave_another_demand_its_choice() {
    let mut lines: Vec<String> = (0..30).map(|patch| format!("1.0.{patch} minor")).collect();
    lines.push("2.0.0 minor".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut tags: Vec<String> = (0..200).map(|patch| format!("1.0.{patch}")).collect();
    tags.extend(["2.0.0".to_owned(), "2.1.0".to_owned()]);
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let record = complete(None, repository(), demands(&lines), &published(&tags), now());
    assert!(names(&record).contains(&"2.1.0"));
}

#[test]
fn what_bears_on_a_choice_is_kept_however_many_candidates_there_are() {
    let mut tags: Vec<String> = (4..90).map(|minor| format!("16.{minor}-alpine3.19")).collect();
    tags.extend(["16.95-alpine3.22".to_owned(), "16.3-alpine3.19".to_owned()]);
    // The spelling with a v is published, and only the other one goes on: that is no update.
    tags.extend(["v1.1.0", "1.4.0", "1.3.0"].map(str::to_owned));
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let lines = ["16.3-alpine3.19 minor", "v1.2.0 minor", "1.3.0 minor"];
    let answer = published(&tags);
    let record = complete(None, repository(), demands(&lines), &answer, now());
    let kept = &record.findings.as_ref().unwrap().tags;
    for line in lines {
        let demand: Demand = line.parse().unwrap();
        let whole = select(&demand.request(), answer.published.as_ref().unwrap());
        let stored = select(&demand.request(), kept);
        assert_eq!(
            (whole.selected, whole.reason, whole.successor),
            (stored.selected, stored.reason, stored.successor),
            "{line}"
        );
    }
    assert_eq!(
        record.newest().unwrap().as_ref(),
        "1.4.0",
        "what only bears on a choice is not shown as one"
    );
}

#[test]
fn demands_that_fill_the_record_leave_every_other_its_newest_choice() {
    // Forty ladders with fifty candidates each are twice what a record holds; the last one sorts behind them all.
    let mut lines: Vec<String> = (0..40)
        .map(|ladder| format!("1.0.0-flavour{ladder}x minor"))
        .collect();
    lines.push("9.0.0 minor".to_owned());
    let mut tags: Vec<String> = (0..40)
        .flat_map(|ladder| (0..60).map(move |minor| format!("1.{minor}.0-flavour{ladder}x")))
        .collect();
    tags.extend(["9.0.0".to_owned(), "9.1.0".to_owned()]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let record = complete(None, repository(), demands(&lines), &published(&tags), now());
    assert_eq!(names(&record).len(), TAGS_PER_RECORD);
    let findings = record.findings.unwrap();
    for demand in &findings.scanned_for {
        let newest = findings.candidates(demand);
        let expected = if demand.tag.as_str() == "9.0.0" {
            "9.1.0"
        } else {
            "1.59.0"
        };
        assert!(
            newest
                .first()
                .is_some_and(|tag| tag.as_str().starts_with(expected)),
            "{demand}: {newest:?}"
        );
    }
}

#[test]
fn images_with_very_many_platforms_leave_a_record_that_fits_into_a_config_map() {
    let digest: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
    let tags: Vec<Tag> = (0..TAGS_PER_RECORD)
        .map(|tag| format!("{tag}-{}", "x".repeat(100)).parse().unwrap())
        .collect();
    let platforms: BTreeMap<String, Digest> = (0..60)
        .map(|platform| (format!("{platform}/{}", "y".repeat(60)), digest.clone()))
        .collect();
    let digests = tags
        .iter()
        .map(|tag| {
            let (digest, platforms) = (digest.clone(), platforms.clone());
            (
                tag.clone(),
                Some(TagDigests {
                    digest,
                    platforms: Some(platforms),
                }),
            )
        })
        .collect();
    let wanted = tags
        .iter()
        .take(TAGS_PER_RECORD / 2)
        .map(|tag| format!("{tag} digest").parse().unwrap())
        .collect();
    let answer = Stock {
        published: Some(tags),
        digests,
        ..Stock::default()
    };
    let record = complete(None, repository(), wanted, &answer, now());
    assert!(!record.findings.as_ref().unwrap().tags[0].platforms.is_empty());
    let data = record.to_config_map("kubefresh").data.unwrap();
    let size: usize = data.values().map(String::len).sum();
    assert!(size < 900 * 1024, "{size} bytes");
}
