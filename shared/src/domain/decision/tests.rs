use super::*;

fn now() -> Timestamp {
    "2026-11-21T03:00:00Z".parse().unwrap()
}

fn entry(number: usize) -> Entry {
    let alice = Decider {
        name: "alice".to_owned(),
        known_by: KnownBy::Proxy,
    };
    Entry {
        offer: Some(number.to_string()),
        ..Entry::new(Decision::NotNow, &alice, "a:1 -> a:2", now())
    }
}

fn by_link(number: usize, until: &str) -> Entry {
    Entry {
        link_until: Some(until.parse().unwrap()),
        ..entry(number)
    }
}

fn written(entries: impl Iterator<Item = Entry>) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::new();
    for entry in entries {
        let journal = Journal::read(&annotations).unwrap();
        annotations.extend(journal.with(vec![entry], now()).unwrap());
    }
    annotations
}

#[test]
fn a_link_that_was_used_is_remembered_until_it_ends_and_the_others_by_their_number() {
    let (later, before) = ("2026-11-22T03:00:00Z", "2026-11-20T03:00:00Z");
    let first = [by_link(0, later), by_link(1, before), entry(2)];
    let annotations = written(first.into_iter().chain((3..3 + LATEST).map(entry)));
    let journal = Journal::read(&annotations).unwrap();
    assert_eq!(journal.others.0.len(), LATEST + 1);
    let used = |offer, until: &str| journal.used(offer, until.parse().unwrap()).count();
    assert_eq!(
        (used("0", later), used("0", before), used("1", before)),
        (1, 0, 0)
    );
    assert_eq!(journal.others.iter().nth(1).unwrap().offer.as_deref(), Some("3"));
}

#[test]
fn it_stays_bounded_and_forgets_no_link_for_that() {
    let long = |entry: Entry| Entry {
        what: "x".repeat(WHAT_LENGTH),
        offer: Some("y".repeat(3000)),
        ..entry
    };
    let annotations = written((0..30).map(|number| long(entry(number))));
    assert!(annotations[DECIDED_BY].len() <= LONGEST);
    let later = "2026-11-22T03:00:00Z";
    let mut journal = Journal::default();
    let mut written = 0;
    let full = loop {
        match journal.with(vec![long(by_link(written, later))], now()) {
            Ok(annotations) => journal = Journal::read(&annotations).unwrap(),
            Err(full) => break full,
        }
        written += 1;
        assert_eq!(journal.others.0.len(), written, "no link is forgotten");
    };
    assert_eq!(full, JournalError::Full { key: DECIDED_BY });
    assert!(written > 5, "{written}");
}

/// The word of this person on what this container was offered.
fn word(name: &str, container: &str, offer: &str) -> Entry {
    Entry {
        container: Some(container.to_owned()),
        offer: Some(offer.to_owned()),
        ..Entry::new(Decision::Approve, &Decider::in_cluster(name), "a:1 -> a:2", now())
    }
}

#[test]
fn a_word_that_may_be_counted_is_kept_however_many_decisions_come_after_it() {
    let others = (0..30).map(|number| word("bob", &format!("c{number}"), "b"));
    let words = [
        word("alice", "app", "older"),
        word("alice", "app", "this"),
        word("bob", "app", "this"),
    ];
    let annotations = written(words.into_iter().chain(others));
    let kept = |annotations| {
        let approvals = Entries::approvals(annotations).unwrap();
        let of_app = approvals
            .iter()
            .filter(|entry| entry.container.as_deref() == Some("app"));
        let kept: Vec<String> = of_app
            .map(|entry| format!("{} {}", entry.by.name, entry.offer.as_deref().unwrap()))
            .collect();
        kept
    };
    assert_eq!(kept(&annotations), ["alice this", "bob this"]);
    let (key, value) = spend(&annotations, ["app"]).unwrap();
    let annotations = BTreeMap::from([(key, value.unwrap())]);
    assert_eq!(spend(&annotations, ["app", "web"]), None);
    let journal = Journal::read(&annotations).unwrap();
    let annotations = journal.with(vec![word("carol", "c1", "b")], now()).unwrap();
    assert_eq!(kept(&annotations), Vec::<String>::new(), "they are spent");
    assert_eq!(Entries::approvals(&annotations).unwrap().0.len(), 31);
}

#[test]
fn an_entry_that_cannot_be_read_costs_no_other_and_stays_as_it_is() {
    let newer = r#"{"decision":"delegate","to":"bob"}"#;
    let read = serde_json::json!(word("alice", "app", "this")).to_string();
    let annotations = BTreeMap::from([(APPROVED_BY.to_owned(), format!("[{newer},{read}]"))]);
    let journal = Journal::read(&annotations).unwrap();
    assert_eq!(
        (journal.approvals.iter().count(), journal.approvals.unread()),
        (1, 1)
    );
    let annotations = journal.with(vec![word("bob", "app", "this")], now()).unwrap();
    let written = &annotations[APPROVED_BY];
    assert!(written.contains(newer) && written.contains("alice"), "{written}");
}

#[test]
fn what_somebody_edited_is_an_error_and_nothing_is_none() {
    for key in [APPROVED_BY, DECIDED_BY] {
        let annotations = BTreeMap::from([(key.to_owned(), "me".to_owned())]);
        assert!(Journal::read(&annotations).unwrap_err().to_string().contains(key));
    }
    assert_eq!(Journal::read(&BTreeMap::new()), Ok(Journal::default()));
}

#[test]
fn who_cannot_be_told_from_others_has_no_identity() {
    let decider = |name: &str, known_by| Decider {
        name: name.to_owned(),
        known_by,
    };
    for (decider, expected) in [
        (decider("Alice", KnownBy::Proxy), Some("alice")),
        (Decider::in_cluster("alice"), Some("alice")),
        (
            Decider::in_cluster("system:serviceaccount:kubefresh:kubefresh-updater"),
            None,
        ),
        (Decider::in_cluster("system:admin"), None),
        (Decider::in_cluster("system:anonymous"), None),
        (decider("alice", KnownBy::Token), None),
        (Decider::by_link(), None),
        (Decider::nobody_knows(), None),
    ] {
        assert_eq!(decider.identity().as_deref(), expected, "{decider}");
    }
}
