//! Whose key it is and what it speaks of.

use std::collections::BTreeSet;

use strum::VariantArray as _;

use super::{AnnotationError, PREFIX, STATE_KEYS, of_container};
use crate::domain::text;

/// How much is said of the containers that there are, in bytes.
const CONTAINERS_LENGTH: usize = 500;

/// What people can set. `kubefresh.dev/KEY` says it for a workload with all its containers.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Setting {
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
    /// Whether tags may differ in what stands behind the version.
    Suffix,
    Approved,
    /// What is never to be offered.
    Hold,
    /// What the last update gave and is to be left.
    Undo,
    /// How long our scanner must have known a tag, or what a tag that moves points at.
    MinAge,
    /// Whether the digest is written beside the tag.
    Pin,
    /// When updates may start; at any time where it is not given.
    Window,
    /// When they may not, whatever the window says.
    Freeze,
    /// Whether an update that fails is undone.
    Rollback,
    RolloutTimeout,
    /// When the repositories are asked; at every run of the scanner where it is not given.
    Schedule,
    ScheduleTimezone,
    /// Ask at the next run of the scanner, whatever the schedule says.
    CheckNow,
    /// Where updates are written, also where somebody else keeps the image.
    WriteBack,
    /// Where it is written what is new.
    ReleaseNotes,
    /// Which risks need somebody's approval in mode `auto`, too.
    RequireApproval,
    /// How many different people have to agree where anybody has to.
    Approvers,
    /// How long the word of one of them waits for the others.
    ApprovalDeadline,
    /// On which channels people are told; on all where it is not given.
    Channels,
}

impl Setting {
    /// Whether it can also be said of one container alone, as `CONTAINER.kubefresh.dev/KEY`.
    fn may_speak_of_a_container(self) -> bool {
        match self {
            Self::Watch
            | Self::Mode
            | Self::Policy
            | Self::TagPattern
            | Self::TagExtract
            | Self::TagOrder
            | Self::Include
            | Self::Exclude
            | Self::Prerelease
            | Self::FollowVariants
            | Self::Suffix
            | Self::Approved
            | Self::Hold
            | Self::Undo
            | Self::MinAge
            | Self::Pin
            | Self::WriteBack
            | Self::ReleaseNotes
            | Self::RequireApproval
            | Self::Approvers
            | Self::ApprovalDeadline => true,
            Self::Window
            | Self::Freeze
            | Self::Rollback
            | Self::RolloutTimeout
            | Self::Schedule
            | Self::ScheduleTimezone
            | Self::CheckNow
            | Self::Channels => false,
        }
    }

    /// Whether a namespace or the installation can say it for their workloads. What is said once, to be done once, is no
    /// default.
    pub(super) fn may_be_a_default(self) -> bool {
        match self {
            Self::Watch
            | Self::Mode
            | Self::Policy
            | Self::TagPattern
            | Self::TagExtract
            | Self::TagOrder
            | Self::Include
            | Self::Exclude
            | Self::Prerelease
            | Self::FollowVariants
            | Self::Suffix
            | Self::MinAge
            | Self::Pin
            | Self::Window
            | Self::Freeze
            | Self::Rollback
            | Self::RolloutTimeout
            | Self::Schedule
            | Self::ScheduleTimezone
            | Self::WriteBack
            | Self::ReleaseNotes
            | Self::RequireApproval
            | Self::Approvers
            | Self::ApprovalDeadline
            | Self::Channels => true,
            Self::Approved | Self::Hold | Self::Undo | Self::CheckNow => false,
        }
    }

    /// Whether whoever says it has begun to speak our words. The others are said beside those of another tool: what is approved or
    /// held, that it is time to look, that the update may be written although somebody keeps the image, where its notes are,
    /// what needs approval beside that, of how many and within what time, or who is told.
    pub(super) fn is_lasting(self) -> bool {
        let beside_others = [
            Self::WriteBack,
            Self::ReleaseNotes,
            Self::RequireApproval,
            Self::Approvers,
            Self::ApprovalDeadline,
            Self::Channels,
        ];
        self.may_be_a_default() && !beside_others.contains(&self)
    }

    /// All that can be a default.
    pub(super) fn defaults() -> impl Iterator<Item = Self> {
        let all = Self::VARIANTS.iter().copied();
        all.filter(|setting| setting.may_be_a_default())
    }

    /// The annotation that says it for one container.
    pub(super) fn key_of(self, container: &str) -> String {
        of_container(container, &self.key())
    }

    /// The annotation that says it for a workload.
    pub(super) fn key(self) -> String {
        let name: &str = self.into();
        format!("{PREFIX}/{name}")
    }
}

/// An annotation's key, as far as it concerns us.
#[derive(Debug)]
pub(super) enum Key<'a> {
    Foreign,
    State,
    /// For the workload and all its containers.
    Common(Setting),
    /// For this container.
    Own(&'a str, Setting),
}

impl<'a> Key<'a> {
    /// Reads a key of a workload with these containers.
    pub(super) fn of(key: &'a str, containers: &BTreeSet<&str>) -> Result<Self, AnnotationError> {
        let Some((prefix, name)) = key.split_once('/') else {
            return Ok(Self::Foreign);
        };
        if prefix == PREFIX {
            return match name.parse() {
                Ok(setting) => Ok(Self::Common(setting)),
                Err(_) if STATE_KEYS.contains(&key) => Ok(Self::State),
                Err(_) => Err(unknown(key, |_| true)),
            };
        }
        let Some(container) = prefix
            .strip_suffix(PREFIX)
            .and_then(|rest| rest.strip_suffix('.'))
        else {
            return Ok(Self::Foreign);
        };
        if !containers.contains(container) {
            let containers = containers.iter().copied().collect::<Vec<_>>().join(", ");
            return Err(AnnotationError::UnknownContainer {
                key: key.to_owned(),
                containers: text::cut(&containers, CONTAINERS_LENGTH),
            });
        }
        let setting = name
            .parse()
            .ok()
            .filter(|setting: &Setting| setting.may_speak_of_a_container());
        setting
            .map(|setting| Self::Own(container, setting))
            .ok_or_else(|| unknown(key, Setting::may_speak_of_a_container))
    }
}

fn unknown(key: &str, is_known_here: impl Fn(Setting) -> bool) -> AnnotationError {
    let settings = Setting::VARIANTS.iter().copied();
    let known = settings
        .filter(|setting| is_known_here(*setting))
        .map(<&str>::from);
    AnnotationError::UnknownKey {
        key: key.to_owned(),
        known: known.collect::<Vec<_>>().join(", "),
    }
}
