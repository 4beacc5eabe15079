//! Why there is no page, in the words of people.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use shared::domain::workload::WorkloadId;

use super::look::NotReady;
use super::template;

/// What is answered in place of a page.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) heading: String,
    pub(super) lines: Vec<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, heading: &str, line: impl Into<String>) -> Self {
        Self {
            status,
            heading: heading.to_owned(),
            lines: vec![line.into()],
        }
    }

    /// A form that no page of ours has.
    pub(super) fn meaningless(problem: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "This cannot be meant", problem)
    }

    /// What no button of the page says.
    pub(super) fn undecidable(written: &str) -> Self {
        Self::meaningless(format!("{written:?} is nothing that can be decided here."))
    }

    pub(super) fn not_watched(id: &WorkloadId) -> Self {
        let problem = format!("No {id} is watched. It may be gone, or nobody opted it in.");
        Self::new(StatusCode::NOT_FOUND, "Not watched", problem)
    }

    /// A form that another page has sent.
    pub(super) fn foreign() -> Self {
        let problem = "The form was not sent from a page of ours, or the page was loaded before you signed in. Load it again. \
                       Nothing was changed.";
        Self::new(StatusCode::FORBIDDEN, "This form is not from here", problem)
    }
}

impl From<NotReady> for Refusal {
    fn from(NotReady(missing): NotReady) -> Self {
        let mut lines =
            vec!["This replica has not seen the whole cluster yet, and half of it would mislead.".to_owned()];
        lines.extend(missing);
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            heading: "Not ready yet".to_owned(),
            lines,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self {
            status,
            heading,
            lines,
        } = self;
        let content = json!({ "heading": heading, "lines": lines, "back": "/" });
        let mut response = template::page(status, "message.html", &content);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}

/// The same for programs.
#[derive(Debug)]
pub(super) struct JsonRefusal(pub(super) Refusal);

impl<E: Into<Refusal>> From<E> for JsonRefusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for JsonRefusal {
    fn into_response(self) -> Response {
        let Refusal {
            status,
            heading,
            lines,
        } = self.0;
        (status, axum::Json(json!({ "error": heading, "details": lines }))).into_response()
    }
}

/// For an address that there is not.
pub(super) async fn not_found() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "Not found",
        "There is no page at this address.",
    )
}
