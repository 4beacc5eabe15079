//! The probes and the metrics, and beside them the pages of [`web`](crate::web). Followers serve them too, and before anything else
//! is up.

mod connections;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::join_all;
use shared::domain::plan::Unwatched;
use shared::io::clock;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::leader::Leadership;
use crate::metrics::CONTENT_TYPE;
use crate::signals::Signals;
use crate::web::{self, Site};
use connections::Open;

/// What probes, metrics and pages are answered from.
#[derive(Debug, Clone)]
pub struct Pages {
    pub signals: Signals,
    pub leadership: Leadership,
    pub site: Site,
}

/// `/livez`, `/readyz`, `/metrics`, and `/healthz` for probes that were written before the first two had names: it fails
/// only where a restart would help.
pub fn router(pages: Pages) -> Router {
    let site = web::router(pages.site.clone());
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/healthz", get(livez))
        .route("/metrics", get(metrics))
        .with_state(pages)
        .merge(site)
}

/// Serves on all of these addresses until `stop`, and answers what was asked before that.
pub async fn serve(listeners: Vec<TcpListener>, pages: Pages, stop: CancellationToken) {
    let (site, router, open) = (pages.site.clone(), router(pages), Arc::<Open>::default());
    let each = listeners.into_iter().map(|listener| {
        let (router, open, stop) = (router.clone(), Arc::clone(&open), stop.clone());
        connections::serve(listener, router, open, stop)
    });
    join_all(each).await;
    site.settle().await;
}

async fn livez(State(pages): State<Pages>) -> Response {
    if pages.signals.health.is_alive(Instant::now()) {
        "ok\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the reconciler has stopped turning\n",
        )
            .into_response()
    }
}

async fn readyz(State(pages): State<Pages>) -> Response {
    let missing = pages.signals.health.missing();
    if missing.is_empty() {
        let broken = pages.signals.health.broken(Instant::now());
        let lines = broken
            .iter()
            .map(|Unwatched { what, since, reason }| format!("but {what}, since {since}: {reason}\n"));
        format!("ok\n{}", lines.collect::<String>()).into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{}\n", missing.join("\n")),
        )
            .into_response()
    }
}

async fn metrics(State(pages): State<Pages>) -> Response {
    let (now, signals) = (clock::now(), &pages.signals);
    let broken = signals.health.broken(Instant::now());
    signals
        .metrics
        .watches_broken_since(broken.iter().map(|unwatched| unwatched.since).min(), now);
    match signals.metrics.encode(pages.leadership.may_act(), now) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::*;
    use crate::leader::Claim;

    fn pages(gates: &[&str]) -> Pages {
        let (_sender, claim) = watch::channel(Claim::NONE);
        let signals = Signals::new(gates.iter().map(|gate| (*gate).to_owned()));
        let leadership = Leadership::new(claim, CancellationToken::new());
        let site = Site::new(
            crate::web::tests::no_settings(),
            signals.clone(),
            leadership.clone(),
            CancellationToken::new(),
        );
        Pages {
            signals,
            leadership,
            site,
        }
    }

    async fn ask(pages: Pages, path: &str) -> (StatusCode, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(pages).oneshot(request).await.unwrap();
        let status = response.status();
        let kind = response
            .headers()
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap().to_owned());
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (
            status,
            kind.unwrap_or_default(),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_process_without_caches_is_alive_and_not_ready_and_says_what_is_missing() {
        let pages = pages(&["deployments"]);
        for path in ["/livez", "/healthz"] {
            assert_eq!(ask(pages.clone(), path).await.0, StatusCode::OK, "{path}");
        }
        let (status, _, body) = ask(pages.clone(), "/readyz").await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "waiting for deployments\n")
        );
        pages.signals.health.pass("deployments");
        assert_eq!(ask(pages, "/readyz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn probes_are_answered_when_pages_are_asked_for_by_more_than_can_be_served() {
        let pages = pages(&[]);
        let seats = crate::web::tests::all_seats(&pages.site);
        assert_eq!(ask(pages.clone(), "/").await.0, StatusCode::SERVICE_UNAVAILABLE);
        for path in ["/livez", "/readyz", "/healthz", "/metrics"] {
            assert_eq!(ask(pages.clone(), path).await.0, StatusCode::OK, "{path}");
        }
        drop(seats);
        let (_, _, body) = ask(pages.clone(), "/nothing").await;
        assert!(body.contains("There is no page at this address"), "{body}");
    }

    #[tokio::test]
    async fn metrics_are_served_as_openmetrics_text() {
        let (status, kind, body) = ask(pages(&[]), "/metrics").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, CONTENT_TYPE));
        assert!(body.contains("kubefresh_leader 0"), "{body}");
    }

    #[tokio::test]
    async fn a_reconciler_that_stopped_turning_fails_the_liveness_probe() {
        let pages = pages(&[]);
        let long_ago = Instant::now()
            .checked_sub(std::time::Duration::from_secs(91))
            .unwrap();
        pages.signals.health.turned(long_ago);
        assert_eq!(ask(pages, "/livez").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
