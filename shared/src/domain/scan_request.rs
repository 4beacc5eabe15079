//! When the scanner is to run at once, without waiting for its schedule: once for each thing that waits for a scan, and never
//! because the scan before brought nothing.
//!
//! What was asked for stands on the Jobs themselves, as long as their CronJob keeps them, so a new leader asks for nothing twice.

mod scanner;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

pub use self::scanner::{ScanJob, ScanRequest, Scanner};
use super::annotations;
use super::hash::short_hash;
use super::plan::{Assessment, Plan, Verdict};
use super::time::{SKEW, whole_seconds};
use super::workload::Workload;

/// Between two requested scans, at least; twice as long after each that brought no answer to anything it was made for.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// How often that doubles: to 64 minutes.
const MOST_DOUBLINGS: u32 = 6;
/// A run of the schedule that is so near will do.
const NEAR: SignedDuration = SignedDuration::from_mins(1);
/// How long after its time a run of the schedule may come to be seen.
const LATE: SignedDuration = SignedDuration::from_secs(30);
/// A scan that began so long before a start is as good as one after it, so that a program that starts again and again does not scan
/// each time.
const BEFORE_START: SignedDuration = SignedDuration::from_mins(5);

/// Why a scan is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// Somebody set the annotation `check-now`.
    CheckNow,
    /// The records do not speak of what a watched container runs and wants.
    NewWorkload,
    /// The updater has started.
    Start,
}

/// What is known of the scanner.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// `None`: there is no such CronJob, or it may not be read.
    pub scanner: Option<&'a Scanner>,
    /// Jobs of any CronJob beside it.
    pub jobs: &'a [ScanJob],
    /// When the last run began that wrote down what came of it.
    pub last_run: Option<Timestamp>,
}

/// What stands against a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    NoCronJob,
    Suspended,
    /// One is under way.
    Running,
    /// A run of the schedule is near.
    Scheduled(Timestamp),
    /// The last one that was asked for is not long ago.
    Pause,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCronJob => f.write_str("there is no CronJob of that name, or it may not be read"),
            Self::Suspended => f.write_str("the CronJob is suspended"),
            Self::Running => f.write_str("a scan is under way"),
            Self::Scheduled(at) => write!(f, "a scan is scheduled for {at}"),
            Self::Pause => f.write_str("the last requested scan is not long ago"),
        }
    }
}

/// Whether to make a Job now.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing waits for a scan.
    Nothing,
    /// Not now; `until` is `None` where only a change in the cluster ends it.
    Wait {
        obstacle: Obstacle,
        until: Option<Timestamp>,
    },
    Request(Box<ScanRequest>),
}

/// Something that waits for a scan.
#[derive(Debug, Clone)]
struct Wish {
    reason: Reason,
    /// A scan that began before cannot have seen it. By our clock, which is neither the scanner's nor the API server's.
    since: Timestamp,
    /// The Jobs that were made for the same once before, by uid: this time they are no answer.
    spent: BTreeSet<String>,
    /// The run that was the last to be seen then; that one did not answer it either.
    run_before: Option<Timestamp>,
}

/// What waits for a scan, and since when. Lost at a restart, which the annotations of the Jobs make good.
#[derive(Debug, Default)]
pub struct Wishes {
    /// By a name that is the same for everybody who sees the same; `None` before the first look.
    open: Option<BTreeMap<String, Wish>>,
}

impl Wishes {
    /// Takes in what a look at the cluster at `now` found. What nobody wants any more is forgotten.
    pub fn look(&mut self, plan: &Plan, seen: &Seen<'_>, now: Timestamp) {
        let before = self.open.take();
        let wish = |key: &String, reason| match &before {
            Some(known) => known.get(key).cloned().unwrap_or_else(|| Wish {
                reason,
                since: whole_seconds(now),
                spent: seen.made_for(key).map(|job| job.uid.clone()).collect(),
                run_before: seen.last_run,
            }),
            // Our predecessor may have asked for it.
            None => Wish {
                reason,
                since: asked_at(seen, key).unwrap_or_else(|| whole_seconds(now)),
                spent: BTreeSet::new(),
                run_before: None,
            },
        };
        let wanted = wanted(plan).into_iter();
        let wanted = wanted.map(|(key, reason)| {
            let wish = wish(&key, reason);
            (key, wish)
        });
        self.open = Some(wanted.collect());
    }

