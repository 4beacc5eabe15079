//! Answers over HTTP.

use axum::body::Body;
use http::{Response, StatusCode, header};
use serde_json::Value;

use super::error::ApiError;

/// A whole answer.
pub(super) type Answer = Response<Body>;

/// JSON with a status code.
pub(super) fn json(code: StatusCode, value: &Value) -> Answer {
    with_type(code, "application/json", value.to_string())
}

/// 200 with JSON.
pub(super) fn ok(value: &Value) -> Answer {
    json(StatusCode::OK, value)
}

/// Any body.
pub(super) fn with_type(code: StatusCode, content_type: &str, body: impl Into<Body>) -> Answer {
    Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-cache, private")
        .body(body.into())
        .expect("a valid response")
}

/// The `Status` of an error.
pub(super) fn error(error: &ApiError) -> Answer {
    let mut answer = json(error.code, &error.status());
    if let Some(seconds) = error.retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}
