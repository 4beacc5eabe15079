//! The answer for people.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use shared::domain::policy::{
    OtherFamily, PolicyOptions, Rejected, Selection, SelectionReason, other_families, rejected,
};
use shared::domain::reference::{Digest, ImageReference, Tag};

use super::json::INVALID_TAG;
use super::question::Question;
use super::tag_list::TagList;
use shared::io::terminal::page::{DIM, GOOD, HEADING, INDENT, NOTE, PLAIN, Page, harmless, quoted};

/// How many families are listed.
const FAMILIES: usize = 8;
/// How many tags stand for all that a rule rejected.
const EXAMPLES: usize = 8;

/// Everything that the page speaks of.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) image: Option<&'a ImageReference>,
    pub(super) question: &'a Question,
    /// The options as they were given, without what was added by default.
    pub(super) given: &'a PolicyOptions,
    pub(super) list: &'a TagList,
    /// Where the list comes from, for people; `None` where nobody was asked for one.
    pub(super) source: Option<&'a str>,
    pub(super) selection: &'a Selection<'a>,
    pub(super) width: usize,
}

/// The page, with colours.
pub(super) fn render(view: &View<'_>) -> Result<String, fmt::Error> {
    let mut page = Page::new(view.width);
    question(&mut page, view)?;
    choice(&mut page, view)?;
    families(&mut page, view)?;
    rejections(&mut page, view)?;
    next_step(&mut page, view)?;
    Ok(page.text)
}

fn question(page: &mut Page, view: &View<'_>) -> fmt::Result {
    let question = view.question;
    let image = view.image.map(ToString::to_string);
    page.entry("IMAGE", PLAIN, image.as_deref().unwrap_or("none"))?;
    let given = view.given;
    let is_default = given.policy.is_none() && given.tag_pattern.is_none() && given.tag_order.is_none();
    let by_default = if is_default { " (by default)" } else { "" };
    page.entry("POLICY", PLAIN, &format!("{}{by_default}", question.policy))?;
    if let Some(source) = view.source {
        let count = view.list.tags.len() + view.list.invalid.len();
        page.entry("TAGS", PLAIN, &format!("{count} from {source}"))?;
    }
    let digest = |digest: &Option<Digest>| {
        digest
            .as_ref()
            .map_or("unknown".to_owned(), |digest| digest.short().to_owned())
    };
    if question.policy.follows_digest() {
        let (running, published) = (digest(&question.current_digest), digest(&question.remote_digest));
        page.entry(
            "DIGEST",
            PLAIN,
            &format!("{running} runs, {published} is published"),
        )?;
    }
    Ok(())
}

fn choice(page: &mut Page, view: &View<'_>) -> fmt::Result {
    let selection = view.selection;
    page.text.push('\n');
    match selection.selected {
        Some(tag) => page.entry("SELECTED", GOOD, tag.as_str())?,
        None => page.entry("SELECTED", HEADING, "none")?,
    }
    page.entry("", PLAIN, &selection.reason.to_string())?;
    if selection.reason == SelectionReason::DigestUnknown && view.question.current_digest.is_none() {
        let note = "write the image with the digest that runs, NAME:TAG@sha256:…, or give --current-digest";
        page.entry("NOTE", NOTE, note)?;
    }
    if let Some(successor) = &selection.successor {
        let note = format!(
            "this variant goes on as {}, where {} is the newest that the policy allows; --follow-variants follows it",
            successor.family, successor.newest
        );
        page.entry("NOTE", NOTE, &note)?;
    }
    Ok(())
}

fn families(page: &mut Page, view: &View<'_>) -> fmt::Result {
    let Some(current) = &view.question.current else {
        return Ok(());
    };
    let families = other_families(current, view.selection);
    if families.is_empty() {
        return Ok(());
    }
    page.section("OTHER FAMILIES", "in which something newer is published")?;
    let listed = &families[..families.len().min(FAMILIES)];
    let widest = |cell: fn(&OtherFamily<'_>) -> usize| listed.iter().map(cell).max().unwrap_or(0);
    let family_width = widest(|other| other.family.to_string().len());
    let newest_width = widest(|other| other.newest.as_str().len());
    let count_width = widest(|other| other.newer.to_string().len());
    for other in listed {
        writeln!(
            page.text,
            "  {:family_width$}  {:newest_width$}  {:>count_width$} newer  {DIM}{}{DIM:#}",
            other.family.to_string(),
            other.newest,
            other.newer,
            other.contrast
        )?;
    }
    if families.len() > listed.len() {
        writeln!(page.text, "  and {} more", families.len() - listed.len())?;
    }
    Ok(())
}

/// What one rule rejected.
struct Group<'a> {
    rule: &'static str,
    count: usize,
    sentence: String,
    /// The newest first.
    examples: Vec<Cow<'a, str>>,
}

