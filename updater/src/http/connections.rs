//! The connections on which pages and probes are asked for: so many at once, and none that keeps silent.
//!
//! Probes come on the same port as pages, and each on a connection of its own. So the oldest connection goes where there are
//! too many, and a probe, which is new, is always answered.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Far below the 1,024 files that a process may have open where nobody says otherwise.
pub(crate) const MOST: usize = 512;
/// How long nothing has to be sent on a connection, while nothing is asked for that is still to be answered. What trickles in
/// is no reason to keep it.
const SILENCE: Duration = Duration::from_secs(30);

/// Accepts connections.
#[derive(Debug)]
pub(super) struct Doorway {
    listener: TcpListener,
    open: Arc<Open>,
}

/// The connections that are open, the oldest first.
#[derive(Debug, Default)]
struct Open(Mutex<(u64, BTreeMap<u64, CancellationToken>)>);

/// The place of a connection among them, until it is dropped.
#[derive(Debug)]
struct Place {
    open: Arc<Open>,
    number: u64,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Line<S> {
    stream: S,
    work: Work,
    /// How long it may be silent.
    longest: Duration,
    silence: Pin<Box<Sleep>>,
    sent_away: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: Place,
}

/// What is being answered on a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work(Arc<AtomicUsize>);

/// Something that is being answered.
#[derive(Debug)]
pub(super) struct Answering(Work);

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(super) work: Work,
}

impl Open {
    /// A place for one more; where there are too many, the oldest is sent away.
    fn enter(self: &Arc<Self>) -> (Place, CancellationToken) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, connections) = &mut *open;
        *last += 1;
        let token = CancellationToken::new();
        connections.insert(*last, token.clone());
        if connections.len() > MOST
            && let Some((_, oldest)) = connections.pop_first()
        {
            oldest.cancel();
        }
        let place = Place {
            open: Arc::clone(self),
            number: *last,
        };
        (place, token)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.1.remove(&self.number);
    }
}

impl Work {
    /// Something is answered until this is dropped.
    pub(super) fn begin(&self) -> Answering {
        self.0.fetch_add(1, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Doorway {
    pub(super) fn new(listener: TcpListener) -> Self {
        let open = Arc::default();
        Self { listener, open }
    }
}

impl Listener for Doorway {
    type Io = Line<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Line::new(stream, &self.open, SILENCE), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Doorway>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doorway>) -> Self {
        Self {
            address: *stream.remote_addr(),
            work: stream.io().work.clone(),
        }
    }
}

impl<S> Line<S> {
    fn new(stream: S, open: &Arc<Open>, longest: Duration) -> Self {
        let (place, token) = open.enter();
        Self {
            stream,
            work: Work::default(),
            longest,
            silence: Box::pin(sleep(longest)),
            sent_away: Box::pin(token.cancelled_owned()),
            _place: place,
        }
    }

    /// An error once it is not kept any longer.
    fn poll_end(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.sent_away.as_mut().poll(context).is_ready() {
            return Err(io::Error::new(
                ErrorKind::ConnectionAborted,
                "there are too many connections",
            ));
        }
        while self.silence.as_mut().poll(context).is_ready() {
            if !self.work.is_under_way() {
                return Err(io::Error::new(
                    ErrorKind::TimedOut,
                    "nothing was asked for in time",
                ));
            }
            self.may_be_silent_anew();
        }
        Ok(())
    }

    fn may_be_silent_anew(&mut self) {
        self.silence.as_mut().reset(Instant::now() + self.longest);
    }

    /// What was sent breaks the silence.
    fn sent(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(bytes)) if bytes > 0) {
            self.may_be_silent_anew();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_end(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_end(context)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.sent(written)
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const BRIEF: Duration = Duration::from_millis(60);

    fn line(open: &Arc<Open>) -> (Line<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(64);
        (Line::new(ours, open, BRIEF), theirs)
    }

    async fn error(line: &mut Line<DuplexStream>) -> ErrorKind {
        line.read_to_end(&mut Vec::new()).await.unwrap_err().kind()
    }

    #[tokio::test]
    async fn what_trickles_in_keeps_no_connection_and_what_is_answered_does() {
        let (mut line, mut theirs) = line(&Arc::default());
        let begun = Instant::now();
        let trickle = tokio::spawn(async move {
            while theirs.write_all(b"x").await.is_ok() {
                sleep(BRIEF / 10).await;
            }
        });
        assert_eq!(error(&mut line).await, ErrorKind::TimedOut);
        assert!(begun.elapsed() >= BRIEF, "{:?}", begun.elapsed());
        drop(line);
        trickle.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_sent_and_what_is_still_to_be_answered_keeps_it() {
        let (mut line, mut theirs) = line(&Arc::default());
        let begun = Instant::now();
        sleep(BRIEF / 2).await;
        line.write_all(b"event").await.unwrap();
        theirs.read_exact(&mut [0; 5]).await.unwrap();
        let answering = line.work.begin();
        let ends = async {
            sleep(BRIEF * 3).await;
            drop(answering);
        };
        let (kind, ()) = tokio::join!(error(&mut line), ends);
        assert_eq!(kind, ErrorKind::TimedOut);
        assert!(begun.elapsed() > BRIEF * 3, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn where_there_are_too_many_the_oldest_goes() {
        let open = Arc::default();
        let mut lines: Vec<_> = (0..MOST).map(|_| line(&open)).collect();
        drop(lines.pop());
        lines.push(line(&open));
        lines[0].0.write_all(b"there is room").await.unwrap();
        lines.push(line(&open));
        assert_eq!(error(&mut lines[0].0).await, ErrorKind::ConnectionAborted);
        for index in [1, MOST] {
            lines[index].0.write_all(b"still there").await.unwrap();
        }
        drop(lines);
        assert!(open.0.lock().unwrap().1.is_empty());
    }
}
