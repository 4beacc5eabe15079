//! What an object's metadata say of where its images come from.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::fields::{ManagedFields, Share, is_applied};
use super::{Evidence, Keeper, Source, Writer};
use crate::domain::workload::WorkloadKind;

/// Names its Application and, in the same words, the object that it stands on. By default Argo CD finds its objects by it.
const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// By which it does where it is told to, as so many other tools write the first of them, too.
const INSTANCE: &str = "app.kubernetes.io/instance";
const OWN_INSTANCE: &str = "argocd.argoproj.io/instance";
/// The second is how Argo CD called itself without a name of its own.
const ARGO_CD: [&str; 2] = ["argocd-controller", "argocd-application-controller"];

const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const KUSTOMIZE_NAME: &str = "kustomize.toolkit.fluxcd.io/name";
const HELM: &str = "helm.toolkit.fluxcd.io";
const HELM_NAME: &str = "helm.toolkit.fluxcd.io/name";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const RELEASE: &str = "meta.helm.sh/release-name";
const HELM_MANAGER: &str = "helm";

/// What stands on one object.
#[derive(Debug)]
pub(super) struct Claims<'a> {
    fields: ManagedFields<'a>,
    metadata: &'a ObjectMeta,
    tools: Vec<Tool>,
}

/// A tool that reconciles, and what it left on the object.
#[derive(Debug)]
struct Tool {
    managers: &'static [&'static str],
    source: Source,
    mark: Mark,
}

#[derive(Debug)]
enum Mark {
    Own(Evidence),
    /// One that others leave just so.
    Common,
    None,
}

impl<'a> Claims<'a> {
    pub(super) fn of(kind: WorkloadKind, metadata: &'a ObjectMeta) -> Self {
        Self {
            fields: ManagedFields::of(kind, metadata),
            metadata,
            tools: [
                Some(argo_cd(kind, metadata)),
                kustomization(metadata),
                helm_release(metadata),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }

    /// Who keeps this image: of several, by the best evidence.
    pub(super) fn keeper(&self, container: &str, init: bool) -> Option<Keeper> {
        let managing = self.tools.iter().find_map(|tool| {
            let manager = self.manager(tool, container, init)?;
            Some(Keeper {
                source: tool.source.clone(),
                evidence: Evidence::FieldManager(manager),
            })
        });
        let marked = || {
            let mut tools = self.tools.iter();
            tools.find_map(|tool| self.marked(tool, container, init))
        };
        managing
            .or_else(|| owner(self.metadata))
            .or_else(marked)
            .or_else(|| self.helm())
    }

    /// The last who wrote it, of those who agree on it.
    pub(super) fn writer(&self, container: &str, init: bool) -> Option<Writer> {
        let managers = self.fields.managers(container, init);
        let last = managers.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
        Some(Writer {
            manager: last.manager.clone().filter(|manager| !manager.is_empty())?,
            at: last.time.as_ref().map(|time| time.0),
        })
    }

    /// Under which name a tool manages the image itself.
    fn manager(&self, tool: &Tool, container: &str, init: bool) -> Option<&'static str> {
        let mut managers = tool.managers.iter().copied();
        managers.find(|manager| self.share(manager, container, init) == Share::Image)
    }

    fn share(&self, manager: &str, container: &str, init: bool) -> Share {
        let entries = self.fields.by(manager);
        let shares = entries.map(|entry| self.fields.share(entry, container, init));
        shares.max().unwrap_or(Share::Nothing)
    }

    /// By what a tool left, where it does not manage the image. Somebody else may have written that last, and what the tool
    /// managed once may be all that is left of it, so that one alone is not enough.
    fn marked(&self, tool: &Tool, container: &str, init: bool) -> Option<Keeper> {
        let mut managers = tool.managers.iter().copied();
        let manager = managers.find(|manager| self.share(manager, container, init) >= Share::Container);
        let evidence = match (&tool.mark, manager) {
            (Mark::Own(evidence), Some(_)) => evidence.clone(),
            (Mark::Own(evidence), None) if !self.applies(tool) => evidence.clone(),
            (Mark::Common, Some(manager)) => Evidence::FieldManager(manager),
            (Mark::Own(_) | Mark::Common | Mark::None, _) => return None,
        };
        Some(Keeper {
            source: tool.source.clone(),
            evidence,
        })
    }

    fn applies(&self, tool: &Tool) -> bool {
        let mut entries = tool.managers.iter().flat_map(|manager| self.fields.by(manager));
        entries.any(is_applied)
    }

    /// The two by which Helm itself knows its own.
    fn helm(&self) -> Option<Keeper> {
        let release = value(self.metadata.annotations.as_ref(), RELEASE)?;
        if value(self.metadata.labels.as_ref(), MANAGED_BY) != Some("Helm") {
            return None;
        }
        Some(Keeper {
            source: Source::Helm {
                release: release.to_owned(),
                applied: self.fields.by(HELM_MANAGER).any(is_applied),
            },
            evidence: Evidence::Annotation(RELEASE),
        })
    }
}

fn argo_cd(kind: WorkloadKind, metadata: &ObjectMeta) -> Tool {
    let label = |key| value(metadata.labels.as_ref(), key);
    let tracked = value(metadata.annotations.as_ref(), TRACKING_ID);
    let (application, mark) = if let Some(application) = tracked.and_then(|id| tracked_by(id, kind, metadata))
    {
        (Some(application), Mark::Own(Evidence::Annotation(TRACKING_ID)))
    } else if let Some(application) = label(OWN_INSTANCE) {
        (Some(application), Mark::Own(Evidence::Label(OWN_INSTANCE)))
    } else if let Some(application) = label(INSTANCE) {
        (Some(application), Mark::Common)
    } else {
        (None, Mark::None)
    };
    Tool {
        managers: &ARGO_CD,
        source: Source::ArgoCd {
            // No name of an application has that sign.
            application: application.map(|name| name.replacen('_', "/", 1)),
        },
        mark,
    }
}

/// The application of `APPLICATION:GROUP/KIND:NAMESPACE/NAME`, if it speaks of this object: one that was copied from another
/// says nothing, to Argo CD neither.
fn tracked_by<'a>(id: &'a str, kind: WorkloadKind, metadata: &ObjectMeta) -> Option<&'a str> {
    let (application, object) = id.split_once(':')?;
    let (group, _) = kind.api_version().split_once('/')?;
    let (namespace, name) = (metadata.namespace.as_deref()?, metadata.name.as_deref()?);
    (object == format!("{group}/{kind}:{namespace}/{name}")).then_some(application)
}

