//! What a workload's annotations say, together and read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::given::{Given, Origin, Said};
use super::kept::first;
use super::key::Setting;
use super::layer::{Layer, LayerError};
use super::value::{
    parse_approval_deadline, parse_approvers, parse_globs, parse_holds, parse_min_age, parse_risks,
    parse_rollout_timeout, parse_suffix, parse_switch, parse_undo, parse_windows,
};
use super::{AnnotationError, Approved, Mode, PREFIX, Pin, Subject, WriteBack};
use crate::domain::channel::{self, Channel};
use crate::domain::policy::{Hold, PolicyError, PolicyOptions};
use crate::domain::release_notes::risk::RiskFlag;
use crate::domain::release_notes::source::NotesSetting;
use crate::domain::schedule::{self, Schedule};
use crate::domain::window::Windows;

/// How long a rollout may take when nothing else is said.
pub const DEFAULT_ROLLOUT_TIMEOUT: SignedDuration = SignedDuration::from_mins(10);
/// The longest that may be asked for.
pub const MOST_ROLLOUT_TIMEOUT: SignedDuration = SignedDuration::from_hours(24);

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
    /// Shared by all containers, of which each may add its own.
    pub held: Arc<Vec<Hold>>,
    /// How long our scanner must have known a tag, or under `digest` what it points at, before it may be chosen.
    pub min_age: Option<SignedDuration>,
    /// How a new image is written; `None`: as the present one.
    pub pin: Option<Pin>,
    /// Where updates are written; `None`: into the cluster, unless somebody else keeps the image.
    pub write_back: Option<WriteBack>,
    /// Where it is written what is new in its images.
    pub release_notes: NotesSetting,
    /// Risks for which an update needs somebody's approval in mode `auto`, too.
    pub require_approval: BTreeSet<RiskFlag>,
    /// How many different people have to agree where anybody has to; `None`: one.
    pub approvers: Option<NonZeroU32>,
    /// How long the word of one of them waits for the others; `None`: for ever.
    pub approval_deadline: Option<SignedDuration>,
    pub by_default: ByDefault,
}

/// What of a container's settings was said for many and by nobody for its workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByDefault {
    /// That it is watched.
    pub watch: bool,
    /// The name of its policy.
    pub policy: bool,
    pub pin: bool,
}

/// The settings of a workload and of each of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub rollout_timeout: SignedDuration,
    /// When updates may start; `None`: at any time.
    pub window: Option<Arc<Windows>>,
    /// When they may not, whatever the window says.
    pub freeze: Option<Arc<Windows>>,
    /// Whether an update that fails is undone; where nothing is said, the mode decides.
    pub rollback: Option<bool>,
    /// When its repositories are to be asked; `None`: whenever the scanner runs.
    pub schedule: Option<Arc<Schedule>>,
    /// On which channels people are told of it; `None`: on all.
    pub channels: Option<Arc<BTreeSet<Channel>>>,
    /// By container name; every container has an entry.
    pub containers: BTreeMap<String, ContainerSettings>,
}

impl Settings {
    /// Whether any container is watched.
    pub fn watched(&self) -> bool {
        self.containers.values().any(|container| container.watch)
    }
}

/// What is said for a workload as a whole, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) container: ContainerSettings,
    rollout_timeout: SignedDuration,
    rollback: Option<bool>,
    window: Option<Arc<Windows>>,
    freeze: Option<Arc<Windows>>,
    schedule: Option<Arc<Schedule>>,
    channels: Option<Arc<BTreeSet<Channel>>>,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            container: ContainerSettings::default(),
            rollout_timeout: DEFAULT_ROLLOUT_TIMEOUT,
            rollback: None,
            window: None,
            freeze: None,
            schedule: None,
            channels: None,
        }
    }
}

