//! How `tags/list` is cut into pages.

use sandbox::registry::{OversizedPage, PageStyle, Paging, Registry, TagOrder};

use super::{get, header, tags_of, with_tags};

/// Follows `Link` as a trusting client would, at most five times.
async fn follow(registry: &Registry, first: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = first.to_owned();
    for _ in 0..5 {
        let response = get(registry, &path).await;
        let link = header(&response, "link").to_owned();
        pages.push(tags_of(response).await);
        let Some((target, _)) = link.split_once(';') else {
            break;
        };
        let target = target.trim_matches(['<', '>']);
        target
            .trim_start_matches(&registry.base_url())
            .clone_into(&mut path);
    }
    pages
}

#[tokio::test]
async fn every_page_style_leads_through_all_tags_exactly_once() {
    for style in [
        PageStyle::Relative,
        PageStyle::Absolute,
        PageStyle::Bare,
        PageStyle::Cursor,
    ] {
        for order in [TagOrder::Sorted, TagOrder::Insertion, TagOrder::Shuffled] {
            let registry = with_tags(
                Paging {
                    style: style.clone(),
                    ..Paging::default()
                },
                &["5", "3", "1", "2", "4"],
            )
            .await;
            registry.configure(|options| options.tag_order = order);
            let pages = follow(&registry, "/v2/shop/checkout/tags/list?n=2").await;
            let sizes: Vec<_> = pages.iter().map(Vec::len).collect();
            assert_eq!(sizes, [2, 2, 1], "{style:?} {order:?}");
            let mut tags = pages.concat();
            tags.sort();
            assert_eq!(tags, ["1", "2", "3", "4", "5"], "{style:?} {order:?}");
        }
    }
}

#[tokio::test]
async fn a_looping_registry_never_ends_and_an_old_one_ignores_the_page_size() {
    let looping = Paging {
        style: PageStyle::Looping,
        ..Paging::default()
    };
    let registry = with_tags(looping, &["1", "2", "3"]).await;
    assert_eq!(
        follow(&registry, "/v2/shop/checkout/tags/list?n=2").await.len(),
        5
    );

    let registry = with_tags(
        Paging {
            style: PageStyle::None,
            ..Paging::default()
        },
        &["1", "2", "3"],
    )
    .await;
    let pages = follow(&registry, "/v2/shop/checkout/tags/list?n=2&last=1").await;
    assert_eq!(pages, [["1", "2", "3"]]);
}

#[tokio::test]
async fn an_oversized_page_is_clamped_or_refused() {
    let paging = Paging {
        max_size: Some(2),
        ..Paging::default()
    };
    let registry = with_tags(paging, &["1", "2", "3"]).await;
    assert_eq!(
        follow(&registry, "/v2/shop/checkout/tags/list?n=1000").await,
        [vec!["1", "2"], vec!["3"]]
    );
    registry.configure(|options| options.paging.oversized = OversizedPage::Refuse(405));
    assert_eq!(
        get(&registry, "/v2/shop/checkout/tags/list?n=1000")
            .await
            .status(),
        405
    );
}
