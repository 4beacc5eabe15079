//! HTTP/2: what many requests on one connection, and a connection that ends under them, do to each other.

use std::net::SocketAddr;
use std::time::Duration;

use sandbox::registry::{Fault, ImageSpec, Registry, RequestKind, Rule, TlsFront};
use scanner::registry::{ErrorClass, RegistryClient, RegistryClientOptions};
use shared::domain::reference::Repository;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{class_of, list, quick, tag, trusting};

/// More than the 1024 streams that HTTP/2 implementations let a peer reset before they give the connection up.
const MANY: usize = 1_500;

fn client(front: &TlsFront, options: RegistryClientOptions) -> RegistryClient {
    trusting(&front.host(), front, options)
}

fn repository(front: &TlsFront, path: &str) -> Repository {
    format!("{}/{path}", front.host()).parse().unwrap()
}

/// A registry with so many repositories, and TLS in front of it.
async fn registry(repositories: usize) -> (Registry, TlsFront) {
    let registry = Registry::open().await;
    for number in 0..repositories {
        registry.publish(&ImageSpec::new(&format!("shop/app-{number}"), "1"));
    }
    let front = registry.with_tls().await;
    (registry, front)
}

/// How many connections have carried anything.
fn used(front: &TlsFront) -> usize {
    front
        .carried()
        .into_iter()
        .filter(|requests| *requests > 0)
        .count()
}

#[tokio::test]
async fn a_whole_scan_goes_over_one_connection() {
    let (registry, front) = registry(50).await;
    let client = client(&front, quick());
    let scans = (0..50).map(|number| {
        let (client, repository) = (&client, repository(&front, &format!("shop/app-{number}")));
        async move {
            assert_eq!(list(client, &repository).await.unwrap(), ["1"]);
            let digest = client.head_digest(&repository, &tag("1")).await.unwrap().unwrap();
            client.platform_digests(&repository, &digest).await.unwrap();
        }
    });
    futures::future::join_all(scans).await;
    let requests = registry.requests();
    assert_eq!(requests.len(), 150);
    assert!(requests.iter().all(|request| request.protocol == "HTTP/2.0"));
    assert_eq!(front.carried(), [150], "and no other was opened");
}

#[tokio::test]
async fn many_answers_of_every_kind_do_not_use_a_connection_up() {
    let (registry, front) = registry(1).await;
    let explained = Fault::error(404, "NAME_UNKNOWN", &"x".repeat(10_000));
    registry.fault(Rule::on(RequestKind::Tags, explained).repository("shop/nothing"));
    let client = client(&front, quick());
    let (there, nothing) = (
        repository(&front, "shop/app-0"),
        repository(&front, "shop/nothing"),
    );
    let (present, missing) = (tag("1"), tag("2"));
    let asked = (0..MANY).map(async |number| match number % 3 {
        0 => assert!(client.head_digest(&there, &present).await.unwrap().is_some()),
        1 => assert_eq!(client.head_digest(&there, &missing).await.unwrap(), None),
        _ => assert_eq!(class_of(list(&client, &nothing).await), ErrorClass::NotFound),
    });
    futures::future::join_all(asked).await;
    assert_eq!(registry.requests().len(), MANY);
    assert_eq!(used(&front), 1, "{:?}", front.carried());
}

#[tokio::test]
async fn bodies_that_are_not_read_to_their_end_cost_others_nothing() {
    const CONCURRENCY: usize = 64;
    let (registry, front) = registry(1).await;
    for (repository, status) in [("shop/huge", 200), ("shop/chatty", 404)] {
        let fault = Fault::Answer {
            status,
            headers: Vec::new(),
            body: " ".repeat(60_000),
        };
        registry.fault(Rule::on(RequestKind::Tags, fault).repository(repository));
    }
    let client = client(
        &front,
        RegistryClientOptions {
            max_page_bytes: 1_000,
            max_small_bytes: 1_000,
            concurrency_per_registry: CONCURRENCY,
            concurrency: CONCURRENCY,
            ..quick()
        },
    );
    let [good, huge, chatty] =
        ["shop/app-0", "shop/huge", "shop/chatty"].map(|path| repository(&front, path));
    let asked = (0..3 * MANY).map(async |number| match number % 3 {
        0 => assert_eq!(list(&client, &good).await.unwrap(), ["1"]),
        1 => assert_eq!(class_of(list(&client, &huge).await), ErrorClass::TooLarge),
        _ => assert_eq!(class_of(list(&client, &chatty).await), ErrorClass::NotFound),
    });
    futures::future::join_all(asked).await;
    // Where the limit of resets is reached, those under way are asked again on a new connection.
    let again = registry.requests().len() - 3 * MANY;
    assert!(again <= 2 * CONCURRENCY, "{again}");
}

#[tokio::test]
async fn a_server_that_gives_connections_up_costs_no_repository() {
    let (registry, front) = registry(100).await;
    front.give_up_connections_after(7);
    let client = client(&front, quick());
    let repositories: Vec<_> = (0..100)
        .map(|number| repository(&front, &format!("shop/app-{number}")))
        .collect();
    let lists = futures::future::join_all(repositories.iter().map(|repository| list(&client, repository)));
    for tags in lists.await {
        assert_eq!(tags.unwrap(), ["1"]);
    }
    assert!(used(&front) >= 10, "{:?}", front.carried());
    assert_eq!(registry.requests().len(), 100, "nothing was asked twice");
}

/// A way to a server that can be cut, as by a firewall that forgets its connections: nobody is told, and only new ones pass.
struct Tunnel {
    address: SocketAddr,
    generation: watch::Sender<usize>,
}

impl Tunnel {
    async fn to(host: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let generation = watch::Sender::new(0);
        let mut forgotten = generation.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&host).await.unwrap();
                forgotten.mark_unchanged();
                let mut forgotten = forgotten.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        Ok(()) = forgotten.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, generation }
    }

    fn forget_connections(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

#[tokio::test]
async fn a_connection_that_fell_silent_is_replaced_and_costs_no_repository() {
    let (registry, front) = registry(8).await;
    let tunnel = Tunnel::to(front.host()).await;
    let host = tunnel.address.to_string();
    let options = RegistryClientOptions {
        request_timeout: Duration::from_secs(15),
        ..quick()
    };
    let client = trusting(&host, &front, options);
    let repositories: Vec<Repository> = (0..8)
        .map(|number| format!("{host}/shop/app-{number}").parse().unwrap())
        .collect();
    list(&client, &repositories[0]).await.unwrap();
    tunnel.forget_connections();
    let lists = futures::future::join_all(repositories.iter().map(|repository| list(&client, repository)));
    for tags in lists.await {
        assert_eq!(tags.unwrap(), ["1"]);
    }
    assert_eq!(registry.requests().len(), 9, "the lost ones have not arrived");
}
