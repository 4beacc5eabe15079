//! A stretch of network between a program and a server, which can fall silent: nothing passes, and nothing is closed either.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A way to one server. Dropping it breaks every connection.
#[derive(Debug)]
pub struct Network {
    address: SocketAddr,
    passage: watch::Sender<Passage>,
    task: JoinHandle<()>,
}

/// What gets through.
#[derive(Debug, Clone, Copy, Default)]
struct Passage {
    is_silent: bool,
    /// Connections so far.
    opened: usize,
    /// Of these the first ones, which are never heard of again.
    forgotten: usize,
}

impl Passage {
    fn lets_through(self, connection: usize) -> bool {
        !self.is_silent && connection > self.forgotten
    }
}

impl Network {
    /// A way to the server at this address, on which everything passes.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (passage, _) = watch::channel(Passage::default());
        let task = tokio::spawn(accept(listener, server, passage.clone()));
        Self {
            address,
            passage,
            task,
        }
    }

    /// Where to connect to instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, either way. Connections can be opened, and are as silent.
    pub fn fall_silent(&self) {
        self.passage.send_modify(|passage| passage.is_silent = true);
    }

    /// Everything goes on, with what was held up meanwhile.
    pub fn go_on(&self) {
        self.passage.send_modify(|passage| passage.is_silent = false);
    }

    /// Only connections that are opened from now on work: nothing passes on the others, and nobody hears that they are gone, as where
    /// a translation of addresses has forgotten them.
    pub fn go_on_without_the_old(&self) {
        self.passage.send_modify(|passage| {
            passage.is_silent = false;
            passage.forgotten = passage.opened;
        });
    }

    /// How many connections were opened so far.
    pub fn opened(&self) -> usize {
        self.passage.borrow().opened
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, passage: watch::Sender<Passage>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        passage.send_modify(|passage| passage.opened += 1);
        let number = passage.borrow().opened;
        connections.spawn(connect(client, server, passage.subscribe(), number));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes everything on until one of both is gone. That a connection broke is for its ends to notice.
async fn connect(client: TcpStream, server: SocketAddr, passage: watch::Receiver<Passage>, number: usize) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pass(from_client, to_server, passage.clone(), number);
    let back = pass(from_server, to_client, passage, number);
    // An error ends both ways, an end only one.
    let _ = tokio::try_join!(there, back);
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut passage: watch::Receiver<Passage>,
    number: usize,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await;
        // Also the end of a connection does not pass.
        if passage
            .wait_for(|passage| passage.lets_through(number))
            .await
            .is_err()
        {
            return Ok(());
        }
        match read? {
            0 => return to.shutdown().await,
            read => to.write_all(&buffer[..read]).await?,
        }
    }
}
