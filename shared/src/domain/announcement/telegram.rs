//! Telegram: a message of a bot, as HTML.
//!
//! Limit and escapes: <https://core.telegram.org/bots/api#sendmessage>, <https://core.telegram.org/bots/api#html-style>. The limit is that of
//! what is shown; what is sent is kept within it, which is less.

use serde_json::{Value, json};

use super::fit::{self, units};
use super::outline::Outline;
use super::{Announcement, Section};

const TEXT: usize = 4096;
const TITLE: usize = 600;

/// The body for `sendMessage` to `chat`: a number, or a channel's `@name`.
pub fn render(announcement: &Announcement, chat: &str) -> Value {
    let outline = Outline::of(announcement);
    let title = fit::text(&outline.title, TITLE, fit::html, units);
    let mut text = format!("<b>{title}</b>");
    let links = outline.links.iter().map(|(text, url)| {
        let text = fit::text(text, 80, fit::html, units);
        format!("\n<a href=\"{}\">{text}</a>", fit::escaped(url, fit::html))
    });
    let mut room = TEXT - units(&text);
    // A link is whole or not there, and comes before any text that is long.
    let mut tail = String::new();
    for link in links {
        if units(&tail) + units(&link) < room / 2 {
            tail.push_str(&link);
        }
    }
    room -= units(&tail);
    for Section { title, lines } in outline.sections() {
        let title = fit::text(title, 200, fit::html, units);
        let title = format!("\n\n<b>{title}</b>\n");
        let Some(left) = room.checked_sub(units(&title)).filter(|left| *left > 200) else {
            break;
        };
        let body = fit::lines(lines, "• ", left, fit::html, units);
        room = left - units(&body);
        text.push_str(&title);
        text.push_str(&body);
    }
    if !tail.is_empty() && room > 0 {
        text.push('\n');
    }
    text.push_str(&tail);
    json!({
        "chat_id": chat,
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": { "is_disabled": true },
    })
}
