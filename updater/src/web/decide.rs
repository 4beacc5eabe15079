//! What somebody who is signed in decides on the page of a workload.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::Site;
use super::act::{Decision, Order, act};
use super::detail::identify;
use super::person::{Visitor, is_from_our_page};
use super::refusal::Refusal;
use super::row::kind;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decided {
    decision: String,
    container: String,
    offer: String,
    form: String,
}

pub(super) async fn decide(
    State(site): State<Site>,
    Visitor(person): Visitor,
    headers: HeaderMap,
    Path(address): Path<(String, String, String)>,
    Form(decided): Form<Decided>,
) -> Result<Response, Refusal> {
    let settings = &site.0.settings;
    let id = identify(address)?;
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
    let decision: Decision = decided.decision.parse().map_err(|_| {
        let problem = format!("{:?} is nothing that can be decided.", decided.decision);
        Refusal::new(StatusCode::BAD_REQUEST, "This cannot be meant", problem)
    })?;
    let given = |text: &'_ str| !text.is_empty();
    let needs_offer = matches!(decision, Decision::Approve | Decision::Hold);
    if needs_offer && !given(&decided.offer) {
        let problem = "The form does not say what was shown. Nothing was changed.";
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "This cannot be meant",
            problem,
        ));
    }
    let order = Order {
        decision,
        workload: &id,
        container: Some(decided.container.as_str()).filter(|container| given(container)),
        offer: Some(decided.offer.as_str()).filter(|_| needs_offer),
        by: &person.name,
        once: false,
    };
    act(&site, order).await?;
    let done: &str = decision.into();
    let back = format!(
        "/workload/{}/{}/{}?done={done}",
        kind(id.kind),
        id.namespace,
        id.name
    );
    Ok(Redirect::to(&back).into_response())
}
