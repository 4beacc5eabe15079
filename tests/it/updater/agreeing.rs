//! An update that needs the word of several people.

use super::approving::*;
use super::commands::run;
use super::*;
use crate::output::stdout;

#[tokio::test]
async fn where_two_have_to_agree_two_different_people_do_and_everybody_sees_who_has() {
    let two = [
        ("kubefresh.dev/mode", "approve"),
        ("kubefresh.dev/approvers", "2"),
    ];
    let scene = Scene::set_with(&two, &["--trusted-proxy", "127.0.0.1/32"]).await;
    let link = scene.link().await;
    let token = token_of(&link);
    let by_page = async |name: &str| {
        let named = [("x-forwarded-user", name)];
        let form = scene.field("form", &named).await.unwrap();
        let offer = scene.field("offer", &named).await.unwrap();
        let fields = [
            ("form", form.as_str()),
            ("offer", &offer),
            ("container", "app"),
            ("decision", "approve"),
        ];
        scene.send(CHECKOUT, &fields, &named).await.status().as_u16()
    };
    assert_eq!(by_page("alice").await, 303);
    assert_eq!(by_page("alice").await, 409, "nobody counts twice");
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
                r#""by":"{name}","decision":"approve","knownBy":"proxy""#
            )),
            "{kept}"
        );
    }
    scene.updater.stop().await;
}