impl Base {
    /// Reads the defaults that `find` has; each that is wrong is told to `tell` and left out.
    pub(super) fn read<'a>(
        find: impl Fn(Setting) -> Option<Given<'a>>,
        mut tell: impl FnMut(Setting, AnnotationError),
    ) -> Self {
        let mut base = Self::default();
        for setting in Setting::defaults() {
            if let Some(given) = find(setting)
                && let Err(error) = base.assign(setting, &given)
            {
                tell(setting, error);
            }
        }
        base.container.by_default = ByDefault {
            watch: base.container.watch,
            policy: base.container.policy.policy.is_some(),
            pin: base.container.pin.is_some(),
        };
        match time_zone(find(Setting::ScheduleTimezone).as_ref()) {
            Err(error) => tell(Setting::ScheduleTimezone, error),
            Ok(zone) => match find(Setting::Schedule).map(|given| parse_schedule(&given, zone)) {
                None => {}
                Some(Ok(schedule)) => base.schedule = Some(Arc::new(schedule)),
                Some(Err(error)) => tell(Setting::Schedule, error),
            },
        }
        base
    }

    /// Takes in what is said for a workload, but for the schedule, of which several settings are part.
    fn assign(&mut self, setting: Setting, given: &Given<'_>) -> Result<(), AnnotationError> {
        let value = given.value.as_ref();
        let assigned = match setting {
            Setting::RolloutTimeout => {
                parse_rollout_timeout(value).map(|timeout| self.rollout_timeout = timeout)
            }
            Setting::Rollback => parse_switch(value).map(|rollback| self.rollback = Some(rollback)),
            Setting::Window => {
                parse_windows(value, "always").map(|windows| self.window = windows.map(Arc::new))
            }
            Setting::Freeze => {
                parse_windows(value, "never").map(|windows| self.freeze = windows.map(Arc::new))
            }
            Setting::Channels => {
                channel::parse(value).map(|channels| self.channels = Some(Arc::new(channels)))
            }
            Setting::Watch
            | Setting::Mode
            | Setting::Policy
            | Setting::TagPattern
            | Setting::TagExtract
            | Setting::TagOrder
            | Setting::Include
            | Setting::Exclude
            | Setting::Prerelease
            | Setting::FollowVariants
            | Setting::Suffix
            | Setting::Approved
            | Setting::Hold
            | Setting::Undo
            | Setting::MinAge
            | Setting::Pin
            | Setting::WriteBack
            | Setting::ReleaseNotes
            | Setting::RequireApproval
            | Setting::Approvers
            | Setting::ApprovalDeadline
            | Setting::Schedule
            | Setting::ScheduleTimezone
            | Setting::CheckNow => return assign(&mut self.container, setting, given),
        };
        assigned.map_err(|reason| given.invalid(reason))
    }
}

/// Reads a workload's settings, over what lies beneath them; all errors at once, so that one edit can mend them all.
pub fn settings(subject: &Subject<'_>, layer: &Layer) -> Result<Settings, Vec<AnnotationError>> {
    let names = subject.container_names();
    let mut said = Said::read(subject, &names, layer).without(&layer.overridden);
    let mut errors: BTreeSet<AnnotationError> = said.errors.drain(..).collect();

    let mut base = layer.base.clone();
    for (setting, given) in &said.common {
        errors.extend(base.assign(*setting, given).err());
    }
    let entry = |name: &&str| ((*name).to_owned(), base.container.clone());
    let mut containers: BTreeMap<String, ContainerSettings> = names.iter().map(entry).collect();
    for ((container, setting), given) in &said.own {
        if let Some(container) = containers.get_mut(*container) {
            errors.extend(assign(container, *setting, given).err());
        }
    }
    match schedule(&said, layer) {
        Ok(schedule) => base.schedule = schedule,
        Err(error) => drop(errors.insert(error)),
    }
    let settings = Settings {
        rollout_timeout: base.rollout_timeout,
        rollback: base.rollback,
        window: base.window,
        freeze: base.freeze,
        schedule: base.schedule,
        channels: base.channels,
        containers,
    };
    errors.extend(unknown_channels(&said, layer, &settings));
    errors.extend(inherited_errors(&said, layer, &settings, &names));
    errors.extend(policy_errors(&said, layer, &settings.containers));
    if errors.is_empty() {
        Ok(settings)
    } else {
        Err(first(errors.into_iter().collect()))
    }
}

/// What is wrong beneath, and is not said better for this workload. It concerns those that are watched, and those of which
/// nobody knows whether they are.
fn inherited_errors(
    said: &Said<'_>,
    layer: &Layer,
    settings: &Settings,
    names: &BTreeSet<&str>,
) -> Vec<AnnotationError> {
    let concerns = |wrong: &&LayerError| match wrong.setting {
        None => settings.watched(),
        Some(setting) => {
            (setting == Setting::Watch || settings.watched()) && !said.speaks_for_all(setting, names)
        }
    };
    let wrong = layer.wrong().iter().filter(concerns);
    wrong.map(|wrong| wrong.error.clone()).collect()
}

/// A channel that is named and is none of those that are configured, where these are known.
fn unknown_channels(said: &Said<'_>, layer: &Layer, settings: &Settings) -> Option<AnnotationError> {
    let wanted = settings.channels.as_ref().filter(|_| settings.watched())?;
    let reason = channel::check(wanted, layer.configured.as_ref()?).err()?;
    let said = said.common.get(&Setting::Channels).cloned();
    let given = said.or_else(|| layer.given(Setting::Channels))?;
    Some(given.invalid(reason))
}

