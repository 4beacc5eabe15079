//! Discord: one embed, of a webhook's message.
//!
//! Limits: <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>. In an embed a backslash before any
//! punctuation makes it text.

use serde_json::{Value, json};

use super::fit::{self, units};
use super::outline::{Outline, Tone};
use super::{Announcement, Section};

const TITLE: usize = 256;
const DESCRIPTION: usize = 2000;
const FIELDS: usize = 25;
const FIELD_NAME: usize = 256;
const FIELD_VALUE: usize = 1024;
const LINKS: &str = "Links";
const BETWEEN: &str = " · ";
const MOST_LINK_FIELDS: usize = 3;
/// A field in less room would say nothing.
const WORTH: usize = 100;
/// Of all texts in a message's embeds together.
const TOTAL: usize = 6000;

/// The body for a webhook.
pub fn render(announcement: &Announcement) -> Value {
    let outline = Outline::of(announcement);
    let title = fit::text(&outline.title, TITLE, escape, units);
    let links = outline.links.iter().map(|(text, url)| {
        let text = fit::text(text, 80, escape, units);
        format!("[{text}](<{url}>)")
    });
    let mut room = TOTAL - units(&title);
    let links = link_fields(links);
    room -= links
        .iter()
        .map(|links| LINKS.len() + units(links))
        .sum::<usize>();
    let mut sections = outline.sections();
    let description = sections.next().map(|images| {
        let description = fit::lines(&images.lines, "", DESCRIPTION, escape, units);
        room -= units(&description);
        description
    });
    let mut fields = Vec::new();
    for Section { title, lines } in sections {
        let name = fit::text(title, FIELD_NAME, escape, units);
        let Some(left) = room.checked_sub(units(&name)).filter(|left| *left >= WORTH) else {
            break;
        };
        if fields.len() + links.len() >= FIELDS {
            break;
        }
        let value = fit::lines(lines, "• ", FIELD_VALUE.min(left), escape, units);
        room = left - units(&value);
        // A name must not be empty.
        let name = if name.is_empty() { "…".to_owned() } else { name };
        fields.push(json!({ "name": name, "value": value, "inline": false }));
    }
    fields.extend(
        links
            .iter()
            .map(|links| json!({ "name": LINKS, "value": links, "inline": false })),
    );
    json!({
        "embeds": [{
            "title": title,
            "description": description.unwrap_or_default(),
            "color": colour(outline.tone),
            "fields": fields,
            "timestamp": outline.at,
        }],
        "allowed_mentions": { "parse": [] },
    })
}

/// A link is whole or not there, and so many of them stand in a field as it holds.
fn link_fields(links: impl Iterator<Item = String>) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    for link in links {
        let fits = |field: &&mut String| units(field) + BETWEEN.len() + units(&link) <= FIELD_VALUE;
        let last = fields.last_mut().filter(fits);
        if let Some(field) = last {
            field.push_str(BETWEEN);
            field.push_str(&link);
        } else if fields.len() < MOST_LINK_FIELDS && units(&link) <= FIELD_VALUE {
            fields.push(link);
        } else {
            break;
        }
    }
    fields
}

fn colour(tone: Tone) -> u32 {
    match tone {
        Tone::Good => 0x2e_a0_43,
        Tone::Neutral => 0x38_8b_fd,
        Tone::Question => 0xd2_99_22,
        Tone::Bad => 0xda_36_33,
    }
}

/// A colon too: it makes addresses and pictures.
fn escape(character: char, out: &mut String) {
    if r"\*_~`|>#-+[]()<@:!".contains(character) {
        out.push('\\');
    }
    out.push(character);
}
