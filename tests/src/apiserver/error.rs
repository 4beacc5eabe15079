//! Failures as Kubernetes reports them: a code, a machine-readable reason and a `Status` object.

use http::StatusCode;
use serde_json::{Value, json};

use super::resources::Resource;

/// A refused request. Clients read `reason` and `details`, people read `message`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub code: StatusCode,
    /// `metav1.StatusReason`, for example `AlreadyExists`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `metav1.StatusDetails`, or null.
    pub details: Value,
    /// Sent as the `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
}

/// One entry of `details.causes` of an `Invalid` status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `metav1.CauseType`, for example `FieldValueRequired`.
    pub reason: &'static str,
    /// Path of the field, for example `spec.template.spec.containers[0].name`.
    pub field: String,
    /// What is wrong, as Kubernetes words it: `Required value`.
    pub message: String,
}

impl Cause {
    /// `field: Required value`, with `detail` appended when not empty.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    /// `field: Invalid value: VALUE: detail`.
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = format!("Invalid value: {value}: {detail}");
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message,
        }
    }

    /// `field: Unsupported value: VALUE: supported values: ...`.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|word| format!("{word:?}")).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            supported.join(", ")
        );
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message,
        }
    }

    /// `field: Forbidden: detail`.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {detail}"),
        }
    }
}

impl ApiError {
    /// An error without details.
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            retry_after: None,
        }
    }

    fn about(
        code: StatusCode,
        reason: &'static str,
        resource: &Resource,
        name: &str,
        message: impl Into<String>,
    ) -> Self {
        let details = json!({"name": name, "group": resource.group, "kind": resource.plural});
        Self {
            details: without_empty(details),
            ..Self::new(code, reason, message)
        }
    }

    /// 400: the request itself makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 404 for an object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::about(StatusCode::NOT_FOUND, "NotFound", resource, name, message)
    }

    /// 404 for a path that no resource serves.
    pub fn no_such_path() -> Self {
        Self {
            details: json!({}),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "NotFound",
                "the server could not find the requested resource",
            )
        }
    }

    /// 409: the name is taken.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::about(StatusCode::CONFLICT, "AlreadyExists", resource, name, message)
    }

    /// 409: the object changed since the caller read it.
    pub fn conflict(resource: &Resource, name: &str, detail: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {detail}",
            resource.qualified()
        );
        Self::about(StatusCode::CONFLICT, "Conflict", resource, name, message)
    }

    /// 409 with the words of a stale `metadata.resourceVersion`.
    pub fn stale(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 422: the object breaks the rules of its kind.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let words: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let words = match words.as_slice() {
            [only] => only.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let kind = match resource.group {
            "" => resource.kind.to_owned(),
            group => format!("{}.{group}", resource.kind),
        };
        let message = format!("{kind} {name:?} is invalid: {words}");
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        let details = json!({"name": name, "group": resource.group, "kind": resource.kind, "causes": causes});
        Self {
            details: without_empty(details),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
        }
    }

    /// 410: the revision asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 403: `message` names user, verb and resource.
    pub fn forbidden(resource: &Resource, name: &str, message: impl Into<String>) -> Self {
        Self::about(StatusCode::FORBIDDEN, "Forbidden", resource, name, message)
    }

    /// 401: no or an unknown credential.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 405: the resource does not know the verb.
    pub fn method_not_allowed() -> Self {
        Self {
            details: json!({}),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource",
            )
        }
    }

    /// 415: a body that is neither JSON nor YAML.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    /// The `Status` object of the answer.
    pub fn status(&self) -> Value {
        let mut details = self.details.clone();
        if let Some(seconds) = self.retry_after {
            if !details.is_object() {
                details = json!({});
            }
            details["retryAfterSeconds"] = json!(seconds);
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if !details.is_null() {
            status["details"] = details;
        }
        status
    }
}

fn without_empty(mut details: Value) -> Value {
    if let Some(fields) = details.as_object_mut() {
        fields.retain(|_, value| value.as_str() != Some(""));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::resources::{CONFIG_MAPS, DEPLOYMENTS};

    #[test]
    fn errors_are_worded_like_kubernetes_words_them() {
        let cases = [
            (
                ApiError::not_found(&CONFIG_MAPS, "x"),
                "configmaps \"x\" not found",
            ),
            (
                ApiError::already_exists(&DEPLOYMENTS, "x"),
                "deployments.apps \"x\" already exists",
            ),
            (
                ApiError::invalid(&DEPLOYMENTS, "x", &[Cause::required("spec.selector", "")]),
                "Deployment.apps \"x\" is invalid: spec.selector: Required value",
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(error.message, expected);
        }
    }

    #[test]
    fn a_status_of_the_core_group_names_no_group() {
        let status = ApiError::not_found(&CONFIG_MAPS, "x").status();
        assert_eq!(status["details"], json!({"name": "x", "kind": "configmaps"}));
        assert_eq!(status["code"], 404);
    }
}
