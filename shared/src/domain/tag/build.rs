//! Build counters (rule 5): the publisher built the same version again.

use super::calendar;
use super::family::HASH_DIGITS;
use super::numbers::leading_digits;
use super::scan::Word;

/// The words that a counter is glued to: linuxserver's `-ls132`, Alpine's and Bitnami's `-r39`, Java's `-b06`, the patch
/// levels `_p1` of OpenSSH, `-p3` of Magento and `_patch1` of Longhorn.
const COUNTED_WORDS: [&str; 6] = ["ls", "r", "b", "build", "p", "patch"];

/// The counters among `words`, each with the length of the text before its number: those right after the version, and
/// those at the very end. A number anywhere else belongs to the variant (rule 3).
///
/// A bare number is a packager's revision, as in `8.0.34-26`, where it is all that follows a dotted version; further on it
/// is most often the version of something else, as in `-temurin-17`.
pub(super) fn find(words: &[Word<'_>], is_dotted_version: bool) -> Vec<Option<Counter>> {
    let mut counters = vec![None; words.len()];
    if let ([only], true) = (words, is_dotted_version)
        && only.separator == Some('-')
        && only.text.len() < HASH_DIGITS
        && let Some(value) = only.number()
    {
        return vec![Some(Counter {
            letters: 0,
            value,
            is_date: false,
        })];
    }
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
    /// A date does not count on with small numbers (rule 7).
    pub(super) is_date: bool,
}

fn read(word: &Word<'_>, follows_version: bool) -> Option<Counter> {
    let separator = word.separator?;
    let letters = word.text.bytes().position(|b| b.is_ascii_digit())?;
    let digits = &word.text[letters..];
    if leading_digits(digits) != digits {
        return None;
    }
    let value = digits.parse().ok()?;
    let is_date = letters == 0 && digits.len() >= 8 && calendar::is_date(digits.len(), value, false);
    let is_counter = if letters > 0 {
        separator != '.' && COUNTED_WORDS.contains(&&word.text[..letters])
    } else {
        is_date || separator == '_' && follows_version
    };
    is_counter.then_some(Counter {
        letters,
        value,
        is_date,
    })
}
