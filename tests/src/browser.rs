//! A real browser, Debian's Chromium, that is used as people use one: what they click is found by its role and name, and
//! clicked with a mouse or reached with the Tab key. For the ignored tests.

mod complaints;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde_json::{Value, json};

use wire::Wire;

/// How long a page may take to become what is waited for, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);
/// Of a window on a desk, in pixels.
const DESK: (u32, u32) = (1280, 800);
/// Roles of what people use.
const CONTROLS: [&str; 9] = [
    "button",
    "checkbox",
    "combobox",
    "link",
    "listbox",
    "radio",
    "searchbox",
    "spinbutton",
    "textbox",
];

/// One with a profile of its own. It ends when this and its pages are dropped.
#[derive(Debug)]
pub struct Browser {
    wire: Arc<Wire>,
    _profile: tempfile::TempDir,
}

/// A window, with cookies of its own.
#[derive(Debug)]
pub struct Page {
    wire: Arc<Wire>,
    session: String,
    home: Url,
}

/// Something on a page that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub role: String,
    /// What it is called by those who cannot see it.
    pub name: String,
    pub has_focus: bool,
    node: u64,
}

/// A key that is no letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Tab,
    Enter,
    Space,
}

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed or does not answer.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let wire = Wire::open(profile.path());
        wire.ask(None, "Browser.getVersion", json!({})).await.unwrap();
        Self {
            wire: Arc::new(wire),
            _profile: profile,
        }
    }

    /// A new window on a desk, for the pages of this server; whom else they ask, they are to blame for.
    pub async fn page(&self, server: SocketAddr) -> Page {
        let ask = async |method: &str, parameters: Value| {
            let answer = self.wire.ask(None, method, parameters).await;
            answer.unwrap()
        };
        let context = ask("Target.createBrowserContext", json!({})).await["browserContextId"].take();
        let blank = json!({ "url": "about:blank", "browserContextId": context });
        let target = ask("Target.createTarget", blank).await["targetId"].take();
        let attached = ask(
            "Target.attachToTarget",
            json!({ "targetId": target, "flatten": true }),
        )
        .await;
        let page = Page {
            wire: Arc::clone(&self.wire),
            session: attached["sessionId"].as_str().unwrap().to_owned(),
            home: Url::parse(&format!("http://{server}/")).unwrap(),
        };
        for domain in [
            "Page",
            "Runtime",
            "Log",
            "Network",
            "Audits",
            "DOM",
            "Accessibility",
        ] {
            page.ask(&format!("{domain}.enable"), json!({})).await;
        }
        // Of several windows only one has the focus otherwise.
        page.ask("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))
            .await;
        page.size(DESK.0, DESK.1, 1.0).await;
        page
    }
}

impl Page {
    async fn ask(&self, method: &str, parameters: Value) -> Value {
        self.try_to(method, parameters).await.unwrap()
    }

    async fn try_to(&self, method: &str, parameters: Value) -> Result<Value, String> {
        self.wire.ask(Some(&self.session), method, parameters).await
    }

    /// Goes to an address of the server, and waits until all of it is there.
    pub async fn open(&self, path: &str) {
        let url = self.home.join(path).unwrap();
        let answer = self.ask("Page.navigate", json!({ "url": url.as_str() })).await;
        assert_eq!(answer["errorText"], Value::Null, "{url}");
        self.until("it is loaded", "document.readyState === 'complete'")
            .await;
    }

    /// Loads the page again, as one does who has no scripts.
    pub async fn reload(&self) {
        self.evaluate("window.wasHereBefore = true").await;
        self.ask("Page.reload", json!({})).await;
        self.until(
            "it is loaded again",
            "!window.wasHereBefore && document.readyState === 'complete'",
        )
        .await;
    }

    /// The value of an expression in the page.
    ///
    /// # Panics
    /// When it fails.
    pub async fn evaluate(&self, expression: &str) -> Value {
        self.try_to_evaluate(expression).await.unwrap()
    }

