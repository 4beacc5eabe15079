//! How tags are read, rule by rule. Ordering against random tags is in `properties`.

mod distribution;
mod properties;

use super::*;

fn read(written: &str) -> Option<TagVersion> {
    TagVersion::parse(&written.parse().unwrap_or_else(|error| panic!("{error}")))
}

fn version(written: &str) -> TagVersion {
    read(written).unwrap_or_else(|| panic!("{written} carries no version"))
}

/// Each line: a tag, and the family it belongs to.
fn check_families(cases: &[(&str, &str)]) {
    for (written, family) in cases {
        assert_eq!(version(written).family().to_string(), *family, "{written}");
    }
}

/// The tags belong to one family and are written here from the oldest to the newest.
fn check_ladder(ascending: &str) {
    let versions: Vec<_> = ascending
        .split_whitespace()
        .map(|tag| (tag, version(tag)))
        .collect();
    for (index, (older_tag, older)) in versions.iter().enumerate() {
        assert_eq!(older.compare(older), Some(Ordering::Equal), "{older_tag}");
        for (newer_tag, newer) in &versions[index + 1..] {
            assert_eq!(
                older.compare(newer),
                Some(Ordering::Less),
                "{older_tag} < {newer_tag}"
            );
            assert_eq!(
                newer.compare(older),
                Some(Ordering::Greater),
                "{newer_tag} > {older_tag}"
            );
        }
    }
}

fn check_different(pairs: &[(&str, &str, Difference)]) {
    for (one, other, difference) in pairs {
        let (one_version, other_version) = (version(one), version(other));
        assert_eq!(one_version.compare(&other_version), None, "{one} and {other}");
        assert_eq!(
            one_version.family().difference(other_version.family()),
            Some(*difference),
            "{one} and {other}"
        );
    }
}

#[test]
fn rule_1_a_v_belongs_to_the_prefix() {
    check_families(&[
        ("v1.2.3", "v*.*.*"),
        ("1.2.3", "*.*.*"),
        ("release-v2.0", "release-v*.*"),
        ("V7", "V*"),
    ]);
    check_different(&[("v1.2.3", "1.2.3", Difference::Prefix)]);
    let spellings = [
        ("v1.2.3", "1.3.0", true),
        ("app-1.0", "app-v1.1", true),
        ("v1.2.3", "1.3", false),
        ("v1", "V1", false),
    ];
    for (one, other, expected) in spellings {
        let (one_version, other_version) = (version(one), version(other));
        assert_eq!(
            one_version.family().is_other_spelling_of(other_version.family()),
            expected,
            "{one} {other}"
        );
        assert_eq!(
            other_version.family().is_other_spelling_of(one_version.family()),
            expected,
            "{other} {one}"
        );
    }
}

#[test]
fn rule_2_the_number_of_components_belongs_to_the_family() {
    check_ladder("1 2 10");
    check_ladder("18.04 20.04 20.10");
    check_ladder("7.3.3.50 7.3.3.51 7.3.10.0");
    check_ladder("20231201120000 20240101120000");
    check_different(&[
        ("1", "1.1", Difference::Components),
        ("1.1", "1.1.1", Difference::Components),
    ]);
    assert_eq!(version("18.04").compare(&version("18.4")), Some(Ordering::Equal));
    assert_eq!(version("18446744073709551615").numbers(), [u64::MAX]);
    assert_eq!(version(&format!("{:0>60}.5", "7")).numbers(), [7, 5]);
}

#[test]
fn rule_2_a_number_beyond_64_bits_is_no_version() {
    assert_eq!(read("18446744073709551616"), None);
    assert_eq!(read("1.2.99999999999999999999"), None);
}

