//! Who asks too often.

use super::approving::*;

/// What somebody is answered who tries this token.
async fn answered(scene: &Scene, token: &str) -> u16 {
    let fields = [("name", "a"), ("token", token)];
    scene.send("/sign-in", &fields, &[]).await.status().as_u16()
}

/// Guesses until that is refused; what the right token is answered then.
async fn answered_after_guesses(scene: &Scene) -> u16 {
    let mut last = 0;
    for _ in 0..40 {
        last = answered(scene, "guess").await;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    answered(scene, TOKEN).await
}

#[tokio::test]
async fn whoever_tries_to_guess_the_token_is_slowed_down() {
    let scene = Scene::set(&[]).await;
    let mut answers = Vec::new();
    // The allowance grows back by one in six seconds, so that on a slow machine the right token may come just after that.
    for _ in 0..5 {
        answers.push(answered_after_guesses(&scene).await);
        if answers.ends_with(&[429]) {
            break;
        }
    }
    assert!(
        answers.ends_with(&[429]),
        "and cannot tell by that whether it is right: {answers:?}"
    );
    scene.updater.stop().await;

    let scene = Scene::set(&[]).await;
    for _ in 0..12 {
        scene.sign_in("alice").await;
    }
    scene.updater.stop().await;
}

#[tokio::test]
async fn who_opens_links_again_and_again_is_slowed_down_and_nobody_else() {
    let scene = Scene::set(&["--trusted-proxy", "127.0.0.1/32"]).await;
    let link = scene.link().await;
    let client = reqwest::Client::new();
    let from = async |address: &str, path: &str| {
        let request = client.get(format!("http://{}{path}", scene.updater.address));
        let response = request.header("x-forwarded-for", address).send().await;
        response.unwrap().status().as_u16()
    };
    // The allowance grows back by one a second, so that on a slow machine one link among many is opened.
    let refused = async |path: &str| {
        for _ in 0..300 {
            if from("203.0.113.7", path).await == 429 {
                return true;
            }
        }
        false
    };
    assert!(refused("/approve?token=guess").await);
    assert!(refused("/api/upgrade/shop/checkout?token=guess").await);
    assert!(refused(&link).await);
    assert_eq!(from("203.0.113.8", &link).await, 200);
    assert_eq!(from("203.0.113.7", "/").await, 200);
    scene.updater.stop().await;
}
