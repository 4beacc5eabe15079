//! What a workload's annotations say, together and read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::key::{Key, Setting};
use super::value::{
    parse_globs, parse_holds, parse_min_age, parse_rollout_timeout, parse_switch, parse_windows,
};
use super::{AnnotationError, Approved, Mode, PREFIX};
use crate::domain::policy::{Hold, PolicyOptions, shortened};
use crate::domain::schedule::{self, Schedule};
use crate::domain::window::Windows;

/// How long a rollout may take when nothing else is said.
pub const DEFAULT_ROLLOUT_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// The settings of one container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSettings {
    pub watch: bool,
    pub mode: Mode,
    /// Which tags are wanted. Where no policy is named, the tag's own kind decides: [`UpdatePolicy::for_tag`].
    ///
    /// [`UpdatePolicy::for_tag`]: crate::domain::policy::UpdatePolicy::for_tag
    pub policy: PolicyOptions,
    pub approved: Option<Approved>,
    /// What is never to be offered: what the workload's annotation says and what the container's own says.
    pub held: Vec<Hold>,
    /// How long our scanner must have known a tag before it may be chosen.
    pub min_age: Option<SignedDuration>,
}

/// The settings of a workload and of each of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub rollout_timeout: SignedDuration,
    /// When updates may start; `None`: at any time.
    pub window: Option<Windows>,
    /// When they may not, whatever the window says.
    pub freeze: Option<Windows>,
    /// When its repositories are to be asked; `None`: whenever the scanner runs.
    pub schedule: Option<Schedule>,
    /// By container name; every container has an entry.
    pub containers: BTreeMap<String, ContainerSettings>,
}

impl Settings {
    /// Whether any container is watched.
    pub fn watched(&self) -> bool {
        self.containers.values().any(|container| container.watch)
    }
}

/// A value and the annotation that gave it.
#[derive(Debug, Clone, Copy)]
struct Given<'a> {
    key: &'a str,
    value: &'a str,
}

impl Given<'_> {
    fn invalid(self, reason: String) -> AnnotationError {
        AnnotationError::InvalidValue {
            key: self.key.to_owned(),
            value: shortened(self.value),
            reason,
        }
    }
}

/// Reads a workload's settings; all errors at once, so that one edit can mend them all.
pub fn settings<'a>(
    annotations: &BTreeMap<String, String>,
    container_names: impl IntoIterator<Item = &'a str>,
) -> Result<Settings, Vec<AnnotationError>> {
    let names: BTreeSet<&str> = container_names.into_iter().collect();
    let mut errors = Vec::new();
    let mut common = BTreeMap::new();
    let mut own = Vec::new();
    for (key, value) in annotations {
        let given = Given { key, value };
        match Key::of(key, &names) {
            Ok(Key::Foreign | Key::State) => {}
            Ok(Key::Common(setting)) => drop(common.insert(setting, given)),
            Ok(Key::Own(container, setting)) => own.push((container, setting, given)),
            Err(error) => errors.push(error),
        }
    }
    let mut keep = |result: Result<(), AnnotationError>| errors.extend(result.err());

    let mut base = ContainerSettings::default();
    for (setting, given) in &common {
        keep(assign(&mut base, *setting, *given));
    }
    let mut containers: BTreeMap<String, ContainerSettings> = names
        .iter()
        .map(|name| ((*name).to_owned(), base.clone()))
        .collect();
    for (container, setting, given) in own {
        if let Some(container) = containers.get_mut(container) {
            keep(assign(container, setting, given));
        }
    }
    let mut rollout_timeout = DEFAULT_ROLLOUT_TIMEOUT;
    if let Some(given) = common.get(&Setting::RolloutTimeout) {
        let duration = parse_rollout_timeout(given.value).map_err(|reason| given.invalid(reason));
        keep(duration.map(|duration| rollout_timeout = duration));
    }
    let mut windows = |setting: Setting, word: &str| {
        let given = common.get(&setting)?;
        let windows = parse_windows(given.value, word).map_err(|reason| given.invalid(reason));
        windows.map_err(|error| errors.push(error)).ok().flatten()
    };
    let (window, freeze) = (
        windows(Setting::Window, "always"),
        windows(Setting::Freeze, "never"),
    );
    let schedule = schedule(&common);
    errors.extend(schedule.as_ref().err().cloned());
    errors.extend(policy_errors(annotations, &containers));
    match schedule {
        Ok(schedule) if errors.is_empty() => Ok(Settings {
            rollout_timeout,
            window,
            freeze,
            schedule,
            containers,
        }),
        Ok(_) | Err(_) => Err(errors),
    }
}

