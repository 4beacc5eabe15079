//! create, update and patch of whole objects and of their status.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::patching::{self, Patch};
use super::path::Target;
use super::present::View;
use super::resources::Resource;
use super::respond::{self, Answer};
use super::serve::Call;
use super::store::Store;
use super::strategy::Part;
use super::{decode, defaults, events, negotiate};
use crate::patch::apply::{self, ApplyOptions};
use crate::patch::managed_fields::track_update;

pub(super) fn create(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    if !target.name.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    let mut object = read_object(call, target)?;
    set_namespace(target, &mut object)?;
    if object["metadata"]["resourceVersion"]
        .as_str()
        .is_some_and(|version| !version.is_empty())
    {
        return Err(ApiError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    events::check_new(target.resource, &object)?;
    let mut object = events::absorb(target.resource, object);
    validate_fields(call, target, &object)?;
    defaults::apply(target.resource, &mut object);
    track(call, target, &Value::Null, &mut object, store.clock().now());
    let created = store.create_with(target.resource, object, call.dry_run())?;
    answer(StatusCode::CREATED, store, call, target, &created)
}

pub(super) fn replace(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let mut object = read_object(call, target)?;
    set_namespace(target, &mut object)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if name != target.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            target.name
        )));
    }
    let object = events::absorb(target.resource, object);
    validate_fields(call, target, &object)?;
    let now = store.clock().now();
    let updated = store.update_with(
        target.resource,
        &target.namespace,
        &target.name,
        part(target),
        call.dry_run(),
        |stored| {
            same_version(target, stored, &object)?;
            same_uid(target, stored, &object)?;
            let old = std::mem::replace(stored, object);
            finish(call, target, &old, stored, now);
            Ok(())
        },
    )?;
    answer(StatusCode::OK, store, call, target, &updated)
}

pub(super) fn patch(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    let patch = match Patch::read(&call.content_type, &call.body)? {
        Patch::Apply(applied) => return server_side_apply(store, call, target, applied),
        patch @ (Patch::Json(_) | Patch::Merge(_) | Patch::Strategic(_)) => patch,
    };
    let now = store.clock().now();
    let updated = store.update_with(
        target.resource,
        &target.namespace,
        &target.name,
        part(target),
        call.dry_run(),
        |stored| {
            let mut patched = events::present(target.resource, stored.clone());
            patch.apply(&mut patched)?;
            let patched = events::absorb(target.resource, patched);
            validate_fields(call, target, &patched)?;
            if patched["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"] {
                return Err(ApiError::stale(target.resource, &target.name));
            }
            same_uid(target, stored, &patched)?;
            if patched["metadata"]["name"] != stored["metadata"]["name"] {
                let cause = Cause::invalid(
                    "metadata.name",
                    &patched["metadata"]["name"],
                    "field is immutable",
                );
                return Err(ApiError::invalid(target.resource, &target.name, &[cause]));
            }
            let old = std::mem::replace(stored, patched);
            finish(call, target, &old, stored, now);
            Ok(())
        },
    )?;
    answer(StatusCode::OK, store, call, target, &updated)
}

fn server_side_apply(
    store: &Store,
    call: &Call,
    target: &Target,
    mut applied: Value,
) -> Result<Answer, ApiError> {
    let manager = call.query.get("fieldManager").ok_or_else(|| {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        let message = format!(
            "PatchOptions.meta.k8s.io \"\" is invalid: {}: {}",
            cause.field, cause.message
        );
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    })?;
    check_type(target.resource, &mut applied)?;
    set_namespace(target, &mut applied)?;
    applied["metadata"]["name"] = json!(target.name);
    let applied = events::absorb(target.resource, applied);
    validate_fields(call, target, &applied)?;
    let options = ApplyOptions {
        manager,
        force: call.query.flag("force"),
        subresource: &target.subresource,
        now: store.clock().now(),
    };
    let merge = |live: Option<&Value>| {
        apply::apply(live, &applied, &options).map_err(|error| patching::apply_error(&error))
    };
    // Two clients may create the object at the same time: the slower one then updates.
    for _ in 0..2 {
        if store
            .get(target.resource, &target.namespace, &target.name)
            .is_none()
        {
            if !target.subresource.is_empty() {
                return Err(ApiError::not_found(target.resource, &target.name));
            }
            match store.create_with(target.resource, merge(None)?, call.dry_run()) {
                Err(error) if error.reason == "AlreadyExists" => {}
                created => return answer(StatusCode::CREATED, store, call, target, &created?),
            }
        }
        let updated = store.update_with(
            target.resource,
            &target.namespace,
            &target.name,
            part(target),
            call.dry_run(),
            |stored| {
                if !applied["metadata"]["resourceVersion"].is_null() {
                    same_version(target, stored, &applied)?;
                }
                *stored = merge(Some(stored))?;
                Ok(())
            },
        );
        match updated {
            Err(error) if error.reason == "NotFound" => {}
            updated => return answer(StatusCode::OK, store, call, target, &updated?),
        }
    }
    Err(ApiError::stale(target.resource, &target.name))
}

