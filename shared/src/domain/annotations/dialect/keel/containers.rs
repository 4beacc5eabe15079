//! Which containers Keel looks after.

use regex::{Regex, RegexBuilder};

use super::{ANNOTATION_FIRST, Subject, Translation, Word, find, switch};

/// How large a pattern may become, in bytes; it only has names of containers to match.
const SIZE_LIMIT: usize = 64 * 1024;

/// Leaves those alone that are not meant.
pub(super) fn choose<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>, policy: Word<'a>) {
    let pattern = find(subject, "keel.sh/monitorContainers", ANNOTATION_FIRST);
    if let Some(word) = pattern {
        match RegexBuilder::new(word.written).size_limit(SIZE_LIMIT).build() {
            Ok(regex) => spare_others(translation, subject, word, &regex),
            Err(error) => translation.refuse(word, format!("it is no regular expression: {error}")),
        }
    }
    // Those that run first are only looked after where somebody says so.
    let init = find(subject, "keel.sh/initContainers", ANNOTATION_FIRST);
    if !switch(translation, init, false) {
        for container in subject.containers.iter().filter(|container| container.init) {
            translation.spare(&container.name, init.unwrap_or(policy));
        }
    }
}

fn spare_others<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>, word: Word<'a>, regex: &Regex) {
    let others = subject
        .containers
        .iter()
        .filter(|container| !regex.is_match(&container.name));
    for container in others {
        translation.spare(&container.name, word);
    }
}
