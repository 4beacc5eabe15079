//! What lies beneath a workload's own annotations: those of its namespace, and beneath them what the installation says.
//!
//! A namespace's part is read once and shared by its workloads. What is wrong in it stops those workloads that would be
//! watched and do not say the same better themselves.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::dialect::image_watcher;
use super::given::{Given, Origin};
use super::kept::{first, kept, unkept};
use super::key::Setting;
use super::settings::{Base, policy_error};
use super::value::parse_variable_switch;
use super::{AnnotationError, PREFIX, is_ours};
use crate::domain::channel::Channel;
use crate::domain::schedule::time_zone;

/// What every variable of ours begins with that speaks of workloads.
const VARIABLE_PREFIX: &str = "KUBEFRESH_";
/// What those of Image-Watcher begin with, which keep their meaning.
const IMAGE_WATCHER_PREFIX: &str = "IMAGE_WATCHER_";

/// Whether a variable may say something of workloads.
pub fn is_variable(name: &str) -> bool {
    name == TIME_ZONE || name.starts_with(VARIABLE_PREFIX) || name.starts_with(IMAGE_WATCHER_PREFIX)
}

/// The variable by which programs are told in which time zone they are.
const TIME_ZONE: &str = "TZ";

/// The switch by which the installation's values win over all others.
const OVERRIDE: &str = "OVERRIDE";
/// Where that is said, in its own words.
const IMAGE_WATCHER_OVERRIDE: &str = "variable IMAGE_WATCHER_OVERRIDE";
/// Where the installation opts nobody in: what a cluster cannot do without is only touched when named.
const SYSTEM_NAMESPACE: &str = "kube-system";

/// A value that is kept, with the words that say where it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    value: String,
    origin: String,
}

impl Held {
    fn given(&self) -> Given<'_> {
        Given {
            value: Cow::Borrowed(&self.value),
            origin: Origin::Elsewhere(&self.origin),
        }
    }
}

/// What holds for the workloads of a namespace as far as they do not say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    given: BTreeMap<Setting, Held>,
    /// What of it could be read.
    pub(super) base: Base,
    errors: Vec<LayerError>,
    /// The channels that can be named; `None`: nobody knows.
    pub(super) configured: Option<Arc<BTreeSet<Channel>>>,
    /// What is said for a workload does not count here.
    pub(super) overridden: BTreeSet<Setting>,
}

/// Something that is wrong in a layer.
#[derive(Debug, Clone)]
pub(super) struct LayerError {
    /// `None`: nobody can say better, since it is not known what was meant.
    pub(super) setting: Option<Setting>,
    pub(super) error: AnnotationError,
}

impl Layer {
    fn new(
        given: BTreeMap<Setting, Held>,
        overridden: BTreeSet<Setting>,
        unknown: Vec<AnnotationError>,
    ) -> Self {
        let unknown = first(unknown)
            .into_iter()
            .map(|error| LayerError { setting: None, error });
        let mut errors: Vec<LayerError> = unknown.collect();
        let find = |setting| given.get(&setting).map(Held::given);
        let base = Base::read(find, |setting, error| {
            errors.push(LayerError {
                setting: Some(setting),
                error,
            });
        });
        Self {
            given,
            base,
            errors,
            configured: None,
            overridden,
        }
    }

    /// What lies beneath workloads that somebody asks about by name: they need not opt in, but may opt out.
    pub fn opted_in() -> Self {
        let held = Held {
            value: "true".to_owned(),
            origin: "the command line".to_owned(),
        };
        Self::new(
            BTreeMap::from([(Setting::Watch, held)]),
            BTreeSet::new(),
            Vec::new(),
        )
    }

    /// What it says of a setting, if anything.
    pub(super) fn given(&self, setting: Setting) -> Option<Given<'_>> {
        self.given.get(&setting).map(Held::given)
    }

    pub(super) fn wrong(&self) -> &[LayerError] {
        &self.errors
    }

    /// Everything that is wrong in it.
    pub fn errors(&self) -> impl Iterator<Item = &AnnotationError> {
        self.errors.iter().map(|wrong| &wrong.error)
    }
}

/// What the installation says of all workloads, by the environment or the command line of both programs.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    overridden: BTreeSet<Setting>,
    /// Kubefresh's own namespace.
    own_namespace: String,
    /// For a namespace that says nothing itself.
    plain: Arc<Layer>,
    /// The same, where the installation opts nobody in.
    reserved: Arc<Layer>,
    time_zone: Option<TimeZone>,
}

