//! The pages in a real browser, which people use by mouse and keyboard, read in the dark, on a telephone, or have read to them.

use std::path::PathBuf;

use sandbox::browser::{Browser, Key, Page};
use sandbox::forge::{Forge, Repository};
use sandbox::openai::{Completion, OpenAi};

use super::approving::{CHECKOUT, Scene, TOKEN};
use super::notes::{NOTES, record};
use super::*;

/// The smallest window that a page has to fit into, in pixels: WCAG 2 takes it for a page magnified four times.
const SMALLEST: u32 = 320;
const REGISTRY: &str = "registry.example/shop";
/// Of the picture of a page: its width in pixels, how many dots each has, so that a README shows it as it is, and what nobody should
/// wait for there, in bytes.
const PICTURE: u32 = 1100;
const DOTS: f64 = 0.8;
const LARGEST: usize = 150_000;

const RELEASES: [(&str, &str); 3] = [
    (
        "v1.5.0",
        "## Added\n- Baskets survive a restart of the shop\n- Vouchers can be combined\n\n## Fixed\n- Totals are rounded as on \
         the invoice\n\n## Breaking changes\n- `PAYMENT_TIMEOUT` is read in seconds, no longer in milliseconds",
    ),
    (
        "v1.4.1",
        "## Security\n- Sessions of signed-out customers end at once (CVE-2026-1234)",
    ),
    ("v1.4.0", "- the release that runs"),
];
const SUMMARY: &str = r#"{"overview": "Baskets survive restarts and vouchers can be combined. PAYMENT_TIMEOUT is now read in seconds: \
    divide yours by 1000 before you deploy.", "security": [{"text": "Sessions of signed-out customers end at once (CVE-2026-1234)"}], \
    "breaking": [{"text": "PAYMENT_TIMEOUT is read in seconds, no longer in milliseconds"}], "features": [{"text": "Baskets survive \
    a restart of the shop"}, {"text": "Vouchers can be combined"}], "fixes": [{"text": "Totals are rounded as on the invoice"}]}"#;

/// What is beside a shop: where its releases are described, and who sums that up.
struct Services {
    forge: Forge,
    model: OpenAi,
}

impl Services {
    async fn start() -> Self {
        let forge = Forge::start().await;
        forge.has("example/checkout", Repository::with(&RELEASES));
        let summary = SUMMARY.replace("\\\n    ", "");
        let model = OpenAi::start(Completion::Says(summary, 812)).await;
        Self { forge, model }
    }
}

/// A shop where something of everything happens.
async fn busy(services: &Services) -> Scene {
    let (forges, model) = (services.forge.named("github"), services.model.base_url());
    let scene = Scene::set(&["--forges", &forges, "--openai-base-url", &model]).await;
    let stage = &scene.stage;
    let notes = format!("{}/example/checkout", services.forge.host());
    stage.annotate("checkout", NOTES, &notes).await;
    record(stage, "with a summary", |record| record.summary.is_some()).await;
    for (name, tag, tags) in [
        ("catalog", "2.7.1", &["2.7.1", "2.8.0"][..]),
        ("payments", "8.1.3-alpine", &["8.1.3-alpine", "8.1.3"]),
        ("search", "0.9.0", &["0.9.0", "0.9.1"]),
        ("storefront", "2026.10.2", &["2026.10.2", "2026.11.1"]),
    ] {
        let demand = format!("{tag} minor");
        let repository = format!("{REGISTRY}/{name}");
        let annotations = [
            ("kubefresh.dev/policy", "minor"),
            ("kubefresh.dev/rollback", "false"),
        ];
        stage
            .deploy(name, &format!("{repository}:{tag}"), &annotations)
            .await;
        stage.roll_out(name).await;
        stage.scanned(&repository, &[&demand], tags).await;
    }
    let wrong = [("kubefresh.dev/mode", "sometimes")];
    stage
        .deploy("mail", &format!("{REGISTRY}/mail:3.2.0"), &wrong)
        .await;
    stage
        .image_becomes("catalog", &format!("{REGISTRY}/catalog:2.8.0"))
        .await;
    stage.roll_out("catalog").await;
    stage.result("catalog").await;
    stage
        .image_becomes("search", &format!("{REGISTRY}/search:0.9.1"))
        .await;
    stage.give_up("search").await;
    stage.result("search").await;
    stage
        .image_becomes("storefront", &format!("{REGISTRY}/storefront:2026.11.1"))
        .await;
    scene
}

impl Scene {
    /// `checkout` can have these, beside what it has.
    async fn offer(&self, tags: &[&str]) {
        let tags = [&["1.4.0"], tags].concat();
        let repository = format!("{REGISTRY}/checkout");
        self.stage.scanned(&repository, &["1.4.0 minor"], &tags).await;
    }
}

