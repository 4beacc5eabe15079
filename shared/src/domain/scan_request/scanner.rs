//! The scanner's CronJob, its Jobs, and a Job as `kubectl create job --from` makes one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::Resource as _;
use k8s_openapi::api::batch::v1::{CronJob, Job, JobTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::Reason;
use crate::domain::hash::short_hash;
use crate::domain::schedule::{Schedule, time_zone};

/// What kubectl writes on a Job that was not made by the schedule.
const INSTANTIATE: &str = "cronjob.kubernetes.io/instantiate";
/// What a Job was asked for, by names that only the updater reads, separated by spaces.
const REQUESTED_FOR: &str = "kubefresh.dev/requested-for";
/// Why, for people.
const REASONS: &str = "kubefresh.dev/requested-because";
/// How many before it brought nothing.
const FRUITLESS: &str = "kubefresh.dev/fruitless-requests";
/// How many of these names a Job bears at most; all of them together take some 10 KiB.
const MOST_NAMES: usize = 1000;
/// As long as what the CronJob's own Jobs have behind its name, which leaves room for it.
const SUFFIX_DIGITS: usize = 10;

/// The part of the scanner's CronJob that a request needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Scanner {
    pub name: String,
    pub uid: String,
    pub is_suspended: bool,
    /// `None` where it cannot be read; then no run of it is waited for.
    pub schedule: Option<Schedule>,
    template: JobTemplateSpec,
}

impl Scanner {
    /// `None` for an object that lacks what every stored one has.
    pub fn of(cron_job: &CronJob) -> Option<Self> {
        let spec = cron_job.spec.as_ref()?;
        let zone = spec.time_zone.as_deref().map_or(Ok(TimeZone::UTC), time_zone);
        let schedule = zone.and_then(|zone| Schedule::parse(&spec.schedule, zone));
        Some(Self {
            name: cron_job.metadata.name.clone()?,
            uid: cron_job.metadata.uid.clone()?,
            is_suspended: spec.suspend.unwrap_or(false),
            schedule: schedule.ok(),
            template: spec.job_template.clone(),
        })
    }

    /// The request that follows `latest`: whoever asks after the same Job gives it the same name, so the API server takes one.
    pub(super) fn request(
        &self,
        latest: Option<&ScanJob>,
        reasons: BTreeSet<Reason>,
        keys: Vec<String>,
        fruitless: u32,
    ) -> ScanRequest {
        let after = latest.map_or("", |job| job.uid.as_str());
        let suffix = short_hash(&format!("{}\n{after}", self.uid), SUFFIX_DIGITS);
        let template = self.template.metadata.clone().unwrap_or_default();
        let words: Vec<&str> = reasons.iter().map(|reason| (*reason).into()).collect();
        let names: Vec<String> = keys.into_iter().take(MOST_NAMES).collect();
        let mut annotations = BTreeMap::from([
            (INSTANTIATE.to_owned(), "manual".to_owned()),
            (REQUESTED_FOR.to_owned(), names.join(" ")),
            (REASONS.to_owned(), words.join(" ")),
            (FRUITLESS.to_owned(), fruitless.to_string()),
        ]);
        annotations.extend(template.annotations.unwrap_or_default());
        let job = Job {
            metadata: ObjectMeta {
                name: Some(format!("{}-{suffix}", self.name)),
                annotations: Some(annotations),
                labels: template.labels,
                owner_references: Some(vec![self.reference()]),
                ..ObjectMeta::default()
            },
            spec: self.template.spec.clone(),
            ..Job::default()
        };
        ScanRequest { job, reasons }
    }

    /// Without `blockOwnerDeletion`, as kubectl: that may take a right to the CronJob's finalizers.
    fn reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: CronJob::API_VERSION.to_owned(),
            kind: CronJob::KIND.to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        }
    }
}

/// A Job to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRequest {
    pub job: Job,
    pub reasons: BTreeSet<Reason>,
}

/// A Job of a CronJob, scheduled or asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanJob {
    pub uid: String,
    /// The uid of its CronJob.
    pub owner: String,
    pub created_at: Timestamp,
    pub is_finished: bool,
    /// Whether an updater made it.
    pub is_requested: bool,
    /// What for, by name.
    pub requested_for: BTreeSet<String>,
    /// How many before it brought nothing.
    pub fruitless: u32,
}

impl ScanJob {
    /// `None` for a Job that no CronJob owns.
    pub fn of(job: &Job) -> Option<Self> {
        let metadata = &job.metadata;
        let owners = metadata.owner_references.iter().flatten();
        let mut cron_jobs =
            owners.filter(|owner| owner.controller == Some(true) && owner.kind == CronJob::KIND);
        let conditions = job
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let mut ends =
            conditions.filter(|condition| matches!(condition.type_.as_str(), "Complete" | "Failed"));
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key));
        let requested_for = annotation(REQUESTED_FOR);
        let words = requested_for.iter().flat_map(|names| names.split_whitespace());
        Some(Self {
            uid: metadata.uid.clone()?,
            owner: cron_jobs.next()?.uid.clone(),
            created_at: metadata.creation_timestamp.as_ref()?.0,
            is_finished: ends.any(|condition| condition.status == "True"),
            is_requested: requested_for.is_some(),
            requested_for: words.map(str::to_owned).collect(),
            fruitless: annotation(FRUITLESS)
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
        })
    }
}
