//! Somebody gets a message, opens its link in a real browser, reads, agrees, and sees it through to its end. Everything moves, the
//! programs are the real ones, and a forge, a language model, Discord and a webhook's receiver stand beside them.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use sandbox::browser::{Browser, Key, Page};
use sandbox::cluster::{Cluster, eventually};
use sandbox::forge::{Forge, Repository};
use sandbox::openai::{Completion, OpenAi};
use sandbox::programs::programs;
use sandbox::receiver::Receiver;
use sandbox::registry::ImageSpec;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::output::stdout;
use crate::shop::{self, SIGNING_KEY, scan, start};

const LIMIT: Duration = Duration::from_secs(30);
const NOTES: &str = "## Security\n- Baskets of others cannot be read any more (CVE-2026-1234)\n\n## Changed\n- BREAKING: the port is 8080";
const SUMMARY: &str = "{\"overview\": \"Baskets are safer.\", \"security\": [\"Baskets of others are closed (CVE-2026-1234)\"], \
                       \"breaking\": [\"The port is 8080\"], \"features\": [], \"fixes\": []}";

/// A shop in which an update waits for somebody.
struct Scene {
    address: SocketAddr,
    key: tempfile::NamedTempFile,
    updater: Child,
    /// Takes the messages of Discord, and the events of the webhook.
    told: Receiver,
    /// What the updater asks beside the cluster.
    _beside: (Forge, OpenAi),
    cluster: Cluster,
}

impl Scene {
    async fn set() -> Self {
        let cluster = shop::open().await;
        let forge = Forge::start().await;
        forge.has(
            "example/shop",
            Repository::with(&[("v1.5.0", NOTES), ("v1.4.0", "- The first one.")]),
        );
        let source = format!("http://{}/example/shop", forge.host());
        for tag in ["1.4.0", "1.5.0"] {
            // Time runs 20 times as fast: long enough for the page to be told of it on its way.
            let image = ImageSpec::new("shop/checkout", tag)
                .label("org.opencontainers.image.source", &source)
                .label("sandbox.kubefresh.dev/ready-after", "60s");
            cluster.registry.publish(&image);
        }
        let annotations = json!({ "kubefresh.dev/watch": "true", "kubefresh.dev/mode": "approve" });
        cluster.apply(&[shop::checkout(&cluster, &annotations)]).await;
        scan(&cluster).await;
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), SIGNING_KEY).unwrap();
        // Free a moment ago: good enough for what is run by hand.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let model = OpenAi::start(Completion::Says(SUMMARY.to_owned(), 321)).await;
        let told = Receiver::start().await;
        let words = [
            "run".to_owned(),
            "--listen-address=127.0.0.1".to_owned(),
            "--lease-duration=2s".to_owned(),
            "--gather-messages=0".to_owned(),
            "--webhook-enable-image-rollout-started".to_owned(),
            "--webhook-enable-image-rollout-completed".to_owned(),
            format!("--port={}", address.port()),
            format!("--base-url=http://{address}"),
            format!("--signing-key-file={}", key.path().display()),
            format!("--forges={}", forge.named("github")),
            format!("--openai-base-url={}", model.base_url()),
            format!("--discord-url={}", told.url("/discord")),
            format!("--webhook-url={}", told.url("/events")),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let updater = start(&cluster, "kubefresh-updater", &words);
        Self {
            address,
            key,
            updater,
            told,
            _beside: (forge, model),
            cluster,
        }
    }

    /// The link of the message that asks for approval, without its host.
    async fn link_of_message(&self) -> String {
        let base = format!("http://{}", self.address);
        let message = eventually("Discord has a message", LIMIT, || async {
            self.told
                .received()
                .into_iter()
                .find(|request| request.target == "/discord")
        })
        .await;
        for words in ["Baskets are safer", "1.4.0", "breaking"] {
            assert!(message.text.contains(words), "{words}: {}", message.text);
        }
        let (_, link) = message.text.split_once(&base).unwrap();
        link.split_once(">)").unwrap().0.to_owned()
    }

    /// The same by hand.
    async fn link(&self) -> String {
        let base = format!("http://{}", self.address);
        let kubeconfig = self
            .cluster
            .kubeconfig_file(Some(("kubefresh", "kubefresh-updater")));
        let key = self.key.path().to_str().unwrap();
        let words = [
            "link",
            "shop/checkout",
            "--base-url",
            &base,
            "--signing-key-file",
            key,
        ];
        eventually("there is a link", LIMIT, || async {
            let output = Command::new(&programs()["kubefresh-updater"])
                .args(words)
                .env("KUBECONFIG", &kubeconfig)
                .env("POD_NAMESPACE", "kubefresh")
                .stdin(Stdio::null())
                .output()
                .await
                .unwrap();
            let printed = stdout(&output).trim().to_owned();
            Some(printed.strip_prefix(&base)?.to_owned())
        })
        .await
    }

    /// The page that the link opens, once the updater shows any.
    async fn open(&self, browser: &Browser, link: &str, with_scripts: bool) -> Page {
        let ready = format!("http://{}/readyz", self.address);
        eventually("the updater is ready", LIMIT, || async {
            let answer = reqwest::get(&ready).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        let page = browser.page(self.address).await;
        if !with_scripts {
            page.without_scripts().await;
        }
        page.open(link).await;
        page.says("Update shop/checkout to 1.5.0?").await;
        let text = page.text().await;
        for tag in ["1.4.0", "1.5.0"] {
            let image = self.cluster.registry.reference("shop/checkout", tag);
            assert!(text.contains(&image), "{image}: {text}");
        }
        page
    }

    async fn end(mut self) {
        self.updater.kill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn who_opens_the_link_of_a_message_reads_the_notes_deploys_by_the_keyboard_and_sees_the_rollout_finish()
{
    let scene = Scene::set().await;
    let browser = Browser::start().await;
    let link = scene.link_of_message().await;
    let page = scene.open(&browser, &link, true).await;
    for words in [
        "Baskets are safer.",
        "Baskets of others are closed (CVE-2026-1234)",
        "The port is 8080",
        "breaking: the notes say",
        "summarised by a language model",
    ] {
        page.says(words).await;
    }
    page.tab_to("button", "Deploy").await;
    page.press(Key::Enter).await;
    page.says("Approved").await;
    page.click("link", "Follow it on the page of the workload").await;
    page.until(
        "it is the workload's page",
        "location.pathname.startsWith('/workload/')",
    )
    .await;
    page.evaluate("window.isStillHere = true").await;
    page.says("rolling out").await;
    page.says("completed").await;
    page.says("up to date").await;
    assert_eq!(page.evaluate("window.isStillHere").await, true);
    assert_eq!(page.complaints(), Vec::<String>::new());
    eventually("a program hears of the end, too", LIMIT, || async {
        let told = scene.told.received();
        let told = told.iter().filter(|request| request.target == "/events");
        let events: Vec<String> = told.map(|request| request.event().to_owned()).collect();
        (events == ["IMAGE_ROLLOUT_STARTED", "IMAGE_ROLLOUT_COMPLETED"]).then_some(())
    })
    .await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn who_has_no_scripts_does_the_same_and_loads_the_page_again() {
    let scene = Scene::set().await;
    let browser = Browser::start().await;
    let page = scene.open(&browser, &scene.link().await, false).await;
    page.click("button", "Deploy").await;
    page.says("Approved").await;
    page.click("link", "Follow it on the page of the workload").await;
    page.says("Why this choice").await;
    eventually("the rollout has ended", LIMIT, || async {
        page.reload().await;
        page.text().await.contains("completed").then_some(())
    })
    .await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    scene.end().await;
}
