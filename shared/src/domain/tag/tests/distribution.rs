//! Which distribution release a variant is built on (rule 15).

use super::*;

fn release(written: &str) -> Option<String> {
    version(written)
        .family()
        .distribution()
        .map(|release| release.to_string())
}

#[test]
fn rule_15_the_distribution_release_of_a_variant_is_named_as_it_was_written() {
    let cases = [
        ("16.3-alpine3.19", "alpine3.19"),
        ("3.13-management-alpine-3.24", "alpine-3.24"),
        ("6.4.2-php8.2-fpm-alpine3.20", "alpine3.20"),
        ("3.11-slim-bookworm", "bookworm"),
        ("3.11.4-bookworm-slim", "bookworm"),
        ("8u402-b06-jdk-focal", "focal"),
        ("0.21.0-debian-10-r39", "debian-10"),
        ("1.0-debian12-20240101", "debian12"),
        ("4.0-ubuntu-22.04", "ubuntu-22.04"),
        ("12.4.1-cudnn-devel-ubuntu22.04", "ubuntu22.04"),
        ("17.0.11_9-jdk-ubi9-minimal", "ubi9"),
        ("1.2.3-el8", "el8"),
        ("9.0.1-oraclelinux9", "oraclelinux9"),
        ("22.0.1-al2023-headless", "al2023"),
        ("3.12.4-windowsservercore-ltsc2022", "ltsc2022"),
        ("1.22-nanoserver-1809", "1809"),
    ];
    for (tag, expected) in cases {
        assert_eq!(release(tag).as_deref(), Some(expected), "{tag}");
    }
}

#[test]
fn rule_15_runtimes_and_floating_variants_are_no_distribution_releases() {
    let tags = "1.0 6.4.2-php8.2-fpm 3.9-java17 1.16-otp-26 0.8-pg14 2.4-cuda12 3.9-eclipse-temurin-17 2.3-scala_2.12 \
        1.0-alpine 1.0-alpine-slim 1.0-alpine3.x 1.0-ubi-minimal 1.0-ubi9x 1.0-sid 1.0-stable 1.0-debian-r12 \
        21-amazoncorretto-17 7.0-rocky 1.0-1809 1.0-debian-12-bookworm \
        1.4.2-debian-1 1.4.2-debian-2.0 v1.12.4-alpine-11 1.0-alpine1.2 1.0-ubuntu-2.1 1.0-alpine99999999999999999999";
    for tag in tags.split_whitespace() {
        assert_eq!(release(tag), None, "{tag}");
    }
}

/// Each line: releases of one distribution from the oldest to the newest.
#[test]
fn rule_15_the_releases_of_a_distribution_have_an_order() {
    let ladders = [
        "alpine3.9 alpine3.19 alpine-3.22 alpine3.24",
        "jessie stretch buster bullseye bookworm trixie forky duke",
        "debian-9 debian-10 debian-12",
        "trusty xenial bionic focal jammy noble oracular plucky questing resolute stonking",
        "ubuntu18.04 ubuntu20.04 ubuntu-22.04",
        "ubi8 ubi9 ubi10",
        "el8 el9",
        "rockylinux8 rockylinux9",
        "oraclelinux7 ol8 oraclelinux9",
        "fedora41 fedora42",
        "amazonlinux2 al2023",
        "nanoserver-sac2016 nanoserver-1803 nanoserver-1809 nanoserver-1903 nanoserver-ltsc2022 nanoserver-ltsc2025",
    ];
    for ladder in ladders {
        let versions: Vec<_> = ladder
            .split_whitespace()
            .map(|release| version(&format!("1.0-{release}-slim")))
            .collect();
        for (index, older) in versions.iter().enumerate() {
            for newer in &versions[index + 1..] {
                let (older, newer) = (older.family(), newer.family());
                assert_eq!(
                    older.compare_distributions(newer),
                    Some(Ordering::Less),
                    "{older} {newer}"
                );
                assert_eq!(
                    newer.compare_distributions(older),
                    Some(Ordering::Greater),
                    "{newer} {older}"
                );
            }
        }
    }
}

#[test]
fn rule_15_a_release_in_another_spelling_is_the_same_release() {
    for (one, other) in [
        ("1.0-alpine3.19", "2.0-alpine-3.19"),
        ("1.0-nanoserver-1809", "1.0-nanoserver-ltsc2019"),
        ("1.0-al2023", "1.0-amazonlinux2023"),
    ] {
        let (one, other) = (version(one), version(other));
        assert_eq!(
            one.family().compare_distributions(other.family()),
            Some(Ordering::Equal)
        );
    }
}

#[test]
fn rule_15_families_that_differ_in_more_than_the_release_have_no_order() {
    let pairs = "1.0-alpine3.19/1.0.0-alpine3.22 1.0-alpine3.19/v1.0-alpine3.22 1.0-alpine3.19/1.0-fpm-alpine3.22 \
        1.0-jdk-alpine3.19/1.0-jre-alpine3.22 1.0-php8.2-alpine3.19/1.0-php8.3-alpine3.22 1.0-bookworm/1.0-trixie-slim \
        1.0-bookworm/1.0-noble 1.0-alpine3.19/1.0-bookworm 1.0-bookworm/1.0-debian-13 1.0-alpine3/1.0-alpine3.22 \
        1.0-alpine3.19/1.0-alpine 1.0-php8.2/1.0-php8.3 1.0-ubi8/1.0-el9 1.0/1.0-alpine3.19 \
        2024.1-bookworm/12.1-trixie 1.0-bookworm/1.0-trixie-20260101";
    for pair in pairs.split_whitespace() {
        let (one, other) = pair.split_once('/').unwrap();
        let (one, other) = (version(one), version(other));
        assert_eq!(one.family().compare_distributions(other.family()), None, "{pair}");
        assert_eq!(other.family().compare_distributions(one.family()), None, "{pair}");
    }
}
