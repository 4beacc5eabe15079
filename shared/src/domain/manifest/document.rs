//! Where one YAML document ends and the next begins.

/// One document of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Counted from 1, without empty ones.
    pub(super) number: usize,
    /// How many lines come before it.
    pub(super) lines_before: usize,
    pub(super) text: &'a str,
}

/// Takes a file apart. YAML lets no text contain a line that begins with a marker, so that no document has to be
/// understood to find the next one.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut pieces = Vec::new();
    let (mut start, mut lines_before, mut offset) = (0, 0, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = offset + line.len();
        if has_marker(line, "---") {
            pieces.push((lines_before, &text[start..offset]));
            // What stands behind this marker belongs to the document.
            (start, lines_before) = (offset, index);
        } else if has_marker(line, "...") {
            pieces.push((lines_before, &text[start..offset]));
            (start, lines_before) = (end, index + 1);
        }
        offset = end;
    }
    pieces.push((lines_before, &text[start..]));
    let pieces = pieces
        .into_iter()
        .filter(|(_, text)| !text.lines().all(says_nothing));
    let documents = pieces.zip(1..).map(|((lines_before, text), number)| Document {
        number,
        lines_before,
        text,
    });
    documents.collect()
}

fn has_marker(line: &str, marker: &str) -> bool {
    let rest = line.strip_prefix(marker);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// A blank line, a comment, a directive, or a marker with nothing behind it.
fn says_nothing(line: &str) -> bool {
    let line = if has_marker(line, "---") { &line[3..] } else { line };
    let line = line.trim_start();
    line.is_empty() || line.starts_with(['#', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_counted_without_empty_ones_and_know_their_lines() {
        for (text, expected) in [
            ("", &[][..]),
            ("---\n---\n# nothing\n", &[]),
            ("a: 1", &[(0, "a: 1")]),
            ("\u{feff}a: 1\n", &[(0, "a: 1\n")]),
            (
                "# c\n---\n# Source: web.yaml\na: 1\n---\n---\nb: 2\n",
                &[(1, "---\n# Source: web.yaml\na: 1\n"), (5, "---\nb: 2\n")],
            ),
            (
                "%YAML 1.2\n--- {a: 1}\n...\nb: 2\r\n---\r\nc: 3",
                &[(1, "--- {a: 1}\n"), (3, "b: 2\r\n"), (4, "---\r\nc: 3")],
            ),
            (
                "a: |\n  ---\n  text\n----\n---b",
                &[(0, "a: |\n  ---\n  text\n----\n---b")],
            ),
        ] {
            let found = documents(text);
            let found: Vec<_> = found
                .iter()
                .map(|document| (document.lines_before, document.text))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