impl Installation {
    /// Reads variables and flags; those that are none of ours, or set to nothing, say nothing. A flag, as `KEY=VALUE`, wins
    /// over a variable.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn read<'v>(
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
        flags: impl IntoIterator<Item = &'v str>,
        overrides: bool,
    ) -> Result<Self, Vec<AnnotationError>> {
        let mut reader = Reader {
            overrides,
            ..Reader::default()
        };
        for (name, value) in variables {
            reader.variable(name, value.trim());
        }
        for flag in flags {
            reader.flag(flag);
        }
        let Reader {
            given,
            overrides,
            time_zone,
            image_watcher_overrides: _,
            mut errors,
        } = reader.with_defaults_of_image_watcher();
        let overridden = if overrides {
            overridden(&given)
        } else {
            BTreeSet::new()
        };
        let plain = Layer::new(given.clone(), overridden.clone(), Vec::new());
        errors.extend(plain.errors().cloned());
        if let Err(wrong) = plain.base.container.policy.check() {
            errors.push(policy_error(&wrong, |setting| plain.given(setting)));
        }
        if errors.is_empty() {
            Ok(Self {
                time_zone,
                ..Self::new(given, overridden)
            })
        } else {
            Err(errors)
        }
    }

    fn new(given: BTreeMap<Setting, Held>, overridden: BTreeSet<Setting>) -> Self {
        let mut reserved = given.clone();
        if opts_in(&reserved) {
            reserved.remove(&Setting::Watch);
        }
        let layer = |given: BTreeMap<Setting, Held>| Layer::new(given, overridden.clone(), Vec::new());
        Self {
            plain: Arc::new(layer(given)),
            reserved: Arc::new(layer(reserved)),
            overridden,
            own_namespace: String::new(),
            time_zone: None,
        }
    }

    /// The time zone of the place, as the variable `TZ` has it, if it says any.
    pub fn time_zone(&self) -> Option<&TimeZone> {
        self.time_zone.as_ref()
    }

    /// The same, of an updater that tells people on these channels; none is as good as not known, as nobody is told anything then.
    #[must_use]
    pub fn telling_on(self, channels: BTreeSet<Channel>) -> Self {
        let configured = (!channels.is_empty()).then(|| Arc::new(channels));
        let telling = |layer: Arc<Layer>| {
            Arc::new(Layer {
                configured: configured.clone(),
                ..Arc::unwrap_or_clone(layer)
            })
        };
        Self {
            plain: telling(self.plain),
            reserved: telling(self.reserved),
            ..self
        }
    }

    /// The same, of a Kubefresh that is itself in this namespace.
    #[must_use]
    pub fn living_in(self, namespace: &str) -> Self {
        Self {
            own_namespace: namespace.to_owned(),
            ..self
        }
    }

    /// What holds in a namespace that says nothing itself.
    pub(super) fn beneath(&self, namespace: &str) -> &Arc<Layer> {
        if namespace == SYSTEM_NAMESPACE || namespace == self.own_namespace {
            &self.reserved
        } else {
            &self.plain
        }
    }

    /// What holds in a namespace with these annotations, of which only ours matter.
    pub fn layer(&self, namespace: &str, annotations: &BTreeMap<String, String>) -> Arc<Layer> {
        let beneath = self.beneath(namespace);
        let annotations = kept(Some(annotations), is_ours);
        if annotations.is_empty() {
            return Arc::clone(beneath);
        }
        let mut given = beneath.given.clone();
        let mut unknown = Vec::new();
        for (key, value) in annotations {
            let origin = format!("annotation {key} on namespace {namespace}");
            if let Some(error) = unkept(&key, &value, || origin.clone()) {
                unknown.push(error);
                continue;
            }
            let name = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/'));
            match name.and_then(default_named) {
                None => unknown.push(no_default(origin, Setting::defaults().map(Setting::key))),
                Some(setting) if self.overridden.contains(&setting) => {}
                Some(setting) => drop(given.insert(setting, Held { value, origin })),
            }
        }
        Arc::new(Layer {
            configured: beneath.configured.clone(),
            ..Layer::new(given, self.overridden.clone(), unknown)
        })
    }
}

/// What is known of the namespaces of a cluster.
#[derive(Debug, Clone)]
pub enum Namespaces {
    /// Nobody may read them, so that the installation alone speaks for them.
    Unread(Arc<Installation>),
    /// Those that are in view; a workload of any other one waits until its namespace is.
    Read(BTreeMap<String, Arc<Layer>>),
}

impl Default for Namespaces {
    fn default() -> Self {
        Self::Unread(Arc::default())
    }
}

impl Namespaces {
    /// What lies beneath the workloads of a namespace; `None` where nothing may be decided for them.
    pub fn layer(&self, namespace: &str) -> Option<&Arc<Layer>> {
        match self {
            Self::Unread(installation) => Some(installation.beneath(namespace)),
            Self::Read(layers) => layers.get(namespace),
        }
    }
}

/// The way from variables and flags to what they say.
#[derive(Debug, Default)]
struct Reader {
    given: BTreeMap<Setting, Held>,
    overrides: bool,
    time_zone: Option<TimeZone>,
    image_watcher_overrides: bool,
    errors: Vec<AnnotationError>,
}

impl Reader {
    /// What Image-Watcher does not ask workloads either once it overrides them: it has defaults of its own.
    fn with_defaults_of_image_watcher(mut self) -> Self {
        if self.image_watcher_overrides {
            for (setting, value) in image_watcher::DEFAULTS {
                let (value, origin) = (value.to_owned(), IMAGE_WATCHER_OVERRIDE.to_owned());
                self.given.entry(setting).or_insert(Held { value, origin });
            }
        }
        self
    }

