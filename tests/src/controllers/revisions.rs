//! `ControllerRevisions`: the history of a `StatefulSet` or `DaemonSet`, which `kubectl rollout undo` reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Cluster, controller_reference};
use super::hashing::template_hash;
use crate::apiserver::resources::CONTROLLER_REVISIONS;

/// The label on Pods and revisions that names the template a Pod was made from.
pub const HASH_LABEL: &str = "controller-revision-hash";

/// The revision of the current template, made or moved to the end of the history when needed.
pub fn ensure_current(cluster: &Cluster, owner: &Value) -> Option<Arc<Value>> {
    let mut history = cluster.controlled(owner, &CONTROLLER_REVISIONS);
    history.sort_by_key(|revision| number(revision));
    let newest = history.last().map_or(0, |revision| number(revision));
    let data = revision_data(&owner["spec"]["template"]);
    let Some(existing) = history.iter().find(|revision| revision["data"] == data) else {
        let made = cluster
            .store
            .create(&CONTROLLER_REVISIONS, new_revision(owner, &data, newest + 1));
        return made
            .inspect_err(|error| tracing::warn!(%error, "a revision could not be stored"))
            .ok();
    };
    if number(existing) == newest {
        return Some(Arc::clone(existing));
    }
    let key = super::key::ObjectKey::of(&CONTROLLER_REVISIONS, existing);
    cluster.change(&key, |revision| revision["revision"] = json!(newest + 1))
}

/// Removes revisions beyond `revisionHistoryLimit` that no Pod is of.
pub fn remove_old_history(cluster: &Cluster, owner: &Value, in_use: &[&str]) {
    let limit = owner["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let mut history = cluster.controlled(owner, &CONTROLLER_REVISIONS);
    history.sort_by_key(|revision| number(revision));
    history.retain(|revision| !in_use.contains(&hash_of(revision)) && !in_use.contains(&name_of(revision)));
    let excess = history
        .len()
        .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    for revision in history.into_iter().take(excess) {
        let namespace = revision["metadata"]["namespace"].as_str().unwrap_or_default();
        if let Err(error) = cluster
            .store
            .delete(&CONTROLLER_REVISIONS, namespace, name_of(&revision))
        {
            tracing::debug!(%error, "an old revision was gone already");
        }
    }
}

/// Name of a revision.
pub fn name_of(revision: &Value) -> &str {
    revision["metadata"]["name"].as_str().unwrap_or_default()
}

/// Hash of a revision, as its Pods carry it in [`HASH_LABEL`] (`DaemonSets`; `StatefulSets` use the name).
pub fn hash_of(revision: &Value) -> &str {
    super::pods::label(revision, HASH_LABEL)
}

/// The data of the revision of this name.
pub fn template_of(cluster: &Cluster, owner: &Value, name: &str) -> Option<Value> {
    let namespace = owner["metadata"]["namespace"].as_str().unwrap_or_default();
    let revision = cluster.store.get(&CONTROLLER_REVISIONS, namespace, name)?;
    let mut template = revision["data"]["spec"]["template"].clone();
    template.as_object_mut()?.remove("$patch");
    Some(template)
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or_default()
}

fn revision_data(template: &Value) -> Value {
    let mut template = template.clone();
    // The data is a strategic merge patch: this directive makes an undo replace the template as a whole.
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

fn new_revision(owner: &Value, data: &Value, number: i64) -> Value {
    let hash = template_hash(data);
    let name = owner["metadata"]["name"].as_str().unwrap_or_default();
    let mut labels = owner["spec"]["template"]["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    labels[HASH_LABEL] = json!(hash);
    let mut metadata = json!({
        "name": format!("{name}-{hash}"),
        "namespace": owner["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [controller_reference(owner)],
    });
    // As they are at this moment; an undo brings back the data and none of these.
    if owner["metadata"]["annotations"].is_object() {
        metadata["annotations"] = owner["metadata"]["annotations"].clone();
    }
    json!({"metadata": metadata, "data": data, "revision": number})
}
