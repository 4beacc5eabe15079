//! What a workload would say in our words, and what it could not.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::{Dialect, Remark, Term, translate, translations};
use crate::domain::annotations::given::{Origin, Said};
use crate::domain::annotations::key::Setting;
use crate::domain::annotations::{AnnotationError, Layer, Subject, settings};
use crate::domain::schedule::Schedule;

/// How often the scanner's CronJob runs as shipped. The cluster's own is not looked at: a manifest is in none.
const SCANNER_RUNS_EVERY: SignedDuration = SignedDuration::from_mins(15);

/// The way of a workload's annotations from another tool's words to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Whose words are followed; `None`: ours, or nobody's.
    pub dialect: Option<Dialect>,
    /// Whether ours are there already, so that nobody else's count.
    pub has_ours: bool,
    /// The annotations that mean the same; none where there are errors.
    pub annotations: BTreeMap<String, String>,
    /// What cannot be carried over, or only otherwise.
    pub remarks: Vec<Remark>,
    /// What stops the workload until it is mended.
    pub errors: Vec<AnnotationError>,
}

/// Takes a workload over to our words; `None` where it has none of another tool's.
pub fn migration(subject: &Subject<'_>, layer: &Layer) -> Option<Migration> {
    let spoken: Vec<_> = translations(subject).collect();
    if spoken.is_empty() {
        return None;
    }
    let has_ours = Said::ours(subject.annotations, &subject.container_names()).is_lasting();
    let followed = if has_ours { None } else { translate(subject) };
    let dialect = followed.as_ref().map(|translation| translation.dialect);
    let mut remarks = Vec::new();
    for mut translation in spoken {
        if Some(translation.dialect) == dialect || !translation.says_anything() {
            remarks.append(&mut translation.remarks);
        } else {
            remarks.push(not_followed(translation.dialect, dialect));
        }
    }
    let errors = settings(subject, layer).err().unwrap_or_default();
    let counts = |setting, term: &Term<'_>| !term.implied || layer.given(setting).is_none();
    let mut annotations = BTreeMap::new();
    if let Some(translation) = followed.filter(|_| errors.is_empty()) {
        let common = translation.common.into_iter();
        let is_said = |setting: Setting| subject.annotations.contains_key(&setting.key());
        let common = common.filter(|(setting, term)| counts(*setting, term) && !is_said(*setting));
        for (setting, term) in common {
            if setting == Setting::Schedule {
                remarks.extend(finer_than_the_scanner(&term));
            }
            // No value needs a line break, and what is printed is to stay on its line.
            let value = term.given.value.replace(char::is_control, " ");
            annotations.insert(setting.key(), value);
        }
        for ((container, setting), term) in translation.own {
            annotations.insert(setting.key_of(container), term.given.value.into_owned());
        }
    }
    Some(Migration {
        dialect,
        has_ours,
        annotations,
        remarks,
        errors,
    })
}

/// A schedule says when a repository may be asked, and the scanner asks when it runs.
fn finer_than_the_scanner(schedule: &Term<'_>) -> Option<Remark> {
    let Origin::Foreign(word) = schedule.given.origin else {
        return None;
    };
    let read = Schedule::parse(&schedule.given.value, TimeZone::UTC).ok()?;
    read.is_finer_than(SCANNER_RUNS_EVERY).then(|| Remark {
        origin: word.to_string(),
        value: word.written.to_owned(),
        reason: "nothing is asked more often than the scanner's CronJob runs, every 15 minutes as shipped; for this, let it run as \
                 often"
            .to_owned(),
    })
}

fn not_followed(dialect: Dialect, followed: Option<Dialect>) -> Remark {
    let followed = followed.map_or_else(|| "kubefresh.dev".to_owned(), |followed| followed.to_string());
    Remark {
        origin: format!("annotations of {dialect}"),
        value: String::new(),
        reason: format!("they are not followed, since those of {followed} alone are"),
    }
}
