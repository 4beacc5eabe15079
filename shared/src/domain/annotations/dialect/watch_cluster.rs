//! watch-cluster, as its README documents it.

use std::collections::BTreeMap;

use jiff::Zoned;

use super::{Dialect, Setting, Subject, Translation, Word, annotations};
use crate::domain::in_flight::InFlight;
use crate::domain::reference::{Digest, ImageReference};
use crate::domain::time::whole_seconds;

pub(super) const PREFIX: &str = "watch-cluster.io";

/// Asks for a scan at once, as ours does.
pub(super) const CHECK_NOW: &str = "watch-cluster.io/check-now";

/// Status, as it is promised of an update.
const LAST_UPDATE: &str = "last-update";
const IMAGE: &str = "last-update-image";
const FROM_DIGEST: &str = "last-update-from-digest";
const TO_DIGEST: &str = "last-update-to-digest";

/// What is said of an update that is complete, with nothing in place of a digest that nobody knows.
pub(super) fn status(
    in_flight: &InFlight,
    recorded: impl Fn(&ImageReference) -> Option<Digest>,
    now: &Zoned,
) -> BTreeMap<String, Option<String>> {
    let Some(change) = in_flight.containers.values().next() else {
        return BTreeMap::new();
    };
    let written = |image: &str| image.parse::<ImageReference>().ok()?.digest().cloned();
    let after = || {
        change
            .digest
            .clone()
            .or_else(|| recorded(&change.to.parse().ok()?))
    };
    let digests = [
        (FROM_DIGEST, written(&change.from).or_else(|| change.ran.clone())),
        (TO_DIGEST, written(&change.to).or_else(after)),
    ];
    let digests = digests.map(|(name, digest)| (name, digest.map(|digest| digest.to_string())));
    let texts = [
        (LAST_UPDATE, Some(with_offset(now))),
        (IMAGE, Some(change.to.clone())),
    ];
    let all = texts.into_iter().chain(digests);
    all.map(|(name, value)| (format!("{PREFIX}/{name}"), value))
        .collect()
}

fn with_offset(time: &Zoned) -> String {
    let second = whole_seconds(time.timestamp());
    if time.offset().is_zero() {
        second.to_string()
    } else {
        second.display_with_offset(time.offset()).to_string()
    }
}

pub(super) fn translate<'a>(subject: &Subject<'a>) -> Translation<'a> {
    let mut translation = Translation::to(Dialect::WatchCluster);
    for (name, word) in annotations(subject, PREFIX) {
        match name {
            "enabled" => enabled(&mut translation, subject, word),
            "cron" => schedule(&mut translation, word),
            "strategy" => strategy(&mut translation, word),
            "check-now" => translation.say(Setting::CheckNow, "now", word),
            "version-pattern" | "lock-major-version" => {
                translation.remark(word, "watch-cluster declares it and never reads it");
            }
            // What it wrote itself; the first four go on being written.
            LAST_UPDATE | IMAGE | FROM_DIGEST | TO_DIGEST | "change" => {}
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
