//! Release notes: which servers are asked, in which words and how often, and which are not.

use sandbox::forge::{Asked, Forge, Mood, Repository};

use super::notes::{NOTES, a_day_later, leader, leader_until_killed, offered, record, shop, stored};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_next_leader_asks_nothing_that_is_known_and_only_whether_it_has_changed_once_that_is_due() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let stage = offered(&forge, "example/shop").await;
    let first = leader_until_killed(&stage, &forge).await;
    let known = record(&stage, "with notes", |record| record.summary.is_some()).await;
    first.kill().await;
    assert_eq!(forge.asked().len(), 1);
    a_day_later(&stage).await;
    let second = leader(&stage, &forge, "github", &[]).await;
    let renewed = record(&stage, "that was asked again", |record| {
        record.ask_again > clock::now()
    })
    .await;
    let Asked { headers, status, .. } = forge.asked().remove(1);
    assert_eq!((headers.get("if-none-match"), status), (known.etag.as_ref(), 304));
    assert_eq!(renewed.summary, known.summary);
    second.stop().await;
    let third = leader(&stage, &forge, "github", &[]).await;
    third.shows("kubefresh_containers{verdict=\"notify\"} 1").await;
    third.stop().await;
    assert_eq!(forge.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_allows_no_more_is_left_alone_by_the_next_leader_too() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let until = clock::now().as_second() + 3600;
    forge.allows(0, until);
    let stage = offered(&forge, "example/shop").await;
    let first = leader_until_killed(&stage, &forge).await;
    let refused = record(&stage, "that was refused", |record| record.error.is_some()).await;
    assert_eq!(refused.ask_again.as_second(), until);
    let (_, kept) = stored(&stage).await;
    assert_eq!(kept.cool_downs[&forge.host()].until.as_second(), until);
    first.kill().await;
    // Another update, whose notes are at the same server.
    let notes = format!("{}/example/shop", forge.host());
    stage
        .deploy(
            "other",
            "registry.example/shop/checkout:1.4.1",
            &[
                ("kubefresh.dev/watch", "true"),
                ("kubefresh.dev/mode", "notify"),
                (NOTES, &notes),
            ],
        )
        .await;
    stage
        .scanned(
            "registry.example/shop/checkout",
            &["1.4.0 minor", "1.4.1 minor"],
            &["1.4.0", "1.4.1", "1.5.0"],
        )
        .await;
    // And a last one at another server, which is asked after the others.
    let witness = Forge::start().await;
    witness.has("example/shop", shop());
    let (image, elsewhere) = (
        "registry.example/shop/zebra",
        format!("{}/example/shop", witness.host()),
    );
    stage.scanned(image, &["1.4.0 minor"], &["1.4.0", "1.5.0"]).await;
    let said = [("kubefresh.dev/mode", "notify"), (NOTES, &*elsewhere)];
    stage.deploy("zebra", &format!("{image}:1.4.0"), &said).await;
    let second = stage
        .steady_leader(&[
            "--forges",
            &format!("{},{}", forge.named("github"), witness.named("github")),
        ])
        .await;
    record(&stage, "of the witness", |record| record.summary.is_some()).await;
    record(&stage, "that says why there is none", |record| {
        record.from.as_str() == "1.4.1" && record.error.is_some() && record.ask_again.as_second() == until
    })
    .await;
    second.stop().await;
    assert_eq!((forge.asked().len(), witness.asked().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_releases_are_read_page_by_page_until_both_ends_are_there() {
    let forge = Forge::start().await;
    let tags: Vec<String> = (0..400).rev().map(|patch| format!("v1.4.{patch}")).collect();
    let mut releases: Vec<(&str, &str)> = tags.iter().map(|tag| (tag.as_str(), "- fix: a")).collect();
    releases.insert(0, ("v1.5.0", "- feat: b"));
    forge.has("example/shop", Repository::with(&releases));
    let stage = offered(&forge, "example/shop").await;
    stage
        .set_image("checkout", "registry.example/shop/checkout:1.4.380")
        .await;
    stage
        .scanned(
            "registry.example/shop/checkout",
            &["1.4.380 minor"],
            &["1.4.380", "1.5.0"],
        )
        .await;
    let updater = leader(&stage, &forge, "github", &[]).await;
    let found = record(&stage, "of 20 releases", |record| record.releases.len() == 20).await;
    assert_eq!(
        (found.releases[0].tag.as_str(), found.more_releases),
        ("v1.5.0", 0)
    );
    assert_eq!(forge.asked().len(), 1, "the first page has both ends");
    let other = "registry.example/shop/other";
    stage
        .scanned(other, &["1.4.300 minor"], &["1.4.300", "1.5.0"])
        .await;
    let notes = format!("{}/example/shop", forge.host());
    let said = [("kubefresh.dev/mode", "notify"), (NOTES, &*notes)];
    stage.deploy("other", &format!("{other}:1.4.300"), &said).await;
    let found = record(&stage, "of 100 releases", |record| record.more_releases == 80).await;
    assert_eq!(found.releases[19].tag, "v1.4.381");
    assert_eq!(forge.asked().len(), 4, "the third page has the other end");
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gitlab_and_gitea_are_asked_in_their_own_words_and_each_sees_its_own_token_alone() {
    for (kind, flag, path, target, header, shown) in [
        (
            "gitlab",
            "--gitlab-token=t0k3n",
            "group/sub/shop",
            "/api/v4/projects/group%2Fsub%2Fshop/releases?per_page=50&page=1",
            "private-token",
            "t0k3n",
        ),
        (
            "gitea",
            "--gitea-token=t0k3n",
            "example/shop",
            "/api/v1/repos/example/shop/releases?draft=false&limit=50&page=1",
            "authorization",
            "token t0k3n",
        ),
        (
            "github",
            "--github-token=t0k3n",
            "example/shop",
            "/api/v3/repos/example/shop/releases?per_page=50&page=1",
            "authorization",
            "Bearer t0k3n",
        ),
    ] {
        let forge = Forge::start().await;
        forge.has(path, shop());
        let stage = offered(&forge, path).await;
        let others = [
            "--github-token=0th3r",
            "--gitlab-token=0th3r",
            "--gitea-token=0th3r",
        ];
        let name = flag.split('=').next().unwrap();
        let others = others.into_iter().filter(|other| !other.starts_with(name));
        let flags: Vec<&str> = std::iter::once(flag).chain(others).collect();
        let updater = leader(&stage, &forge, kind, &flags).await;
        let found = record(&stage, "with notes", |record| record.summary.is_some()).await;
        assert_eq!(found.releases.len(), 2, "{kind}");
        let asked = &forge.asked()[0];
        assert_eq!(
            (asked.target.as_str(), asked.headers[header].as_str()),
            (target, shown)
        );
        assert!(asked.headers.values().all(|value| !value.contains("0th3r")));
        updater.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_is_asked_that_nobody_named_and_none_leads_us_elsewhere() {
    let forge = Forge::start().await;
    let other = Forge::start().await;
    other.has("example/shop", shop());
    let location = format!("http://{}/api/v3/repos/example/shop/releases", other.host());
    forge.becomes(Mood::Says(302, vec![("location", location)], String::new()));
    let stage = offered(&forge, "example/shop").await;
    let updater = leader(&stage, &forge, "github", &["--github-token=t0k3n"]).await;
    let failed = record(&stage, "of a failure", |record| record.error.is_some()).await;
    let message = failed.error.unwrap().message;
    assert!(message.ends_with("leads away, where nobody follows"), "{message}");
    // Nor by what a workload says.
    stage
        .annotate("checkout", NOTES, &format!("{}/example/shop", other.host()))
        .await;
    stage
        .annotate("checkout", NOTES, &format!("http://{}/{{tag}}", other.host()))
        .await;
    let unread = record(&stage, "of a page that nobody reads", |record| {
        record.missing.is_some()
    })
    .await;
    assert!(
        unread
            .missing
            .unwrap()
            .contains("FORGES does not name page:http://")
    );
    assert!(other.asked().is_empty());
    updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wants_no_notes_fetches_none() {
    let forge = Forge::start().await;
    forge.has("example/shop", shop());
    let stage = offered(&forge, "example/shop").await;
    let updater = leader(&stage, &forge, "github", &["--fetch-notes=false"]).await;
    updater.shows("kubefresh_containers{verdict=\"notify\"} 1").await;
    updater.stop().await;
    assert!(forge.asked().is_empty() && stored(&stage).await.0.is_empty());
}