#[test]
fn rule_3_prefix_and_suffix_are_compared_whole() {
    check_families(&[
        ("16.3-alpine", "*.*-alpine"),
        ("3.11-slim-bookworm", "*.*-slim-bookworm"),
        (
            "3.9.11-eclipse-temurin-17-alpine",
            "*.*.*-eclipse-temurin-17-alpine",
        ),
        ("2.3.0-scala_2.12-java17", "*.*.*-scala_2.12-java17"),
        (
            "3.12.4-windowsservercore-ltsc2022",
            "*.*.*-windowsservercore-ltsc2022",
        ),
        ("6.4.2-php8.2-fpm-alpine3.20", "*.*.*-php8.2-fpm-alpine3.20"),
        ("1.16.1-otp-26-alpine", "*.*.*-otp-26-alpine"),
        ("1.4.5-xx", "*.*.*-xx"),
        ("1.2.3.Final", "*.*.*.Final"),
        ("9.9.1p1", "*.*.*p1"),
        ("7.9.1-1-ubi8", "*.*.*-1-ubi8"),
        ("version-1.5.6", "version-*.*.*"),
        ("fpm-2.1.0-prod", "fpm-*.*.*-prod"),
        ("open-21.0.12.0-jre", "open-*.*.*.*-jre"),
        ("cli-2.12-php8.2", "cli-*.*-php8.2"),
        ("pg14-v0.2.0", "pg14-v*.*.*"),
        ("18-jammy-full.s6-v0.88.0", "18-jammy-full.s6-v*.*.*"),
        ("amd64-5.0.4", "amd64-*.*.*"),
        ("v1.0.1-", "v*.*.*-"),
        (
            "v1.3.hello1-debian-3.hello-world-12",
            "v*.*.hello1-debian-3.hello-world-12",
        ),
    ]);
    check_different(&[
        ("1.4.5-xx", "1.4.6-yy", Difference::Suffix),
        ("pg14-v0.2.0", "pg15-v0.2.2", Difference::Prefix),
        (
            "17.0.1-jdk-alpine3.19",
            "17.0.2-jdk-alpine3.22",
            Difference::Suffix,
        ),
    ]);
}

#[test]
fn rule_4_prereleases_are_recognised_in_many_spellings() {
    let prereleases = "1.0-rc1 1.0-rc.1 1.0_rc1 1.0.rc1 1.0rc1 1.0RC1 1.0-RC1 4.0.0-rc-5-eclipse-temurin-21 3.7.0b1 3.8.0b1-alpine \
        2.0a3 1.0-alpha 1.0-alpha.0 1.0-beta2 19beta1-alpine 7.0.0M15 7.0.0-M15 7.0.0.M15 3.3-dev5-alpine 27-ea-11-jdk \
        1.0-snapshot 1.0-SNAPSHOT 3.5.0-preview1-slim 9.0.0-preview.7 1.0-nightly 1.0-nightly-20240912 13.0-ubi-rc \
        6.0-alpha2-trixie 1.0-pre 1.0-canary.5 v0.1.3-alpha.103.gke 6.0.0.CR1 1.0-dev.20240912 \
        40.0.0-next.11 v0.107.0-b.3 v0.108.0-a.12 4.17.0-ec.0 4.13.0-ec-1";
    for tag in prereleases.split_whitespace() {
        assert!(version(tag).is_prerelease(), "{tag}");
    }
}

#[test]
fn rule_4_words_that_only_look_like_markers_belong_to_the_variant() {
    let releases = "31.0.13-previous 1.0-develop 1.0-development 1.0-alphabet 1.0-rc1x 1.0-betaslim 1.0-early 1.0-prebuilt \
        3.0-m1 1.0-a1 1.1.1a 1.0-march 1.0-dev 1.0-dev-alpine 1.0-cr 1.0-previewer 1.0-eap 1.0-rcx \
        1.0-next 1.0-next-alpine 1.0-ec 1.0-b 1.0-b-1 8u402-b08.1-jre 8u402-b06 1.0-b.x";
    for tag in releases.split_whitespace() {
        assert!(!version(tag).is_prerelease(), "{tag}");
    }
}

#[test]
fn rule_4_a_marker_does_not_change_the_family() {
    check_families(&[
        ("19beta3-alpine", "*-alpine"),
        ("13.0.1-ubi-rc", "*.*.*-ubi"),
        ("27-ea-11-jdk-slim", "*-jdk-slim"),
        ("8.5.0RC1-zts", "*.*.*-zts"),
        ("4.0.0-rc-5-eclipse-temurin-21", "*.*.*-eclipse-temurin-21"),
        ("v0.1.3-12.alpha.1", "v*.*.*-*"),
    ]);
}

