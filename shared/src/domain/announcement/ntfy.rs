//! ntfy: a message as JSON, which unlike its headers takes any character.
//!
//! Limits: <https://docs.ntfy.sh/publish/#limitations>: a message of more than 4,096 bytes becomes an attachment, and there are three actions.
//! Nothing is Markdown unless one says so.

use serde_json::{Value, json};

use super::fit::{self, bytes};
use super::outline::{Outline, Tone};
use super::{Announcement, Section};

const MESSAGE: usize = 4096;
const TITLE: usize = 250;
const ACTIONS: usize = 3;

/// The body for the server's root, about `topic`.
pub fn render(announcement: &Announcement, topic: &str) -> Value {
    let outline = Outline::of(announcement);
    let mut message = String::new();
    for Section { title, lines } in outline.sections() {
        let before = if message.is_empty() { "" } else { "\n\n" };
        let title = fit::text(title, 200, fit::verbatim, bytes);
        let title = format!("{before}{title}\n");
        let left = MESSAGE.saturating_sub(message.len() + title.len());
        if left < 200 {
            break;
        }
        message.push_str(&title);
        message.push_str(&fit::lines(lines, "• ", left, fit::verbatim, bytes));
    }
    let (priority, tag) = match outline.tone {
        Tone::Good => (3, "white_check_mark"),
        Tone::Neutral => (3, "information_source"),
        Tone::Question => (3, "question"),
        Tone::Bad => (4, "warning"),
    };
    let actions = outline.links.iter().take(ACTIONS).map(|(text, url)| {
        json!({ "action": "view", "label": fit::text(text, 80, fit::verbatim, bytes), "url": url })
    });
    let mut body = json!({
        "topic": topic,
        "title": fit::text(&outline.title, TITLE, fit::verbatim, bytes),
        "message": message,
        "priority": priority,
        "tags": [tag],
        "actions": actions.collect::<Vec<Value>>(),
    });
    if let Some((_, url)) = outline.links.first() {
        body["click"] = json!(url);
    }
    body
}
