//! Who decides on the page of a workload: signed in, or named by a proxy that is trusted, and by a form of ours alone.

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use sandbox::apiserver::faults::{Fault, FaultRule};

use super::approving::*;
use super::*;

/// Fields of a form, or headers.
type Pairs<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn what_was_decided_is_told_also_when_whoever_decided_hangs_up() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let carol = [("x-forwarded-user", "carol")];
    let (form, offer) = (
        scene.field("form", &carol).await.unwrap(),
        scene.field("offer", &carol).await.unwrap(),
    );
    let slow = FaultRule::new(Fault::DelayAnswer(Duration::from_secs(2)));
    let slow = slow.user(UPDATER).verb("patch").resource("deployments").times(1);
    scene.stage.cluster.api.faults().install(slow);
    let fields = [
        ("form", form.as_str()),
        ("offer", &offer),
        ("container", "app"),
        ("decision", "not-now"),
    ];
    let send = scene.send(CHECKOUT, &fields, &carol);
    let written = eventually("it is written", LIMIT, || async {
        scene.stage.annotation("checkout", "decided-by").await
    });
    tokio::select! {
        _ = send => panic!("the answer was to be held back"),
        kept = written => assert!(kept.contains(r#""by":"carol","container":"app","decision":"not-now","knownBy":"proxy""#), "{kept}"),
    }
    scene
        .is_told("UpdatePostponed", "by carol (named by the proxy)")
        .await;
    scene.updater.stop().await;
}

#[tokio::test]
async fn only_the_update_that_was_shown_is_undone_and_who_asked_is_kept() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let carol = [("x-forwarded-user", "carol")];
    scene
        .stage
        .annotate("checkout", "kubefresh.dev/approved", "1.5.0")
        .await;
    scene.stage.update_to_1_5_0().await;
    let form = scene.field("form", &carol).await.unwrap();
    let shown = scene.last_update(&carol).await;
    let undo = |shown| [("form", form.as_str()), ("offer", shown), ("decision", "undo")];
    let before = scene.stage.patches("checkout").len();
    for wrong in ["", "another"] {
        let status = scene.send(CHECKOUT, &undo(wrong), &carol).await.status();
        assert!([400, 409].contains(&status.as_u16()), "{wrong:?}: {status}");
    }
    assert_eq!(scene.stage.patches("checkout").len(), before);
    assert_eq!(scene.send(CHECKOUT, &undo(&shown), &carol).await.status(), 303);
    scene.stage.image_becomes("checkout", OLD).await;
    let kept = scene.stage.annotation("checkout", "decided-by").await.unwrap();
    assert!(kept.contains(r#""by":"carol","decision":"undo""#), "{kept}");
    scene.updater.stop().await;
}

#[tokio::test]
async fn who_is_signed_in_decides_under_their_own_name_and_only_by_a_form_of_ours() {
    let scene = Scene::set(&[]).await;
    assert_eq!(scene.field("form", &[]).await, None, "nobody is signed in");
    let wrong = scene
        .send("/sign-in", &[("name", "alice"), ("token", "guess")], &[])
        .await;
    assert_eq!(wrong.status(), 403);
    let alice = scene.sign_in("alice").await;
    let cookie = [(COOKIE.as_str(), alice.as_str())];
    let form = scene.field("form", &cookie).await.unwrap();
    let offer = scene.field("offer", &cookie).await.unwrap();
    let fields = |form, offer| {
        [
            ("form", form),
            ("offer", offer),
            ("container", "app"),
            ("decision", "approve"),
        ]
    };
    let bob = scene.sign_in("bob").await;
    let of_bob = scene
        .field("form", &[(COOKIE.as_str(), bob.as_str())])
        .await
        .unwrap();
    let forged = format!("{alice}x");
    let before = scene.writes().len();
    let evil = (ORIGIN.as_str(), "https://evil.example");
    let (good, stale) = (fields(&form, &offer), fields(&form, "other"));
    let (none, bobs) = (fields("", &offer), fields(&of_bob, &offer));
    let tries: [(Pairs<'_>, Pairs<'_>, u16); 7] = [
        (&good, &[], 403),
        (&good, &[(COOKIE.as_str(), &forged)], 403),
        (&none, &cookie, 403),
        (&bobs, &cookie, 403),
        (&good, &[cookie[0], evil], 403),
        (&good, &[cookie[0], ("sec-fetch-site", "cross-site")], 403),
        (&stale, &cookie, 409),
    ];
    for (fields, headers, expected) in tries {
        let headers: Vec<(&'static str, &str)> = headers
            .iter()
            .map(|(name, value)| (leaked(name), *value))
            .collect();
        assert_eq!(scene.send(CHECKOUT, fields, &headers).await.status(), expected);
    }
    assert_eq!(scene.writes().len(), before);
    let done = scene.send(CHECKOUT, &good, &cookie).await;
    assert_eq!(done.status(), 303);
    assert!(
        done.headers()[LOCATION]
            .to_str()
            .unwrap()
            .ends_with("?done=approve")
    );
    scene.stage.image_becomes("checkout", NEW).await;
    let by = scene.stage.annotation("checkout", "approved-by").await.unwrap();
    assert!(by.contains(r#""by":"alice""#), "{by}");
    scene.updater.stop().await;
}

/// A header's name for as long as the test lives.
fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

#[tokio::test]
async fn a_proxy_names_people_only_where_it_is_trusted() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let named = [("x-forwarded-user", "carol")];
    let form = scene.field("form", &named).await.unwrap();
    let fields = [("form", form.as_str()), ("decision", "check-now")];
    assert_eq!(scene.send(CHECKOUT, &fields, &named).await.status(), 303);
    let twice = [("x-forwarded-user", "carol"), ("x-forwarded-user", "mallory")];
    assert_eq!(scene.send(CHECKOUT, &fields, &twice).await.status(), 403);
    scene.updater.stop().await;

    let scene = Scene::set(&[]).await;
    assert_eq!(scene.field("form", &named).await, None);
    assert_eq!(scene.send(CHECKOUT, &fields, &named).await.status(), 403);
    scene.updater.stop().await;
}

#[tokio::test]
async fn a_session_is_kept_from_connections_that_anybody_may_read_where_people_come_by_https() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let fields = [("name", "alice"), ("token", TOKEN)];
    for (proto, secure) in [("https", true), ("http", false)] {
        let response = scene
            .send("/sign-in", &fields, &[("x-forwarded-proto", proto)])
            .await;
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.contains("; Secure"), secure, "{proto}: {cookie}");
    }
    scene.updater.stop().await;
}
