//! The images of a manifest: every container of every pod template in a file of YAML documents.
//!
//! A document is whatever stands between two `---`, so that one that cannot be read leaves the others readable.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use serde_saphyr::SnippetMode;
use shared::domain::annotations::{self, Layer, Subject};
use shared::domain::policy::{Hold, PolicyOptions};
use shared::domain::workload::Container;

use super::document::{Document, documents};

/// Where an image was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Source {
    pub(super) file: String,
    /// Counted from 1, without empty ones.
    pub(super) document: usize,
    pub(super) kind: String,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) container: String,
}

/// An image to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// As written: it may be no valid reference.
    pub(super) image: String,
    /// `None` where it was given on the command line.
    pub(super) source: Option<Source>,
    pub(super) wanted: Wanted,
}

/// What is wanted of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What the policy would have, without what is held.
    Policy(PolicyOptions, Vec<Hold>),
    /// The annotation `watch` says `false`.
    Nothing,
    /// Nobody knows, because the workload cannot be understood; and why.
    Unknown(String),
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) file: String,
    /// `None`: the whole file.
    pub(super) document: Option<usize>,
    pub(super) reason: String,
}

/// An object without a pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PassedOver {
    pub(super) file: String,
    pub(super) document: usize,
    pub(super) kind: String,
    pub(super) name: String,
}

/// What was found in all manifests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) targets: Vec<Target>,
    pub(super) problems: Vec<Problem>,
    pub(super) passed_over: Vec<PassedOver>,
}

/// Where pod specs stand, whatever the kind.
const POD_SPECS: [&str; 3] = [
    "/spec/template/spec",
    "/spec/jobTemplate/spec/template/spec",
    "/template/spec",
];

/// Kinds that are nothing without a pod template.
const WORKLOADS: [&str; 9] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

impl Found {
    /// Reads a manifest. `default` is wanted of containers whose annotations do not say what is.
    pub(super) fn read(&mut self, file: &str, text: &str, default: &PolicyOptions) {
        for document in documents(text) {
            let mut reader = Reader {
                file,
                document: document.number,
                default,
                found: self,
            };
            match parse(&document) {
                // A document of comments, or of nothing but `null`.
                Ok(Value::Null) => {}
                Ok(object) => reader.object(&object),
                Err(reason) => reader.problem(reason),
            }
        }
    }

    /// A file that could not be read at all.
    pub(super) fn unreadable(&mut self, file: &str, reason: String) {
        self.problems.push(Problem {
            file: file.to_owned(),
            document: None,
            reason,
        });
    }
}

fn parse(document: &Document<'_>) -> Result<Value, String> {
    serde_saphyr::from_str(document.text).map_err(|error| {
        error.render_with_options(serde_saphyr::render_options! {
            snippets: SnippetMode::Off,
            line_offset: document.lines_before as u64,
        })
    })
}

/// One document on its way into what was found.
struct Reader<'a> {
    file: &'a str,
    document: usize,
    default: &'a PolicyOptions,
    found: &'a mut Found,
}

impl Reader<'_> {
    fn problem(&mut self, reason: impl Into<String>) {
        self.found.problems.push(Problem {
            file: self.file.to_owned(),
            document: Some(self.document),
            reason: reason.into(),
        });
    }

    fn object(&mut self, object: &Value) {
        let kind = text(object, "/kind").unwrap_or_default();
        if kind.is_empty() {
            return self.problem("it has no kind, so it is no object of Kubernetes");
        }
        if kind.ends_with("List")
            && let Some(items) = object.get("items").and_then(Value::as_array)
        {
            return items.iter().for_each(|item| self.object(item));
        }
        let pod_spec = if kind == "Pod" {
            object.get("spec")
        } else {
            POD_SPECS.iter().find_map(|pointer| object.pointer(pointer))
        };
        let containers = pod_spec.and_then(|pod| pod.get("containers")?.as_array());
        let name = text(object, "/metadata/name")
            .or_else(|| text(object, "/metadata/generateName"))
            .unwrap_or_default();
        match (pod_spec, containers) {
            (Some(pod), Some(containers)) => self.workload(object, pod, containers, kind, name),
            _ if WORKLOADS.contains(&kind) => {
                self.problem(format!(
                    "the {kind} {name:?} has no containers where a {kind} has them"
                ));
            }
            _ => self.found.passed_over.push(PassedOver {
                file: self.file.to_owned(),
                document: self.document,
                kind: kind.to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    fn workload(&mut self, object: &Value, pod: &Value, containers: &[Value], kind: &str, name: &str) {
        let init = pod.get("initContainers").and_then(Value::as_array);
        // Init containers first, as they run first.
        let all: Vec<&Value> = init.into_iter().flatten().chain(containers).collect();
        let init_count = init.map_or(0, Vec::len);
        let containers = all.iter().enumerate().map(|(index, container)| Container {
            name: text(container, "/name").unwrap_or_default().to_owned(),
            image: text(container, "/image").unwrap_or_default().to_owned(),
            init: index < init_count,
        });
        let settings = settings(object, &containers.collect::<Vec<_>>());
        for container in all {
            let container_name = text(container, "/name").unwrap_or_default();
            let Some(image) = text(container, "/image") else {
                self.problem(format!(
                    "container {container_name:?} of the {kind} {name:?} has no image"
                ));
                continue;
            };
            let wanted = match &settings {
                Ok(settings) => match settings.containers.get(container_name) {
                    Some(wanted) if !wanted.watch => Wanted::Nothing,
                    Some(wanted) if wanted.policy != PolicyOptions::default() => {
                        Wanted::Policy(wanted.policy.clone(), wanted.held.clone())
                    }
                    Some(wanted) => Wanted::Policy(self.default.clone(), wanted.held.clone()),
                    None => Wanted::Policy(self.default.clone(), Vec::new()),
                },
                Err(reason) => Wanted::Unknown(reason.clone()),
            };
            self.found.targets.push(Target {
                image: image.to_owned(),
                source: Some(Source {
                    file: self.file.to_owned(),
                    document: self.document,
                    kind: kind.to_owned(),
                    namespace: text(object, "/metadata/namespace").map(str::to_owned),
                    name: name.to_owned(),
                    container: container_name.to_owned(),
                }),
                wanted,
            });
        }
    }
}

/// What the annotations of a workload say. Whoever checks a manifest wants its images checked, so they need not opt in; but
/// they may opt out.
fn settings(object: &Value, containers: &[Container]) -> Result<annotations::Settings, String> {
    let subject = Subject {
        annotations: &strings(object, "annotation")?,
        labels: &strings(object, "label")?,
        containers,
    };
    annotations::settings(&subject, &Layer::opted_in()).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })
}

/// The annotations or the labels of an object.
fn strings(object: &Value, word: &str) -> Result<BTreeMap<String, String>, String> {
    let nothing = Map::new();
    let written = match object.pointer(&format!("/metadata/{word}s")) {
        None | Some(Value::Null) => &nothing,
        Some(Value::Object(written)) => written,
        Some(_) => return Err(format!("its {word}s are no map")),
    };
    let read = written.iter().map(|(key, value)| match value.as_str() {
        Some(value) => Ok((key.clone(), value.to_owned())),
        None => Err(format!("{word} {key}: {value} is no string; write it in quotes")),
    });
    read.collect()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests;
