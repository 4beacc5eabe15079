//! Who asks too often.

use super::approving::*;

#[tokio::test]
async fn whoever_tries_to_guess_the_token_is_slowed_down() {
    let scene = Scene::set(&[]).await;
    let mut last = 0;
    for _ in 0..12 {
        let response = scene
            .send("/sign-in", &[("name", "a"), ("token", "guess")], &[])
            .await;
        last = response.status().as_u16();
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
    let from = async |address: &str, path: &str| {
        let request = reqwest::Client::new().get(format!("http://{}{path}", scene.updater.address));
        let response = request.header("x-forwarded-for", address).send().await;
        response.unwrap().status().as_u16()
    };
    let mut last = 200;
    for number in 0..80 {
        let path = if number % 2 == 0 {
            "/approve?token=guess"
        } else {
            "/api/upgrade/shop/checkout?token=guess"
        };
        last = from("203.0.113.7", path).await;
    }
    assert_eq!(last, 429);
    assert_eq!(from("203.0.113.7", &link).await, 429);
    assert_eq!(from("203.0.113.8", &link).await, 200);
    assert_eq!(from("203.0.113.7", "/").await, 200);
    scene.updater.stop().await;
}