    async fn try_to_evaluate(&self, expression: &str) -> Result<Value, String> {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.try_to("Runtime.evaluate", parameters).await?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("{expression}: {details}")),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until an expression is true, also on the page that comes next.
    ///
    /// # Panics
    /// When it does not become so.
    pub async fn until(&self, what: &str, expression: &str) {
        let started = Instant::now();
        loop {
            // Between two pages there is none.
            let found = self.try_to_evaluate(expression).await;
            if matches!(found, Ok(Value::Bool(true))) {
                return;
            }
            if started.elapsed() > LIMIT {
                let text = self.text().await;
                panic!("waited {LIMIT:?} in vain until {what}: {found:?} on\n{text}");
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Waits until people can read these words.
    pub async fn says(&self, words: &str) {
        let expression = format!("document.body.innerText.includes({})", json!(words));
        self.until(&format!("it says {words:?}"), &expression).await;
    }

    /// What people can read.
    pub async fn text(&self) -> String {
        let text = self.evaluate("document.body.innerText").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// All that can be used, in the order of the page.
    pub async fn controls(&self) -> Vec<Control> {
        let mut answer = self.ask("Accessibility.getFullAXTree", json!({})).await;
        let nodes = answer["nodes"].take();
        let nodes = nodes.as_array().unwrap().iter();
        let controls = nodes.filter_map(|node| {
            let role = node["role"]["value"].as_str()?;
            let is_control = node["ignored"] == false && CONTROLS.contains(&role);
            let has_focus = node["properties"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|property| property["name"] == "focused" && property["value"]["value"] == true);
            is_control.then(|| Control {
                role: role.to_owned(),
                name: node["name"]["value"].as_str().unwrap_or_default().to_owned(),
                has_focus,
                node: node["backendDOMNodeId"].as_u64().unwrap_or_default(),
            })
        });
        controls.collect()
    }

    /// The only one of this role and name.
    async fn control(&self, role: &str, name: &str) -> Control {
        let all = self.controls().await;
        let mut found = all
            .iter()
            .filter(|control| control.role == role && control.name == name);
        match (found.next(), found.next()) {
            (Some(control), None) => control.clone(),
            (None, _) => panic!("there is no {role} {name:?} among {all:#?}"),
            (Some(_), Some(_)) => panic!("there are several {role} {name:?} among {all:#?}"),
        }
    }

    /// Moves the pointer to the middle of what it sees of it, and says where that is.
    pub async fn point_at(&self, role: &str, name: &str) -> (f64, f64) {
        let node = json!({ "backendNodeId": self.control(role, name).await.node });
        self.ask("DOM.scrollIntoViewIfNeeded", node.clone()).await;
        let quads = self.ask("DOM.getContentQuads", node).await;
        let corner = |index: usize| quads["quads"][0][index].as_f64().unwrap();
        let (x, y) = (
            f64::midpoint(corner(0), corner(4)),
            f64::midpoint(corner(1), corner(5)),
        );
        self.mouse("mouseMoved", (x, y)).await;
        (x, y)
    }

    /// Clicks there, whatever is there.
    pub async fn click(&self, role: &str, name: &str) {
        let there = self.point_at(role, name).await;
        self.click_at(there).await;
    }

    /// Presses and lets go where the pointer was moved.
    pub async fn click_at(&self, there: (f64, f64)) {
        for kind in ["mousePressed", "mouseReleased"] {
            self.mouse(kind, there).await;
        }
    }

    async fn mouse(&self, kind: &str, (x, y): (f64, f64)) {
        let button = if kind == "mouseMoved" { "none" } else { "left" };
        let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
        self.ask("Input.dispatchMouseEvent", event).await;
    }

    /// Waits for it, on the page that comes next, and clicks it.
    pub async fn click_when_there(&self, role: &str, name: &str) {
        let started = Instant::now();
        let is_it = |control: &Control| control.role == role && control.name == name;
        while started.elapsed() < LIMIT && !self.controls().await.iter().any(is_it) {
            tokio::time::sleep(GLANCE).await;
        }
        self.click(role, name).await;
    }

    /// Presses Tab until it has the focus.
    ///
    /// # Panics
    /// When one cannot get there so.
    pub async fn tab_to(&self, role: &str, name: &str) {
        let wanted = self.control(role, name).await;
        for _ in 0..=2 * self.controls().await.len() {
            let focused = self
                .controls()
                .await
                .into_iter()
                .find(|control| control.has_focus);
            if focused.is_some_and(|focused| focused.node == wanted.node) {
                return;
            }
            self.press(Key::Tab).await;
        }
        panic!("the Tab key does not get to {role} {name:?}");
    }

    pub async fn press(&self, key: Key) {
        let (name, code, number, text) = match key {
            Key::Tab => ("Tab", "Tab", 9, ""),
            Key::Enter => ("Enter", "Enter", 13, "\r"),
            Key::Space => (" ", "Space", 32, " "),
        };
        let mut event =
            json!({ "type": "keyDown", "key": name, "code": code, "windowsVirtualKeyCode": number });
        if !text.is_empty() {
            event["text"] = json!(text);
        }
        self.ask("Input.dispatchKeyEvent", event.clone()).await;
        event["type"] = json!("keyUp");
        self.ask("Input.dispatchKeyEvent", event).await;
    }

    /// Writes letters into what has the focus.
    pub async fn write(&self, text: &str) {
        for letter in text.chars().map(String::from) {
            for kind in ["keyDown", "keyUp"] {
                let event = json!({ "type": kind, "key": letter, "text": letter });
                self.ask("Input.dispatchKeyEvent", event).await;
            }
        }
    }

    /// The size of the window in pixels, and how many dots a pixel has.
    pub async fn size(&self, width: u32, height: u32, dots: f64) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": dots, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Whether people want it dark.
    pub async fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.ask("Emulation.setEmulatedMedia", media).await;
    }

    /// From the next page on, none of its scripts runs.
    pub async fn without_scripts(&self) {
        self.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }))
            .await;
    }

