//! Text of strangers, before it is shown to anybody.

/// Whether a character stays in its place and line on a screen: neither a control character nor one of those that break lines,
/// cannot be seen, or turn the direction of the text around them.
pub fn is_plain(character: char) -> bool {
    let hides_or_reorders = matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    !character.is_control() && !hides_or_reorders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_breaks_a_line_or_turns_text_around_is_not_plain() {
        for character in "a/é漢😀 ".chars() {
            assert!(is_plain(character), "{character:?}");
        }
        for character in "\n\u{1b}\u{9b}\u{61c}\u{200e}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}".chars() {
            assert!(!is_plain(character), "{character:?}");
        }
    }
}
