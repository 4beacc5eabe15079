//! An update that needs the word of several people.

use std::process::Output;

use kube::config::Kubeconfig;
use sandbox::forge::{Forge, Mood};

use super::approving::*;
use super::commands::{run, run_with};
use super::notes::NOTES;
use super::*;
use crate::output::{stderr, stdout};

/// Two different people have to agree.
const TWO: [(&str, &str); 2] = [
    ("kubefresh.dev/mode", "approve"),
    ("kubefresh.dev/approvers", "2"),
];

impl Scene {
    /// What this person, whom the proxy names, is answered when they agree on the page of `checkout`.
    async fn agrees(&self, name: &str) -> u16 {
        let named = [("x-forwarded-user", name)];
        let form = self.field("form", &named).await.unwrap();
        let offer = self.field("offer", &named).await.unwrap();
        let fields = [
            ("form", form.as_str()),
            ("offer", &offer),
            ("container", "app"),
            ("decision", "approve"),
        ];
        self.send(CHECKOUT, &fields, &named).await.status().as_u16()
    }
}

#[tokio::test]
async fn where_two_have_to_agree_two_different_people_do_and_everybody_sees_who_has() {
    let scene = Scene::set_with(&TWO, &["--trusted-proxy", "127.0.0.1/32"]).await;
    let link = scene.link().await;
    let token = token_of(&link);
    assert_eq!(scene.agrees("alice").await, 303);
    assert_eq!(scene.agrees("alice").await, 409, "nobody counts twice");
    scene
        .stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    scene
        .is_told(
            "UpdateAvailable",
            "1 of 2 approvals (alice); to agree: kubefresh-updater approve deployment/shop/checkout",
        )
        .await;
    for (path, words) in [
        (CHECKOUT, "waits for approval, 1 of 2 approvals (alice)"),
        (&link, "1 of 2 approvals (alice)"),
    ] {
        assert!(scene.text(path).await.contains(words), "{path}");
    }
    for command in [&["status", "--output", "json"][..], &["plan"]] {
        let printed = stdout(&run(&scene.stage, command).await);
        assert!(printed.contains("1 of 2 approvals (alice)"), "{printed}");
    }
    assert_eq!(scene.stage.image("checkout").await, OLD);
    let fields = [("token", token.as_str()), ("decision", "approve")];
    let named = |name| [("x-forwarded-user", name)];
    let again = scene.send("/approve", &fields, &named("alice")).await;
    assert_eq!(again.status(), 409, "nor by a link");
    let bob = scene.send("/approve", &fields, &named("bob")).await;
    assert_eq!(bob.status(), 200, "{}", bob.text().await.unwrap());
    scene.stage.image_becomes("checkout", NEW).await;
    let kept = scene.stage.annotation("checkout", "approved-by").await.unwrap();
    for name in ["alice", "bob"] {
        assert!(
            kept.contains(&format!(
                r#""by":"{name}","container":"app","decision":"approve","knownBy":"proxy""#
            )),
            "{kept}"
        );
    }
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_word_that_waited_for_others_for_too_long_counts_no_more_and_everybody_is_told_and_asked_anew() {
    let deadline = ("kubefresh.dev/approval-deadline", "2s");
    let annotations = [TWO[0], TWO[1], deadline];
    let scene = Scene::set_with(&annotations, &["--trusted-proxy", "127.0.0.1/32"]).await;
    scene.link().await;
    assert_eq!(scene.agrees("alice").await, 303);
    let lapsed = "0 of 2 approvals; the word of alice, given at ";
    scene.is_told("UpdateAvailable", lapsed).await;
    eventually("the annotation says it", LIMIT, || async {
        let pending = scene.stage.annotation("checkout", "pending").await?;
        pending.contains(lapsed).then_some(())
    })
    .await;
    assert!(scene.text(CHECKOUT).await.contains(lapsed));
    for command in ["status", "plan"] {
        let printed = stdout(&run(&scene.stage, &[command, "--output", "json"]).await);
        assert!(printed.contains(lapsed), "{printed}");
    }
    assert_eq!(scene.agrees("alice").await, 303, "she may give it again");
    assert_eq!(scene.stage.image("checkout").await, OLD);
    scene.updater.stop().await;
}

/// A command of this person, whom the API server knows by their name.
async fn run_as(scene: &Scene, person: &str, arguments: &[&str]) -> Output {
    let text = scene.stage.cluster.api.admin_kubeconfig();
    let mut kubeconfig = serde_json::to_value(Kubeconfig::from_yaml(&text).unwrap()).unwrap();
    let user = &mut kubeconfig["users"][0]["user"];
    user["as"] = json!(person);
    user["as-groups"] = json!(["system:masters"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &kubeconfig).unwrap();
    run_with(file.path(), arguments).await
}

#[tokio::test]
async fn one_person_is_one_by_whichever_way_they_come_and_nobody_without_a_checked_name_counts() {
    let scene = Scene::set_with(&TWO, &["--trusted-proxy", "127.0.0.1/32"]).await;
    let link = scene.link().await;
    let token = token_of(&link);
    let fields = [("token", token.as_str()), ("decision", "approve")];
    let alice = scene
        .send("/approve", &fields, &[("x-forwarded-user", "alice")])
        .await;
    assert_eq!(alice.status(), 200);
    let agreed = scene.stage.annotation("checkout", "approved-by").await;

    eventually(
        "the page behind the link says whose word counts",
        LIMIT,
        || async {
            let shown = scene.text(&link).await;
            let words = "the word of whoever has the link does not count here: 1 of 2 approvals (alice)";
            (shown.contains(words) && !shown.contains(">Deploy<")).then_some(())
        },
    )
    .await;
    let (status, page) = scene.answer(&token, "approve").await;
    assert!(
        status == 409 && page.contains("does not count here"),
        "{status} {page}"
    );
    let bob = scene.sign_in("bob").await;
    let bob = [("cookie", bob.as_str())];
    let form = scene.field("form", &bob).await.unwrap();
    let offer = scene.field("offer", &bob).await.unwrap();
    let fields = [
        ("form", form.as_str()),
        ("offer", &offer),
        ("container", "app"),
        ("decision", "approve"),
    ];
    let signed_in = scene.send(CHECKOUT, &fields, &bob).await;
    assert_eq!(signed_in.status(), 409, "the name is what they call themselves");
    let approve = ["approve", "shop/checkout"];
    for (output, words) in [
        (run(&scene.stage, &approve).await, "does not count here"),
        (run_as(&scene, "Alice", &approve).await, "has agreed before"),
    ] {
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert_eq!(scene.stage.annotation("checkout", "approved-by").await, agreed);

    let bob = run_as(&scene, "bob", &approve).await;
    assert_eq!(bob.status.code(), Some(0), "{}", stderr(&bob));
    scene.stage.image_becomes("checkout", NEW).await;
    scene.updater.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_agrees_on_a_page_or_by_a_command_need_not_wait_for_the_notes_that_decide_whether_they_are_asked()
{
    let forge = Forge::start().await;
    forge.becomes(Mood::Hangs);
    let (notes, forges) = (format!("{}/example/shop", forge.host()), forge.named("github"));
    let waits = [
        ("kubefresh.dev/require-approval", "breaking"),
        (NOTES, notes.as_str()),
    ];
    let forges = ["--forges", &forges];
    let scene = Scene::set_with(&waits, &forges).await;
    assert!(scene.text(CHECKOUT).await.contains("waits for its release notes"));
    let link = scene.link_with("72h", &forges).await;
    assert!(scene.text(&link).await.contains(">Deploy<"));
    let alice = scene.sign_in("alice").await;
    let page = scene.text_for(CHECKOUT, &[("cookie", &alice)]).await;
    assert!(page.contains("Deploy 1.5.0 in app"), "{page}");
    let approve = [&["approve", "shop/checkout"][..], &forges].concat();
    let output = run(&scene.stage, &approve).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    scene.stage.image_becomes("checkout", NEW).await;
    scene.updater.stop().await;
}