    /// What the window shows, as a PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        let shot = self
            .ask("Page.captureScreenshot", json!({ "format": "png" }))
            .await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser holds against the pages so far, and whom they asked beside their server.
    pub fn complaints(&self) -> Vec<String> {
        let events = self.wire.events(&self.session);
        let complaints = events
            .iter()
            .filter_map(|event| complaints::complaint(event, &self.home));
        complaints.collect()
    }

    /// Texts that cannot be read well, and why.
    pub async fn hard_to_read(&self) -> Vec<String> {
        let found = self.evaluate(include_str!("browser/contrast.js")).await;
        serde_json::from_value(found).unwrap()
    }

    /// By how many pixels it is wider than the window.
    pub async fn too_wide_by(&self) -> i64 {
        let width = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.evaluate(width).await.as_i64().unwrap()
    }

    /// What the Tab key does not get to on a page that was just opened, or not in its order, or without showing where one is.
    pub async fn out_of_reach(&self) -> Vec<String> {
        let all = include_str!("browser/tab_order.js").trim();
        let describe = format!("{all}.map((element) => element.outerHTML.slice(0, 200))");
        let described: Vec<String> = serde_json::from_value(self.evaluate(&describe).await).unwrap();
        let mut missed = Vec::new();
        for (index, element) in described.into_iter().enumerate() {
            self.press(Key::Tab).await;
            let is_here = format!(
                "{all}.indexOf(document.activeElement) === {index} && document.activeElement.matches(':focus-visible') && \
                 parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2"
            );
            if self.evaluate(&is_here).await != true {
                missed.push(element);
            }
        }
        missed
    }
}
