//! Text of strangers, before it is shown to anybody.

/// Whether a character stays in its place and line on a screen: neither a control character nor one of those that break lines,
/// cannot be seen, or turn the direction of the text around them.
pub fn is_plain(character: char) -> bool {
    let hides_or_reorders = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !character.is_control() && !hides_or_reorders
}

/// How long an address may be that is linked to, in bytes: some buttons allow no more.
const ADDRESS_LENGTH: usize = 1000;

/// Whether it is a plain address on the web, which cannot end a form's link and begin something else.
pub fn is_web_address(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let is_safe =
        |character: char| character.is_ascii_alphanumeric() || "-._~:/?#@!$&+,;=%".contains(character);
    let is_sound = |rest: &str| {
        rest.starts_with(|first: char| first.is_ascii_alphanumeric()) && rest.chars().all(is_safe)
    };
    url.len() <= ADDRESS_LENGTH && rest.is_some_and(is_sound)
}

/// At most so many bytes of a text and a mark that it went on; cut at a character, never inside one.
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes)
        .rev()
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let text = cut(&"ä".repeat(2000), 1001);
        assert_eq!(text, format!("{}…", "ä".repeat(500)));
        assert_eq!(cut("short", 5), "short");
    }

    #[test]
    fn what_moves_the_cursor_breaks_a_line_or_turns_text_around_is_not_plain() {
        for character in "a/é漢😀 ".chars() {
            assert!(is_plain(character), "{character:?}");
        }
        for character in
            "\n\u{1b}\u{9b}\u{ad}\u{61c}\u{200e}\u{2028}\u{2029}\u{202e}\u{2066}\u{3164}\u{feff}\u{e0041}"
                .chars()
        {
            assert!(!is_plain(character), "{character:?}");
        }
    }
}
