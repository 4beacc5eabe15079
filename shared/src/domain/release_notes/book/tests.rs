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
            left_out: 3,
            has_target,
        },
        etag: Some("W/\"1\"".to_owned()),
    }
}

fn missing() -> Answer {
    Answer::Missing {
        source: wanted().found.sources[0].clone(),
        reason: "no releases".to_owned(),
        etag: None,
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
        records: BTreeMap::from([(wanted.key(), Arc::new(record))]),
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
        (Some("https://github.com/example/shop/releases/tag/v1.5.0"), 3)
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
        matches!(early.notes(), Notes::Unknown(_)),
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
    let mut record = NotesRecord::answered(&wanted(), None, missing(), at(0));
    assert!(!record.is_out_of_use(at(7 * 24 - 1)) && record.is_out_of_use(at(7 * 24)));
    assert!(!record.is_offered(at(23)) && record.is_offered(at(24)));
    assert!(!record.is_out_of_use(at(7 * 24)));
}
