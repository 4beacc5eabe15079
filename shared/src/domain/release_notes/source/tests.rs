use proptest::prelude::*;

use super::*;

fn forges() -> Forges {
    Forges::parse("gitea:https://git.example.com, gitlab:https://gitlab.example.com github:http://127.0.0.1:1234 page:https://docs.example.com")
        .unwrap()
}

fn found(setting: &str, label: Option<&str>, image: &str) -> Result<Found, NoSource> {
    find(
        &setting.parse().unwrap(),
        label,
        &image.parse().unwrap(),
        &forges(),
    )
}

fn names(found: &Found) -> Vec<String> {
    found.sources.iter().map(ToString::to_string).collect()
}

#[test]
fn the_setting_counts_before_the_label_and_the_label_before_the_name() {
    let label = Some("https://github.com/example/shop");
    let image = "ghcr.io/other/web";
    let by_setting = found("github.com/mine/shop", label, image).unwrap();
    assert_eq!(
        (by_setting.by, names(&by_setting)),
        (FoundBy::Setting, vec!["github.com/mine/shop".to_owned()])
    );
    let by_label = found("auto", label, image).unwrap();
    assert_eq!(
        (by_label.by, names(&by_label)),
        (FoundBy::Label, vec!["github.com/example/shop".to_owned()])
    );
    let by_name = found("auto", None, image).unwrap();
    assert_eq!(
        (by_name.by, names(&by_name)),
        (FoundBy::ImageName, vec!["github.com/other/web".to_owned()])
    );
}

#[test]
fn a_repository_is_read_out_of_any_way_to_write_its_address() {
    for (label, expected) in [
        ("https://github.com/example/shop", "github.com/example/shop"),
        ("https://github.com/example/shop.git", "github.com/example/shop"),
        ("http://GitHub.com/example/shop/", "github.com/example/shop"),
        (
            "https://github.com/example/shop/tree/main/web#readme",
            "github.com/example/shop",
        ),
        ("git@github.com:example/shop.git", "github.com/example/shop"),
        ("ssh://git@github.com/example/shop.git", "github.com/example/shop"),
        ("git+https://github.com/example/shop", "github.com/example/shop"),
        ("github.com/example/shop", "github.com/example/shop"),
        (
            "https://gitlab.com/group/sub/project/-/tree/main",
            "gitlab.com/group/sub/project",
        ),
        ("https://codeberg.org/example/shop", "codeberg.org/example/shop"),
        (
            "http://127.0.0.1:1234/example/shop",
            "127.0.0.1:1234/example/shop",
        ),
    ] {
        let found = found("auto", Some(label), "docker.io/library/nginx").unwrap();
        assert_eq!(
            (found.by, names(&found)),
            (FoundBy::Label, vec![expected.to_owned()]),
            "{label}"
        );
    }
}

#[test]
fn a_name_tells_where_the_registry_belongs_to_a_forge_and_nowhere_else() {
    for (image, expected) in [
        ("ghcr.io/o/r", &["github.com/o/r"][..]),
        ("ghcr.io/o/r/sub/image", &["github.com/o/r"]),
        ("codeberg.org/o/r", &["codeberg.org/o/r"]),
        ("git.example.com/o/r", &["git.example.com/o/r"]),
        ("registry.gitlab.com/g/p", &["gitlab.com/g/p"]),
        (
            "registry.gitlab.com/g/s/p/image",
            &["gitlab.com/g/s/p/image", "gitlab.com/g/s/p", "gitlab.com/g/s"],
        ),
        ("registry.gitlab.example.com/g/p", &["gitlab.example.com/g/p"]),
    ] {
        let found = found("auto", None, image).unwrap();
        assert_eq!(
            (found.by, names(&found)),
            (
                FoundBy::ImageName,
                expected.iter().map(ToString::to_string).collect()
            )
        );
    }
    // Whoever has a name on Docker Hub need not be who has it on GitHub.
    for image in [
        "docker.io/grafana/grafana",
        "quay.io/o/r",
        "registry.example.com/o/r",
        "docs.example.com/o/r",
    ] {
        assert_eq!(found("auto", None, image), Err(NoSource::Nothing), "{image}");
    }
}

#[test]
fn no_host_is_asked_that_neither_everybody_nor_the_installation_knows() {
    for label in [
        "http://169.254.169.254/latest/meta-data",
        "https://evil.example/o/r",
        "https://github.com.evil.example/o/r",
    ] {
        let error = found("auto", Some(label), "nginx").unwrap_err();
        assert!(matches!(error, NoSource::UnknownLabel { .. }), "{label}: {error}");
    }
    let error = found("evil.example/o/r", None, "nginx").unwrap_err();
    assert_eq!(
        error,
        NoSource::UnknownForge {
            host: "evil.example".to_owned()
        }
    );
    for (template, read) in [
        ("https://docs.example.com/notes/{tag}.md", true),
        ("http://docs.example.com/notes/{tag}.md", false),
        ("https://evil.example/{tag}", false),
        ("https://git.example.com/o/r/{tag}", false),
    ] {
        let found = found(template, None, "nginx").unwrap();
        assert!(
            matches!(&found.sources[..], [NotesSource::Template { may_be_read, .. }] if *may_be_read == read),
            "{template}"
        );
    }
    // A label that leads nowhere does not keep from guessing.
    let guessed = found("auto", Some("https://evil.example/o/r"), "ghcr.io/o/r").unwrap();
    assert_eq!(guessed.by, FoundBy::ImageName);
}

#[test]
fn a_setting_whose_path_is_that_of_no_repository_finds_nothing() {
    for path in [
        "github.com/../etc",
        "github.com/o/..",
        "github.com/o/r%2f",
        "github.com/ö/r",
    ] {
        let setting = path.parse::<NotesSetting>();
        let nowhere = setting.is_err() || found(path, None, "nginx").is_err();
        assert!(nowhere, "{path}");
    }
}

#[test]
fn people_read_about_a_tag_where_each_kind_of_forge_has_its_releases() {
    for (server, page) in [
        (
            "github:https://github.com",
            "https://github.com/o/r/releases/tag/web%401.5.0",
        ),
        (
            "github:https://ghe.example.com/",
            "https://ghe.example.com/o/r/releases/tag/web%401.5.0",
        ),
        (
            "gitlab:https://gitlab.com",
            "https://gitlab.com/o/r/-/releases/web%401.5.0",
        ),
        (
            "gitea:http://git.example:3000",
            "http://git.example:3000/o/r/releases/tag/web%401.5.0",
        ),
    ] {
        let server: Server = server.parse().unwrap();
        let source = repository(&server, "o/r").unwrap();
        assert_eq!(source.page("web@1.5.0"), page);
    }
}

proptest! {
    #[test]
    fn whatever_a_label_says_only_known_hosts_are_asked_and_paths_stay_paths(label in ".{0,80}", path in "[a-zA-Z0-9./%@?#:-]{0,40}") {
        let forges = forges();
        let image = "nginx".parse().unwrap();
        for label in [label, format!("https://github.com/{path}"), format!("git@gitlab.com:{path}")] {
            let Ok(found) = find(&NotesSetting::Auto, Some(&label), &image, &forges) else { continue };
            for source in &found.sources {
                let NotesSource::Repository { server, path } = source else { panic!("{source}") };
                prop_assert_eq!(forges.at(server.host()), Some(server));
                prop_assert!(!path.split('/').any(|segment| matches!(segment, "" | "." | "..")), "{path}");
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte)));
            }
        }
    }
}
