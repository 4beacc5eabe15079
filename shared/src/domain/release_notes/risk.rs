//! What speaks against taking an update without a look: its step, its notes, what the images say of themselves.
//!
//! What nobody knows is not harmless: each flag is there, is not, or is unknown, and whoever asks for approval of it gets to see
//! the last as well as the first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::digest::{Signals, Summary};
use crate::domain::reference::Tag;
use crate::domain::tag::{Step, TagVersion};

/// A reason to look before an update.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RiskFlag {
    /// The first number of the version changes.
    Major,
    /// The notes speak of a breaking change, or the version promises nothing.
    Breaking,
    /// The notes speak of something to migrate.
    Migration,
    /// The notes speak of a vulnerability that is closed.
    Security,
    /// The offered version is none that is finished.
    Prerelease,
}

impl RiskFlag {
    /// Whether the notes decide on it, or also they.
    pub fn is_of_notes(self) -> bool {
        match self {
            Self::Breaking | Self::Migration | Self::Security => true,
            Self::Major | Self::Prerelease => false,
        }
    }
}

/// What is known of the notes.
#[derive(Debug, Clone, Copy)]
pub enum Notes<'a> {
    Known(&'a Summary),
    /// These, and why not all: what they tell is so, and what they do not tell may stand in the rest.
    Part(&'a Summary, &'a str),
    /// Why not, in words.
    Unknown(&'a str),
}

/// The flags of an update, each with the reason in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Risk {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<RiskFlag, String>,
    /// Those of which nobody knows, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<RiskFlag, String>,
}

impl Risk {
    /// Why an update needs approval where these flags do: the first that is there, or of which nobody knows.
    pub fn asks(&self, for_these: &BTreeSet<RiskFlag>) -> Option<String> {
        let there = for_these.iter().find_map(|flag| {
            let reason = self.flags.get(flag)?;
            Some(format!("{flag}: {reason}"))
        });
        there.or_else(|| {
            for_these.iter().find_map(|flag| {
                let reason = self.unknown.get(flag)?;
                Some(format!("nobody knows whether it is {flag}: {reason}"))
            })
        })
    }
}

/// The versions that the images of an update carry as `org.opencontainers.image.version`: of the running one and the offered.
pub type LabelVersions<'a> = (Option<&'a str>, Option<&'a str>);

/// The risk of going from one tag to the other.
pub fn risk(from: &Tag, to: &Tag, labels: LabelVersions<'_>, notes: Notes<'_>) -> Risk {
    let mut risk = Risk::default();
    step(from, to, labels, &mut risk);
    let nothing = Signals::default();
    let (signals, why_not_all) = match notes {
        Notes::Known(summary) => (&summary.signals, None),
        Notes::Part(summary, why) => (&summary.signals, Some(why)),
        Notes::Unknown(why) => (&nothing, Some(why)),
    };
    let found = [
        (RiskFlag::Breaking, &signals.breaking),
        (RiskFlag::Migration, &signals.migration),
        (RiskFlag::Security, &signals.security),
    ];
    for (flag, said) in found {
        if let Some(said) = said {
            risk.flags
                .entry(flag)
                .or_insert_with(|| format!("the notes say \"{said}\""));
        }
        if let Some(why) = why_not_all.filter(|_| !risk.flags.contains_key(&flag)) {
            risk.unknown.insert(flag, why.to_owned());
        }
    }
    risk
}

/// What the versions say by themselves.
fn step(from: &Tag, to: &Tag, (running, offered): LabelVersions<'_>, risk: &mut Risk) {
    let tags = (TagVersion::parse(from), TagVersion::parse(to));
    let labelled = (
        running.and_then(TagVersion::read),
        offered.and_then(TagVersion::read),
    );
    let is_early = |version: &Option<TagVersion>| version.as_ref().is_some_and(TagVersion::is_prerelease);
    if is_early(&tags.1) || is_early(&labelled.1) {
        risk.flags.insert(
            RiskFlag::Prerelease,
            format!("{} is a prerelease", version_name(to, offered)),
        );
    }
    let by_tags = compared(
        &tags,
        (from.as_str(), to.as_str()),
        Step::between(from, to) == Step::Other,
    );
    let by_labels = compared(
        &labelled,
        (running.unwrap_or_default(), offered.unwrap_or_default()),
        false,
    );
    let known: Vec<_> = by_tags.into_iter().chain(by_labels).collect();
    for (flag, reason) in known.iter().flatten().cloned() {
        risk.flags.entry(flag).or_insert(reason);
    }
    if known.is_empty() {
        let why = format!("neither the tags {from} and {to} nor the images' labels tell how far it is");
        risk.unknown.insert(RiskFlag::Major, why);
    }
}

fn version_name<'a>(tag: &'a Tag, label: Option<&'a str>) -> &'a str {
    label
        .filter(|_| TagVersion::parse(tag).is_none())
        .unwrap_or(tag.as_str())
}

