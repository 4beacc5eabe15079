//! Image-Watcher, as its README documents it. Where it says MINOR and NOTIFICATION its code does ALL and `AUTO_UPDATE`: what is
//! documented counts.

use super::{Dialect, Setting, Subject, Translation, Word, annotations};

pub(super) const PREFIX: &str = "image-watcher";

pub(super) fn translate<'a>(subject: &Subject<'a>) -> Translation<'a> {
    let mut translation = Translation::to(Dialect::ImageWatcher);
    for (name, word) in annotations(subject, PREFIX) {
        match name {
            "watch" => {
                translation.say(Setting::Watch, word.written, word);
                translation.imply(Setting::Mode, DEFAULT_MODE, word);
                translation.imply(Setting::Policy, DEFAULT_POLICY, word);
            }
            "mode" => match mode(word.written) {
                Ok(Some(mode)) => translation.say(Setting::Mode, mode, word),
                Ok(None) => {}
                Err(reason) => translation.refuse(word, reason),
            },
            "strategy" => match policy(word.written) {
                Ok(policy) => translation.say(Setting::Policy, policy, word),
                Err(reason) => translation.refuse(word, reason),
            },
            "release-url" => not_yet(&mut translation, word),
            // What it writes itself.
            "last-updated"
            | "last-updated-version"
            | "last-notified"
            | "last-notified-version"
            | "previous-version"
            | "current-version"
            | "token-update" => {}
            _ => translation.remark_unknown(word),
        }
    }
    translation
}

const DEFAULT_MODE: &str = "approve";
const DEFAULT_POLICY: &str = "minor";

/// A mode in our words; `None` where it is left to the installation.
pub(in crate::domain::annotations) fn mode(written: &str) -> Result<Option<&'static str>, &'static str> {
    match written.to_ascii_uppercase().as_str() {
        "AUTO_UPDATE" => Ok(Some("auto")),
        "NOTIFICATION" => Ok(Some("approve")),
        "DISABLED" => Ok(Some("off")),
        "DEFAULT" => Ok(None),
        _ => Err("it must be one of AUTO_UPDATE, NOTIFICATION, DISABLED"),
    }
}

/// A strategy in our words. Its ALL and its MAJOR are the same.
pub(in crate::domain::annotations) fn policy(written: &str) -> Result<&'static str, &'static str> {
    match written.to_ascii_uppercase().as_str() {
        "MAJOR" | "ALL" => Ok("major"),
        "MINOR" => Ok("minor"),
        "PATCH" => Ok("patch"),
        _ => Err("it must be one of MAJOR, MINOR, PATCH"),
    }
}

fn not_yet<'a>(translation: &mut Translation<'a>, word: Word<'a>) {
    translation.remark(
        word,
        "Kubefresh does not take where release notes are from an annotation",
    );
}