    /// Whether to make a Job now. `started` is when this updater did, where that is a reason.
    pub fn decide(&self, seen: &Seen<'_>, started: Option<Timestamp>, now: Timestamp) -> Decision {
        let open = self.open.iter().flatten();
        let waiting: BTreeMap<&String, &Wish> =
            open.filter(|(key, wish)| !seen.began_for(key, wish)).collect();
        let start = started.filter(|started| !seen.began(*started - BEFORE_START));
        if waiting.is_empty() && start.is_none() {
            return Decision::Nothing;
        }
        let wait = |obstacle, until| Decision::Wait { obstacle, until };
        let Some(scanner) = seen.scanner else {
            return wait(Obstacle::NoCronJob, None);
        };
        if scanner.is_suspended {
            return wait(Obstacle::Suspended, None);
        }
        if seen.own_jobs().any(|job| !job.is_finished) {
            return wait(Obstacle::Running, None);
        }
        let fruitless = self.fruitless(seen);
        if let Some(until) = pause_ends(seen, fruitless).filter(|until| *until > now) {
            return wait(Obstacle::Pause, Some(until));
        }
        if let Some(at) = scheduled(scanner, seen, now) {
            return wait(Obstacle::Scheduled(at), Some(at + LATE));
        }
        let mut reasons: BTreeSet<Reason> = waiting.values().map(|wish| wish.reason).collect();
        reasons.extend(start.map(|_| Reason::Start));
        let keys = waiting.into_keys().cloned().collect();
        Decision::Request(Box::new(scanner.request(seen.latest(), reasons, keys, fruitless)))
    }

    /// The workloads whose `check-now` has been done, with the annotations that asked for it: a scan that began after it was seen has
    /// ended, and all their repositories have an answer, be it an error.
    pub fn checked<'a>(&self, plan: &'a Plan, seen: &Seen<'_>) -> Vec<(&'a Assessment, Vec<&'static str>)> {
        let is_checked = |assessment: &&Assessment| {
            let wish =
                check_now(&assessment.workload).and_then(|key| self.open.as_ref()?.get_key_value(&key));
            wish.is_some_and(|(key, wish)| seen.ended_for(key, wish))
                && !assessment
                    .containers
                    .iter()
                    .any(|entry| is_unanswered(&entry.verdict))
        };
        let checked = assessed(plan).filter(is_checked);
        let keys = |workload: &Workload| {
            annotations::check_now(&workload.subject())
                .map(|(key, _)| key)
                .collect()
        };
        checked
            .map(|assessment| (assessment, keys(&assessment.workload)))
            .collect()
    }

    /// How many scans in a row were asked for and brought no answer to anything they were made for.
    fn fruitless(&self, seen: &Seen<'_>) -> u32 {
        let open = |key: &String| self.open.as_ref().is_some_and(|open| open.contains_key(key));
        seen.last_requested()
            .filter(|(job, _)| !job.requested_for.is_empty() && job.requested_for.iter().all(open))
            .map_or(0, |(job, _)| job.fruitless.saturating_add(1))
    }
}

impl<'a> Seen<'a> {
    fn own_jobs(&self) -> impl Iterator<Item = &'a ScanJob> + use<'a> {
        let scanner = self.scanner;
        self.jobs
            .iter()
            .filter(move |job| scanner.is_some_and(|scanner| scanner.uid == job.owner))
    }