/// When the workload's repositories are to be asked. `check-now` overrides any schedule.
fn schedule(common: &BTreeMap<Setting, Given<'_>>) -> Result<Option<Schedule>, AnnotationError> {
    let given_zone = common.get(&Setting::ScheduleTimezone);
    let zone = match given_zone {
        Some(given) => schedule::time_zone(given.value).map_err(|reason| given.invalid(reason))?,
        None => TimeZone::UTC,
    };
    let Some(given) = common.get(&Setting::Schedule) else {
        return match given_zone {
            Some(given) => {
                let missing = Setting::Schedule.key();
                Err(given.invalid(format!("there is no {missing} that it could belong to")))
            }
            None => Ok(None),
        };
    };
    let schedule = Schedule::parse(given.value, zone).map_err(|reason| given.invalid(reason))?;
    Ok(Some(schedule).filter(|_| !common.contains_key(&Setting::CheckNow)))
}

/// What is wrong with the policies of watched containers, each option under the key that gave it; once, however many
/// containers share it.
fn policy_errors(
    annotations: &BTreeMap<String, String>,
    containers: &BTreeMap<String, ContainerSettings>,
) -> BTreeSet<AnnotationError> {
    let wrong = containers
        .iter()
        .filter(|(_, settings)| settings.watch)
        .filter_map(|(name, settings)| Some((name, settings.policy.check().err()?)));
    let named = wrong.map(|(name, error)| {
        let common = format!("{PREFIX}/{}", error.option);
        let own = format!("{name}.{common}");
        let key = if annotations.contains_key(&own) {
            own
        } else {
            common
        };
        let value = &error.value;
        Given { key: &key, value }.invalid(error.reason)
    });
    named.collect()
}

/// Takes in what is said for a container; what is said for a workload only is none of its business.
fn assign(
    settings: &mut ContainerSettings,
    setting: Setting,
    given: Given<'_>,
) -> Result<(), AnnotationError> {
    let Given { value, .. } = given;
    let assigned = match setting {
        Setting::Watch => parse_switch(value).map(|watch| settings.watch = watch),
        Setting::Mode => Mode::parse(value).map(|mode| settings.mode = mode),
        Setting::Prerelease => parse_switch(value).map(|may| settings.policy.prerelease = may),
        Setting::FollowVariants => parse_switch(value).map(|may| settings.policy.follow_variants = may),
        Setting::Include => parse_globs(value).map(|globs| settings.policy.include = globs),
        Setting::Exclude => parse_globs(value).map(|globs| settings.policy.exclude = globs),
        Setting::MinAge => parse_min_age(value).map(|age| settings.min_age = age),
        Setting::Approved => value.parse().map(|approved| settings.approved = Some(approved)),
        // What is held for all containers is held for each, whatever else is.
        Setting::Hold => parse_holds(value).map(|holds| settings.held.extend(holds)),
        Setting::Policy => {
            settings.policy.policy = Some(value.to_owned());
            Ok(())
        }
        Setting::TagPattern => {
            settings.policy.tag_pattern = Some(value.to_owned());
            Ok(())
        }
        Setting::TagExtract => {
            settings.policy.tag_extract = Some(value.to_owned());
            Ok(())
        }
        Setting::TagOrder => {
            settings.policy.tag_order = Some(value.to_owned());
            Ok(())
        }
        Setting::Window
        | Setting::Freeze
        | Setting::RolloutTimeout
        | Setting::Schedule
        | Setting::ScheduleTimezone
        | Setting::CheckNow => Ok(()),
    };
    assigned.map_err(|reason| given.invalid(reason))
}
