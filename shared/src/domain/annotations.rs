//! Every annotation key, once, and the way from a workload's annotations to its settings.
//!
//! A key under our prefix that we do not know, or a value that does not parse, is an error for that workload:
//! it never silently becomes a default. Keys of other tools are none of our business.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::policy::{PolicyOptions, shortened};
use super::reference::{Digest, ReferenceError, Tag};
use super::schedule::{self, Schedule};

/// The prefix of all our keys; `CONTAINER.kubefresh.dev/KEY` speaks of one container.
pub const PREFIX: &str = "kubefresh.dev";

/// Settings: written by people.
pub const WATCH: &str = "kubefresh.dev/watch";
pub const MODE: &str = "kubefresh.dev/mode";
pub const POLICY: &str = "kubefresh.dev/policy";
pub const PRERELEASE: &str = "kubefresh.dev/prerelease";
pub const ROLLOUT_TIMEOUT: &str = "kubefresh.dev/rollout-timeout";
/// When the repositories are asked; at every run of the scanner where it is not given.
pub const SCHEDULE: &str = "kubefresh.dev/schedule";
pub const SCHEDULE_TIMEZONE: &str = "kubefresh.dev/schedule-timezone";
/// Ask at the next run of the scanner, whatever the schedule says.
pub const CHECK_NOW: &str = "kubefresh.dev/check-now";
/// What a person agreed to, in mode `approve`; removed when the update starts.
pub const APPROVED: &str = "kubefresh.dev/approved";

/// State: written by the updater, never by people.
pub const IN_FLIGHT: &str = "kubefresh.dev/in-flight";
pub const LAST_UPDATE: &str = "kubefresh.dev/last-update";
pub const LAST_CHANGE: &str = "kubefresh.dev/last-change";
pub const LAST_RESULT: &str = "kubefresh.dev/last-result";

const STATE_KEYS: [&str; 4] = [IN_FLIGHT, LAST_UPDATE, LAST_CHANGE, LAST_RESULT];

/// They speak of the workload as a whole, and are read together.
const SCHEDULE_KEYS: [&str; 3] = [SCHEDULE, SCHEDULE_TIMEZONE, CHECK_NOW];

/// The settings that a workload may give for all its containers, and for each one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
enum ContainerKey {
    Watch,
    Mode,
    Policy,
    TagPattern,
    TagExtract,
    TagOrder,
    Include,
    Exclude,
    Prerelease,
    FollowVariants,
    Approved,
}

/// How long a rollout may take when nothing else is said.
pub const DEFAULT_ROLLOUT_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);

/// What happens when a newer image is found.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString, strum::VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Mode {
    /// Apply it.
    Auto,
    /// Tell, and apply it once the tag stands in the `approved` annotation.
    #[default]
    Approve,
    /// Tell, and leave it to people.
    Notify,
    /// Neither tell nor apply.
    Off,
}

/// What a person agreed to: a tag, or under the policy `digest` the new digest of the same tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    Tag(Tag),
    Digest(Digest),
}

impl FromStr for Approved {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        // A tag holds no colon and a digest always does.
        if value.contains(':') {
            value
                .parse()
                .map(Self::Digest)
                .map_err(|error: ReferenceError| error.to_string())
        } else {
            value
                .parse()
                .map(Self::Tag)
                .map_err(|error: ReferenceError| error.to_string())
        }
    }
}

/// The settings of one container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerSettings {
    pub watch: bool,
    pub mode: Mode,
    /// Which tags are wanted. Where no policy is named, the tag's own kind decides: [`UpdatePolicy::for_tag`].
    pub policy: PolicyOptions,
    pub approved: Option<Approved>,
}

/// The settings of a workload and of each of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub rollout_timeout: SignedDuration,
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

/// An annotation that cannot be obeyed. It names key and value, and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum AnnotationError {
    #[error("annotation {key} is not known; the known ones are {known}")]
    UnknownKey { key: String, known: String },
    #[error(
        "annotation {key} speaks of a container that the pod template does not have; it has {containers}"
    )]
    UnknownContainer { key: String, containers: String },
    #[error("annotation {key}: {value:?} is not valid: {reason}")]
    InvalidValue {
        key: String,
        value: String,
        reason: String,
    },
}

