//! The `ReplicaSets` of a Deployment: which one belongs to the current template, its making, its revision, and the
//! history that `kubectl rollout undo` reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::status::{bounds, wanted_replicas};
use crate::apiserver::resources::REPLICA_SETS;
use crate::controllers::cluster::{Cluster, controller_reference, sort_by_age};
use crate::controllers::hashing::template_hash;
use crate::controllers::key::ObjectKey;

const HASH_LABEL: &str = "pod-template-hash";
/// The number of a rollout, on the Deployment and on its sets.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The number of replicas the Deployment wanted when the set was last sized.
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// That number and the surge.
pub const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// All sets of a Deployment, told apart.
#[derive(Debug)]
pub struct Sets {
    /// The set of the current template.
    pub new: Option<Arc<Value>>,
    /// The others, oldest first.
    pub old: Vec<Arc<Value>>,
    /// `new` was made in this pass.
    pub created: bool,
}

impl Sets {
    /// New and old.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.new.iter().chain(&self.old)
    }
}

/// `spec.replicas` of a set.
pub fn wanted(set: &Value) -> i64 {
    set["spec"]["replicas"].as_i64().unwrap_or_default()
}

/// A count of a set's status.
pub fn count(set: &Value, field: &str) -> i64 {
    set["status"][field].as_i64().unwrap_or_default()
}

/// The number of an annotation, 0 when there is none.
pub fn annotated_number(object: &Value, name: &str) -> i64 {
    object["metadata"]["annotations"][name]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// Finds the sets of a Deployment.
pub fn find(cluster: &Cluster, deployment: &Value) -> Sets {
    let mut old = cluster.controlled(deployment, &REPLICA_SETS);
    sort_by_age(&mut old);
    let template = without_hash(&deployment["spec"]["template"]);
    let position = old
        .iter()
        .position(|set| without_hash(&set["spec"]["template"]) == template);
    let new = position.map(|index| old.remove(index));
    Sets {
        new,
        old,
        created: false,
    }
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.remove("creationTimestamp");
    }
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH_LABEL);
    }
    template
}

/// Makes the set of the current template if there is none, and gives it the next revision.
pub fn ensure_new(cluster: &Cluster, deployment: &Value, sets: &mut Sets, first_size: i64) {
    let newest = sets
        .old
        .iter()
        .map(|set| annotated_number(set, REVISION))
        .max()
        .unwrap_or_default();
    let revision = newest + 1;
    if let Some(set) = &sets.new {
        let current = annotated_number(set, REVISION);
        sets.new = Some(annotate(cluster, deployment, set, current.max(revision)));
    } else {
        let set = new_set(deployment, revision, first_size);
        match cluster.store.create(&REPLICA_SETS, set) {
            Ok(set) => {
                sets.created = true;
                sets.new = Some(set);
            }
            Err(error) => tracing::warn!(%error, "a ReplicaSet could not be created"),
        }
    }
    let Some(set) = &sets.new else { return };
    let revision = set["metadata"]["annotations"][REVISION].clone();
    if deployment["metadata"]["annotations"][REVISION] != revision {
        cluster.change(
            &ObjectKey::of(&crate::apiserver::resources::DEPLOYMENTS, deployment),
            |deployment| {
                if !deployment["metadata"]["annotations"].is_object() {
                    deployment["metadata"]["annotations"] = json!({});
                }
                deployment["metadata"]["annotations"][REVISION] = revision;
            },
        );
    }
}

fn new_set(deployment: &Value, revision: i64, size: i64) -> Value {
    let mut template = without_hash(&deployment["spec"]["template"]);
    let hash = template_hash(&template);
    template["metadata"]["labels"][HASH_LABEL] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    if !selector["matchLabels"].is_object() {
        selector["matchLabels"] = json!({});
    }
    selector["matchLabels"][HASH_LABEL] = json!(hash);
    let name = deployment["metadata"]["name"].as_str().unwrap_or_default();
    let mut annotations = json!({});
    copy_annotations(deployment, &mut annotations);
    annotations[REVISION] = json!(revision.to_string());
    size_annotations(deployment, &mut annotations);
    json!({
        "metadata": {
            "name": format!("{name}-{hash}"),
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": size,
            "minReadySeconds": deployment["spec"]["minReadySeconds"].as_i64().unwrap_or_default(),
            "selector": selector,
            "template": template,
        },
    })
}

fn copy_annotations(deployment: &Value, annotations: &mut Value) {
    let own = [REVISION, REVISION_HISTORY, DESIRED, MAXIMUM, LAST_APPLIED];
    for (name, value) in deployment["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if !own.contains(&name.as_str()) {
            annotations[name] = value.clone();
        }
    }
}

/// Notes what the Deployment wanted when it sized the set.
pub fn size_annotations(deployment: &Value, annotations: &mut Value) {
    let replicas = wanted_replicas(deployment);
    annotations[DESIRED] = json!(replicas.to_string());
    annotations[MAXIMUM] = json!((replicas + bounds(deployment).surge).to_string());
}

fn annotate(cluster: &Cluster, deployment: &Value, set: &Arc<Value>, revision: i64) -> Arc<Value> {
    let key = ObjectKey::of(&REPLICA_SETS, set);
    let changed = cluster.change(&key, |set| {
        if !set["metadata"]["annotations"].is_object() {
            set["metadata"]["annotations"] = json!({});
        }
        let annotations = &mut set["metadata"]["annotations"];
        copy_annotations(deployment, annotations);
        let before = annotations[REVISION].as_str().unwrap_or_default().to_owned();
        if before != revision.to_string() {
            let history = annotations[REVISION_HISTORY].as_str().unwrap_or_default();
            let separator = if history.is_empty() { "" } else { "," };
            if !before.is_empty() {
                annotations[REVISION_HISTORY] = json!(format!("{history}{separator}{before}"));
            }
            annotations[REVISION] = json!(revision.to_string());
        }
        set["spec"]["minReadySeconds"] =
            json!(deployment["spec"]["minReadySeconds"].as_i64().unwrap_or_default());
    });
    changed.unwrap_or_else(|| Arc::clone(set))
}

/// Sets of the history beyond `revisionHistoryLimit` are removed once they are empty, oldest revision first.
pub fn remove_old_history(cluster: &Cluster, deployment: &Value, sets: &Sets) {
    let limit = deployment["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_empty = |set: &&Arc<Value>| wanted(set) == 0 && count(set, "replicas") == 0;
    let mut removable: Vec<&Arc<Value>> = sets.old.iter().filter(is_empty).collect();
    removable.sort_by_key(|set| annotated_number(set, REVISION));
    let excess = sets.old.len().saturating_sub(limit);
    for set in removable.into_iter().take(excess) {
        let key = ObjectKey::of(&REPLICA_SETS, set);
        if let Err(error) = cluster.store.delete(&REPLICA_SETS, &key.namespace, &key.name) {
            tracing::debug!(%error, "an old ReplicaSet was gone already");
        }
    }
}
