//! Keel, as its documentation and its code have it: annotations and labels of a workload.

mod containers;
mod poll_schedule;

use super::{Dialect, Place, Setting, Subject, Translation, Word, release_notes};
use crate::domain::policy::PolicyOptions;

pub(super) const PREFIXES: [&str; 2] = ["keel.sh", "keel.observer"];

/// Where a word is looked for first.
const ANNOTATION_FIRST: [Place; 2] = [Place::Annotation, Place::Label];
const LABEL_FIRST: [Place; 2] = [Place::Label, Place::Annotation];

/// All that Keel knows, and what it writes.
const KNOWN: [&str; 18] = [
    "keel.sh/policy",
    "keel.observer/policy",
    "keel.sh/matchTag",
    "keel.sh/match-tag",
    "keel.sh/matchPreRelease",
    "keel.sh/trigger",
    "keel.sh/pollSchedule",
    "keel.sh/approvals",
    "keel.sh/approvalDeadline",
    "keel.sh/imagePullSecret",
    "keel.sh/monitorContainers",
    "keel.sh/initContainers",
    "keel.sh/imageVolumes",
    "keel.sh/notify",
    "keel.sh/releaseNotes",
    "keel.sh/digest",
    "keel.sh/update-time",
    "keel.sh/updateTime",
];

/// What Kubefresh has nothing for, and why that is, or what does instead.
const LEFT_OUT: [(&str, &str); 3] = [
    (
        "keel.sh/imagePullSecret",
        "Kubefresh asks with the pull secrets of the pod and its service account, as the kubelet does; name the secret there",
    ),
    (
        "keel.sh/imageVolumes",
        "Kubefresh updates the images of containers, not those of volumes",
    ),
    (
        "keel.sh/notify",
        "it names chat channels that Keel knows; kubefresh.dev/channels says on which of Kubefresh's people are told, such as \
         discord,email",
    ),
];

/// How long Keel waits for several people to agree where nothing is said.
const KEEPS_APPROVALS_FOR: &str = "24h";

/// How Keel compares what matches a pattern.
const AS_TEXT: &str = "alphabetical";
/// The group of a pattern that it compares instead of the whole tag, as a pattern names it.
const COMPARED: &str = "<compare>";
/// The same, as a template of ours does.
const TAKE_COMPARED: &str = "${compare}";

pub(super) fn translate<'a>(subject: &Subject<'a>) -> Translation<'a> {
    let mut translation = Translation::to(Dialect::Keel);
    remark_what_is_left_out(&mut translation, subject);
    let legacy = || find(subject, "keel.observer/policy", ANNOTATION_FIRST);
    let Some(policy) = find(subject, "keel.sh/policy", ANNOTATION_FIRST).or_else(legacy) else {
        return translation;
    };
    if matches!(policy.written, "never" | "") {
        translation.say(Setting::Watch, "false", policy);
        return translation;
    }
    translation.say(Setting::Watch, "true", policy);
    which_tags(&mut translation, subject, policy);
    which_mode(&mut translation, subject, policy);
    trigger(&mut translation, subject);
    notes(&mut translation, subject);
    containers::choose(&mut translation, subject, policy);
    translation
}

/// The word for a key, whose spelling Keel does not take seriously everywhere.
fn find<'a>(subject: &Subject<'a>, key: &str, places: [Place; 2]) -> Option<Word<'a>> {
    places.into_iter().find_map(|place| find_in(subject, key, place))
}

fn find_in<'a>(subject: &Subject<'a>, key: &str, place: Place) -> Option<Word<'a>> {
    let mut words = words(subject, place);
    words.find(|word| word.key.eq_ignore_ascii_case(key))
}

fn words<'a>(subject: &Subject<'a>, place: Place) -> impl Iterator<Item = Word<'a>> {
    let map = match place {
        Place::Annotation => subject.annotations,
        Place::Label => subject.labels,
    };
    let words = map.iter().map(move |(key, written)| Word { place, key, written });
    words.filter(|word| Dialect::Keel.owns(word.key))
}

fn remark_what_is_left_out<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>) {
    for word in ANNOTATION_FIRST
        .into_iter()
        .flat_map(|place| words(subject, place))
    {
        let is = |key: &str| word.key.eq_ignore_ascii_case(key);
        if let Some((_, reason)) = LEFT_OUT.iter().find(|(key, _)| is(key)) {
            translation.remark(word, *reason);
        } else if !KNOWN.iter().any(|key| is(key)) {
            translation.remark_unknown(word);
        }
    }
}

fn which_tags<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>, policy: Word<'a>) {
    // Both are read from where the policy was found.
    let beside = |key: &str| find_in(subject, key, policy.place);
    let match_tag = beside("keel.sh/matchTag").or_else(|| beside("keel.sh/match-tag"));
    let keeps_tag = switch(translation, match_tag, false);
    let keeps_suffix = switch(translation, beside("keel.sh/matchPreRelease"), true);
    match policy.written {
        level @ ("major" | "minor" | "patch") => {
            translation.say(Setting::Policy, level, policy);
            if !keeps_suffix {
                any_suffix(translation, policy);
            }
        }
        "all" => {
            translation.say(Setting::Policy, "major", policy);
            any_suffix(translation, policy);
        }
        "force" => {
            translation.say(Setting::Policy, "digest", policy);
            if !keeps_tag {
                translation.remark(
                    policy,
                    "without keel.sh/matchTag Keel takes whatever tag was pushed last, which nobody can tell from a list; Kubefresh \
                     follows the digest of the current tag",
                );
            }
        }
        other => pattern(translation, policy, other),
    }
}