/// The workloads of the table, in its order.
async fn rows(page: &Page) -> Vec<String> {
    let rows = "[...document.querySelectorAll('tbody th a')].map((link) => link.textContent)";
    serde_json::from_value(page.evaluate(rows).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn what_is_watched_is_read_filtered_sorted_and_looked_into() {
    let services = Services::start().await;
    let scene = busy(&services).await;
    let browser = Browser::start().await;
    let page = browser.page(scene.updater.address).await;
    page.open("/").await;
    page.says("1 waiting").await;
    let text = page.text().await;
    for words in ["1.5.0 waits for approval", "shop/mail", "kubefresh.dev/mode"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    page.tab_to("searchbox", "Text").await;
    page.write("pay").await;
    page.press(Key::Enter).await;
    page.says("Containers 1 to 1 of 1").await;
    assert_eq!(rows(&page).await, ["shop/payments"]);

    page.click("link", "Kubefresh").await;
    page.says("shop/checkout").await;
    page.tab_to("combobox", "Sort by").await;
    page.write("w").await;
    page.tab_to("button", "Show").await;
    page.press(Key::Space).await;
    page.until("it is sorted", "location.search.includes('sort=workload')")
        .await;
    page.says("shop/storefront").await;
    let names = ["catalog", "checkout", "mail", "payments", "search", "storefront"];
    assert_eq!(rows(&page).await, names.map(|name| format!("shop/{name}")));

    page.click("link", "1 waiting").await;
    page.until(
        "the others are away",
        "document.querySelectorAll('tbody tr').length === 1",
    )
    .await;
    page.click("link", "shop/checkout").await;
    page.says("Why this choice").await;
    page.says("1.5.0: a newer tag is published").await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    scene.updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn every_page_can_be_read_in_light_and_dark_on_a_telephone_and_without_eyes_or_mouse() {
    let services = Services::start().await;
    let scene = busy(&services).await;
    let link = scene.link().await;
    let browser = Browser::start().await;
    for path in [
        "/",
        CHECKOUT,
        "/workload/deployment/shop/mail",
        "/workload/deployment/shop/search",
        &link,
        "/registries",
        "/sign-in",
    ] {
        let page = browser.page(scene.updater.address).await;
        page.open(path).await;
        assert_eq!(page.out_of_reach().await, Vec::<String>::new(), "{path}");
        let controls = page.controls().await;
        assert!(!controls.is_empty(), "{path}");
        for control in &controls {
            assert!(!control.name.trim().is_empty(), "{path}: {control:?}");
        }
        for width in [SMALLEST, 1024, 1025] {
            page.size(width, 800, 1.0).await;
            for dark in [false, true] {
                page.dark(dark).await;
                let is_dark = format!("matchMedia('(prefers-color-scheme: dark)').matches === {dark}");
                page.until("it has this scheme", &is_dark).await;
                let hard = page.hard_to_read().await;
                assert_eq!(hard, Vec::<String>::new(), "{path} in {width}, dark: {dark}");
                assert_eq!(page.too_wide_by().await, 0, "{path} in {width}");
            }
        }
        assert_eq!(page.complaints(), Vec::<String>::new(), "{path}");
    }
    scene.updater.stop().await;
}

/// Signs alice in, and comes back to the page of the workload.
async fn sign_in(page: &Page) {
    page.open(CHECKOUT).await;
    page.click("link", "Sign in").await;
    page.says("Token of this installation").await;
    page.click("textbox", "Your name, which is written down with what you decide")
        .await;
    page.write("alice").await;
    page.press(Key::Tab).await;
    page.write(TOKEN).await;
    page.press(Key::Enter).await;
    page.click_when_there("link", "shop/checkout").await;
    page.says("Signed in as alice").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn who_signs_in_deploys_from_the_page_of_the_workload_and_sees_it_end_there() {
    let scene = Scene::set(&[]).await;
    let browser = Browser::start().await;
    let page = browser.page(scene.updater.address).await;
    sign_in(&page).await;
    page.click("button", "Deploy 1.5.0 in app").await;
    page.says("It is approved").await;
    page.evaluate("window.isStillHere = true").await;
    scene.stage.image_becomes("checkout", NEW).await;
    page.says("rolling out").await;
    scene.stage.roll_out("checkout").await;
    page.says("completed").await;
    assert_eq!(page.evaluate("window.isStillHere").await, true);
    let by = scene.stage.annotation("checkout", "approved-by").await.unwrap();
    assert!(by.contains(r#""by":"alice""#), "{by}");
    page.click("link", "Sign out").await;
    page.click_when_there("button", "Sign out").await;
    page.says("Watched workloads").await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    scene.updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn news_takes_no_decision_from_under_the_pointer_or_the_focus_until_they_have_left() {
    const MEANWHILE: &str = "This has changed meanwhile";
    let scene = Scene::set(&[]).await;
    let browser = Browser::start().await;
    let page = browser.page(scene.updater.address).await;
    sign_in(&page).await;

    page.tab_to("button", "Deploy 1.5.0 in app").await;
    page.evaluate("window.button = document.activeElement").await;
    scene.offer(&["1.5.0", "1.6.0"]).await;
    page.says("1.6.0: a newer tag is published").await;
    page.says(MEANWHILE).await;
    let is_there = "window.button.isConnected && document.activeElement === window.button";
    assert_eq!(page.evaluate(is_there).await, true);
    page.tab_to("link", "Kubefresh").await;
    page.says("Deploy 1.6.0 in app").await;
    assert!(!page.text().await.contains(MEANWHILE));

    let there = page.point_at("button", "Deploy 1.6.0 in app").await;
    scene.offer(&["1.5.0", "1.6.0", "1.7.0"]).await;
    page.says("1.7.0: a newer tag is published").await;
    page.says(MEANWHILE).await;
    assert_eq!(page.complaints(), Vec::<String>::new());
    page.click_at(there).await;
    page.says("is no longer offered").await;
    assert_eq!(scene.approved().await, None);
    assert_eq!(scene.stage.image("checkout").await, OLD);
    scene.updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn news_leaves_what_is_being_written() {
    let scene = Scene::set(&[]).await;
    let browser = Browser::start().await;
    let page = browser.page(scene.updater.address).await;
    page.open("/").await;
    page.tab_to("searchbox", "Text").await;
    page.write("check").await;
    scene.offer(&["1.5.0", "1.6.0"]).await;
    page.says("1.6.0 waits for approval").await;
    page.write("out").await;
    let written = "document.activeElement.id === 'q' && document.activeElement.value";
    assert_eq!(page.evaluate(written).await, "checkout");
    assert_eq!(page.complaints(), Vec::<String>::new());
    scene.updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn the_pages_can_be_shown_in_the_readme() {
    // Where `just screenshots` wants them.
    let wanted = std::env::var_os("SCREENSHOTS").map(PathBuf::from);
    let services = Services::start().await;
    let scene = busy(&services).await;
    let link = scene.link().await;
    let browser = Browser::start().await;
    let page = browser.page(scene.updater.address).await;
    for (name, path) in [("overview", "/"), ("approval", &link)] {
        page.open(path).await;
        page.size(PICTURE, 1, DOTS).await;
        let height = page.evaluate("document.documentElement.scrollHeight").await;
        let height = u32::try_from(height.as_u64().unwrap()).unwrap();
        page.size(PICTURE, height, DOTS).await;
        for (scheme, dark) in [("light", false), ("dark", true)] {
            page.dark(dark).await;
            let picture = page.screenshot().await;
            let size = picture.len();
            assert!((1000..LARGEST).contains(&size), "{name}-{scheme}: {size} bytes");
            if let Some(folder) = &wanted {
                std::fs::write(folder.join(format!("{name}-{scheme}.png")), picture).unwrap();
            }
        }
    }
    scene.updater.stop().await;
}

/// A server of one page that does everything wrong.
async fn wrong() -> SocketAddr {
    use axum::http::header::CONTENT_SECURITY_POLICY;
    let text = "<!doctype html><title>w</title><style>a { outline: none }</style><script>fail()</script>\
        <img src='http://elsewhere.example/x.png'><p style='color: #999; background: #fff; width: 2000px'>pale</p>\
        <a href='/'><b></b></a><a href='/'>one</a> <button tabindex=1>two</button><script src='/missing.js'></script>";
    let policy = "default-src 'self' http://elsewhere.example; style-src 'unsafe-inline'";
    let page = move || async move { ([(CONTENT_SECURITY_POLICY, policy)], axum::response::Html(text)) };
    let router = axum::Router::new().route("/", axum::routing::get(page));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium; run by just e2e"]
async fn a_page_that_does_everything_wrong_is_caught_at_all_of_it() {
    let browser = Browser::start().await;
    let page = browser.page(wrong().await).await;
    page.open("/").await;
    assert!(!page.out_of_reach().await.is_empty());
    assert!(page.too_wide_by().await > 0);
    assert!(page.hard_to_read().await.join(" ").contains("pale"));
    assert!(
        page.controls()
            .await
            .iter()
            .any(|control| control.name.is_empty())
    );
    let complaints = page.complaints().join("\n");
    for words in [
        "Content Security Policy",
        "missing.js",
        "it asks http://elsewhere.example/x.png",
    ] {
        assert!(complaints.contains(words), "{words}: {complaints}");
    }
}
