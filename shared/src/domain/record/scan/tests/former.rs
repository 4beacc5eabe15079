//! What a tag that moves pointed at before.

use super::*;
use crate::domain::record::FORMER_PER_TAG;

fn digest(number: usize) -> Digest {
    format!("sha256:{number:064}").parse().unwrap()
}

/// What a scan finds of `edge`: the digest of this number, with a platform whose digest is that of the number and a hundred, and
/// this version, if its image says any.
fn found(number: usize, version: Option<&str>) -> Answer {
    let edge: Tag = "edge".parse().unwrap();
    let digests = TagDigests {
        digest: digest(number),
        platforms: Some([("linux/amd64".to_owned(), digest(number + 100))].into()),
    };
    let labels = ImageLabels {
        version: version.map(str::to_owned),
        ..ImageLabels::default()
    };
    Answer {
        digests: [(edge.clone(), Some(digests))].into(),
        labels: [(edge, labels)].into(),
        ..Answer::default()
    }
}

fn scanned(previous: Option<&ScanRecord>, demand: &str, answer: &Answer) -> ScanRecord {
    let published = ["edge".parse().unwrap()];
    let choices = Choices::among(demands(&[demand]), Some(&published));
    super::super::complete(previous, repository(), choices, answer, now())
}

fn edge(record: &ScanRecord) -> &TagRecord {
    record
        .findings
        .as_ref()
        .unwrap()
        .tag(&"edge".parse().unwrap())
        .unwrap()
}

/// Number and version, newest first.
fn former(record: &ScanRecord) -> Vec<(usize, Option<&str>)> {
    let number = |digest: &Digest| digest.hex().parse().unwrap();
    let former = edge(record).former.iter();
    former
        .map(|former| (number(&former.digest), former.version.as_deref()))
        .collect()
}

#[test]
fn what_a_followed_tag_pointed_at_before_is_kept_with_the_version_that_its_image_said() {
    let [one, two, four, five] =
        [(1, "1.1"), (2, "1.2"), (4, "1.4"), (5, "1.5")].map(|(number, version)| (number, Some(version)));
    let three = (3, None);
    let scans = [
        (1, Some("1.1"), &[][..]),
        (1, Some("1.1"), &[]),
        (2, Some("1.2"), &[one]),
        // Nothing moves, and nothing is added.
        (2, Some("1.2"), &[one]),
        (3, None, &[two, one]),
        (4, Some("1.4"), &[three, two, one]),
        // Back again: what it points at is nothing that was.
        (2, Some("1.2"), &[four, three, one]),
        (5, Some("1.5"), &[two, four, three, one]),
        (6, Some("1.6"), &[five, two, four, three, one]),
    ];
    let mut before: Option<ScanRecord> = None;
    for (number, version, expected) in scans {
        let next = scanned(before.as_ref(), "edge digest", &found(number, version));
        assert_eq!(former(&next), expected, "{number}");
        let again = scanned(Some(&next), "edge digest", &found(number, None));
        let again_unasked = Answer {
            labels: BTreeMap::new(),
            ..found(number, None)
        };
        let unasked = scanned(Some(&next), "edge digest", &again_unasked);
        assert_eq!(former(&again), expected, "{number}");
        assert!(!worth_writing(Some(&next), &unasked), "{number}");
        before = Some(next);
    }
    let record = before.unwrap();
    for (asked, expected) in [
        (6, Some((6, Some("1.6")))),
        (106, Some((6, Some("1.6")))),
        (4, Some((4, Some("1.4")))),
        (104, Some((4, Some("1.4")))),
        (3, Some((3, None))),
        (103, Some((3, None))),
        (7, None),
    ] {
        let (digest, expected) = (
            digest(asked),
            expected.map(|(number, version)| (digest(number), version)),
        );
        let found = edge(&record).image_of(&digest);
        assert_eq!(
            found.map(|(image, version)| (image.clone(), version)),
            expected,
            "{asked}"
        );
    }
}

#[test]
fn only_the_last_few_are_kept_and_only_of_a_tag_that_somebody_follows() {
    let moved = |demand: &str| {
        (1..20).fold(None, |before: Option<ScanRecord>, number| {
            let version = format!("1.{number}");
            Some(scanned(before.as_ref(), demand, &found(number, Some(&version))))
        })
    };
    let followed = moved("edge digest").unwrap();
    let numbers: Vec<usize> = former(&followed).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [18, 17, 16, 15, 14]);
    assert!(former(&moved("edge major").unwrap()).is_empty());
    let nobody_follows = scanned(Some(&followed), "edge major", &found(20, Some("1.20")));
    assert!(former(&nobody_follows).is_empty());
    // Nobody told what it points at: it may be the same still.
    let untold = scanned(Some(&followed), "edge digest", &Answer::default());
    assert_eq!(former(&untold), former(&followed));
}

#[test]
fn what_was_takes_no_room_from_what_is_and_does_not_fill_a_record() {
    let tags: Vec<Tag> = (0..TAGS_PER_RECORD)
        .map(|tag| format!("{tag}-edge-x").parse().unwrap())
        .collect();
    let wanted: BTreeSet<Demand> = tags
        .iter()
        .map(|tag| format!("{tag} digest").parse().unwrap())
        .collect();
    let said = ImageLabels {
        version: Some("9".repeat(20)),
        ..ImageLabels::default()
    };
    let scan = |previous: Option<&ScanRecord>, number: usize| {
        let platforms = (0..3).map(|platform| (format!("linux/{platform}"), digest(number)));
        let digests = TagDigests {
            digest: digest(number),
            platforms: Some(platforms.collect()),
        };
        let answer = Answer {
            digests: tags
                .iter()
                .map(|tag| (tag.clone(), Some(digests.clone())))
                .collect(),
            labels: tags.iter().map(|tag| (tag.clone(), said.clone())).collect(),
            ..Answer::default()
        };
        let choices = Choices::among(wanted.clone(), None);
        super::super::complete(previous, repository(), choices, &answer, now())
    };
    let first = scan(None, 1);
    let last = (2..9).fold(first.clone(), |before, number| scan(Some(&before), number));
    let of = |record: &ScanRecord| record.findings.clone().unwrap().tags;
    let (first, tags) = (of(&first), of(&last));
    let platforms = |tags: &[TagRecord]| tags.iter().map(|tag| tag.platforms.len()).collect::<Vec<_>>();
    let labels = |tags: &[TagRecord]| tags.iter().map(|tag| tag.labels.clone()).collect::<Vec<_>>();
    assert_eq!(
        (platforms(&tags), labels(&tags)),
        (platforms(&first), labels(&first))
    );
    let kept: Vec<&Former> = tags.iter().flat_map(|tag| &tag.former).collect();
    assert!(
        !kept.is_empty() && kept.len() < FORMER_PER_TAG * TAGS_PER_RECORD,
        "{}",
        kept.len()
    );
    let data = last.to_config_map("kubefresh").data.unwrap();
    let size: usize = data.values().map(String::len).sum();
    assert!(size < 640 << 10, "{size} bytes");
}
