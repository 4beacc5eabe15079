use super::super::source::{NotesSetting, find};
use super::*;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + hours * 3600).unwrap()
}

fn wanted() -> Wanted {
    let image = "ghcr.io/example/shop".parse().unwrap();
    let found = find(&NotesSetting::Auto, None, &image, &Forges::default()).unwrap();
    Wanted {
        image,
        from: "1.4.0".parse().unwrap(),
        to: "1.5.0".parse().unwrap(),
        found,
    }
}

fn notes(body: &str, has_target: bool) -> Answer {
    let release = Release {
        tag: "v1.5.0".to_owned(),
        body: body.to_owned(),
        ..Release::default()
    };
    Answer::Notes {
        source: wanted().found.sources[0].clone(),
        range: Range {
            releases: vec![release],
            left_out: 0,
            has_target,
            has_start: true,
        },
        etag: Some("W/\"1\"".to_owned()),
        cut: None,
    }
}

/// A part of them; the rest may be had at that hour, if somebody said so.
fn part(body: &str, not_before: Option<Timestamp>) -> Answer {
    let Answer::Notes {
        source, range, etag, ..
    } = notes(body, true)
    else {
        panic!("notes")
    };
    let why = "only the newest 50 releases were read".to_owned();
    Answer::Notes {
        source,
        range,
        etag,
        cut: Some(Cut { why, not_before }),
    }
}

fn missing() -> Answer {
    Answer::Missing {
        source: wanted().found.sources[0].clone(),
        reason: "no releases".to_owned(),
    }
}

fn failed(not_before: Option<Timestamp>) -> Answer {
    Answer::Failed {
        why: "no answer\u{202e}".to_owned(),
        not_before,
    }
}

fn hours(record: &NotesRecord, since: i64) -> i64 {
    record.ask_again.duration_since(at(since)).as_hours()
}

#[test]
fn an_update_has_one_record_whoever_is_offered_it() {
    let wanted = wanted();
    let other = Wanted {
        to: "1.6.0".parse().unwrap(),
        ..wanted.clone()
    };
    assert_eq!(wanted.key().len(), 16);
    assert_ne!(wanted.key(), other.key());
    let record = NotesRecord::answered(&wanted, None, notes("- fix: a", true), at(0));
    let book = NotesBook {
        records: vec![Arc::new(Records::from([(wanted.key(), Arc::new(record))]))],
        ..NotesBook::default()
    };
    assert!(matches!(book.of(Ok(wanted)), Known::Record(_)));
    assert!(matches!(book.of(Ok(other)), Known::NotYet(_)));
    assert!(matches!(book.of(Err(NoSource::Nothing)), Known::NoSource(_)));
}

#[test]
fn what_was_found_is_asked_for_again_in_a_day_and_what_was_not_sooner() {
    let found = NotesRecord::answered(&wanted(), None, notes("- fix: a", true), at(0));
    assert_eq!(
        (hours(&found, 0), found.is_due(at(23)), found.is_due(at(24))),
        (24, false, true)
    );
    assert_eq!(
        (found.releases[0].url.as_deref(), found.more_releases),
        (Some("https://github.com/example/shop/releases/tag/v1.5.0"), 0)
    );
    assert!(matches!(found.notes(), Notes::Known(_)));

    let mut record = None;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let answered = NotesRecord::answered(&wanted(), record.as_ref(), missing(), at(0));
        pauses.push(hours(&answered, 0));
        record = Some(answered);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 24, 24]);
    let record = record.unwrap();
    assert!(matches!(record.notes(), Notes::Unknown("no releases")));
    let early = NotesRecord::answered(&wanted(), Some(&record), notes("- fix: a", false), at(1));
    assert_eq!((early.missing.is_none(), early.summary.is_some()), (true, true));
    assert!(
        matches!(
            early.notes(),
            Notes::Part(_, "the notes of the version itself are not published yet")
        ),
        "those of the version itself are not there"
    );
    let whole = NotesRecord::answered(&wanted(), Some(&early), notes("- fix: b", true), at(2));
    assert_eq!(whole.summary.unwrap().fixes[0].text, "b");
}

#[test]
fn a_failure_leaves_what_is_known_and_is_tried_again_when_it_may_be() {
    let first = NotesRecord::answered(&wanted(), None, failed(None), at(0));
    assert_eq!(first.ask_again.duration_since(at(0)).as_mins(), 5);
    assert!(matches!(first.notes(), Notes::Unknown("no answer")));
    let named = NotesRecord::answered(&wanted(), Some(&first), failed(Some(at(20))), at(1));
    assert_eq!(
        (hours(&named, 0), named.error.as_ref().unwrap().since),
        (20, at(0))
    );
    let far = NotesRecord::answered(&wanted(), Some(&first), failed(Some(at(1000))), at(1));
    assert_eq!(
        hours(&far, 1),
        24,
        "no server keeps us away for longer than a day"
    );
    let found = NotesRecord::answered(&wanted(), Some(&named), notes("- fix: a", true), at(31));
    assert_eq!(found.error, None);
    let broken = NotesRecord::answered(&wanted(), Some(&found), failed(None), at(60));
    assert!(
        matches!(broken.notes(), Notes::Known(_)),
        "what was read once stays"
    );
    let gone = NotesRecord::answered(&wanted(), Some(&found), missing(), at(60));
    assert!(gone.summary.is_some());
}

