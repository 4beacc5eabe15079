//! The connections on which pages and probes are asked for: so many at once, and none that keeps silent. They speak HTTP/1.1,
//! one request after another: browsers speak HTTP/2 only over TLS.
//!
//! Probes come on the same port as pages, and each on a connection of its own. So an old connection goes where there are
//! too many, and a probe, which is new, is always answered. It is one of whoever has most of them, so that a flood from one place sends
//! away its own; those who come by one proxy are one place.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::web::Client;

/// Far below the 1,024 files that a process may have open where nobody says otherwise.
const MOST: usize = 512;
/// How long a request may take to be asked for, from when the one before it is answered; and how long what is answered may
/// wait for its reader.
const SILENCE: Duration = Duration::from_secs(30);
/// What is kept of one connection, in bytes: more than what browsers say of a request, and little enough for all
/// connections.
const LONGEST_HEAD: usize = 32 * 1024;

/// The connections that are open, on whatever address of ours.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<Connections>);

#[derive(Debug, Default)]
struct Connections {
    last: u64,
    /// The oldest first.
    by_number: BTreeMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    sent_away: CancellationToken,
}

/// The place of a connection among them, until it is dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Open>,
    number: u64,
    /// There are too many, and this one has to go.
    sent_away: CancellationToken,
}

impl Open {
    /// A place for one more; where there are too many, one is sent away.
    fn enter(self: &Arc<Self>, client: Client) -> Place {
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connections.last += 1;
        let number = connections.last;
        let sent_away = CancellationToken::new();
        let connection = Connection {
            client,
            sent_away: sent_away.clone(),
        };
        connections.by_number.insert(number, connection);
        if connections.by_number.len() > MOST {
            connections.send_one_away();
        }
        Place {
            open: Arc::clone(self),
            number,
            sent_away,
        }
    }
}

