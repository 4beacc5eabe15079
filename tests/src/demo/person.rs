//! Somebody who reads the chat, opens the link of a message, and presses a button of the page behind it.

use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use serde_json::Value;

use crate::receiver::Received;

/// A message as people see it, line by line, and where it says that one can decide.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) lines: Vec<String>,
    pub(super) link: String,
}

/// The message by which a service asks for an approval.
pub(super) fn question(received: &[Received], service: &str) -> Option<Message> {
    let embeds = received.iter().map(|request| &request.body["embeds"][0]);
    let about = format!("/{service}");
    embeds.into_iter().find_map(|embed| {
        let title = plain(&embed["title"]);
        let link = fields(embed).find_map(|(_, value)| link(value, "/approve?token="))?;
        title.ends_with(&about).then(|| Message {
            lines: lines(embed),
            link,
        })
    })
}

fn fields(embed: &Value) -> impl Iterator<Item = (String, &str)> {
    let fields = embed["fields"].as_array().into_iter().flatten();
    fields.map(|field| (plain(&field["name"]), field["value"].as_str().unwrap_or_default()))
}

fn lines(embed: &Value) -> Vec<String> {
    let mut lines = vec![plain(&embed["title"])];
    lines.extend(plain(&embed["description"]).lines().map(str::to_owned));
    for (name, value) in fields(embed) {
        lines.push(format!("{name}:"));
        let value = plain(&Value::from(value));
        lines.extend(value.lines().map(|line| format!("  {}", short(line))));
    }
    lines
}

/// A token is longer than a line, and nobody reads it.
fn short(line: &str) -> String {
    match line.split_once("token=") {
        Some((before, rest)) => {
            let end = rest.find('>').unwrap_or(rest.len());
            let shown: String = rest.chars().take(12).collect();
            format!("{before}token={shown}…{}", rest.get(end..).unwrap_or_default())
        }
        None => line.to_owned(),
    }
}

/// Without the backslashes by which it is no markup.
fn plain(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\\', "")
}

/// The first address `<…>` with this in it.
fn link(text: &str, part: &str) -> Option<String> {
    let mut addresses = text.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    addresses
        .find(|address| address.contains(part))
        .map(str::to_owned)
}

/// A page in a browser without scripts.
#[derive(Debug)]
pub(super) struct Page {
    address: String,
    html: String,
}

impl Page {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let answer = reqwest::get(address).await?;
        ensure!(
            answer.status().is_success(),
            "the page answers {}",
            answer.status()
        );
        Ok(Self {
            address: address.to_owned(),
            html: answer.text().await?,
        })
    }

    pub(super) fn heading(&self) -> String {
        self.between("<h1>", "</h1>").unwrap_or_default()
    }

    /// Its buttons, as they are labelled.
    pub(super) fn buttons(&self) -> Vec<String> {
        let buttons = self.html.split("<button").skip(1);
        let labels = buttons.filter_map(|rest| Some(rest.split_once('>')?.1.split_once("</button>")?.0));
        labels.map(unescaped).collect()
    }

    /// Sends the form by this button, as a browser does, and shows what comes back.
    pub(super) async fn press(&self, label: &str) -> Result<Self> {
        let token = self
            .between("name=\"token\" value=\"", "\"")
            .context("the form has a token")?;
        let (before, _) = self
            .html
            .split_once(&format!(">{label}</button>"))
            .with_context(|| format!("there is no button {label}"))?;
        let (_, button) = before
            .rsplit_once("<button")
            .context("a button begins somewhere")?;
        let attribute = |name: &str| between(button, &format!("{name}=\""), "\"");
        let (name, value) = (attribute("name"), attribute("value"));
        let (name, value) = name.zip(value).context("the button says what it decides")?;
        let action = self.between("action=\"", "\"").unwrap_or_default();
        let page = reqwest::Url::parse(&self.address)?;
        let mut form = page.join("/")?;
        form.query_pairs_mut()
            .append_pair("token", &token)
            .append_pair(&name, &value);
        let body = form.query().unwrap_or_default().to_owned();
        let answer = Client::new()
            .post(page.join(&action)?)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", page.origin().ascii_serialization())
            .header("sec-fetch-site", "same-origin")
            .body(body)
            .send()
            .await?;
        let status = answer.status();
        let page = Self {
            address: answer.url().to_string(),
            html: answer.text().await?,
        };
        ensure!(status.is_success(), "{} ({status})", page.heading());
        Ok(page)
    }

    fn between(&self, start: &str, end: &str) -> Option<String> {
        between(&self.html, start, end)
    }
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    Some(unescaped(rest.split_once(end)?.0))
}

fn unescaped(text: &str) -> String {
    text.replace("&#x2f;", "/")
        .replace("&#x27;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}
