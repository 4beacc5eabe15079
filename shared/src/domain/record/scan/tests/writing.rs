//! When a record is written, and when nobody needs it any more.

use super::*;

#[test]
fn a_failed_attempt_keeps_the_findings_and_says_since_when_it_fails_this_way() {
    let good = complete(
        None,
        repository(),
        demands(&["1.4.0 minor"]),
        &published(&["1.4.0"]),
        now(),
    );
    let once = failed(
        Some(&good),
        repository(),
        ScanError {
            since: later(1),
            ..error("timeout")
        },
    );
    let twice = failed(
        Some(&once),
        repository(),
        ScanError {
            since: later(2),
            ..error("timeout")
        },
    );
    assert_eq!(twice.findings, good.findings);
    assert_eq!(twice.last_error.as_ref().unwrap().since, later(1));
    let other = failed(
        Some(&twice),
        repository(),
        ScanError {
            since: later(3),
            ..error("tls")
        },
    );
    assert_eq!(other.last_error.unwrap().since, later(3));
}

#[test]
fn nothing_is_written_when_nothing_changed_until_the_time_of_the_scan_grows_old() {
    let wanted = demands(&["1.4.0 minor"]);
    let first = complete(None, repository(), wanted.clone(), &published(&["1.4.0"]), now());
    let again = |answer: &Stock, at| complete(Some(&first), repository(), wanted.clone(), answer, at);
    let half_an_hour = now() + jiff::SignedDuration::from_mins(30);
    let cases = [
        ("first record", None, again(&published(&["1.4.0"]), now()), true),
        (
            "same findings",
            Some(&first),
            again(&published(&["1.4.0"]), half_an_hour),
            false,
        ),
        (
            "same findings an hour later",
            Some(&first),
            again(&published(&["1.4.0"]), later(1)),
            true,
        ),
        (
            "a new tag",
            Some(&first),
            again(&published(&["1.4.0", "1.4.1"]), half_an_hour),
            true,
        ),
        (
            "an error",
            Some(&first),
            failed(Some(&first), repository(), error("timeout")),
            true,
        ),
    ];
    for (name, previous, next, expected) in cases {
        assert_eq!(worth_writing(previous, &next), expected, "{name}");
    }
    let ahead = complete(
        None,
        repository(),
        wanted.clone(),
        &published(&["1.4.0"]),
        later(9000),
    );
    let put_right = complete(Some(&ahead), repository(), wanted, &published(&["1.4.0"]), now());
    assert!(worth_writing(Some(&ahead), &put_right), "its clock was wrong");
    assert_eq!(put_right.findings, first.findings);
    let failing = failed(Some(&first), repository(), error("timeout"));
    let still = failed(
        Some(&failing),
        repository(),
        ScanError {
            since: later(20),
            ..error("timeout")
        },
    );
    assert!(
        !worth_writing(Some(&failing), &still),
        "an error that lasts is written once"
    );
}

#[test]
fn a_record_is_out_of_use_a_week_after_the_last_that_was_heard_of_its_repository() {
    let record = complete(
        None,
        repository(),
        demands(&["1.4.0 minor"]),
        &published(&["1.4.0"]),
        now(),
    );
    let failing = failed(Some(&record), repository(), error("timeout"));
    let nothing = ScanRecord {
        findings: None,
        last_error: None,
        ..record.clone()
    };
    for (record, hours, expected) in [
        (&record, 167, false),
        (&record, 168, true),
        // It began to fail nine hours later.
        (&failing, 168, false),
        (&failing, 177, true),
        (&nothing, 0, true),
    ] {
        assert_eq!(
            record.is_out_of_use(later(hours)),
            expected,
            "{hours} hours later"
        );
    }
}