/// Reads a workload's settings; all errors at once, so that one edit can mend them all.
pub fn settings<'a>(
    annotations: &BTreeMap<String, String>,
    container_names: impl IntoIterator<Item = &'a str>,
) -> Result<Settings, Vec<AnnotationError>> {
    let names: BTreeSet<&str> = container_names.into_iter().collect();
    let mut errors = Vec::new();
    let mut common = Vec::new();
    let mut single = Vec::new();
    let mut rollout_timeout = DEFAULT_ROLLOUT_TIMEOUT;
    let schedule = schedule(annotations).unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    for (key, value) in annotations {
        match classify(key, &names) {
            Ok(Class::Foreign | Class::State | Class::Schedule) => {}
            Ok(Class::RolloutTimeout) => match parse_duration(value) {
                Ok(duration) => rollout_timeout = duration,
                Err(reason) => errors.push(invalid(key, value, reason)),
            },
            Ok(Class::Common(setting)) => common.push((key, setting, value)),
            Ok(Class::Container(name, setting)) => single.push((key, name, setting, value)),
            Err(error) => errors.push(error),
        }
    }
    let mut base = ContainerSettings::default();
    for (key, setting, value) in common {
        assign(&mut base, setting, value).unwrap_or_else(|reason| errors.push(invalid(key, value, reason)));
    }
    let mut containers: BTreeMap<String, ContainerSettings> = names
        .iter()
        .map(|name| ((*name).to_owned(), base.clone()))
        .collect();
    for (key, name, setting, value) in single {
        if let Some(container) = containers.get_mut(name) {
            assign(container, setting, value)
                .unwrap_or_else(|reason| errors.push(invalid(key, value, reason)));
        }
    }
    errors.extend(policy_errors(annotations, &containers));
    if errors.is_empty() {
        Ok(Settings {
            rollout_timeout,
            schedule,
            containers,
        })
    } else {
        Err(errors)
    }
}

/// When the workload's repositories are to be asked. `check-now` overrides any schedule.
fn schedule(annotations: &BTreeMap<String, String>) -> Result<Option<Schedule>, AnnotationError> {
    let zone_name = annotations.get(SCHEDULE_TIMEZONE);
    let zone = match zone_name {
        Some(name) => schedule::time_zone(name).map_err(|reason| invalid(SCHEDULE_TIMEZONE, name, reason))?,
        None => TimeZone::UTC,
    };
    let Some(written) = annotations.get(SCHEDULE) else {
        return match zone_name {
            Some(name) => Err(invalid(
                SCHEDULE_TIMEZONE,
                name,
                format!("there is no {SCHEDULE} that it could belong to"),
            )),
            None => Ok(None),
        };
    };
    let schedule = Schedule::parse(written, zone).map_err(|reason| invalid(SCHEDULE, written, reason))?;
    Ok(Some(schedule).filter(|_| !annotations.contains_key(CHECK_NOW)))
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
        invalid(&key, &error.value, error.reason)
    });
    named.collect()
}

/// Whether a key is under our prefix, rightly or not; nothing is decided by others.
pub fn is_ours(key: &str) -> bool {
    let prefix = key.split_once('/').map(|(prefix, _)| prefix);
    let rest = prefix.and_then(|prefix| prefix.strip_suffix(PREFIX));
    rest.is_some_and(|container| container.is_empty() || container.ends_with('.'))
}

enum Class<'a> {
    Foreign,
    State,
    Schedule,
    RolloutTimeout,
    Common(ContainerKey),
    Container(&'a str, ContainerKey),
}

/// Whose key it is and what it speaks of.
fn classify<'a>(key: &'a str, names: &BTreeSet<&str>) -> Result<Class<'a>, AnnotationError> {
    let Some((prefix, setting)) = key.split_once('/') else {
        return Ok(Class::Foreign);
    };
    if prefix == PREFIX {
        return match setting.parse() {
            Ok(common) => Ok(Class::Common(common)),
            Err(_) if key == ROLLOUT_TIMEOUT => Ok(Class::RolloutTimeout),
            Err(_) if STATE_KEYS.contains(&key) => Ok(Class::State),
            Err(_) if SCHEDULE_KEYS.contains(&key) => Ok(Class::Schedule),
            Err(_) => Err(unknown_key(
                key,
                &["rollout-timeout", "schedule", "schedule-timezone", "check-now"],
            )),
        };
    }
    let Some(container) = prefix
        .strip_suffix(PREFIX)
        .and_then(|rest| rest.strip_suffix('.'))
    else {
        return Ok(Class::Foreign);
    };
    if !names.contains(container) {
        let containers = names.iter().copied().collect::<Vec<_>>().join(", ");
        return Err(AnnotationError::UnknownContainer {
            key: key.to_owned(),
            containers,
        });
    }
    setting
        .parse()
        .map(|setting| Class::Container(container, setting))
        .map_err(|_| unknown_key(key, &[]))
}

