//! Servers that do not keep to HTTP, or stop in the middle of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sandbox::registry::Registry;
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};
use shared::domain::reference::Repository;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{class_of, client, list, quick, trusting};

/// What a server does with a connection once it has read the beginning of a request.
#[derive(Debug, Clone)]
enum Script {
    /// Sends these bytes and then nothing more, and stays.
    Stall(Vec<u8>),
    /// Sends these bytes and hangs up.
    HangUp(Vec<u8>),
    /// Sends the first bytes, then the others again and again as long as somebody takes them, with a pause after each.
    Repeat(Vec<u8>, Vec<u8>, Duration),
}

/// A server that follows a script on each connection.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script.clone().follow(stream));
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    fn repository(&self) -> Repository {
        format!("{}/shop/checkout", self.address).parse().unwrap()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    /// Until the client hangs up, which is why no error is one.
    async fn follow(self, mut stream: TcpStream) {
        let _ = stream.read(&mut [0; 4096]).await;
        match self {
            Self::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
            Self::HangUp(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
            Self::Repeat(first, then, pause) => {
                let _ = stream.write_all(&first).await;
                while stream.write_all(&then).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

fn impatient() -> RegistryClient {
    RegistryClient::new(RegistryClientOptions {
        request_timeout: Duration::from_millis(300),
        ..quick()
    })
    .unwrap()
}

#[tokio::test]
async fn an_answer_that_does_not_come_to_its_end_is_waited_for_once() {
    let pause = Duration::from_millis(20);
    for script in [
        Script::Stall(vec![]),
        Script::Stall(b"HTTP/1.1 200 OK\r\nContent-Ty".to_vec()),
        Script::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".to_vec()),
        Script::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"tags\":[\"1\"]}".to_vec()),
        Script::Stall(b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n{\"errors\":".to_vec()),
        Script::Repeat(vec![], b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(), pause),
        Script::Repeat(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X".to_vec(), pause),
        Script::Repeat(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            b"1\r\n \r\n".to_vec(),
            pause,
        ),
    ] {
        let server = Server::start(script.clone()).await;
        let error = list(&impatient(), &server.repository()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Timeout, "{script:?}: {error}");
        assert_eq!(server.connections(), 1, "{script:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_and_what_breaks_off_is_a_broken_connection_and_tried_three_times() {
    for script in [
        Script::HangUp(vec![]),
        Script::HangUp(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Script::HangUp(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"tags\":[\"1\"]}".to_vec()),
        Script::HangUp(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n{\"tags\":[\"1\"]}\r\n".to_vec(),
        ),
        Script::HangUp(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
        Script::Repeat(
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            "X-Pad: y\r\n".repeat(1000).into_bytes(),
            Duration::ZERO,
        ),
    ] {
        let server = Server::start(script.clone()).await;
        let error = list(&client(), &server.repository()).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Connection, "{script:?}: {error}");
        assert_eq!(server.connections(), 3, "{script:?}");
    }
}

#[tokio::test]
async fn a_registry_that_never_answers_is_given_up_for_the_run_and_all_its_repositories_say_so() {
    const REPOSITORIES: usize = 200;
    let server = Server::start(Script::Stall(vec![])).await;
    let client = RegistryClient::new(RegistryClientOptions {
        request_timeout: Duration::from_millis(700),
        ..quick()
    });
    let client = client.unwrap();
    let lists = (0..REPOSITORIES).map(async |number| {
        let repository = format!("{}/shop/{number}", server.address).parse().unwrap();
        list(&client, &repository).await.unwrap_err()
    });
    let errors = futures::future::join_all(lists).await;
    assert!(errors.iter().all(|error| error.class() == ErrorClass::Timeout));
    let given_up = errors
        .iter()
        .filter(|error| error.to_string().contains("not asked any more"));
    let asked = REPOSITORIES - given_up.count();
    assert_eq!(server.connections(), asked);
    // One alone, then four at a time for five seconds or a little more.
    assert!(asked < 60, "{asked}");
}

#[tokio::test]
async fn a_server_that_never_answers_to_tls_is_given_up_in_the_time_for_connecting() {
    let server = Server::start(Script::Stall(vec![])).await;
    let other = Registry::open().await.with_tls().await;
    let options = RegistryClientOptions {
        connect_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_mins(1),
        ..quick()
    };
    let client = trusting(&server.address.to_string(), &other, options);
    assert_eq!(
        class_of(list(&client, &server.repository()).await),
        ErrorClass::Connection
    );
    assert_eq!(server.connections(), 3);
}

/// A list of tags with so many bytes of white space before it, as gzip: one block with the fixed codes of RFC 1951, in
/// which 13 bits stand for 258 bytes.
fn inflating_to(bytes: usize) -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut packed, mut bits, mut count) = (HEADER.to_vec(), 0_u32, 0);
    let mut put = |code: &str| {
        for bit in code.bytes() {
            bits |= u32::from(bit == b'1') << count;
            count += 1;
            if count == 8 {
                packed.push(u8::try_from(bits).unwrap());
                (bits, count) = (0, 0);
            }
        }
    };
    // The last block, of fixed codes; a space; then "258 bytes as the one before" without end.
    put("110");
    put("01010000");
    for _ in 0..bytes / 258 {
        put("11000101");
        put("00000");
    }
    packed
}

#[tokio::test]
async fn a_small_body_that_inflates_to_hundreds_of_megabytes_is_refused_at_the_limit() {
    let body = inflating_to(600 * 1024 * 1024);
    assert!(body.len() < 5_000_000);
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5000000\r\n\r\n";
    let server = Server::start(Script::Stall([head.as_bytes(), &body].concat())).await;
    // Far more than it takes to inflate as much as is read, on a busy machine too.
    let client = RegistryClient::new(RegistryClientOptions {
        request_timeout: Duration::from_mins(1),
        ..quick()
    });
    let client = client.unwrap();
    assert_eq!(
        class_of(list(&client, &server.repository()).await),
        ErrorClass::TooLarge
    );
    assert_eq!(server.connections(), 2, "once more in a room for large lists");
}