#[test]
fn rule_4_counters_are_numbers_and_markers_have_an_order() {
    check_ladder("1.0.0-rc9 1.0.0-rc10 1.0.0 1.0.1-rc1 1.0.1");
    check_ladder("3.7.0a2 3.7.0b1 3.7.0b5 3.7.0rc1 3.7.0");
    check_ladder(
        "1.0-dev5 1.0-nightly 1.0-snapshot 1.0-canary 1.0-alpha 1.0-beta 1.0-M1 1.0-ea-3 1.0-preview.2 1.0-rc.1 1.0",
    );
    check_ladder("1.0-rc 1.0-rc.1 1.0-rc.1.5 1.0-rc.2");
    check_ladder("1.0-beta.1-dev4 1.0-beta.1-dev5 1.0-beta.1 1.0-beta.2-dev1");
    check_ladder("v0.1.3-alpha.103.gke v0.1.3-alpha.0113.gke");
    check_ladder("27-ea-11-jdk 27-rc-jdk 27-jdk");
    check_ladder("40.0.0-next.9 40.0.0-next.11 40.0.0");
    check_ladder("v0.107.0-a.2 v0.107.0-b.3 v0.107.0-b.10 v0.107.0");
    assert_eq!(
        version("1.0-rc.1").compare(&version("1.0RC1")),
        Some(Ordering::Equal)
    );
}

#[test]
fn rule_5_build_counters_count_within_an_equal_version() {
    check_ladder("5.0.4-ls131 5.0.4-ls132 5.0.5-ls1");
    check_ladder("0.21.0-debian-10-r9 0.21.0-debian-10-r39");
    check_ladder("17.0.9_9-jdk-alpine 17.0.9_10-jdk-alpine 17.0.10_7-jdk-alpine");
    check_ladder("8u402-b06-jdk 8u402-b07-jdk 8u412-b01-jdk");
    check_ladder("17.0-20260817 17.0-20260824 18.0-20260101");
    check_ladder("10.2-minimal-20260602 10.2-minimal-20260603");
    check_ladder("8.0.34-26 8.0.35-27 8.0.36-28");
    check_ladder("1.21.11-0 1.21.11-1 1.21.12-0");
    check_ladder("4.6.3-r0-ls293 4.6.3-r0-ls294 4.6.3-r1-ls1");
    check_ladder("9.3_p2-r0-ls125 9.6_p1-r0-ls140 9.6_p1-r1-ls141");
    check_ladder("2.4.6-p9 2.4.6-p10 2.4.7-p1");
    check_ladder("v1_20210416_patch1 v1_20211020_patch1 v1_20211020_patch2");
    check_ladder("v3.6.4-20241219 v4.0.1-20241007 v4.0.1-20250204");
    check_families(&[
        ("5.0.4-ls132", "*.*.*-ls*"),
        ("0.21.0-debian-10-r39", "*.*.*-debian-10-r*"),
        ("17.0.9_9-jdk-alpine", "*.*.*_*-jdk-alpine"),
        ("8u402-b06-jdk", "*u*-b*-jdk"),
        ("17.0-20260817", "*.*-<date>"),
        ("8.0.34-26", "*.*.*-*"),
        ("4.6.3_v2.0.10-ls312", "*.*.*_v2.0.10-ls*"),
    ]);
}

#[test]
fn rule_5_a_number_that_is_no_build_counter_belongs_to_the_variant() {
    check_families(&[
        ("19-23", "*-23"),
        ("7.9.1-1-ubi8", "*.*.*-1-ubi8"),
        ("16-3.4", "*-3.4"),
        ("3.9-eclipse-temurin-17", "*.*-eclipse-temurin-17"),
        ("1.0-cuda_11", "*.*-cuda_11"),
        ("1.0-r36.2.0", "*.*-r36.2.0"),
        ("1.0-foo-r9-bar", "*.*-foo-r9-bar"),
        ("1.0-99999999", "*.*-99999999"),
    ]);
    check_different(&[("17.0", "17.0-20260817", Difference::Suffix)]);
}

#[test]
fn rule_6_hashes_artifacts_channels_and_variants_are_no_versions() {
    let digest = "64677ff7a877079df86d4a12e80e67a9548ea0facb2acb8c6719e79088e64526";
    let artifacts = ["", ".sig", ".att", ".sbom"].map(|kind| format!("sha256-{digest}{kind}"));
    let others = "sha256-not-a-digest latest stable edge release-candidate release-openvino bookworm rc-buggy nightly rc1 beta2 v \
        0a1b2c3 0a1b2c3d 0a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d 4bce52f main-4bce52f main-4bce52f-1606234201 sha-860c190 \
        sha-1234567 git-12345678 4bce52f-20240101 4bce52f-v1.2.3 php8.2-fpm alpine3.20 alpine3.20-perl ltsc2022 scala_2.12-java17 \
        jdk25-temurin x86_64 latest-x86_64 arm64v8 ubi9 64bit 2fa 3x latest-64bit _1 1e5d8b2 \
        nanoserver-1809 jdk-windowsservercore-1803 windows-2022 temurin-17 openjdk-8-lein jdk-21-and-23-noble otp-26-slim \
        ubuntu-22.04 jre-headless-ubuntu-24.04 alpine-3.20 debian-12-slim ubi-9 \
        latest.20251301 cuda_2024 scala_2.12 main_20250101abc git_20250101";
    for tag in artifacts
        .iter()
        .map(String::as_str)
        .chain(others.split_whitespace())
    {
        assert_eq!(read(tag), None, "{tag}");
    }
}