fn unknown_key(key: &str, more: &[&str]) -> AnnotationError {
    let known = <ContainerKey as strum::VariantNames>::VARIANTS
        .iter()
        .chain(more)
        .copied();
    AnnotationError::UnknownKey {
        key: key.to_owned(),
        known: known.collect::<Vec<_>>().join(", "),
    }
}

fn invalid(key: &str, value: &str, reason: String) -> AnnotationError {
    AnnotationError::InvalidValue {
        key: key.to_owned(),
        value: shortened(value),
        reason,
    }
}

fn assign(settings: &mut ContainerSettings, key: ContainerKey, value: &str) -> Result<(), String> {
    match key {
        ContainerKey::Watch => settings.watch = parse_switch(value)?,
        ContainerKey::Prerelease => settings.policy.prerelease = parse_switch(value)?,
        ContainerKey::FollowVariants => settings.policy.follow_variants = parse_switch(value)?,
        ContainerKey::Mode => {
            let modes = <Mode as strum::VariantNames>::VARIANTS.join(", ");
            settings.mode = value.parse().map_err(|_| format!("it must be one of {modes}"))?;
        }
        ContainerKey::Policy => {
            settings.policy.policy = Some(value.to_owned());
        }
        ContainerKey::TagPattern => settings.policy.tag_pattern = Some(value.to_owned()),
        ContainerKey::TagExtract => settings.policy.tag_extract = Some(value.to_owned()),
        ContainerKey::TagOrder => settings.policy.tag_order = Some(value.to_owned()),
        ContainerKey::Include => settings.policy.include = parse_globs(value)?,
        ContainerKey::Exclude => settings.policy.exclude = parse_globs(value)?,
        ContainerKey::Approved => {
            settings.approved = Some(value.parse()?);
        }
    }
    Ok(())
}

fn parse_switch(value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("it must be \"true\" or \"false\"".to_owned()),
    }
}

/// Separated by spaces, which no tag contains.
fn parse_globs(value: &str) -> Result<Vec<String>, String> {
    let globs: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    if globs.is_empty() {
        return Err("it must be one or more globs, separated by spaces".to_owned());
    }
    Ok(globs)
}

