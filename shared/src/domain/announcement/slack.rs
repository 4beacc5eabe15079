//! Slack: blocks of an incoming webhook's message.
//!
//! Limits: <https://docs.slack.dev/reference/block-kit/blocks>. In `mrkdwn` `&`, `<` and `>` are written as entities, which takes mentions
//! and links; what makes bold or code has no escape, so it is replaced by its likeness where it could.

use serde_json::{Value, json};

use super::fit::{self, units};
use super::outline::Outline;
use super::{Announcement, Section};

const HEADER: usize = 150;
const TEXT: usize = 3000;
const BLOCKS: usize = 50;

/// The body for an incoming webhook.
pub fn render(announcement: &Announcement) -> Value {
    let outline = Outline::of(announcement);
    let header = fit::text(&outline.title, HEADER, fit::verbatim, units);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": header, "emoji": false },
    })];
    for Section { title, lines } in outline.sections() {
        let title = likeness(&fit::text(title, 200, escape, units));
        let title = if title.is_empty() {
            String::new()
        } else {
            format!("*{title}*\n")
        };
        let lines: Vec<String> = lines.iter().map(|line| likeness(line)).collect();
        let lines = fit::lines(&lines, "• ", TEXT - units(&title), escape, units);
        blocks.push(mrkdwn("section", &format!("{title}{lines}")));
    }
    blocks.truncate(BLOCKS - 2);
    let links = outline.links.iter().map(|(text, url)| {
        let text = likeness(&fit::text(text, 80, escape, units)).replace('|', "¦");
        format!("<{}|{text}>", fit::escaped(url, escape))
    });
    // A link is whole or not there.
    let links: String = links
        .scan(TEXT, |left, link| {
            *left = left.checked_sub(units(&link) + 1)?;
            Some(link + "\n")
        })
        .collect();
    if !links.is_empty() {
        blocks.push(mrkdwn("section", links.trim_end()));
    }
    blocks.push(json!({
        "type": "context",
        "elements": [{ "type": "plain_text", "text": outline.at, "emoji": false }],
    }));
    json!({
        // What a notification shows in place of the blocks.
        "text": fit::text(&likeness(&outline.title), TEXT, escape, units),
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// Verbatim: what looks like an address or a channel's name is no link.
fn mrkdwn(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

fn escape(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        other => out.push(other),
    }
}

/// An underscore inside a word means nothing, and names of images have many.
fn likeness(line: &str) -> String {
    let characters: Vec<char> = line.chars().collect();
    let is_word = |index: Option<usize>| {
        index
            .and_then(|index| characters.get(index))
            .is_some_and(|character| character.is_alphanumeric())
    };
    let replaced = characters
        .iter()
        .enumerate()
        .map(|(index, character)| match character {
            '*' => '∗',
            '~' => '∼',
            '`' => 'ˋ',
            '_' if !(is_word(index.checked_sub(1)) && is_word(Some(index + 1))) => 'ˍ',
            other => *other,
        });
    replaced.collect()
}
