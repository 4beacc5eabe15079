use super::*;

fn at(written: &str) -> Timestamp {
    written.parse().unwrap()
}

fn windows(written: &str) -> Windows {
    Windows::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"))
}

fn shown(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// As written, a moment, when what lies around it ends, and when the next begins. 2026-11-21 is a Saturday, and Paris is an hour
/// ahead in winter.
const OPEN_OR_CLOSED: [(&str, &str, &str, &str); 14] = [
    (
        "0 22 * * 1-5 4h",
        "2026-11-20T21:59:59Z",
        "-",
        "2026-11-20T22:00:00Z",
    ),
    (
        "0 22 * * 1-5 4h",
        "2026-11-20T22:00:00Z",
        "2026-11-21T02:00:00Z",
        "2026-11-23T22:00:00Z",
    ),
    (
        "0 22 * * 1-5 4h",
        "2026-11-21T01:59:59Z",
        "2026-11-21T02:00:00Z",
        "2026-11-23T22:00:00Z",
    ),
    (
        "0 22 * * 1-5 4h",
        "2026-11-21T02:00:00Z",
        "-",
        "2026-11-23T22:00:00Z",
    ),
    (
        "0 22 * * 1-5 4h Europe/Paris",
        "2026-11-20T21:00:00Z",
        "2026-11-21T01:00:00Z",
        "2026-11-23T21:00:00Z",
    ),
    (
        "0 0 22 ? * MON-FRI 90m UTC",
        "2026-11-20T23:00:00Z",
        "2026-11-20T23:30:00Z",
        "2026-11-23T22:00:00Z",
    ),
    (
        "@daily 2h",
        "2026-11-21T01:00:00Z",
        "2026-11-21T02:00:00Z",
        "2026-11-22T00:00:00Z",
    ),
    (
        "0 0 1 * * 2d",
        "2026-12-02T12:00:00Z",
        "2026-12-03T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
    // Longer than the time between two beginnings, it never closes.
    (
        "0 * * * * 2h",
        "2026-11-21T12:30:00Z",
        "2026-11-21T14:00:00Z",
        "2026-11-21T13:00:00Z",
    ),
    // Of several, that which goes on the longest and that which begins first.
    (
        "0 12 * * * 1h; 30 12 * * * 4h",
        "2026-11-21T12:45:00Z",
        "2026-11-21T16:30:00Z",
        "2026-11-22T12:00:00Z",
    ),
    // Quartz knows years, and so a last time.
    ("0 0 12 1 JAN ? 2027 1h", "2027-01-01T13:00:00Z", "-", "-"),
    (
        "2026-12-24T00:00/2027-01-02T00:00 Europe/Paris",
        "2026-12-23T23:00:00Z",
        "2027-01-01T23:00:00Z",
        "-",
    ),
    (
        "2026-12-24T00:00/2027-01-02T00:00",
        "2026-12-23T23:00:00Z",
        "-",
        "2026-12-24T00:00:00Z",
    ),
    (
        "2026-12-24T00:00:00Z/2027-01-02T00:00:00Z",
        "2027-01-02T00:00:00Z",
        "-",
        "-",
    ),
];

#[test]
fn a_window_is_open_from_its_beginning_and_closed_at_its_end() {
    for (written, now, end, next) in OPEN_OR_CLOSED {
        let windows = windows(written);
        assert_eq!(shown(windows.end_at(at(now))), end, "{written} ends, at {now}");
        assert_eq!(
            shown(windows.next_begin(at(now))),
            next,
            "{written} begins, at {now}"
        );
    }
}

#[test]
fn when_the_clocks_change_a_window_opens_once_and_lasts_as_long_as_always() {
    // In Paris the hour from two is skipped on 2026-03-29 and comes twice on 2026-10-25.
    for (written, now, end) in [
        (
            "0 0 * * * 4h Europe/Paris",
            "2026-03-28T23:00:00Z",
            "2026-03-29T03:00:00Z",
        ),
        (
            "0 0 * * * 4h Europe/Paris",
            "2026-10-24T22:00:00Z",
            "2026-10-25T02:00:00Z",
        ),
        // The time that does not exist is the moment after the gap.
        ("30 2 * * * 1h Europe/Paris", "2026-03-29T00:59:00Z", "-"),
        (
            "30 2 * * * 1h Europe/Paris",
            "2026-03-29T01:45:00Z",
            "2026-03-29T02:00:00Z",
        ),
        ("30 2 * * * 1h Europe/Paris", "2026-03-29T02:30:00Z", "-"),
        (
            "2026-03-29T02:30/2026-03-29T05:00 Europe/Paris",
            "2026-03-29T01:30:00Z",
            "2026-03-29T03:00:00Z",
        ),
        // The time that comes twice is the first of the two.
        (
            "30 2 * * * 30m Europe/Paris",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
        ),
        (
            "2026-10-25T02:30/2026-10-25T05:00 Europe/Paris",
            "2026-10-25T00:30:00Z",
            "2026-10-25T04:00:00Z",
        ),
    ] {
        assert_eq!(shown(windows(written).end_at(at(now))), end, "{written} at {now}");
    }
}

#[test]
fn a_change_waits_for_a_window_and_for_the_end_of_a_freeze_and_the_freeze_wins() {
    let open = "2026-11-21T12:00:00Z";
    for (window, freeze, expected) in [
        (None, None, open),
        (Some("0 12 * * * 1h"), None, open),
        (Some("0 22 * * * 4h"), None, "2026-11-21T22:00:00Z"),
        (None, Some("0 0 * * 6 2d"), "2026-11-23T00:00:00Z"),
        (
            Some("0 12 * * * 1h"),
            Some("0 0 * * 6 2d"),
            "2026-11-23T12:00:00Z",
        ),
        (
            Some("0 22 * * * 4h"),
            Some("0 23 * * * 1h"),
            "2026-11-21T22:00:00Z",
        ),
        // The window is frozen to begin with.
        (
            Some("0 22 * * * 4h"),
            Some("0 22 * * * 1h"),
            "2026-11-21T23:00:00Z",
        ),
        (
            Some("0 12 * * * 1h"),
            Some("2026-11-21T00:00/2026-11-21T12:30"),
            "2026-11-21T12:30:00Z",
        ),
        // Two freezes that follow each other are one.
        (
            None,
            Some("0 12 * * * 1h; 0 13 * * * 1h; 30 13 * * * 1h"),
            "2026-11-21T14:30:00Z",
        ),
        // Never, by rule or by exhaustion.
        (Some("2026-11-01T00:00/2026-11-02T00:00"), None, "-"),
        (None, Some("@daily 1d"), "-"),
        (Some("0 22 * * * 1h"), Some("0 22 * * * 1h"), "-"),
    ] {
        let read = |written: Option<&str>| written.map(windows);
        let found = next_open(read(window).as_ref(), read(freeze).as_ref(), at(open));
        assert_eq!(shown(found), expected, "window {window:?}, freeze {freeze:?}");
    }
}

#[test]
fn what_is_no_window_is_refused_with_the_reason() {
    let many = vec!["@daily 1h"; 21].join(";");
    let long = format!("{} 1h", "1,".repeat(600));
    for (written, reason) in [
        ("", "missing"),
        ("@daily 1h;", "missing"),
        ("0 22 * * 1-5", "how long"),
        ("0 22 * * 1-5 Europe/Paris", "how long"),
        (
            "0 22 * * 1-5 4h Paris",
            "Paris: it is not the name of a time zone",
        ),
        ("0 22 * * 1-5 0h", "longer than nothing"),
        ("0 22 * * 1-5 400d", "at most 366d"),
        ("0 22 * * 4h", "fields"),
        ("0 22 30 2 * 4h", "no such time"),
        ("0 0 22 1 1 ? 2020 4h", "no such time"),
        // What only falls into hours that the clocks skip.
        ("* * 1-2 ? 3 1L 1h Antarctica/Troll", "write \"0 * 1-2 ? 3 1L\""),
        ("0 * 1-2 ? 3 1L 1h Antarctica/Troll", "no such time"),
        (
            "* * 2 ? 4 1#1 2002-2022,2030 1m America/Mexico_City",
            "write \"0 * 2 ? 4 1#1 2002-2022,2030\"",
        ),
        ("2026-12-24T00:00", "interval"),
        ("2026-12-24/2027-01-02", "no date with a time"),
        (
            "2026-12-24T00:00+01:00/2027-01-02T00:00+01:00",
            "no date with a time",
        ),
        (
            "2026-12-24T00:00-01:00/2027-01-02T00:00-01:00",
            "no date with a time",
        ),
        ("2026-12-24T00:00Z/2027-01-02T00:00", "interval"),
        ("2026-12-24T00:00/2027-01-02T00:00 Paris", "time zone"),
        ("2026-02-30T00:00/2027-01-02T00:00", "no date with a time"),
        ("2027-01-02T00:00/2026-12-24T00:00", "ends before"),
        (&many, "may name 20"),
        (&long, "may have 1000"),
    ] {
        let error = Windows::parse(written).unwrap_err();
        assert!(error.contains(reason), "{written}: {error}");
    }
}
