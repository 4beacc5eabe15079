//! The templates, and how text of strangers gets into them.

use std::borrow::Cow;
use std::sync::OnceLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use minijinja::value::{Serde, Value};
use minijinja::{Environment, Error, Output, State, UndefinedBehavior, escape_formatter};
use serde::Serialize;
use shared::domain::text::cut;
use shared::io::terminal::page::printable;

/// How much of one text is shown, in bytes: an annotation may have 256 KiB, and a page has hundreds.
const LONGEST: usize = 2000;

const TEMPLATES: [(&str, &str); 9] = [
    ("approve.html", include_str!("../../templates/approve.html")),
    ("sign_in.html", include_str!("../../templates/sign_in.html")),
    ("base.html", include_str!("../../templates/base.html")),
    ("overview.html", include_str!("../../templates/overview.html")),
    ("notes.html", include_str!("../../templates/notes.html")),
    ("detail.html", include_str!("../../templates/detail.html")),
    ("registries.html", include_str!("../../templates/registries.html")),
    ("message.html", include_str!("../../templates/message.html")),
    ("feed.xml", include_str!("../../templates/feed.xml")),
];

/// A page of HTML.
pub(super) fn page(status: StatusCode, template: &str, content: &impl Serialize) -> Response {
    answer(status, "text/html; charset=utf-8", template, content)
}

/// A page with a form that people send. With the policy `no-referrer` a browser would not say from which page it was sent; this
/// one says it to us alone.
pub(super) fn form(status: StatusCode, template: &str, content: &impl Serialize) -> Response {
    let mut response = page(status, template, content);
    let policy = HeaderValue::from_static("same-origin");
    response.headers_mut().insert(header::REFERRER_POLICY, policy);
    response
}

/// A template filled in. A fault of ours is told as such.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    template: &str,
    content: &impl Serialize,
) -> Response {
    match render(template, content) {
        Ok(text) => (status, [(header::CONTENT_TYPE, content_type)], text).into_response(),
        Err(error) => {
            tracing::error!(template, error = format!("{error:#}"), "a page could not be made");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "this page could not be made; the log of the updater says why\n",
            )
                .into_response()
        }
    }
}

fn render(template: &str, content: &impl Serialize) -> Result<String, Error> {
    environment()?
        .get_template(template)?
        .render(Value::from(Serde(content)))
}

fn environment() -> Result<&'static Environment<'static>, Error> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_formatter(harmless);
    environment.add_global("version", env!("CARGO_PKG_VERSION"));
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(ENVIRONMENT.get_or_init(|| environment))
}

/// No text turns the direction of what stands beside it, hides in it, or fills the page; then it is escaped.
fn harmless(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if !value.is_safe() => escape_formatter(output, state, &Value::from(shown(text).as_ref())),
        Some(_) | None => escape_formatter(output, state, value),
    }
}

/// As it is shown.
fn shown(text: &str) -> Cow<'_, str> {
    Cow::Owned(printable(&cut(text, LONGEST)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_strangers_write_is_text_and_stays_in_its_place() {
        let hostile = "<script>alert(1)</script>\" onload='x' \u{202e}evil\u{0}";
        let text = render(
            "message.html",
            &json!({ "heading": hostile, "lines": [hostile], "back": "/" }),
        )
        .unwrap();
        assert!(!text.contains("<script") && !text.contains("onload='"), "{text}");
        assert!(text.contains("&lt;script&gt;"), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{0}'), "{text}");
        assert!(text.contains("\\u{202e}evil"), "{text}");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let endless = "x".repeat(1 << 20);
        let text = render(
            "message.html",
            &json!({ "heading": "a", "lines": [endless], "back": null }),
        )
        .unwrap();
        assert!(text.len() < 5000, "{}", text.len());
    }

    #[test]
    fn what_a_template_asks_for_and_nobody_gives_is_an_error() {
        assert!(render("message.html", &json!({ "heading": "a" })).is_err());
    }
}
