//! Who else keeps a container's image, by what evidence, and what becomes of one that we write there.
//!
//! A controller that has the object from Git, or from a resource of its own, takes back what others write. It is known by the fields
//! that it manages, by what it writes on its objects to find them again, and by owner references. None of that is proof alone:
//! labels and annotations are copied from one manifest to the next, and whoever managed a field once may be gone. So the manager
//! of the very image counts most, then an owner, then the marks of a tool, unless what the tool applied has no such container.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use self::claims::Claims;
use super::annotations::WRITE_BACK;
use super::workload::WorkloadKind;

mod claims;
mod fields;

/// The updater's name in `managedFields`.
pub const FIELD_MANAGER: &str = "kubefresh-updater";

/// What is known of a container's image beside its value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ownership {
    /// Who brings their own value back, at once or some day. Shared by the containers of a workload.
    pub keeper: Option<Arc<Keeper>>,
    /// Who set it last, where the API server kept that.
    pub writer: Option<Writer>,
}

impl Ownership {
    /// What an object's metadata say of each of these containers, which are given by name and whether they stand under
    /// `initContainers`.
    pub fn of<'c>(
        kind: WorkloadKind,
        metadata: &ObjectMeta,
        containers: impl IntoIterator<Item = (&'c str, bool)>,
    ) -> Vec<Self> {
        let claims = Claims::of(kind, metadata);
        let mut keepers: Vec<Arc<Keeper>> = Vec::new();
        let mut shared = |keeper: Keeper| {
            let known = keepers.iter().find(|known| ***known == keeper).cloned();
            let shared = known.unwrap_or_else(|| Arc::new(keeper));
            keepers.push(Arc::clone(&shared));
            shared
        };
        let containers = containers.into_iter();
        containers
            .map(|(container, init)| Self {
                keeper: claims.keeper(container, init).map(&mut shared),
                writer: claims.writer(container, init),
            })
            .collect()
    }
}

/// A manager of an image, as the API server keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    pub manager: String,
    /// When it last wrote anything that it manages.
    pub at: Option<Timestamp>,
}

impl fmt::Display for Writer {
    /// `argocd-controller, 2026-11-21T03:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.manager)?;
        self.at.map_or(Ok(()), |at| write!(f, ", {at}"))
    }
}

/// Somebody who has an image's value from elsewhere, and why we believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    pub source: Source,
    pub evidence: Evidence,
}

/// Where the value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An Application of Argo CD: `NAME`, or `NAMESPACE/NAME` where it is not in Argo CD's own namespace.
    ArgoCd { application: Option<String> },
    /// A Kustomization of Flux, as `NAMESPACE/NAME`.
    Kustomization { name: Option<String> },
    /// A `HelmRelease` of Flux, as `NAMESPACE/NAME`.
    HelmRelease { name: Option<String> },
    /// The object that controls this one.
    Owner { kind: String, name: String },
    /// A release of Helm, which nobody reconciles.
    Helm {
        release: String,
        /// Installed by server-side apply, as by Helm 4: to take a field back from somebody, it has to be told to.
        applied: bool,
    },
}

/// What tells of a keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// It manages the very image, or the container where it has left a mark besides.
    FieldManager(&'static str),
    Annotation(&'static str),
    Label(&'static str),
    OwnerReference,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldManager(manager) => write!(f, "the field manager {manager}"),
            Self::Annotation(key) => write!(f, "the annotation {key}"),
            Self::Label(key) => write!(f, "the label {key}"),
            Self::OwnerReference => f.write_str("its owner reference"),
        }
    }
}

impl fmt::Display for Source {
    /// `Argo CD (application shop)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |tool: &str, kind: &str, name: &Option<String>| match name {
            Some(name) => format!("{tool} ({kind} {name})"),
            None => tool.to_owned(),
        };
        f.write_str(&match self {
            Self::ArgoCd { application } => of("Argo CD", "application", application),
            Self::Kustomization { name } => of("Flux", "Kustomization", name),
            Self::HelmRelease { name } => of("Flux", "HelmRelease", name),
            Self::Owner { kind, name } => format!("the {kind} {name}"),
            Self::Helm { release, .. } => format!("Helm (release {release})"),
        })
    }
}

impl Keeper {
    /// Whether it takes back what others write with no hand of a person in it, so that nothing is written unasked.
    pub fn takes_back(&self) -> bool {
        match self.source {
            Source::ArgoCd { .. }
            | Source::Kustomization { .. }
            | Source::HelmRelease { .. }
            | Source::Owner { .. } => true,
            Source::Helm { .. } => false,
        }
    }

    /// Who keeps the image, by what evidence, and what people can do: the reason why an update is left to them.
    pub fn advice(&self) -> String {
        let there = match &self.source {
            Source::ArgoCd { .. } | Source::Kustomization { .. } => "change it in Git",
            Source::HelmRelease { .. } | Source::Helm { .. } => "change it in the values of the release",
            Source::Owner { .. } => "change it there",
        };
        let Self { source, evidence } = self;
        format!("{source} keeps this image, by {evidence}: {there}, or say {WRITE_BACK}=cluster")
    }

    /// What becomes of an image that is written all the same.
    pub fn prospect(&self) -> String {
        let Self { source, evidence: _ } = self;
        match source {
            Source::ArgoCd { .. } => {
                format!("{source} takes it back at its next sync, where it heals itself within seconds")
            }
            Source::Kustomization { .. } => format!("{source} takes it back at its next reconciliation"),
            Source::HelmRelease { .. } => {
                format!("{source} takes it back at its next upgrade, where it corrects drift before that")
            }
            Source::Owner { .. } => format!("{source} may take it back, as it controls this object"),
            Source::Helm {
                release,
                applied: false,
            } => {
                format!("the next helm upgrade of the release {release} brings its own value back")
            }
            Source::Helm {
                release,
                applied: true,
            } => {
                format!(
                    "the next helm upgrade of the release {release} stops at this field, or with --force-conflicts brings its own \
                     value back"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