    fn variable(&mut self, name: &str, value: &str) {
        if name == TIME_ZONE {
            return self.place(value);
        }
        if let Some(rest) = name.strip_prefix(IMAGE_WATCHER_PREFIX) {
            return self.image_watcher(name, rest, value);
        }
        let Some(rest) = name.strip_prefix(VARIABLE_PREFIX) else {
            return;
        };
        let origin = format!("variable {name}");
        if rest == OVERRIDE {
            if !value.is_empty() {
                self.switch(value, &origin);
            }
        } else if let Some(setting) = Setting::defaults().find(|setting| variable(*setting) == name) {
            if !value.is_empty() {
                let value = value.to_owned();
                self.given.insert(setting, Held { value, origin });
            }
        } else if !is_service_link(rest) {
            let known = Setting::defaults()
                .map(variable)
                .chain([format!("{VARIABLE_PREFIX}{OVERRIDE}")]);
            self.errors.push(no_default(origin, known));
        }
    }

    fn place(&mut self, value: &str) {
        let written = value.strip_prefix(':').unwrap_or(value);
        // A file of whoever's machine this is says nothing of the place that workloads are in.
        if written.is_empty() || written.starts_with('/') {
            return;
        }
        let by_rules = |reason| TimeZone::posix(written).map_err(|_| reason);
        match time_zone(written).or_else(by_rules) {
            Ok(zone) => self.time_zone = Some(zone),
            Err(reason) => self.refuse(value, &format!("variable {TIME_ZONE}"), reason),
        }
    }

    /// Ours of the same meaning win. What else begins so is none of its own, such as what Kubernetes sets for a Service of
    /// that name.
    fn image_watcher(&mut self, name: &str, rest: &str, value: &str) {
        let origin = format!("variable {name}");
        if value.is_empty() {
            return;
        }
        let (setting, said) = match rest {
            "MODE" => (Setting::Mode, image_watcher::mode(value)),
            "STRATEGY" => (Setting::Policy, image_watcher::policy(value).map(Some)),
            "WATCH" => (Setting::Watch, Ok(Some(value))),
            "SCHEDULE" => (Setting::Schedule, Ok(Some(value))),
            OVERRIDE => {
                let is_on = self.switch(value, &origin);
                self.image_watcher_overrides |= is_on;
                return;
            }
            _ => return,
        };
        match said {
            Ok(None) => {}
            Ok(Some(value)) => {
                let value = value.to_owned();
                self.given.entry(setting).or_insert(Held { value, origin });
            }
            Err(reason) => self.refuse(value, &origin, reason.to_owned()),
        }
    }

    /// Whether it is on.
    fn switch(&mut self, value: &str, origin: &str) -> bool {
        let is_on = parse_variable_switch(value).unwrap_or_else(|reason| {
            self.refuse(value, origin, reason);
            false
        });
        self.overrides |= is_on;
        is_on
    }

    fn refuse(&mut self, value: &str, origin: &str, reason: String) {
        let (value, origin) = (Cow::Borrowed(value), Origin::Elsewhere(origin));
        self.errors.push(Given { value, origin }.invalid(reason));
    }

    fn flag(&mut self, flag: &str) {
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        let origin = format!("flag --default {key}");
        if let Some(setting) = default_named(key) {
            let value = value.to_owned();
            self.given.insert(setting, Held { value, origin });
        } else {
            let known = Setting::defaults().map(|setting| <&str>::from(setting).to_owned());
            self.errors.push(no_default(origin, known));
        }
    }
}

/// What Kubernetes sets for each Service of a pod's namespace, whose name may begin as ours does: `KUBEFRESH_PORT_80_TCP`.
fn is_service_link(rest: &str) -> bool {
    let is_port = |rest: &str| rest == "PORT" || rest.ends_with("_PORT");
    let beyond = rest.rsplit_once("PORT_").map(|(_, beyond)| beyond);
    is_port(rest)
        || rest.ends_with("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || beyond.is_some_and(|beyond| beyond.starts_with(|first: char| first.is_ascii_digit()))
}

fn default_named(name: &str) -> Option<Setting> {
    Setting::defaults().find(|setting| <&str>::from(*setting) == name)
}

/// The variable by which the installation says a setting.
fn variable(setting: Setting) -> String {
    let name: &str = setting.into();
    format!("{VARIABLE_PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn no_default(origin: String, known: impl Iterator<Item = String>) -> AnnotationError {
    AnnotationError::NoDefault {
        origin,
        known: known.collect::<Vec<_>>().join(", "),
    }
}

/// What is no longer asked for when the installation's values win. To have opted out always counts.
fn overridden(given: &BTreeMap<Setting, Held>) -> BTreeSet<Setting> {
    let mut overridden: BTreeSet<Setting> = given.keys().copied().collect();
    if opts_in(given) {
        overridden.remove(&Setting::Watch);
    }
    overridden
}

fn opts_in(given: &BTreeMap<Setting, Held>) -> bool {
    given
        .get(&Setting::Watch)
        .is_some_and(|held| held.value == "true")
}
