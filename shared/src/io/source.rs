//! Where objects of one kind are read, also where one of them is not as its type has it.
//!
//! The API server keeps what our types cannot say, such as a time in the last hours of the year 9999, and in a list one such object
//! would keep all others from being read. Everything is read as it is; only after that has failed is each object read by itself.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One API, in both ways of reading.
#[derive(Debug, Clone)]
pub struct Source<K> {
    pub api: Api<K>,
    pub apart: Api<Apart<K>>,
}

impl<K: Resource<DynamicType = ()>> Source<K> {
    /// In all namespaces.
    pub fn all(client: &Client) -> Self {
        Self {
            api: Api::all(client.clone()),
            apart: Api::all(client.clone()),
        }
    }

    /// In one of them.
    pub fn namespaced(client: &Client, namespace: &str) -> Self
    where
        K: Resource<Scope = NamespaceResourceScope>,
    {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            apart: Api::namespaced(client.clone(), namespace),
        }
    }
}

/// Whether an answer came, and cannot be read.
pub fn is_unreadable(error: &kube::Error) -> bool {
    matches!(error, kube::Error::SerdeError(_))
}

/// An object, or what is known of one that cannot be read. In need of more time and memory than the object alone.
#[derive(Debug, Clone)]
pub struct Apart<K>(pub Result<K, Unreadable>);

/// An object that is not as its type has it.
#[derive(Debug, Clone)]
pub struct Unreadable {
    /// No more than which one it is: the rest may be what cannot be read.
    pub metadata: ObjectMeta,
    pub reason: String,
}

impl Unreadable {
    /// Says in the log which object of this kind is passed over, and why.
    pub fn left_alone<K: Resource<DynamicType = ()>>(&self) {
        let (kind, reason) = (K::kind(&()), &self.reason);
        let (namespace, name) = (&self.metadata.namespace, &self.metadata.name);
        tracing::warn!(%kind, namespace, name, reason, "an object cannot be read and is left alone");
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Apart<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self(K::deserialize(&value).map_err(|error| Unreadable {
            metadata: which(&value),
            reason: error.to_string(),
        })))
    }
}

fn which(object: &Value) -> ObjectMeta {
    let text = |key: &str| object["metadata"][key].as_str().map(str::to_owned);
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        ..ObjectMeta::default()
    }
}

impl<K: Resource> Resource for Apart<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|bad| &bad.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|bad| &mut bad.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_object_that_cannot_be_read_is_named_and_spoils_no_other() {
        let deployment = |name: &str, created: &str, set: &str| {
            let managed = json!([{ "manager": "somebody", "time": set }]);
            json!({
                "metadata": { "name": name, "namespace": "shop", "resourceVersion": "7", "managedFields": managed },
                "spec": {
                    "selector": {},
                    "template": { "metadata": { "creationTimestamp": created } },
                },
            })
        };
        let (good, bad) = ("2026-11-21T03:00:00Z", "9999-12-31T00:00:00Z");
        for (created, set, is_read) in [(good, good, true), (bad, good, false), (good, bad, false)] {
            let object = deployment("checkout", created, set);
            let read: Apart<Deployment> = serde_json::from_value(object).unwrap();
            assert_eq!(read.0.is_ok(), is_read, "{created} {set}");
            let metadata = read.meta();
            assert_eq!(metadata.name.as_deref(), Some("checkout"));
            assert_eq!(metadata.namespace.as_deref(), Some("shop"));
            assert_eq!(metadata.resource_version.as_deref(), Some("7"));
        }
    }
}
