//! TLS in front of a registry, by an authority that nobody knows: HTTP/2 for whoever can speak it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;

use crate::certificates::Certificates;

/// A second address of a registry, under which it speaks TLS; until it is dropped.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    ca_pem: String,
    connections: Arc<Connections>,
    task: JoinHandle<()>,
}

/// What there is to know about the connections.
#[derive(Debug)]
struct Connections {
    /// How many requests each has carried, in the order in which they were established.
    carried: Mutex<Vec<usize>>,
    /// After how many requests one is given up.
    limit: AtomicUsize,
}

impl TlsFront {
    /// # Panics
    /// When no port can be had.
    pub(super) async fn of(router: Router) -> Self {
        let certificates = Certificates::generate();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let acceptor = certificates.acceptor();
        let connections = Arc::new(Connections {
            carried: Mutex::default(),
            limit: AtomicUsize::new(usize::MAX),
        });
        let known = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router, known) = (acceptor.clone(), router.clone(), Arc::clone(&known));
                open.spawn(async move {
                    // Whoever does not trust the certificate breaks off; that is his answer.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        known.serve(stream, router).await;
                    }
                });
            }
        });
        Self {
            address,
            ca_pem: certificates.ca_pem().to_owned(),
            connections,
            task,
        }
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The authority that signed its certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// From now on a connection is given up in good order after so many requests, as nginx does by `keepalive_requests`:
    /// over HTTP/2 by GOAWAY.
    pub fn give_up_connections_after(&self, requests: usize) {
        self.connections.limit.store(requests, Ordering::SeqCst);
    }

    /// How many requests each connection has carried so far, in the order in which they were established.
    pub fn carried(&self) -> Vec<usize> {
        self.connections.carried.lock().unwrap().clone()
    }
}

impl Connections {
    async fn serve(self: Arc<Self>, stream: TlsStream<TcpStream>, router: Router) {
        let place = {
            let mut carried = self.carried.lock().unwrap();
            carried.push(0);
            carried.len() - 1
        };
        let enough = Arc::new(Notify::new());
        let service = {
            let enough = Arc::clone(&enough);
            service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let mut carried = self.carried.lock().unwrap();
                carried[place] += 1;
                if carried[place] >= self.limit.load(Ordering::SeqCst) {
                    enough.notify_one();
                }
                drop(carried);
                router.clone().oneshot(request.map(axum::body::Body::new))
            })
        };
        let builder = auto::Builder::new(TokioExecutor::new());
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        // How a connection ends is for the client to judge.
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = enough.notified() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        drop(ended);
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}