impl Connections {
    /// The oldest of the client that has most of them; of several such clients, the oldest of all of theirs.
    fn send_one_away(&mut self) {
        let mut by_client: HashMap<Client, (usize, Reverse<u64>)> = HashMap::new();
        for (number, connection) in &self.by_number {
            let (count, _) = by_client
                .entry(connection.client)
                .or_insert((0, Reverse(*number)));
            *count += 1;
        }
        let most = by_client.into_values().max();
        if let Some((_, Reverse(oldest))) = most
            && let Some(connection) = self.by_number.remove(&oldest)
        {
            connection.sent_away.cancel();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        connections.by_number.remove(&self.number);
    }
}

/// Serves until `stop`, and answers what was asked before that.
pub(super) async fn serve(
    mut listener: TcpListener,
    router: Router,
    open: Arc<Open>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let mut accept = async || Listener::accept(&mut listener).await;
    while let Some((stream, address)) = stop.run_until_cancelled(accept()).await {
        let place = open.enter(Client::at(address.ip()));
        let ends = (SILENCE, stop.clone());
        connections.spawn(converse(stream, address, router.clone(), ends, place));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Answers what is asked on one connection. Who asks is known by address, for those that are trusted to say more.
async fn converse(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    (silence, stop): (Duration, CancellationToken),
    place: Place,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(silence)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Line::new(stream, silence)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.sent_away.cancelled() => return,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A stream that ends when nobody reads what is written to it.
#[derive(Debug)]
struct Line<S> {
    stream: S,
    longest: Duration,
    /// Runs while something waits for its reader.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Line<S> {
    fn new(stream: S, longest: Duration) -> Self {
        Self {
            stream,
            longest,
            waiting: None,
        }
    }

    fn poll_written(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let longest = self.longest;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(longest)));
        let has_waited_long = waiting.as_mut().poll(context);
        has_waited_long.map(|()| Err(io::Error::new(ErrorKind::TimedOut, "nobody reads the answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.poll_written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.poll_written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    const BRIEF: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn what_nobody_reads_is_not_kept_for_ever_and_what_somebody_reads_is() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = Line::new(ours, BRIEF);
        let begun = Instant::now();
        let written = tokio::spawn(async move {
            loop {
                if let Err(error) = ours.write_all(b"event").await {
                    return error.kind();
                }
            }
        });
        while begun.elapsed() < BRIEF * 3 {
            theirs.read_exact(&mut [0; 5]).await.unwrap();
            sleep(BRIEF / 10).await;
        }
        assert!(!written.is_finished());
        assert_eq!(written.await.unwrap(), ErrorKind::TimedOut);
    }

    fn client(number: usize) -> Client {
        let address = u32::try_from(number).unwrap();
        Client::at(Ipv4Addr::from_bits(address).into())
    }

    /// Which of them were sent away.
    fn sent_away(places: &[Place]) -> Vec<usize> {
        let all = places.iter().enumerate();
        let sent_away = all.filter(|(_, place)| place.sent_away.is_cancelled());
        sent_away.map(|(number, _)| number).collect()
    }

    #[test]
    fn where_there_are_too_many_the_oldest_goes_whether_they_are_of_one_client_or_each_of_another() {
        for clients in [1, MOST + 1] {
            let open = Arc::default();
            let enter = |number| Open::enter(&open, client(number % clients));
            let mut places: Vec<Place> = (0..MOST).map(enter).collect();
            drop(places.pop());
            places.push(enter(MOST - 1));
            assert_eq!(sent_away(&places), [0; 0], "there is room");
            places.push(enter(MOST));
            assert_eq!(sent_away(&places), [0], "of {clients} clients");
            drop(places);
            assert!(open.0.lock().unwrap().by_number.is_empty());
        }
    }

    #[test]
    fn a_flood_of_one_client_sends_away_its_own_and_nobody_is_sent_away_by_who_has_fewer() {
        let open = Arc::default();
        let enter = |number| Open::enter(&open, client(number));
        // Two have a few, and then comes one who wants them all.
        let few: Vec<Place> = [1, 2, 2, 1].map(enter).into();
        let flood: Vec<Place> = (0..2 * MOST).map(|_| enter(3)).collect();
        assert_eq!(sent_away(&few), [0; 0]);
        let stays = MOST - few.len();
        assert_eq!(sent_away(&flood), (0..2 * MOST - stays).collect::<Vec<_>>());
        let new = [enter(4), enter(1)];
        assert_eq!((sent_away(&few), sent_away(&new)), (vec![], vec![]));
        assert_eq!(sent_away(&flood).len(), 2 * MOST - stays + 2);
    }

    /// A connection to pages that have one word, and the task that answers on it.
    async fn connected(
        silence: Duration,
        stop: &CancellationToken,
    ) -> (TcpStream, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, address) = listener.accept().await.unwrap();
        let router = Router::new().route("/", get(async || "here"));
        let place = Open::enter(&Arc::default(), Client::at(address.ip()));
        let sent_away = place.sent_away.clone();
        let task = tokio::spawn(converse(ours, address, router, (silence, stop.clone()), place));
        (theirs, sent_away, task)
    }

    async fn ask(stream: &mut TcpStream) {
        let request = b"GET / HTTP/1.1\r\nHost: pages\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            answer.push(stream.read_u8().await.unwrap());
        }
    }

    #[tokio::test]
    async fn what_trickles_in_keeps_no_connection_and_neither_does_silence_after_an_answer() {
        let stop = CancellationToken::new();
        let (mut asked, _, silent) = connected(BRIEF, &stop).await;
        ask(&mut asked).await;
        let (mut slow, _, trickles) = connected(BRIEF, &stop).await;
        let trickle = async {
            while slow.write_all(b"x").await.is_ok() && !trickles.is_finished() {
                sleep(BRIEF / 10).await;
            }
        };
        tokio::time::timeout(SILENCE / 2, trickle).await.unwrap();
        silent.await.unwrap();
        assert_eq!(asked.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_is_sent_away_is_let_go_and_so_is_who_asks_for_nothing_when_it_stops() {
        let stop = CancellationToken::new();
        let (mut oldest, sent_away, _) = connected(SILENCE, &stop).await;
        ask(&mut oldest).await;
        sent_away.cancel();
        assert_eq!(oldest.read(&mut [0]).await.unwrap(), 0);
        let (_silent, _, new) = connected(SILENCE, &stop).await;
        let (mut asked, _, idle) = connected(SILENCE, &stop).await;
        ask(&mut asked).await;
        stop.cancel();
        let both = async { (new.await.unwrap(), idle.await.unwrap()) };
        tokio::time::timeout(SILENCE / 2, both).await.unwrap();
    }
}
