//! Tags are taken out of a text so that it reads better. Nothing is safe by this alone: what looks like a tag and stays has its
//! brackets replaced later.

/// Tags that end a line, and what begins the next one.
const BREAKS: [(&str, &str); 14] = [
    ("br", ""),
    ("p", ""),
    ("div", ""),
    ("tr", ""),
    ("ul", ""),
    ("ol", ""),
    ("table", ""),
    ("blockquote", ""),
    ("summary", ""),
    ("li", "- "),
    ("h1", "# "),
    ("h2", "# "),
    ("h3", "# "),
    ("h4", "# "),
];

/// Tags that leave nothing.
const OTHERS: [&str; 36] = [
    "a", "abbr", "audio", "b", "center", "code", "dd", "del", "details", "dl", "dt", "em", "embed", "font",
    "form", "hr", "i", "iframe", "img", "input", "ins", "kbd", "link", "meta", "object", "picture", "pre",
    "small", "source", "span", "strong", "sub", "sup", "svg", "td", "video",
];

/// Tags whose content is no text.
const HIDDEN: [&str; 3] = ["script", "style", "template"];

/// How far from its beginning a tag may end, in bytes.
const LONGEST_TAG: usize = 2048;

/// The text without tags, comments and scripts. Linear in its length.
pub(super) fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    // Where there is no other end of a comment or script, it is not looked for again.
    while let Some(at) = rest.find('<') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let Some((name, after)) = tag(rest) else {
            plain.push('<');
            rest = &rest[1..];
            continue;
        };
        let closes = rest.starts_with("</");
        if HIDDEN.contains(&name.as_str()) && !closes {
            rest = behind(after, &name);
        } else if let Some((_, begins)) = BREAKS.iter().find(|(tag, _)| *tag == name) {
            plain.push('\n');
            plain.push_str(if closes { "" } else { begins });
            rest = after;
        } else if HIDDEN.contains(&name.as_str()) || OTHERS.contains(&name.as_str()) {
            rest = after;
        } else {
            plain.push('<');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    plain
}

/// The name of the tag that a text begins with, and what follows it.
fn tag(text: &str) -> Option<(String, &str)> {
    let inner = text.get(1..)?;
    let inner = inner.strip_prefix('/').unwrap_or(inner);
    let length = inner
        .bytes()
        .take(12)
        .take_while(u8::is_ascii_alphanumeric)
        .count();
    let name = inner.get(..length).filter(|name| !name.is_empty())?;
    let is_over = inner[length..].starts_with(['>', '/', ' ', '\t', '\n', '\r']);
    let window = super::head(inner, LONGEST_TAG);
    let end = window.find('>').filter(|_| is_over)?;
    Some((name.to_ascii_lowercase(), &inner[end + 1..]))
}

/// What follows the end of a script; nothing where it never ends.
fn behind<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("</") {
        if after
            .get(..name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name))
        {
            return after.split_once('>').map_or("", |(_, rest)| rest);
        }
        rest = after;
    }
    ""
}