fn groups<'a>(view: &View<'a>) -> Vec<Group<'a>> {
    let question = view.question;
    let published: Vec<&Tag> = view.list.tags.iter().collect();
    let rejected = rejected(
        view.selection,
        question.current.as_ref(),
        &question.policy,
        &published,
    );
    let group = |rejected: Rejected<'a>| {
        let tags = rejected.newest_first.into_iter();
        Group {
            rule: rejected.rule.name(),
            count: rejected.count,
            sentence: rejected.rule.to_string(),
            examples: tags.map(|tag| Cow::Borrowed(tag.as_str())).collect(),
        }
    };
    let mut groups: Vec<Group<'_>> = rejected.into_iter().map(group).collect();
    if !view.list.invalid.is_empty() {
        groups.push(Group {
            rule: INVALID_TAG,
            count: view.list.invalid.len(),
            sentence: "it is no name of a tag".to_owned(),
            examples: view.list.invalid.iter().map(|name| harmless(name)).collect(),
        });
    }
    groups
}

fn rejections(page: &mut Page, view: &View<'_>) -> fmt::Result {
    let groups = groups(view);
    if groups.is_empty() {
        return Ok(());
    }
    page.section(
        "REJECTED",
        "by the first rule against it, with the newest as examples",
    )?;
    let rule_width = groups.iter().map(|group| group.rule.len()).max().unwrap_or(0);
    let count_width = groups.iter().map(|group| group.count.to_string().len()).max();
    let count_width = count_width.unwrap_or(0);
    let indent = rule_width + count_width + 6;
    for group in &groups {
        writeln!(
            page.text,
            "  {:rule_width$}  {:>count_width$}  {}",
            group.rule, group.count, group.sentence
        )?;
        if !group.examples.is_empty() {
            let room = page.width.saturating_sub(indent);
            let list = in_one_line(&group.examples, room);
            writeln!(page.text, "{:indent$}{DIM}{list}{DIM:#}", "")?;
        }
    }
    Ok(())
}

/// As many as fit, at least one; an ellipsis stands for the others.
fn in_one_line(examples: &[Cow<'_, str>], room: usize) -> String {
    let mut line = String::new();
    for (index, example) in examples.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let is_last = index + 1 == examples.len();
        let ellipsis = if is_last { 0 } else { ", …".chars().count() };
        let length = line.chars().count() + separator.len() + example.chars().count() + ellipsis;
        if index > 0 && (length > room || index >= EXAMPLES) {
            line.push_str(", …");
            break;
        }
        line.push_str(separator);
        line.push_str(example);
    }
    line
}

fn next_step(page: &mut Page, view: &View<'_>) -> fmt::Result {
    let mut steps = Vec::new();
    if !view.selection.rejected.is_empty() {
        steps.push("--output json names every rejected tag".to_owned());
    }
    // There is no annotation for the rest.
    if !view.given.any_suffix && view.question.held.is_empty() {
        steps.push(annotate(view.given));
    }
    let mut heading = "NEXT";
    for step in steps {
        let blank = if heading.is_empty() { "" } else { "\n" };
        let padding = INDENT - heading.len();
        // In one line, so that it can be copied.
        writeln!(
            page.text,
            "{blank}{HEADING}{heading}{HEADING:#}{:padding$}{step}",
            ""
        )?;
        heading = "";
    }
    Ok(())
}

/// The command that asks for the same choice in a cluster.
fn annotate(options: &PolicyOptions) -> String {
    let annotations = annotations(options)
        .into_iter()
        .map(|(key, value)| format!(" kubefresh.dev/{key}={}", quoted(&value)));
    format!(
        "kubectl annotate deployment/NAME kubefresh.dev/watch=true{}",
        annotations.collect::<String>()
    )
}

