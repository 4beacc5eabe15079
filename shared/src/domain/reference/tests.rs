//! References against the recorded examples, the grammar and themselves.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const HEX_64: &str = "e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582";

fn parse(written: &str) -> ImageReference {
    written
        .parse()
        .unwrap_or_else(|error| panic!("{written:?}: {error}"))
}

fn error(written: &str) -> ReferenceError {
    match written.parse::<ImageReference>() {
        Ok(reference) => panic!("{written:?} was read as {reference:?}"),
        Err(error) => error,
    }
}

/// One line of `vectors/references.jsonl`.
#[derive(Deserialize)]
struct Example {
    id: String,
    input: String,
    registry: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    valid: bool,
}

#[test]
fn every_recorded_reference_reads_as_recorded() {
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for line in include_str!("../../../vectors/references.jsonl").lines() {
        let example: Example = serde_json::from_str(line).unwrap();
        assert!(seen.insert(example.id.clone()), "{} occurs twice", example.id);
        let found = example.input.parse::<ImageReference>();
        let as_expected = match &found {
            Ok(reference) => {
                example.valid
                    && Some(reference.repository().registry()) == example.registry.as_deref()
                    && Some(reference.repository().path()) == example.repository.as_deref()
                    && reference.effective_tag().map(String::from) == example.tag
                    && reference.digest().map(Digest::as_str) == example.digest.as_deref()
                    && reference.to_string() == example.input
            }
            Err(_) => !example.valid,
        };
        if !as_expected {
            failures.push(format!("{}: {:?} gave {found:?}", example.id, example.input));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen.len() > 50, "only {} examples were read", seen.len());
}

#[test]
fn short_names_are_spelled_out_as_docker_does() {
    let cases = [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.25", "docker.io/library/nginx"),
        ("owner/app", "docker.io/owner/app"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("docker.io/library", "docker.io/library/library"),
        ("docker.io", "docker.io/library/docker.io"),
        ("index.docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/owner/app:1", "docker.io/owner/app"),
        ("library/nginx", "docker.io/library/nginx"),
        ("library/foo/bar", "docker.io/library/foo/bar"),
        ("localhost", "docker.io/library/localhost"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000", "docker.io/library/localhost"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("LOCALDOMAIN/app", "LOCALDOMAIN/app"),
        ("Registry.Example.com/app", "Registry.Example.com/app"),
        ("foo_bar/app", "docker.io/foo_bar/app"),
        ("foo_bar.com:8080", "docker.io/library/foo_bar.com"),
        ("192.168.0.1:80", "docker.io/library/192.168.0.1"),
        ("192.168.0.1:80/app", "192.168.0.1:80/app"),
        ("[2001:db8::]:5000/app", "[2001:db8::]:5000/app"),
        ("[fc00::1]/app:v1", "[fc00::1]/app"),
        ("ghcr.io/library/app", "ghcr.io/library/app"),
        (
            "b.gcr.io/test.example.com/my-app:test.example.com",
            "b.gcr.io/test.example.com/my-app",
        ),
        ("docker---rules/dock__er", "docker.io/docker---rules/dock__er"),
    ];
    for (written, expected) in cases {
        assert_eq!(parse(written).repository().to_string(), expected, "{written}");
    }
}

#[test]
fn a_colon_before_the_last_slash_is_a_port_and_after_it_a_tag() {
    let reference = parse("registry.example.com:5000/team/app:5050");
    assert_eq!(reference.repository().registry(), "registry.example.com:5000");
    assert_eq!(reference.tag().map(Tag::as_str), Some("5050"));
    assert_eq!(
        parse("registry.example.com:5000").tag().map(Tag::as_str),
        Some("5000")
    );
    assert_eq!(parse("registry.example.com:5000/app").tag(), None);
}

/// Each line: what is written, and the name of the error's variant.
fn check_mistakes(cases: &[(&str, &str)]) {
    for (written, expected) in cases {
        let found = format!("{:?}", error(written));
        let variant = found.split([' ', '{']).next();
        assert_eq!(variant, Some(*expected), "{written:?} gave {found}");
    }
}

#[test]
fn a_mistake_in_the_whole_or_the_host_is_named() {
    check_mistakes(&[
        ("", "Empty"),
        (":tag", "Empty"),
        ("@sha256:00", "DigestLength"),
        (" nginx", "Whitespace"),
        ("nginx ", "Whitespace"),
        ("nginx:1\n", "Whitespace"),
        ("https://example.com/app", "Scheme"),
        (HEX_64, "BareIdentifier"),
        ("foo_bar.com:80/app", "Host"),
        ("example.com:http/app", "Host"),
        ("example.com:/app", "Host"),
        ("-example.com/app", "Host"),
        ("example..com/app", "Host"),
        ("[fe80::1%eth0]:5000/app", "Host"),
        ("[]:5000/app", "Host"),
        ("[::1/app", "Host"),
        ("[::1]x/app", "Host"),
        ("a:1:2/app", "Host"),
    ]);
}

#[test]
fn a_mistake_in_the_path_is_named() {
    check_mistakes(&[
        ("Nginx", "UppercasePath"),
        ("owner/App", "UppercasePath"),
        ("/app", "PathComponent"),
        ("owner/", "PathComponent"),
        ("owner//app", "PathComponent"),
        ("a___b", "PathComponent"),
        ("a_-b", "PathComponent"),
        ("a..b", "PathComponent"),
        ("caf\u{e9}", "PathComponent"),
        (&format!("example.com/{}", "a".repeat(256)), "PathTooLong"),
    ]);
}

#[test]
fn a_mistake_in_the_tag_or_the_digest_is_named() {
    check_mistakes(&[
        ("nginx:", "EmptyTag"),
        ("nginx:-1", "Tag"),
        ("[::1]", "Tag"),
        ("nginx:1+build", "Tag"),
        (&format!("app:{}", "a".repeat(129)), "TagTooLong"),
        ("nginx@", "Digest"),
        ("nginx@sha256", "Digest"),
        ("nginx@sha256:", "Digest"),
        ("nginx@sha256:abc", "DigestLength"),
        ("nginx@md5:d41d8cd98f00b204e9800998ecf8427e", "DigestAlgorithm"),
    ]);
}

#[test]
fn a_path_may_have_255_characters_with_its_namespace() {
    let just_fits = "a".repeat(255 - "library/".len());
    assert_eq!(parse(&just_fits).repository().path().len(), 255);
    assert!(matches!(
        error(&format!("{just_fits}a")),
        ReferenceError::PathTooLong { length: 256, .. }
    ));
    assert_eq!(
        parse(&format!("example.com/{}", "a".repeat(255)))
            .repository()
            .path()
            .len(),
        255
    );
}

#[test]
fn sixty_four_hexadecimal_digits_are_a_name_only_with_something_around_them() {
    assert!(matches!(error(HEX_64), ReferenceError::BareIdentifier { .. }));
    assert_eq!(
        parse(&format!("docker.io/{HEX_64}")).repository().path(),
        format!("library/{HEX_64}")
    );
    assert_eq!(
        parse(&format!("{HEX_64}:1")).repository().path(),
        format!("library/{HEX_64}")
    );
    assert_eq!(
        parse(&HEX_64[1..]).repository().path(),
        format!("library/{}", &HEX_64[1..])
    );
}

#[test]
fn a_digest_has_the_length_of_its_algorithm_and_lower_case_digits() {
    for (algorithm, length) in [("sha256", 64), ("sha384", 96), ("sha512", 128)] {
        let digest: Digest = format!("{algorithm}:{}", "0f".repeat(length / 2))
            .parse()
            .unwrap();
        assert_eq!((digest.algorithm(), digest.hex().len()), (algorithm, length));
        assert_eq!(digest.short(), format!("{algorithm}:0f0f0f0f0f0f"));
        let short = format!("{algorithm}:{}", "0".repeat(length - 1));
        assert!(
            matches!(short.parse::<Digest>(), Err(ReferenceError::DigestLength { .. })),
            "{short}"
        );
    }
    let upper = format!("sha256:{}", "A".repeat(64));
    assert!(matches!(
        upper.parse::<Digest>(),
        Err(ReferenceError::Digest { .. })
    ));
    let unknown = format!("sha1:{}", "a".repeat(40));
    assert!(matches!(
        unknown.parse::<Digest>(),
        Err(ReferenceError::DigestAlgorithm { .. })
    ));
}

#[test]
fn latest_is_meant_only_when_neither_tag_nor_digest_is_written() {
    let cases = [
        ("nginx".to_owned(), Some("latest")),
        ("nginx:1.25".to_owned(), Some("1.25")),
        (format!("nginx@sha256:{HEX_64}"), None),
        (format!("nginx:1.25@sha256:{HEX_64}"), Some("1.25")),
    ];
    for (written, expected) in cases {
        assert_eq!(
            parse(&written).effective_tag().as_ref().map(Tag::as_str),
            expected,
            "{written}"
        );
    }
}

#[test]
fn a_new_tag_keeps_the_written_name_and_drops_the_digest() {
    let tag: Tag = "1.26".parse().unwrap();
    let digest: Digest = format!("sha256:{HEX_64}").parse().unwrap();
    let cases = [
        ("nginx:1.25".to_owned(), "nginx:1.26"),
        ("nginx".to_owned(), "nginx:1.26"),
        (format!("nginx:1.25@{digest}"), "nginx:1.26"),
        (
            format!("index.docker.io/nginx@{digest}"),
            "index.docker.io/nginx:1.26",
        ),
        (
            "registry.example.com:5000/a/b:1".to_owned(),
            "registry.example.com:5000/a/b:1.26",
        ),
    ];
    for (written, expected) in cases {
        let reference = parse(&written);
        assert_eq!(reference.with_tag(&tag).to_string(), expected);
        assert_eq!(reference.text_with_tag(&tag), expected);
        assert_eq!(reference.with_tag(&tag).repository(), reference.repository());
        assert_eq!(
            reference.with_tag_and_digest(&tag, &digest).to_string(),
            format!("{expected}@{digest}")
        );
    }
}

#[test]
fn a_repository_is_a_name_without_tag_and_digest() {
    let repository: Repository = "nginx".parse().unwrap();
    assert_eq!(repository.to_string(), "docker.io/library/nginx");
    for written in ["nginx:1".to_owned(), format!("nginx@sha256:{HEX_64}")] {
        assert!(
            matches!(
                written.parse::<Repository>(),
                Err(ReferenceError::NotARepository { .. })
            ),
            "{written}"
        );
    }
}

#[test]
fn references_and_their_parts_are_strings_in_json() {
    let written = format!("nginx:1.25@sha256:{HEX_64}");
    let json = serde_json::to_string(&parse(&written)).unwrap();
    assert_eq!(json, format!("\"{written}\""));
    assert_eq!(
        serde_json::from_str::<ImageReference>(&json).unwrap(),
        parse(&written)
    );
    assert!(serde_json::from_str::<ImageReference>("\"a b\"").is_err());
    assert!(serde_json::from_str::<Tag>("\"-\"").is_err());
    assert!(serde_json::from_str::<Digest>("\"sha256:\"").is_err());
    assert!(serde_json::from_str::<Repository>("\"nginx:1\"").is_err());
}

proptest! {
    #[test]
    fn whatever_is_accepted_prints_back_as_written(written in "[a-zA-Z0-9_.:/@\\[\\]-]{0,60}|\\PC{0,20}") {
        if let Ok(reference) = written.parse::<ImageReference>() {
            prop_assert_eq!(reference.to_string(), written);
        }
    }

    #[test]
    fn a_reference_put_together_by_the_grammar_is_taken_apart_again(
        host in "([a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?\\.){1,2}[a-z]{2,3}(:[0-9]{1,5})?|\\[[0-9a-f]{0,4}:[0-9a-f:]{1,8}\\](:[0-9]{2})?",
        path in "[a-z0-9]+(([._]|__|-{1,3})[a-z0-9]+){0,2}(/[a-z0-9]+){0,3}",
        tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"),
        hex in proptest::option::of("[0-9a-f]{64}"),
    ) {
        let digest = hex.map(|hex| format!("sha256:{hex}"));
        let written = format!(
            "{host}/{path}{}{}",
            tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default(),
            digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default(),
        );
        let reference: ImageReference = written.parse().unwrap();
        prop_assert_eq!(reference.repository().registry(), host);
        prop_assert_eq!(reference.repository().path(), path);
        prop_assert_eq!(reference.tag().map(Tag::as_str), tag.as_deref());
        prop_assert_eq!(reference.digest().map(Digest::as_str), digest.as_deref());
        prop_assert_eq!(reference.to_string(), written);
    }

    #[test]
    fn a_repository_parses_from_what_it_prints(written in "[a-zA-Z0-9_.:/-]{1,40}") {
        if let Ok(repository) = written.parse::<Repository>() {
            prop_assert_eq!(repository.to_string().parse::<Repository>().unwrap(), repository);
        }
    }
}
