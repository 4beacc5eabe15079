//! Requests to servers of others: who we say we are, how long we try, and what is never done, whoever is asked. No redirect is
//! followed by itself, as headers and bodies are meant for one server; no answer is read without end; and no error shows an address,
//! which can be a secret.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use shared::io::cause::root_cause;
use shared::io::tls;

/// How long a server may take to be reached, where it may take longer than that to answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A client whose exchanges take `limit` at most, each as a whole. Fails where the certificates of the system cannot be used.
pub(crate) fn client(limit: Duration) -> Result<Client, reqwest::Error> {
    tls::init();
    Client::builder()
        .user_agent(concat!("kubefresh-updater/", env!("CARGO_PKG_VERSION")))
        .timeout(limit)
        .connect_timeout(CONNECT_LIMIT.min(limit))
        .redirect(Policy::none())
        .referer(false)
        .build()
}

/// The host of an address, as it may be shown.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Why there is no answer, in words. The error itself would show the address.
pub(crate) fn problem(error: &reqwest::Error, limit: Duration) -> String {
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!("no connection within {:?}", CONNECT_LIMIT.min(limit)),
        (true, false) => format!("no answer within {limit:?}"),
        (false, _) => root_cause(error),
    }
}

/// Why an answer was not read to its end.
#[derive(Debug)]
pub(crate) enum Cut {
    TooLong,
    Broken(reqwest::Error),
}

/// What came of an answer, up to `most` bytes and what came with the last of them; and why that is not all, where it is not.
pub(crate) async fn read(response: &mut Response, most: usize) -> (Vec<u8>, Option<Cut>) {
    let mut said = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => said.extend_from_slice(&chunk),
            Ok(None) => return (said, None),
            Err(error) => return (said, Some(Cut::Broken(error))),
        }
        if said.len() > most {
            return (said, Some(Cut::TooLong));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::response::Redirect;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    /// A server that leads away at `/away`, never ends at `/long` and never begins at `/late`.
    async fn server() -> String {
        let chunk = || Ok::<_, std::io::Error>("x".repeat(1000));
        let router = Router::new()
            .route("/away", get(|| async { Redirect::temporary("/short") }))
            .route("/short", get(|| async { "short" }))
            .route("/late", get(std::future::pending::<String>))
            .route(
                "/long",
                get(move || async move { Body::from_stream(futures::stream::repeat_with(chunk)) }),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn nothing_is_followed_and_nothing_is_read_without_end() {
        let server = server().await;
        let client = client(Duration::from_secs(30)).unwrap();
        let get = async |path: &str| client.get(format!("{server}{path}")).send().await.unwrap();
        assert_eq!(get("/away").await.status().as_u16(), 307);
        let (said, cut) = read(&mut get("/short").await, 5).await;
        assert!(said == b"short" && cut.is_none());
        let (said, cut) = read(&mut get("/long").await, 5000).await;
        assert!(said.len() > 5000 && matches!(cut, Some(Cut::TooLong)));
    }

    #[tokio::test]
    async fn a_problem_is_told_without_the_address() {
        let server = server().await;
        let limit = Duration::from_millis(50);
        let client = client(limit).unwrap();
        let error = client
            .get(format!("{server}/late?s3cret"))
            .send()
            .await
            .unwrap_err();
        assert_eq!(problem(&error, limit), "no answer within 50ms");
        let error = client.get("http://127.0.0.1:1/s3cret").send().await.unwrap_err();
        let told = problem(&error, limit);
        assert!(
            !told.is_empty() && !told.contains("s3cret") && !told.contains("127.0.0.1"),
            "{told}"
        );
    }
}
