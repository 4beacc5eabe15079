//! Who owns whom, kept from the store's changes so that nobody lists a thousand objects to find three.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::key::ObjectKey;
use crate::apiserver::resources::Resource;

/// Dependents by the UID of each owner, and the UIDs that exist.
#[derive(Debug, Default)]
pub struct Index {
    dependents: HashMap<String, BTreeSet<ObjectKey>>,
    existing: HashSet<String>,
}

impl Index {
    /// Takes a new or changed object in.
    pub fn insert(&mut self, resource: &'static Resource, object: &Value, previous: Option<&Value>) {
        let key = ObjectKey::of(resource, object);
        if let Some(previous) = previous {
            self.forget_owners(&key, previous);
        }
        self.existing.insert(uid_of(object).to_owned());
        for owner in owner_uids(object) {
            self.dependents
                .entry(owner.to_owned())
                .or_default()
                .insert(key.clone());
        }
    }

    /// Takes an object out. Its own dependents stay listed until they are gone too.
    pub fn remove(&mut self, resource: &'static Resource, object: &Value) {
        self.forget_owners(&ObjectKey::of(resource, object), object);
        self.existing.remove(uid_of(object));
    }

    /// What the object with this UID owns.
    pub fn dependents(&self, uid: &str) -> Vec<ObjectKey> {
        self.dependents
            .get(uid)
            .map(|keys| keys.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// True while an object with this UID exists.
    pub fn exists(&self, uid: &str) -> bool {
        self.existing.contains(uid)
    }

    fn forget_owners(&mut self, key: &ObjectKey, object: &Value) {
        for owner in owner_uids(object) {
            if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

/// The object's UID, empty when it has none.
pub fn uid_of(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// The UIDs of all owners.
pub fn owner_uids(object: &Value) -> impl Iterator<Item = &str> {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str())
}