/// When the workload's repositories are to be asked. `check-now` overrides any schedule.
fn schedule(said: &Said<'_>, layer: &Layer) -> Result<Option<Arc<Schedule>>, AnnotationError> {
    let parts = [Setting::Schedule, Setting::ScheduleTimezone, Setting::CheckNow];
    if !parts.iter().any(|part| said.common.contains_key(part)) {
        return Ok(layer.base.schedule.clone());
    }
    let find = |setting| {
        said.common
            .get(&setting)
            .cloned()
            .or_else(|| layer.given(setting))
    };
    let zone = time_zone(find(Setting::ScheduleTimezone).as_ref())?;
    let Some(given) = find(Setting::Schedule) else {
        return match said.common.get(&Setting::ScheduleTimezone) {
            Some(given) => {
                let missing = Setting::Schedule.key();
                Err(given.invalid(format!("there is no {missing} that it could belong to")))
            }
            None => Ok(None),
        };
    };
    let schedule = Arc::new(parse_schedule(&given, zone)?);
    Ok(Some(schedule).filter(|_| !said.common.contains_key(&Setting::CheckNow)))
}

fn time_zone(given: Option<&Given<'_>>) -> Result<TimeZone, AnnotationError> {
    given.map_or(Ok(TimeZone::UTC), |given| {
        schedule::time_zone(&given.value).map_err(|reason| given.invalid(reason))
    })
}

fn parse_schedule(given: &Given<'_>, zone: TimeZone) -> Result<Schedule, AnnotationError> {
    Schedule::parse(&given.value, zone).map_err(|reason| given.invalid(reason))
}

/// What is wrong with the policies of watched containers, each option where it was given; once, however many containers
/// share it.
fn policy_errors(
    said: &Said<'_>,
    layer: &Layer,
    containers: &BTreeMap<String, ContainerSettings>,
) -> BTreeSet<AnnotationError> {
    let wrong = containers
        .iter()
        .filter(|(_, settings)| settings.watch)
        .filter_map(|(name, settings)| Some((name, settings.policy.check().err()?)));
    let named = wrong.map(|(name, error)| {
        policy_error(&error, |setting| {
            let own = said.own.get(&(name.as_str(), setting));
            let said = own.or_else(|| said.common.get(&setting)).cloned();
            said.or_else(|| layer.given(setting))
        })
    });
    named.collect()
}

/// An option that cannot be obeyed, where `find` says that it was given.
pub(super) fn policy_error<'a>(
    error: &PolicyError,
    find: impl Fn(Setting) -> Option<Given<'a>>,
) -> AnnotationError {
    let option: &str = error.option.into();
    let given = option.parse().ok().and_then(find);
    let key = format!("{PREFIX}/{option}");
    let origin = given.map_or(Origin::Annotation(&key), |given| given.origin);
    let value = Cow::Borrowed(error.value.as_str());
    Given { value, origin }.invalid(error.reason.clone())
}

/// Takes in what is said for a container; what is said for a workload only is none of its business.
fn assign(
    settings: &mut ContainerSettings,
    setting: Setting,
    given: &Given<'_>,
) -> Result<(), AnnotationError> {
    let value = given.value.as_ref();
    let assigned = match setting {
        Setting::Watch => parse_switch(value).map(|watch| {
            settings.watch = watch;
            settings.by_default.watch = false;
        }),
        Setting::Mode => Mode::parse(value).map(|mode| settings.mode = mode),
        Setting::Prerelease => parse_switch(value).map(|may| settings.policy.prerelease = may),
        Setting::FollowVariants => parse_switch(value).map(|may| settings.policy.follow_variants = may),
        Setting::Suffix => parse_suffix(value).map(|any| settings.policy.any_suffix = any),
        Setting::Include => parse_globs(value).map(|globs| settings.policy.include = globs),
        Setting::Exclude => parse_globs(value).map(|globs| settings.policy.exclude = globs),
        Setting::WriteBack => WriteBack::parse(value).map(|to| settings.write_back = Some(to)),
        Setting::ReleaseNotes => value.parse().map(|notes| settings.release_notes = notes),
        Setting::RequireApproval => parse_risks(value).map(|risks| settings.require_approval = risks),
        Setting::Approvers => parse_approvers(value).map(|people| settings.approvers = Some(people)),
        Setting::ApprovalDeadline => {
            parse_approval_deadline(value).map(|within| settings.approval_deadline = within)
        }
        Setting::MinAge => parse_min_age(value).map(|age| settings.min_age = age),
        Setting::Pin => Pin::parse(value).map(|pin| {
            settings.pin = Some(pin);
            settings.by_default.pin = false;
        }),
        Setting::Approved => value.parse().map(|approved| settings.approved = Some(approved)),
        // What is held for all containers is held for each, whatever else is.
        Setting::Hold => parse_holds(value).map(|holds| Arc::make_mut(&mut settings.held).extend(holds)),
        // It asks for something once, and says nothing of what is wanted.
        Setting::Undo => parse_undo(value).map(drop),
        Setting::Policy => {
            settings.policy.policy = Some(value.to_owned());
            settings.by_default.policy = false;
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
        | Setting::Rollback
        | Setting::RolloutTimeout
        | Setting::Schedule
        | Setting::ScheduleTimezone
        | Setting::CheckNow
        | Setting::Channels => Ok(()),
    };
    assigned.map_err(|reason| given.invalid(reason))
}