#[test]
fn a_part_is_known_for_one_and_is_asked_for_again_as_a_whole() {
    let first = NotesRecord::answered(&wanted(), None, part("- fix: a", Some(at(1))), at(0));
    assert!(matches!(
        first.notes(),
        Notes::Part(summary, "only the newest 50 releases were read") if summary.fixes.len() == 1
    ));
    assert_eq!((hours(&first, 0), &first.etag), (1, &None));
    let again = NotesRecord::answered(&wanted(), Some(&first), part("- fix: a", None), at(1));
    assert_eq!(hours(&again, 1), 2, "less and less often");
    let whole = NotesRecord::answered(&wanted(), Some(&again), notes("- fix: a", true), at(3));
    assert!(matches!(whole.notes(), Notes::Known(_)));
    assert_eq!((whole.etag.is_some(), whole.missing.as_ref()), (true, None));
    let cut_later = NotesRecord::answered(&wanted(), Some(&whole), part("- fix: a", None), at(27));
    assert!(matches!(cut_later.notes(), Notes::Part(..)) && cut_later.etag.is_none());
}

#[test]
fn what_lies_beyond_a_bound_is_not_taken_for_read() {
    let of = |change: fn(&mut Range), body: &str| {
        let Answer::Notes {
            source,
            mut range,
            etag,
            cut,
        } = notes(body, true)
        else {
            panic!("notes")
        };
        change(&mut range);
        let answer = Answer::Notes {
            source,
            range,
            etag,
            cut,
        };
        NotesRecord::answered(&wanted(), None, answer, at(0))
    };
    let long = "- fix: a\n".repeat(2000);
    for (record, why) in [
        (
            of(|range| range.left_out = 3, "a"),
            "3 releases beyond the newest 100 were not read",
        ),
        (
            of(|range| range.has_start = false, "a"),
            "the running tag is no version, so that nobody knows where its notes begin",
        ),
        (of(|_| (), &long), "its notes are too long to be read as a whole"),
    ] {
        assert!(
            matches!(record.notes(), Notes::Part(_, said) if said == why),
            "{why}"
        );
        assert_eq!(record.etag, None, "{why}");
    }
}

/// What the version before this one reads of a record: no more keys than these, and `hasTarget` where all is known.
#[test]
fn a_part_is_no_more_to_who_knows_of_no_parts_than_notes_that_are_not_published_yet() {
    const KEYS: [&str; 17] = [
        "image",
        "from",
        "to",
        "foundBy",
        "source",
        "releases",
        "moreReleases",
        "summary",
        "missing",
        "hasTarget",
        "content",
        "etag",
        "fetchedAt",
        "error",
        "vain",
        "askAgain",
        "offeredAt",
    ];
    let first = NotesRecord::answered(&wanted(), None, part("- fix: a", None), at(0));
    let failed = NotesRecord::answered(&wanted(), Some(&first), failed(None), at(1));
    let written = serde_json::to_value(&failed).unwrap();
    let keys = written.as_object().unwrap();
    assert!(keys.keys().all(|key| KEYS.contains(&key.as_str())), "{written}");
    assert_eq!(keys["hasTarget"], false);
    // And what that one wrote is read.
    let mut old = serde_json::to_value(NotesRecord::answered(
        &wanted(),
        None,
        notes("- fix: a", false),
        at(0),
    ))
    .unwrap();
    assert_eq!(old.as_object_mut().unwrap().remove("missing"), None);
    let old: NotesRecord = serde_json::from_value(old).unwrap();
    assert!(matches!(old.notes(), Notes::Part(..)));
}

#[test]
fn nothing_that_has_not_changed_is_read_anew() {
    let found = NotesRecord::answered(&wanted(), None, notes("- fix: a", true), at(0));
    let unchanged = NotesRecord::answered(&wanted(), Some(&found), Answer::Unchanged, at(24));
    assert_eq!(
        (&unchanged.summary, &unchanged.etag, hours(&unchanged, 24)),
        (&found.summary, &found.etag, 24)
    );
    // A summary that cost something is kept as long as the text is the same.
    let mut paid = found.clone();
    paid.summary.as_mut().unwrap().overview = Some("by a model".to_owned());
    let again = NotesRecord::answered(&wanted(), Some(&paid), notes("- fix: a", true), at(24));
    assert_eq!(again.summary, paid.summary);
    let changed = NotesRecord::answered(&wanted(), Some(&paid), notes("- fix: a!", true), at(24));
    assert_ne!(changed.summary, paid.summary);
}

#[test]
fn what_nothing_offers_for_a_week_is_out_of_use() {
    let record = NotesRecord::answered(&wanted(), None, missing(), at(0));
    assert!(!record.is_out_of_use(at(7 * 24 - 1)) && record.is_out_of_use(at(7 * 24)));
    assert_eq!(record.renewed(at(23)), None);
    let renewed = record.renewed(at(24)).unwrap();
    assert!(!renewed.is_out_of_use(at(7 * 24)));
}

#[test]
fn what_nobody_has_answered_is_told_by_the_one_that_waits_longest() {
    let (first, second) = (
        wanted(),
        Wanted {
            to: "1.6.0".parse().unwrap(),
            ..wanted()
        },
    );
    let both = BTreeSet::from([first.clone(), second.clone()]);
    let mut book = NotesBook::default();
    assert_eq!(book.want(&BTreeSet::from([first.clone()]), at(0)), Some(at(0)));
    assert_eq!(book.want(&both, at(1)), Some(at(0)));
    let with = |record| vec![Arc::new(Records::from([(first.key(), Arc::new(record))]))];
    book.records = with(NotesRecord::answered(&first, None, missing(), at(1)));
    assert_eq!(book.want(&both, at(2)), Some(at(1)), "the other one");
    assert_eq!(book.want(&BTreeSet::from([first.clone()]), at(3)), None);
    book.records = with(NotesRecord::answered(&first, None, failed(None), at(2)));
    assert_eq!(
        book.want(&both, at(5)),
        Some(at(2)),
        "and that one began to be wanted anew"
    );
}
