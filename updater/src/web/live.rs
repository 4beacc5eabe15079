//! News for pages that are open: that there is something else to see, and nothing of what.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use tokio::time::sleep;

use super::Site;
use super::person::Way;
use super::refusal::Refusal;
use super::seats::Seat;

/// How long one page is told, before it has to ask anew.
const LONGEST: Duration = Duration::from_mins(15);
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// How often something is sent although there is no news, so that proxies keep the connection and a page that is gone is
/// noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) async fn live(State(site): State<Site>, Way { client, .. }: Way) -> Result<Response, Refusal> {
    site.0.looker.sources()?;
    let seat = site.0.audience.take(client).map_err(|_| {
        let problem = "So many pages are open that this one is not told of news. Load it again to see them.";
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many pages are open",
            problem,
        )
    })?;
    let news = until_the_end(site, seat, LONGEST);
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(news).keep_alive(heartbeat).into_response())
}

/// Nobody keeps a seat for ever: a browser comes back by itself, if there is one free.
fn until_the_end(site: Site, seat: Seat, longest: Duration) -> impl Stream<Item = Result<Event, Infallible>> {
    let stop = site.0.stop.clone();
    let end = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(longest) => {}
        }
    };
    news(site, seat).take_until(end)
}

/// Ends when the seat is given up, which is when nobody listens any more.
fn news(site: Site, seat: Seat) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((site, seat, None), |(site, seat, mut told)| async move {
        loop {
            if told.is_some() {
                sleep(PAUSE).await;
            }
            // What cannot be seen now is looked at again.
            let revision = site.0.looker.view().await.ok().map(|view| view.revision);
            if revision.is_some() && revision != told {
                told = revision;
                let event = Event::default()
                    .event("changed")
                    .data(revision.unwrap_or_default().to_string());
                return Some((Ok(event), (site, seat, told)));
            }
            if told.is_none() {
                sleep(PAUSE).await;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::leader::{Claim, Leadership};
    use crate::signals::Signals;
    use crate::web::limits::Client;
    use crate::web::tests::no_settings;

    #[tokio::test]
    async fn a_seat_is_free_again_after_a_while_whoever_stays() {
        let (_sender, claim) = watch::channel(Claim::NONE);
        let stop = CancellationToken::new();
        let leadership = Leadership::new(claim, stop.clone());
        let site = Site::new(no_settings(), Signals::new(std::iter::empty()), leadership, stop);
        let audience = site.0.audience.clone();
        let client = Client::at(IpAddr::from([10, 0, 0, 1]));
        let seat = audience.take(client).unwrap();
        let brief = Duration::from_millis(50);
        assert_eq!(until_the_end(site, seat, brief).count().await, 0);
        assert!(audience.is_empty());
    }
}
