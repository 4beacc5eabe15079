//! Signing in with the token of the installation, and out again.

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use serde_json::json;
use shared::io::clock;

use super::Site;
use super::person::{COOKIE, SESSION, Visitor, Way, is_from_our_page, known_name, session};
use super::refusal::Refusal;
use super::template;
use crate::cli::page::is_token;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SignIn {
    name: String,
    token: String,
}

pub(super) async fn form(State(site): State<Site>, Visitor(person): Visitor) -> Response {
    page(
        &site,
        person.map(|person| person.by.name).as_deref(),
        StatusCode::OK,
        None,
    )
}

fn page(site: &Site, name: Option<&str>, status: StatusCode, problem: Option<&str>) -> Response {
    let settings = &site.0.settings;
    let content = json!({
        "name": name,
        "problem": problem,
        "possible": settings.signing_key.is_some() && settings.page_token.is_some(),
    });
    template::form(status, "sign_in.html", &content)
}

pub(super) async fn sign_in(
    State(site): State<Site>,
    Way { client, is_https }: Way,
    headers: HeaderMap,
    Form(SignIn { name, token }): Form<SignIn>,
) -> Result<Response, Refusal> {
    let settings = &site.0.settings;
    if !is_from_our_page(&headers, settings) {
        return Err(Refusal::foreign());
    }
    site.0.limits.sign_in(client)?;
    let Some(known) = known_name(&name) else {
        let problem = "Say who you are: your name is written down with what you decide.";
        return Ok(page(&site, None, StatusCode::BAD_REQUEST, Some(problem)));
    };
    let cookie = is_token(settings, token.trim())
        .then(|| session(settings, known, clock::now()))
        .flatten();
    let Some(cookie) = cookie else {
        tracing::warn!("somebody tried to sign in with a wrong token");
        return Ok(page(
            &site,
            None,
            StatusCode::FORBIDDEN,
            Some("This is not the token."),
        ));
    };
    site.0.limits.forgive(client);
    Ok(with_cookie(is_https, &cookie, SESSION.as_secs()))
}

pub(super) async fn sign_out(
    State(site): State<Site>,
    Way { client: _, is_https }: Way,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if !is_from_our_page(&headers, &site.0.settings) {
        return Err(Refusal::foreign());
    }
    Ok(with_cookie(is_https, "", 0))
}

/// Of no use to scripts, to other sites, or on connections that anybody may read.
fn with_cookie(is_https: bool, value: &str, seconds: i64) -> Response {
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}
