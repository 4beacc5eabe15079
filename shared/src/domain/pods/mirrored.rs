//! Images that a webhook rewrote when the pods were admitted: to be pulled from a mirror, and by the digest that the tag stood for.

use crate::domain::reference::ImageReference;

/// Whether a pod's image is the one that its workload wants, or what a webhook makes of it: the same name and tag in another registry,
/// below any path, with the digest behind them that the workload wants or, where it wants none, with any.
pub(super) fn is_made_of(in_pod: &str, wanted: &str) -> bool {
    if in_pod == wanted {
        return true;
    }
    let parse = |image: &str| image.parse::<ImageReference>().ok();
    let (Some(in_pod), Some(wanted)) = (parse(in_pod), parse(wanted)) else {
        return false;
    };
    let tag = wanted.effective_tag();
    let is_by_digest = wanted
        .digest()
        .is_none_or(|digest| in_pod.digest() == Some(digest));
    tag.is_some() && in_pod.effective_tag() == tag && is_by_digest && name(&in_pod) == name(&wanted)
}

/// The last part of the repository's path, which mirrors keep.
fn name(image: &ImageReference) -> &str {
    let path = image.repository().path();
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_from_a_mirror_or_by_its_digest_is_the_one_that_is_wanted_and_another_tag_or_name_is_not() {
        let digest = |fill: &str| format!("sha256:{}", fill.repeat(64));
        let (a, b) = (digest("a"), digest("b"));
        let pinned = format!("shop.example/team/app:1.4.0@{a}");
        for (in_pod, wanted, expected) in [
            ("shop.example/team/app:1.4.0", "shop.example/team/app:1.4.0", true),
            (
                "mirror.example/shop.example/team/app:1.4.0",
                "shop.example/team/app:1.4.0",
                true,
            ),
            ("mirror.example/app:1.4.0", "shop.example/team/app:1.4.0", true),
            ("mirror.example/proxy/library/nginx:latest", "nginx", true),
            (pinned.as_str(), "shop.example/team/app:1.4.0", true),
            (&format!("mirror.example/team/app:1.4.0@{a}"), &pinned, true),
            ("mirror.example/team/app:1.4.0", &pinned, false),
            (&format!("mirror.example/team/app:1.4.0@{b}"), &pinned, false),
            (
                "mirror.example/team/app:1.5.0",
                "shop.example/team/app:1.4.0",
                false,
            ),
            (
                "mirror.example/team/api:1.4.0",
                "shop.example/team/app:1.4.0",
                false,
            ),
            // Nothing says which tag it was.
            (
                &format!("mirror.example/team/app@{a}"),
                "shop.example/team/app:1.4.0",
                false,
            ),
            ("Not An Image", "shop.example/team/app:1.4.0", false),
        ] {
            assert_eq!(is_made_of(in_pod, wanted), expected, "{in_pod} of {wanted}");
        }
    }
}
