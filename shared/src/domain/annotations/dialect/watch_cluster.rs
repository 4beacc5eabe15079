//! watch-cluster, as its README documents it.

use super::{Dialect, Setting, Subject, Translation, Word, annotations};

pub(super) const PREFIX: &str = "watch-cluster.io";

pub(super) fn translate<'a>(subject: &Subject<'a>) -> Translation<'a> {
    let mut translation = Translation::to(Dialect::WatchCluster);
    for (name, word) in annotations(subject, PREFIX) {
        match name {
            "enabled" => enabled(&mut translation, subject, word),
            "cron" => schedule(&mut translation, word),
            "strategy" => strategy(&mut translation, word),
            "check-now" => translation.say(Setting::CheckNow, word.written, word),
            "version-pattern" | "lock-major-version" => {
                translation.remark(word, "watch-cluster declares it and never reads it");
            }
            // What it writes itself, which goes on being written.
            "last-update"
            | "last-update-image"
            | "last-update-from-digest"
            | "last-update-to-digest"
            | "change" => {}
            _ => translation.remark_unknown(word),
        }
    }
    translation
}

fn enabled<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>, word: Word<'a>) {
    translation.say(Setting::Watch, word.written, word);
    translation.imply(Setting::Mode, "auto", word);
    translation.imply(Setting::Policy, "major", word);
    // It updates the first container alone.
    let mut containers = subject.containers.iter();
    let first = containers.find(|container| !container.init);
    let first = first.map(|container| container.name.as_str());
    for container in subject.containers {
        if Some(container.name.as_str()) != first {
            translation.spare(&container.name, word);
        }
    }
}

fn schedule<'a>(translation: &mut Translation<'a>, word: Word<'a>) {
    translation.say(Setting::Schedule, word.written, word);
    let fields: Vec<&str> = word.written.split_whitespace().collect();
    let hour = match fields.as_slice() {
        [_, hour, _, _, _] | [_, _, hour, _, _, _] | [_, _, hour, _, _, _, _] => *hour,
        _ => "*",
    };
    if hour != "*" {
        translation.remark(
            word,
            "watch-cluster reads it in the time zone of its pod, Kubefresh in UTC unless kubefresh.dev/schedule-timezone names another",
        );
    }
}

fn strategy<'a>(translation: &mut Translation<'a>, word: Word<'a>) {
    let policy = match word.written {
        "version" | "semver" => "major",
        "version-lock-major" => "minor",
        "latest" => "digest",
        _ => return translation.refuse(word, "it must be one of version, version-lock-major, latest"),
    };
    translation.say(Setting::Policy, policy, word);
}
