use super::*;
use crate::domain::record::{Described, Former};
use crate::domain::reference::Digest;

const GOLDEN: &str = include_str!("golden-schema-1.yaml");

fn digest(fill: char) -> Digest {
    format!("sha256:{}", fill.to_string().repeat(64)).parse().unwrap()
}

fn record() -> ScanRecord {
    let seen: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
    let tag = |name: &str, digest: Option<Digest>, platforms| TagRecord {
        tag: name.parse().unwrap(),
        first_seen: seen,
        digest,
        digest_first_seen: None,
        platforms,
        platforms_pending: false,
        labels: None,
        described: None,
        former: Box::default(),
    };
    let platforms = BTreeMap::from([
        ("linux/amd64".to_owned(), digest('b')),
        ("linux/arm64".to_owned(), digest('c')),
    ]);
    ScanRecord {
        repository: "localhost:5000/shop/checkout".parse().unwrap(),
        findings: Some(Findings {
            scanned_at: "2026-11-21T03:00:00Z".parse().unwrap(),
            tag_count: Some(37),
            scanned_for: ["1.4.0 minor", "edge digest"]
                .map(|line| line.parse().unwrap())
                .into(),
            tags: vec![
                tag("1.5.0", None, BTreeMap::new()),
                tag("1.4.0", None, BTreeMap::new()),
                tag("edge", Some(digest('a')), platforms),
            ],
        }),
        last_error: Some(ScanError {
            class: "rate-limited".to_owned(),
            message: "localhost:5000 answered 429: \"slow down\"\nsecond line".to_owned(),
            since: "2026-11-21T03:10:00Z".parse().unwrap(),
            retry_at: Some("2026-11-21T03:20:00Z".parse().unwrap()),
        }),
    }
}

#[test]
fn the_stored_form_is_the_golden_file() {
    let stored = serde_saphyr::to_string(&record().to_config_map("kubefresh")).unwrap();
    assert_eq!(
        stored, GOLDEN,
        "if this is meant, bump SCHEMA and keep the old golden file readable\n{stored}"
    );
}

#[test]
fn the_golden_file_of_schema_1_is_read_back() {
    let config_map: ConfigMap = serde_saphyr::from_str(GOLDEN).unwrap();
    assert_eq!(
        ScanRecord::from_config_map(&config_map, &record().repository),
        Ok(record())
    );
}

#[test]
fn what_was_added_since_is_read_back_and_where_it_is_missing_the_scan_knew_the_digest() {
    let edge = |record: &ScanRecord| record.findings.clone().unwrap().tags.pop().unwrap();
    let mut newer = record();
    let tag = newer.findings.as_mut().unwrap().tags.last_mut().unwrap();
    tag.digest_first_seen = Some("2026-11-21T02:00:00Z".parse().unwrap());
    tag.labels = Some(Box::default());
    tag.described = Some(Box::new(Described {
        at: "2026-11-21T02:00:00Z".parse().unwrap(),
        digest: digest('a'),
        platforms: BTreeMap::from([("linux/amd64".to_owned(), digest('b'))]),
    }));
    tag.former = Box::new([Former {
        digest: digest('d'),
        version: Some("1.4.0".to_owned()),
        platforms: BTreeMap::from([("linux/amd64".to_owned(), digest('e'))]),
    }]);
    let read = ScanRecord::parse(&newer.to_config_map("kubefresh")).unwrap();
    assert_eq!(read, newer);
    let since = |record: &ScanRecord| {
        let findings = record.findings.clone().unwrap();
        let offers = findings.offers();
        offers.map(|offer| offer.digest_first_seen).collect::<Vec<_>>()
    };
    assert_eq!(since(&newer), [None, None, edge(&newer).digest_first_seen]);
    let at_the_scan = record().findings.map(|findings| findings.scanned_at);
    assert_eq!(since(&record()), [None, None, at_the_scan]);
}

#[test]
fn a_record_without_findings_says_so_and_is_read_back() {
    let unknown = ScanRecord {
        findings: None,
        ..record()
    };
    let stored = unknown.to_config_map("kubefresh");
    assert_eq!(stored.data.as_ref().unwrap()["complete"], "false");
    assert_eq!(stored.metadata.labels.as_ref().unwrap()[STATE_LABEL], "unknown");
    assert_eq!(ScanRecord::parse(&stored), Ok(unknown));
}

#[test]
fn a_demand_that_another_version_wrote_is_passed_over_alone() {
    let mut config_map = record().to_config_map("kubefresh");
    let lines = "1.4.0\n1.4.0 minor brand-new-option\n1.4.0 patch\n";
    let data = config_map.data.as_mut().unwrap();
    data.insert("scannedFor".to_owned(), lines.to_owned());
    let read = ScanRecord::parse(&config_map).unwrap().findings.unwrap();
    assert_eq!(read.scanned_for, BTreeSet::from(["1.4.0 patch".parse().unwrap()]));
    assert!(!read.covers(&"1.4.0 minor".parse().unwrap()));
}

