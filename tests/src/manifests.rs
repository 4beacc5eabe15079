//! Manifests from files and text, as objects.

use serde_json::Value;

use crate::programs::workspace;

/// The objects of a YAML text with any number of documents.
///
/// # Panics
/// When it is no YAML.
pub fn parse(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("the manifest is YAML");
    documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect()
}

/// What `kubectl apply -k deploy/manifests` applies; `just generated` holds the two together.
pub fn install() -> Vec<Value> {
    read("deploy/install.yaml")
}

/// The objects of a file of the repository.
///
/// # Panics
/// When it cannot be read.
pub fn read(path: &str) -> Vec<Value> {
    let path = workspace().join(path);
    let text = std::fs::read_to_string(&path).expect("the file is part of the repository");
    parse(&text)
}
