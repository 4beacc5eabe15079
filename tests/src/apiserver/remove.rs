//! delete and deletecollection.

use serde_json::{Value, json};

use super::error::ApiError;
use super::path::Target;
use super::present::{ListMeta, View};
use super::resources::{self, Resource};
use super::respond::{self, Answer};
use super::serve::Call;
use super::store::{Preconditions, Store};
use super::{events, negotiate, read};

pub(super) fn one(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let options = options(call)?;
    let precondition = |field: &str| options["preconditions"][field].as_str().map(str::to_owned);
    let preconditions = Preconditions {
        uid: precondition("uid"),
        resource_version: precondition("resourceVersion"),
    };
    let dry_run = is_dry_run(call, &options);
    if !dry_run {
        orphan_dependents(
            store,
            call,
            &options,
            target.resource,
            &target.namespace,
            &target.name,
        );
    }
    let deleted = store.delete_with(
        target.resource,
        &target.namespace,
        &target.name,
        &preconditions,
        dry_run,
    )?;
    if deleted["metadata"]["deletionTimestamp"].is_string() {
        let view = View::new(target.resource, call.format()?, &call.query, store.clock());
        return Ok(respond::ok(&view.object(Value::clone(&deleted), true)));
    }
    let mut details =
        json!({"name": target.name, "kind": target.resource.plural, "uid": deleted["metadata"]["uid"]});
    if !target.resource.group.is_empty() {
        details["group"] = json!(target.resource.group);
    }
    Ok(respond::ok(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })))
}

pub(super) fn collection(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let options = options(call)?;
    let dry_run = is_dry_run(call, &options);
    let selector = read::selector(call, target)?;
    let snapshot = store.snapshot(target.resource, target.list_namespace());
    let mut deleted = Vec::new();
    for object in snapshot.items {
        if !selector.matches(&events::shown(target.resource, &object)) {
            continue;
        }
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        if !dry_run {
            orphan_dependents(
                store,
                call,
                &options,
                target.resource,
                text("namespace"),
                text("name"),
            );
        }
        let gone = store.delete_with(
            target.resource,
            text("namespace"),
            text("name"),
            &Preconditions::default(),
            dry_run,
        );
        match gone {
            Ok(object) => deleted.push(Value::clone(&object)),
            Err(error) if error.reason == "NotFound" => {}
            Err(error) => return Err(error),
        }
    }
    let view = View::new(target.resource, call.format()?, &call.query, store.clock());
    Ok(respond::ok(&view.list(
        deleted,
        &ListMeta {
            revision: store.revision(),
            ..ListMeta::default()
        },
    )))
}

/// `DeleteOptions` from the body; an empty body means none.
fn options(call: &Call) -> Result<Value, ApiError> {
    if call.body.is_empty() {
        Ok(json!({}))
    } else {
        negotiate::object(&call.content_type, &call.body)
    }
}

fn is_dry_run(call: &Call, options: &Value) -> bool {
    let listed = options["dryRun"]
        .as_array()
        .is_some_and(|modes| modes.contains(&json!("All")));
    call.dry_run() || listed
}

/// With `propagationPolicy: Orphan` the dependents forget their owner before it goes, so nobody collects them.
fn orphan_dependents(
    store: &Store,
    call: &Call,
    options: &Value,
    resource: &'static Resource,
    namespace: &str,
    name: &str,
) {
    let policy = call
        .query
        .get("propagationPolicy")
        .or_else(|| options["propagationPolicy"].as_str());
    if policy != Some("Orphan") {
        return;
    }
    let Some(owner) = store.get(resource, namespace, name) else {
        return;
    };
    let uid = &owner["metadata"]["uid"];
    let is_owner = |reference: &Value| reference["uid"] == *uid;
    for kind in resources::ALL
        .iter()
        .copied()
        .filter(|kind| kind.namespaced && kind.view_of.is_none())
    {
        for object in store.list(kind, Some(namespace)) {
            let references = object["metadata"]["ownerReferences"].as_array();
            if !references.is_some_and(|list| list.iter().any(is_owner)) {
                continue;
            }
            let dependent = object["metadata"]["name"].as_str().unwrap_or_default();
            let released = store.update(kind, namespace, dependent, |object| {
                if let Some(references) = object["metadata"]["ownerReferences"].as_array_mut() {
                    references.retain(|reference| !is_owner(reference));
                }
                Ok(())
            });
            if let Err(error) = released {
                tracing::debug!(%error, "a dependent went before it could be orphaned");
            }
        }
    }
}
