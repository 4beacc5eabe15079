use proptest::prelude::*;

use super::*;

fn release(tag: &str) -> Release {
    Release {
        tag: tag.to_owned(),
        body: format!("notes of {tag}"),
        ..Release::default()
    }
}

fn found(image: &str, from: &str, to: &str, tags: &[&str]) -> Result<Vec<String>, NoRange> {
    let (image, from, to) = (image.parse().unwrap(), from.parse().unwrap(), to.parse().unwrap());
    let releases: Vec<Release> = tags.iter().map(|tag| release(tag)).collect();
    let range = between(
        &Step {
            image: &image,
            from: &from,
            to: &to,
        },
        &releases,
    )?;
    Ok(range.releases.into_iter().map(|release| release.tag).collect())
}

#[test]
fn everything_behind_the_running_tag_up_to_the_offered_one_newest_first() {
    let plain = ["1.3.0", "1.4.0", "1.5.0", "1.4.1", "1.6.0"];
    let prefixed = ["v1.3.0", "v1.4.0", "v1.5.0", "v1.4.1", "v1.6.0"];
    for (from, to) in [
        ("1.4.0", "1.5.0"),
        ("v1.4.0", "v1.5.0"),
        ("1.4.0-alpine", "1.5.0-alpine"),
        ("v1.4.0-alpine3.19", "v1.5.0-alpine3.20"),
    ] {
        assert_eq!(
            found("nginx", from, to, &plain).unwrap(),
            ["1.5.0", "1.4.1"],
            "{from}"
        );
        assert_eq!(
            found("nginx", from, to, &prefixed).unwrap(),
            ["v1.5.0", "v1.4.1"],
            "{from}"
        );
    }
}

#[test]
fn a_repository_of_several_components_is_read_by_the_name_of_the_image() {
    let tags = [
        "web-v1.5.0",
        "web-v1.4.1",
        "api-v1.5.0",
        "v1.5.0",
        "web-admin-v1.5.0",
    ];
    assert_eq!(
        found("ghcr.io/o/web", "1.4.0", "1.5.0", &tags).unwrap(),
        ["web-v1.5.0", "web-v1.4.1"]
    );
    assert_eq!(
        found("ghcr.io/o/shop/api", "1.4.0", "1.5.0", &tags).unwrap(),
        ["api-v1.5.0"]
    );
    assert_eq!(
        found("ghcr.io/o/shop", "1.4.0", "1.5.0", &tags).unwrap(),
        ["v1.5.0"]
    );
    for spelled in [
        "web@1.5.0",
        "web/v1.5.0",
        "@o/web@1.5.0",
        "web_1.5.0",
        "apps/web/v1.5.0",
        "Web-1.5.0",
        "release-1.5.0",
        "REL_1_5_0",
        "release/v1.5.0",
    ] {
        assert_eq!(
            found("ghcr.io/o/web", "1.4.0", "1.5.0", &[spelled, "api@1.5.0"]).unwrap(),
            [spelled]
        );
    }
    assert_eq!(
        found("ghcr.io/o/shop", "web-1.4.0", "web-1.5.0", &tags).unwrap(),
        ["web-v1.5.0", "web-v1.4.1"]
    );
    // Which of the two is ours nobody can tell.
    let others = ["api-v1.5.0", "worker-v1.5.0"];
    assert_eq!(
        found("ghcr.io/o/shop", "1.4.0", "1.5.0", &others),
        Err(NoRange::NoneBetween)
    );
    assert_eq!(
        found("ghcr.io/o/shop", "1.4.0", "1.5.0", &["server-v1.5.0"]).unwrap(),
        ["server-v1.5.0"]
    );
}

#[test]
fn prereleases_are_told_only_on_the_way_to_a_prerelease() {
    let tags = ["v1.5.0", "v1.5.0-rc.2", "v1.5.0-rc.1", "v1.4.0"];
    assert_eq!(found("nginx", "1.4.0", "1.5.0", &tags).unwrap(), ["v1.5.0"]);
    assert_eq!(found("nginx", "1.5.0-rc.1", "1.5.0", &tags).unwrap(), ["v1.5.0"]);
    assert_eq!(
        found("nginx", "1.5.0-rc.1", "1.5.0-rc.2", &tags).unwrap(),
        ["v1.5.0-rc.2"]
    );
    assert_eq!(
        found("nginx", "1.4.0", "1.5.0-rc2", &tags).unwrap(),
        ["v1.5.0-rc.2", "v1.5.0-rc.1"]
    );
    let early = Release {
        prerelease: true,
        ..release("v1.4.5")
    };
    let target = Release {
        prerelease: true,
        ..release("v1.5.0")
    };
    let (image, from, to) = (
        "nginx".parse().unwrap(),
        "1.4.0".parse().unwrap(),
        "1.5.0".parse().unwrap(),
    );
    let range = between(
        &Step {
            image: &image,
            from: &from,
            to: &to,
        },
        &[early, target.clone()],
    )
    .unwrap();
    assert_eq!((range.releases, range.has_target), (vec![target], true));
}

