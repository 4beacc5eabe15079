use super::*;
use crate::domain::release_notes::digest::{Item, MadeBy};
use crate::domain::release_notes::risk::RiskFlag;

fn news(known: NotesKnown) -> News {
    News {
        versions: None,
        known,
        why: Some("it is so".to_owned()),
        page: None,
        releases: ["v1.5.0", "v1.4.1"]
            .map(|tag| NamedRelease {
                tag: tag.to_owned(),
                url: None,
                published_at: None,
            })
            .into(),
        more_releases: 0,
        summary: None,
        risk: Risk::default(),
        awaits_model: false,
    }
}

#[test]
fn how_much_is_known_is_said_in_a_line() {
    for (known, expected) in [
        (NotesKnown::All, Some("v1.5.0, v1.4.1")),
        (
            NotesKnown::Part,
            Some("v1.5.0, v1.4.1; not all is known: it is so"),
        ),
        (NotesKnown::None, Some("no notes found: it is so")),
        (NotesKnown::Failed, Some("no notes yet: it is so")),
        (
            NotesKnown::Coming,
            Some("no notes yet: they are still to be fetched"),
        ),
        (NotesKnown::NotFetched, None),
    ] {
        assert_eq!(news(known).about().as_deref(), expected);
        let moved = News {
            versions: Some(("1.4.0".parse().unwrap(), "1.5.0".parse().unwrap())),
            ..news(known)
        };
        let expected = expected.map(|about| format!("1.4.0 to 1.5.0 by the images' labels: {about}"));
        assert_eq!(moved.about(), expected);
    }
    let mut many = news(NotesKnown::All);
    many.releases = vec![many.releases[0].clone(); 7];
    many.more_releases = 3;
    let item = Item {
        text: "baskets".to_owned(),
        link: None,
        release: None,
    };
    let mut summary = Summary {
        made_by: MadeBy::Model,
        ..Summary::default()
    };
    many.summary = Some(summary.clone());
    let named = "v1.5.0, v1.5.0, v1.5.0, v1.5.0, v1.5.0, 5 more";
    assert_eq!(
        many.about(),
        Some(format!("{named}; they say nothing of what has changed"))
    );
    summary.features.push(item);
    many.summary = Some(summary.clone());
    assert_eq!(
        many.about(),
        Some(format!("{named}; summarised by a language model"))
    );
    summary.of_part = true;
    many.summary = Some(summary);
    assert_eq!(
        many.about(),
        Some(format!(
            "{named}; only a part of them summarised by a language model"
        ))
    );
}

#[test]
fn each_risk_has_its_reason_and_those_that_nobody_knows_for_one_reason_are_one_line() {
    let mut news = news(NotesKnown::None);
    news.risk
        .flags
        .insert(RiskFlag::Major, "it goes from 1 to 2".to_owned());
    for flag in [RiskFlag::Breaking, RiskFlag::Security] {
        news.risk.unknown.insert(flag, "no releases".to_owned());
    }
    news.risk
        .unknown
        .insert(RiskFlag::Migration, "another".to_owned());
    assert_eq!(
        news.risks(),
        [
            "major: it goes from 1 to 2",
            "nobody knows whether it is breaking or security: no releases",
            "nobody knows whether it is migration: another",
        ]
    );
}

#[test]
fn only_what_comes_soon_is_waited_for() {
    for known in <NotesKnown as strum::VariantArray>::VARIANTS {
        for awaits_model in [false, true] {
            let news = News {
                awaits_model,
                ..news(*known)
            };
            let expected = match known {
                NotesKnown::Coming => true,
                NotesKnown::All | NotesKnown::Part => awaits_model,
                NotesKnown::None | NotesKnown::Failed | NotesKnown::NotFetched => false,
            };
            assert_eq!(news.awaits().is_some(), expected, "{known}");
        }
    }
}