/// `None` where Flux was told not to apply the object, or only to create it. `Merge` spares only what is not in Git.
fn kustomization(metadata: &ObjectMeta) -> Option<Tool> {
    let is_spared = is_set(metadata, &format!("{KUSTOMIZE}/reconcile"), "disabled")
        || is_set(metadata, &format!("{KUSTOMIZE}/ssa"), "Ignore")
        || is_set(metadata, &format!("{KUSTOMIZE}/ssa"), "IfNotPresent");
    (!is_spared).then(|| {
        let (name, mark) = flux_mark(metadata, KUSTOMIZE, KUSTOMIZE_NAME);
        Tool {
            managers: &["kustomize-controller"],
            source: Source::Kustomization { name },
            mark,
        }
    })
}

/// `None` where it corrects no drift, so that it is like any release of Helm.
fn helm_release(metadata: &ObjectMeta) -> Option<Tool> {
    (!is_set(metadata, &format!("{HELM}/driftDetection"), "disabled")).then(|| {
        let (name, mark) = flux_mark(metadata, HELM, HELM_NAME);
        Tool {
            managers: &["helm-controller"],
            source: Source::HelmRelease { name },
            mark,
        }
    })
}

fn flux_mark(metadata: &ObjectMeta, group: &str, label: &'static str) -> (Option<String>, Mark) {
    let labels = metadata.labels.as_ref();
    let Some(name) = value(labels, label) else {
        return (None, Mark::None);
    };
    let namespace = value(labels, &format!("{group}/namespace"));
    let name = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    (Some(name), Mark::Own(Evidence::Label(label)))
}

fn owner(metadata: &ObjectMeta) -> Option<Keeper> {
    let mut owners = metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    Some(Keeper {
        source: Source::Owner {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
        },
        evidence: Evidence::OwnerReference,
    })
}

/// As Flux reads its own: a label or an annotation, in any case.
fn is_set(metadata: &ObjectMeta, key: &str, wanted: &str) -> bool {
    let maps = [metadata.labels.as_ref(), metadata.annotations.as_ref()];
    let mut values = maps.into_iter().filter_map(|map| value(map, key));
    values.any(|found| found.eq_ignore_ascii_case(wanted))
}

/// A key without a value says nothing.
fn value<'a>(map: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    map?.get(key)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}