/// The annotations that mean these options.
fn annotations(options: &PolicyOptions) -> Vec<(&'static str, String)> {
    let PolicyOptions {
        policy,
        tag_pattern,
        tag_extract,
        tag_order,
        prerelease,
        include,
        exclude,
        follow_variants,
        any_suffix: _,
    } = options;
    let list = |globs: &[String]| (!globs.is_empty()).then(|| globs.join(" "));
    let switch = |is_on: bool| is_on.then(|| "true".to_owned());
    [
        ("policy", policy.clone()),
        ("tag-pattern", tag_pattern.clone()),
        ("tag-extract", tag_extract.clone()),
        ("tag-order", tag_order.clone()),
        ("include", list(include)),
        ("exclude", list(exclude)),
        ("prerelease", switch(*prerelease)),
        ("follow-variants", switch(*follow_variants)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::explain::question::Written;
    use shared::io::terminal::page::MIN_WIDTH;

    /// The page without colours.
    fn page(image: &str, options: &PolicyOptions, tags: &str, width: usize) -> String {
        let image: Option<ImageReference> = (!image.is_empty()).then(|| image.parse().unwrap());
        let current = image.as_ref().and_then(ImageReference::effective_tag);
        let written = Written {
            current: current.map(String::from),
            options: options.clone(),
            ..Written::default()
        };
        let question = written.check().unwrap();
        let list: TagList = tags.split(' ').map(str::to_owned).collect();
        let digests = BTreeMap::new();
        let selection = question.answer(&list.tags, &digests);
        let view = View {
            image: image.as_ref(),
            question: &question,
            given: options,
            list: &list,
            source: Some("a file"),
            selection: &selection,
            width,
        };
        anstream::adapter::strip_str(&render(&view).unwrap()).to_string()
    }

    #[test]
    fn the_page_says_what_was_chosen_what_else_there_is_and_why_not() {
        let tags = "16.3-alpine3.19 16.4-alpine3.19 16.5-alpine3.19 16.6-alpine3.20 17.0-alpine3.19 16.6 latest \u{1b}[2J";
        let text = page("postgres:16.3-alpine3.19", &PolicyOptions::of("minor"), tags, 100);
        let expected = "\
IMAGE     postgres:16.3-alpine3.19
POLICY    minor
TAGS      8 from a file

SELECTED  16.5-alpine3.19
          a newer tag is published
NOTE      this variant goes on as *.*-alpine3.20, where 16.6-alpine3.20 is the newest that the
          policy allows; --follow-variants follows it

OTHER FAMILIES  in which something newer is published
  *.*-alpine3.20  16.6-alpine3.20  1 newer  later release of the distribution
  *.*             16.6             1 newer  variant

REJECTED  by the first rule against it, with the newest as examples
  superseded     1  it is allowed, but another tag is newer
                    16.4-alpine3.19
  outside-level  1  it is further away than the policy allows
                    17.0-alpine3.19
  other-suffix   2  it is another variant
                    16.6, 16.6-alpine3.20
  no-version     1  it carries no version
                    latest
  current        1  it is the current tag
  invalid-tag    1  it is no name of a tag
                    \\u{1b}[2J

NEXT      --output json names every rejected tag
          kubectl annotate deployment/NAME kubefresh.dev/watch=true kubefresh.dev/policy=minor
";
        assert_eq!(text, expected);
    }

    #[test]
    fn examples_follow_the_order_of_the_policy_and_end_where_the_line_does() {
        let options = PolicyOptions {
            tag_pattern: Some("^main-.{4}-(?P<ts>[0-9]+)$".to_owned()),
            tag_extract: Some("$ts".to_owned()),
            tag_order: Some("numeric".to_owned()),
            ..PolicyOptions::default()
        };
        let tags = "main-eeee-9 main-aaaa-10 main-cccc-12 main-bbbb-11 main-dddd-13";
        let text = page("web:main-eeee-9", &options, tags, 50);
        assert!(text.contains("POLICY    glob:*"), "{text}");
        assert!(text.contains("SELECTED  main-dddd-13\n"), "{text}");
        assert!(text.contains(" main-cccc-12, main-bbbb-11, …\n"), "{text}");
        assert!(
            text.contains(" kubefresh.dev/tag-extract='$ts' kubefresh.dev/tag-order=numeric"),
            "{text}"
        );
    }

    #[test]
    fn a_narrow_terminal_gets_narrow_sentences() {
        let options = PolicyOptions::of("minor");
        let text = page(
            "web:1.0-alpine3.19",
            &options,
            "1.0-alpine3.19 1.2-alpine3.20",
            20,
        );
        let sentences = text.lines().take_while(|line| !line.starts_with("OTHER"));
        for line in sentences {
            assert!(line.chars().count() <= MIN_WIDTH, "{line}");
        }
    }

    #[test]
    fn where_there_is_no_annotation_for_an_option_none_is_suggested() {
        let options = PolicyOptions {
            any_suffix: true,
            ..PolicyOptions::of("minor")
        };
        assert!(!page("web:1.0", &options, "1.1", 100).contains("annotate"));
    }
}
