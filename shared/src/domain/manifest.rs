//! The workloads of a manifest: every object with a pod template in a file of YAML documents.
//!
//! A document is whatever stands between two `---`, so that one that cannot be read leaves the others readable.

mod document;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use serde_saphyr::SnippetMode;

use super::annotations::Subject;
use super::ownership::Ownership;
use super::workload::Container;
use document::{Document, documents};

/// A part of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Counted from 1, without empty ones.
    pub document: usize,
    pub content: Content,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Workload(ManifestWorkload),
    /// An object without a pod template.
    PassedOver {
        kind: String,
        name: String,
    },
    /// It could not be read.
    Problem(String),
}

/// An object with a pod template, as it is written and before any server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestWorkload {
    /// The group of its API, as `apps`; empty for the core's, and nothing where it is not written.
    pub group: Option<String>,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
    /// Its annotations and its labels, or why they are none.
    pub written: Result<[BTreeMap<String, String>; 2], String>,
    /// Init containers first, as they run first. One that has no image has an empty one.
    pub containers: Vec<Container>,
}

impl ManifestWorkload {
    /// What it says of its images; the error says why nobody knows.
    pub fn subject(&self) -> Result<Subject<'_>, &str> {
        let [annotations, labels] = self.written.as_ref().map_err(String::as_str)?;
        Ok(Subject {
            annotations,
            labels,
            containers: &self.containers,
        })
    }
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

/// Reads a manifest, in its order.
pub fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for document in documents(text) {
        let mut tell = |content| {
            parts.push(Part {
                document: document.number,
                content,
            });
        };
        match parse(&document) {
            // A document of comments, or of nothing but `null`.
            Ok(Value::Null) => {}
            Ok(value) => object(&value, &mut tell),
            Err(reason) => tell(Content::Problem(reason)),
        }
    }
    parts
}

fn parse(document: &Document<'_>) -> Result<Value, String> {
    serde_saphyr::from_str(document.text).map_err(|error| {
        error.render_with_options(serde_saphyr::render_options! {
            snippets: SnippetMode::Off,
            line_offset: document.lines_before as u64,
        })
    })
}

fn object(value: &Value, tell: &mut dyn FnMut(Content)) {
    let kind = text(value, "/kind").unwrap_or_default();
    if kind.is_empty() {
        let reason = "it has no kind, so it is no object of Kubernetes";
        return tell(Content::Problem(reason.to_owned()));
    }
    if kind.ends_with("List")
        && let Some(items) = value.get("items").and_then(Value::as_array)
    {
        return items.iter().for_each(|item| object(item, tell));
    }
    let pod_spec = if kind == "Pod" {
        value.get("spec")
    } else {
        POD_SPECS.iter().find_map(|pointer| value.pointer(pointer))
    };
    let name = text(value, "/metadata/name")
        .or_else(|| text(value, "/metadata/generateName"))
        .unwrap_or_default();
    let (kind, name) = (kind.to_owned(), name.to_owned());
    tell(match pod_spec.and_then(containers) {
        Some(containers) => Content::Workload(ManifestWorkload {
            group: text(value, "/apiVersion").map(|version| group(version).to_owned()),
            kind,
            name,
            namespace: text(value, "/metadata/namespace").map(str::to_owned),
            written: strings(value, "annotation")
                .and_then(|annotations| Ok([annotations, strings(value, "label")?])),
            containers,
        }),
        None if WORKLOADS.contains(&kind.as_str()) => Content::Problem(format!(
            "the {kind} {name:?} has no containers where a {kind} has them"
        )),
        None => Content::PassedOver { kind, name },
    });
}

/// `apps` of `apps/v1`.
pub fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// `None` where there is nothing that has containers.
fn containers(pod: &Value) -> Option<Vec<Container>> {
    let list = |field: &str| pod.get(field).and_then(Value::as_array);
    let of = |list: &[Value], init: bool| -> Vec<Container> {
        let container = |value: &Value| Container {
            name: text(value, "/name").unwrap_or_default().to_owned(),
            image: text(value, "/image").unwrap_or_default().to_owned(),
            init,
            ownership: Ownership::default(),
        };
        list.iter().map(container).collect()
    };
    let mut all = list("initContainers").map_or_else(Vec::new, |list| of(list, true));
    all.extend(of(list("containers")?, false));
    Some(all)
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
