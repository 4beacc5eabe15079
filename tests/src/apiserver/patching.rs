//! The four kinds of patch, applied to an object as the client sees it.

use http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use super::negotiate;
use crate::patch;

/// A patch that has been read but not applied.
#[derive(Debug)]
pub(super) enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

impl Patch {
    /// Reads the body by its content type; 415 for anything else.
    pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        match negotiate::media_type(content_type) {
            "application/json-patch+json" => Ok(Self::Json(negotiate::json(body)?)),
            "application/merge-patch+json" => Ok(Self::Merge(object(negotiate::json(body)?)?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(object(negotiate::json(body)?)?)),
            "application/apply-patch+yaml" => Ok(Self::Apply(object(negotiate::yaml(body)?)?)),
            _ => Err(ApiError::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
                 application/apply-patch+yaml",
            )),
        }
    }

    /// Applies anything but server-side apply, which needs to know its manager.
    pub(super) fn apply(&self, object: &mut Value) -> Result<(), ApiError> {
        match self {
            Self::Json(operations) => patch::json::apply(object, operations).map_err(|error| {
                if matches!(error, patch::json::JsonPatchError::Malformed(_)) {
                    ApiError::bad_request(error.to_string())
                } else {
                    unprocessable(&error.to_string())
                }
            }),
            Self::Merge(fields) => {
                patch::merge::apply(object, fields);
                Ok(())
            }
            Self::Strategic(fields) => {
                let schema = patch::schema::Schema::of(object);
                patch::strategic::apply(object, fields, schema)
                    .map_err(|error| ApiError::bad_request(error.to_string()))
            }
            Self::Apply(_) => Err(ApiError::bad_request("an apply patch needs a field manager")),
        }
    }
}

fn object(value: Value) -> Result<Value, ApiError> {
    if value.is_object() {
        Ok(value)
    } else {
        Err(ApiError::bad_request("the patch must be an object"))
    }
}

/// 422 for a patch that cannot be applied to this object.
fn unprocessable(detail: &str) -> ApiError {
    let message = format!("the server rejected our request due to an error in our request: {detail}");
    ApiError {
        details: json!({"causes": [{"message": detail}]}),
        ..ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }
}

/// A refused server-side apply.
pub(super) fn apply_error(error: &patch::apply::ApplyError) -> ApiError {
    match error {
        patch::apply::ApplyError::Conflicts(conflicts) => {
            let causes: Vec<Value> = conflicts
                .iter()
                .map(|conflict| {
                    json!({
                        "reason": "FieldManagerConflict",
                        "message": conflict.message,
                        "field": conflict.field,
                    })
                })
                .collect();
            ApiError {
                details: json!({"causes": causes}),
                ..ApiError::new(StatusCode::CONFLICT, "Conflict", error.to_string())
            }
        }
        patch::apply::ApplyError::ManagedFields => ApiError::bad_request(error.to_string()),
        patch::apply::ApplyError::MissingKey { .. } => unprocessable(&error.to_string()),
    }
}