/// Versions of any suffix, prereleases among them.
fn any_suffix<'a>(translation: &mut Translation<'a>, policy: Word<'a>) {
    translation.say(Setting::Suffix, "any", policy);
    translation.say(Setting::Prerelease, "true", policy);
}

fn pattern<'a>(translation: &mut Translation<'a>, policy: Word<'a>, written: &'a str) {
    match written.split_once(':') {
        Some(("glob", glob)) if glob.is_empty() || glob.contains(':') => {
            return translation.refuse(policy, "write glob: and a pattern without a colon");
        }
        Some(("glob", _)) => translation.say(Setting::Policy, written, policy),
        Some(("regexp", regex)) => {
            let ours = format!("regex:{regex}");
            if has_compared_group(&ours) {
                translation.say(Setting::TagExtract, TAKE_COMPARED, policy);
            }
            translation.say(Setting::Policy, ours, policy);
        }
        _ => {
            return translation.refuse(
                policy,
                "it must be one of all, major, minor, patch, force, never, glob:GLOB, regexp:REGEX",
            );
        }
    }
    translation.say(Setting::TagOrder, AS_TEXT, policy);
    translation.remark(
        policy,
        "it is compared as text, as Keel does, so that 1.9 counts as newer than 1.10; without kubefresh.dev/tag-order, or with \
         semver or numeric there, numbers count as numbers",
    );
}

/// Whether the pattern of a policy has the group that Keel compares. It is read as every policy is, within the same bounds;
/// what cannot be read has none, and is refused with the policy.
fn has_compared_group(policy: &str) -> bool {
    if !policy.contains(COMPARED) {
        return false;
    }
    let options = PolicyOptions {
        tag_extract: Some(TAKE_COMPARED.to_owned()),
        tag_order: Some(AS_TEXT.to_owned()),
        ..PolicyOptions::of(policy)
    };
    options.check().is_ok()
}

fn which_mode<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>, policy: Word<'a>) {
    let approvals = find(subject, "keel.sh/approvals", LABEL_FIRST);
    let deadline = find(subject, "keel.sh/approvalDeadline", LABEL_FIRST);
    let votes = approvals.map(|word| (word, word.written.parse::<u32>()));
    match votes {
        None | Some((_, Ok(0))) => translation.imply(Setting::Mode, "auto", policy),
        Some((word, Ok(_))) => translation.say(Setting::Mode, "approve", word),
        Some((word, Err(_))) => return translation.refuse(word, "it must be a number of approvals, or 0"),
    }
    match (votes, deadline) {
        (Some((word, Ok(2..))), deadline) => {
            translation.say(Setting::Approvers, word.written, word);
            waits_for_the_others(translation, deadline, word);
        }
        (_, Some(word)) => translation.remark(
            word,
            "it limits how long the word of one person waits for the others, and here none does; an offer of Kubefresh stays until it is \
             agreed to, it is held back or a newer one takes its place",
        ),
        (_, None) => {}
    }
}

/// Keel counts from its question on, and drops that together with the words that came to it.
fn waits_for_the_others<'a>(
    translation: &mut Translation<'a>,
    deadline: Option<Word<'a>>,
    approvals: Word<'a>,
) {
    let Some(word) = deadline else {
        return translation.imply(Setting::ApprovalDeadline, KEEPS_APPROVALS_FOR, approvals);
    };
    match word.written.parse::<u32>() {
        Ok(hours @ 1..) => translation.say(Setting::ApprovalDeadline, format!("{hours}h"), word),
        Ok(0) | Err(_) => translation.refuse(word, "it must be a number of hours"),
    }
}

fn trigger<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>) {
    if let Some(word) = find(subject, "keel.sh/trigger", ANNOTATION_FIRST) {
        match word.written {
            "poll" => {}
            "default" | "" => translation.remark(
                word,
                "nobody tells Kubefresh of a push; it asks the registry, whenever the scanner runs or kubefresh.dev/schedule says",
            ),
            _ => translation.refuse(word, "it must be poll or default"),
        }
    }
    if let Some(word) = find_in(subject, "keel.sh/pollSchedule", Place::Annotation) {
        poll_schedule::read(translation, word);
    }
}

/// Keel adds the address to its messages, whatever it is; a page that nothing can be read from is no mistake.
fn notes<'a>(translation: &mut Translation<'a>, subject: &Subject<'a>) {
    if let Some(word) = find_in(subject, "keel.sh/releaseNotes", Place::Annotation) {
        match release_notes(word.written) {
            Ok(notes) => translation.say(Setting::ReleaseNotes, notes, word),
            Err(reason) => translation.remark(word, reason),
        }
    }
}

fn switch<'a>(translation: &mut Translation<'a>, word: Option<Word<'a>>, default: bool) -> bool {
    match word.map(|word| (word, word.written)) {
        None => default,
        Some((_, "true")) => true,
        Some((_, "false")) => false,
        Some((word, _)) => {
            translation.refuse(word, "it must be \"true\" or \"false\"");
            default
        }
    }
}
