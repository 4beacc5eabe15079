//! One client asks for all that there is room for, and the others are served all the same. Over connections of its own making.

use std::net::IpAddr;

use futures::future::select_all;
use reqwest::Response;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use super::*;

/// How many requests of one client are answered at once.
const SEATS_OF_ONE: usize = 16;
/// More connections than are open at once.
const A_FLOOD: usize = 600;

/// Somebody who asks for pages.
#[derive(Clone, Copy)]
struct Visitor {
    address: &'static str,
    /// What a proxy at this address says of them.
    forwarded_for: &'static str,
}

/// They come without a proxy.
const ALONE: [Visitor; 2] = [
    Visitor {
        address: "127.0.0.1",
        forwarded_for: "203.0.113.1",
    },
    Visitor {
        address: "127.0.0.2",
        forwarded_for: "203.0.113.1",
    },
];
/// They come by the same one.
const BY_A_PROXY: [Visitor; 2] = [
    ALONE[0],
    Visitor {
        address: "127.0.0.1",
        forwarded_for: "203.0.113.2",
    },
];

impl Visitor {
    async fn connect(self, updater: &Updater) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        let address: IpAddr = self.address.parse().unwrap();
        socket.bind((address, 0).into()).unwrap();
        socket.connect(updater.address).await.unwrap()
    }

    /// Sends the head of a form, which is to have so many bytes.
    async fn begins_a_form(self, updater: &Updater, length: usize) -> TcpStream {
        self.begins(updater, "POST /approve", length).await
    }

    async fn begins(self, updater: &Updater, what: &str, length: usize) -> TcpStream {
        let mut stream = self.connect(updater).await;
        let head = format!(
            "{what} HTTP/1.1\r\nHost: pages\r\nX-Forwarded-For: {}\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n",
            self.forwarded_for
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Sends the form a byte at a time, and returns the status of the answer that comes before its end.
    async fn trickles_a_form(self, updater: &Updater) -> JoinHandle<u16> {
        let (answer, mut form) = self.begins_a_form(updater, 10_000).await.into_split();
        let trickle = tokio::spawn(async move {
            while form.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        });
        tokio::spawn(async move {
            let status = status(answer).await;
            trickle.abort();
            status
        })
    }

    fn browser(self) -> Browser {
        let client = reqwest::Client::builder().local_address(self.address.parse::<IpAddr>().unwrap());
        Browser {
            client: client.build().unwrap(),
            forwarded_for: self.forwarded_for,
        }
    }
}

/// Made before there is a crowd, as that takes a while.
struct Browser {
    client: reqwest::Client,
    forwarded_for: &'static str,
}

impl Browser {
    async fn asks_for(&self, updater: &Updater, path: &str) -> Response {
        let request = self.client.get(format!("http://{}{path}", updater.address));
        let request = request.header("x-forwarded-for", self.forwarded_for);
        request.send().await.unwrap()
    }
}

/// Of the answer that comes.
async fn status(mut stream: impl tokio::io::AsyncRead + Unpin) -> u16 {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    let start = str::from_utf8(&start).unwrap();
    start.strip_prefix("HTTP/1.1 ").unwrap().parse().unwrap()
}

async fn others_are_served(options: &[&str], [slow, other]: [Visitor; 2]) {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader_with(options).await;
    updater.is_ready().await;
    let (same, elsewhere) = (slow.browser(), other.browser());
    let mut answers = Vec::new();
    for _ in 0..SEATS_OF_ONE + 4 {
        answers.push(slow.trickles_a_form(&updater).await);
    }
    // Those for which there is a seat are answered once their time is over.
    let (first, _, answers) = select_all(answers).await;
    assert_eq!(first.unwrap(), 429);
    for (browser, path) in [
        (&elsewhere, "/"),
        (&same, "/livez"),
        (&same, "/readyz"),
        (&same, "/metrics"),
    ] {
        assert_eq!(browser.asks_for(&updater, path).await.status(), 200, "{path}");
    }
    let mut too_slow = 0;
    for answer in answers {
        match answer.await.unwrap() {
            408 => too_slow += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert!((1..=SEATS_OF_ONE).contains(&too_slow), "{too_slow}");
    assert_eq!(same.asks_for(&updater, "/sign-in").await.status(), 200);
    updater.stop().await;
}

#[tokio::test]
async fn forms_that_trickle_in_from_one_address_keep_no_other_from_being_served() {
    others_are_served(&[], ALONE).await;
}

#[tokio::test]
async fn forms_that_trickle_in_from_one_client_of_a_trusted_proxy_keep_no_other_from_being_served() {
    others_are_served(&["--trusted-proxy", "127.0.0.1/32"], BY_A_PROXY).await;
}

#[tokio::test]
async fn whoever_sends_too_many_forms_is_told_before_the_next_is_read() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    let [eager, other] = ALONE;
    eventually("a form is refused that is not there yet", LIMIT, || async {
        while status(eager.begins_a_form(&updater, 0).await).await != 429 {}
        // The allowance grows back, though slowly.
        let begun = eager.begins_a_form(&updater, 10_000).await;
        (status(begun).await == 429).then_some(())
    })
    .await;
    assert_eq!(status(other.begins_a_form(&updater, 0).await).await, 400);
    updater.stop().await;
}

#[tokio::test]
async fn what_is_no_form_is_answered_without_waiting_for_a_body() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    for what in ["GET /sign-in", "PUT /"] {
        let mut asked = Vec::new();
        for _ in 0..2 * SEATS_OF_ONE {
            asked.push(ALONE[0].begins(&updater, what, 10_000).await);
        }
        for stream in asked {
            let status = status(stream).await;
            assert!(matches!(status, 200 | 405), "{what}: {status}");
        }
    }
    updater.stop().await;
}

#[tokio::test]
async fn a_flood_of_connections_from_one_address_closes_its_own_alone_and_keeps_none_from_being_new() {
    // Both ends of each are files of this process.
    let allowed = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: allowed.maximum,
        maximum: allowed.maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    updater.is_ready().await;
    let [eager, other] = ALONE;
    let mut quiet = other.connect(&updater).await;
    let mut flood = Vec::new();
    for _ in 0..A_FLOOD {
        flood.push(eager.connect(&updater).await);
    }
    assert_eq!(flood[0].read(&mut [0]).await.unwrap(), 0);
    assert_eq!(eager.browser().asks_for(&updater, "/").await.status(), 200);
    let probe = b"GET /livez HTTP/1.1\r\nHost: pages\r\n\r\n";
    quiet.write_all(probe).await.unwrap();
    assert_eq!(status(quiet).await, 200);
    drop(flood);
    updater.stop().await;
}

#[tokio::test]
async fn who_has_many_pages_open_leaves_news_for_others() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    updater.is_ready().await;
    let [eager, other] = ALONE.map(Visitor::browser);
    let mut open = Vec::new();
    for _ in 0..SEATS_OF_ONE {
        let news = eager.asks_for(&updater, "/live").await;
        assert_eq!(news.status(), 200);
        open.push(news);
    }
    assert_eq!(eager.asks_for(&updater, "/live").await.status(), 503);
    assert_eq!(eager.asks_for(&updater, "/").await.status(), 200);
    assert_eq!(other.asks_for(&updater, "/live").await.status(), 200);
    drop(open);
    eventually("there is news again for who has closed them", LIMIT, || async {
        let news = eager.asks_for(&updater, "/live").await;
        (news.status() == 200).then_some(())
    })
    .await;
    updater.stop().await;
}

#[tokio::test]
async fn http_2_with_its_many_requests_on_one_connection_is_not_spoken() {
    let stage = Stage::with_checkout(&[]).await;
    let updater = stage.leader().await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let begun = Instant::now();
    let asked = client.get(format!("http://{}/livez", updater.address)).send();
    assert!(asked.await.is_err());
    assert!(begun.elapsed() < LIMIT, "the connection ends at once");
    updater.stop().await;
}