#[test]
fn rule_6_what_only_looks_like_a_hash_is_a_version() {
    check_families(&[
        ("1234567", "*"),
        ("20240101", "<date>"),
        ("0.0.1-4bce52f", "*.*.*-4bce52f"),
        ("1.2.4bce52f", "*.*.4bce52f"),
        ("git-2.40.1", "git-*.*.*"),
        ("20241001b1", "<date>"),
    ]);
}

#[test]
fn rule_6_the_version_is_sought_after_the_number_of_a_variant() {
    check_families(&[
        (
            "temurin-17-tools-deps-1.12.0.1479-noble",
            "temurin-17-tools-deps-*.*.*.*-noble",
        ),
        ("openjdk-8-lein-2.9.8", "openjdk-8-lein-*.*.*"),
        ("windows-2022-3.1.8", "windows-2022-*.*.*"),
        ("ubuntu-22.04-v1.2.3", "ubuntu-22.04-v*.*.*"),
        ("alpine-3.20-20240912", "alpine-3.20-<date>"),
        ("debian-12-v7", "debian-12-v*"),
        ("alpine-6.4.10", "alpine-*.*.*"),
        ("ubuntu-6.4.10", "ubuntu-*.*.*"),
        ("ubuntu-6.4", "ubuntu-*.*"),
        ("openjdk-17.0.2", "openjdk-*.*.*"),
        ("openjdk-8u40-jre", "openjdk-*u*-jre"),
        ("17-jdk-alpine-3.20", "*-jdk-alpine-3.20"),
    ]);
}

#[test]
fn rule_7_dates_are_a_ladder_of_their_own() {
    check_ladder("2 2023 2026");
    check_ladder("20241001 20241231 20250101");
    check_ladder("2024.10.1 2024.10.2 2025.01.0");
    check_ladder("202412 202501");
    check_ladder("1606234201 1606364286");
    check_ladder("2024-09-30 2024-10-02");
    check_ladder("2024-09-alpine 2024-10-alpine 2025-01-alpine");
    check_ladder("RELEASE.2024-10-02T17-50-41Z RELEASE.2024-10-13T13-34-11Z");
    check_ladder("20240912T100000Z 20240912T110000Z");
    check_ladder("2.0.20260817.0 2023.12.20260817.0");
    check_ladder("base-20260816.0.574111 base-20260817.0.574200");
    check_ladder("latest.20241231 latest.20250101");
    check_ladder("nightly_2024-12-31 nightly_2025-01-01");
    let pairs = "20250601/202506010000 202506/20250601 1700000000/2025060112 3/20260805 3/202410 3/1606234201 3/1234567 1.2.3/2024.10.1 2.5/2024.10 1.5/1.20240912 9.3.1/9.3.20231119 \
        20240912/98765432";
    for pair in pairs.split_whitespace() {
        let (one, other) = pair.split_once('/').unwrap();
        check_different(&[(one, other, Difference::Dates)]);
    }
}

#[test]
fn rule_7_numbers_that_are_no_dates_stay_ordinary() {
    check_families(&[
        ("2024-13", "*-13"),
        ("2019-CU18-ubuntu-20.04", "*-CU18-ubuntu-20.04"),
        ("1999-10-02", "*-10-02"),
        ("3.9-scala_2.12", "*.*-scala_2.12"),
    ]);
    check_ladder("999 1000 99999 999999");
    check_ladder("1.1999.0 1.2000.0 1.2100.0");
    check_ladder("1.0.200512 1.0.200513");
}

#[test]
fn a_family_prints_what_its_tags_have_in_common() {
    check_families(&[
        ("2024.10.1-fpm", "<year>.*.*-fpm"),
        ("20241001", "<date>"),
        ("9.3.20231119-minimal", "*.*.<date>-minimal"),
        ("RELEASE.2024-10-02T17-50-41Z", "RELEASE.<9999-99-99T99-99-99Z>"),
        ("latest.20250101", "latest.<date>"),
        ("main_20250101120000-slim", "main_<date>-slim"),
    ]);
}
