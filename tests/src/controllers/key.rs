//! The address of an object: what controllers queue and index.

use serde_json::Value;

use crate::apiserver::resources::{self, Resource};

/// Group, resource, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    group: &'static str,
    plural: &'static str,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The object's name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object of `resource`.
    pub fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        let Resource { group, plural, .. } = resource.stored();
        Self {
            group,
            plural,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key of a stored object.
    pub fn of(resource: &'static Resource, object: &Value) -> Self {
        let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default();
        Self::new(resource, field("namespace"), field("name"))
    }

    /// The resource the key belongs to.
    pub fn resource(&self) -> &'static Resource {
        resources::by_group(self.group, self.plural).expect("a key is made from a known resource")
    }

    /// True for objects of `resource`.
    pub fn is_of(&self, resource: &'static Resource) -> bool {
        self.group == resource.group && self.plural == resource.plural
    }
}

/// The key of the object's controller (the owner marked `controller: true`), if its kind is known.
pub fn controller_of(object: &Value) -> Option<ObjectKey> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let resource = resources::by_kind(owner["apiVersion"].as_str()?, owner["kind"].as_str()?)?;
    let namespace = if resource.namespaced {
        object["metadata"]["namespace"].as_str().unwrap_or_default()
    } else {
        ""
    };
    Some(ObjectKey::new(resource, namespace, owner["name"].as_str()?))
}

/// The UID of the object's controller.
pub fn controller_uid(object: &Value) -> Option<&str> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}
