//! What images say of themselves.

use super::*;

fn labels(source: &str) -> ImageLabels {
    ImageLabels {
        source: Some(source.to_owned()),
        ..ImageLabels::default()
    }
}

#[test]
fn an_image_is_asked_once_what_it_says_of_itself_and_only_if_a_demand_follows_it_or_could_move_to_it() {
    let to_describe = |lines: &[&str], tags: &[&str], known: Option<&ScanRecord>| -> Vec<String> {
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let findings = known.and_then(|record| record.findings.as_ref());
        let tags = Choices::among(demands(lines), Some(&tags)).to_describe(findings, &BTreeMap::new(), now());
        tags.iter().map(ToString::to_string).collect()
    };
    let lines = ["1.4.0 minor", "2.0.0 minor", "edge digest"];
    let tags = ["1.4.0", "1.5.0", "1.6.0", "2.0.0", "edge"];
    assert_eq!(to_describe(&lines, &tags, None), ["1.6.0", "edge"]);
    let mut stock = published(&tags);
    stock.labels = BTreeMap::from([
        ("1.6.0".parse().unwrap(), labels("https://example.com/shop")),
        ("edge".parse().unwrap(), ImageLabels::default()),
    ]);
    let known = complete(None, repository(), demands(&lines), &stock, now());
    assert_eq!(to_describe(&lines, &tags, Some(&known)), [""; 0]);
    assert_eq!(to_describe(&lines, &["1.4.0", "1.7.0"], Some(&known)), ["1.7.0"]);
    let many: Vec<String> = (0..50).map(|major| format!("{major}.0.0 minor")).collect();
    let tags: Vec<String> = (0..50).map(|major| format!("{major}.1.0")).collect();
    let (many, tags): (Vec<&str>, Vec<&str>) = (
        many.iter().map(String::as_str).collect(),
        tags.iter().map(String::as_str).collect(),
    );
    assert_eq!(to_describe(&many, &tags, None).len(), 10, "the others wait");
}

#[test]
fn what_an_image_says_of_itself_stays_until_the_tag_points_elsewhere() {
    let stock = Stock {
        digests: resolved(&[("edge", 'a')]),
        labels: BTreeMap::from([("edge".parse().unwrap(), labels("https://example.com/shop"))]),
        ..Stock::default()
    };
    let scan = |previous: Option<&ScanRecord>, stock: &Stock| {
        let record = complete(previous, repository(), demands(&["edge digest"]), stock, now());
        let labels = record.findings.as_ref().unwrap().tags[0]
            .labels
            .as_deref()
            .cloned();
        (record, labels)
    };
    let (first, said) = scan(None, &stock);
    assert_eq!(said, Some(labels("https://example.com/shop")));
    let unchanged = Stock {
        labels: BTreeMap::new(),
        ..stock
    };
    assert_eq!(scan(Some(&first), &unchanged).1, said);
    let moved = Stock {
        digests: resolved(&[("edge", 'b')]),
        ..Stock::default()
    };
    assert_eq!(scan(Some(&first), &moved).1, None);
    // The scan that sees it move asks what is there now.
    let asked = |found: &Stock| {
        let choices = Choices::among(demands(&["edge digest"]), None);
        choices
            .to_describe(first.findings.as_ref(), &found.digests, now())
            .len()
    };
    assert_eq!([asked(&unchanged), asked(&moved)], [0, 1]);
}

#[test]
fn what_a_candidate_was_found_to_be_stays_and_is_asked_for_again_after_some_hours() {
    let tags = ["1.4.0", "1.5.0"].map(|tag| tag.parse::<Tag>().unwrap());
    let wanted = || demands(&["1.4.0 minor"]);
    let choices = || Choices::among(wanted(), Some(&tags));
    let found = |fill: char| {
        let digests = resolved(&[("1.5.0", fill)])
            .into_values()
            .flatten()
            .next()
            .unwrap();
        Answer {
            labels: BTreeMap::from([(tags[1].clone(), labels("https://example.com/shop"))]),
            described: BTreeMap::from([(tags[1].clone(), digests)]),
            ..Answer::default()
        }
    };
    let scan = |previous: Option<&ScanRecord>, answer: &Answer, hours: i64| {
        super::super::complete(previous, repository(), choices(), answer, later(hours))
    };
    let described = |record: &ScanRecord| {
        let described = record.findings.as_ref().unwrap().tags[0].described.clone();
        described.map(|described| (described.digest, described.at))
    };
    let first = scan(None, &found('a'), 0);
    let (digest, _) = described(&first).unwrap();
    let unasked = scan(Some(&first), &Answer::default(), 1);
    assert_eq!(described(&unasked), Some((digest.clone(), now())));
    let asked_at = |hours: i64| {
        !choices()
            .to_describe(unasked.findings.as_ref(), &BTreeMap::new(), later(hours))
            .is_empty()
    };
    assert_eq!([5, 6].map(asked_at), [false, true]);
    let moved = described(&scan(Some(&unasked), &found('b'), 6)).unwrap();
    assert!(moved.0 != digest && moved.1 == later(6));
    // Whose digest is looked up in each scan is known better.
    let looked_up = Answer {
        digests: resolved(&[("1.5.0", 'c')]),
        ..Answer::default()
    };
    assert_eq!(described(&scan(Some(&unasked), &looked_up, 2)), None);
}

#[test]
fn very_much_said_by_images_does_not_fill_a_record() {
    let tags: Vec<Tag> = (0..TAGS_PER_RECORD)
        .map(|tag| format!("{tag}-x").parse().unwrap())
        .collect();
    let long = "y".repeat(256);
    let said = ImageLabels {
        source: Some(long.clone()),
        revision: Some(long.clone()),
        version: Some(long.clone()),
        created: Some(long),
    };
    let stock = Stock {
        labels: tags.iter().map(|tag| (tag.clone(), said.clone())).collect(),
        published: Some(tags.clone()),
        ..Stock::default()
    };
    let wanted = tags
        .iter()
        .map(|tag| format!("{tag} digest").parse().unwrap())
        .collect();
    let record = complete(None, repository(), wanted, &stock, now());
    let written = &record.findings.unwrap().tags;
    assert_eq!(written[0].labels.as_deref(), Some(&said));
    assert_eq!(written[TAGS_PER_RECORD - 1].labels, Some(Box::default()));
    let bytes: usize = written
        .iter()
        .filter_map(|tag| tag.labels.as_deref())
        .map(ImageLabels::size)
        .sum();
    assert!(bytes < LABEL_BYTES_PER_RECORD + 20 * TAGS_PER_RECORD, "{bytes}");
}