/// `10m`, `1h30m`, `90s`: positive, and at most a day so that a typo cannot park a rollout for ever.
fn parse_duration(value: &str) -> Result<SignedDuration, String> {
    let duration: SignedDuration = value
        .parse()
        .map_err(|_| "it must be a duration such as 90s, 10m or 1h30m".to_owned())?;
    if duration <= SignedDuration::ZERO || duration > SignedDuration::from_hours(24) {
        return Err("it must be longer than nothing and at most 24h".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Vec<AnnotationError>> {
        let annotations = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        settings(&annotations, ["app", "sidecar"])
    }

    #[test]
    fn a_workload_without_our_annotations_is_not_watched() {
        let settings = read(&[("keel.sh/policy", "major")]).unwrap();
        assert!(!settings.watched());
        assert_eq!(settings.rollout_timeout, DEFAULT_ROLLOUT_TIMEOUT);
    }

    #[test]
    fn a_container_key_overrides_the_workload_key_for_that_container_only() {
        let settings = read(&[
            ("kubefresh.dev/watch", "true"),
            ("kubefresh.dev/mode", "auto"),
            ("sidecar.kubefresh.dev/mode", "notify"),
            ("sidecar.kubefresh.dev/policy", "patch"),
        ])
        .unwrap();
        assert_eq!(settings.containers["app"].mode, Mode::Auto);
        assert_eq!(settings.containers["app"].policy.policy, None);
        assert_eq!(settings.containers["sidecar"].mode, Mode::Notify);
        assert_eq!(
            settings.containers["sidecar"].policy.policy.as_deref(),
            Some("patch")
        );
    }

    #[test]
    fn every_bad_annotation_is_reported_at_once_with_key_and_value() {
        let errors = read(&[
            ("kubefresh.dev/mode", "automatic"),
            ("kubefresh.dev/watch", "yes"),
            ("kubefresh.dev/polcy", "minor"),
            ("kubefresh.dev/rollout-timeout", "soon"),
            ("other.kubefresh.dev/watch", "true"),
            ("app.kubefresh.dev/rollout-timeout", "5m"),
        ])
        .unwrap_err();
        assert_eq!(errors.len(), 6, "{errors:#?}");
        let text = errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        for expected in [
            "\"automatic\"",
            "\"yes\"",
            "kubefresh.dev/polcy",
            "\"soon\"",
            "other.kubefresh.dev/watch",
        ] {
            assert!(text.contains(expected), "{expected} is not named in:\n{text}");
        }
    }

    #[test]
    fn options_of_one_policy_come_together_from_workload_and_container() {
        let settings = read(&[
            ("kubefresh.dev/tag-pattern", r"^v(\d+)$"),
            ("kubefresh.dev/tag-extract", "$1"),
            ("kubefresh.dev/exclude", "*-debug  *-test"),
            ("sidecar.kubefresh.dev/tag-order", "numeric:asc"),
            ("kubefresh.dev/follow-variants", "true"),
        ])
        .unwrap();
        let (app, sidecar) = (
            &settings.containers["app"].policy,
            &settings.containers["sidecar"].policy,
        );
        assert_eq!(app.exclude, ["*-debug", "*-test"]);
        assert!(app.follow_variants);
        assert_eq!(app.tag_order, None);
        assert_eq!(sidecar.tag_extract.as_deref(), Some("$1"));
        assert_eq!(sidecar.tag_order.as_deref(), Some("numeric:asc"));
    }

    #[test]
    fn a_policy_that_cannot_be_obeyed_is_reported_once_under_the_key_that_gave_it() {
        let cases = [
            (
                &[("kubefresh.dev/policy", "range:latest")][..],
                "kubefresh.dev/policy",
            ),
            (&[("kubefresh.dev/policy", "newest")], "kubefresh.dev/policy"),
            (
                &[("app.kubefresh.dev/policy", "glob:")],
                "app.kubefresh.dev/policy",
            ),
            (&[("kubefresh.dev/tag-pattern", "(")], "kubefresh.dev/tag-pattern"),
            (
                &[("kubefresh.dev/tag-extract", "$1")],
                "kubefresh.dev/tag-extract",
            ),
            (
                &[
                    ("kubefresh.dev/policy", "patch"),
                    ("sidecar.kubefresh.dev/tag-order", "numeric"),
                ],
                "sidecar.kubefresh.dev/tag-order",
            ),
            (&[("kubefresh.dev/exclude", " ")], "kubefresh.dev/exclude"),
        ];
        for (pairs, expected) in cases {
            let watched = [&[("kubefresh.dev/watch", "true")], pairs].concat();
            let errors = read(&watched).unwrap_err();
            assert!(
                read(pairs).is_ok() || expected.ends_with("exclude"),
                "nobody asks for it: {pairs:?}"
            );
            let keys: Vec<_> = errors
                .iter()
                .map(|error| match error {
                    AnnotationError::InvalidValue { key, .. }
                    | AnnotationError::UnknownKey { key, .. }
                    | AnnotationError::UnknownContainer { key, .. } => key.as_str(),
                })
                .collect();
            assert_eq!(keys, [expected], "{errors:?}");
        }
    }

    #[test]
    fn the_updaters_own_state_is_no_setting_and_no_error() {
        assert!(
            read(&[
                (IN_FLIGHT, "{}"),
                (LAST_UPDATE, "x"),
                (LAST_CHANGE, "x"),
                (LAST_RESULT, "x")
            ])
            .is_ok()
        );
    }

    #[test]
    fn a_schedule_is_read_with_its_time_zone_and_check_now_overrides_it() {
        let given = [
            (SCHEDULE, "0 3 * * *"),
            (SCHEDULE_TIMEZONE, "Europe/Paris"),
            (CHECK_NOW, ""),
        ];
        let schedule = read(&given[..2]).unwrap().schedule.unwrap();
        assert_eq!(schedule.to_string(), "0 3 * * * Europe/Paris");
        assert_eq!(read(&given).unwrap().schedule, None);
        assert_eq!(read(&given[2..]).unwrap().schedule, None);
        for (pairs, key) in [
            (&[(SCHEDULE, "0 0 31 2 *")][..], SCHEDULE),
            (&[(SCHEDULE, "soon")], SCHEDULE),
            (
                &[(SCHEDULE, "0 3 * * *"), (SCHEDULE_TIMEZONE, "Paris")],
                SCHEDULE_TIMEZONE,
            ),
            (&[(SCHEDULE_TIMEZONE, "Europe/Paris")], SCHEDULE_TIMEZONE),
        ] {
            let errors = read(pairs).unwrap_err();
            assert!(errors[0].to_string().contains(key), "{errors:?}");
        }
    }

    #[test]
    fn a_rollout_timeout_is_positive_and_at_most_a_day() {
        for (value, expected) in [
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("0s", None),
            ("-5m", None),
            ("25h", None),
        ] {
            let read = read(&[(ROLLOUT_TIMEOUT, value)])
                .ok()
                .map(|settings| settings.rollout_timeout.as_secs());
            assert_eq!(read, expected, "{value}");
        }
    }
}
