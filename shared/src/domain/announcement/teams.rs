//! Microsoft Teams: an adaptive card, as a workflow's webhook takes it.
//!
//! Limit: about 28 KB, <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>. A `TextBlock` reads
//! Markdown, a `TextRun` does not: <https://adaptivecards.io/explorer/TextRun.html>.

use serde_json::{Value, json};

use super::fit::{self, units};
use super::outline::{Outline, Tone};
use super::{Announcement, Section};

/// Of the whole body, in bytes, with room for what wraps the sections.
const TOTAL: usize = 24 << 10;
const SECTION: usize = 3000;

/// The body for a workflow.
pub fn render(announcement: &Announcement) -> Value {
    let outline = Outline::of(announcement);
    let title = fit::text(&outline.title, 500, fit::verbatim, units);
    let mut title = run(&title, true);
    title["size"] = json!("Large");
    title["color"] = json!(colour(outline.tone));
    let mut body = vec![paragraph(&[title])];
    let actions: Vec<Value> = outline
        .links
        .iter()
        .map(|(text, url)| json!({ "type": "Action.OpenUrl", "title": fit::text(text, 80, fit::verbatim, units), "url": url }))
        .collect();
    let mut room = TOTAL.saturating_sub(1000 + size(&body) + size(&actions));
    for Section { title, lines } in outline.sections() {
        let title = run(title, true);
        let lines = fit::lines(lines, "• ", SECTION, fit::verbatim, units);
        let runs = lines.split('\n').map(|line| paragraph(&[run(line, false)]));
        let section: Vec<Value> = std::iter::once(paragraph(&[title])).chain(runs).collect();
        let Some(left) = room.checked_sub(size(&section)) else {
            break;
        };
        room = left;
        body.extend(section);
    }
    body.push(paragraph(&[run(&outline.at, false)]));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
                "actions": actions,
            },
        }],
    })
}

fn paragraph(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn run(text: &str, bold: bool) -> Value {
    let weight = if bold { "Bolder" } else { "Default" };
    json!({ "type": "TextRun", "text": text, "weight": weight })
}

fn size(values: &[Value]) -> usize {
    values.iter().map(|value| value.to_string().len() + 1).sum()
}

fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "Good",
        Tone::Neutral => "Accent",
        Tone::Question => "Warning",
        Tone::Bad => "Attention",
    }
}
