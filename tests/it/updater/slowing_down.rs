//! Who asks too often.

use super::approving::*;

#[tokio::test]
async fn whoever_tries_to_guess_the_token_is_slowed_down() {
    let scene = Scene::set(&[]).await;
    let mut last = 0;
    for _ in 0..40 {
        let response = scene
            .send("/sign-in", &[("name", "a"), ("token", "guess")], &[])
            .await;
        last = response.status().as_u16();
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    let signed_in = scene
        .send("/sign-in", &[("name", "a"), ("token", TOKEN)], &[])
        .await;
    assert_eq!(
        signed_in.status(),
        429,
        "and cannot tell by that whether it is right"
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
