//! The page that people look at, the same for programs, and what both are made of. Every replica serves all of it: followers
//! have the same stores, and what a person decides is written into the cluster, where the leader sees it.
//!
//! In reading order: [`look`] is what everything looks like at this moment; `question` what of it is asked for; [`overview`],
//! [`detail`] and [`registries`] are pages; [`api`], [`feed`] and [`live`] the same for programs.
//!
//! Everything that is shown is text of strangers. It is written by templates that escape, and nothing of it is ever a link.

mod api;
mod assets;
mod detail;
mod feed;
mod live;
mod look;
mod overview;
mod question;
mod refusal;
mod registries;
mod row;
mod template;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::leader::Leadership;
use crate::signals::Signals;
use live::Audience;
use look::Looker;
pub use look::Sources;

/// What the pages are made of. Clones show the same.
#[derive(Debug, Clone)]
pub struct Site(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    looker: Looker,
    audience: Audience,
    /// Nobody is kept waiting for news after it.
    stop: CancellationToken,
}

impl Site {
    /// A site that has nothing to show yet.
    pub fn new(signals: Signals, leadership: Leadership, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
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
        .route("/workload/{kind}/{namespace}/{name}", get(detail::page))
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
