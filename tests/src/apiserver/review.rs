//! Questions a caller asks about itself: who am I, may I, what may I.

use http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use super::negotiate;
use super::path::Target;
use super::rbac::{self, Action};
use super::respond::{self, Answer};
use super::serve::Call;
use super::store::Store;

pub(super) fn answer(store: &Store, call: &Call, target: &Target) -> Result<Answer, ApiError> {
    if call.verb != "create" {
        return Err(ApiError::method_not_allowed());
    }
    let mut review = negotiate::object(&call.content_type, &call.body)?;
    review["apiVersion"] = json!(target.resource.api_version());
    review["kind"] = json!(target.resource.kind);
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    review["status"] = match target.resource.kind {
        "SelfSubjectReview" => {
            json!({"userInfo": {"username": call.user.name, "groups": call.user.groups}})
        }
        "SelfSubjectAccessReview" => access(store, call, &review["spec"])?,
        _ => rules(
            store,
            call,
            review["spec"]["namespace"].as_str().unwrap_or_default(),
        ),
    };
    Ok(respond::json(StatusCode::CREATED, &review))
}

fn access(store: &Store, call: &Call, spec: &Value) -> Result<Value, ApiError> {
    let (asked, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let text = |object: &'_ Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let decision = if asked.is_object() {
        let mut resource = text(asked, "resource");
        let subresource = text(asked, "subresource");
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        let action = Action::Resource {
            verb: &text(asked, "verb"),
            group: &text(asked, "group"),
            resource: &resource,
            namespace: &text(asked, "namespace"),
            name: &text(asked, "name"),
        };
        rbac::authorize(store, &call.user, action)
    } else if path.is_object() {
        rbac::authorize(
            store,
            &call.user,
            Action::Path {
                verb: &text(path, "verb"),
                path: &text(path, "path"),
            },
        )
    } else {
        return Err(ApiError::bad_request(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    };
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    Ok(status)
}

fn rules(store: &Store, call: &Call, namespace: &str) -> Value {
    let all: Vec<Value> = rbac::rules_for(store, &call.user, namespace)
        .into_iter()
        .filter_map(|(_, rules)| rules.ok())
        .flatten()
        .collect();
    let (paths, resources): (Vec<Value>, Vec<Value>) = all
        .into_iter()
        .partition(|rule| rule["nonResourceURLs"].is_array());
    json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
}
