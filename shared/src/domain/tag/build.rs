//! Build counters (rule 5): the publisher built the same version again.

use super::calendar;
use super::numbers::leading_digits;
use super::scan::Word;

/// The words that a counter is glued to: linuxserver's `-ls132`, Alpine's and Bitnami's `-r39`, Java's `-b06`.
const COUNTED_WORDS: [&str; 4] = ["ls", "r", "b", "build"];

/// The counters among `words`, each with the length of the text before its number: those right after the version, and
/// those at the very end. A number anywhere else belongs to the variant (rule 3).
pub(super) fn find(words: &[Word<'_>]) -> Vec<Option<Counter>> {
    let mut counters = vec![None; words.len()];
    let leading = (0..words.len()).map_while(|index| {
        let continues = words
            .get(index + 1)
            .is_some_and(|next| next.separator == Some('.'));
        if continues {
            None
        } else {
            read(&words[index], index == 0)
        }
    });
    for (slot, counter) in counters.iter_mut().zip(leading) {
        *slot = Some(counter);
    }
    for index in (0..words.len()).rev() {
        match read(&words[index], index == 0) {
            Some(counter) => counters[index] = Some(counter),
            None => break,
        }
    }
    counters
}

/// A build counter in a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counter {
    /// How many bytes of the word stand before the number.
    pub(super) letters: usize,
    pub(super) value: u64,
}

fn read(word: &Word<'_>, follows_version: bool) -> Option<Counter> {
    let separator = word.separator?;
    let letters = word.text.bytes().position(|b| b.is_ascii_digit())?;
    let digits = &word.text[letters..];
    if leading_digits(digits) != digits {
        return None;
    }
    let value = digits.parse().ok()?;
    let is_counter = if letters > 0 {
        separator != '.' && COUNTED_WORDS.contains(&&word.text[..letters])
    } else {
        let is_java_build = separator == '_' && follows_version;
        is_java_build || digits.len() >= 8 && calendar::is_date(digits.len(), value, false)
    };
    is_counter.then_some(Counter { letters, value })
}
