//! The page that people look at, the same for programs, and what both are made of. Every replica serves all of it: followers
//! have the same stores, and what a person decides is written into the cluster, where the leader sees it.
//!
//! In reading order: [`look`] is what everything looks like at this moment; `question` what of it is asked for; [`overview`],
//! [`detail`] and [`registries`] are pages; [`person`] is who asks, [`approve`] and [`decide`] what they decide, [`act`] how it is written; [`api`], [`feed`] and [`live`] the same for programs.
//!
//! Everything that is shown is text of strangers. It is written by templates that escape, and nothing of it is a link but what `notes`
//! leads to: releases.

mod act;
mod api;
mod approve;
mod assets;
mod decide;
mod detail;
mod feed;
mod limits;
mod live;
mod look;
mod notes;
mod overview;
mod person;
mod question;
mod refusal;
mod registries;
mod row;
mod seats;
mod sign_in;
mod template;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::page::PageSettings;
use crate::leader::Leadership;
use crate::signals::Signals;
pub(crate) use limits::Client;
use limits::Limits;
use look::Looker;
pub use look::Sources;
use person::Way;
use refusal::Refusal;
use seats::{NoSeat, Seats};

/// What the pages are made of. Clones show the same.
#[derive(Debug, Clone)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: PageSettings,
    looker: Looker,
    limits: Limits,
    /// Of requests that are being answered.
    seats: Seats,
    /// Of pages that are open and told of news.
    audience: Seats,
    /// Nobody is kept waiting for news after it.
    stop: CancellationToken,
    /// Decisions that are being written, whether or not anybody waits for the answer.
    tasks: TaskTracker,
}

impl Site {
    /// A site that has nothing to show yet.
    pub fn new(
        settings: PageSettings,
        signals: Signals,
        leadership: Leadership,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            limits: Limits::default(),
            looker: Looker::new(signals, leadership),
            seats: Seats::default(),
            audience: Seats::default(),
            stop,
            tasks: TaskTracker::new(),
        }))
    }

    /// Waits until everything that was decided is written and told.
    pub async fn settle(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// From now on it shows these.
    pub fn show(&self, sources: Sources) {
        self.0.looker.show(sources);
    }
}

/// All of its pages.
pub fn router(site: Site) -> Router {
    let bounds = middleware::from_fn_with_state(site.clone(), bounded);
    Router::new()
        .route("/", get(overview::page))
        .route(
            "/workload/{kind}/{namespace}/{name}",
            get(detail::page).post(decide::decide),
        )
        .route("/approve", get(approve::show).post(approve::decide))
        .route("/api/upgrade/{namespace}/{name}", get(approve::upgrade))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/registries", get(registries::page))
        .route("/feed.atom", get(feed::feed))
        .route("/live", get(live::live))
        .route("/api/v1/openapi.json", get(api::openapi))
        .route("/api/v1/workloads", get(api::workloads))
        .route("/api/v1/workloads/{kind}/{namespace}/{name}", get(api::workload))
        .route("/api/v1/registries", get(api::registries))
        .route("/assets/{name}", get(assets::asset))
        .fallback(refusal::not_found)
        .with_state(site)
        .layer(bounds)
        .layer(middleware::from_fn(harden))
}

/// How long one request may take to be answered.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// How long a form may take to arrive: it is as long as one packet, and holds a seat meanwhile.
const FORM_LIMIT: Duration = Duration::from_secs(3);
/// How long a form may be, in bytes: a link, and some words.
const LONGEST_FORM: usize = 64 * 1024;

/// What is asked for too often, or by too many at once, is refused before anything of it is read.
async fn bounded(State(site): State<Site>, request: Request, next: Next) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    let Ok(Way { client, .. }) = Way::from_request_parts(&mut parts, &site).await;
    let is_form = parts.method == Method::POST;
    if is_form {
        site.0.limits.send_form(client)?;
    }
    let _seat = site.0.seats.take(client)?;
    // What else has a body has it for nothing, and would hold the seat with it.
    let form = if is_form { read(body).await? } else { Bytes::new() };
    let answered = timeout(ANSWER_LIMIT, next.run(Request::from_parts(parts, form.into()))).await;
    answered.map_err(|_| {
        let problem = "What was asked for may have been done all the same: look before you repeat it.";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "It took too long", problem)
    })
}

async fn read(form: Body) -> Result<Bytes, Refusal> {
    let refusal = |status, heading, problem: &str| {
        let problem = format!("{problem} Nothing was changed.");
        Refusal::new(status, heading, problem)
    };
    let read = timeout(FORM_LIMIT, to_bytes(form, LONGEST_FORM)).await;
    let read = read.map_err(|_| {
        let problem = format!("It was not there within {} s.", FORM_LIMIT.as_secs());
        refusal(StatusCode::REQUEST_TIMEOUT, "The form did not arrive", &problem)
    })?;
    read.map_err(|error| {
        tracing::debug!(%error, "a form could not be read");
        let problem = format!("It has more than {LONGEST_FORM} bytes, or was not sent to its end.");
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "The form is too long", &problem)
    })
}

impl From<NoSeat> for Refusal {
    fn from(reason: NoSeat) -> Self {
        match reason {
            NoSeat::OfYours => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "You ask for so many pages at once that this one has to wait. Load it again.",
            ),
            NoSeat::OfAll => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Too much is asked for",
                "So many pages are asked for that this one has to wait. Load it again.",
            ),
        }
    }
}

/// What a browser may make of a page: nothing that we did not write, and nothing inside of a page of somebody else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    set(header::CACHE_CONTROL, "no-store");
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use super::seats::Seat;
    use super::*;

    /// Leaves none for anybody else.
    pub(crate) fn all_seats(site: &Site) -> Vec<Seat> {
        seats::tests::all(&site.0.seats)
    }

    /// Nobody may do anything.
    pub(crate) fn no_settings() -> PageSettings {
        PageSettings {
            base_url: None,
            signing_key: None,
            page_token: None,
            trusted_proxies: Vec::new(),
            user_header: HeaderName::from_static("x-forwarded-user"),
            approval_expiry: jiff::SignedDuration::from_hours(72),
        }
    }
}
