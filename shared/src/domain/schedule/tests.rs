use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn at(written: &str) -> Timestamp {
    written.parse().unwrap()
}

fn schedule(written: &str, zone: &str) -> Schedule {
    Schedule::parse(written, time_zone(zone).unwrap()).unwrap_or_else(|error| panic!("{written}: {error}"))
}

fn shown(found: Option<Timestamp>) -> String {
    found.map(|found| found.to_string()).unwrap_or_default()
}

fn repository(name: &str) -> Repository {
    format!("registry.example/{name}").parse().unwrap()
}

/// Expression, zone, when it fell due before [`NOW`], and when it will after.
const CASES: [(&str, &str, &str, &str); 12] = [
    (
        "*/15 * * * *",
        "UTC",
        "2026-11-21T12:00:00Z",
        "2026-11-21T12:15:00Z",
    ),
    (
        "0 3 * * *",
        "Europe/Paris",
        "2026-11-21T02:00:00Z",
        "2026-11-22T02:00:00Z",
    ),
    ("0 9 * * 1", "UTC", "2026-11-16T09:00:00Z", "2026-11-23T09:00:00Z"),
    (
        "0 9 * * MON",
        "UTC",
        "2026-11-16T09:00:00Z",
        "2026-11-23T09:00:00Z",
    ),
    (
        "0 0 9 ? * 2",
        "UTC",
        "2026-11-16T09:00:00Z",
        "2026-11-23T09:00:00Z",
    ),
    (
        "0 0 9 ? * MON",
        "UTC",
        "2026-11-16T09:00:00Z",
        "2026-11-23T09:00:00Z",
    ),
    (
        "0 */5 * * * ?",
        "UTC",
        "2026-11-21T12:00:00Z",
        "2026-11-21T12:05:00Z",
    ),
    (
        "0 0 0 L * ?",
        "UTC",
        "2026-10-31T00:00:00Z",
        "2026-11-30T00:00:00Z",
    ),
    (
        "0 0 0 ? * 6#3",
        "UTC",
        "2026-11-20T00:00:00Z",
        "2026-12-18T00:00:00Z",
    ),
    ("0 0 12 1 JAN ? 2027", "UTC", "", "2027-01-01T12:00:00Z"),
    (
        "0 0 13 * *",
        "UTC",
        "2026-11-13T00:00:00Z",
        "2026-12-13T00:00:00Z",
    ),
    ("@daily", "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
];

#[test]
fn both_dialects_say_when_it_fell_due_and_when_it_will() {
    for (written, zone, last, next) in CASES {
        let schedule = schedule(written, zone);
        assert_eq!(shown(schedule.last(at(NOW))), last, "{written}");
        assert_eq!(shown(schedule.next(at(NOW))), next, "{written}");
    }
}

#[test]
fn what_falls_due_more_often_than_every_so_often_is_finer() {
    let quarter = SignedDuration::from_mins(15);
    for (written, expected) in [
        ("0 */5 * * * ?", true),
        ("*/14 * * * *", true),
        ("0,5 3 * * *", true),
        ("* 3 1 1 *", true),
        ("*/15 * * * *", false),
        ("0 * * * *", false),
        ("0 3 * * 1-5", false),
        ("0 0 12 1 JAN ? 2027", false),
    ] {
        let is_finer = schedule(written, "UTC").is_finer_than(quarter);
        assert_eq!(is_finer, expected, "{written}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_and_so_is_a_date_that_never_comes() {
    let long = format!("{} * * * *", "1,".repeat(150));
    for written in [
        "",
        "* * * *",
        "* * * * * * * *",
        "61 * * * *",
        "* * * * 8",
        "0 0 0 31 2 ?",
        "0 0 30 2 *",
        "0 0 0 1 1 ? 2020",
        "0 0 12 13 * FRI",
        "@fortnightly",
        "every day",
        "0 25 * * *",
        &long,
    ] {
        let error = Schedule::parse(written, TimeZone::UTC).unwrap_err();
        assert!(error.len() > 10, "{written}: {error}");
    }
    for name in ["", "Paris", "Europe/Atlantis", "../../etc/passwd"] {
        assert!(time_zone(name).is_err(), "{name}");
    }
}

#[test]
fn the_second_is_one_number_and_the_error_says_what_to_write_instead() {
    for rest in [
        "* 1-2 ? 3 1L",
        "0 3 * * ?",
        "0 3 ? * MON-FRI",
        "0 12 1 JAN ? 2027",
    ] {
        for second in [
            "*", "?", "*/1", "*/30", "/30", "0/30", "0-0", "0-1", "0,30", "5,", "60", "999", "+5",
        ] {
            let written = format!("{second} {rest}");
            let error = Schedule::parse(&written, TimeZone::UTC).unwrap_err();
            let instead =
                format!("from 0 to 59, as nothing is done several times a minute; write \"0 {rest}\"");
            assert!(error.ends_with(&instead), "{written}: {error}");
        }
        for second in ["0", "00", "7", "07", "59"] {
            let next = schedule(&format!("{second} {rest}"), "UTC")
                .next(at(NOW))
                .unwrap();
            let expected: i64 = second.parse().unwrap();
            assert_eq!(next.as_second() % 60, expected, "{second} {rest}");
        }
    }
}

/// Expression, now, when it fell due before and when it will after. Outside the years that are looked at, nothing does.
const YEARS_LOOKED_AT: [(&str, &str, &str, &str); 9] = [
    (
        "@yearly",
        "1971-06-01T00:00:00Z",
        "1971-01-01T00:00:00Z",
        "1972-01-01T00:00:00Z",
    ),
    ("@yearly", "2100-06-01T00:00:00Z", "2100-01-01T00:00:00Z", ""),
    ("@yearly", "2101-06-01T00:00:00Z", "", ""),
    ("@yearly", "1969-06-01T00:00:00Z", "", ""),
    (
        "0 0 0 1 1 ? 2100",
        "2026-11-21T12:00:00Z",
        "",
        "2100-01-01T00:00:00Z",
    ),
    (
        "0 0 0 1 1 ? 2020-2024,2030/35",
        "2026-11-21T12:00:00Z",
        "2024-01-01T00:00:00Z",
        "2030-01-01T00:00:00Z",
    ),
    (
        "0 0 0 1 1 ? 2020-2024,2030/35",
        "2066-11-21T12:00:00Z",
        "2065-01-01T00:00:00Z",
        "2100-01-01T00:00:00Z",
    ),
    (
        "0 0 0 1 1 ? 1960,2080-4000",
        "2026-11-21T12:00:00Z",
        "",
        "2080-01-01T00:00:00Z",
    ),
    // The rarest of all: a leap day that is a Monday.
    (
        "0 0 29 2 +1",
        "2026-11-21T12:00:00Z",
        "2016-02-29T00:00:00Z",
        "2044-02-29T00:00:00Z",
    ),
];

#[test]
fn years_are_looked_at_up_to_2100_and_those_that_are_written_keep_their_meaning() {
    for (written, now, last, next) in YEARS_LOOKED_AT {
        let schedule = schedule(written, "UTC");
        assert_eq!(shown(schedule.last(at(now))), last, "{written} at {now}");
        assert_eq!(shown(schedule.next(at(now))), next, "{written} at {now}");
    }
    for year in ["1970-2025", "2025", "2101", "2101-5000", "1960,4000"] {
        let written = format!("0 0 0 1 1 ? {year}");
        let error = Schedule::parse(&written, TimeZone::UTC).unwrap_err();
        assert_eq!(
            error, "no such time will come by the end of the year 2100",
            "{written}"
        );
    }
}

#[test]
fn the_first_year_is_2026() {
    assert_eq!(FIRST_YEAR, at("2026-01-01T00:00:00Z"));
}

#[test]
fn an_hour_that_the_clocks_skip_falls_due_once() {
    let schedule = schedule("30 2 * * *", "Europe/Paris");
    let (before, after) = (at("2026-03-29T00:30:00Z"), at("2026-03-29T03:00:00Z"));
    let fell_due = schedule.last(after).unwrap();
    assert!(before < fell_due && fell_due <= after, "{fell_due}");
    assert_eq!(schedule.next(fell_due), Some(at("2026-03-30T00:30:00Z")));
}

/// Expression, zone, now, when it fell due before and when it will after. The clocks go on in Paris, Troll (by two hours) and Nuuk (at
/// the end of a Saturday) at the same moment, 2026-03-29T01:00:00Z. Apia left out a whole day.
const SKIPPED: [(&str, &str, &str, &str, &str); 12] = [
    // One a day falls due as they go on.
    (
        "0 1 * 3 0L",
        "Antarctica/Troll",
        "2026-03-29T00:59:59Z",
        "2025-03-30T01:00:00Z",
        "2026-03-29T01:00:00Z",
    ),
    (
        "0 1 * 3 0L",
        "Antarctica/Troll",
        "2026-03-29T01:00:00Z",
        "2026-03-29T01:00:00Z",
        "2027-03-28T01:00:00Z",
    ),
    (
        "7 59 2 ? 3 1L",
        "Antarctica/Troll",
        "2026-03-29T01:00:00Z",
        "2026-03-29T01:00:00Z",
        "2027-03-28T01:00:00Z",
    ),
    (
        "30 23 * * 6",
        "America/Nuuk",
        "2026-03-29T00:59:59Z",
        "2026-03-22T01:30:00Z",
        "2026-03-29T01:00:00Z",
    ),
    (
        "30 23 * * 6",
        "America/Nuuk",
        "2026-03-29T01:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-04-05T00:30:00Z",
    ),
    (
        "0 12 30 12 *",
        "Pacific/Apia",
        "2012-06-01T00:00:00Z",
        "2011-12-30T10:00:00Z",
        "2012-12-29T22:00:00Z",
    ),
    // Of several a day, those are left out that the clocks skip, and no other ones.
    (
        "*/30 2 * * *",
        "Europe/Paris",
        "2026-03-29T00:59:59Z",
        "2026-03-28T01:30:00Z",
        "2026-03-30T00:00:00Z",
    ),
    (
        "*/30 2 * * *",
        "Europe/Paris",
        "2026-03-29T01:00:00Z",
        "2026-03-28T01:30:00Z",
        "2026-03-30T00:00:00Z",
    ),
    (
        "*/30 1-3 * * *",
        "Europe/Paris",
        "2026-03-29T00:30:00Z",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:00:00Z",
    ),
    (
        "*/30 1-3 * * *",
        "Europe/Paris",
        "2026-03-29T00:59:59Z",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:00:00Z",
    ),
    (
        "* * 30 12 *",
        "Pacific/Apia",
        "2012-06-01T00:00:00Z",
        "2010-12-31T09:59:00Z",
        "2012-12-29T10:00:00Z",
    ),
    // It has been skipped for twenty-one years, and never will be again.
    (
        "0 * 2 ? 4 1#1 2002-2022,2030",
        "America/Mexico_City",
        "2026-11-21T12:00:00Z",
        "",
        "2030-04-07T08:00:00Z",
    ),
];

#[test]
fn of_what_the_clocks_skip_one_a_day_falls_due_as_they_go_on_and_others_are_left_out() {
    for (written, zone, now, last, next) in SKIPPED {
        let schedule = schedule(written, zone);
        assert_eq!(shown(schedule.last(at(now))), last, "{written} {zone} at {now}");
        assert_eq!(shown(schedule.next(at(now))), next, "{written} {zone} at {now}");
    }
}

#[test]
fn what_the_clocks_always_skip_is_refused() {
    for (written, zone) in [
        ("* 1-2 * 3 0L", "Antarctica/Troll"),
        ("0 * 1-2 ? 3 1L", "Antarctica/Troll"),
        ("0 * 1-2 ? 3 1L 2026-4000", "Antarctica/Troll"),
        ("*/7 2 * 3 0L", "Europe/Paris"),
        ("* 23 24-30 3 +6", "America/Nuuk"),
    ] {
        let error = Schedule::parse(written, time_zone(zone).unwrap()).unwrap_err();
        assert!(error.starts_with("no such time"), "{written} {zone}: {error}");
    }
}

#[test]
fn what_fell_due_since_the_last_scan_is_due_once() {
    let (daily, shop) = (schedule("0 3 * * *", "UTC"), repository("shop"));
    let cases = [
        ("2026-11-20T03:10:00Z", "2026-11-21T02:59:00Z", false),
        ("2026-11-20T03:10:00Z", "2026-11-21T03:05:00Z", true),
        ("2026-11-21T03:05:00Z", "2026-11-21T03:20:00Z", false),
        ("2026-11-01T00:00:00Z", "2026-11-21T02:00:00Z", true),
        // Noted by a clock that was a year ahead, and by one that is as good as ours.
        ("2027-11-01T00:00:00Z", "2026-11-21T02:00:00Z", true),
        ("2026-11-21T02:00:30Z", "2026-11-21T02:00:00Z", false),
    ];
    for (last_asked, now, expected) in cases {
        assert_eq!(
            daily.is_due(&shop, at(last_asked), at(now)),
            expected,
            "last asked {last_asked}, now {now}"
        );
    }
}

#[test]
fn repositories_with_one_schedule_are_spread_and_each_keeps_its_place() {
    let hourly = schedule("0 * * * *", "UTC");
    let places: std::collections::BTreeSet<_> = (0..50)
        .map(|number| hourly.jitter(&repository(&number.to_string()), at(NOW)))
        .collect();
    assert!(places.len() > 40, "{places:?}");
    assert!(
        places
            .iter()
            .all(|place| !place.is_negative() && *place <= MAX_JITTER)
    );
    let shop = repository("shop");
    assert_eq!(
        hourly.jitter(&shop, at("2026-11-21T12:00:00Z")),
        hourly.jitter(&shop, at("2026-11-21T17:31:00Z"))
    );
    let often = schedule("* * * * *", "UTC");
    assert!(often.jitter(&shop, at(NOW)) <= SignedDuration::from_secs(6));
}
