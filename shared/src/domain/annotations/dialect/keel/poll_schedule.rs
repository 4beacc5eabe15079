//! When Keel polls: what the cron library of its language reads, in ours.

use jiff::SignedDuration;

use super::{Setting, Translation, Word};
use crate::domain::time::duration;

/// At most a year, so that a slip is no silence.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// Numbers of minutes that an hour, and of hours that a day can be divided by.
const MINUTES: [i64; 11] = [30, 20, 15, 12, 10, 6, 5, 4, 3, 2, 1];
const HOURS: [i64; 7] = [12, 8, 6, 4, 3, 2, 1];

pub(super) fn read<'a>(translation: &mut Translation<'a>, word: Word<'a>) {
    if let Some(interval) = word.written.strip_prefix("@every ") {
        return match duration(interval.trim(), LONGEST) {
            Ok(interval) => {
                let (cron, exactly) = every(interval);
                if exactly != interval {
                    let reason = format!("it becomes {cron:?}, which is at least as often");
                    translation.remark(word, reason);
                }
                translation.say(Setting::Schedule, cron, word);
            }
            Err(reason) => translation.refuse(word, format!("after @every {reason}")),
        };
    }
    let fields: Vec<&str> = word.written.split_whitespace().collect();
    let any_day = |fields: &[&str]| fields.join(" ").replace('?', "*");
    match fields.as_slice() {
        ["@midnight"] => translation.say(Setting::Schedule, "@daily", word),
        // Seconds come first, and Sunday is 0 all the same, as in a crontab and not as Quartz has it.
        [_, crontab @ ..] if crontab.len() == 5 => translation.say(Setting::Schedule, any_day(crontab), word),
        crontab if crontab.len() == 5 => {
            translation.say(Setting::Schedule, any_day(crontab), word);
            translation.remark(
                word,
                "Keel wants six fields, with seconds first; these five are read as a crontab's, with minutes first",
            );
        }
        _ => translation.say(Setting::Schedule, word.written, word),
    }
}

/// A crontab's way to say it, and how long that is from one time to the next.
fn every(interval: SignedDuration) -> (String, SignedDuration) {
    let (minutes, hours) = (interval.as_mins(), interval.as_hours());
    let largest = |choice: &[i64], most: i64| choice.iter().copied().find(|value| *value <= most);
    if hours >= 7 * 24 {
        ("0 0 * * 0".to_owned(), SignedDuration::from_hours(7 * 24))
    } else if hours >= 24 {
        ("0 0 * * *".to_owned(), SignedDuration::from_hours(24))
    } else if let Some(hours) = largest(&HOURS, hours) {
        (
            format!("0 {} * * *", step(hours)),
            SignedDuration::from_hours(hours),
        )
    } else {
        let minutes = largest(&MINUTES, minutes).unwrap_or(1);
        (
            format!("{} * * * *", step(minutes)),
            SignedDuration::from_mins(minutes),
        )
    }
}

fn step(count: i64) -> String {
    if count == 1 {
        "*".to_owned()
    } else {
        format!("*/{count}")
    }
}
