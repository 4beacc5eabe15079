//! JSON patch, RFC 6902: all operations or none.

use serde_json::Value;

/// Why a JSON patch was refused. Nothing of it has been applied then.
#[derive(Debug, thiserror::Error)]
pub enum JsonPatchError {
    /// The body is not a list of operations.
    #[error("unable to read the JSON patch: {0}")]
    Malformed(#[source] serde_json::Error),
    /// An operation does not fit the object: a path that does not exist, or a `test` that does not hold.
    #[error("unable to apply operation {operation} of the JSON patch at {path:?}: {reason}")]
    Failed {
        /// Position of the operation in the patch, from 0.
        operation: usize,
        /// The JSON pointer it names.
        path: String,
        /// What is wrong.
        reason: String,
        /// True when a `test` operation did not hold, which callers use as a precondition.
        test_failed: bool,
    },
}

/// Applies the operations of `patch` in order.
pub fn apply(target: &mut Value, patch: &Value) -> Result<(), JsonPatchError> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(JsonPatchError::Malformed)?;
    json_patch::patch(target, &patch).map_err(|error| JsonPatchError::Failed {
        operation: error.operation,
        path: error.path.to_string(),
        reason: error.kind.to_string(),
        test_failed: matches!(error.kind, json_patch::PatchErrorKind::TestFailed),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{JsonPatchError, apply};

    #[test]
    fn an_operation_replaces_one_container_image_by_its_index() {
        let mut target =
            json!({"spec":{"containers":[{"name":"a","image":"x:1"},{"name":"b","image":"y:1"}]}});
        let patch = json!([
            {"op":"test","path":"/spec/containers/0/name","value":"a"},
            {"op":"replace","path":"/spec/containers/0/image","value":"x:2"},
        ]);
        apply(&mut target, &patch).unwrap();
        assert_eq!(
            target,
            json!({"spec":{"containers":[{"name":"a","image":"x:2"},{"name":"b","image":"y:1"}]}})
        );
    }

    #[test]
    fn a_failed_test_changes_nothing_and_says_where() {
        let mut target = json!({"a":1,"b":2});
        let patch = json!([{"op":"replace","path":"/b","value":3},{"op":"test","path":"/a","value":2}]);
        let error = apply(&mut target, &patch).unwrap_err();
        assert_eq!(target, json!({"a":1,"b":2}));
        assert!(
            matches!(&error, JsonPatchError::Failed { operation: 1, test_failed: true, path, .. } if path == "/a")
        );
        assert!(error.to_string().contains("operation 1"), "{error}");
    }

    #[test]
    fn a_body_that_is_no_list_of_operations_is_refused() {
        let error = apply(&mut json!({}), &json!({"a":1})).unwrap_err();
        assert!(matches!(error, JsonPatchError::Malformed(_)));
        assert!(apply(&mut json!({}), &json!([{"op":"jump","path":"/a"}])).is_err());
    }

    #[test]
    fn a_key_with_a_slash_is_reached_by_its_escape() {
        let mut target = json!({"metadata":{"annotations":{"kubefresh.dev/mode":"auto"}}});
        let patch = json!([{"op":"remove","path":"/metadata/annotations/kubefresh.dev~1mode"}]);
        apply(&mut target, &patch).unwrap();
        assert_eq!(target, json!({"metadata":{"annotations":{}}}));
    }
}
