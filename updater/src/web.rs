//! The page that people look at, the same for programs, and what both are made of. Every replica serves all of it: followers
//! have the same stores, and what a person decides is written into the cluster, where the leader sees it.
//!
//! In reading order: [`look`] is what everything looks like at this moment; `question` what of it is asked for; [`overview`],
//! [`detail`] and [`registries`] are pages; [`person`] is who asks, [`approve`] and [`decide`] what they decide, [`act`] how it is written; [`api`], [`feed`] and [`live`] the same for programs.
//!
//! Everything that is shown is text of strangers. It is written by templates that escape, and nothing of it is ever a link.

mod act;
mod api;
mod approve;
mod assets;
mod decide;
mod detail;
mod feed;
mod live;
mod look;
mod overview;
mod person;
mod question;
mod refusal;
mod registries;
mod row;
mod sign_in;
mod template;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::cli::page::PageSettings;
use crate::leader::Leadership;
use crate::signals::Signals;
use live::Audience;
use look::Looker;
pub use look::Sources;
use person::Limits;

/// What the pages are made of. Clones show the same.
#[derive(Debug, Clone)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: PageSettings,
    looker: Looker,
    limits: Limits,
    audience: Audience,
    /// Nobody is kept waiting for news after it.
    stop: CancellationToken,
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
            audience: Audience::default(),
            stop,
        }))
    }

    /// From now on it shows these.
    pub fn show(&self, sources: Sources) {
        self.0.looker.show(sources);
    }
}

/// All of its pages.
pub fn router(site: Site) -> Router {
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
        .layer(middleware::from_fn(harden))
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
    use super::*;

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