#[test]
fn tags_of_other_lengths_and_counters_are_understood() {
    for (from, to, tags, expected) in [
        (
            "1.4",
            "1.5",
            &["v1.5.2", "v1.5.0", "v1.4.9", "v1.6.0"][..],
            &["v1.5.2", "v1.5.0"][..],
        ),
        ("1", "2", &["v2.1.0", "v2.0.0", "v1.9.0"], &["v2.1.0", "v2.0.0"]),
        ("1.4.0", "1.5.0", &["1.5", "1.4"], &["1.5"]),
        (
            "4.7.0-ls132",
            "4.7.0-ls133",
            &["4.7.0-ls133", "4.7.0-ls132"],
            &["4.7.0-ls133"],
        ),
        (
            "2024.07.0",
            "2026.07.2",
            &["2026.7.2", "2025.1.0", "2024.7.0"],
            &["2026.7.2", "2025.1.0"],
        ),
        ("1.4.0", "1.5.0", &["v1.5.0+build.7"], &["v1.5.0+build.7"]),
        (
            "16.2",
            "16.3",
            &["REL_16_3", "REL_16_2", "REL_17_0"],
            &["REL_16_3"],
        ),
        ("1.4.0", "1.5.0", &["v1.5.0", "1.5.0"], &["v1.5.0"]),
        ("latest", "1.5.0", &["v1.5.0", "v1.4.0"], &["v1.5.0"]),
    ] {
        assert_eq!(
            found("nginx", from, to, tags).as_deref(),
            Ok(&expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{from} to {to}"
        );
    }
}

#[test]
fn where_there_is_none_it_is_said_why() {
    for (from, to, tags, expected) in [
        ("edge", "edge", &["v1.5.0"][..], NoRange::SameTag),
        ("1.5", "1.5", &["v1.5.0"], NoRange::SameTag),
        ("1.4.0", "edge", &["v1.5.0"], NoRange::NoVersion),
        ("1.5.0", "1.4.0", &["v1.5.0"], NoRange::Backwards),
        ("1.4.0", "1.5.0", &["v1.3.0", "nightly", ""], NoRange::NoneBetween),
        ("4.7.0-ls132", "4.7.0-ls133", &["v4.7.0"], NoRange::NoneBetween),
        ("1.4.0", "1.5.0", &[], NoRange::NoReleases),
    ] {
        assert_eq!(found("nginx", from, to, tags), Err(expected), "{from} to {to}");
    }
}

#[test]
fn of_hundreds_the_newest_are_told_and_the_others_counted() {
    let releases: Vec<Release> = (0..700).map(|patch| release(&format!("v1.5.{patch}"))).collect();
    let (image, from, to) = (
        "nginx".parse().unwrap(),
        "1.5.0".parse().unwrap(),
        "1.5.699".parse().unwrap(),
    );
    let range = between(
        &Step {
            image: &image,
            from: &from,
            to: &to,
        },
        &releases,
    )
    .unwrap();
    assert_eq!(
        (range.releases.len(), range.left_out, range.has_target),
        (MOST_RELEASES, 599, true)
    );
    assert_eq!(
        (&range.releases[0].tag[..], &range.releases[99].tag[..]),
        ("v1.5.699", "v1.5.600")
    );
}

proptest! {
    #[test]
    fn whatever_the_releases_are_called_those_told_are_behind_the_one_and_not_beyond_the_other(
        tags in prop::collection::vec("(web-|web@|v|release-|)[0-9]{1,2}\\.[0-9]{1,2}(\\.[0-9])?(-rc\\.?[0-9]|-alpine)?|.{0,12}", 0..40),
        from in (0_u64..20, 0_u64..20), to in (0_u64..20, 0_u64..20),
    ) {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let (low, high) = (from.min(to), from.max(to));
        let (from, to) = (format!("{}.{}.0", low.0, low.1), format!("{}.{}.0", high.0, high.1));
        if let Ok(found) = found("ghcr.io/o/web", &from, &to, &tags) {
            let mut last = None;
            for tag in &found {
                let (_, version) = named(tag).unwrap();
                let numbers: Vec<u64> = version.numbers().iter().copied().chain([0, 0]).take(3).collect();
                prop_assert!(numbers > vec![low.0, low.1, 0] && numbers <= vec![high.0, high.1, 0], "{tag}: {from} to {to}");
                prop_assert!(last.as_ref().is_none_or(|last| *last >= numbers));
                last = Some(numbers);
            }
        }
    }
}
