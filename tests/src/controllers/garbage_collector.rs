//! Garbage collection: dependents go when their last owner is gone; `orphan` and `foregroundDeletion` finalizers of
//! an owner are carried out. What is in a deleted namespace the store removes itself.

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::index::{owner_uids, uid_of};
use super::key::ObjectKey;
use crate::apiserver::resources::Resource;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// An object is gone: so are those it alone owned.
pub fn owner_deleted(cluster: &Cluster, owner: &Value) {
    for key in cluster.index.dependents(uid_of(owner)) {
        collect_if_unowned(cluster, &key);
    }
}

/// An object appeared or changed: removes it when all its owners are gone, and goes on with a deletion its own
/// finalizers hold up.
pub fn object_changed(cluster: &Cluster, resource: &'static Resource, object: &Value) {
    let key = ObjectKey::of(resource, object);
    if owner_uids(object).next().is_some() {
        collect_if_unowned(cluster, &key);
    }
    if object["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    let dependents = cluster.index.dependents(uid_of(object));
    if has_finalizer(object, ORPHAN) {
        for dependent in &dependents {
            disown(cluster, dependent, uid_of(object));
        }
        release(cluster, &key, ORPHAN);
    } else if has_finalizer(object, FOREGROUND) {
        if dependents.is_empty() {
            release(cluster, &key, FOREGROUND);
        }
        for dependent in dependents {
            delete(cluster, &dependent);
        }
    }
}

/// A dependent is gone: an owner that waited for it may go too.
pub fn dependent_deleted(cluster: &Cluster, dependent: &Value) {
    let owners = dependent["metadata"]["ownerReferences"].as_array();
    for owner in owners.into_iter().flatten() {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        let Some(resource) = crate::apiserver::resources::by_kind(text("apiVersion"), text("kind")) else {
            continue;
        };
        let namespace = dependent["metadata"]["namespace"].as_str().unwrap_or_default();
        let namespace = if resource.namespaced { namespace } else { "" };
        if let Some(owner) = cluster.store.get(resource, namespace, text("name")) {
            object_changed(cluster, resource, &owner);
        }
    }
}

fn collect_if_unowned(cluster: &Cluster, key: &ObjectKey) {
    let Some(object) = cluster.get(key) else { return };
    if object["metadata"]["deletionTimestamp"].is_null()
        && owner_uids(&object).next().is_some()
        && owner_uids(&object).all(|uid| !cluster.index.exists(uid))
    {
        delete(cluster, key);
    }
}

fn delete(cluster: &Cluster, key: &ObjectKey) {
    if let Err(error) = cluster.store.delete(key.resource(), &key.namespace, &key.name) {
        tracing::debug!(name = key.name, %error, "a dependent was gone already");
    }
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    let finalizers = object["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|finalizer| finalizer == name))
}

fn release(cluster: &Cluster, key: &ObjectKey, name: &str) {
    cluster.change(key, |object| {
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != name);
        }
    });
}

fn disown(cluster: &Cluster, key: &ObjectKey, owner: &str) {
    cluster.change(key, |object| {
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.retain(|reference| reference["uid"] != json!(owner));
        }
    });
}
