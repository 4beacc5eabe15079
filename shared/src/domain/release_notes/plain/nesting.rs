//! How deep quotes and lists may lie in one another.
//!
//! For every line, what reads Markdown goes through all that is open. Where one line opens thousands, and each of tens of
//! thousands that follow is but a letter or nothing, that takes seconds.

use std::borrow::Cow;

/// How deep they may be. Nobody who writes for people goes further.
const MOST_LEVELS: usize = 20;
/// How many columns a level takes at least: the mark of an item and a space, and as much in front of what belongs to it.
const COLUMNS_OF_A_LEVEL: usize = 2;
/// How many a tab may take.
const COLUMNS_OF_A_TAB: usize = 4;

/// The text without the marks and the indentation that lead deeper; its words stay. Linear in its length.
pub(super) fn bounded(text: &str) -> Cow<'_, str> {
    if lines(text).all(|line| without_depth(line).is_none()) {
        return Cow::Borrowed(text);
    }
    let mut bounded = String::with_capacity(text.len());
    for line in lines(text) {
        let (marks, rest) = without_depth(line).unwrap_or((line, ""));
        bounded.push_str(marks);
        bounded.push_str(rest);
    }
    Cow::Owned(bounded)
}

/// With their ends. A carriage return is one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['\n', '\r'])
}

/// What a line may begin with, and what follows the marks that go; `None` where none do.
fn without_depth(line: &str) -> Option<(&str, &str)> {
    let mut left = MOST_LEVELS * COLUMNS_OF_A_LEVEL;
    let mut too_deep = None;
    let mut rest = line;
    while let Some((columns, after)) = mark(rest) {
        if too_deep.is_none() {
            match left.checked_sub(columns) {
                Some(fewer) => left = fewer,
                None => too_deep = Some(rest),
            }
        }
        rest = after;
    }
    let marks = line.strip_suffix(too_deep?)?;
    Some((marks, rest))
}

/// How many columns the indentation or the mark takes that a text begins with, and what follows it. The stars of a line across
/// are taken for marks of items, if there are spaces between them; it is one with fewer stars, too.
fn mark(text: &str) -> Option<(usize, &str)> {
    if let Some(rest) = text.strip_prefix(' ') {
        return Some((1, rest));
    }
    if let Some(rest) = text.strip_prefix('\t') {
        return Some((COLUMNS_OF_A_TAB, rest));
    }
    let rest = text.strip_prefix('>').or_else(|| item(text))?;
    // The space behind a mark belongs to it.
    Some((COLUMNS_OF_A_LEVEL, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// What follows the mark of an item of a list.
fn item(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(['-', '+', '*']).or_else(|| number(text))?;
    let is_alone = rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']);
    is_alone.then_some(rest)
}

/// What follows the number of an item, which has up to nine digits.
fn number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = text.len() - rest.len();
    let rest = rest.strip_prefix(['.', ')'])?;
    (1..=9).contains(&digits).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Parser, Tag, TagEnd};

    use super::*;

    /// How deep quotes and items lie in one another, as they are read.
    fn depth(text: &str) -> usize {
        let (mut depth, mut most) = (0_usize, 0);
        for event in Parser::new(text) {
            if matches!(event, Event::Start(Tag::BlockQuote(_) | Tag::Item)) {
                depth += 1;
            } else if matches!(event, Event::End(TagEnd::BlockQuote(_) | TagEnd::Item)) {
                depth -= 1;
            }
            most = most.max(depth);
        }
        most
    }

    #[test]
    fn ordinary_text_is_left_as_it_is() {
        for text in [
            "",
            "\n",
            "Just words > and - more * words 1. here",
            "# Release\n\n* one\n  * two\n    1. three\n\n> quoted\n> > twice\r\n\r\n\tcode\n",
            "* * *\n- - -\n----------------------------------------------------------------\n",
            ">>>>>>> theirs",
            "1234567890. no item",
            "2024.10 and 1.2.3",
            "- [ ] open\n- [x] done\n",
            "```\n                                  code = deep;\n```\n",
            &format!("{}x", "> ".repeat(MOST_LEVELS)),
            &format!("{}x", ">".repeat(MOST_LEVELS)),
            &format!("{}x", "- ".repeat(MOST_LEVELS)),
            &format!("{}x", " ".repeat(40)),
            &format!("x{}", "> - ".repeat(100)),
            &format!("{}x", "-".repeat(100)),
            &format!("{}. x", "1".repeat(100)),
        ] {
            let found = bounded(text);
            assert!(matches!(found, Cow::Borrowed(same) if same == text), "{found:?}");
        }
    }

    #[test]
    fn what_leads_deeper_goes_and_the_words_stay() {
        for (text, expected) in [
            (
                format!("{}words > here\n", ">".repeat(30)),
                format!("{}words > here\n", ">".repeat(20)),
            ),
            (format!("{}x", "> ".repeat(30)), format!("{}x", "> ".repeat(20))),
            (
                format!("a\n{}b\nc", "- ".repeat(30)),
                format!("a\n{}b\nc", "- ".repeat(20)),
            ),
            ("* ".repeat(30), "* ".repeat(20)),
            (
                format!("{}é\r\n> x", "12) ".repeat(30)),
                format!("{}é\r\n> x", "12) ".repeat(20)),
            ),
            (
                format!("a\r{}b\rc", ">".repeat(30)),
                format!("a\r{}b\rc", ">".repeat(20)),
            ),
            (format!("{}x", " ".repeat(50)), format!("{}x", " ".repeat(40))),
            (format!("{}x", "\t".repeat(30)), format!("{}x", "\t".repeat(10))),
            (
                format!("{}- - x", " ".repeat(38)),
                format!("{}- x", " ".repeat(38)),
            ),
            (
                format!("{}\t> 5 x", "- ".repeat(19)),
                format!("{}5 x", "- ".repeat(19)),
            ),
        ] {
            assert_eq!(bounded(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_read_is_no_deeper_than_it_may_be() {
        let stairs = |step: &str, mark: &str| {
            let lines = (0..60).map(|level| format!("{}{mark}x\n", step.repeat(level)));
            lines.collect::<Vec<_>>().concat()
        };
        for text in [
            format!("{}x", ">".repeat(4000)),
            format!("{}x", "- ".repeat(1000)),
            format!("{}x", "1. ".repeat(1000)),
            format!("{}x", "> - ".repeat(500)),
            format!("{}x", ">\t".repeat(500)),
            format!("{}x", "-\t".repeat(500)),
            format!("x\n\n{}x\n\nx\r{}x", ">".repeat(30), ">".repeat(30)),
            stairs("  ", "- "),
            stairs("   ", "1. "),
            stairs("> ", "> "),
        ] {
            assert!(depth(&text) > MOST_LEVELS, "{text:?}");
            let found = bounded(&text);
            assert!(depth(&found) <= MOST_LEVELS, "{found:?}");
            assert!(found.contains('x'), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_no_deeper_than_it_may_be_and_is_cut_once(
            text in prop::collection::vec(
                prop::sample::select(vec![
                    ">", "> ", "> > > > > > ", "- ", "- - - - ", "-\t", "* ", "+ ", "1. ", "10) ", "-", "1", " ", "    ",
                    "\t", "\n", "\n\n", "\r", "\r\n", "```\n", "# ", "[!NOTE]\n", "x", "é",
                ]),
                0..200,
            ),
        ) {
            let text = text.concat();
            let found = bounded(&text);
            prop_assert!(depth(&found) <= MOST_LEVELS);
            prop_assert_eq!(bounded(&found), &*found);
        }
    }
}