fn answer(
    code: StatusCode,
    store: &Store,
    call: &Call,
    target: &Target,
    object: &Arc<Value>,
) -> Result<Answer, ApiError> {
    let view = View::new(target.resource, call.format()?, &call.query, store.clock());
    Ok(respond::json(code, &view.object(Value::clone(object), true)))
}

fn part(target: &Target) -> Part {
    if target.subresource == "status" {
        Part::Status
    } else {
        Part::Main
    }
}

/// Completes a changed object and records who changed it.
fn finish(call: &Call, target: &Target, old: &Value, new: &mut Value, now: Timestamp) {
    if target.resource.has_status && target.subresource.is_empty() {
        // What a client says about the status here is not its to say, so it must not own it either.
        new["status"] = old["status"].clone();
    }
    defaults::apply(target.resource, new);
    track(call, target, old, new, now);
}

fn track(call: &Call, target: &Target, old: &Value, new: &mut Value, now: Timestamp) {
    if old.is_null() {
        new["apiVersion"] = json!(target.resource.stored().api_version());
        new["kind"] = json!(target.resource.kind);
        if target.resource.has_status
            && let Some(fields) = new.as_object_mut()
        {
            fields.remove("status");
        }
    }
    let api_version = target.resource.api_version();
    track_update(
        old,
        new,
        &call.field_manager(),
        "Update",
        &target.subresource,
        &api_version,
        now,
    );
}

fn read_object(call: &Call, target: &Target) -> Result<Value, ApiError> {
    let mut object = negotiate::object(&call.content_type, &call.body)?;
    check_type(target.resource, &mut object)?;
    drop_nulls(&mut object);
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    Ok(object)
}

/// Unknown fields are an error only for clients that ask for it; they are never stored.
fn validate_fields(call: &Call, target: &Target, object: &Value) -> Result<(), ApiError> {
    if call.query.get("fieldValidation") == Some("Strict") {
        decode::strict(target.resource, object)?;
    }
    Ok(())
}

/// Decoding into Go structs loses nulls; so do we.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn check_type(resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    let (version, kind) = (resource.api_version(), resource.kind);
    for (field, expected) in [("apiVersion", version.as_str()), ("kind", kind)] {
        let found = object[field].as_str().unwrap_or_default();
        if !found.is_empty() && found != expected {
            return Err(ApiError::bad_request(format!(
                "the {field} in the data ({found}) does not match the expected {field} ({expected})"
            )));
        }
    }
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    Ok(())
}

fn set_namespace(target: &Target, object: &mut Value) -> Result<(), ApiError> {
    if !target.resource.namespaced {
        return Ok(());
    }
    if target.namespace.is_empty() {
        return Err(ApiError::bad_request(
            "an empty namespace may not be set during creation",
        ));
    }
    let given = object["metadata"]["namespace"].as_str().unwrap_or_default();
    if !given.is_empty() && given != target.namespace {
        return Err(ApiError::bad_request(format!(
            "the namespace of the provided object does not match the namespace sent on the request ({given}, {})",
            target.namespace
        )));
    }
    object["metadata"]["namespace"] = json!(target.namespace);
    Ok(())
}

fn same_version(target: &Target, stored: &Value, given: &Value) -> Result<(), ApiError> {
    let given = given["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if given.is_empty() {
        if matches!(target.resource.kind, "Lease" | "PodDisruptionBudget") {
            let detail = "must be specified for an update";
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), detail);
            return Err(ApiError::invalid(target.resource, &target.name, &[cause]));
        }
        return Ok(());
    }
    if stored["metadata"]["resourceVersion"] == given {
        return Ok(());
    }
    Err(ApiError::stale(target.resource, &target.name))
}

fn same_uid(target: &Target, stored: &Value, given: &Value) -> Result<(), ApiError> {
    let (stored, given) = (&stored["metadata"]["uid"], &given["metadata"]["uid"]);
    if given.is_null() || given == stored {
        return Ok(());
    }
    let text = |uid: &Value| uid.as_str().unwrap_or_default().to_owned();
    let detail = format!(
        "Precondition failed: UID in precondition: {}, UID in object meta: {}",
        text(given),
        text(stored)
    );
    Err(ApiError::conflict(target.resource, &target.name, &detail))
}