/// How far it is between two versions: nothing where they do not tell, and otherwise the flag that follows, if any.
#[expect(
    clippy::option_option,
    reason = "the outer one says whether it is known, the inner one whether it is a risk"
)]
fn compared(
    versions: &(Option<TagVersion>, Option<TagVersion>),
    (from, to): (&str, &str),
    may_be_same: bool,
) -> Option<Option<(RiskFlag, String)>> {
    let (Some(running), Some(offered)) = versions else {
        return None;
    };
    let has_dates = running.family().counts_in_dates() || offered.family().counts_in_dates();
    // The same tag tells nothing: what it points at can be anything.
    if has_dates || (may_be_same && running == offered) {
        return None;
    }
    let (first, second) = (running.numbers(), offered.numbers());
    if first.first() != second.first() {
        return Some(Some((RiskFlag::Major, format!("it goes from {from} to {to}"))));
    }
    let is_unstable = first.first() == Some(&0) && first.get(1) != second.get(1);
    let reason = || format!("it goes from {from} to {to}, and versions below 1.0 promise nothing");
    Some(is_unstable.then(|| (RiskFlag::Breaking, reason())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(from: &str, to: &str, labels: LabelVersions<'_>, notes: Notes<'_>) -> Risk {
        risk(&from.parse().unwrap(), &to.parse().unwrap(), labels, notes)
    }

    fn flags(risk: &Risk) -> (Vec<RiskFlag>, Vec<RiskFlag>) {
        (
            risk.flags.keys().copied().collect(),
            risk.unknown.keys().copied().collect(),
        )
    }

    #[test]
    fn the_step_between_the_tags_tells_or_the_labels_do_or_nobody() {
        use RiskFlag::{Breaking, Major, Prerelease};
        let notes = Summary::default();
        let none = (None, None);
        for (from, to, labels, expected, unknown) in [
            ("1.4.0", "1.5.0", none, vec![], vec![]),
            ("1.4.0", "2.0.0", none, vec![Major], vec![]),
            ("v1.4.0-alpine", "v2.0.0-alpine", none, vec![Major], vec![]),
            ("1.4", "2.0.1", none, vec![Major], vec![]),
            ("1.4", "1.4.1", none, vec![], vec![]),
            ("0.4.0", "0.5.0", none, vec![Breaking], vec![]),
            ("0.4.0", "0.4.1", none, vec![], vec![]),
            ("1.4.0", "1.5.0-rc.1", none, vec![Prerelease], vec![]),
            ("edge", "edge", none, vec![], vec![Major]),
            ("1", "1", none, vec![], vec![Major]),
            (
                "edge",
                "edge",
                (Some("1.4.0"), Some("2.0.0")),
                vec![Major],
                vec![],
            ),
            ("edge", "edge", (Some("1.4.0"), Some("1.5.0")), vec![], vec![]),
            ("edge", "edge", (Some("1.4.0"), None), vec![], vec![Major]),
            ("20260101", "20260201", none, vec![], vec![Major]),
            // A tag cannot talk a label's step away.
            (
                "1.4.0",
                "1.5.0",
                (Some("3.9.0"), Some("4.0.0")),
                vec![Major],
                vec![],
            ),
        ] {
            let found = of(from, to, labels, Notes::Known(&notes));
            assert_eq!(flags(&found), (expected, unknown), "{from} to {to} {labels:?}");
        }
    }

    fn that_break() -> Summary {
        let signals = Signals {
            breaking: Some("BREAKING: port".to_owned()),
            ..Signals::default()
        };
        Summary {
            signals,
            ..Summary::default()
        }
    }

    #[test]
    fn what_the_notes_say_is_quoted_and_what_they_might_have_said_is_unknown() {
        use RiskFlag::{Breaking, Major, Migration, Security};
        let notes = that_break();
        let known = of("1.4.0", "1.5.0", (None, None), Notes::Known(&notes));
        assert_eq!(flags(&known), (vec![Breaking], vec![]));
        let asked = BTreeSet::from([Breaking, Major]);
        assert_eq!(
            known.asks(&asked).as_deref(),
            Some("breaking: the notes say \"BREAKING: port\"")
        );
        assert_eq!(known.asks(&BTreeSet::from([Security])), None);

        let unknown = of(
            "1.4.0",
            "1.5.0",
            (None, None),
            Notes::Unknown("github.com/o/r has no releases"),
        );
        assert_eq!(flags(&unknown), (vec![], vec![Breaking, Migration, Security]));
        let said = unknown.asks(&asked).unwrap();
        assert_eq!(
            said,
            "nobody knows whether it is breaking: github.com/o/r has no releases"
        );
        assert_eq!(unknown.asks(&BTreeSet::from([Major])), None);
        assert_eq!(unknown.asks(&BTreeSet::new()), None);
    }

    #[test]
    fn what_a_part_of_the_notes_tells_is_so_and_what_it_does_not_tell_is_unknown() {
        use RiskFlag::{Breaking, Migration, Security};
        let notes = that_break();
        let part = of("1.4.0", "1.5.0", (None, None), Notes::Part(&notes, "cut"));
        assert_eq!(flags(&part), (vec![Breaking], vec![Migration, Security]));
        let nothing = Summary::default();
        let part = of("1.4.0", "1.5.0", (None, None), Notes::Part(&nothing, "cut"));
        assert_eq!(flags(&part), (vec![], vec![Breaking, Migration, Security]));
        assert_eq!(
            part.asks(&BTreeSet::from([Breaking])).as_deref(),
            Some("nobody knows whether it is breaking: cut")
        );
    }
}
