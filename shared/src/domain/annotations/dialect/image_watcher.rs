//! Image-Watcher, as its README documents it. Where it says MINOR and NOTIFICATION its code does ALL and `AUTO_UPDATE`: what is
//! documented counts.

use super::{Dialect, Setting, Subject, Translation, annotations, release_notes};

pub(super) const PREFIX: &str = "image-watcher";

pub(super) fn translate<'a>(subject: &Subject<'a>) -> Translation<'a> {
    let mut translation = Translation::to(Dialect::ImageWatcher);
    let mut release_url = None;
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
            "release-url" => release_url = Some(word),
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
    if let Some(word) = release_url {
        // `${tag}` stands for the tag, in what the API of GitHub answers or in a page.
        match release_notes(&word.written.replace("${tag}", "{tag}")) {
            // Where notes are is no sign that anybody is to be followed.
            Ok(notes) if translation.says_anything() => translation.say(Setting::ReleaseNotes, notes, word),
            Ok(_) => translation.remark(word, "nothing else is said to Image-Watcher"),
            Err(reason) => translation.remark(word, reason),
        }
    }
    translation
}

const DEFAULT_MODE: &str = "approve";
const DEFAULT_POLICY: &str = "minor";
/// What holds where neither a workload nor the installation says it.
pub(in crate::domain::annotations) const DEFAULTS: [(Setting, &str); 2] =
    [(Setting::Mode, DEFAULT_MODE), (Setting::Policy, DEFAULT_POLICY)];

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
