//! What somebody who is signed in decides on the page of a workload.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use shared::domain::decision::Decision;
use shared::domain::pages::page_of;

use super::Site;
use super::act::{Order, act};
use super::detail::identify;
use super::person::{Visitor, is_from_our_page};
use super::refusal::Refusal;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decided {
    decision: String,
    container: String,
    /// What was shown: an offer, or the last update.
    offer: String,
    form: String,
}

pub(super) async fn decide(
    State(site): State<Site>,
    Visitor(person): Visitor,
    headers: HeaderMap,
    Path(written): Path<(String, String, String)>,
    Form(decided): Form<Decided>,
) -> Result<Response, Refusal> {
    let settings = &site.0.settings;
    let id = identify(written)?;
    let person = person.ok_or_else(|| {
        Refusal::new(
            StatusCode::FORBIDDEN,
            "Nobody is signed in",
            "Sign in first. Nothing was changed.",
        )
    })?;
    if !is_from_our_page(&headers, settings) || !person.owns(&decided.form, settings) {
        return Err(Refusal::foreign());
    }
    let decision = match decided.decision.parse() {
        Ok(Decision::Release) | Err(_) => return Err(Refusal::undecidable(&decided.decision)),
        Ok(decision) => decision,
    };
    let shown = Some(decided.offer).filter(|shown| !shown.is_empty() && decision != Decision::CheckNow);
    if shown.is_none() && decision != Decision::CheckNow {
        let problem = "The form does not say what was shown. Nothing was changed.";
        return Err(Refusal::meaningless(problem));
    }
    let order = Order {
        decision,
        workload: id.clone(),
        container: Some(decided.container).filter(|container| !container.is_empty()),
        shown,
        by: person.by,
        link_until: None,
    };
    act(&site, order).await?;
    let done: &str = decision.into();
    Ok(Redirect::to(&format!("{}?done={done}", page_of(&id))).into_response())
}