    fn latest(&self) -> Option<&'a ScanJob> {
        self.own_jobs().max_by_key(|job| (job.created_at, &job.uid))
    }

    fn last_requested(&self) -> Option<(&'a ScanJob, Timestamp)> {
        self.own_jobs()
            .filter(|job| job.is_requested)
            .map(|job| (job, job.created_at))
            .max_by_key(|(_, created_at)| *created_at)
    }

    /// Whether a scan has begun in that second or later, whatever came of it.
    fn began(&self, since: Timestamp) -> bool {
        self.last_run.is_some_and(|began| began >= since)
            || self.own_jobs().any(|job| job.created_at >= since)
    }

    /// Whether a scan has begun that cannot have missed this wish, whatever came of it.
    fn began_for(&self, key: &str, wish: &Wish) -> bool {
        self.last_run.is_some_and(|began| began > wish.since + SKEW)
            || self.jobs_for(key, wish).next().is_some()
    }

    /// Whether such a scan has come to its end. What it wrote down bears the time of the scanner's clock, its Job that of the API server.
    fn ended_for(&self, key: &str, wish: &Wish) -> bool {
        let did = |last_run: Timestamp| {
            let mut jobs = self.jobs_for(key, wish);
            let is_new = wish.run_before != Some(last_run);
            last_run > wish.since + SKEW
                || is_new && jobs.any(|job| job.is_finished && last_run >= job.created_at - SKEW)
        };
        self.last_run.is_some_and(did)
    }

    /// The Jobs that cannot have missed this wish: those that were made for it, whenever that was by whichever clock, and others
    /// where no clock can be so far off.
    fn jobs_for(&self, key: &str, wish: &Wish) -> impl Iterator<Item = &'a ScanJob> {
        self.own_jobs().filter(move |job| {
            if job.requested_for.contains(key) {
                !wish.spent.contains(&job.uid)
            } else {
                job.created_at > wish.since + SKEW
            }
        })
    }

    fn made_for(&self, key: &str) -> impl Iterator<Item = &'a ScanJob> {
        self.own_jobs().filter(move |job| job.requested_for.contains(key))
    }
}

/// When a Job was made for this, by whomever.
fn asked_at(seen: &Seen<'_>, key: &str) -> Option<Timestamp> {
    seen.made_for(key).map(|job| job.created_at).max()
}

fn pause_ends(seen: &Seen<'_>, fruitless: u32) -> Option<Timestamp> {
    let pause = PAUSE * 2_i32.pow(fruitless.min(MOST_DOUBLINGS));
    seen.last_requested().map(|(_, created_at)| created_at + pause)
}

/// The run of the schedule that is near, or that is due and not to be seen yet.
fn scheduled(scanner: &Scanner, seen: &Seen<'_>, now: Timestamp) -> Option<Timestamp> {
    let schedule = scanner.schedule.as_ref()?;
    let due = schedule
        .last(now)
        .filter(|last| now.duration_since(*last) < LATE && !seen.began(*last));
    let near = schedule.next(now).filter(|next| next.duration_since(now) <= NEAR);
    due.or(near)
}

/// Everything that waits for a scan, under its name.
fn wanted(plan: &Plan) -> BTreeMap<String, Reason> {
    let mut wanted = BTreeMap::new();
    for assessment in assessed(plan) {
        let workload = &assessment.workload;
        if let Some(key) = check_now(workload) {
            wanted.insert(key, Reason::CheckNow);
        }
        for entry in assessment
            .containers
            .iter()
            .filter(|entry| is_unanswered(&entry.verdict))
        {
            let text = format!("new\n{}\n{}\n{}", workload.uid, entry.container, entry.image);
            wanted.insert(short_hash(&text, KEY_DIGITS), Reason::NewWorkload);
        }
    }
    wanted
}

/// Few enough for hundreds of them to stand in an annotation.
const KEY_DIGITS: usize = 10;

/// What the plan says of the workloads that are watched.
fn assessed(plan: &Plan) -> impl Iterator<Item = &Assessment> {
    let assessments = plan.assessments.iter();
    assessments.filter(|assessment| !assessment.containers.is_empty())
}

/// The name of a workload's `check-now`: another one for each value that somebody gives it.
fn check_now(workload: &Workload) -> Option<String> {
    let subject = workload.subject();
    let values: Vec<&str> = annotations::check_now(&subject).map(|(_, value)| value).collect();
    let text = format!("check-now\n{}\n{}", workload.uid, values.join("\n"));
    (!values.is_empty()).then(|| short_hash(&text, KEY_DIGITS))
}

/// Whether no scan has said anything of it, not even that it cannot be had.
fn is_unanswered(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::NoRecord | Verdict::NotScannedFor { error: None }
    )
}

#[cfg(test)]
mod tests;