#[test]
fn a_broken_record_is_an_error_that_names_record_and_key() {
    let broken = |key: &str, value: Option<&str>| {
        let mut config_map = record().to_config_map("kubefresh");
        let data = config_map.data.as_mut().unwrap();
        match value {
            Some(value) => data.insert(key.to_owned(), value.to_owned()),
            None => data.remove(key),
        };
        let error = ScanRecord::parse(&config_map).unwrap_err().to_string();
        assert!(
            error.contains(config_map.metadata.name.as_ref().unwrap()),
            "{error}"
        );
        error
    };
    for (key, value) in [
        ("repository", Some("not a repository")),
        ("complete", Some("perhaps")),
        ("scannedAt", Some("yesterday")),
        ("tagCount", Some("-1")),
        ("tags", Some("- tag: 1.5.0")),
        ("tags", Some("- [")),
        (
            "tags",
            Some("- {tag: 1.5.0, firstSeen: 2026-11-20T09:00:00Z, surprise: 1}"),
        ),
        ("lastError", Some("text")),
        ("scannedAt", None),
        ("schema", None),
        ("repository", None),
    ] {
        let error = broken(key, value);
        assert!(error.contains(key), "{key} is not named: {error}");
    }
    assert!(broken("schema", Some("2")).contains("\"2\""));
}

#[test]
fn a_record_that_was_cut_off_anywhere_is_refused_or_says_less_and_nothing_else() {
    let whole = record().findings.unwrap().tags;
    let text = yaml(&whole);
    let mut read = 0;
    for end in 0..text.len() {
        let mut config_map = record().to_config_map("kubefresh");
        let data = config_map.data.as_mut().unwrap();
        data.insert("tags".to_owned(), text[..end].to_owned());
        let Ok(cut) = ScanRecord::parse(&config_map) else {
            continue;
        };
        read += 1;
        let tags = cut.findings.unwrap().tags;
        assert!(tags.len() <= whole.len(), "cut off after {end} bytes: {tags:?}");
        for (tag, before) in tags.iter().zip(&whole) {
            assert_eq!((&tag.tag, tag.first_seen), (&before.tag, before.first_seen));
            assert!(tag.digest.is_none() || tag.digest == before.digest, "{tag:?}");
            let mut platforms = tag.platforms.iter();
            assert!(
                platforms.all(|(platform, digest)| before.platforms.get(platform) == Some(digest)),
                "{tag:?}"
            );
        }
    }
    assert!(
        (1..text.len() / 4).contains(&read),
        "{read} of {} were read",
        text.len()
    );
}

#[test]
fn a_record_under_another_repositorys_name_is_refused() {
    let other: Repository = "docker.io/library/nginx".parse().unwrap();
    let refused = ScanRecord::from_config_map(&record().to_config_map("kubefresh"), &other);
    assert!(matches!(refused, Err(RecordError::OtherRepository { .. })));
}

#[test]
fn names_are_legible_valid_and_different_for_different_repositories() {
    let name = |text: &str| record_name(&text.parse().unwrap());
    assert_eq!(name("nginx"), "scan-docker-io-library-nginx-7e59ad64326bc321");
    let long = format!("registry.example.com/{}", ["team"; 40].join("/"));
    for text in [
        "nginx",
        "localhost:5000/a__b",
        "ghcr.io/a/b",
        "ghcr.io/a-b",
        long.as_str(),
    ] {
        let name = name(text);
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(
            name.len() <= 63 && name.bytes().all(valid) && !name.contains("--"),
            "{name}"
        );
    }
    assert_ne!(name("ghcr.io/a/b"), name("ghcr.io/a-b"));
}

#[test]
fn label_values_are_valid_for_any_text() {
    for (text, expected) in [
        ("docker.io", "docker.io"),
        ("localhost:5000", "localhost_5000"),
        ("[::1]:5000", "1__5000"),
        ("_edge_", "edge"),
        ("", ""),
    ] {
        assert_eq!(label_value(text), expected);
    }
    let long = label_value(&format!("{}-{}", "a".repeat(62), "b".repeat(60)));
    assert_eq!(long, "a".repeat(62));
}

#[test]
fn the_newest_label_compares_versions_and_not_text() {
    let mut record = record();
    let findings = record.findings.as_mut().unwrap();
    findings.scanned_for = ["1.9.0 patch", "1.10.0 patch"]
        .map(|line| line.parse().unwrap())
        .into();
    findings.tags.clear();
    assert_eq!(record.newest().unwrap().as_ref(), "1.10.0");
}

#[test]
fn two_names_that_were_searched_for_to_share_a_record_do_not() {
    // Their SHA-256 agrees in the first 8 digits; a pair is found in a second, a partner for a given name in minutes.
    let name = |text: &str| record_name(&text.parse().unwrap());
    assert_ne!(
        name("ReGiSTry--EXAmplE.com/app"),
        name("regIsTRY----eXAmplE.com/app")
    );
}

proptest::proptest! {
    #[test]
    fn whatever_a_tag_or_a_message_looks_like_it_is_read_back(
        tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}|[0-9]{1,3}[eE_.xob][0-9_]{0,5}|null|true|yes|0x1F|1e9|2026-01-01",
        message in "\\PC{0,60}|[\\s\\S]{0,60}",
    ) {
        let mut odd = record();
        let findings = odd.findings.as_mut().unwrap();
        findings.tags[0].tag = tag.parse().unwrap();
        odd.last_error.as_mut().unwrap().message = message;
        let read = ScanRecord::parse(&odd.to_config_map("kubefresh"));
        proptest::prop_assert_eq!(read.as_ref(), Ok(&odd));
    }
}
